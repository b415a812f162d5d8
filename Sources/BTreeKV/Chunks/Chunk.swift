internal import Pager

/// What the tree of chunks says of one chunk of a list.
///
/// A chunk is a value: a short one lies in the leaf, any other in a run of pages of its own, to which it
/// has the reference of a large value. Bytes are appended in place behind those that the reference
/// counts, which nobody reads; those that it counts never change there.
///
///     key   list's number (8 bytes, big-endian), chunk's index (8 bytes, big-endian)
struct Chunk {
  /// How many bytes all chunks of a list have but the last.
  static let fullByteCount = LargeValue.chunkByteCount

  var index: Int
  var byteCount: Int
  /// Where the bytes are; nil when they lie in the leaf.
  var extent: Extent?
  var birth = Epoch(0)
  /// Of the reference.
  var checksum: UInt64 = 0

  /// The pages that a full chunk takes.
  static func fullPageCount(_ pageByteCount: Int) -> Int { max(1, fullByteCount / pageByteCount) }

  /// The bytes in front of the chunk.
  var start: Int { index * Self.fullByteCount }
  /// The list's length up to the end of this chunk.
  var end: Int { start + byteCount }

  init(
    index: Int, byteCount: Int, extent: Extent? = nil, birth: Epoch = Epoch(0), checksum: UInt64 = 0
  ) {
    self.index = index
    self.byteCount = byteCount
    self.extent = extent
    self.birth = birth
    self.checksum = checksum
  }

  /// Reads what a leaf says of a chunk; nil when it makes no sense.
  init?(
    index: Int, payload: UnsafeRawBufferPointer, isLarge: Bool, pageByteCount: Int
  ) {
    self.index = index
    byteCount = payload.count
    guard isLarge else { return }
    guard payload.count == LargeValue.headerByteCount + LargeValue.extentByteCount,
      payload.loadUnaligned(fromByteOffset: 24, as: UInt16.self) == 1
    else { return nil }
    let length = payload.loadUnaligned(fromByteOffset: 0, as: UInt64.self)
    let low = UInt64(payload.loadUnaligned(fromByteOffset: 26, as: UInt32.self))
    let high = UInt64(payload.loadUnaligned(fromByteOffset: 30, as: UInt16.self))
    let pageCount = Int(payload.loadUnaligned(fromByteOffset: 32, as: UInt32.self))
    guard pageCount > 0, pageCount <= Self.fullPageCount(pageByteCount), high << 32 | low > 3,
      length > 0, length <= UInt64(min(Self.fullByteCount, pageCount * pageByteCount))
    else { return nil }
    byteCount = Int(length)
    checksum = payload.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
    birth = Epoch(payload.loadUnaligned(fromByteOffset: 16, as: UInt64.self))
    extent = Extent(first: PageID(high << 32 | low), pageCount: pageCount)
  }

  /// The chunk as the large value that it is.
  func value(in extent: Extent) -> LargeValue {
    LargeValue(byteCount: byteCount, checksum: checksum, birth: birth, extents: [extent])
  }

  /// Lends the reference of a chunk that lies in pages.
  func withReference<R>(
    to extent: Extent, _ body: (UnsafeRawBufferPointer) throws(PagerError) -> R
  ) throws(PagerError) -> R {
    var bytes: (UInt64, UInt64, UInt64, UInt64, UInt32) = (
      UInt64(byteCount), checksum, birth.rawValue, 0, UInt32(extent.pageCount)
    )
    // Run count, then the first page, of which six bytes are kept, then the page count at 32.
    bytes.3 = 1 | extent.first.rawValue << 16
    return try withUnsafeBytes(of: &bytes) { (raw) throws(PagerError) in
      try body(UnsafeRawBufferPointer(rebasing: raw[..<36]))
    }
  }

  /// The checksum of a reference to bytes whose own one is known.
  static func checksum(of sum: UInt64) -> UInt64 {
    withUnsafeBytes(of: sum) { checksum64($0, seed: 0) }
  }
}

/// The keys in the tree of chunks.
enum ChunkKey {
  static let byteCount = 16

  /// Lends the key of a chunk; an index above all others leads behind the list's last one.
  @inline(__always)
  static func with<R>(
    _ list: UInt64, _ index: Int, _ body: (UnsafeRawBufferPointer) throws(PagerError) -> R
  ) throws(PagerError) -> R {
    var key = (list.bigEndian, UInt64(index).bigEndian)
    return try withUnsafeBytes(of: &key) { (raw) throws(PagerError) in try body(raw) }
  }

  /// The key under which the tree says that a list is there at all.
  static func head(_ list: UInt64) -> [UInt8] {
    withUnsafeBytes(of: list.bigEndian) { Array($0) }
  }

  /// The keys from a chunk on, and the head too when the index is nil.
  static func range(_ list: UInt64, from index: Int?) -> KeyRange {
    let lower = index.map { head(list) + withUnsafeBytes(of: UInt64($0).bigEndian) { Array($0) } }
    return KeyRange(lower: lower ?? head(list), upper: head(list + 1))
  }

  /// The chunk's index if the key is that of one of the list's chunks.
  static func index(_ key: UnsafeRawBufferPointer, of list: UInt64) -> Int? {
    guard key.count == byteCount,
      UInt64(bigEndian: key.loadUnaligned(fromByteOffset: 0, as: UInt64.self)) == list
    else { return nil }
    let index = UInt64(bigEndian: key.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
    // So that no offset in bytes overflows.
    return index < 1 << 46 ? Int(index) : nil
  }

  /// The number of the list that a key of at least 8 bytes is about.
  static func list(_ key: UnsafeRawBufferPointer) -> UInt64 {
    UInt64(bigEndian: key.loadUnaligned(as: UInt64.self))
  }

  /// Whether a list may have the number.
  static func isList(_ id: UInt64) -> Bool { id > 0 && id < 1 << 62 }
}

// MARK: Reading the tree of chunks

extension Tree {
  private func damage(_ list: UInt64, _ index: Int) -> PagerError {
    PagerError(.corrupted, "what the file says of chunk \(index) of region \(list) makes no sense")
  }

  /// The last chunk of a list, or nil when it is empty.
  func lastChunk(of list: UInt64, root: TreeRoot?) throws(PagerError) -> Chunk? {
    let cursor = LeafCursor(tree: self, root: root)
    var target = ChunkKey.head(list + 1)
    while true {
      let isThere = try target.span.bytes.withUnsafeBytes { (key) throws(PagerError) in
        try cursor.load(key, .below)
      }
      guard isThere else { return nil }
      let end = target.withUnsafeBytes { cursor.lowerBound($0).index }
      if end > 0 {
        let entry = cursor.entry(end - 1)
        guard entry.key.count >= 8, ChunkKey.list(entry.key) == list else { return nil }
        if entry.key.count == 8 { return nil }
        // The chunks before it lie in the file: a made-up index must not ask for all memory.
        guard let index = ChunkKey.index(entry.key, of: list),
          index * Chunk.fullByteCount <= pager.allocator.pageCount * pageByteCount,
          let chunk = Chunk(
            index: index, payload: entry.payload, isLarge: entry.isLarge,
            pageByteCount: pageByteCount)
        else {
          throw PagerError(
            .corrupted, "what the file says of the last chunk of region \(list) makes no sense")
        }
        return chunk
      }
      guard let fence = cursor.lowerFence else { return nil }
      target = fence
    }
  }

  /// Hands over the chunks of a list in order, with the bytes of those that lie in leaves.
  ///
  /// - Parameters:
  ///   - range: the indices; each must be there.
  ///   - root: of a snapshot or of the transaction under way.
  func forEachChunk(
    of list: UInt64, _ range: Range<Int>, root: TreeRoot?,
    _ body: (Chunk, UnsafeRawBufferPointer) throws(PagerError) -> Void
  ) throws(PagerError) {
    let cursor = LeafCursor(tree: self, root: root)
    var next = range.lowerBound
    while next < range.upperBound {
      let isThere = try ChunkKey.with(list, next) { (key) throws(PagerError) in
        try cursor.load(key, .holding)
      }
      guard isThere else { throw damage(list, next) }
      let before = next
      var slot = try ChunkKey.with(list, next) { (key) throws(PagerError) in
        cursor.lowerBound(key).index
      }
      while slot < cursor.count, next < range.upperBound {
        let entry = cursor.entry(slot)
        guard ChunkKey.index(entry.key, of: list) == next,
          let chunk = Chunk(
            index: next, payload: entry.payload, isLarge: entry.isLarge,
            pageByteCount: pageByteCount)
        else { throw damage(list, next) }
        try body(chunk, entry.payload)
        slot += 1
        next += 1
      }
      guard next > before else { throw damage(list, next) }
    }
  }
}
