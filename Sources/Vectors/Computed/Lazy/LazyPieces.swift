// What lazy columns have in common: they compute pieces of bounded size, whatever is asked for.

/// How many elements are computed at once; pieces end at multiples of it, so that of a compressed
/// source each page is decompressed once.
@usableFromInline let lazyPieceCount = 1 << 13

extension VectorReader {
  /// Computes a range piece by piece, each into the same memory.
  ///
  /// - Parameters:
  ///   - pieceCount: how many elements a piece has at most.
  ///   - compute: appends the elements of a piece.
  @inlinable func forEachPiece(
    of range: Range<Int>, pieceCount: Int = lazyPieceCount,
    _ body: (Span<Element.Stored>) -> Void,
    _ compute: (Range<Int>, inout ContiguousArray<Element.Stored>) throws(ReadError) -> Void
  ) throws(ReadError) {
    precondition(
      range.lowerBound >= 0 && range.upperBound <= count, "there are not so many elements")
    var room: ContiguousArray<Element.Stored> = []
    room.reserveCapacity(Swift.min(range.count, pieceCount))
    var next = range.lowerBound
    while next < range.upperBound {
      let end = Swift.min(range.upperBound, (next / pieceCount + 1) * pieceCount)
      room.removeAll(keepingCapacity: true)
      try compute(next..<end, &room)
      body(room.span)
      next = end
    }
  }

  /// Appends the elements of a range to others.
  @inlinable func append(
    _ range: Range<Int>, to elements: inout ContiguousArray<Element>
  ) throws(ReadError) {
    elements.reserveCapacity(elements.count + range.count)
    try readSpans(in: range) { span in
      for index in span.indices { elements.append(Element(stored: span[index])) }
    }
  }

  /// The elements of a range.
  @inlinable func elements(_ range: Range<Int>) throws(ReadError) -> ContiguousArray<Element> {
    var elements: ContiguousArray<Element> = []
    try append(range, to: &elements)
    return elements
  }
}

/// The numbers of several ascending lists, each once.
func union(_ lists: [Int]...) -> [Int] {
  let all = lists.filter { !$0.isEmpty }
  guard all.count > 1 else { return all.first ?? [] }
  var found: [Int] = []
  for number in all.flatMap({ $0 }).sorted() where found.last != number { found.append(number) }
  return found
}

/// Elements without meaning, for places where there is a hole: all bits are 0.
func zeroBits<Stored>(of type: Stored.Type) -> Stored {
  withUnsafeTemporaryAllocation(of: type, capacity: 1) { room in
    UnsafeMutableRawBufferPointer(room).initializeMemory(as: UInt8.self, repeating: 0)
    return room[0]
  }
}
