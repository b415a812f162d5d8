internal import BTreeKV

/// Elements that are to be appended, in segments of a mebibyte: so what is there is not copied when more
/// comes.
@usableFromInline
struct AppendedElements<Stored> {
  /// All but the last one, each with as many elements as a segment has.
  @usableFromInline var full: ContiguousArray<ContiguousArray<Stored>> = []
  /// Fewer elements than a segment has.
  @usableFromInline var last: ContiguousArray<Stored> = []

  @usableFromInline init() {}

  /// A power of two.
  @inlinable static var segmentCountLog: Int {
    20 - (Int.bitWidth - (MemoryLayout<Stored>.stride - 1).leadingZeroBitCount)
  }

  @inlinable static var segmentCount: Int { 1 << segmentCountLog }

  @inlinable var count: Int { full.count << Self.segmentCountLog + last.count }

  @inlinable var isEmpty: Bool { full.isEmpty && last.isEmpty }

  @inlinable mutating func append(_ element: Stored) {
    last.append(element)
    if last.count == Self.segmentCount { beginSegment() }
  }

  @inlinable mutating func append(contentsOf elements: some Sequence<Stored>) {
    for element in elements { append(element) }
  }

  @inlinable mutating func append(contentsOf elements: [Stored]) {
    var rest = elements[...]
    while !rest.isEmpty {
      let piece = rest.prefix(Self.segmentCount - last.count)
      last.append(contentsOf: piece)
      if last.count == Self.segmentCount { beginSegment() }
      rest.removeFirst(piece.count)
    }
  }

  @usableFromInline @inline(never) mutating func beginSegment() {
    full.append(last)
    last = []
    // Whoever has filled one will mostly fill another.
    last.reserveCapacity(Self.segmentCount)
  }

  subscript(index: Int) -> Stored {
    get {
      let segment = index >> Self.segmentCountLog
      let place = index & (Self.segmentCount - 1)
      return segment < full.count ? full[segment][place] : last[place]
    }
    set {
      let segment = index >> Self.segmentCountLog
      let place = index & (Self.segmentCount - 1)
      if segment < full.count { full[segment][place] = newValue } else { last[place] = newValue }
    }
  }

  /// Drops the elements from a place on.
  mutating func truncate(to count: Int) {
    let segment = count >> Self.segmentCountLog
    if segment < full.count {
      last = full[segment]
      full.removeSubrange(segment...)
    }
    last.removeSubrange((count & (Self.segmentCount - 1))...)
  }

  /// Lends the bytes of the elements, in their order.
  func forEachSegment(
    _ body: (UnsafeRawBufferPointer) throws(DatabaseError) -> Void
  ) throws(DatabaseError) {
    for segment in full { try withStoredBytes(segment, body) }
    if !last.isEmpty { try withStoredBytes(last, body) }
  }
}
