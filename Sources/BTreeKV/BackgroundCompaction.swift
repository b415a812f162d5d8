internal import Pager

/// A compaction that runs in a thread of its own, now or later.
///
/// It does not keep the file open, and closing that ends it early, as `cancel()` does: what has moved
/// stays moved, and nothing is lost. So nobody has to wait for one.
public final class BackgroundCompaction: Sendable {
  private struct Progress: Sendable {
    /// Once it has come to its end.
    var result: Result<CompactionReport, PagerError>?
    var isCancelled = false
    /// Whether it is to run once more, for what was removed since it looked.
    var isWantedAgain = false
  }

  private let lock = ConditionLock()
  private let progress = Locked(Progress())
  /// The thread, until somebody has waited for its end.
  private let thread = Locked<BackgroundThread?>(nil)
  private let engine: Engine

  fileprivate init(_ engine: Engine) { self.engine = engine }

  /// Whether it has come to its end, for whatever reason.
  public var isFinished: Bool { progress.withLock { $0.result != nil } }

  /// Waits until it has come to its end.
  ///
  /// - Returns: what it came to; after `cancel()` and `close` what it had come to until then.
  /// - Throws: as `compact`; `.nestedTransaction` in a transaction, which it may be waiting for.
  public func wait() throws(DatabaseError) -> CompactionReport {
    try converting { () throws(PagerError) in
      try engine.pager.checkNotInTransaction()
      lock.lock()
      defer { lock.unlock() }
      while true {
        if let result = progress.withLock({ $0.result }) { return try result.get() }
        lock.wait()
      }
    }
  }

  /// Ends it with the step that is under way; it does not begin if it has not yet.
  ///
  /// This does not wait for it.
  public func cancel() {
    lock.withLock {
      progress.withLock { $0.isCancelled = true }
      lock.broadcast()
    }
  }

  private var isCancelled: Bool { progress.withLock { $0.isCancelled } }

  /// Makes sure that a compaction begins after this; false when this one is over, or cancelled.
  fileprivate func ask() -> Bool {
    progress.withLock { progress in
      guard progress.result == nil, !progress.isCancelled else { return false }
      progress.isWantedAgain = true
      return true
    }
  }

  fileprivate func start(after delay: Duration) throws(PagerError) {
    let end = SystemCalls.monotonicNanoseconds() + delay.nanoseconds
    let started = try BackgroundThread(name: "kv-compaction") {
      if self.sleep(until: end) {
        self.run()
      } else {
        self.progress.withLock { $0.result = .success(CompactionReport()) }
      }
      self.lock.withLock { self.lock.broadcast() }
    }
    thread.withLock { $0 = started }
  }

  /// Compacts until nobody has asked for it meanwhile.
  private func run() {
    var whole = CompactionReport()
    while true {
      progress.withLock { $0.isWantedAgain = false }
      do throws(PagerError) {
        let report = try engine.compact { _ in !self.isCancelled }
        if whole.byteCountBefore == 0 { whole.byteCountBefore = report.byteCountBefore }
        whole.byteCount = report.byteCount
        whole.movedValueCount += report.movedValueCount
      } catch {
        progress.withLock { $0.result = .failure(error) }
        return
      }
      let isOver = progress.withLock { progress in
        guard !progress.isWantedAgain || progress.isCancelled else { return false }
        progress.result = .success(whole)
        return true
      }
      if isOver { return }
    }
  }

  /// - Returns: false when it was cancelled meanwhile.
  private func sleep(until end: UInt64) -> Bool {
    lock.lock()
    defer { lock.unlock() }
    while !isCancelled {
      let now = SystemCalls.monotonicNanoseconds()
      if now >= end { return true }
      _ = lock.wait(timeoutNanoseconds: end - now)
    }
    return false
  }

  /// Cancels it and waits for its thread, after which it touches nothing any more.
  func end() {
    cancel()
    thread.withLock { thread in
      thread?.join()
      thread = nil
    }
  }
}

extension Database {
  /// Compacts the file as `compact` does, in a thread of its own.
  ///
  /// If one is waiting already, that one is returned, and one that is running then runs once more: so
  /// this may be called after each removal.
  ///
  /// ```swift
  /// try database.removeRange(KeyRange("a"..<"b"))
  /// let compaction = try database.compactInBackground(after: .seconds(5))
  /// // …
  /// compaction.cancel()
  /// let report = try compaction.wait()
  /// ```
  ///
  /// - Parameter delay: how long to wait before it begins, so that what is removed meanwhile is
  ///   compacted with the rest.
  /// - Returns: the compaction, to wait for it or to cancel it.
  /// - Throws: `.readOnly`, `.closed`, `.poisoned`, `.inputOutput` when there can't be a thread.
  @discardableResult
  public func compactInBackground(
    after delay: Duration = .zero
  ) throws(DatabaseError) -> BackgroundCompaction {
    try converting { () throws(PagerError) in
      try pager.checkWritable()
      let engine = engine
      return try engine.backgroundCompaction.withLock { (known) throws(PagerError) in
        if let known, known.ask() { return known }
        known?.end()
        known = nil
        let new = BackgroundCompaction(engine)
        try new.start(after: delay)
        known = new
        return new
      }
    }
  }
}

extension Engine {
  func endBackgroundCompaction() {
    backgroundCompaction.withLock { known in
      known?.end()
      known = nil
    }
  }
}

extension Duration {
  /// In nanoseconds, as far as these fit.
  fileprivate var nanoseconds: UInt64 {
    let (seconds, attoseconds) = components
    // A hundred years are as good as for ever.
    let bounded = Swift.min(Swift.max(0, seconds), 3_155_760_000)
    return UInt64(bounded) * 1_000_000_000 + UInt64(Swift.max(0, attoseconds) / 1_000_000_000)
  }
}
