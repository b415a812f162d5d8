public import Synchronization

// A checkpoint writes the pages of one instant, the cut, to places that the checkpoint before does
// not use, and then makes a superblock point to them.

extension Pager {
  /// What a cut captures.
  private struct Cut {
    var epoch: Epoch
    var root = TreeRoot.empty
    /// Whether the table of named trees must be written anew.
    var hasChangedTrees: Bool
    var dirty: [PageID]
    var changes: [SpaceChange]
    var values: [Extent]
    var log: LogStart?
    var logEnd: LogSequenceNumber
  }

  /// Writes a checkpoint of what is published now, if anything changed since the last one.
  ///
  /// Writers and readers go on meanwhile.
  ///
  /// - Throws: after `.diskFull` nothing is lost and a later checkpoint may succeed; after any
  ///   other error writes are refused.
  package func checkpoint() throws(PagerError) {
    checkpointMutex.lock()
    defer { checkpointMutex.unlock() }
    try failureCell.check()
    try writeCheckpoint(endingLog: nil, truncatingTo: nil)
  }

  /// Goes on in a new log segment, if it finds a place further in front or is shorter; the next
  /// checkpoint frees the one before.
  ///
  /// Writer mutex held.
  ///
  /// - Returns: whether it did. One that is shorter may lie further behind: then it moves again when the
  ///   one before is free.
  package func moveLog() throws(PagerError) -> Bool {
    guard let log, log.isStarted else { return false }
    log.dropPrepared(startsSmall: true)
    defer { log.dropPrepared(startsSmall: false) }
    do throws(PagerError) {
      guard try log.nextMovesForwards() else { return false }
      try reserveLogSlowly(body: 256)
      return true
    } catch {
      guard error.code == .diskFull else { throw error }
      return false
    }
  }

  /// Cuts off the end of the file as far as nobody uses it.
  ///
  /// Writers and readers go on meanwhile. After a crash in it the file is as long as before, or as
  /// it should be.
  ///
  /// - Throws: as `checkpoint`.
  package func truncate() throws(PagerError) {
    checkpointMutex.lock()
    defer { checkpointMutex.unlock() }
    try failureCell.check()
    guard allocator.retract() else { return }
    try writeCheckpoint(endingLog: nil, truncatingTo: nil, isForced: true)
    // The file is never shorter than either superblock says.
    try poisoning { () throws(PagerError) in try allocator.cutFile() }
  }

  /// Writes a checkpoint.
  ///
  /// Checkpoint mutex held.
  ///
  /// - Parameters:
  ///   - endedLog: a log that ended, at close; the new superblock then names none.
  ///   - pageCount: the file's new length when it is to be cut.
  ///   - isForced: whether it is written although nothing has changed.
  func writeCheckpoint(
    endingLog endedLog: EndedLog?, truncatingTo pageCount: Int?, isForced: Bool = false
  ) throws(PagerError) {
    let isForced =
      isForced || endedLog?.all.isEmpty == false || pageCount != nil
      || superblock.log != nil && log == nil
    guard let cut = takeCut(endedLog: endedLog, isForced: isForced) else { return }
    do throws(PagerError) {
      try writeOut(cut, truncatingTo: pageCount)
    } catch {
      abandon(cut)
      if error.code != .diskFull { failureCell.set(error) }
      throw error
    }
    let oldPin = durablePin
    durablePin = cut.epoch
    releasePin(oldPin)
    for extent in cut.values { try kept.free(extent) }
    if let log, let start = cut.log {
      for extent in log.retire(before: start) { try log.recycle(extent) }
    }
    for extent in endedLog?.all ?? [] { try allocator.free(extent) }
    try settle(limit: .max)
    // What is free stays free for long when it is more than what is in use. The checkpoint is done:
    // it does not fail because this does, which changes nothing but pages that nobody uses.
    _ = try? punchHoles(minimumByteCount: 1 << 20, minimumShare: 100)
    assert(holdsInvariantsAfterCheckpoint())
  }

  /// Gives long runs of free pages back to the file system, so that the file takes less room although it
  /// is as long as before.
  ///
  /// - Parameters:
  ///   - minimumByteCount: how long a run must be, in bytes.
  ///   - minimumShare: how many pages must be free for that, in percent of those in use.
  /// - Returns: how many bytes were given back.
  package func punchHoles(
    minimumByteCount: Int, minimumShare: Int = 0
  ) throws(PagerError) -> Int {
    if storage.isReadOnly { return 0 }
    let count = try allocator.punchHoles(
      minimumPageCount: minimumByteCount / pageByteCount, minimumShare: minimumShare)
    return count * pageByteCount
  }

  private func takeCut(endedLog: EndedLog?, isForced: Bool) -> Cut? {
    publishLatch.lock()
    defer { publishLatch.unlock() }
    guard
      isForced || published.pointee.mutationCount > 0
        || published.pointee.isChangedSinceCheckpoint || !published.pointee.valuesToFree.isEmpty
    else { return nil }
    var cut = Cut(
      epoch: takePinLocked(), hasChangedTrees: published.pointee.hasChangedTrees, dirty: [],
      changes: [], values: [], log: log?.cut(), logEnd: log?.endLSN ?? superblock.logEnd)
    cut.root = mainTree.root(at: cut.epoch)
    published.pointee.hasChangedTrees = false
    published.pointee.cutCount += 1
    for extent in endedLog?.inMap ?? [] {
      published.pointee.spaceChanges.append(SpaceChange(extent: extent, isUsed: false))
    }
    // Segments that replay from this cut does not need are not part of it (rule A3).
    if let log, let start = cut.log {
      for extent in log.segmentsLeaving(before: start) {
        published.pointee.spaceChanges.append(SpaceChange(extent: extent, isUsed: false))
      }
    }
    swap(&cut.dirty, &published.pointee.dirtyPages)
    swap(&cut.changes, &published.pointee.spaceChanges)
    swap(&cut.values, &published.pointee.valuesToFree)
    published.pointee.mutationCount = 0
    mutationHint.store(0, ordering: .relaxed)
    published.pointee.isChangedSinceCheckpoint = false
    setLogLimit(from: cut.logEnd)
    return cut
  }

  /// Puts back what a failed checkpoint took.
  private func abandon(_ cut: Cut) {
    releasePin(cut.epoch)
    publishLatch.withLock {
      published.pointee.dirtyPages.append(contentsOf: cut.dirty)
      published.pointee.valuesToFree.append(contentsOf: cut.values)
      published.pointee.isChangedSinceCheckpoint = true
      published.pointee.hasChangedTrees = published.pointee.hasChangedTrees || cut.hasChangedTrees
    }
  }

  private func writeOut(_ cut: Cut, truncatingTo pageCount: Int?) throws(PagerError) {
    // First of all, since a cut's changes come only once: whatever fails below, the map has them.
    try freeMap.apply(
      cut.changes, pageCount: pageCount ?? allocator.pageCount, limit: allocator.highestPageCount)
    let oldTable = superblock.treeTable
    let table = cut.hasChangedTrees ? try writeTreeTable(at: cut.epoch) : oldTable
    do throws(PagerError) {
      // The file may have been extended for the table: only now its length is known.
      try writeOut(cut, table: table, pageCount: pageCount ?? allocator.pageCount)
    } catch {
      if table != oldTable {
        // The map has noted both already.
        publishLatch.withLock {
          if let table {
            published.pointee.spaceChanges.append(
              SpaceChange(extent: table.extent, isUsed: false))
          }
          if let oldTable {
            published.pointee.spaceChanges.append(
              SpaceChange(extent: oldTable.extent, isUsed: true))
          }
        }
        if let table { try allocator.free(table.extent) }
      }
      throw error
    }
    if table != oldTable, let oldTable { try allocator.free(oldTable.extent) }
  }

  private func writeOut(
    _ cut: Cut, table: TreeTable.Location?, pageCount: Int
  ) throws(PagerError) {
    var changes: [SpaceChange] = []
    if table != superblock.treeTable {
      if let old = superblock.treeTable {
        changes.append(SpaceChange(extent: old.extent, isUsed: false))
      }
      if let table { changes.append(SpaceChange(extent: table.extent, isUsed: true)) }
    }
    try freeMap.apply(changes, pageCount: pageCount, limit: allocator.highestPageCount)
    try writePages(cut.dirty)
    // Nothing of the log before the cut may be written any more once its segments are reused.
    if let log { try log.waitUntilDurable(cut.logEnd) }
    let digest = try freeMap.writeChanges(checkpoint: superblock.checkpoint + 1, to: storage)
    try poisoning { () throws(PagerError) in try storage.synchronize() }

    var next = superblock
    next.checkpoint += 1
    next.epoch = cut.epoch
    next.pageCount = pageCount
    next.root = cut.root
    next.treeTable = table
    next.mapDigest = digest
    next.log = cut.log
    next.logEnd = cut.logEnd
    try poisoning { () throws(PagerError) in try writeSuperblocks(next) }
    superblock = next
    freeMap.commit()
  }

  /// Runs what leaves unknown what is on the medium when it fails, whatever with: pages that were
  /// written may be lost, or the superblock may be there although the checkpoint is taken back.
  package func poisoning(_ body: () throws(PagerError) -> Void) throws(PagerError) {
    do throws(PagerError) {
      try body()
    } catch {
      failureCell.setWhatever(error)
      throw error
    }
  }

  /// Writes both superblocks, one after the other: see `Superblock`.
  func writeSuperblocks(_ block: Superblock) throws(PagerError) {
    for slot in [block.checkpoint & 1, 1 - block.checkpoint & 1] {
      let bytes = block.encoded()
      let offset = Int(slot) * pageByteCount
      let failure: PagerError? = bytes.withUnsafeBytes { raw in
        do throws(PagerError) {
          try storage.writeDurably(raw, at: offset)
          return nil
        } catch {
          return error
        }
      }
      if let failure { throw failure }
    }
  }

  /// Writes the dirty pages of a cut, in small durable pieces while committers wait for the
  /// device, so that none of them waits behind a long write (rule B6).
  private func writePages(_ dirty: [PageID]) throws(PagerError) {
    var pages = dirty
    pages.sort()
    var start = 0
    let step = 256
    while start < pages.count {
      var end = min(start + step, pages.count)
      // The same page may be there twice; it must not be split over two rounds unsorted.
      while end < pages.count, pages[end] == pages[end - 1] { end += 1 }
      let isBusy =
        options.durability == .sync && (log?.waiterCount.load(ordering: .relaxed) ?? 0) > 0
      try pool.writeBack(
        pages[start..<end], waiting: true, limitBytes: 128 << 10, durably: isBusy)
      start = end
    }
  }

  /// The soft limit of the log in mutations; that in bytes is an option.
  ///
  /// Writers wait at four times as much, so that a restart replays a few seconds of work at most
  /// (rule B8).
  @usableFromInline static var softMutationLimit: Int { 250_000 }

  func setLogLimit(from cut: LogSequenceNumber) {
    logLimit.store(
      cut.rawValue &+ UInt64(options.checkpointThresholdByteCount), ordering: .relaxed)
  }

  /// Asks for a checkpoint when enough has been written since the last one, and slows writers
  /// down that are faster than checkpoints.
  ///
  /// Called holding nothing.
  @inlinable public func throttleIfNeeded() throws(PagerError) {
    guard let log else { return }
    if log.end.load(ordering: .relaxed) < logLimit.load(ordering: .relaxed),
      mutationHint.load(ordering: .relaxed) < Self.softMutationLimit
    {
      return
    }
    try throttle()
  }

  @usableFromInline @inline(never) func throttle() throws(PagerError) {
    guard let log, options.hasBackgroundThreads else { return }
    let soft = UInt64(options.checkpointThresholdByteCount)
    let limit = logLimit.load(ordering: .relaxed)
    let bytes = log.endLSN.rawValue &- (limit &- soft)
    let share = max(
      Double(bytes) / Double(soft),
      Double(mutationHint.load(ordering: .relaxed)) / Double(Self.softMutationLimit))
    background.requestCheckpoint()
    if share >= 4 {
      try background.waitForAttempt()
    } else if share >= 2 {
      SystemCalls.sleep(nanoseconds: 2_000)
    }
  }
}
