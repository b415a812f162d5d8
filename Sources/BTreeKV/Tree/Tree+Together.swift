internal import Pager

// One change of each of two trees, published and logged as one, the short way: both in place in a leaf.
// A transaction would copy both leaves at each call.

extension Tree {
  /// The leaf of a key, held exclusively, and where the key is in it.
  struct HeldLeaf {
    var page: PageReference
    var index: Int
    var isFound: Bool
  }

  /// Holds the leaves of two keys of two trees exclusively.
  ///
  /// Both are found before either is held, so that nothing is read in meanwhile. Writer mutex held, and
  /// no transaction under way.
  ///
  /// - Returns: nil when a tree is empty, or when others get in between again and again.
  func holdLeaves(
    for key: UnsafeRawBufferPointer, and otherKey: UnsafeRawBufferPointer, of other: Tree
  ) throws(PagerError) -> (HeldLeaf, HeldLeaf)? {
    if pager.hasOrphans { try pager.settle(limit: 16) }
    for _ in 0..<8 {
      guard let visit = try writerLeaf(for: key) else { return nil }
      guard pool.endRead(visit.page.id, visit.version) else { continue }
      guard let second = try other.writerLeaf(for: otherKey) else { return nil }
      guard pool.endRead(second.page.id, second.version) else { continue }
      // Only a made-up file has one leaf in two trees.
      guard visit.page.id != second.page.id else { throw Node.mismatch(second.page) }
      guard pool.lockExclusive(visit.page.id, visit.version) else { continue }
      guard pool.lockExclusive(second.page.id, second.version) else {
        pool.unlockUnchanged(visit.page.id)
        continue
      }
      let isFirstRight = node(visit.page.id).isPage(visit.page, level: 0)
      guard isFirstRight, node(second.page.id).isPage(second.page, level: 0) else {
        pool.unlockUnchanged(visit.page.id)
        pool.unlockUnchanged(second.page.id)
        throw Node.mismatch(isFirstRight ? second.page : visit.page)
      }
      return (held(visit.page, key), other.held(second.page, otherKey))
    }
    return nil
  }

  private func held(_ page: PageReference, _ key: UnsafeRawBufferPointer) -> HeldLeaf {
    let (index, isFound) = place(of: key, in: node(page.id), page.id)
    return HeldLeaf(page: page, index: index, isFound: isFound)
  }

  /// Gives both leaves back as they were.
  func release(_ leaf: HeldLeaf, _ otherLeaf: HeldLeaf) {
    pool.unlockUnchanged(leaf.page.id)
    pool.unlockUnchanged(otherLeaf.page.id)
  }

  /// Changes both leaves, if both changes fit and both leaves are young enough.
  ///
  /// A large value of the second mutation must take the place of one in the same pages. The leaves are
  /// given back in any case.
  ///
  /// - Returns: false when this needs more than the two leaves: nothing has changed then.
  func mutateTogether(
    _ mutation: Mutation, _ leaf: HeldLeaf, _ other: Tree, _ otherMutation: Mutation,
    _ otherLeaf: HeldLeaf
  ) throws(PagerError) -> Bool {
    let (node, otherNode) = (node(leaf.page.id), node(otherLeaf.page.id))
    guard otherLeaf.isFound, other.keepsPages(otherMutation, otherNode, otherLeaf.index),
      mutation.payload != nil || leaf.isFound, fits(mutation, node, leaf.index, leaf.isFound),
      other.fits(otherMutation, otherNode, otherLeaf.index, true)
    else {
      release(leaf, otherLeaf)
      return false
    }
    let (entry, otherEntry) = (logEntry(mutation), other.logEntry(otherMutation))
    do throws(PagerError) {
      if mutation.payload == nil { try checkCount(removing: 1) }
      try pager.reserveLog(body: entry.byteCount + otherEntry.byteCount)
    } catch {
      release(leaf, otherLeaf)
      throw error
    }
    pager.publishLatch.lock()
    let youngestPin = pager.published.pointee.youngestPin
    guard youngestPin < node.epoch, youngestPin < otherNode.epoch else {
      pager.publishLatch.unlock()
      release(leaf, otherLeaf)
      return false
    }
    if let log = pager.log {
      let place = log.beginRecord()
      entry.write(to: place)
      otherEntry.write(to: place + entry.byteCount)
      log.endRecord(body: entry.byteCount + otherEntry.byteCount)
    }
    apply(mutation, to: node, leaf.index, leaf.isFound)
    other.apply(otherMutation, to: otherNode, otherLeaf.index, true)
    pager.noteDirty(leaf.page.id)
    pager.noteDirty(otherLeaf.page.id)
    pager.publish(
      descriptor, countChange: mutation.payload == nil ? -1 : leaf.isFound ? 0 : 1)
    pager.publish(other.descriptor, countChange: 0)
    pager.publishLatch.unlock()
    pool.unlockExclusive(leaf.page.id)
    pool.unlockExclusive(otherLeaf.page.id)
    writer.pointee.lastInsert = (leaf.page.id, leaf.index)
    other.writer.pointee.lastInsert = (otherLeaf.page.id, otherLeaf.index)
    return true
  }
}
