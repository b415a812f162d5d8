internal import Synchronization

// A transaction pins its start and works on roots of its own: everything that was there is copied
// before it is changed, what it made itself is changed in place. Its commit publishes all roots and
// appends one log record, in one step. A savepoint is one more pin, inside it.

extension Pager {
  // MARK: Whose turn it is

  /// Throws when the calling thread is inside a transaction of this file: waiting for it would
  /// never end.
  package func checkNotInTransaction() throws(PagerError) {
    let thread = transactionThread.load(ordering: .relaxed)
    if thread != 0, thread == SystemCalls.currentThread {
      throw PagerError(
        .nestedTransaction,
        "a transaction of this thread is under way: make the change through that transaction",
        path: storage.path)
    }
  }

  /// Whether a transaction is under way; for the writer.
  package var isInTransaction: Bool { transaction.pointee.isOpen }

  // MARK: Beginning and ending

  /// Begins a transaction.
  ///
  /// Writer mutex held, until it is committed or rolled back.
  package func beginTransaction() {
    publishLatch.withLock {
      let pin = takePinLocked()
      published.pointee.committedPin = pin
      transaction.pointee.isOpen = true
      transaction.pointee.birth = published.pointee.epoch
      transaction.pointee.dirtyPageCount = published.pointee.dirtyPages.count
      transaction.pointee.cutCount = published.pointee.cutCount
      transaction.pointee.levels.append(OpenTransaction.Level(pin: pin))
    }
    transactionThread.store(SystemCalls.currentThread, ordering: .relaxed)
  }

  /// What the transaction made after this, it changes in place; for the writer.
  package var youngestPinOfTransaction: Epoch {
    transaction.pointee.levels[transaction.pointee.levels.count - 1].pin
  }

  /// The epoch in which the transaction's new pages are born; for the writer.
  package var epochOfTransaction: Epoch { transaction.pointee.birth }

  /// Makes a tree part of the transaction, before its first change.
  package func touch(_ tree: TreeDescriptor) {
    if tree.state.pointee.isTouched { return }
    tree.state.pointee.working = tree.state.pointee.root
    tree.state.pointee.isTouched = true
    transaction.pointee.touched.append(tree)
  }

  /// Makes sure that there will be room for a log entry, as far as one is needed.
  package func reserveInTransaction(entryByteCount: Int) {
    if log != nil { transaction.pointee.log.reserve(entryByteCount) }
  }

  /// Gives up logging the transaction: it is to be committed by a checkpoint.
  package func commitTransactionByCheckpoint() { transaction.pointee.log.giveUp() }

  /// Runs what users gave while the writer mutex is held, so that their calls which would wait for
  /// it throw.
  package func callingOut<R>(_ body: () -> R) -> R {
    let before = transactionThread.load(ordering: .relaxed)
    transactionThread.store(SystemCalls.currentThread, ordering: .relaxed)
    defer { transactionThread.store(before, ordering: .relaxed) }
    return body()
  }

  /// Counts a mutation of the transaction and gives room for its log entry.
  ///
  /// - Returns: where to write the entry, for which room was reserved, or nil when it isn't needed.
  package func noteInTransaction(entryByteCount: Int) -> UnsafeMutableRawPointer? {
    transaction.pointee.operationCount += 1
    return log == nil ? nil : transaction.pointee.log.room(entryByteCount)
  }

  /// Notes that the transaction wrote value bytes: beyond `unsyncedLimit` and a margin they are synced
  /// before the log names them.
  package func noteUnsyncedValues(_ byteCount: Int) {
    transaction.pointee.unsyncedByteCount += byteCount
  }

  /// How many value bytes a record may name that are not on the medium (rule B5): a restart must read
  /// them all to know whether they are whole.
  package static var unsyncedLimit: Int { 1 << 20 }

  /// What a transaction may write besides: so that an entry or an append of as many bytes, with what goes with
  /// it, is not synced by itself.
  private static var unsyncedMargin: Int { 64 << 10 }

  /// Notes that a tree is gone once the transaction is committed.
  package func noteDropped(_ tree: TreeDescriptor) {
    tree.state.pointee.isGone = true
    transaction.pointee.dropped.append(tree)
  }

  /// Makes the transaction's changes visible, all at once, and logs them.
  ///
  /// Writer mutex held. The caller still has to wait for durability.
  ///
  /// - Throws: when it could not be logged; then the transaction is still open, to be rolled back.
  ///   But for `.outcomeUnknown`: then it is published, and nothing can be written before a
  ///   checkpoint has made it durable.
  package func commitTransaction() throws(PagerError) {
    guard transaction.pointee.operationCount > 0 else { return rollBackTransaction() }
    // What failed since it began may be what it stands on (rule C7).
    try failureCell.check()
    let isLogged = log != nil && !transaction.pointee.log.isTooLong
    if let log {
      if transaction.pointee.unsyncedByteCount > Self.unsyncedLimit + Self.unsyncedMargin {
        try poisoning { () throws(PagerError) in try storage.synchronize() }
      } else if transaction.pointee.unsyncedByteCount > 0 {
        // Not before all bytes are written: a sync of somebody else's may take the note along.
        log.noteUnsyncedValues()
      }
      if isLogged { try reserveLog(body: transaction.pointee.log.byteCount) }
    }
    publishTransaction(isLogged: isLogged)
    guard log != nil, !isLogged else { return }
    // Nobody else can write before the checkpoint is durable, since the writer mutex is held: so no
    // record in the log stands on what it does not have.
    owesCheckpoint.store(true, ordering: .relaxed)
    do throws(PagerError) {
      try payCheckpoint()
    } catch {
      throw PagerError(
        .outcomeUnknown,
        "the checkpoint that commits a large transaction failed (\(error.message)): it is visible, "
          + "but not durable before a checkpoint succeeds, and until then nothing can be written",
        path: storage.path, systemError: error.systemError)
    }
  }

  /// Whether a large transaction was committed that is not durable before a checkpoint succeeds.
  package var isCheckpointOwed: Bool { owesCheckpoint.load(ordering: .relaxed) }

  /// Makes the checkpoint that a large transaction still waits for, before anything else is logged.
  ///
  /// Writer mutex held. A full disk can be tried again, any other failure has poisoned the file.
  package func payCheckpoint() throws(PagerError) {
    guard owesCheckpoint.load(ordering: .relaxed) else { return }
    try checkpoint()
    owesCheckpoint.store(false, ordering: .relaxed)
  }

  private func publishTransaction(isLogged: Bool) {
    // The body is in place before anybody else has to wait; the record counts once it is sealed.
    if isLogged, let log {
      let body = transaction.pointee.log.body
      if let from = body.baseAddress {
        log.beginRecord().copyMemory(from: from, byteCount: body.count)
      }
    }
    publishLatch.lock()
    if isLogged, let log { log.endRecord(body: transaction.pointee.log.byteCount) }
    for level in transaction.pointee.levels.reversed() {
      published.pointee.committedPin = nil
      releasePinLocked(level.pin)
      for page in transaction.pointee.takeOwned(level.made) {
        published.pointee.spaceChanges.append(
          SpaceChange(extent: Extent(first: page, pageCount: 1), isUsed: true))
      }
      for extent in level.madeValues {
        published.pointee.spaceChanges.append(SpaceChange(extent: extent, isUsed: true))
      }
    }
    for tree in transaction.pointee.touched {
      tree.state.pointee.isTouched = false
      publish(tree, root: tree.state.pointee.working)
    }
    for tree in transaction.pointee.dropped { tree.isDropped = true }
    for entry in transaction.pointee.unlinked {
      published.pointee.spaceChanges.append(SpaceChange(extent: entry.extent, isUsed: false))
    }
    published.pointee.pins.adopt(transaction.pointee.unlinked)
    published.pointee.mutationCount += transaction.pointee.operationCount
    mutationHint.store(published.pointee.mutationCount, ordering: .relaxed)
    orphansWait.store(!published.pointee.pins.orphans.isEmpty, ordering: .relaxed)
    publishLatch.unlock()
    forgetTransaction()
  }

  /// Undoes everything that the transaction did.
  package func rollBackTransaction() {
    while transaction.pointee.levels.count > 1 { rollBackSavepoint() }
    let level = transaction.pointee.levels[0]
    for tree in transaction.pointee.touched { tree.state.pointee.isTouched = false }
    for tree in transaction.pointee.dropped { tree.state.pointee.isGone = false }
    publishLatch.withLock {
      published.pointee.committedPin = nil
      releasePinLocked(level.pin)
      // Only pages of its own were made dirty meanwhile, and these are gone; unless a cut took the
      // list, it need not grow with transactions that come to nothing.
      if published.pointee.cutCount == transaction.pointee.cutCount {
        published.pointee.dirtyPages.removeLast(
          published.pointee.dirtyPages.count - transaction.pointee.dirtyPageCount)
      }
    }
    forgetTransaction()
    giveBack(level)
  }

  private func forgetTransaction() {
    transactionThread.store(0, ordering: .relaxed)
    transaction.pointee.isOpen = false
    transaction.pointee.levels.removeAll(keepingCapacity: true)
    transaction.pointee.touched.removeAll(keepingCapacity: true)
    transaction.pointee.unlinked.removeAll()
    transaction.pointee.dropped.removeAll()
    transaction.pointee.log.removeAll()
    transaction.pointee.operationCount = 0
    transaction.pointee.unsyncedByteCount = 0
  }

  /// Frees what a level made: nobody else ever saw it.
  private func giveBack(_ level: OpenTransaction.Level) {
    for page in transaction.pointee.takeOwned(level.made) {
      pool.discard(page)
      // What was made can't fail to be given back.
      try? allocator.free(Extent(first: page, pageCount: 1))
    }
    // Not at once, if it was written ahead and may be wanted again.
    for extent in level.madeValues { try? kept.free(extent) }
  }

  // MARK: Savepoints

  /// Begins a savepoint: what comes from now on can be undone alone.
  package func beginSavepoint() {
    publishLatch.withLock {
      let pin = published.pointee.epoch
      published.pointee.pins.add(pin)
      published.pointee.youngestPin = pin
      published.pointee.epoch = Epoch(pin.rawValue + 1)
      transaction.pointee.birth = published.pointee.epoch
      transaction.pointee.levels.append(
        OpenTransaction.Level(
          pin: pin, unlinkedCount: transaction.pointee.unlinked.count,
          logByteCount: transaction.pointee.log.byteCount,
          operationCount: transaction.pointee.operationCount,
          droppedCount: transaction.pointee.dropped.count,
          roots: transaction.pointee.touched.map { $0.state.pointee.working }))
    }
    assert(holdsInvariants(every: 8))
  }

  /// Ends the last savepoint and keeps what was done in it.
  package func endSavepoint() {
    guard let level = transaction.pointee.levels.popLast() else { return }
    let last = transaction.pointee.levels.count - 1
    transaction.pointee.levels[last].made.append(contentsOf: level.made)
    transaction.pointee.levels[last].madeValues.append(contentsOf: level.madeValues)
    releaseSavepoint(level.pin)
    assert(holdsInvariants(every: 8))
  }

  /// Ends the last savepoint and undoes what was done in it.
  package func rollBackSavepoint() {
    guard let level = transaction.pointee.levels.popLast() else { return }
    for (index, tree) in transaction.pointee.touched.enumerated() {
      if index < level.roots.count {
        tree.state.pointee.working = level.roots[index]
      } else {
        tree.state.pointee.isTouched = false
      }
    }
    transaction.pointee.touched.removeLast(
      transaction.pointee.touched.count - level.roots.count)
    transaction.pointee.unlinked.removeLast(
      transaction.pointee.unlinked.count - level.unlinkedCount)
    while transaction.pointee.dropped.count > level.droppedCount {
      transaction.pointee.dropped.removeLast().state.pointee.isGone = false
    }
    transaction.pointee.log.truncate(to: level.logByteCount)
    transaction.pointee.operationCount = level.operationCount
    releaseSavepoint(level.pin)
    giveBack(level)
    assert(holdsInvariants(every: 8))
  }

  private func releaseSavepoint(_ pin: Epoch) {
    publishLatch.withLock {
      published.pointee.pins.release(pin)
      published.pointee.youngestPin = published.pointee.pins.youngest
      orphansWait.store(!published.pointee.pins.orphans.isEmpty, ordering: .relaxed)
    }
  }
}
