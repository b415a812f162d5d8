internal import Pager

extension Tree {
  /// What does not hold that must, between two changes.
  ///
  /// - The writer holds no page: each operation gives back what it took, whatever its outcome.
  /// - The root, when it is in memory, is the page that the descriptor says, of the level below the
  ///   tree's height (rule D2: readers begin there).
  ///
  /// Writer mutex held, no latch.
  ///
  /// - Complexity: O(height + one page); no page is read in.
  func invariantViolations() -> [String] {
    var found: [String] = []
    if pathCount > Workspace.pathLimit {
      found.append("tree \(descriptor.id.rawValue): a path of \(pathCount) pages")
    }
    for position in 0..<min(pathCount, Workspace.pathLimit) where path[position].isHeld {
      found.append("page \(path[position].page.id): still held by an operation that has ended")
    }
    let root = descriptor.writerRoot
    guard root.height > 0 else { return found }
    let ofRoot = pool.ifResident(root.page.id) { _ in
      node(root.page.id).invariantViolations(
        root.page, level: root.height - 1, pageByteCount: pageByteCount)
    }
    return found + (ofRoot ?? [])
  }

  /// Whether a page that was just changed is as it must be, for `assert`; looked at every so many
  /// calls.
  ///
  /// The page is held exclusively.
  func holdsInvariants(_ page: PageReference, every interval: Int) -> Bool {
    guard pager.isTimeToLook(every: interval) else { return true }
    let node = node(page.id)
    return Pager.areNone(
      node.invariantViolations(page, level: node.level, pageByteCount: pageByteCount))
  }
}
