extension FreeMap {
  /// What does not hold that must, between two checkpoints.
  ///
  /// - Superblocks and slots are used in every map (rule A3).
  /// - Nothing is pending: what a checkpoint wrote is in force, or was never (rule B4). A group that
  ///   a failed checkpoint has written is still marked as changed, so that it is written again.
  /// - Slots are 0 or 1, and no group is of a later checkpoint than the superblock.
  ///
  /// - Parameter checkpoint: the number of the durable checkpoint.
  /// - Complexity: O(groups).
  func invariantViolations(checkpoint: UInt64) -> [String] {
    var found = bits.missingFixedPages(layout, pageCount: groups.count * layout.pagesPerGroup).map {
      "free map: page \($0), a superblock's or the map's own, is free"
    }
    for (index, group) in groups.enumerated() {
      if group.pending != nil, !group.isChanged {
        found.append("free map: group \(index) is pending, but not marked as changed")
      }
      if group.checkpoint > checkpoint {
        found.append(
          "free map: group \(index) is of checkpoint \(group.checkpoint), after \(checkpoint)")
      }
      if !(0...1).contains(group.slot) {
        found.append("free map: group \(index) lies in slot \(group.slot)")
      }
    }
    return found
  }
}
