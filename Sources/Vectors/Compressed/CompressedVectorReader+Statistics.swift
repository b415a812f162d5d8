public import BTreeKV

// What statistics of pages answer without decompressing them.

extension CompressedVectorReader {
  /// What is known of elements that are no holes.
  func statistics(in range: Range<Int>?) throws(DatabaseError) -> PageStatistics {
    var result = PageStatistics()
    let type = layout.type
    try forEachRun(
      in: range ?? 0..<count,
      unless: { _, statistics, mayHaveHoles in
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
  /// - Complexity: O(pages + places found), and O(n) for pages with changes, with NaN, and those that
  ///   have numbers both inside and outside of the bounds.
  @inlinable
  public func indices<Bounds: RangeExpression<Element.Stored>>(
    where bounds: Bounds, in range: Range<Int>? = nil
  ) throws(DatabaseError) -> [Int] {
    var found: [Int] = []
    // Written always and kept sometimes: no branch that could be predicted wrongly.
    let room = UnsafeMutableBufferPointer<Int>.allocate(capacity: 1024)
    defer { room.deallocate() }
    try forEachCandidate(in: range, bounds) {
      found.append(contentsOf: $0)
    } _: { first, elements in
      var start = 0
      while start < elements.count {
        let end = Swift.min(elements.count, start + 1024)
        var count = 0
        for offset in start..<end {
          room[count] = first + offset
          count &+= bounds.contains(elements[unchecked: offset]) ? 1 : 0
        }
        found.append(contentsOf: UnsafeBufferPointer(rebasing: room[..<count]))
        start = end
      }
    }
    if hasHoles { found.removeAll { isHole($0) } }
    return found
  }

  /// Hands over elements of pages that may have numbers in some bounds.
  ///
  /// - Parameters:
  ///   - range: as for `indices`.
  ///   - bounds: as for `indices`.
  ///   - whole: gets the places of pages that have nothing but such numbers, in their order with the
  ///     others.
  ///   - body: gets the elements of the others.
  @usableFromInline
  func forEachCandidate<Bounds: RangeExpression<Element.Stored>>(
    in range: Range<Int>?, _ bounds: Bounds, whole: (Range<Int>) -> Void,
    _ body: (Int, UnsafeBufferPointer<Element.Stored>) -> Void
  ) throws(DatabaseError) {
    try withoutActuallyEscaping(whole) { (whole) throws(DatabaseError) in
      try forEachRun(
        in: range ?? 0..<count,
        unless: { first, statistics, _ in
          guard statistics.hasBounds else { return true }
          let least = PageStatistics.number(statistics.minimum, as: Element.Stored.self)
          let greatest = PageStatistics.number(statistics.maximum, as: Element.Stored.self)
          guard bounds.mayHave(from: least, to: greatest) else { return true }
          guard statistics.nanCount == 0, bounds.isInterval, bounds.contains(least),
            bounds.contains(greatest)
          else { return false }
          whole(first..<first + statistics.count)
          return true
        }, body)
    }
  }
}

extension RangeExpression {
  /// Whether this has everything between two values that it has; of types of others nobody knows.
  fileprivate var isInterval: Bool {
    self is ClosedRange<Bound> || self is Range<Bound> || self is PartialRangeFrom<Bound>
      || self is PartialRangeThrough<Bound> || self is PartialRangeUpTo<Bound>
  }

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
