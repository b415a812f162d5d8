internal import Pager

/// A list of chunks whose bytes are entries, one behind the other, and the tree that tells where the
/// newest entry of each key lies: what an entry store is made of.
///
/// Payloads begin at multiples of 64 bytes; behind each lie its key and an `EntryTrailer`. The tree has
/// the list's number (8 bytes, big-endian) and the key as its key, an `EntryPlace` as its value. Keys
/// are compared as a whole, so nothing depends on hashes.
///
/// There is one object for each handle; what is written is told by the list's own end.
package final class EntryLog: Sendable {
  let list: ChunkList
  package let chunks: TreeAccess
  let index: TreeAccess
  var engine: Engine { list.engine }

  package init(_ list: ChunkList, chunks: TreeAccess, index: TreeAccess) {
    self.list = list
    self.chunks = chunks
    self.index = index
  }

  /// The number of the list, which is the store's.
  package var listID: UInt64 { list.id }

  /// The longest key, in bytes.
  package var maximumKeyByteCount: Int { index.tree.maximumKeyByteCount - 8 }

  func damage(_ what: String) -> PagerError {
    PagerError(.corrupted, "\(what) of entry store \(list.id) makes no sense", path: engine.path)
  }

  /// Lends a key as the tree has it.
  @inline(__always)
  func withIndexKey<R>(
    _ key: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) throws(PagerError) -> R
  ) throws(PagerError) -> R {
    if key.count <= 56 {
      var room: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64)
      room = (list.id.bigEndian, 0, 0, 0, 0, 0, 0, 0)
      return try withUnsafeMutableBytes(of: &room) { (room) throws(PagerError) in
        if let from = key.baseAddress, let to = room.baseAddress {
          (to + 8).copyMemory(from: from, byteCount: key.count)
        }
        return try body(UnsafeRawBufferPointer(rebasing: room[..<(8 + key.count)]))
      }
    }
    let whole = ChunkKey.head(list.id) + key
    return try whole.span.bytes.withUnsafeBytes { (whole) throws(PagerError) in try body(whole) }
  }

  /// The keys of the tree that begin with these bytes.
  func indexRange(prefix: [UInt8]) -> KeyRange { .prefix(ChunkKey.head(list.id) + prefix) }

  // MARK: Finding

  /// What a lookup in the tree came to.
  enum Found {
    case place(EntryPlace)
    case nothing
    case nonsense

    @inline(__always)
    init(_ payload: UnsafeRawBufferPointer, isLarge: Bool) {
      self = isLarge ? .nonsense : EntryPlace(payload).map { .place($0) } ?? .nonsense
    }
  }

  /// Where the newest entry of a key lies.
  @inline(__always)
  func find(
    _ key: UnsafeRawBufferPointer, root: TreeRoot?
  ) throws(PagerError) -> EntryPlace? {
    guard key.count <= maximumKeyByteCount else { return nil }
    let found = try withIndexKey(key) { (key) throws(PagerError) in
      try index.tree.withPayload(of: key, root: root) { Found($0, isLarge: $1) }
    }
    return try place(found)
  }

  @inline(__always)
  func place(_ found: Found?) throws(PagerError) -> EntryPlace? {
    switch found ?? .nothing {
    case .place(let place): return place
    case .nothing: return nil
    case .nonsense: throw damage("what the tree says of a key")
    }
  }

  package func contains(_ key: UnsafeRawBufferPointer) throws(DatabaseError) -> Bool {
    try index.read { (root) throws(PagerError) in try find(key, root: root) != nil }
  }

  /// This handle, or one of a snapshot of what it shows when that may change under a reader.
  package func stable() throws(DatabaseError) -> EntryLog {
    try converting { () throws(PagerError) in try stableLog() }
  }

  private func stableLog() throws(PagerError) -> EntryLog {
    let index = try index.stable()
    guard case .live = chunks.mode, case .snapshot(_, let pin) = index.mode else { return self }
    let root = try pin.root(of: list.tree)
    let chunks = TreeAccess(self.chunks.file, list.tree, .snapshot(root, pin))
    return EntryLog(list, chunks: chunks, index: index)
  }

  // MARK: Reading

  /// The newest entry of a key; valid as long as it is held.
  package func read(_ key: UnsafeRawBufferPointer) throws(DatabaseError) -> EntryBytes? {
    if case .live = chunks.mode, engine.pager.storage.unchangingBytes == nil {
      switch try readMapped(key) {
      case .entry(let entry): return entry
      case .nothing: return nil
      case .unmapped: break
      }
      // Makes what is there now mapped for all readers, where that is possible.
      guard try contains(key) else { return nil }
      if try list.byteCount(chunks) > Chunk.fullByteCount {
        if list.layout.version & 1 == 0 {
          _ = try list.mappedReader(chunks)
          switch try readMapped(key) {
          case .entry(let entry): return entry
          case .nothing: return nil
          case .unmapped: break
          }
        }
        // Places change at the moment, or the system refuses mappings: this entry, not the whole store.
        return try readCopy(key)
      }
    }
    let log = try stable()
    let place = try log.index.read { (root) throws(PagerError) in try log.find(key, root: root) }
    guard let place else { return nil }
    return try log.entry(at: place, keyByteCount: key.count)
  }

  private enum Mapped {
    case entry(EntryBytes)
    case nothing
    /// The bytes are not mapped, or get other places at the moment.
    case unmapped
  }

  /// Reads what others have mapped already, without taking a snapshot: while a layout is in force,
  /// places in it stay what they are.
  private func readMapped(_ key: UnsafeRawBufferPointer) throws(DatabaseError) -> Mapped {
    let (version, mapping) = list.layout.mapping()
    guard let mapping, version & 1 == 0 else { return .unmapped }
    return try index.read { (root) throws(PagerError) in
      guard let place = try find(key, root: root) else {
        return list.layout.version == version ? .nothing : .unmapped
      }
      let end = place.end(keyByteCount: key.count)
      guard end <= mapping.mappedByteCount, list.layout.version == version else {
        return .unmapped
      }
      return .entry(
        try entry(
          at: place, keyByteCount: key.count, mapping.base + place.position, owner: mapping,
          file: chunks.file))
    }
  }

  /// Makes an entry of bytes in memory that has room for all of it.
  @inline(__always)
  private func entry(
    at place: EntryPlace, keyByteCount: Int, _ bytes: UnsafeRawPointer,
    owner: any AnyObject & Sendable, file: OpenFile? = nil
  ) throws(PagerError) -> EntryBytes {
    guard let trailer = EntryTrailer(bytes + place.byteCount + keyByteCount),
      trailer.kind == .value, trailer.keyByteCount == keyByteCount,
      trailer.payloadByteCount == place.byteCount
    else { throw damage("an entry") }
    return EntryBytes(owner, bytes, position: place.position, trailer, file)
  }

  /// The entry at a place that a snapshot's or a transaction's tree told.
  func entry(
    at place: EntryPlace, keyByteCount: Int
  ) throws(DatabaseError) -> EntryBytes {
    let end = place.end(keyByteCount: keyByteCount)
    if let (bytes, owner) = try list.bytesInPlace(place.position..<end, chunks) {
      return try converting { () throws(PagerError) in
        guard let base = bytes.baseAddress else { throw damage("a place") }
        return try entry(at: place, keyByteCount: keyByteCount, base, owner: owner)
      }
    }
    if case .snapshot = chunks.mode, let reader = try mappedReader() {
      return try entry(at: place, keyByteCount: keyByteCount, in: reader)
    }
    return try copy(of: place, keyByteCount: keyByteCount)
  }

  /// A copy of the newest entry of a key, compared with the checksums of the chunks that it lies in.
  package func readCopy(_ key: UnsafeRawBufferPointer) throws(DatabaseError) -> EntryBytes? {
    let log = try stable()
    let place = try log.index.read { (root) throws(PagerError) in try log.find(key, root: root) }
    guard let place else { return nil }
    return try log.copy(of: place, keyByteCount: key.count)
  }

  private func copy(
    of place: EntryPlace, keyByteCount: Int
  ) throws(DatabaseError) -> EntryBytes {
    let end = place.end(keyByteCount: keyByteCount)
    let bytes = try list.read(place.position..<end, chunks)
    guard bytes.count == end - place.position else {
      throw DatabaseError(damage("a place"))
    }
    let copy = AlignedBytes(bytes)
    return try converting { () throws(PagerError) in
      try entry(at: place, keyByteCount: keyByteCount, copy.base, owner: copy)
    }
  }

  /// All bytes of the list; a copy where they can't be mapped.
  func reader() throws(DatabaseError) -> ChunkReader {
    if case .snapshot = chunks.mode, let reader = try mappedReader() { return reader }
    return try list.reader(chunks, .copied)
  }

  /// All bytes of a snapshot's list, where they can be mapped.
  private func mappedReader() throws(DatabaseError) -> ChunkReader? {
    try kept.withLock { (kept) throws(DatabaseError) in
      if let kept { return kept }
      let new = try list.mappedReader(chunks)
      kept = .some(new)
      return new
    }
  }

  /// A snapshot's handle maps the list once, or finds out once that it can't; nil: it has not tried.
  private let kept = Locked<ChunkReader??>(nil)

  func entry(
    at place: EntryPlace, keyByteCount: Int, in reader: ChunkReader
  ) throws(DatabaseError) -> EntryBytes {
    try converting { () throws(PagerError) in
      guard let base = reader.bytes.baseAddress,
        place.end(keyByteCount: keyByteCount) <= reader.bytes.count
      else { throw damage("a place") }
      return try entry(
        at: place, keyByteCount: keyByteCount, base + place.position, owner: reader)
    }
  }
}

/// An entry in memory, which stays as it is while this is held.
///
/// Why `@unchecked Sendable`: nobody writes to what `base` shows.
package struct EntryBytes: @unchecked Sendable {
  private let owner: any AnyObject & Sendable
  private let base: UnsafeRawPointer
  private let trailer: EntryTrailer
  /// Where the owner is nothing but a mapping, the file, which stays open for as long as this is held:
  /// so nobody else can change what is shown.
  private let file: OpenFile?
  /// Where the payload lies in the store.
  package let position: Int

  init(
    _ owner: any AnyObject & Sendable, _ base: UnsafeRawPointer, position: Int,
    _ trailer: EntryTrailer, _ file: OpenFile? = nil
  ) {
    self.file = file
    self.owner = owner
    self.base = base
    self.position = position
    self.trailer = trailer
  }

  package var payload: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: base, count: trailer.payloadByteCount)
  }
  package var key: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(
      start: base + trailer.payloadByteCount, count: trailer.keyByteCount)
  }
  package var sequence: Int { trailer.sequence }
  package var checksum: UInt64 { trailer.payloadChecksum }

  /// Whether payload, key and trailer are what was written.
  package var isWhole: Bool {
    trailer.isWhole(base + trailer.payloadByteCount + trailer.keyByteCount)
      && checksum64(payload, seed: 0) == trailer.payloadChecksum
  }
}

/// A copy of bytes that begins at a multiple of 64.
///
/// Why `@unchecked Sendable`: it is written by `init` alone.
private final class AlignedBytes: @unchecked Sendable {
  let base: UnsafeRawPointer

  init(_ bytes: [UInt8]) {
    let room = UnsafeMutableRawPointer.allocate(
      byteCount: bytes.count, alignment: EntryTrailer.blockByteCount)
    UnsafeMutableRawBufferPointer(start: room, count: bytes.count).copyBytes(from: bytes)
    base = UnsafeRawPointer(room)
  }

  deinit { base.deallocate() }
}
