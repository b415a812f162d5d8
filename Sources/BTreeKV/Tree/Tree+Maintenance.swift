internal import Pager

// Replaying the log, and moving pages down at close.

extension Database {
  /// Applies the log's records to the trees as the last checkpoint left them (rule E6).
  func replay() throws(PagerError) {
    workspace.state.pointee.isUnlogged = true
    defer { workspace.state.pointee.isUnlogged = false }
    pager.writerMutex.lock()
    defer { pager.writerMutex.unlock() }
    try pager.replayLog { (body) throws(PagerError) in
      let makesSense = try LogEntry.forEach(in: body) { (entry) throws(PagerError) in
        pager.noteTreeID(entry.tree)
        if entry.tree == .catalogue, entry.kind == .insert,
          let record = CatalogueRecord(entry.value)
        {
          pager.noteTreeID(record.id)
        }
        try replay(entry, in: tree(of: entry.tree))
        return true
      }
      guard makesSense else { throw PagerError(.corrupted, "a log record makes no sense") }
    }
  }

  private func replay(_ entry: LogEntry, in tree: Tree) throws(PagerError) {
    guard entry.key.count <= tree.maximumKeyByteCount + 1 else {
      throw PagerError(.corrupted, "a log record's key is longer than it may be")
    }
    switch entry.kind {
    case .insert:
      guard tree.isInline(key: entry.key.count, value: entry.value.count) else {
        throw PagerError(.corrupted, "a log record's value is longer than it may be")
      }
      _ = try tree.mutate(Tree.Mutation(key: entry.key, payload: entry.value))
    case .insertLarge:
      guard var value = LargeValue(entry.value, pageByteCount: pager.pageByteCount) else {
        throw PagerError(.corrupted, "a log record's reference to a value makes no sense")
      }
      // The writer that died was ahead by another distance (rule C9). An epoch of its may lie in the
      // future of this one: then the value would seem younger than a snapshot that shows it, and be
      // freed under that.
      value.birth = Swift.min(
        value.birth, pager.publishLatch.withLock { pager.published.pointee.epoch })
      try value.encoded.span.bytes.withUnsafeBytes { (reference) throws(PagerError) in
        _ = try tree.mutate(Tree.Mutation(key: entry.key, payload: reference, isLarge: true))
      }
    case .remove:
      _ = try tree.mutate(Tree.Mutation(key: entry.key, payload: nil))
    case .removeRange:
      let range = KeyRange(
        lower: entry.flags.contains(.lowerBound) ? Array(entry.key) : nil,
        upper: entry.flags.contains(.upperBound) ? Array(entry.value) : nil)
      _ = try tree.removeRange(range)
    case .dropTree:
      try tree.cutAll()
      tree.descriptor.isDropped = true
      tree.state.pointee.isGone = true
    }
  }
}

extension Tree {
  /// Moves pages whose number is `limit` or more into free pages below, so that the end of the
  /// file can be cut off.
  ///
  /// Writer mutex held, or nobody else uses the tree. Readers and checkpoints may go on.
  ///
  /// Large values stay where they are.
  ///
  /// - Parameters:
  ///   - limit: a page number.
  ///   - budget: of the walks over all trees.
  /// - Returns: whether anything moved.
  func relocate(
    pagesFrom limit: Int, _ budget: inout PageBudget
  ) throws(PagerError) -> Bool {
    while true {
      let root = pager.publishedRoot(of: descriptor)
      guard root.height > 0 else { return false }
      pathCount = 0
      var work = startRestructuring()
      let limitID = PageID(UInt64(limit))
      let moved: PageReference?
      do throws(PagerError) {
        moved = try relocate(&work, root.page, level: root.height - 1, limitID, &budget)
      } catch {
        giveBackRelocated(work)
        throw error
      }
      guard let moved else { return false }
      let isPublished = pager.publishLatch.withLock {
        // A pin that was taken since ended the epoch in which the new pages were to be born.
        guard pager.published.pointee.epoch == work.birth else { return false }
        for page in work.made { pager.link(relocated: page.id) }
        pager.publish(
          descriptor, root: TreeRoot(page: moved, height: root.height, count: root.count))
        return true
      }
      guard isPublished else {
        giveBackRelocated(work)
        budget = PageBudget(pager)
        continue
      }
      for page in work.replaced {
        let isFree = pager.publishLatch.withLock { pager.unlink(page) }
        if isFree {
          pool.discard(page.id)
          try pager.allocator.free(Extent(first: page.id, pageCount: 1))
        }
      }
      return true
    }
  }

  private func giveBackRelocated(_ work: Restructuring) {
    for page in work.made {
      pool.discard(page.id)
      try? pager.allocator.free(Extent(first: page.id, pageCount: 1))
    }
  }

  /// Moves what is too high in a subtree.
  ///
  /// - Returns: the subtree's new root, or nil when nothing in it moved.
  private func relocate(
    _ work: inout Restructuring, _ page: PageReference, level: Int, _ limit: PageID,
    _ budget: inout PageBudget
  ) throws(PagerError) -> PageReference? {
    try budget.spend(page)
    var changes: [(index: Int, child: PageReference)] = []
    if level > 0 {
      // The page may be evicted while its children move: its references are copied out first.
      for (index, child) in try copyOfChildren(page, level: level, work).enumerated() {
        // Leaves that lie low enough need not even be read.
        if level == 1, child.id < limit { continue }
        if let moved = try relocate(&work, child, level: level - 1, limit, &budget) {
          changes.append((index, moved))
        }
      }
    }
    guard !changes.isEmpty || !(page.id < limit) else { return nil }
    return try move(&work, page, level: level, changes)
  }

  private func copyOfChildren(
    _ page: PageReference, level: Int, _ work: Restructuring
  ) throws(PagerError) -> [PageReference] {
    try lockShared(page, level: level, work)
    defer { pool.unlock(shared: page.id) }
    let node = node(page.id)
    let count = node.count
    return (0..<count).map { node.child($0) }
  }

  private func move(
    _ work: inout Restructuring, _ page: PageReference, level: Int,
    _ changes: [(index: Int, child: PageReference)]
  ) throws(PagerError) -> PageReference {
    let new = try allocatePage(&work)
    do throws(PagerError) {
      try lockShared(page, level: level, work)
    } catch {
      // Whoever gives back what was made waits for those who hold it.
      pool.unlockExclusive(new.id)
      throw error
    }
    let copy = node(new.id)
    copy.copy(from: node(page.id), id: new.id, epoch: new.epoch, pageByteCount: pageByteCount)
    pool.unlock(shared: page.id)
    for (index, child) in changes {
      Node.withChild(child) { copy.overwritePayload(at: index, with: $0, isLeaf: false) }
    }
    work.replaced.append(page)
    pool.settle(relocated: new.id)
    return new
  }
}
