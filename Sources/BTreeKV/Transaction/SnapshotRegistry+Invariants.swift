internal import Pager

extension SnapshotRegistry {
  /// What does not hold that must, whatever others do meanwhile.
  ///
  /// - The instant of each snapshot that is held is pinned, once for each of them (rules C1, C2: what
  ///   nobody pins is changed in place and used anew).
  ///
  /// - Complexity: O(snapshots × pins).
  func invariantViolations() -> [String] {
    // A snapshot leaves the list before its pin goes, and comes to it after; so with the list locked
    // there can be only too many pins.
    held.withLock { held in
      Dictionary(grouping: held.values) { $0.epoch }.compactMap { epoch, states in
        let holders = pager.holderCount(of: epoch)
        return holders < states.count
          ? "snapshots: \(states.count) show epoch \(epoch.rawValue), pinned by \(holders)" : nil
      }
    }
  }
}
