internal import Pager

extension Engine {
  /// Whether all that must hold between two changes does, for `assert`; looked at every so many calls.
  ///
  /// Writer mutex held, no latch.
  func holdsInvariants() -> Bool {
    guard pager.isTimeToLook(every: 64) else { return true }
    return Pager.areNone(
      pager.invariantViolations() + snapshots.invariantViolations()
        + mainTree.invariantViolations() + catalogue.invariantViolations())
  }
}
