import Synchronization

extension Pager {
  /// Ends the use of the file: a last checkpoint that needs no log, then the tail is cut off.
  ///
  /// - Parameter compact: moves pages from the end of the file into holes before it, given the
  ///   number of pages that the file would have without holes; returns whether it moved any.
  package func close(compact: (Int) throws(PagerError) -> Bool) throws(PagerError) {
    guard !isClosed.exchange(true, ordering: .acquiringAndReleasing) else { return }
    background.stop(log: log)
    defer { storage.close() }
    guard !isReadOnly else { return }
    writerMutex.lock()
    defer { writerMutex.unlock() }
    try failureCell.check()
    checkpointMutex.lock()
    defer { checkpointMutex.unlock() }
    if let log { try log.waitUntilDurable(log.endLSN) }
    kept.endAllReservations()
    try writeCheckpoint(endingLog: log?.stop(), truncatingTo: nil)
    log?.unmapFinished()
    guard superblock.checkpoint > checkpointAtOpen else { return }
    try writeCheckpointIfValuesWait()
    allocator.preferLowPages()
    let usedPageCount = allocator.pageCount - allocator.freePageCount
    if try compact(usedPageCount) { try writeCheckpoint(endingLog: nil, truncatingTo: nil) }
    let end = allocator.truncatedPageCount
    if end < superblock.pageCount {
      try writeCheckpoint(endingLog: nil, truncatingTo: end)
      // To the length that the superblock speaks of: the checkpoint may have freed more.
      try allocator.truncate(to: end)
    }
    // Nobody needs the room of the log for now. The file is whole: closing does not fail because of this.
    _ = try? punchHoles(minimumByteCount: 1 << 20, minimumShare: 10)
    assert(Self.areNone(invariantViolations() + allocator.invariantViolations()))
  }

  /// Value bytes that were freed become free with the checkpoint after.
  private func writeCheckpointIfValuesWait() throws(PagerError) {
    if publishLatch.withLock({ !published.pointee.valuesToFree.isEmpty }) {
      try writeCheckpoint(endingLog: nil, truncatingTo: nil)
    }
  }

  /// Lets go of the file as a crash would: nothing more is written.
  ///
  /// For tests.
  package func abandon() {
    guard !isClosed.exchange(true, ordering: .acquiringAndReleasing) else { return }
    background.stop(log: log)
    storage.close()
  }
}

extension BackgroundWork {
  /// Tells the threads to end, the log's keeper among them.
  func stop(log: Log?) {
    log?.wakeKeeperToEnd()
    stop()
  }
}

extension Log {
  func wakeKeeperToEnd() {
    segmentLock.withLock {
      isStopping = true
      segmentLock.broadcast()
    }
  }
}
