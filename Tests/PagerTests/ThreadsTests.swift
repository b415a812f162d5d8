import Testing

@testable import Pager

@Suite struct ThreadsTests {
  /// A counter that only the lock protects.
  private final class Guarded: @unchecked Sendable {
    // Touched only while `lock` is held.
    var count = 0
    let lock = ConditionLock()
  }

  private struct Refusal: Error, Equatable {}

  @Test func lockExcludes() throws {
    let guarded = Guarded()
    let threads = try (0..<4).map { index in
      try BackgroundThread(name: "adder \(index)") {
        for _ in 0..<10_000 { guarded.lock.withLock { guarded.count += 1 } }
      }
    }
    for thread in threads { thread.join() }
    #expect(guarded.count == 40_000)
  }

  @Test func withLockPassesErrorsAndUnlocks() {
    let lock = ConditionLock()
    #expect(throws: Refusal()) {
      try lock.withLock { () throws(Refusal) in throw Refusal() }
    }
    #expect(lock.withLock { 7 } == 7)
  }

  @Test func waitingTakesTurns() throws {
    let guarded = Guarded()
    let rounds = 2_000
    let thread = try BackgroundThread(name: "odd") {
      for _ in 0..<rounds {
        guarded.lock.withLock {
          while guarded.count % 2 == 0 { guarded.lock.wait() }
          guarded.count += 1
          guarded.lock.signal()
        }
      }
    }
    for _ in 0..<rounds {
      guarded.lock.withLock {
        while guarded.count % 2 == 1 { guarded.lock.wait() }
        guarded.count += 1
        guarded.lock.signal()
      }
    }
    thread.join()
    #expect(guarded.count == 2 * rounds)
  }

  @Test func broadcastWakesAll() throws {
    let guarded = Guarded()
    let threads = try (0..<5).map { _ in
      try BackgroundThread(name: "waiter") {
        guarded.lock.withLock {
          while guarded.count == 0 { guarded.lock.wait() }
        }
      }
    }
    guarded.lock.withLock {
      guarded.count = 1
      guarded.lock.broadcast()
    }
    for thread in threads { thread.join() }
  }

  @Test func timeoutEndsTheWait() {
    let lock = ConditionLock()
    let start = SystemCalls.monotonicNanoseconds()
    lock.withLock {
      // Spurious wakeups are allowed, so wait until the time is really over.
      while lock.wait(timeoutNanoseconds: 20_000_000) {}
    }
    #expect(SystemCalls.monotonicNanoseconds() - start >= 20_000_000)
  }

  @Test func signalEndsATimedWaitEvenAnEndlessOne() throws {
    let guarded = Guarded()
    let thread = try BackgroundThread(name: "waker") {
      guarded.lock.withLock {
        guarded.count = 1
        guarded.lock.signal()
      }
    }
    guarded.lock.withLock {
      while guarded.count == 0 {
        let isSignalled = guarded.lock.wait(timeoutNanoseconds: .max)
        #expect(isSignalled)
      }
    }
    thread.join()
  }

  @Test func joiningTwiceIsHarmlessAndNotJoiningToo() throws {
    let guarded = Guarded()
    let thread = try BackgroundThread(name: "joined twice") {
      guarded.lock.withLock { guarded.count += 1 }
    }
    thread.join()
    thread.join()
    #expect(guarded.lock.withLock { guarded.count } == 1)

    _ = try BackgroundThread(name: "never joined") {
      guarded.lock.withLock {
        guarded.count += 1
        guarded.lock.signal()
      }
    }
    guarded.lock.withLock {
      while guarded.count < 2 { guarded.lock.wait() }
    }
  }

  #if os(Linux)
    @Test func threadHasItsName() throws {
      let shared = NameBox()
      let thread = try BackgroundThread(name: "a name that is too long") {
        shared.read()
      }
      thread.join()
      #expect(shared.name == "a name that is \n")
    }
  #endif
}

#if os(Linux)
  /// Reads the name of the thread it is called in.
  private final class NameBox: Sendable {
    private let bytes = Locked<[UInt8]>([])

    var name: String { bytes.withLock { String(decoding: $0, as: UTF8.self) } }

    func read() {
      guard let file = try? SystemCalls.openFile("/proc/thread-self/comm", writable: false) else {
        return
      }
      defer { SystemCalls.closeFile(file) }
      var buffer = [UInt8](repeating: 0, count: 64)
      let count = buffer.withUnsafeMutableBytes { try? SystemCalls.readFile(file, into: $0, at: 0) }
      let read = Array(buffer.prefix(count ?? 0))
      bytes.withLock { $0 = read }
    }
  }
#endif
