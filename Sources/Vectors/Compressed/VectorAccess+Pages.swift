internal import BTreeKV
internal import Pager

// The elements of compressed vectors: pages, each a value of the tree of records, and behind them the
// tail, fewer elements than a page has, which are the list's bytes. What is done to elements elsewhere
// is the same for all vectors, and comes here for those that have not changed.

extension VectorAccess {
  /// How many pages there are; 0 for raw vectors.
  func pageCount() throws(DatabaseError) -> Int {
    guard let pages else { return 0 }
    let cursor = try records.cursor(
      in: VectorKey.range(list.id, .pageStatistics, 0..<1 << 46), reversed: true)
    guard let entry = try cursor.next() else { return 0 }
    // So that no place overflows.
    guard let last = VectorKey.lastNumber(entry.key), last < (1 << 46) >> pages.countLog else {
      throw damage("a page")
    }
    return last + 1
  }

  /// How many elements are behind the last page, of a compressed vector.
  private func tailCount() throws(DatabaseError) -> Int {
    let byteCount = try list.byteCount(chunks)
    guard byteCount % stride == 0, byteCount / stride < blockCount else {
      throw damage("a vector's tail")
    }
    return byteCount / stride
  }

  /// The number of elements of a compressed vector; of an instant or a transaction.
  func pagedCount() throws(DatabaseError) -> Int {
    try pageCount() * blockCount + tailCount()
  }

  func byteRange(_ range: Range<Int>, from start: Int = 0) -> Range<Int> {
    (range.lowerBound - start) * stride..<(range.upperBound - start) * stride
  }

  /// Lends elements of one block as they were before any change that is not folded.
  ///
  /// - Parameter range: must be there, and lie in the block.
  func withUnchanged<R>(
    _ range: Range<Int>, _ body: (UnsafeRawBufferPointer) -> R
  ) throws(DatabaseError) -> R {
    guard let pages else { return try list.withMappedBytes(byteRange(range), chunks, body) }
    let page = range.lowerBound / blockCount
    let start = page * blockCount
    let pageCount = try pageCount()
    guard page < pageCount else {
      guard page == pageCount, range.upperBound <= start + (try tailCount()) else {
        throw damage("a vector's length")
      }
      return try list.withMappedBytes(byteRange(range, from: start), chunks, body)
    }
    let room = UnsafeMutableRawBufferPointer.allocate(byteCount: pages.byteCount, alignment: 64)
    defer { room.deallocate() }
    try decodePage(page, to: room, DecoderScratch())
    return body(UnsafeRawBufferPointer(rebasing: room[byteRange(range, from: start)]))
  }

  /// Decompresses a page, without what has changed of it.
  ///
  /// - Parameter room: as large as a page.
  func decodePage(
    _ page: Int, to room: UnsafeMutableRawBufferPointer, _ scratch: DecoderScratch
  ) throws(DatabaseError) {
    guard let pages, let base = room.baseAddress, room.count == pages.byteCount,
      let bytes = try records.lookup(VectorKey.make(list.id, .page, page))
    else { throw damage("page \(page) of a vector") }
    let result = bytes.withUnsafeBytes { bytes in
      Result { () throws(PcoError) in try pages.decode(bytes, to: base, scratch) }
    }
    if case .failure(let error) = result {
      throw DatabaseError(
        PagerError(.corrupted, "page \(page) of a vector can't be decompressed: \(error)"))
    }
  }

  /// The elements of a page, or of the tail, as they are now.
  ///
  /// - Parameters:
  ///   - count: how many there are.
  ///   - room: as large as a page.
  func readPage(
    _ page: Int, count: Int, to room: UnsafeMutableRawBufferPointer, _ scratch: DecoderScratch
  ) throws(DatabaseError) {
    let part = UnsafeMutableRawBufferPointer(rebasing: room[..<(count * stride)])
    if count == blockCount {
      try decodePage(page, to: room, scratch)
    } else {
      try withUnchanged(page * blockCount..<page * blockCount + count) { part.copyMemory(from: $0) }
    }
    try changes(of: page)?.apply(to: part, from: 0, stride: stride)
  }

  /// Compresses a page and stores it, in place of the one that was there; in a transaction.
  private func storePage(
    _ page: Int, _ bytes: UnsafeRawBufferPointer
  ) throws(DatabaseError) {
    guard let pages, let base = bytes.baseAddress, bytes.count == pages.byteCount else {
      throw damage("page \(page) of a vector")
    }
    try records.insert(
      VectorKey.make(list.id, .page, page), pages.encode(base, level: level))
    try records.insert(
      VectorKey.make(list.id, .pageStatistics, page), PageStatistics(of: bytes, pages.type).encoded)
  }

  /// Appends elements: what fills a page becomes one, the rest is the tail; in a transaction.
  ///
  /// - Parameter bytes: elements, aligned for them.
  /// - Returns: how many elements were there before.
  func appendPaged(_ bytes: UnsafeRawBufferPointer) throws(DatabaseError) -> Int {
    var page = try pageCount()
    let tailByteCount = try tailCount() * stride
    let pageByteCount = blockCount * stride
    let before = page * blockCount + tailByteCount / stride
    var next = 0
    if tailByteCount > 0, tailByteCount + bytes.count >= pageByteCount {
      next = pageByteCount - tailByteCount
      let room = UnsafeMutableRawBufferPointer.allocate(byteCount: pageByteCount, alignment: 64)
      defer { room.deallocate() }
      try list.withMappedBytes(0..<tailByteCount, chunks) { room.copyMemory(from: $0) }
      UnsafeMutableRawBufferPointer(rebasing: room[tailByteCount...])
        .copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<next]))
      if let changes = try changes(of: page) {
        changes.apply(to: room, from: 0, stride: stride)
        try records.remove(VectorKey.make(list.id, .changes, page))
      }
      try setTail(nil, keeping: 0)
      try storePage(page, UnsafeRawBufferPointer(room))
      page += 1
    }
    while bytes.count - next >= pageByteCount {
      try storePage(page, UnsafeRawBufferPointer(rebasing: bytes[next..<next + pageByteCount]))
      next += pageByteCount
      page += 1
    }
    if next < bytes.count {
      let (list, chunks) = (list, chunks)
      try converting { () throws(PagerError) in
        _ = try list.append(UnsafeRawBufferPointer(rebasing: bytes[next...]), chunks, nil)
      }
    }
    return before
  }

  /// Cuts the list, and appends to what is left.
  private func setTail(
    _ bytes: UnsafeRawBufferPointer?, keeping byteCount: Int
  ) throws(DatabaseError) {
    let (list, chunks) = (list, chunks)
    try converting { () throws(PagerError) in
      try list.truncate(to: byteCount, thenAppend: bytes, chunks, nil)
    }
  }

  /// Drops elements from a place on, but not what is noted of them; in a transaction.
  func cutUnchanged(to count: Int) throws(DatabaseError) {
    let pageCount = try pageCount()
    let page = count / blockCount
    guard page < pageCount else {
      return try setTail(nil, keeping: (count - pageCount * blockCount) * stride)
    }
    // What is left of the page that is cut is the tail.
    var rest: [UInt8] = []
    if count % blockCount > 0 { rest = try withUnchanged(page * blockCount..<count) { Array($0) } }
    for kind in [VectorKey.Kind.page, .pageStatistics] {
      try records.removeRange(VectorKey.range(list.id, kind, page..<1 << 46))
    }
    try rest.span.bytes.withUnsafeBytes { (bytes) throws(DatabaseError) in
      try setTail(bytes, keeping: 0)
    }
  }

  /// Writes over elements; in a transaction.
  ///
  /// - Parameter writes: ascending, each of a whole block, or of all that the last one has.
  func overwrite(_ writes: [(offset: Int, bytes: [UInt8])]) throws(DatabaseError) {
    if pages != nil {
      for write in writes { try overwrite(write.bytes, at: write.offset) }
      return
    }
    var next = writes.makeIterator()
    let (list, chunks) = (list, chunks)
    try converting { () throws(PagerError) in
      try list.changeAtOnce(chunks, nil) { () throws(PagerError) in
        try list.write(chunks) { next.next() }
      }
    }
  }

  private func overwrite(_ bytes: [UInt8], at byteOffset: Int) throws(DatabaseError) {
    let pageByteCount = blockCount * stride
    let page = byteOffset / pageByteCount
    let offset = byteOffset - page * pageByteCount
    guard page < (try pageCount()) else {
      let (list, chunks) = (list, chunks)
      return try bytes.span.bytes.withUnsafeBytes { (bytes) throws(DatabaseError) in
        try converting { () throws(PagerError) in try list.write(bytes, at: offset, chunks, nil) }
      }
    }
    try bytes.span.bytes.withUnsafeBytes { (bytes) throws(DatabaseError) in
      try storePage(page, bytes)
    }
  }

  /// The statistics of pages, one after the other.
  struct StatisticsCursor {
    private let access: VectorAccess
    private let layout: PageLayout
    private let cursor: Cursor
    private var next: Int

    init(_ access: VectorAccess, _ layout: PageLayout, from page: Int) throws(DatabaseError) {
      self.access = access
      self.layout = layout
      next = page
      cursor = try access.records.cursor(
        in: VectorKey.range(access.list.id, .pageStatistics, page..<1 << 46))
    }

    /// Those of the next page, which must be there.
    mutating func take() throws(DatabaseError) -> PageStatistics {
      guard let entry = try cursor.next(), VectorKey.lastNumber(entry.key) == next,
        let statistics = PageStatistics(entry.value, layout)
      else { throw access.damage("page \(next) of a vector") }
      next += 1
      return statistics
    }
  }

  /// The pages of which something has changed that is not folded.
  func changedPages() throws(DatabaseError) -> Set<Int> {
    var found: Set<Int> = []
    let cursor = try records.cursor(in: VectorKey.range(list.id, .changes, 0..<1 << 46))
    while let entry = try cursor.next() {
      guard let page = VectorKey.lastNumber(entry.key) else { throw damage("changed elements") }
      found.insert(page)
    }
    return found
  }
}
