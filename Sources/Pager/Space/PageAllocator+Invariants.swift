extension PageAllocator {
  /// What does not hold that must, between any two calls.
  ///
  /// - The count of used pages is that of the bits, and no page behind the file is used (rule C7: ids
  ///   come only from space that is really allocated).
  /// - Superblocks and slots of the free map are never given out (rule A3).
  /// - No hole is used, or behind the file.
  /// - A free page below `lowestUnused` is among the recently freed ones: else it is never found
  ///   again.
  ///
  /// - Complexity: O(pages / 64).
  package func invariantViolations() -> [String] { lock.withLock { violations() } }

  private func violations() -> [String] {
    var found: [String] = []
    let count = used.usedCount(below: allocatedPageCount)
    if count != usedPageCount {
      found.append("allocator: counts \(usedPageCount) used pages, but \(count) are")
    }
    if let last = used.lastUsed(below: used.words.count * 64), last >= allocatedPageCount {
      found.append("allocator: page \(last) is used, but the file has \(allocatedPageCount)")
    }
    found += used.missingFixedPages(layout, pageCount: allocatedPageCount).map {
      "allocator: page \($0), a superblock's or the free map's, is free"
    }
    for (index, word) in holes.words.enumerated()
    where word & (index < used.words.count ? used.words[index] : 0) != 0 {
      found.append("allocator: a hole is used, among pages \(index * 64) ..< \(index * 64 + 64)")
      break
    }
    if let last = holes.lastUsed(below: holes.words.count * 64), last >= allocatedPageCount {
      found.append("allocator: page \(last) is a hole, but the file has \(allocatedPageCount)")
    }
    var page = 0
    let recent = Set(recentlyFreed)
    while let free = used.firstUnused(in: page..<max(page, lowestUnused)) {
      if !recent.contains(UInt64(free)) {
        found.append("allocator: page \(free) is free but below all that are looked at")
        break
      }
      page = free + 1
    }
    return found
  }

  /// The pages of a free map that nobody uses here, at most ten.
  ///
  /// Rule A3: the allocator keeps everything that the durable map has.
  func pagesMissing(from bits: PageBitmap) -> [Int] {
    lock.withLock {
      var missing: [Int] = []
      for (index, word) in bits.words.enumerated() {
        var rest = word & ~(index < used.words.count ? used.words[index] : 0)
        while rest != 0, missing.count < 10 {
          missing.append(index * 64 + rest.trailingZeroBitCount)
          rest &= rest - 1
        }
      }
      return missing
    }
  }
}

extension PageBitmap {
  /// The superblocks and slots of the free map that are marked as free.
  func missingFixedPages(_ layout: FreeMapLayout, pageCount: Int) -> [Int] {
    ([0, 1] + layout.slotPages(in: 0..<pageCount)).filter { !contains($0) }
  }
}
