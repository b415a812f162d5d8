extension TreeDescriptor {
  /// What does not hold that must, whenever the publish latch is free.
  ///
  /// - What readers load without a latch is what was published last (rule D2 validates against it).
  /// - What the tree was is in the order of epochs, all before its last change: so each pinned epoch
  ///   has one answer (rule F1).
  ///
  /// Publish latch held.
  ///
  /// - Complexity: O(length of the history).
  func invariantViolations() -> [String] {
    var found: [String] = []
    let root = state.pointee.root
    if liveRootWord != Self.word(root) || liveRoot(liveRootWord).page.epoch != root.page.epoch
      || liveCount != root.count
    {
      found.append("tree \(id.rawValue): readers see another root than was published")
    }
    let epochs = state.pointee.history.map(\.changed) + [state.pointee.changed]
    for (a, b) in zip(epochs, epochs.dropFirst()) where !(a < b) {
      found.append("tree \(id.rawValue): its root of \(a.rawValue) stands before \(b.rawValue)")
    }
    return found
  }
}
