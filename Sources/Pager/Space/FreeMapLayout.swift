/// Where the durable free map lies: a bitmap page a group of pages, with two fixed places each.
///
///     group g: pages g × P ..< (g + 1) × P, where P = 8 × (page size − 64)
///     its two slots: pages g × P + 2 and g × P + 3
///
/// In group 0, the pages 0 and 1 in front of the slots are the superblocks.
package struct FreeMapLayout: Sendable {
  /// The size of a page.
  package let pageByteCount: Int

  /// The number of bytes in front of the bits.
  static let headerByteCount = 64

  /// How many pages one bitmap page speaks of.
  package var pagesPerGroup: Int { (pageByteCount - Self.headerByteCount) * 8 }

  /// How many groups a file of `pageCount` pages has.
  func groupCount(pageCount: Int) -> Int {
    // A group exists once its slots do.
    (pageCount + pagesPerGroup - 4) / pagesPerGroup
  }

  /// The length at or above `pageCount` at which no group begins without its slots.
  func wholeGroups(_ pageCount: Int) -> Int {
    let rest = pageCount % pagesPerGroup
    return (1...3).contains(rest) ? pageCount - rest + 4 : pageCount
  }

  /// The page of slot 0 or 1 of a group.
  func slotPage(group: Int, slot: Int) -> Int { group * pagesPerGroup + 2 + slot }

  /// The slot pages that lie in `range`.
  func slotPages(in range: Range<Int>) -> [Int] {
    var found: [Int] = []
    for group in range.lowerBound / pagesPerGroup...range.upperBound / pagesPerGroup {
      for slot in 0...1 where range.contains(slotPage(group: group, slot: slot)) {
        found.append(slotPage(group: group, slot: slot))
      }
    }
    return found
  }
}
