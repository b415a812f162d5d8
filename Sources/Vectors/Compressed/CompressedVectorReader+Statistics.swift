public import BTreeKV

// What statistics of pages answer without decompressing them.

extension CompressedVectorReader {
  /// What is known of elements that are no holes.
  func statistics(in range: Range<Int>?) throws(DatabaseError) -> PageStatistics {
    var result = PageStatistics()
    let type = layout.type
    try forEachRun(
      in: range ?? 0..<count,
      unless: { statistics, mayHaveHoles in
        if !mayHaveHoles { result.add(statistics, type) }
        return !mayHaveHoles
      },
      { first, elements in
        let present = self.hasHoles ? self.present(elements, from: first) : nil
        if let present {
          present.withUnsafeBytes { result.add(PageStatistics(of: $0, type), type) }
        } else {
          result.add(PageStatistics(of: UnsafeRawBufferPointer(elements), type), type)
        }
      })
    return result
  }

  /// The elements that are no holes.
  private func present(
    _ elements: UnsafeBufferPointer<Element.Stored>, from first: Int
  ) -> ContiguousArray<Element.Stored> {
    var present: ContiguousArray<Element.Stored> = []
    for (offset, element) in elements.enumerated() where !isHole(first + offset) {
      present.append(element)
    }
    return present
  }

  /// The least element, or nil when there is none; holes and NaN don't count.
  ///
  /// - Parameter range: must lie in the vector; nil means all.
  /// - Throws: as `element(at:)`.
  /// - Complexity: O(pages); those with changes or holes, and those that the range cuts, are
  ///   decompressed.
  public func min(in range: Range<Int>? = nil) throws(DatabaseError) -> Element? {
    let found = try statistics(in: range)
    return found.hasBounds
      ? Element(stored: PageStatistics.number(found.minimum, as: Element.Stored.self)) : nil
  }

  /// The greatest element, or nil when there is none; holes and NaN don't count.
  ///
  /// - Parameter range: must lie in the vector; nil means all.
  /// - Throws: as `element(at:)`.
  /// - Complexity: as `min(in:)`.
  public func max(in range: Range<Int>? = nil) throws(DatabaseError) -> Element? {
    let found = try statistics(in: range)
    return found.hasBounds
      ? Element(stored: PageStatistics.number(found.maximum, as: Element.Stored.self)) : nil
  }

  /// The places of all elements whose stored number is in a range, ascending; holes don't count.
  ///
  /// - Parameters:
  ///   - numbers: from the least to the greatest.
  ///   - range: must lie in the vector; nil means all.
  /// - Throws: as `element(at:)`.
  /// - Complexity: O(pages), and O(n) for pages with changes and those that have numbers both below
  ///   and above an end of the range.
  @inlinable
  public func indices(
    where numbers: ClosedRange<Element.Stored>, in range: Range<Int>? = nil
  ) throws(DatabaseError) -> [Int] {
    var found: [Int] = []
    try forEachCandidate(in: range, numbers) { first, elements in
      for (offset, element) in elements.enumerated()
      where numbers.lowerBound <= element && element <= numbers.upperBound {
        found.append(first + offset)
      }
    }
    if hasHoles { found.removeAll { isHole($0) } }
    return found
  }

  /// Hands over elements of pages that may have numbers in a range.
  @usableFromInline
  func forEachCandidate(
    in range: Range<Int>?, _ numbers: ClosedRange<Element.Stored>,
    _ body: (Int, UnsafeBufferPointer<Element.Stored>) -> Void
  ) throws(DatabaseError) {
    try forEachRun(
      in: range ?? 0..<count,
      unless: { statistics, _ in
        guard statistics.hasBounds else { return true }
        return numbers.upperBound
          < PageStatistics.number(statistics.minimum, as: Element.Stored.self)
          || PageStatistics.number(statistics.maximum, as: Element.Stored.self)
            < numbers.lowerBound
      }, body)
  }
}

extension CompressedVectorReader where Element.Stored: FixedWidthInteger {
  /// The sum of the elements as numbers; holes don't count.
  ///
  /// - Parameter range: must lie in the vector; nil means all.
  /// - Throws: as `element(at:)`.
  /// - Complexity: as `min(in:)`.
  public func sum(in range: Range<Int>? = nil) throws(DatabaseError) -> Int128 {
    Int128(bitPattern: try statistics(in: range).sum)
  }
}

extension CompressedVectorReader where Element.Stored: BinaryFloatingPoint {
  /// The sum of the elements as numbers; holes don't count.
  ///
  /// The elements of each page are added in their order, and then these sums.
  ///
  /// - Parameter range: must lie in the vector; nil means all.
  /// - Throws: as `element(at:)`.
  /// - Complexity: as `min(in:)`.
  public func sum(in range: Range<Int>? = nil) throws(DatabaseError) -> Double {
    PageStatistics.double(try statistics(in: range).sum)
  }
}
