/// A column in groups of neighbouring elements, of which another column says where each begins.
///
/// The group at an index begins at the element whose index the index column has there, and ends where
/// the next one begins, or with the column. Where that is nowhere, or in front of its beginning, the group is
/// empty.
///
/// Made by `grouped(by:)`.
public struct GroupedVector<Base: VectorReader, Index: VectorReader>
where Base.ReadError == Index.ReadError, Index.Element.Stored: BinaryInteger {
  let base: Base
  let index: Index

  /// The number of groups.
  public var count: Int { index.count }

  /// The indices of a group's elements.
  ///
  /// - Parameter group: below `count`.
  /// - Throws: as the columns.
  public func range(of group: Int) throws(Base.ReadError) -> Range<Int> {
    let start = place(try index.value(at: group))
    let end = group + 1 < index.count ? place(try index.value(at: group + 1)) : base.count
    return start..<Swift.max(start, end)
  }

  private func place(_ element: Index.Element) -> Int {
    Swift.max(0, Swift.min(Int(clamping: element.stored), base.count))
  }
}

/// A column that has one element for each group of another one, computed when it is read.
///
/// Made by the methods of `GroupedVector`.
public struct GroupAggregateReader<
  Base: VectorReader, Index: VectorReader, Element: VectorElement
>: VectorReader
where Base.ReadError == Index.ReadError, Index.Element.Stored: BinaryInteger {
  /// What reading the other columns throws.
  public typealias ReadError = Base.ReadError

  private let groups: GroupedVector<Base, Index>
  /// Whether there is something for empty groups.
  private let isTotal: Bool
  private let aggregate: @Sendable (Base, Range<Int>) throws(Base.ReadError) -> Element?

  init(
    _ groups: GroupedVector<Base, Index>, isTotal: Bool = false,
    _ aggregate: @escaping @Sendable (Base, Range<Int>) throws(Base.ReadError) -> Element?
  ) {
    self.groups = groups
    self.isTotal = isTotal
    self.aggregate = aggregate
  }

  /// The number of groups, holes included.
  public var count: Int { groups.count }

  /// A reader of the same elements, for another thread.
  ///
  /// - Throws: as the columns that it is made of.
  public func copy() throws(ReadError) -> GroupAggregateReader {
    let groups = GroupedVector(base: try groups.base.copy(), index: try groups.index.copy())
    return GroupAggregateReader(groups, isTotal: isTotal, aggregate)
  }

  /// The element at an index; for an empty group one whose bits are all 0.
  ///
  /// - Parameter index: below `count`.
  /// - Throws: as the columns that it is made of.
  public func value(at index: Int) throws(ReadError) -> Element {
    try aggregate(groups.base, try groups.range(of: index))
      ?? Element(stored: zeroBits(of: Element.Stored.self))
  }

  /// Hands over elements in runs of memory, in their order.
  ///
  /// - Parameters:
  ///   - range: of which elements.
  ///   - body: gets elements as they are stored, holes included, valid until it returns.
  /// - Throws: as the columns that it is made of.
  public func readSpans(
    in range: Range<Int>, _ body: (Span<Element.Stored>) -> Void
  ) throws(ReadError) {
    try forEachPiece(of: range, body) { (piece, room) throws(ReadError) in
      for index in piece { room.append(try value(at: index).stored) }
    }
  }

  /// The places of the holes in a range, ascending: those of the index column, and empty groups where
  /// there is nothing for them.
  ///
  /// - Parameter range: of indices.
  /// - Throws: as the columns that it is made of.
  public func holes(in range: Range<Int>) throws(ReadError) -> [Int] {
    let holes = try groups.index.holes(in: range)
    if isTotal { return holes }
    var empty: [Int] = []
    for index in range {
      let group = try groups.range(of: index)
      if try groups.base.presentCount(in: group) == 0 { empty.append(index) }
    }
    return union(holes, empty)
  }
}

extension VectorReader {
  /// This column in groups of neighbouring elements.
  ///
  /// ```swift
  /// let days = trades.grouped(by: firstTrades)
  /// let (volumes, closes) = (days.sum(), days.last())
  /// let busiest = volumes.max(in: nil)
  /// ```
  ///
  /// - Parameter index: a column that has, for each group, the index of its first element, ascending;
  ///   its reading throws the same, see `throwing(_:)`.
  /// - Complexity: O(1).
  public func grouped<Index: VectorReader>(
    by index: Index
  ) -> GroupedVector<Self, Index>
  where Index.ReadError == ReadError, Index.Element.Stored: BinaryInteger {
    GroupedVector(base: self, index: index)
  }

  /// The index of the first or the last element of a range that is no hole; nil when there is none.
  func presentIndex(in range: Range<Int>, isLast: Bool) throws(ReadError) -> Int? {
    let holes = try holes(in: range)
    guard holes.count < range.count else { return nil }
    var index = isLast ? range.upperBound - 1 : range.lowerBound
    for hole in isLast ? holes.reversed() : holes where hole == index {
      index += isLast ? -1 : 1
    }
    return index
  }
}

// Holes of the column are left out of its groups.
extension GroupedVector {
  /// How many elements each group has.
  public func elementCounts() -> GroupAggregateReader<Base, Index, Int> {
    GroupAggregateReader(self, isTotal: true) { (base, group) throws(Base.ReadError) in
      try base.presentCount(in: group)
    }
  }

  /// The first element of each group.
  public func first() -> GroupAggregateReader<Base, Index, Base.Element> { end(isLast: false) }

  /// The last element of each group.
  public func last() -> GroupAggregateReader<Base, Index, Base.Element> { end(isLast: true) }

  private func end(isLast: Bool) -> GroupAggregateReader<Base, Index, Base.Element> {
    GroupAggregateReader(self) { (base, group) throws(Base.ReadError) in
      guard let index = try base.presentIndex(in: group, isLast: isLast) else { return nil }
      return try base.value(at: index)
    }
  }
}

extension GroupedVector where Base.Element: VectorNumber {
  /// The sum of each group, as `VectorReader.sum(in:)` has it; 0 for empty ones.
  public func sum() -> GroupAggregateReader<Base, Index, Base.Element.Accumulator.Sum>
  where Base.Element.Accumulator.Sum: VectorElement {
    GroupAggregateReader(self, isTotal: true) { (base, group) throws(Base.ReadError) in
      try base.sum(in: group)
    }
  }

  /// The mean of each group.
  public func mean() -> GroupAggregateReader<Base, Index, Double> {
    GroupAggregateReader(self) { (base, group) throws(Base.ReadError) in
      try base.mean(in: group)
    }
  }

  /// The least element of each group; NaN only where there is nothing else.
  public func min() -> GroupAggregateReader<Base, Index, Base.Element> {
    GroupAggregateReader(self) { (base, group) throws(Base.ReadError) in
      if let least = try base.min(in: group) { return least }
      guard let index = try base.presentIndex(in: group, isLast: false) else { return nil }
      return try base.value(at: index)
    }
  }

  /// The greatest element of each group; NaN only where there is nothing else.
  public func max() -> GroupAggregateReader<Base, Index, Base.Element> {
    GroupAggregateReader(self) { (base, group) throws(Base.ReadError) in
      if let greatest = try base.max(in: group) { return greatest }
      guard let index = try base.presentIndex(in: group, isLast: false) else { return nil }
      return try base.value(at: index)
    }
  }
}
