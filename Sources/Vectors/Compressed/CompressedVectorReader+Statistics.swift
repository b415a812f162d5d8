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

  /// The places of all elements whose stored number lies in some bounds, ascending; holes don't count,
  /// and NaN lies in none.
  ///
  /// - Parameters:
  ///   - bounds: such as `10...20`, `5...`.
  ///   - range: must lie in the vector; nil means all.
  /// - Throws: as `element(at:)`.
  /// - Complexity: O(pages), and O(n) for pages with changes and those that have numbers both inside and
  ///   outside of the bounds.
  @inlinable
  public func indices<Bounds: RangeExpression<Element.Stored>>(
    where bounds: Bounds, in range: Range<Int>? = nil
  ) throws(DatabaseError) -> [Int] {
    var found: [Int] = []
    try forEachCandidate(in: range, bounds) { first, elements in
      // Written always and kept sometimes: no branch that could be predicted wrongly.
      withUnsafeTemporaryAllocation(of: Int.self, capacity: elements.count) { room in
        var count = 0
        for offset in 0..<elements.count {
          room[count] = first + offset
          count &+= bounds.contains(elements[unchecked: offset]) ? 1 : 0
        }
        found.append(contentsOf: UnsafeBufferPointer(rebasing: room[..<count]))
      }
    }
    if hasHoles { found.removeAll { isHole($0) } }
    return found
  }

  /// Hands over elements of pages that may have numbers in some bounds.
  @usableFromInline
  func forEachCandidate<Bounds: RangeExpression<Element.Stored>>(
    in range: Range<Int>?, _ bounds: Bounds,
    _ body: (Int, UnsafeBufferPointer<Element.Stored>) -> Void
  ) throws(DatabaseError) {
    try forEachRun(
      in: range ?? 0..<count,
      unless: { statistics, _ in
        guard statistics.hasBounds else { return true }
        return !bounds.mayHave(
          from: PageStatistics.number(statistics.minimum, as: Element.Stored.self),
          to: PageStatistics.number(statistics.maximum, as: Element.Stored.self))
      }, body)
  }
}

extension RangeExpression {
  /// Whether something from one value to another may lie in this.
  fileprivate func mayHave(from least: Bound, to greatest: Bound) -> Bool {
    switch self {
    case let bounds as ClosedRange<Bound>:
      bounds.lowerBound <= greatest && least <= bounds.upperBound
    case let bounds as Range<Bound>: bounds.lowerBound <= greatest && least < bounds.upperBound
    case let bounds as PartialRangeFrom<Bound>: bounds.lowerBound <= greatest
    case let bounds as PartialRangeThrough<Bound>: least <= bounds.upperBound
    case let bounds as PartialRangeUpTo<Bound>: least < bounds.upperBound
    default: true
    }
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

  /// The sum divided by the number of elements; nil when there is nothing.
  ///
  /// Holes don't count.
  ///
  /// - Parameter range: must lie in the vector; nil means all.
  /// - Throws: as `element(at:)`.
  /// - Complexity: as `min(in:)`.
  public func mean(in range: Range<Int>? = nil) throws(DatabaseError) -> Double? {
    let found = try statistics(in: range)
    return found.count == 0 ? nil : Int128(bitPattern: found.sum).divided(by: found.count)
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
  /// The sum divided by the number of elements; nil when there is nothing.
  ///
  /// Holes don't count.
  ///
  /// - Parameter range: must lie in the vector; nil means all.
  /// - Throws: as `element(at:)`.
  /// - Complexity: as `min(in:)`.
  public func mean(in range: Range<Int>? = nil) throws(DatabaseError) -> Double? {
    let found = try statistics(in: range)
    return found.count == 0 ? nil : PageStatistics.double(found.sum).divided(by: found.count)
  }
}
