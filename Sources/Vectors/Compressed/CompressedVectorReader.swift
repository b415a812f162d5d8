public import BTreeKV

/// The elements of a compressed vector as they were at one instant, for as long as this is held:
/// whatever is appended, changed, cut off or removed meanwhile.
///
/// It keeps pages that it has decompressed, as many as it was given memory for: finding an element of
/// one of these is a look at a table and a load. It is for one thread at a time; readers are cheap to
/// make. It pins what it shows, as a snapshot does, so that its space is not reused meanwhile.
///
/// ```swift
/// let prices = try CompressedVector<Double>.open("prices", in: database)
/// prices.append(contentsOf: [1.5, 2.5, 3])
/// try prices.write()
/// let reader = try prices.reader()
/// let (sum, greatest) = (try reader.sum(), try reader.max())
/// assert(sum == 7 && greatest == 3)
/// ```
public final class CompressedVectorReader<Element: VectorElement>
where Element.Stored: PcoNumber {
  /// The number of elements, holes included.
  public let count: Int
  @usableFromInline let countLog: Int
  /// The part of an index that is the place in its page.
  @usableFromInline let offsetMask: Int
  /// Decompressed pages, each in the place that its number says.
  @usableFromInline let slots: UnsafeMutableBufferPointer<Slot>
  @usableFromInline let slotMask: Int
  @usableFromInline let hasHoles: Bool
  let access: VectorAccess
  let layout: PageLayout
  let holeBlocks: [Int: HoleBlock]
  private let scratch = DecoderScratch()
  /// Pages with changes that are not folded, once somebody has asked.
  private var knownChangedPages: Set<Int>?

  /// Room for a page.
  @usableFromInline struct Slot {
    /// Which page is in it; -1 when there is none.
    @usableFromInline var page = -1
    /// As many as a page has; nil when there never was one.
    @usableFromInline var elements: UnsafeMutablePointer<Element.Stored>?
  }

  /// - Parameter access: of an instant or a transaction.
  init(_ access: VectorAccess, cacheByteCount: Int) throws(DatabaseError) {
    guard let layout = access.pages else {
      throw VectorAccess.unusable("the vector is not compressed")
    }
    self.access = access
    self.layout = layout
    countLog = layout.countLog
    offsetMask = layout.count - 1
    count = try access.pagedCount()
    var holeBlocks: [Int: HoleBlock] = [:]
    try access.forEachHoleBlock { (number, block) throws(DatabaseError) in
      holeBlocks[number] = block
      return true
    }
    self.holeBlocks = holeBlocks
    hasHoles = !holeBlocks.isEmpty
    // The file may lie about the count.
    let pageCount = Swift.min(count >> countLog + 1, 1 << 18)
    let room = Swift.max(2, cacheByteCount / layout.byteCount)
    // The greatest power of two for which there is room; if all pages fit, the least one with a place
    // for each: memory is taken when a page is.
    let slotCount =
      room >= pageCount
      ? Swift.max(2, 1 << (Int.bitWidth - (pageCount - 1).leadingZeroBitCount))
      : 1 << (Int.bitWidth - 1 - room.leadingZeroBitCount)
    slotMask = slotCount - 1
    slots = .allocate(capacity: slotCount)
    slots.initialize(repeating: Slot())
  }

  /// What another one shows, in memory of its own.
  ///
  /// - Parameter other: of which only what never changes is looked at: its thread goes on.
  init(_ other: CompressedVectorReader) {
    access = other.access
    layout = other.layout
    countLog = other.countLog
    offsetMask = other.offsetMask
    count = other.count
    holeBlocks = other.holeBlocks
    hasHoles = other.hasHoles
    slotMask = other.slotMask
    slots = .allocate(capacity: slotMask + 1)
    slots.initialize(repeating: Slot())
  }

  deinit {
    for slot in slots { slot.elements?.deallocate() }
    slots.deallocate()
  }

  @usableFromInline func missing(_ index: Int) -> DatabaseError {
    VectorAccess.unusable("there is no element \(index), the vector has \(count)")
  }

  func check(_ range: Range<Int>) throws(DatabaseError) {
    guard range.lowerBound >= 0, range.upperBound <= count else {
      throw VectorAccess.unusable("elements \(range) are not all in the vector's \(count)")
    }
  }

  /// How many elements a page has, or the tail.
  private func elementCount(of page: Int) -> Int {
    Swift.min(layout.count, count - page << countLog)
  }

  /// Decompresses a page into its slot.
  @usableFromInline @inline(never)
  func load(_ page: Int) throws(DatabaseError) -> UnsafeMutablePointer<Element.Stored> {
    let place = page & slotMask
    slots[place].page = -1
    let elements = slots[place].elements ?? .allocate(capacity: layout.count)
    slots[place].elements = elements
    try read(page, to: UnsafeMutableBufferPointer(start: elements, count: layout.count))
    slots[place].page = page
    return elements
  }

  private func read(
    _ page: Int, to room: UnsafeMutableBufferPointer<Element.Stored>
  ) throws(DatabaseError) {
    try access.readPage(
      page, count: elementCount(of: page), to: UnsafeMutableRawBufferPointer(room), scratch)
  }

  /// The stored element at an index, from a page that is decompressed now or was before.
  ///
  /// The shifts and differences are those without checks: the index is below the count.
  @inlinable @inline(__always)
  func stored(at index: Int) throws(DatabaseError) -> Element.Stored {
    guard UInt(bitPattern: index) < UInt(bitPattern: count) else { throw missing(index) }
    let page = index &>> countLog
    let slot = slots[page & slotMask]
    if slot.page == page { return slot.elements.unsafelyUnwrapped[index & offsetMask] }
    return try load(page)[index & offsetMask]
  }

  /// Whether a place is a hole: an element that was taken.
  ///
  /// - Parameter index: a valid index.
  public func isHole(_ index: Int) -> Bool {
    precondition(index >= 0 && index < count, "there is no element at this index")
    return holeBlocks[index / HoleBlock.count]?[index % HoleBlock.count] ?? false
  }

  /// The places of all holes, ascending.
  ///
  /// - Complexity: O(blocks of 1,024 with holes × log of their number).
  public var holes: [Int] {
    holeBlocks.keys.sorted().flatMap { number in
      (holeBlocks[number]?.offsets ?? []).lazy.map { number * HoleBlock.count + $0 }
        .filter { $0 < self.count }
    }
  }

  /// The element at an index, or nil when there is a hole.
  ///
  /// - Parameter index: below `count`.
  /// - Throws: `.invalidArgument`, `.corrupted`, `.inputOutput`, `.closed`, `.snapshotExpired`.
  /// - Complexity: O(1) if the page is kept; else it is decompressed.
  @inlinable public func element(at index: Int) throws(DatabaseError) -> Element? {
    let stored = try stored(at: index)
    return hasHoles && isHole(index) ? nil : Element(stored: stored)
  }

  /// Elements, holes as what was there before.
  ///
  /// - Parameter range: must lie in the vector; nil means all.
  /// - Throws: as `element(at:)`.
  /// - Complexity: O(n).
  @inlinable
  public func elements(in range: Range<Int>? = nil) throws(DatabaseError) -> [Element] {
    var elements: [Element] = []
    // Not all at once: the file may lie about their number.
    try forEachSpan(in: range) { span in
      for index in span.indices { elements.append(Element(stored: span[index])) }
    }
    return elements
  }

  /// Hands over elements as they are stored, in runs of memory and in their order; holes as what was
  /// there before.
  ///
  /// Whole pages are decompressed into memory for this call, and not kept.
  ///
  /// - Parameters:
  ///   - range: of which elements; nil means all. It must lie in the vector.
  ///   - body: gets elements, valid until it returns.
  /// - Throws: as `element(at:)`.
  /// - Complexity: O(n).
  public func forEachSpan(
    in range: Range<Int>? = nil, _ body: (Span<Element.Stored>) -> Void
  ) throws(DatabaseError) {
    try forEachRun(in: range ?? 0..<count) { _, elements in body(Span(_unsafeElements: elements)) }
  }

  // MARK: Pages in turn

  /// Hands over elements page by page, with the place of the first.
  ///
  /// - Parameters:
  ///   - range: of which elements.
  ///   - isSettled: gets the first place and the statistics of each page that lies in the range and
  ///     has no changes, and whether it may have holes; returns whether its elements need not be
  ///     looked at.
  ///   - body: gets elements, valid until it returns.
  func forEachRun(
    in range: Range<Int>, unless isSettled: ((Int, PageStatistics, Bool) -> Bool)? = nil,
    _ body: (Int, UnsafeBufferPointer<Element.Stored>) -> Void
  ) throws(DatabaseError) {
    try check(range)
    let room = UnsafeMutableBufferPointer<Element.Stored>.allocate(capacity: layout.count)
    defer { room.deallocate() }
    let changedPages = try isSettled == nil ? [] : changedPages()
    var cursor: VectorAccess.StatisticsCursor?
    var next = range.lowerBound
    while next < range.upperBound {
      let page = next >> countLog
      let start = page << countLog
      let end = Swift.min(range.upperBound, start + layout.count)
      let isWhole = end - next == layout.count
      if isWhole, let isSettled {
        var statistics = try statisticsCursor(cursor, from: page)
        let found = try statistics.take()
        cursor = statistics
        if !changedPages.contains(page), isSettled(next, found, mayHaveHoles(page)) {
          next = end
          continue
        }
      }
      if isWhole, slots[page & slotMask].page != page {
        try read(page, to: room)
        body(next, UnsafeBufferPointer(room))
      } else {
        // A copy, since `body` may read through this, too.
        let slot = slots[page & slotMask]
        let kept = slot.page == page ? slot.elements.unsafelyUnwrapped : try load(page)
        let part = UnsafeBufferPointer(start: kept + (next - start), count: end - next)
        _ = UnsafeMutableBufferPointer(rebasing: room[..<part.count]).update(fromContentsOf: part)
        body(next, UnsafeBufferPointer(rebasing: room[..<part.count]))
      }
      next = end
    }
  }

  private func statisticsCursor(
    _ known: VectorAccess.StatisticsCursor?, from page: Int
  ) throws(DatabaseError) -> VectorAccess.StatisticsCursor {
    if let known { return known }
    return try VectorAccess.StatisticsCursor(access, layout, from: page)
  }

  private func changedPages() throws(DatabaseError) -> Set<Int> {
    if let knownChangedPages { return knownChangedPages }
    let found = try access.changedPages()
    knownChangedPages = found
    return found
  }

  /// Whether one of the blocks of holes that a page touches has any.
  private func mayHaveHoles(_ page: Int) -> Bool {
    guard hasHoles else { return false }
    let first = page << countLog / HoleBlock.count
    let last = ((page + 1) << countLog - 1) / HoleBlock.count
    return (first...last).contains { holeBlocks[$0] != nil }
  }
}
