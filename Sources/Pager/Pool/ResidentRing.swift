/// The ids of the pages in memory, in the order in which the clock's hand passes them.
struct ResidentRing: Sendable {
  private var ids: [UInt64] = []
  private var hand = 0

  init(capacity: Int) { ids.reserveCapacity(min(capacity, 1 << 16)) }

  var count: Int { ids.count }

  mutating func append(_ id: PageID) { ids.append(id.rawValue) }

  /// What to do with the page under the hand.
  enum Verdict { case keep, remove }

  /// Moves the hand over up to `steps` pages, until `judge` says to stop.
  mutating func sweep(steps: Int, _ judge: (PageID) -> (verdict: Verdict, stop: Bool)) {
    for _ in 0..<steps {
      guard !ids.isEmpty else { return }
      if hand >= ids.count { hand = 0 }
      let (verdict, stop) = judge(PageID(ids[hand]))
      switch verdict {
      case .keep:
        hand += 1
      case .remove:
        ids.swapAt(hand, ids.count - 1)
        ids.removeLast()
      }
      if stop { return }
    }
  }

  /// All ids, for checks.
  func snapshot() -> [UInt64] { ids }
}
