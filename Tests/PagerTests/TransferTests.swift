import Foundation
import TestSupport
import Testing

@testable import Pager

/// The loops around system calls, with outcomes that a disk rarely shows: interruptions, parts of
/// transfers, ends of files, errors in the middle.
@Suite struct TransferTests {
  /// What one raw call does.
  enum Outcome: Sendable {
    /// Transfers so many bytes at most.
    case bytes(Int)
    case error(Int32)
  }

  /// A file that does what the script says, and everything that is asked when that has ended.
  private final class Script {
    var outcomes: [Outcome]
    var file: [UInt8]
    private(set) var calls: [(done: Int, count: Int)] = []

    init(_ outcomes: [Outcome], file: [UInt8] = []) {
      self.outcomes = outcomes
      self.file = file
    }

    private func next(_ done: Int, _ count: Int) -> Int {
      calls.append((done, count))
      switch outcomes.isEmpty ? .bytes(count) : outcomes.removeFirst() {
      case .bytes(let most): return min(most, count)
      case .error(let number):
        errno = number
        return -1
      }
    }

    func read(into buffer: inout [UInt8], _ done: Int, _ count: Int) -> Int {
      let step = min(next(done, count), max(0, file.count - done))
      if step > 0 { buffer.replaceSubrange(done..<done + step, with: file[done..<done + step]) }
      return step
    }

    func write(_ bytes: [UInt8], _ done: Int, _ count: Int) -> Int {
      let step = next(done, count)
      if step > 0 {
        file.replaceSubrange(done..<min(file.count, done + step), with: bytes[done..<done + step])
      }
      return step
    }
  }

  static let scripts: [[Outcome]] = [
    [], [.error(EINTR)], [.error(EINTR), .error(EINTR), .bytes(1), .error(EINTR), .bytes(3)],
    [.bytes(1), .bytes(1), .bytes(1)], Array(repeating: .error(EINTR), count: 1000),
    Array(repeating: .bytes(1), count: 100), [.bytes(99), .error(EINTR)],
  ]

  @Test(arguments: scripts.indices, [1, 7, 100, 1 << 30])
  func everyByteIsReadOnce(script: Int, limit: Int) throws {
    let content = (0..<100).map { UInt8($0) }
    for missing in [0, 1, 40, 100] {
      let file = Script(Self.scripts[script], file: Array(content.dropLast(missing)))
      var buffer = [UInt8](repeating: 255, count: 100)
      let count = try SystemCalls.transfer(byteCount: 100, limit: limit) { done, count in
        file.read(into: &buffer, done, count)
      }
      #expect(count == 100 - missing)
      #expect(Array(buffer[..<count]) == Array(content[..<count]))
      #expect(buffer[count...].allSatisfy { $0 == 255 })
      #expect(file.calls.allSatisfy { $0.count <= limit && $0.done + $0.count <= 100 })
    }
  }

  @Test(arguments: scripts.indices, [1, 7, 100, 1 << 30])
  func everyByteIsWrittenOnce(script: Int, limit: Int) throws {
    let content = (0..<100).map { UInt8($0) }
    let file = Script(Self.scripts[script], file: [UInt8](repeating: 255, count: 100))
    try SystemCalls.writeAll(byteCount: 100, limit: limit) { done, count in
      file.write(content, done, count)
    }
    #expect(file.file == content)
  }

  @Test(arguments: [EIO, ENOSPC, EAGAIN, EBADF, EFBIG, EDQUOT])
  func errorsInTheMiddleAreThrown(number: Int32) throws {
    for before in [[], [.bytes(5)], [.error(EINTR)], [.bytes(1), .error(EINTR)]] as [[Outcome]] {
      let file = Script(before + [.error(number)], file: [UInt8](repeating: 0, count: 100))
      #expect(throws: SystemError(number: number)) {
        _ = try SystemCalls.transfer(byteCount: 100, limit: 100) { done, count in
          file.write([UInt8](repeating: 1, count: 100), done, count)
        }
      }
      // Nothing is tried again but what was interrupted.
      #expect(file.calls.count == before.count + 1)
    }
  }

  /// A write that makes no progress is an error, not an endless loop.
  @Test func writingNothingIsAnError() {
    for before in [[], [.bytes(5)]] as [[Outcome]] {
      let file = Script(before + [.bytes(0)], file: [UInt8](repeating: 0, count: 100))
      #expect(throws: SystemError(number: EIO)) {
        try SystemCalls.writeAll(byteCount: 100, limit: 100) { done, count in
          file.write([UInt8](repeating: 1, count: 100), done, count)
        }
      }
    }
  }

  @Test func interruptionsAreNoErrors() throws {
    var left = 5
    let result = try SystemCalls.retrying {
      left -= 1
      errno = EINTR
      return left > 0 ? -1 : 42
    }
    #expect(result == 42 && left == 0)
    #expect(throws: SystemError(number: EIO)) {
      _ = try SystemCalls.retrying {
        errno = EIO
        return -1
      }
    }
    // `posix_fallocate` returns its error, and `errno` means nothing.
    left = 5
    try SystemCalls.retryingNumber {
      left -= 1
      errno = EIO
      return left > 0 ? EINTR : 0
    }
    #expect(left == 0)
    #expect(throws: SystemError(number: ENOSPC)) {
      try SystemCalls.retryingNumber { ENOSPC }
    }
  }

  /// A storm of signals, which interrupt what can be interrupted, while a file is used in all ways.
  @Test func signalsDisturbNothing() async throws {
    let folder = try TemporaryFolder()
    await #expect(processExitsWith: .success) { [path = folder.file() as String] in
      var action = sigaction()
      #if os(Linux)
        action.__sigaction_handler.sa_handler = { _ in }
      #else
        action.__sigaction_u.__sa_handler = { _ in }
      #endif
      // Without SA_RESTART.
      try #require(sigaction(SIGALRM, &action, nil) == 0)
      let interval = timeval(tv_sec: 0, tv_usec: 500)
      var timer = itimerval(it_interval: interval, it_value: interval)
      #if os(Linux)
        try #require(setitimer(__itimer_which_t(ITIMER_REAL.rawValue), &timer, nil) == 0)
      #else
        try #require(setitimer(ITIMER_REAL, &timer, nil) == 0)
      #endif
      let storage = try FileStorage.open(path: path, access: .createIfMissing)
      let bytes = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
      for round in 0..<60 {
        let start = round * bytes.count
        try storage.allocate(byteRange: start..<start + bytes.count)
        if round % 2 == 0 {
          try storage.write(bytes, at: start)
          try storage.synchronize()
        } else {
          try storage.writeDurably(bytes, at: start)
        }
        try #require(try storage.bytes(start..<start + bytes.count) == bytes)
      }
      try storage.truncate(to: 10)
      try #require(try storage.byteCount() == 10)
      storage.close()
    }
  }
}
