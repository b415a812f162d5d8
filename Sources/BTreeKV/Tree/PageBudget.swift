internal import Pager

/// How many pages a walk over trees may still visit.
///
/// In a made-up file a page may be a child many times over, level for level: what then looks like a
/// tree of few levels has more ways down than there is time for. But no file has trees of more pages
/// than its own, so a walk that finds more has met some page twice (rule F4).
struct PageBudget {
  private var left: Int

  /// The budget of one walk over all trees of a file, or some of them.
  init(_ pager: Pager) { left = pager.allocator.pageCount }

  /// Counts a page.
  ///
  /// - Throws: `.corrupted` when there can't be so many.
  mutating func spend(_ page: PageReference) throws(PagerError) {
    left -= 1
    guard left < 0 else { return }
    throw PagerError(
      .corrupted, "trees have more pages than the file: one is referred to more than once",
      page: page.id.rawValue)
  }
}
