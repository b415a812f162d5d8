internal import Pager

// Dividing entries among pages.

extension Tree {
  /// The prefix of a leaf for these entries: what its range has in common.
  ///
  /// At the edge of the tree, where the range is open, what its keys have in common, until one
  /// comes that has not.
  func leafPrefix(_ range: Range<Int>, _ lower: [UInt8]?, _ upper: [UInt8]?) -> Int {
    let low = lower ?? entries.key(range.lowerBound)
    let high = upper ?? entries.key(range.upperBound - 1)
    return low.withUnsafeBytes { low in
      high.withUnsafeBytes { high in commonPrefixLength(low, high) }
    }
  }

  /// The prefix of a page for these entries.
  func prefixLength(
    _ range: Range<Int>, level: Int, _ lower: [UInt8]?, _ upper: [UInt8]?
  ) -> Int {
    if level == 0 { return leafPrefix(range, lower, upper) }
    guard let lower, let upper else { return 0 }
    return lower.withUnsafeBytes { low in
      upper.withUnsafeBytes { high in commonPrefixLength(low, high) }
    }
  }

  /// The shortest key that parts two neighbouring entries.
  func separator(between left: Int, _ right: Int) -> [UInt8] {
    entries.withKey(left) { low in
      entries.withKey(right) { high in shortestSeparator(above: low, notAbove: high) }
    }
  }

  /// Divides entries evenly among at least `pageCount` pages and builds these.
  func spread(
    _ work: inout Restructuring, _ range: Range<Int>, over pageCount: Int, level: Int,
    _ lower: [UInt8]?, _ upper: [UInt8]?
  ) throws(PagerError) -> [(key: [UInt8], child: PageReference)] {
    let prefix = prefixLength(range, level: level, lower, upper)
    var parts = pageCount
    while true {
      if let cuts = cuts(range, into: parts, level: level, prefix: prefix) {
        return try buildPages(&work, cuts, level: level, lower, upper)
      }
      parts += 1
      guard parts <= range.count else { throw keysOutOfRange() }
    }
  }

  /// Where to cut so that the parts are equally large and each fits a page, or nil.
  private func cuts(_ range: Range<Int>, into parts: Int, level: Int, prefix: Int) -> [Int]? {
    let isLeaf = level == 0
    let limit = capacity - 16
    var rest = entries.byteCount(range, prefix: prefix, isLeaf: isLeaf) - prefix
    var cuts = [range.lowerBound]
    var index = range.lowerBound
    for part in stride(from: parts, to: 1, by: -1) {
      let target = rest / part
      var size = 0
      while range.upperBound - index > part - 1 {
        let isFirst = index == cuts[cuts.count - 1]
        let next = entries.entryByteCount(index, prefix: isFirst && !isLeaf ? nil : prefix, isLeaf)
        // An entry goes to the side where more of it lies.
        if !isFirst, size + next / 2 > target || size + next + prefix > limit { break }
        size += next
        index += 1
      }
      guard size + prefix <= limit else { return nil }
      rest -= size
      cuts.append(index)
    }
    cuts.append(range.upperBound)
    let last = cuts[cuts.count - 2]..<range.upperBound
    guard !last.isEmpty,
      entries.byteCount(last, prefix: prefix, isLeaf: isLeaf) <= limit
    else { return nil }
    return cuts
  }

  /// Builds a page for each part.
  func buildPages(
    _ work: inout Restructuring, _ cuts: [Int], level: Int, _ lower: [UInt8]?, _ upper: [UInt8]?
  ) throws(PagerError) -> [(key: [UInt8], child: PageReference)] {
    var pages: [(key: [UInt8], child: PageReference)] = []
    var low = lower
    var key: [UInt8] = []
    for part in 0..<cuts.count - 1 {
      let range = cuts[part]..<cuts[part + 1]
      var high = upper
      if part + 2 < cuts.count {
        let cut = cuts[part + 1]
        high = level == 0 ? separator(between: cut - 1, cut) : entries.key(cut)
      }
      let prefix = prefixLength(range, level: level, low, high)
      pages.append((key, try makePage(&work, range, level: level, prefix: prefix)))
      low = high
      key = high ?? []
    }
    return pages
  }
}
