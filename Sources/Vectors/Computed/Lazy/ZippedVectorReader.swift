/// A column whose elements are made of those of two others when they are read.
///
/// Made by `zipped(with:_:)`.
public struct ZippedVectorReader<First: VectorReader, Second: VectorReader, Element: VectorElement>:
  VectorReader
where First.ReadError == Second.ReadError {
  /// What reading the other columns throws.
  public typealias ReadError = First.ReadError

  @usableFromInline let first: First
  @usableFromInline let second: Second
  @usableFromInline let combine: @Sendable (First.Element, Second.Element) -> Element

  @usableFromInline init(
    _ first: First, _ second: Second,
    _ combine: @escaping @Sendable (First.Element, Second.Element) -> Element
  ) {
    self.first = first
    self.second = second
    self.combine = combine
  }

  /// The number of elements, holes included: that of the shorter column.
  @inlinable public var count: Int { Swift.min(first.count, second.count) }

  /// A reader of the same elements, for another thread.
  ///
  /// - Throws: as the columns that it is made of.
  @inlinable public func copy() throws(ReadError) -> ZippedVectorReader {
    ZippedVectorReader(try first.copy(), try second.copy(), combine)
  }

  /// The element at an index; at a hole, what is made of that which was there.
  ///
  /// - Parameter index: below `count`.
  /// - Throws: as the columns that it is made of.
  @inlinable public func value(at index: Int) throws(ReadError) -> Element {
    combine(try first.value(at: index), try second.value(at: index))
  }

  /// Hands over elements in runs of memory, in their order.
  ///
  /// - Parameters:
  ///   - range: of which elements.
  ///   - body: gets elements as they are stored, holes included, valid until it returns.
  /// - Throws: as the columns that it is made of.
  @inlinable public func readSpans(
    in range: Range<Int>, _ body: (Span<Element.Stored>) -> Void
  ) throws(ReadError) {
    var left: ContiguousArray<First.Element> = []
    try forEachPiece(of: range, body) { (piece, room) throws(ReadError) in
      left.removeAll(keepingCapacity: true)
      try first.append(piece, to: &left)
      try second.readSpans(in: piece) { span in
        for index in span.indices {
          room.append(combine(left[room.count], Second.Element(stored: span[index])).stored)
        }
      }
    }
  }

  /// The places of the holes in a range, ascending: those of either column.
  ///
  /// - Parameter range: of indices.
  /// - Throws: as the columns that it is made of.
  public func holes(in range: Range<Int>) throws(ReadError) -> [Int] {
    union(try first.holes(in: range), try second.holes(in: range))
  }
}

/// A column whose elements are made of those of three others when they are read.
///
/// Made by `zipped(with:_:_:)`.
public struct TripleZippedVectorReader<
  First: VectorReader, Second: VectorReader, Third: VectorReader, Element: VectorElement
>: VectorReader
where First.ReadError == Second.ReadError, First.ReadError == Third.ReadError {
  /// What reading the other columns throws.
  public typealias ReadError = First.ReadError

  @usableFromInline let first: First
  @usableFromInline let second: Second
  @usableFromInline let third: Third
  @usableFromInline
  let combine: @Sendable (First.Element, Second.Element, Third.Element) -> Element

  @usableFromInline init(
    _ first: First, _ second: Second, _ third: Third,
    _ combine: @escaping @Sendable (First.Element, Second.Element, Third.Element) -> Element
  ) {
    self.first = first
    self.second = second
    self.third = third
    self.combine = combine
  }

  /// The number of elements, holes included: that of the shortest column.
  @inlinable public var count: Int {
    Swift.min(first.count, Swift.min(second.count, third.count))
  }

  /// A reader of the same elements, for another thread.
  ///
  /// - Throws: as the columns that it is made of.
  @inlinable public func copy() throws(ReadError) -> TripleZippedVectorReader {
    TripleZippedVectorReader(try first.copy(), try second.copy(), try third.copy(), combine)
  }

  /// The element at an index; at a hole, what is made of that which was there.
  ///
  /// - Parameter index: below `count`.
  /// - Throws: as the columns that it is made of.
  @inlinable public func value(at index: Int) throws(ReadError) -> Element {
    combine(
      try first.value(at: index), try second.value(at: index), try third.value(at: index))
  }

  /// Hands over elements in runs of memory, in their order.
  ///
  /// - Parameters:
  ///   - range: of which elements.
  ///   - body: gets elements as they are stored, holes included, valid until it returns.
  /// - Throws: as the columns that it is made of.
  @inlinable public func readSpans(
    in range: Range<Int>, _ body: (Span<Element.Stored>) -> Void
  ) throws(ReadError) {
    var left: ContiguousArray<First.Element> = []
    var middle: ContiguousArray<Second.Element> = []
    try forEachPiece(of: range, body) { (piece, room) throws(ReadError) in
      left.removeAll(keepingCapacity: true)
      middle.removeAll(keepingCapacity: true)
      try first.append(piece, to: &left)
      try second.append(piece, to: &middle)
      try third.readSpans(in: piece) { span in
        for index in span.indices {
          let (a, b) = (left[room.count], middle[room.count])
          room.append(combine(a, b, Third.Element(stored: span[index])).stored)
        }
      }
    }
  }

  /// The places of the holes in a range, ascending: those of any column.
  ///
  /// - Parameter range: of indices.
  /// - Throws: as the columns that it is made of.
  public func holes(in range: Range<Int>) throws(ReadError) -> [Int] {
    union(
      try first.holes(in: range), try second.holes(in: range), try third.holes(in: range))
  }
}

extension VectorReader {
  /// A column of what a closure makes of the elements of two at each index, computed when it is read.
  ///
  /// It is as long as the shorter one; where either has a hole, so has it.
  ///
  /// ```swift
  /// let spread = highs.zipped(with: lows) { $0 - $1 }
  /// let widest = spread.max(in: nil)
  /// ```
  ///
  /// - Parameters:
  ///   - other: a column whose reading throws the same; see `throwing(_:)`.
  ///   - combine: makes an element of two; it is called anew at each read, in any order.
  /// - Complexity: O(1).
  @inlinable public func zipped<Other: VectorReader, Result: VectorElement>(
    with other: Other, _ combine: @escaping @Sendable (Element, Other.Element) -> Result
  ) -> ZippedVectorReader<Self, Other, Result> where Other.ReadError == ReadError {
    ZippedVectorReader(self, other, combine)
  }

  /// A column of what a closure makes of the elements of three at each index, computed when it is read.
  ///
  /// It is as long as the shortest one; where one has a hole, so has it.
  ///
  /// - Parameters:
  ///   - second: a column whose reading throws the same; see `throwing(_:)`.
  ///   - third: likewise.
  ///   - combine: makes an element of three; it is called anew at each read, in any order.
  /// - Complexity: O(1).
  @inlinable
  public func zipped<Second: VectorReader, Third: VectorReader, Result: VectorElement>(
    with second: Second, _ third: Third,
    _ combine: @escaping @Sendable (Element, Second.Element, Third.Element) -> Result
  ) -> TripleZippedVectorReader<Self, Second, Third, Result>
  where Second.ReadError == ReadError, Third.ReadError == ReadError {
    TripleZippedVectorReader(self, second, third, combine)
  }
}
