import Synchronization

/// The threads that work beside the callers: the checkpointer, the keeper of log segments and,
/// under `.flush`, the one that syncs now and then.
///
/// Why `@unchecked Sendable`: the stored state is behind `lock`.
final class BackgroundWork: @unchecked Sendable {
  let lock = ConditionLock()
  private var threads: [BackgroundThread] = []
  private var wantsCheckpoint = false
  private var isStopping = false
  /// Grows with each attempt at a checkpoint, good or bad.
  private var attempts = 0
  private var lastError: PagerError?

  func start(_ name: String, _ body: @escaping @Sendable () -> Void) throws(PagerError) {
    let thread = try BackgroundThread(name: name, body: body)
    lock.withLock { threads.append(thread) }
  }

  /// Asks for a checkpoint soon.
  func requestCheckpoint() {
    lock.withLock {
      guard !wantsCheckpoint else { return }
      wantsCheckpoint = true
      lock.broadcast()
    }
  }

  /// Waits for a request; false when it is time to end.
  func waitForRequest() -> Bool {
    lock.lock()
    defer { lock.unlock() }
    while !wantsCheckpoint, !isStopping { lock.wait() }
    return !isStopping
  }

  /// Notes how an attempt ended, and wakes the writers that wait for it.
  func finishedAttempt(_ error: PagerError?) {
    lock.withLock {
      wantsCheckpoint = false
      attempts += 1
      lastError = error
      lock.broadcast()
    }
  }

  /// Waits for the next attempt to end.
  func waitForAttempt() throws(PagerError) {
    lock.lock()
    let seen = attempts
    wantsCheckpoint = true
    lock.broadcast()
    while attempts == seen, !isStopping { lock.wait() }
    let error = lastError
    lock.unlock()
    if let error { throw error }
  }

  /// Sleeps for an interval; false when it is time to end.
  func sleep(milliseconds: Int) -> Bool {
    lock.lock()
    defer { lock.unlock() }
    let end = SystemCalls.monotonicNanoseconds() + UInt64(milliseconds) * 1_000_000
    while !isStopping {
      let now = SystemCalls.monotonicNanoseconds()
      if now >= end { return true }
      _ = lock.wait(timeoutNanoseconds: end - now)
    }
    return false
  }

  var mustStop: Bool { lock.withLock { isStopping } }

  /// Tells the threads to end and waits for them.
  func stop() {
    let running: [BackgroundThread] = lock.withLock {
      isStopping = true
      lock.broadcast()
      let running = threads
      threads = []
      return running
    }
    for thread in running { thread.join() }
  }
}

extension Pager {
  /// Starts the threads of a file that is open for writing.
  func startBackgroundThreads() throws(PagerError) {
    guard options.hasBackgroundThreads, !isReadOnly else { return }
    // The threads do not keep the pager alive: `close`, or else `deinit`, waits for their end. (A
    // weak reference would make every retain of the pager a slow one.)
    let work = background
    let pager = Unmanaged.passUnretained(self)
    try work.start("kv-checkpoint") {
      while work.waitForRequest() {
        do throws(PagerError) {
          try pager.takeUnretainedValue().checkpoint()
          work.finishedAttempt(nil)
        } catch {
          work.finishedAttempt(error)
        }
      }
    }
    guard let log else { return }
    try work.start("kv-log") {
      while log.waitForKeeping() {
        log.prepareAhead()
        log.unmapFinished()
      }
    }
    if options.durability == .flush {
      let interval = options.flushIntervalMilliseconds
      try work.start("kv-flush") {
        while work.sleep(milliseconds: interval) {
          // A failure is kept by the log and met by the next writer.
          try? log.waitUntilDurable(log.endLSN)
        }
      }
    }
  }
}

extension Pager {
  /// Runs `body` again and again in a thread of its own, until the file is closed.
  package func repeatInBackground(
    _ name: String, everyMilliseconds interval: Int, _ body: @escaping @Sendable () -> Void
  ) throws(PagerError) {
    guard options.hasBackgroundThreads else { return }
    let work = background
    try work.start(name) {
      while work.sleep(milliseconds: interval) { body() }
    }
  }
}

extension Log {
  /// Waits until a segment is to be prepared or memory given up; false when the log is stopping.
  func waitForKeeping() -> Bool {
    segmentLock.lock()
    defer { segmentLock.unlock() }
    while !isStopping {
      let wantsNext = next == nil && !isPreparing && !live.isEmpty && keeperMayTry
      if wantsNext || !toUnmap.isEmpty { return true }
      // Finished buffers can go once they are durable, which nobody announces.
      if live.dropLast().contains(where: { $0.memory != nil }) {
        _ = segmentLock.wait(timeoutNanoseconds: 10_000_000)
        return !isStopping
      }
      segmentLock.wait()
    }
    return false
  }
}
