public import BTreeKV

/// The elements of a vector at one instant, to be read in runs of memory; what all analytics are
/// written over.
///
/// Ranges are of indices in the vector. Where none is given, all elements are meant; one that does
/// not lie in the vector is a programmer's error and traps.
public protocol VectorReader<Element>: SendableMetatype {
  /// The type of the elements.
  associatedtype Element: VectorElement
  /// What reading may throw; `Never` where elements are memory.
  associatedtype ReadError: Error

  /// The number of elements, holes included.
  var count: Int { get }

  /// A reader of the same elements, for another thread.
  ///
  /// It may be asked of any thread while this one is used.
  ///
  /// - Throws: as the kind of vector says.
  func copy() throws(ReadError) -> Self

  /// The element at an index; at a hole, what was there before.
  ///
  /// - Parameter index: below `count`.
  /// - Throws: as the kind of vector says.
  func value(at index: Int) throws(ReadError) -> Element

  /// Hands over elements in runs of memory, in their order.
  ///
  /// - Parameters:
  ///   - range: of which elements.
  ///   - body: gets elements as they are stored, holes included, valid until it returns.
  /// - Throws: as the kind of vector says.
  func readSpans(
    in range: Range<Int>, _ body: (Span<Element.Stored>) -> Void
  ) throws(ReadError)

  /// The places of the holes in a range, ascending.
  ///
  /// - Parameter range: of indices.
  /// - Throws: as the kind of vector says.
  func holes(in range: Range<Int>) throws(ReadError) -> [Int]
}

extension RawVectorReader: VectorReader {
  /// Nothing: the elements are memory.
  public typealias ReadError = Never

  /// This one, which is for all threads.
  @inlinable public func copy() -> RawVectorReader { self }

  /// The element at an index; at a hole, what was there before.
  ///
  /// - Parameter index: a valid index.
  @inlinable public func value(at index: Int) -> Element { self[index] }

  /// Hands over elements in runs of memory, as `forEachSpan` does.
  ///
  /// - Parameters:
  ///   - range: of which elements.
  ///   - body: gets elements as they are stored, valid until it returns.
  @inlinable public func readSpans(
    in range: Range<Int>, _ body: (Span<Element.Stored>) -> Void
  ) {
    forEachSpan(in: range, body)
  }

  /// The places of the holes in a range, ascending.
  ///
  /// - Parameter range: of indices.
  /// - Complexity: O(range / 1,024 + holes), O(1) when the vector has no holes.
  public func holes(in range: Range<Int>) -> [Int] { HoleBlock.holes(in: range, of: holeBlocks) }
}

extension CompressedVectorReader: VectorReader {
  /// What decompressing a page throws.
  public typealias ReadError = DatabaseError

  /// A reader of the same elements, for another thread; no page is decompressed in it.
  ///
  /// It may be asked of any thread while this one is used.
  public func copy() -> CompressedVectorReader { CompressedVectorReader(self) }

  /// The element at an index; at a hole, what was there before.
  ///
  /// - Parameter index: below `count`.
  /// - Throws: as `element(at:)`.
  @inlinable public func value(at index: Int) throws(DatabaseError) -> Element {
    Element(stored: try stored(at: index))
  }

  /// Hands over elements in runs of memory, as `forEachSpan` does.
  ///
  /// - Parameters:
  ///   - range: of which elements.
  ///   - body: gets elements as they are stored, valid until it returns.
  /// - Throws: as `element(at:)`.
  public func readSpans(
    in range: Range<Int>, _ body: (Span<Element.Stored>) -> Void
  ) throws(DatabaseError) {
    try forEachSpan(in: range, body)
  }

  /// The places of the holes in a range, ascending.
  ///
  /// - Parameter range: of indices.
  /// - Complexity: O(range / 1,024 + holes), O(1) when the vector has no holes.
  public func holes(in range: Range<Int>) -> [Int] { HoleBlock.holes(in: range, of: holeBlocks) }
}

extension HoleBlock {
  /// The places of the holes in a range of elements, ascending.
  fileprivate static func holes(in range: Range<Int>, of blocks: [Int: HoleBlock]) -> [Int] {
    guard !blocks.isEmpty, !range.isEmpty else { return [] }
    var found: [Int] = []
    for number in range.lowerBound / count...(range.upperBound - 1) / count {
      for offset in blocks[number]?.offsets ?? [] where range.contains(number * count + offset) {
        found.append(number * count + offset)
      }
    }
    return found
  }
}

// MARK: Runs without holes

/// How many elements are dealt with as one: analytics cut a vector at its multiples, so that sums and
/// threads come out the same whatever the range, changes and cores.
@usableFromInline let analysisBlockCount = 1 << 16

extension VectorReader {
  /// The range, or that of all elements.
  @inlinable func checked(_ range: Range<Int>?) -> Range<Int> {
    guard let range else { return 0..<count }
    precondition(
      range.lowerBound >= 0 && range.upperBound <= count, "there are not so many elements")
    return range
  }

  /// Cuts a range at the multiples of `analysisBlockCount`.
  @inlinable func forEachBlock(
    of range: Range<Int>, _ body: (Range<Int>) throws(ReadError) -> Void
  ) throws(ReadError) {
    var next = range.lowerBound
    while next < range.upperBound {
      let end = Swift.min(range.upperBound, (next / analysisBlockCount + 1) * analysisBlockCount)
      try body(next..<end)
      next = end
    }
  }

  /// Hands over runs of elements between holes, each with the index of its first one.
  @inlinable func forEachRun(
    in range: Range<Int>, _ body: (UnsafeBufferPointer<Element.Stored>, Int) -> Void
  ) throws(ReadError) {
    let holes = try holes(in: range)
    var next = range.lowerBound
    var hole = 0
    try readSpans(in: range) { span in
      span.withUnsafeBufferPointer { elements in
        var start = 0
        while hole < holes.count, holes[hole] - next < elements.count {
          let end = holes[hole] - next
          if start < end {
            body(UnsafeBufferPointer(rebasing: elements[start..<end]), next + start)
          }
          start = end + 1
          hole += 1
        }
        if start < elements.count {
          body(UnsafeBufferPointer(rebasing: elements[start...]), next + start)
        }
        next += elements.count
      }
    }
  }
}
