internal import Pager
internal import Synchronization

// Mutations of one key: the short way, in place in one leaf.

extension Tree {
  /// One change of one key.
  struct Mutation {
    var key: UnsafeRawBufferPointer
    /// The value or its reference; nil removes the key.
    var payload: UnsafeRawBufferPointer?
    var isLarge = false
  }

  /// What the log says of a mutation of this tree.
  @inline(__always) func logEntry(_ mutation: Mutation) -> LogEntry {
    guard let payload = mutation.payload else {
      return LogEntry(
        kind: .remove, tree: descriptor.id, key: mutation.key,
        value: UnsafeRawBufferPointer(start: nil, count: 0))
    }
    return LogEntry(
      kind: mutation.isLarge ? .insertLarge : .insert, tree: descriptor.id, key: mutation.key,
      value: payload)
  }

  /// What a mutation came to.
  struct Outcome {
    /// Whether the key was there before.
    var wasThere: Bool
  }

  /// Carries a mutation out.
  ///
  /// Writer mutex held.
  ///
  /// - Parameter see: gets what the key has, and whether that is the reference of a large value, right
  ///   before it goes; if it is called again, only the last time counts.
  @inline(__always)
  func mutate(
    _ mutation: Mutation, _ see: (UnsafeRawBufferPointer, Bool) -> Void = { _, _ in }
  ) throws(PagerError) -> Outcome {
    if pager.hasOrphans { try pager.settle(limit: 16) }
    if isInTransaction, let outcome = try mutateInTransaction(mutation, see) { return outcome }
    while true {
      guard let visit = try writerLeaf(for: mutation.key) else {
        guard mutation.payload != nil else { return Outcome(wasThere: false) }
        if let planted = try plantRoot(mutation) { return planted }
        continue
      }
      guard pool.endRead(visit.page.id, visit.version),
        pool.lockExclusive(visit.page.id, visit.version)
      else { continue }
      let fast = try mutateInPlace(mutation, visit.page, see)
      if let fast { return fast }
      if let slow = try mutateSlowly(mutation, see) { return slow }
    }
  }

  /// Changes a leaf of a transaction in place, or, if others may see it, by a copy that takes its
  /// place in a parent which only the transaction sees: what most changes come to.
  ///
  /// - Returns: nil when the change needs something else.
  private func mutateInTransaction(
    _ mutation: Mutation, _ see: (UnsafeRawBufferPointer, Bool) -> Void
  ) throws(PagerError) -> Outcome? {
    guard let visit = try writerLeaf(for: mutation.key) else { return nil }
    let parent = finger.pointee.height > 1 ? finger.pointee.steps[1] : nil
    let leaf = node(visit.page.id)
    let isLeafRight = leaf.isPage(visit.page, level: 0)
    // Only the writer changes what it reads here; a page may only be evicted.
    let youngestPin = pager.youngestPinOfTransaction
    let isOld = !(youngestPin < leaf.epoch)
    guard pool.endRead(visit.page.id, visit.version) else { return nil }
    guard isLeafRight else { throw Node.mismatch(visit.page) }
    if !isOld {
      guard pool.lockExclusive(visit.page.id, visit.version) else { return nil }
      return try mutateInPlace(mutation, visit.page, see)
    }
    guard let parent,
      youngestPin < parent.page.epoch, pool.lockShared(visit.page.id, visit.version)
    else { return nil }
    defer { pool.unlock(shared: visit.page.id) }
    let (index, isFound) = place(of: mutation.key, in: leaf, visit.page.id)
    if mutation.payload == nil, !isFound { return Outcome(wasThere: false) }
    guard fits(mutation, leaf, index, isFound) else { return nil }
    let entry = logEntry(mutation)
    if mutation.payload == nil { try checkCount(removing: 1) }
    try reserveLog(entry.byteCount)
    let new = try allocatePage(beside: visit.page.id, parent.page.id)
    guard pool.lockExclusive(parent.page.id, parent.version) else {
      pool.discard(held: new.id)
      try? pager.allocator.free(Extent(first: new.id, pageCount: 1))
      return nil
    }
    guard node(parent.page.id).isPage(parent.page, level: 1) else {
      pool.unlockUnchanged(parent.page.id)
      pool.discard(held: new.id)
      try? pager.allocator.free(Extent(first: new.id, pageCount: 1))
      throw Node.mismatch(parent.page)
    }
    let copy = node(new.id)
    copy.copy(from: leaf, id: new.id, epoch: new.epoch, pageByteCount: pageByteCount)
    pager.publishLatch.lock()
    appendLog(entry)
    if isFound { show(leaf, index, see) }
    let keepsPages = isFound && keepsPages(mutation, leaf, index)
    if isFound, !keepsPages { unlinkLargeValue(of: leaf, index) }
    apply(mutation, to: copy, index, isFound)
    let holder = node(parent.page.id)
    Node.withChild(new) { holder.overwritePayload(at: parent.index, with: $0, isLeaf: false) }
    pager.link(new.id)
    pager.noteDirty(new.id)
    pager.noteDirty(parent.page.id)
    if mutation.isLarge, !keepsPages { linkLargeValue(mutation) }
    pager.publish(descriptor, countChange: mutation.payload == nil ? -1 : isFound ? 0 : 1)
    // The old leaf is older than the transaction: others see it, or may.
    _ = pager.unlink(visit.page)
    pager.publishLatch.unlock()
    assert(holdsInvariants(new, every: 64))
    pool.unlockExclusive(parent.page.id)
    pool.unlockExclusive(new.id)
    writer.pointee.lastInsert = (new.id, index)
    return Outcome(wasThere: isFound)
  }

  /// A page for a copy in a transaction, held exclusively.
  private func allocatePage(beside leaf: PageID, _ parent: PageID) throws(PagerError)
    -> PageReference
  {
    let id = try pager.allocator.allocatePage()
    // Waiting for a page that is held here would take for ever. It stays in use.
    if id == leaf || id == parent { throw markedAsFree(id) }
    do throws(PagerError) {
      try pool.makeResident(newPage: id)
    } catch {
      try? pager.allocator.free(Extent(first: id, pageCount: 1))
      throw error
    }
    return PageReference(id: id, epoch: pager.epochOfTransaction)
  }

  /// Changes a leaf that is held exclusively, when the change fits and the leaf is young enough.
  ///
  /// The leaf is given back in any case.
  ///
  /// - Returns: nil when this needs more than the one leaf.
  @inline(__always)
  private func mutateInPlace(
    _ mutation: Mutation, _ page: PageReference, _ see: (UnsafeRawBufferPointer, Bool) -> Void
  ) throws(PagerError) -> Outcome? {
    let node = node(page.id)
    guard node.isPage(page, level: 0) else {
      pool.unlockUnchanged(page.id)
      throw Node.mismatch(page)
    }
    let (index, isFound) = place(of: mutation.key, in: node, page.id)
    if mutation.payload == nil, !isFound {
      pool.unlockUnchanged(page.id)
      return Outcome(wasThere: false)
    }
    guard fits(mutation, node, index, isFound) else {
      pool.unlockUnchanged(page.id)
      return nil
    }
    let entry = logEntry(mutation)
    do throws(PagerError) {
      if mutation.payload == nil { try checkCount(removing: 1) }
      try reserveLog(entry.byteCount)
    } catch {
      pool.unlockUnchanged(page.id)
      throw error
    }
    pager.publishLatch.lock()
    guard pager.published.pointee.youngestPin < node.epoch else {
      pager.publishLatch.unlock()
      pool.unlockUnchanged(page.id)
      return nil
    }
    appendLog(entry)
    if isFound { show(node, index, see) }
    let keepsPages = isFound && keepsPages(mutation, node, index)
    if isFound, !keepsPages { unlinkLargeValue(of: node, index) }
    apply(mutation, to: node, index, isFound)
    pager.noteDirty(page.id)
    pager.publish(descriptor, countChange: mutation.payload == nil ? -1 : isFound ? 0 : 1)
    if mutation.isLarge, !keepsPages { linkLargeValue(mutation) }
    pager.publishLatch.unlock()
    assert(holdsInvariants(page, every: 64))
    pool.unlockExclusive(page.id)
    writer.pointee.lastInsert = (page.id, index)
    return Outcome(wasThere: isFound)
  }

  /// Where a key is in a leaf that is held, or would be: often where the last change was, or behind it.
  @inline(__always)
  func place(
    of key: UnsafeRawBufferPointer, in leaf: Node, _ page: PageID
  ) -> (index: Int, isFound: Bool) {
    let last = writer.pointee.lastInsert
    if last.page == page,
      let place = leaf.lowerBound(of: key, near: last.index, pageByteCount: pageByteCount)
    {
      return place
    }
    return leaf.lowerBound(of: key, isLeaf: true, pageByteCount: pageByteCount)
  }

  /// Hands over what a leaf says of a key.
  @inline(__always)
  func show(_ leaf: Node, _ index: Int, _ see: (UnsafeRawBufferPointer, Bool) -> Void) {
    let cell = leaf.cell(index, isLeaf: true)
    see(cell.payload, cell.isLarge)
  }

  /// Throws when the pages hold more entries than the tree counts: nothing may go below zero.
  @inline(__always) func checkCount(removing count: Int) throws(PagerError) {
    let known = isInTransaction ? state.pointee.working.count : state.pointee.root.count
    if known < count { throw countProblem }
  }

  private var countProblem: PagerError {
    PagerError(
      .corrupted, "a tree holds more entries than it counts: verify the file, and salvage it")
  }

  /// Makes sure that an entry of so many bytes can be logged.
  @inline(__always) func reserveLog(_ byteCount: Int) throws(PagerError) {
    if isUnlogged { return }
    if isInTransaction {
      pager.reserveInTransaction(entryByteCount: byteCount)
    } else {
      try pager.reserveLog(body: byteCount)
    }
  }

  /// Appends to the log, unless the change is not logged.
  ///
  /// Publish latch held.
  @inline(__always) func appendLog(_ entry: LogEntry) {
    if isInTransaction {
      appendToTransaction(entry)
      return
    }
    guard !isUnlogged, let log = pager.log else { return }
    entry.write(to: log.beginRecord())
    log.endRecord(body: entry.byteCount)
  }

  /// Adds an entry to the record that the transaction will be.
  @inline(never) func appendToTransaction(_ entry: LogEntry) {
    writer.pointee.changeCount &+= 1
    if isUnlogged { return }
    if let room = pager.noteInTransaction(entryByteCount: entry.byteCount) {
      entry.write(to: room)
    }
  }

  /// Whether a leaf can take the change without becoming too full or too empty.
  @inline(__always)
  func fits(_ mutation: Mutation, _ node: Node, _ index: Int, _ isFound: Bool) -> Bool {
    guard let payload = mutation.payload else {
      let cell = node.cell(index, isLeaf: true)
      let left = node.usedByteCount(pageByteCount) - cell.byteCount - Node.slotByteCount
      return node.count > 1 && left >= capacity / 4
    }
    let prefixLength = node.prefixLength
    if !isFound, prefixLength > 0,
      Node.comparePrefix(mutation.key, node.prefix(pageByteCount)) != 0
    {
      return false
    }
    let size = Node.cellByteCount(
      suffix: mutation.key.count - prefixLength, payload: payload.count,
      isLarge: mutation.isLarge, isLeaf: true)
    if !isFound { return size + Node.slotByteCount <= node.gap + node.garbage }
    let old = node.cell(index, isLeaf: true)
    if old.payload.count == payload.count, old.isLarge == mutation.isLarge { return true }
    return size - old.byteCount <= node.gap + node.garbage
  }

  /// Makes the change in a page that has room for it.
  @inline(__always)
  func apply(_ mutation: Mutation, to node: Node, _ index: Int, _ isFound: Bool) {
    guard let payload = mutation.payload else {
      node.remove(at: index, isLeaf: true)
      return
    }
    if isFound {
      let old = node.cell(index, isLeaf: true)
      if old.payload.count == payload.count, old.isLarge == mutation.isLarge {
        node.overwritePayload(at: index, with: payload, isLeaf: true)
        return
      }
      node.remove(at: index, isLeaf: true)
    }
    let prefixLength = node.prefixLength
    let suffix = UnsafeRawBufferPointer(
      start: mutation.key.baseAddress.map { $0 + prefixLength },
      count: mutation.key.count - prefixLength)
    let size = Node.cellByteCount(
      suffix: suffix.count, payload: payload.count, isLarge: mutation.isLarge, isLeaf: true)
    if size + Node.slotByteCount > node.gap {
      node.compact(scratch: scratch, pageByteCount: pageByteCount)
    }
    node.insert(
      at: index, suffix: suffix, payload: payload, isLarge: mutation.isLarge, isLeaf: true)
  }

  // MARK: Large values (publish latch held)

  /// Whether a large value takes the place of one in the same pages.
  @inline(__always)
  func keepsPages(_ mutation: Mutation, _ node: Node, _ index: Int) -> Bool {
    guard mutation.isLarge, let payload = mutation.payload else { return false }
    let cell = node.cell(index, isLeaf: true)
    return cell.isLarge && LargeValue.sharePages(cell.payload, payload)
  }

  func linkLargeValue(_ mutation: Mutation) {
    guard let payload = mutation.payload,
      let value = LargeValue(payload, pageByteCount: pageByteCount)
    else { return }
    for extent in value.extents { pager.link(extent) }
  }

  @inline(__always)
  func unlinkLargeValue(of node: Node, _ index: Int) {
    let cell = node.cell(index, isLeaf: true)
    if cell.isLarge { unlinkLargeValue(cell.payload) }
  }

  @inline(never) func unlinkLargeValue(_ payload: UnsafeRawBufferPointer) {
    guard let value = LargeValue(payload, pageByteCount: pageByteCount) else { return }
    for extent in value.extents { pager.unlink(value: extent, birth: value.birth) }
  }
}
