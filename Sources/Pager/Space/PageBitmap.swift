/// One bit a page: set for used ones.
struct PageBitmap: Sendable {
  var words: [UInt64] = []

  /// Makes room for `pageCount` pages; new ones are unused.
  mutating func grow(toPageCount pageCount: Int) {
    let wordCount = (pageCount + 63) / 64
    if wordCount > words.count {
      words.append(contentsOf: repeatElement(0, count: wordCount - words.count))
    }
  }

  /// Whether the page is used; pages beyond the end are not.
  func contains(_ page: Int) -> Bool {
    let word = page / 64
    return word < words.count && words[word] >> UInt64(page % 64) & 1 != 0
  }

  /// Sets or clears the bits of a run that lies inside.
  ///
  /// - Returns: how many bits changed.
  @discardableResult
  mutating func set(_ used: Bool, _ range: Range<Int>) -> Int {
    var changed = 0
    var page = range.lowerBound
    while page < range.upperBound {
      let bit = page % 64
      let count = min(64 - bit, range.upperBound - page)
      let mask = (count == 64 ? UInt64.max : (1 << UInt64(count)) - 1) << UInt64(bit)
      let old = words[page / 64]
      let new = used ? old | mask : old & ~mask
      words[page / 64] = new
      changed += (old ^ new).nonzeroBitCount
      page += count
    }
    return changed
  }

  /// The first unused page in `range`, or nil.
  func firstUnused(in range: Range<Int>) -> Int? {
    var page = range.lowerBound
    while page < range.upperBound {
      let word = ~words[page / 64] >> UInt64(page % 64)
      if word != 0 {
        let found = page + word.trailingZeroBitCount
        return found < range.upperBound ? found : nil
      }
      page = (page / 64 + 1) * 64
    }
    return nil
  }

  /// The first run of `count` unused pages in `range`, or nil.
  func firstUnusedRun(of count: Int, in range: Range<Int>) -> Int? {
    guard var start = firstUnused(in: range) else { return nil }
    while start + count <= range.upperBound {
      guard let used = firstUsed(in: start..<start + count) else { return start }
      guard let next = firstUnused(in: used..<range.upperBound) else { return nil }
      start = next
    }
    return nil
  }

  /// The first used page in `range`, or nil.
  func firstUsed(in range: Range<Int>) -> Int? {
    var page = range.lowerBound
    while page < range.upperBound {
      let word = words[page / 64] >> UInt64(page % 64)
      if word != 0 {
        let found = page + word.trailingZeroBitCount
        return found < range.upperBound ? found : nil
      }
      page = (page / 64 + 1) * 64
    }
    return nil
  }

  /// The last used page below `end`, or nil.
  func lastUsed(below end: Int) -> Int? {
    var page = min(end, words.count * 64) - 1
    while page >= 0 {
      if words[page / 64] == 0 {
        page = page / 64 * 64 - 1
      } else if contains(page) {
        return page
      } else {
        page -= 1
      }
    }
    return nil
  }

  /// How many pages below `end` are used.
  func usedCount(below end: Int) -> Int {
    var count = 0
    for word in 0..<min(words.count, end / 64) { count += words[word].nonzeroBitCount }
    for page in (end / 64 * 64)..<end where contains(page) { count += 1 }
    return count
  }
}
