internal import Pager

// Mutations that need more than one leaf: copying, splitting, merging. Writer mutex held.

extension Tree {
  /// Makes the first leaf of an empty tree.
  ///
  /// - Returns: nil when a pin came between and the mutation must start again.
  func plantRoot(_ mutation: Mutation) throws(PagerError) -> Outcome? {
    var work = startRestructuring()
    do throws(PagerError) {
      entries.removeAll()
      entries.append(
        mutation.key, mutation.payload ?? .init(start: nil, count: 0), isLarge: mutation.isLarge)
      let leaf = try makePage(&work, 0..<1, level: 0, prefix: 0)
      work.top = .root(leaf, height: 1)
      try reserveLog(logEntry(mutation).byteCount)
    } catch {
      abandon(work)
      throw error
    }
    pathCount = 0
    return publish(work, mutation, wasThere: false, replacedValue: nil)
      ? Outcome(wasThere: false) : nil
  }

  /// Carries out a mutation the long way.
  ///
  /// - Returns: nil when something moved meanwhile and the mutation must start again.
  @inline(never)
  func mutateSlowly(
    _ mutation: Mutation, _ see: (UnsafeRawBufferPointer, Bool) -> Void
  ) throws(PagerError) -> Outcome? {
    guard try holdPath(to: mutation.key) else { return nil }
    var work = startRestructuring()
    let leafPage = path[pathCount - 1].page
    let leaf = node(leafPage.id)
    let (index, isFound) = leaf.lowerBound(
      of: mutation.key, isLeaf: true, pageByteCount: pageByteCount)
    if mutation.payload == nil, !isFound {
      abandon(work)
      return Outcome(wasThere: false)
    }
    var replacedValue: UnsafeRawBufferPointer?
    if isFound {
      show(leaf, index, see)
      let cell = leaf.cell(index, isLeaf: true)
      if cell.isLarge { replacedValue = cell.payload }
    }
    do throws(PagerError) {
      if mutation.payload == nil { try checkCount(removing: 1) }
      try restructureLeaf(&work, mutation, leaf, index, isFound)
      try reserveLog(logEntry(mutation).byteCount)
    } catch {
      abandon(work)
      throw error
    }
    return publish(work, mutation, wasThere: isFound, replacedValue: replacedValue)
      ? Outcome(wasThere: isFound) : nil
  }

  func startRestructuring() -> Restructuring {
    pager.publishLatch.withLock {
      Restructuring(
        birth: pager.published.pointee.epoch, youngestPin: pager.published.pointee.youngestPin)
    }
  }

  // MARK: The path

  /// Goes down to a key's leaf and holds every page of the way shared.
  ///
  /// - Returns: false when a page moved before it was held: start again.
  func holdPath(to key: UnsafeRawBufferPointer) throws(PagerError) -> Bool {
    pathCount = 0
    let visit = try descend(root: writerRoot, to: key) { node, key in
      node.childIndex(for: key, pageByteCount: pageByteCount)
    } visit: { page, version, index, level in
      // Coming to a level again means that the way down began anew.
      if pathCount > 0, path[pathCount - 1].level <= level { pathCount = 0 }
      path[pathCount] = PathElement(
        page: page, version: version, index: index, level: level, isHeld: false)
      pathCount += 1
    }
    guard let visit else { return false }
    path[pathCount] = PathElement(
      page: visit.page, version: visit.version, index: 0, level: 0, isHeld: false)
    pathCount += 1
    pool.endRead(visit.page.id, visit.version)
    for position in 0..<pathCount {
      guard pool.lockShared(path[position].page.id, path[position].version) else {
        releasePath()
        return false
      }
      path[position].isHeld = true
      let (page, level) = (path[position].page, path[position].level)
      guard node(page.id).isPage(page, level: level) else {
        releasePath()
        throw Node.mismatch(page)
      }
    }
    return true
  }

  func releasePath() {
    for position in 0..<pathCount where path[position].isHeld {
      pool.unlock(shared: path[position].page.id)
      path[position].isHeld = false
    }
  }

  /// The separator that ends the key range of the page at a position of the path, or nil.
  func upperFence(_ position: Int) -> [UInt8]? {
    for above in stride(from: position - 1, through: 0, by: -1) {
      let parent = node(path[above].page.id)
      let index = path[above].index + 1
      if index < parent.count { return separator(parent, index) }
    }
    return nil
  }

  /// The separator that begins the key range of the page at a position of the path, or nil.
  func lowerFence(_ position: Int) -> [UInt8]? {
    for above in stride(from: position - 1, through: 0, by: -1) where path[above].index > 0 {
      return separator(node(path[above].page.id), path[above].index)
    }
    return nil
  }

  /// The key of a slot of an inner page.
  func separator(_ node: Node, _ index: Int) -> [UInt8] {
    let cell = node.cell(index, isLeaf: false)
    var key = Array(node.prefix(pageByteCount))
    withUnsafeBytes(of: node.head(index).bigEndian) {
      key.append(contentsOf: $0[..<min(4, cell.suffixLength)])
    }
    key.append(contentsOf: cell.tail)
    return key
  }

  // MARK: Pages

  /// Makes a page of some of the entries.
  func makePage(
    _ work: inout Restructuring, _ range: Range<Int>, level: Int, prefix: Int
  ) throws(PagerError) -> PageReference {
    guard entries.fit(range, level: level, prefix: prefix, capacity: capacity) else {
      throw keysOutOfRange()
    }
    let page = try allocatePage(&work)
    entries.build(
      node(page.id), range, id: page.id, epoch: page.epoch, level: level, prefix: prefix,
      pageByteCount: pageByteCount)
    return page
  }

  func allocatePage(_ work: inout Restructuring) throws(PagerError) -> PageReference {
    let id = try pager.allocator.allocatePage()
    // Waiting for a page that is held here would take for ever. It stays in use.
    if isHeld(id, work) { throw markedAsFree(id) }
    do throws(PagerError) {
      try pool.makeResident(newPage: id)
    } catch {
      try? pager.allocator.free(Extent(first: id, pageCount: 1))
      throw error
    }
    let page = PageReference(id: id, epoch: work.birth)
    work.made.append(page)
    return page
  }

  private func isHeld(_ id: PageID, _ work: Restructuring) -> Bool {
    (0..<pathCount).contains { path[$0].isHeld && path[$0].page.id == id }
      || work.siblings.contains { $0.id == id }
  }

  /// What a made-up free map leads to.
  @inline(never) func markedAsFree(_ id: PageID) -> PagerError {
    PagerError(.corrupted, "a page of a tree is marked as free", page: id.rawValue)
  }

  /// What pages lead to that are each in order, but not where they hang.
  @inline(never) func keysOutOfRange() -> PagerError {
    PagerError(
      .corrupted, "keys lie outside the range of their page; verifying the file says of which")
  }

  /// Holds a page beside the path shared.
  func holdSibling(
    _ work: inout Restructuring, _ page: PageReference, level: Int
  ) throws(PagerError) -> Node {
    try lockShared(page, level: level, work)
    work.siblings.append(page)
    return node(page.id)
  }

  /// Holds a page shared, reading it in as often as it is evicted before that.
  func lockShared(
    _ page: PageReference, level: Int, _ work: Restructuring
  ) throws(PagerError) {
    // Made pages are held exclusively; they lie where the free map has no page of a tree.
    if work.made.contains(where: { $0.id == page.id }) { throw markedAsFree(page.id) }
    while true {
      let version = try pool.beginRead(page, level: level)
      pool.endRead(page.id, version)
      if pool.lockShared(page.id, version) { break }
    }
    guard node(page.id).isPage(page, level: level) else {
      pool.unlock(shared: page.id)
      throw Node.mismatch(page)
    }
  }

  /// Gives everything back as if nothing had been begun.
  func abandon(_ work: Restructuring) {
    for page in work.made {
      pool.discard(held: page.id)
      try? pager.allocator.free(Extent(first: page.id, pageCount: 1))
    }
    for page in work.siblings { pool.unlock(shared: page.id) }
    releasePath()
  }

  // MARK: Publishing

  /// Makes a prepared mutation visible, all at once.
  ///
  /// - Returns: false when a pin was taken since, so that the page to change in place may no
  ///   longer be changed: everything was given back.
  func publish(
    _ work: Restructuring, _ mutation: Mutation?, wasThere: Bool,
    replacedValue: UnsafeRawBufferPointer?, removedCount: Int = 0
  ) -> Bool {
    var topID: PageID?
    if case .children(let position, _) = work.top { topID = path[position].page.id }
    if let topID { pool.upgrade(topID) }
    // Parents before children: with shared latches a reader may hold the parent while it waits for
    // the child.
    let levels = work.replaced.map { node($0.id).level }
    for index in levels.indices.sorted(by: { levels[$0] > levels[$1] }) {
      pool.upgrade(work.replaced[index].id)
    }
    pager.publishLatch.lock()
    // A pin that was taken since has ended the epoch in which the new pages were to be born: they
    // would look as if its checkpoint had them. (The next try meets no further pin: as long as
    // nothing is published, whoever pins shares that one.)
    let isStale =
      pager.published.pointee.epoch != work.birth
      || topID.map { !(pager.published.pointee.youngestPin < node($0).epoch) } ?? false
    if isStale {
      pager.publishLatch.unlock()
      for page in work.replaced { pool.downgrade(page.id) }
      if let topID { pool.downgrade(topID) }
      abandon(work)
      return false
    }
    var countChange = -removedCount
    if let mutation {
      appendLog(logEntry(mutation))
      countChange = mutation.payload == nil ? -1 : wasThere ? 0 : 1
      let keepsPages =
        mutation.isLarge
        && replacedValue.map { old in
          mutation.payload.map { LargeValue.sharePages(old, $0) } ?? false
        } ?? false
      if mutation.isLarge, !keepsPages { linkLargeValue(mutation) }
      if !keepsPages, let replacedValue { unlinkLargeValue(replacedValue) }
    }
    for page in work.made {
      pager.link(page.id)
      pager.noteDirty(page.id)
    }
    switch work.top {
    case .children(let position, let replacement):
      apply(replacement, to: node(path[position].page.id))
      pager.noteDirty(path[position].page.id)
      pager.publish(descriptor, countChange: countChange)
    case .root(let page, let height):
      let count = descriptor.writerRoot.count + countChange
      pager.publish(descriptor, root: TreeRoot(page: page, height: height, count: count))
    case .none:
      preconditionFailure("a mutation is published that changes nothing")
    }
    let free = work.replaced.filter { pager.unlink($0) }
    pager.publishLatch.unlock()
    assert(work.made.allSatisfy { holdsInvariants($0, every: 16, looksAtContent: false) })
    release(work, topID: topID, free: free)
    return true
  }

  private func release(_ work: Restructuring, topID: PageID?, free: [PageReference]) {
    for page in work.made { pool.unlockExclusive(page.id) }
    for page in work.replaced {
      if free.contains(page) {
        pool.discard(held: page.id)
      } else {
        pool.unlockExclusive(page.id)
      }
    }
    if let topID { pool.unlockExclusive(topID) }
    for position in 0..<pathCount where path[position].isHeld {
      path[position].isHeld = false
      let page = path[position].page
      if page.id != topID, !work.replaced.contains(page) { pool.unlock(shared: page.id) }
    }
    for page in work.siblings where !work.replaced.contains(page) {
      pool.unlock(shared: page.id)
    }
    for page in free {
      // What was in use a moment ago can't fail to be given back.
      try? pager.allocator.free(Extent(first: page.id, pageCount: 1))
    }
  }
}
