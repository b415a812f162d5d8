public import BTreeKV
internal import Pager

/// An entry as it was when it was read, for as long as this is held: also when its key is removed or
/// gets another entry, and when the store is compacted or removed.
///
/// Nothing is copied (but in a transaction, and where the system refuses more mappings): the bytes are
/// the file's own, mapped. What a mapping shows was not compared with its checksum, which `verify()`
/// does; an error of the medium while it is read kills the process. An entry that is no copy keeps the
/// file open; the database must not be closed by `close()` while the bytes are in use. Any number of
/// threads may use one.
public struct Entry: Sendable {
  let content: EntryBytes
  private let prefixByteCount: Int

  init(_ content: EntryBytes, prefixByteCount: Int) {
    self.content = content
    self.prefixByteCount = prefixByteCount
  }

  /// The number of bytes.
  public var count: Int { content.payload.count }

  /// The bytes, in place; they begin at a multiple of 64 in memory, too.
  public var bytes: RawSpan {
    @_lifetime(borrow self)
    get {
      let span = RawSpan(_unsafeBytes: content.payload)
      return _overrideLifetime(span, borrowing: self)
    }
  }

  /// A copy of the bytes.
  public var array: [UInt8] { Array(content.payload) }

  /// The key: in a namespace, without what is the namespace's.
  public var key: [UInt8] { Array(content.key.dropFirst(prefixByteCount)) }

  /// Where the bytes lie in the store.
  public var range: Range<Int> { content.position..<content.position + count }

  /// The number of the change that wrote the entry: later ones of a store have higher ones.
  public var sequence: Int { content.sequence }

  /// The checksum that was stored with the bytes: XXH64 with seed 0.
  public var checksum: UInt64 { content.checksum }

  /// Compares bytes and key with their checksums.
  ///
  /// - Throws: `.corrupted` when one differs.
  /// - Complexity: O(bytes).
  public func verify() throws(DatabaseError) {
    guard !content.isWhole else { return }
    throw DatabaseError(
      PagerError(.corrupted, "the bytes of an entry do not match their checksum"))
  }

  /// What is known of the entry besides its bytes.
  public var metadata: EntryMetadata {
    EntryMetadata(range: range, sequence: sequence, checksum: checksum)
  }
}

/// What is known of an entry besides its bytes.
public struct EntryMetadata: Hashable, Sendable {
  /// Where the bytes lie in the store.
  public let range: Range<Int>
  /// The number of the change that wrote the entry.
  public let sequence: Int
  /// The checksum that was stored with the bytes: XXH64 with seed 0.
  public let checksum: UInt64

  /// The number of bytes.
  public var count: Int { range.count }
}

/// Reads an entry piece by piece.
///
/// ```swift
/// let films = try EntryStore(database, "films")
/// try films.write("short", [UInt8](repeating: 1, count: 10_000))
/// if let film = try films.read("short") {
///   var stream = EntryStream(film)
///   while let piece = stream.next(4096) { print(piece.count) }
/// }
/// ```
public struct EntryStream: Sendable {
  /// What is read.
  public let entry: Entry
  /// How many bytes were read so far.
  public private(set) var position = 0

  /// Begins at the first byte.
  public init(_ entry: Entry) { self.entry = entry }

  /// Copies the next bytes.
  ///
  /// - Parameter buffer: where to; filled as far as the entry goes.
  /// - Returns: how many; 0 at the end.
  public mutating func read(into buffer: UnsafeMutableRawBufferPointer) -> Int {
    let count = min(buffer.count, entry.count - position)
    let start = position
    entry.bytes.withUnsafeBytes {
      buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[start..<start + count]))
    }
    position += count
    return count
  }

  /// A copy of the next bytes, or nil at the end.
  ///
  /// - Parameter count: at most how many.
  public mutating func next(_ count: Int) -> [UInt8]? {
    guard position < entry.count, count > 0 else { return nil }
    let length = min(count, entry.count - position)
    return [UInt8](unsafeUninitializedCapacity: length) { room, initializedCount in
      initializedCount = read(into: UnsafeMutableRawBufferPointer(room))
    }
  }
}
