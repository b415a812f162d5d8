/// A column whose elements are made of the last ones, so many, of another one when they are read.
///
/// Made by `windowed(over:_:)`.
public struct WindowedVectorReader<Base: VectorReader, Element: VectorElement>: VectorReader {
  /// What reading the other column throws.
  public typealias ReadError = Base.ReadError

  @usableFromInline let base: Base
  @usableFromInline let width: Int
  @usableFromInline let transform: @Sendable (Span<Base.Element>) -> Element

  @usableFromInline init(
    _ base: Base, _ width: Int, _ transform: @escaping @Sendable (Span<Base.Element>) -> Element
  ) {
    precondition(width > 0, "a window has at least one element")
    self.base = base
    self.width = width
    self.transform = transform
  }

  /// The number of elements, holes included.
  @inlinable public var count: Int { base.count }

  /// A reader of the same elements, for another thread.
  ///
  /// - Throws: as the column that it is made of.
  @inlinable public func copy() throws(ReadError) -> WindowedVectorReader {
    WindowedVectorReader(try base.copy(), width, transform)
  }

  /// Where the window begins that ends at an index.
  @inlinable func start(of index: Int) -> Int { Swift.max(0, index - (width - 1)) }

  /// The element at an index; at a hole, what is made of that which was there.
  ///
  /// - Parameter index: below `count`.
  /// - Throws: as the column that it is made of.
  @inlinable public func value(at index: Int) throws(ReadError) -> Element {
    let window = try base.elements(start(of: index)..<index + 1)
    return transform(window.span)
  }

  /// Hands over elements in runs of memory, in their order.
  ///
  /// - Parameters:
  ///   - range: of which elements.
  ///   - body: gets elements as they are stored, holes included, valid until it returns.
  /// - Throws: as the column that it is made of.
  @inlinable public func readSpans(
    in range: Range<Int>, _ body: (Span<Element.Stored>) -> Void
  ) throws(ReadError) {
    var inputs: ContiguousArray<Base.Element> = []
    // Each piece reads the window in front of it again.
    let pieceCount = Swift.max(lazyPieceCount, Swift.min(width, count))
    try forEachPiece(of: range, pieceCount: pieceCount, body) { (piece, room) throws(ReadError) in
      let first = start(of: piece.lowerBound)
      inputs.removeAll(keepingCapacity: true)
      try base.append(first..<piece.upperBound, to: &inputs)
      let span = inputs.span
      for index in piece {
        room.append(
          transform(span.extracting(start(of: index) - first..<index + 1 - first)).stored)
      }
    }
  }

  /// The places of the holes in a range, ascending: those whose window has one.
  ///
  /// - Parameter range: of indices.
  /// - Throws: as the column that it is made of.
  public func holes(in range: Range<Int>) throws(ReadError) -> [Int] {
    guard !range.isEmpty else { return [] }
    var found: [Int] = []
    var next = range.lowerBound
    for hole in try base.holes(in: start(of: range.lowerBound)..<range.upperBound) {
      let end = Swift.min(range.upperBound - hole, width) + hole
      if next < end { found += Swift.max(next, hole)..<end }
      next = Swift.max(next, end)
    }
    return found
  }
}

/// A column whose elements are made of another one's and of those so many before when they are read.
///
/// Made by `changes(over:_:)`.
public struct ChangeVectorReader<Base: VectorReader, Element: VectorElement>: VectorReader {
  /// What reading the other column throws.
  public typealias ReadError = Base.ReadError

  @usableFromInline let base: Base
  @usableFromInline let lag: Int
  @usableFromInline let compare: @Sendable (Base.Element, Base.Element) -> Element

  @usableFromInline init(
    _ base: Base, _ lag: Int, _ compare: @escaping @Sendable (Base.Element, Base.Element) -> Element
  ) {
    precondition(lag > 0, "a change is against an element before")
    self.base = base
    self.lag = lag
    self.compare = compare
  }

  /// The number of elements, holes included.
  @inlinable public var count: Int { base.count }

  /// A reader of the same elements, for another thread.
  ///
  /// - Throws: as the column that it is made of.
  @inlinable public func copy() throws(ReadError) -> ChangeVectorReader {
    ChangeVectorReader(try base.copy(), lag, compare)
  }

  /// The element at an index; where there is none before, what the change against itself is.
  ///
  /// - Parameter index: below `count`.
  /// - Throws: as the column that it is made of.
  @inlinable public func value(at index: Int) throws(ReadError) -> Element {
    let element = try base.value(at: index)
    return compare(element, index < lag ? element : try base.value(at: index - lag))
  }

  /// Hands over elements in runs of memory, in their order.
  ///
  /// - Parameters:
  ///   - range: of which elements.
  ///   - body: gets elements as they are stored, holes included, valid until it returns.
  /// - Throws: as the column that it is made of.
  @inlinable public func readSpans(
    in range: Range<Int>, _ body: (Span<Element.Stored>) -> Void
  ) throws(ReadError) {
    var before: ContiguousArray<Base.Element> = []
    try forEachPiece(of: range, body) { (piece, room) throws(ReadError) in
      let alone = Swift.min(Swift.max(lag, piece.lowerBound), piece.upperBound)
      before.removeAll(keepingCapacity: true)
      try base.append(piece.lowerBound..<alone, to: &before)
      if alone < piece.upperBound {
        try base.append(alone - lag..<piece.upperBound - lag, to: &before)
      }
      try base.readSpans(in: piece) { span in
        for index in span.indices {
          room.append(compare(Base.Element(stored: span[index]), before[room.count]).stored)
        }
      }
    }
  }

  /// The places of the holes in a range, ascending: the first ones, and where either element is a hole.
  ///
  /// - Parameter range: of indices.
  /// - Throws: as the column that it is made of.
  public func holes(in range: Range<Int>) throws(ReadError) -> [Int] {
    let alone = Swift.min(Swift.max(lag, range.lowerBound), range.upperBound)
    var before: [Int] = []
    if alone < range.upperBound {
      before = try base.holes(in: alone - lag..<range.upperBound - lag).map { $0 + lag }
    }
    return union(
      Array(range.lowerBound..<alone), try base.holes(in: alone..<range.upperBound), before)
  }
}

extension VectorReader {
  /// A column of what a closure makes of the last elements, so many, computed when it is read.
  ///
  /// The first windows are shorter. Where a window has a hole in it, there is one.
  ///
  /// ```swift
  /// let ranges = prices.windowed(over: 3) { window in
  ///   var (least, greatest) = (window[0], window[0])
  ///   for index in window.indices {
  ///     least = min(least, window[index])
  ///     greatest = max(greatest, window[index])
  ///   }
  ///   return greatest - least
  /// }
  /// let calmest = ranges.min(in: nil)
  /// ```
  ///
  /// - Parameters:
  ///   - width: how many elements a window has, at least 1; there is room for twice as many.
  ///   - transform: gets a window, the element at the index last; it is called anew at each read, in any
  ///     order.
  /// - Complexity: O(1).
  @inlinable public func windowed<Result: VectorElement>(
    over width: Int, _ transform: @escaping @Sendable (Span<Element>) -> Result
  ) -> WindowedVectorReader<Self, Result> {
    WindowedVectorReader(self, width, transform)
  }

  /// A column of what a closure makes of each element and the one so many before, computed when it is
  /// read.
  ///
  /// The first elements, which have none before them, are holes, and so are those where either is.
  ///
  /// ```swift
  /// let growth = counts.changes(over: 2) { Int64($0) - Int64($1) }
  /// ```
  ///
  /// - Parameters:
  ///   - lag: how many elements before, at least 1.
  ///   - compare: gets an element and the one before; it is called anew at each read, in any order.
  /// - Complexity: O(1).
  @inlinable public func changes<Result: VectorElement>(
    over lag: Int, _ compare: @escaping @Sendable (Element, Element) -> Result
  ) -> ChangeVectorReader<Self, Result> {
    ChangeVectorReader(self, lag, compare)
  }
}

extension VectorReader where Element: VectorNumber & SignedNumeric {
  /// A column of how much greater each element is than the one so many before, computed when it is read.
  ///
  /// The first elements, which have none before them, are holes, and so are those where either is. An
  /// integer that does not fit traps, as with `-`.
  ///
  /// - Parameter lag: how many elements before, at least 1.
  /// - Complexity: O(1).
  @inlinable public func changes(over lag: Int = 1) -> ChangeVectorReader<Self, Element> {
    changes(over: lag) { $0 - $1 }
  }
}
