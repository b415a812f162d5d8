// Space that the file system has back although the file goes on behind it.
//
// A page that nobody uses may be a hole. Before such a page is given out it is allocated anew: who writes
// to it through a mapping, or after its write was acknowledged, must not find the disk full then
// (rule C7). Which pages are holes is not stored: a file that takes less room than its length says is
// taken to have holes wherever pages are unused, so that one copied by a tool that leaves out zeros is
// safe as well.

extension PageAllocator {
  /// How many pages of a hole are allocated for one of them, aligned to as many: growth in small steps
  /// would cost a system call a page.
  private static var fillPageCount: Int { 16 }

  func byteRange(_ pages: Range<Int>) -> Range<Int> {
    pages.lowerBound * layout.pageByteCount..<pages.upperBound * layout.pageByteCount
  }

  /// Takes all unused pages for holes.
  ///
  /// Lock held, or nobody else knows this allocator.
  func markUnusedAsHoles() {
    holes.grow(toPageCount: allocatedPageCount)
    var page = 0
    while let start = used.firstUnused(in: page..<allocatedPageCount) {
      let end = used.firstUsed(in: start..<allocatedPageCount) ?? allocatedPageCount
      holes.set(true, start..<end)
      page = end
    }
  }

  /// Makes sure that a page, which is unused, is really there.
  ///
  /// Lock held.
  @inline(__always)
  func fillHoles(around page: Int) throws(PagerError) {
    if holes.words.isEmpty || !holes.contains(page) { return }
    let first = page / Self.fillPageCount * Self.fillPageCount
    do throws(PagerError) {
      try fillHoles(in: first..<min(first + Self.fillPageCount, allocatedPageCount))
    } catch {
      guard error.code == .diskFull else { throw error }
      try fillHoles(in: page..<page + 1)
    }
  }

  /// Makes sure that pages are really there.
  ///
  /// Lock held.
  ///
  /// - Throws: `.diskFull`; nothing has changed then.
  func fillHoles(in range: Range<Int>) throws(PagerError) {
    var from = range.lowerBound
    while let start = holes.firstUsed(inKnown: from..<range.upperBound) {
      let end = holes.firstUnused(inKnown: start..<range.upperBound)
      try storage.allocate(byteRange: byteRange(start..<end))
      holes.clear(start..<end)
      from = end
    }
  }

  /// Where a hole that begins at or before a page ends; the next page, when there is none.
  ///
  /// Lock held.
  func endOfHole(_ page: Int) -> Int {
    guard !holes.words.isEmpty, holes.contains(page) else { return page + 1 }
    return holes.firstUnused(inKnown: page..<allocatedPageCount)
  }

  /// Gives runs of unused pages back to the file system.
  ///
  /// - Parameters:
  ///   - minimumPageCount: how long a run must be.
  ///   - minimumShare: how many pages must be unused and no hole yet, in percent of those in use.
  /// - Returns: how many pages were given back.
  /// - Complexity: O(pages / 64 + runs).
  package func punchHoles(minimumPageCount: Int, minimumShare: Int = 0) throws(PagerError) -> Int {
    lock.lock()
    defer { lock.unlock() }
    let free = allocatedPageCount - usedPageCount - holes.usedCount(below: allocatedPageCount)
    guard free >= minimumPageCount, free >= usedPageCount * minimumShare / 100 else { return 0 }
    holes.grow(toPageCount: allocatedPageCount)
    var punched = 0
    var page = 0
    while let start = used.firstUnused(in: page..<allocatedPageCount) {
      let end = used.firstUsed(in: start..<allocatedPageCount) ?? allocatedPageCount
      page = end
      guard end - start >= minimumPageCount,
        let first = (start..<end).first(where: { !holes.contains($0) }),
        !(first..<end).contains(where: { isBeingWritten(UInt64($0)) })
      else { continue }
      guard try storage.punchHole(byteRange: byteRange(first..<end)) else { return punched }
      punched += end - first - holes.usedCount(in: first..<end)
      holes.set(true, first..<end)
    }
    return punched
  }
}

extension PageBitmap {
  /// Clears the bits of a run as far as there are any.
  mutating func clear(_ range: Range<Int>) {
    let end = min(range.upperBound, words.count * 64)
    if range.lowerBound < end { set(false, range.lowerBound..<end) }
  }

  /// The first used page in a range that may reach behind the end, or nil.
  fileprivate func firstUsed(inKnown range: Range<Int>) -> Int? {
    let end = min(range.upperBound, words.count * 64)
    return range.lowerBound < end ? firstUsed(in: range.lowerBound..<end) : nil
  }

  /// The first unused page in a range that begins inside, or its end.
  fileprivate func firstUnused(inKnown range: Range<Int>) -> Int {
    firstUnused(in: range.lowerBound..<min(range.upperBound, words.count * 64)) ?? range.upperBound
  }

  fileprivate func usedCount(in range: Range<Int>) -> Int {
    range.reduce(0) { $0 + (contains($1) ? 1 : 0) }
  }
}
