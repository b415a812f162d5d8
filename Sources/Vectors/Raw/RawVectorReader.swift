internal import BTreeKV
internal import Pager

/// The elements of a raw vector as they were at one instant, for as long as this or a copy of it is
/// held: whatever is appended, changed, cut off, folded or removed meanwhile.
///
/// They are shown in place, as they lie in the file, without looking at checksums; what has changed and
/// is not folded yet comes from memory. Any number of threads may use one. It keeps the file open; the
/// database must not be closed by `close()` while elements are in use.
///
/// ```swift
/// let prices = try RawVector<Double>.open("prices", in: database)
/// prices.append(contentsOf: [1.5, 2.5, 3])
/// try prices.write()
/// let reader = try prices.reader()
/// let sum = reader.reduce(0, +)
/// assert(reader[1] == 2.5 && sum == 7)
/// ```
///
/// Why `@unchecked Sendable`: nobody writes to what `elements` shows.
public struct RawVectorReader<Element: VectorElement>: @unchecked Sendable {
  /// The list's own bytes; what has changed is in `patches`.
  @usableFromInline let elements: UnsafeBufferPointer<Element.Stored>
  @usableFromInline let patches: VectorPatches?
  /// How many elements there are if none has changed; else 0: so one comparison is all that a
  /// subscript needs mostly.
  @usableFromInline let unchangedCount: UInt
  let holeBlocks: [Int: HoleBlock]
  private let owner: ChunkReader

  init(_ vector: VectorAccess, _ reading: ChunkReading) throws(DatabaseError) {
    let (reader, chunks) = try vector.list.readerAndView(vector.chunks, reading)
    let kept = try vector.at(chunks)
    owner = reader
    elements = UnsafeBufferPointer(
      start: reader.bytes.baseAddress?.assumingMemoryBound(to: Element.Stored.self),
      count: reader.bytes.count / vector.stride)
    patches = try VectorPatches(kept, count: elements.count)
    unchangedCount = patches == nil ? UInt(elements.count) : 0
    var holeBlocks: [Int: HoleBlock] = [:]
    try kept.forEachHoleBlock { (number, block) throws(DatabaseError) in
      holeBlocks[number] = block
      return true
    }
    self.holeBlocks = holeBlocks
  }

  /// Whether the elements are a copy; otherwise they are the file's own.
  public var isCopy: Bool { owner.isCopy }

  /// Whether a place is a hole: an element that was taken.
  ///
  /// - Parameter index: a valid index.
  public func isHole(_ index: Int) -> Bool {
    precondition(indices.contains(index), "there is no element at this index")
    return holeBlocks[index / HoleBlock.count]?[index % HoleBlock.count] ?? false
  }

  /// The places of all holes, ascending.
  ///
  /// - Complexity: O(blocks of 1,024 with holes × log of their number).
  public var holes: [Int] {
    holeBlocks.keys.sorted().flatMap { number in
      (holeBlocks[number]?.offsets ?? []).lazy.map { number * HoleBlock.count + $0 }
        .filter { $0 < elements.count }
    }
  }

  /// The element at an index, or nil when there is a hole.
  ///
  /// - Parameter index: a valid index.
  public func element(at index: Int) -> Element? { isHole(index) ? nil : self[index] }
}

extension RawVectorReader: RandomAccessCollection {
  /// The first index.
  @inlinable public var startIndex: Int { 0 }
  /// The index behind the last one; the number of elements, holes included.
  @inlinable public var endIndex: Int { elements.count }

  /// The element at an index; at a hole, what was there before.
  ///
  /// - Parameter index: a valid index.
  /// - Complexity: O(1); where changes are not folded, O(log changes of a block).
  @inlinable public subscript(index: Int) -> Element {
    if UInt(bitPattern: index) < unchangedCount {
      return Element(stored: elements[unchecked: index])
    }
    return changedElement(index)
  }

  /// The element at an index of a vector that has changes.
  @inlinable @inline(never) func changedElement(_ index: Int) -> Element {
    precondition(index >= 0 && index < elements.count, "there is no element at this index")
    if let value = patches?.value(of: index) {
      return Element(stored: value.assumingMemoryBound(to: Element.Stored.self).pointee)
    }
    return Element(stored: elements[index])
  }
}

// MARK: Runs of memory

extension RawVectorReader {
  /// All elements side by side in memory, as they are stored.
  ///
  /// - Complexity: O(1), without a copy; where changes are not folded, O(n) at the first use, for a
  ///   copy: then `forEachSpan` is better.
  @inlinable public var storedSpan: Span<Element.Stored> {
    @_lifetime(borrow self)
    get {
      guard let patches else {
        return _overrideLifetime(Span(_unsafeElements: elements), borrowing: self)
      }
      let whole = patches.whole(of: UnsafeRawBufferPointer(elements))
      return _overrideLifetime(
        Span(_unsafeElements: whole.assumingMemoryBound(to: Element.Stored.self)), borrowing: self)
    }
  }

  /// Hands over elements in runs of memory, in their order: those of blocks without changes in place,
  /// others copied.
  ///
  /// ```swift
  /// var sum: UInt64 = 0
  /// reader.forEachSpan { span in
  ///   for index in span.indices { sum &+= span[index] }
  /// }
  /// ```
  ///
  /// - Parameters:
  ///   - range: of which elements; nil means all. It must lie in the vector.
  ///   - body: gets elements as they are stored, valid until it returns.
  /// - Throws: what `body` throws.
  /// - Complexity: O(n), without copies but for blocks of 64 KiB that have changes.
  @inlinable public func forEachSpan<Failure: Error>(
    in range: Range<Int>? = nil, _ body: (Span<Element.Stored>) throws(Failure) -> Void
  ) throws(Failure) {
    let range = range ?? 0..<elements.count
    precondition(
      range.lowerBound >= 0 && range.upperBound <= elements.count, "there are not so many elements")
    guard let patches else {
      if range.isEmpty { return }
      return try body(Span(_unsafeElements: UnsafeBufferPointer(rebasing: elements[range])))
    }
    var next = range.lowerBound
    while next < range.upperBound {
      let (end, hasChanges) = patches.run(from: next, to: range.upperBound)
      if hasChanges {
        let room = UnsafeMutableBufferPointer<Element.Stored>.allocate(capacity: end - next)
        defer { room.deallocate() }
        patches.copy(
          next..<end, of: UnsafeRawBufferPointer(elements), to: UnsafeMutableRawBufferPointer(room))
        try body(Span(_unsafeElements: UnsafeBufferPointer(room)))
      } else {
        try body(Span(_unsafeElements: UnsafeBufferPointer(rebasing: elements[next..<end])))
      }
      next = end
    }
  }
}

extension RawVectorReader where Element.Stored == Element {
  /// All elements side by side in memory.
  ///
  /// - Complexity: as `storedSpan`.
  @inlinable public var span: Span<Element> {
    @_lifetime(borrow self)
    get { storedSpan }
  }
}
