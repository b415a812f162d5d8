/// Which pages of the file may be given out now.
///
/// This is the volatile allocator: a page counts as used here while anything at all may still need
/// it: the tree, a pin, a mapping, the log or a write under way. What a checkpoint records instead
/// is exactly what its own cut reaches (`FreeMap`; rule A3).
///
/// Ids are given out only inside the part of the file that is really allocated (rule C7).
///
/// Why `@unchecked Sendable`: all mutable state is touched with `lock` held.
package final class PageAllocator: @unchecked Sendable {
  let lock = ConditionLock()
  let storage: any Storage
  let layout: FreeMapLayout
  let isBeingWritten: @Sendable (UInt64) -> Bool
  private let pageLimit: Int

  var used = PageBitmap()
  var allocatedPageCount: Int
  private var highest = 0
  var usedPageCount = 0
  /// Freed lately, so probably still in the cache; given out first.
  var recentlyFreed: [UInt64] = []
  /// No page below is unused, but for recently freed ones.
  var lowestUnused = 0
  private var prefersLowPages = false
  /// Unused pages for which the file may have no room on the medium: see `PageAllocator+Holes.swift`.
  var holes = PageBitmap()

  /// Whether the file had holes when it was opened.
  private let wasSparse: Bool

  /// An allocator for a file of `allocatedPageCount` pages of which those in `used` are used.
  ///
  /// - Parameter isSparse: whether any unused page may be a hole.
  init(
    storage: any Storage, layout: FreeMapLayout, allocatedPageCount: Int, used: PageBitmap,
    pageLimit: Int, isSparse: Bool = false,
    isBeingWritten: @escaping @Sendable (UInt64) -> Bool
  ) {
    self.storage = storage
    self.layout = layout
    self.allocatedPageCount = allocatedPageCount
    highest = allocatedPageCount
    self.used = used
    self.used.grow(toPageCount: allocatedPageCount)
    // A made-up map may speak of pages behind the file; when the file grows, they are free.
    self.used.set(false, allocatedPageCount..<self.used.words.count * 64)
    // The log may have made the file longer since the map was written, by a group of the map.
    for slot in layout.slotPages(in: 0..<allocatedPageCount) {
      self.used.set(true, slot..<slot + 1)
    }
    self.pageLimit = pageLimit
    self.isBeingWritten = isBeingWritten
    wasSparse = isSparse
    usedPageCount = self.used.usedCount(below: allocatedPageCount)
    if isSparse { markUnusedAsHoles() }
  }

  /// The most pages that the file has had: what came into use since a cut may lie behind its end by now.
  var highestPageCount: Int { lock.withLock { highest } }
  /// The length of the file in pages.
  package var pageCount: Int { lock.withLock { allocatedPageCount } }
  /// How many pages of the file nobody uses.
  package var freePageCount: Int { lock.withLock { allocatedPageCount - usedPageCount } }
  /// A copy of the bits, for checks.
  var usedBitmap: PageBitmap { lock.withLock { used } }

  /// Whether the lowest free page is given out first, so that the end of the file empties; otherwise
  /// those that were freed lately are.
  package func preferLowPages(_ prefers: Bool = true) {
    lock.withLock {
      prefersLowPages = prefers
      recentlyFreed.removeAll()
      lowestUnused = 0
    }
  }

  /// Gives out one page.
  package func allocatePage() throws(PagerError) -> PageID {
    lock.lock()
    defer { lock.unlock() }
    var full: PagerError?
    while let id = recentlyFreed.popLast() {
      if !used.contains(Int(id)), !isBeingWritten(id), let taken = try take(Int(id), &full) {
        return taken
      }
      lowestUnused = min(lowestUnused, Int(id))
    }
    var firstBusy: Int?
    var from = lowestUnused
    while true {
      while let page = used.firstUnused(in: from..<allocatedPageCount) {
        from = page + 1
        if isBeingWritten(UInt64(page)) {
          firstBusy = firstBusy ?? page
          continue
        }
        guard let id = try take(page, &full) else {
          firstBusy = firstBusy ?? page
          from = endOfHole(page)
          continue
        }
        lowestUnused = firstBusy ?? from
        return id
      }
      lowestUnused = firstBusy ?? allocatedPageCount
      try grow(by: 1, orThrow: &full)
    }
  }

  /// Makes the file longer; where that is not possible, the error of a hole that could not be filled
  /// says more.
  private func grow(by pageCount: Int, orThrow full: inout PagerError?) throws(PagerError) {
    do throws(PagerError) {
      try grow(by: pageCount)
    } catch {
      throw full ?? error
    }
    full = nil
  }

  /// Takes an unused page; nil when it is a hole for which there is no room on the medium.
  private func take(_ page: Int, _ full: inout PagerError?) throws(PagerError) -> PageID? {
    do throws(PagerError) {
      try fillHoles(around: page)
    } catch {
      guard error.code == .diskFull else { throw error }
      full = error
      return nil
    }
    usedPageCount += used.set(true, page..<page + 1)
    return PageID(UInt64(page))
  }

  /// Gives out a run of free pages that ends at or before a page, or nil when there is none.
  package func allocateExtent(pageCount: Int, below end: Int) -> Extent? {
    lock.lock()
    defer { lock.unlock() }
    var from = 0
    let end = min(end, allocatedPageCount)
    while from < end, let start = used.firstUnusedRun(of: pageCount, in: from..<end) {
      let run = start..<start + pageCount
      if let busy = run.last(where: { isBeingWritten(UInt64($0)) }) {
        from = busy + 1
        continue
      }
      guard (try? fillHoles(in: run)) != nil else { return nil }
      usedPageCount += used.set(true, run)
      return Extent(first: PageID(UInt64(start)), pageCount: pageCount)
    }
    return nil
  }

  /// Gives out a run of pages.
  package func allocateExtent(pageCount: Int) throws(PagerError) -> Extent {
    lock.lock()
    defer { lock.unlock() }
    guard pageCount < layout.pagesPerGroup - 8 else {
      throw PagerError(
        .valueTooLong, "a run of so many pages is not possible",
        expected: UInt64(layout.pagesPerGroup),
        found: UInt64(pageCount))
    }
    var full: PagerError?
    var from = 0
    while true {
      if let start = used.firstUnusedRun(of: pageCount, in: from..<allocatedPageCount) {
        let run = start..<start + pageCount
        if let busy = run.last(where: { isBeingWritten(UInt64($0)) }) {
          from = busy + 1
          continue
        }
        do throws(PagerError) {
          try fillHoles(in: run)
        } catch {
          // There may be room behind the hole that has none.
          guard error.code == .diskFull else { throw error }
          full = error
          from = max(start + 1, endOfHole(start))
          continue
        }
        usedPageCount += used.set(true, run)
        return Extent(first: PageID(UInt64(start)), pageCount: pageCount)
      }
      from = 0
      let tail = allocatedPageCount - ((used.lastUsed(below: allocatedPageCount) ?? -1) + 1)
      try grow(by: max(1, pageCount - tail), orThrow: &full)
    }
  }

  /// Gives out the run of pages that begins at a page, as long as it is free, up to a length.
  ///
  /// - Parameters:
  ///   - start: the first page.
  ///   - pageCount: how many are wanted.
  ///   - step: the run's length is a multiple of this.
  /// - Returns: nil when there are not even `step` free pages.
  package func allocateExtent(
    at start: UInt64, pageCount: Int, multipleOf step: Int
  ) -> Extent? {
    lock.lock()
    defer { lock.unlock() }
    let first = Int(start)
    guard first < allocatedPageCount else { return nil }
    let most = first..<min(first + pageCount, allocatedPageCount)
    var end = used.firstUsed(in: most) ?? most.upperBound
    if let busy = (first..<end).first(where: { isBeingWritten(UInt64($0)) }) { end = busy }
    let count = (end - first) / step * step
    guard count > 0, (try? fillHoles(in: first..<first + count)) != nil else { return nil }
    usedPageCount += used.set(true, first..<first + count)
    return Extent(first: PageID(start), pageCount: count)
  }

  /// Makes sure that pages in use are really there, before they are written through a mapping.
  ///
  /// Allocated pages that were never written may be holes in a copy of the file.
  package func secure(_ extent: Extent) throws(PagerError) {
    guard wasSparse else { return }
    let first = Int(extent.first.rawValue)
    try storage.allocate(byteRange: byteRange(first..<first + extent.pageCount))
  }

  /// Takes back what nobody needs any more.
  package func free(_ extent: Extent) throws(PagerError) {
    lock.lock()
    defer { lock.unlock() }
    let first = Int(extent.first.rawValue)
    let range = first..<first + extent.pageCount
    guard range.upperBound <= allocatedPageCount, used.set(false, range) == extent.pageCount else {
      // rule F4: somebody else may own it by now.
      throw PagerError(
        .corrupted, "pages are given back that are not in use", page: extent.first.rawValue)
    }
    usedPageCount -= extent.pageCount
    if extent.pageCount == 1, !prefersLowPages {
      recentlyFreed.append(extent.first.rawValue)
    } else {
      lowestUnused = min(lowestUnused, first)
    }
  }

  /// Marks pages as used that recovery found named in the log.
  ///
  /// - Returns: whether none of them was used already.
  @discardableResult
  func reserve(_ extent: Extent) -> Bool {
    lock.withLock {
      let first = Int(extent.first.rawValue)
      let range = first..<first + extent.pageCount
      let changed = used.set(true, range)
      usedPageCount += changed
      holes.clear(range)
      return changed == extent.pageCount
    }
  }

  /// Extends the file; a little generously, so that growth costs little an operation.
  private func grow(by needed: Int) throws(PagerError) {
    let wish = max(needed, min(max(allocatedPageCount / 8, 16), (64 << 20) / layout.pageByteCount))
    // The slots of the free map lie in the way of a run at each group's start.
    let least = needed + 8
    var target = layout.wholeGroups(min(allocatedPageCount + wish + 8, pageLimit - 4))
    let floor = allocatedPageCount + least
    guard target >= min(floor, pageLimit), allocatedPageCount + needed <= pageLimit else {
      throw PagerError(
        .outOfAddressSpace, "the file has outgrown the addresses reserved at open; open it again")
    }
    while true {
      do throws(PagerError) {
        try storage.allocate(
          byteRange: byteRange(allocatedPageCount..<target))
        break
      } catch {
        guard error.code == .diskFull, target > floor else { throw error }
        let less = max(floor, allocatedPageCount + (target - allocatedPageCount) / 4)
        target = layout.wholeGroups(less)
      }
    }
    let old = allocatedPageCount
    used.grow(toPageCount: target)
    allocatedPageCount = target
    highest = max(highest, target)
    for slot in layout.slotPages(in: old..<target) {
      usedPageCount += used.set(true, slot..<slot + 1)
    }
  }

  /// The length to which the file can be cut.
  package var truncatedPageCount: Int {
    lock.withLock {
      layout.wholeGroups(max(4, (used.lastUsedBesidesSlots(layout, allocatedPageCount) ?? 0) + 1))
    }
  }

  /// Gives out nothing behind the last used page before the file grows anew.
  ///
  /// The file itself is cut by `cutFile`, once the superblock speaks of the new length.
  ///
  /// - Returns: whether that is less than before.
  func retract() -> Bool {
    lock.withLock {
      let last = used.lastUsedBesidesSlots(layout, allocatedPageCount) ?? 0
      let end = layout.wholeGroups(max(4, last + 1))
      guard end < allocatedPageCount else { return false }
      usedPageCount -= used.set(false, end..<allocatedPageCount)
      holes.clear(end..<allocatedPageCount)
      allocatedPageCount = end
      recentlyFreed.removeAll()
      lowestUnused = 0
      return true
    }
  }

  /// Cuts the file to the length that is in use.
  func cutFile() throws(PagerError) {
    lock.lock()
    defer { lock.unlock() }
    try storage.truncate(to: allocatedPageCount * layout.pageByteCount)
  }

  /// Cuts the file to a length behind the last used page.
  ///
  /// Nobody may map or write beyond it.
  package func truncate(to end: Int) throws(PagerError) {
    lock.lock()
    defer { lock.unlock() }
    guard end < allocatedPageCount else { return }
    try storage.truncate(to: end * layout.pageByteCount)
    usedPageCount -= used.set(false, end..<allocatedPageCount)
    holes.clear(end..<allocatedPageCount)
    allocatedPageCount = end
    recentlyFreed.removeAll()
    lowestUnused = 0
  }
}

extension PageBitmap {
  /// The last used page that is not a slot of the free map in a group where nothing else is used.
  fileprivate func lastUsedBesidesSlots(_ layout: FreeMapLayout, _ pageCount: Int) -> Int? {
    var end = pageCount
    while let last = lastUsed(below: end) {
      let group = last / layout.pagesPerGroup
      guard group > 0, last == layout.slotPage(group: group, slot: 1) else { return last }
      end = layout.slotPage(group: group, slot: 0)
    }
    return nil
  }
}
