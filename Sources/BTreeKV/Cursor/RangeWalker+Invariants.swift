internal import Pager

extension LeafCursor {
  /// What does not hold that must, once a leaf was copied.
  ///
  /// - What is remembered of the copy is what it says: it was validated as one state of one page
  ///   (rules D1, D4), and nobody changes it.
  ///
  /// - Complexity: O(1).
  func invariantViolations() -> [String] {
    guard state.pointee.isAllocated else {
      return state.pointee.count == 0 ? [] : ["cursor: it counts entries without a leaf"]
    }
    if state.pointee.count != node.count || state.pointee.prefixLength != node.prefixLength {
      return ["cursor: its copy of a leaf has changed"]
    }
    return []
  }
}

extension RangeWalker {
  /// What does not hold that must, between two steps.
  ///
  /// - The slots that are left lie in the copied leaf (rule D4: no load leaves it).
  /// - Where the walk is, one thing tells: the last key, a remembered place, or a target that is still
  ///   to be gone to. So a turn or a refresh in a transaction neither skips nor repeats an entry.
  /// - At the end there are no slots left.
  ///
  /// - Complexity: O(1).
  func invariantViolations() -> [String] {
    var found = leaf.invariantViolations()
    let (index, stop) = (position.pointee.index, position.pointee.stop)
    if !(0...leaf.count).contains(index) || !(0...leaf.count).contains(stop) {
      found.append("cursor: slots \(index) to \(stop) of a leaf of \(leaf.count)")
    }
    if hasKey, place != nil || pending != nil {
      found.append("cursor: it is at a key and elsewhere too")
    }
    if hasKey, !hasStarted { found.append("cursor: it is at a key without having begun") }
    if isFinished, index != 0 || stop != 0 {
      found.append("cursor: it is at its end, but slots are left")
    }
    return found
  }
}
