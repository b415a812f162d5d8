public import Synchronization

// What the layer above calls while it changes the tree, and how anybody pins what is there.

extension Pager {
  /// Throws when the file may not be changed (any more).
  package func checkWritable() throws(PagerError) {
    if isClosed.load(ordering: .relaxed) {
      throw PagerError(.closed, "the database is closed", path: storage.path)
    }
    if isReadOnly {
      throw PagerError(.readOnly, "the database is open for reading only", path: storage.path)
    }
    try failureCell.check()
  }

  /// Throws when the file is closed.
  package func checkOpen() throws(PagerError) {
    if isClosed.load(ordering: .relaxed) {
      throw PagerError(.closed, "the database is closed", path: storage.path)
    }
  }

  /// Makes sure that a record with such a body can be appended.
  ///
  /// Writer mutex held, no latch but page latches.
  @inlinable public func reserveLog(body: Int) throws(PagerError) {
    guard let log else { return }
    if log.hasRoom(body: body) { return }
    try reserveLogSlowly(body: body)
  }

  @usableFromInline @inline(never) func reserveLogSlowly(body: Int) throws(PagerError) {
    guard let log else { return }
    if let error = log.failure {
      failureCell.set(error)
      try failureCell.check()
    }
    try log.advance(body: body, latch: publishLatch) { extent in
      published.pointee.spaceChanges.append(SpaceChange(extent: extent, isUsed: true))
      published.pointee.isChangedSinceCheckpoint = true
    }
  }

  /// Starts the log if it is not: its first segment is in force once a superblock names it.
  ///
  /// Writer mutex held, no latch.
  package func startLog() throws(PagerError) {
    guard let log, !log.isStarted else { return }
    try reserveLogSlowly(body: 256)
    do throws(PagerError) {
      try checkpoint()
    } catch {
      for extent in log.abandonStart() {
        publishLatch.withLock {
          published.pointee.spaceChanges.append(SpaceChange(extent: extent, isUsed: false))
        }
        try allocator.free(extent)
      }
      throw error
    }
  }

  // MARK: With the publish latch held

  /// Sets the root and count of a tree after a mutation.
  @inlinable public func publish(_ tree: TreeDescriptor, root: TreeRoot) {
    if tree.state.pointee.isTouched {
      tree.state.pointee.working = root
      return
    }
    if tree.state.pointee.changed < published.pointee.epoch { tree.keepHistory(published) }
    tree.state.pointee.root = root
    tree.rootEpoch.store(root.page.epoch.rawValue, ordering: .relaxed)
    tree.rootWord.store(TreeDescriptor.word(root), ordering: .releasing)
    tree.entryCount.store(root.count, ordering: .relaxed)
    notePublished()
  }

  /// Sets the count of a tree after a mutation that leaves the root where it is.
  @inlinable public func publish(_ tree: TreeDescriptor, countChange: Int) {
    if tree.state.pointee.isTouched {
      tree.state.pointee.working.count &+= countChange
      return
    }
    if tree.state.pointee.changed < published.pointee.epoch { tree.keepHistory(published) }
    let count = tree.state.pointee.root.count &+ countChange
    tree.state.pointee.root.count = count
    tree.entryCount.store(count, ordering: .relaxed)
    notePublished()
  }

  @inlinable func notePublished() {
    published.pointee.isChangedSincePin = true
    published.pointee.mutationCount &+= 1
    mutationHint.store(published.pointee.mutationCount, ordering: .relaxed)
  }

  /// Notes a page that is part of the tree from now on.
  package func link(_ page: PageID) {
    if transaction.pointee.isOpen {
      transaction.pointee.link(page)
      return
    }
    published.pointee.spaceChanges.append(
      SpaceChange(extent: Extent(first: page, pageCount: 1), isUsed: true))
  }

  /// Notes a page that was settled by `PagePool.settle(relocated:)`, so is dirty already.
  package func link(relocated page: PageID) {
    link(page)
    published.pointee.dirtyPages.append(page)
  }

  /// Notes value bytes that the tree refers to from now on.
  package func link(_ extent: Extent) {
    if transaction.pointee.isOpen {
      transaction.pointee.levels[transaction.pointee.levels.count - 1].madeValues.append(extent)
      return
    }
    published.pointee.spaceChanges.append(SpaceChange(extent: extent, isUsed: true))
  }

  /// Notes that a page of the tree differs from the disk; the caller holds it exclusively.
  @inlinable public func noteDirty(_ page: PageID) {
    if pool.markDirty(page) { appendDirty(page) }
  }

  @usableFromInline func appendDirty(_ page: PageID) { published.pointee.dirtyPages.append(page) }

  /// Notes a page that the tree no longer refers to.
  ///
  /// - Returns: whether it is free at once: then the caller discards and frees it once it has
  ///   given back the publish latch.
  package func unlink(_ page: PageReference) -> Bool {
    let extent = Extent(first: page.id, pageCount: 1)
    let entry = Unlinked(
      extent: extent, birth: page.epoch, death: published.pointee.epoch, isValue: false)
    if transaction.pointee.isOpen { return transaction.pointee.unlink(entry) }
    published.pointee.spaceChanges.append(SpaceChange(extent: extent, isUsed: false))
    return published.pointee.pins.unlink(entry)
  }

  /// Notes value bytes that the tree no longer refers to.
  package func unlink(value extent: Extent, birth: Epoch) {
    let entry = Unlinked(
      extent: extent, birth: birth, death: published.pointee.epoch, isValue: true)
    if transaction.pointee.isOpen {
      transaction.pointee.unlinked.append(entry)
      return
    }
    published.pointee.spaceChanges.append(SpaceChange(extent: extent, isUsed: false))
    if published.pointee.pins.unlink(entry) { published.pointee.valuesToFree.append(extent) }
  }

  // MARK: Pins

  /// Pins what is there now, in all trees, until `releasePin`.
  package func takePin() -> Epoch { publishLatch.withLock { takePinLocked() } }

  func takePinLocked() -> Epoch {
    if let pin = published.pointee.committedPin {
      // What the transaction under way has done is nobody else's to see.
      published.pointee.pins.share(pin)
      return pin
    }
    if !published.pointee.isChangedSincePin {
      published.pointee.pins.shareYoungest()
      return published.pointee.youngestPin
    }
    let epoch = published.pointee.epoch
    published.pointee.pins.add(epoch)
    published.pointee.youngestPin = epoch
    published.pointee.epoch = Epoch(epoch.rawValue + 1)
    published.pointee.isChangedSincePin = false
    return epoch
  }

  /// Lets go of a pin.
  ///
  /// What it kept is moved on later, a bit an operation.
  package func releasePin(_ epoch: Epoch) { publishLatch.withLock { releasePinLocked(epoch) } }

  func releasePinLocked(_ epoch: Epoch) {
    published.pointee.pins.release(epoch)
    orphansWait.store(!published.pointee.pins.orphans.isEmpty, ordering: .relaxed)
    let youngest = published.pointee.pins.youngest
    if youngest != published.pointee.youngestPin {
      published.pointee.youngestPin = youngest
      // A change after an older pin may lie before the one that went.
      published.pointee.isChangedSincePin = true
    }
  }

  /// Whether anything waits to be moved on after a pin went.
  package var hasOrphans: Bool { orphansWait.load(ordering: .relaxed) }

  /// Moves on some of what waited with pins that are gone, and frees what nobody sees any more.
  package func settle(limit: Int) throws(PagerError) {
    while true {
      let free: [Unlinked]? = publishLatch.withLock {
        guard !published.pointee.pins.orphans.isEmpty else { return nil }
        let free = published.pointee.pins.settle(limit: min(limit, 64))
        orphansWait.store(!published.pointee.pins.orphans.isEmpty, ordering: .relaxed)
        for entry in free where entry.isValue {
          published.pointee.valuesToFree.append(entry.extent)
        }
        return free
      }
      guard let free else { return }
      for entry in free where !entry.isValue {
        pool.discard(entry.extent.first)
        try allocator.free(entry.extent)
      }
      if limit <= 64 { return }
    }
  }

  /// How many pages are kept for a pin and no younger one.
  package func heldPageCount(of pin: Epoch) -> Int {
    publishLatch.withLock { published.pointee.pins.heldPageCount(of: pin) }
  }

  /// Pins, and pages that are kept only for them.
  package var pinStatistics: (pinCount: Int, heldPageCount: Int) {
    publishLatch.withLock {
      (published.pointee.pins.count, published.pointee.pins.heldPageCount)
    }
  }
}

extension Pager {
  /// Starts the log before the first mutation of an opening.
  ///
  /// Writer mutex held.
  @inlinable package func startLogIfNeeded() throws(PagerError) {
    if !hasStartedLog.load(ordering: .relaxed) { try startLogSlowly() }
  }

  @usableFromInline @inline(never) package func startLogSlowly() throws(PagerError) {
    try startLog()
    hasStartedLog.store(true, ordering: .relaxed)
  }
}

extension Pager {
  /// After a failed write nothing may be promised any more; a full disk is no failure.
  package func noteFailedWrite(_ error: PagerError) { failureCell.set(error) }
}
