public import BTreeKV
internal import Pager

// Entries that come in pieces. They are written to pages that nobody sees, in chunks of 64 KiB that
// then become part of the store as they are: so a slow source holds up nobody (but in a
// transaction), and nothing is written twice.

/// Takes an entry in pieces: however long it is, a quarter of a mebibyte of it is in memory.
///
/// It can't outlive the closure that it is lent to. Up to the end of that nobody sees the entry.
public struct EntryWriter: ~Copyable {
  private let stage: ChunkStage
  private var failure: DatabaseError?

  init(_ stage: ChunkStage) { self.stage = stage }

  /// How many bytes the entry has so far.
  public var count: Int { stage.byteCount }

  /// Appends bytes to the entry.
  ///
  /// - Parameter bytes: any number.
  /// - Throws: `.diskFull`, `.inputOutput`; the entry is not stored then, whatever the closure makes
  ///   of the error.
  /// - Complexity: O(bytes).
  public mutating func write(
    _ bytes: borrowing some ByteString & ~Copyable & ~Escapable
  ) throws(DatabaseError) {
    if let failure { throw failure }
    do throws(DatabaseError) {
      try bytes.withBytes { (bytes) throws(DatabaseError) in
        try converting { () throws(PagerError) in try stage.append(bytes) }
      }
    } catch {
      failure = error
      throw error
    }
  }

  /// Throws the error of a write that the closure made nothing of.
  func check() throws(DatabaseError) {
    if let failure { throw failure }
  }
}

extension WritableEntryStore where Self: ~Copyable & ~Escapable {
  /// Writes an entry that comes in pieces, in place of the one that the key had.
  ///
  /// ```swift
  /// let store = try EntryStore(database, "films")
  /// try store.write("long") { writer in
  ///   for frame in 0..<100 { try writer.write([UInt8](repeating: UInt8(frame), count: 40_000)) }
  /// }
  /// ```
  ///
  /// - Parameters:
  ///   - key: as for `write(_:_:)`.
  ///   - durability: as for `write(_:_:)`.
  ///   - writing: writes the bytes. It holds up nobody, unless in a transaction. When it throws,
  ///     nothing is stored.
  /// - Returns: whether the key was not there before.
  /// - Throws: what `writing` throws, or as `write(_:_:)`.
  /// - Complexity: O(bytes). Beyond a quarter of a mebibyte up to 64 KiB of the store stay unused.
  @discardableResult
  public func write(
    _ key: borrowing some ByteString & ~Copyable & ~Escapable,
    durability: Database.Durability? = nil, writing: (inout EntryWriter) throws -> Void
  ) throws -> Bool {
    let access = access
    let stage = try access.log.stage()
    var writer = EntryWriter(stage)
    try writing(&writer)
    try writer.check()
    return try key.withBytes { (key) throws(DatabaseError) in
      try access.withKey(key) { (key) throws(DatabaseError) in
        try access.log.write(key, stage, durability)
      }
    }
  }

  /// Writes an entry of the pieces of a sequence, in place of the one that the key had.
  ///
  /// - Parameters:
  ///   - key: as for `write(_:_:)`.
  ///   - pieces: the bytes, one piece behind the other.
  ///   - durability: as for `write(_:_:)`.
  /// - Returns: whether the key was not there before.
  /// - Throws: as `write(_:_:)`.
  /// - Complexity: as for `write(_:durability:writing:)`.
  @discardableResult
  public func write(
    _ key: borrowing some ByteString & ~Copyable & ~Escapable,
    from pieces: some Sequence<some ByteString>, durability: Database.Durability? = nil
  ) throws -> Bool {
    try write(key, durability: durability) { writer in
      for piece in pieces { try writer.write(piece) }
    }
  }

  /// Writes an entry of what a file, a pipe or a socket has from here to its end.
  ///
  /// - Parameters:
  ///   - key: as for `write(_:_:)`.
  ///   - fileDescriptor: open for reading; it stays open.
  ///   - durability: as for `write(_:_:)`.
  /// - Returns: whether the key was not there before.
  /// - Throws: `.inputOutput` when reading fails: nothing is stored then. Else as `write(_:_:)`.
  /// - Complexity: as for `write(_:durability:writing:)`.
  @discardableResult
  public func write(
    _ key: borrowing some ByteString & ~Copyable & ~Escapable, fileDescriptor: Int32,
    durability: Database.Durability? = nil
  ) throws -> Bool {
    let room = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 4096)
    defer { room.deallocate() }
    return try write(key, durability: durability) { writer in
      while true {
        let count: Int
        do throws(SystemError) {
          count = try SystemCalls.readNext(fileDescriptor, into: room)
        } catch {
          throw DatabaseError(
            PagerError(
              systemError: error.number, whileTrying: "to read an entry's bytes", path: nil))
        }
        if count == 0 { return }
        try writer.write(UnsafeRawBufferPointer(rebasing: room[..<count]))
      }
    }
  }
}

extension EntryStore {
  /// Writes an entry of the pieces of an asynchronous sequence, in place of the one that the key had.
  ///
  /// Nothing is held up while the sequence is awaited.
  ///
  /// - Parameters:
  ///   - key: as for `write(_:_:)`.
  ///   - pieces: the bytes, one piece behind the other. When it throws, nothing is stored.
  ///   - durability: as for `write(_:_:)`.
  /// - Returns: whether the key was not there before.
  /// - Throws: what the sequence throws, or as `write(_:_:)`.
  /// - Complexity: as for `write(_:durability:writing:)`.
  @discardableResult
  public func write<Pieces: AsyncSequence>(
    _ key: [UInt8], from pieces: Pieces, durability: Database.Durability? = nil
  ) async throws -> Bool where Pieces.Element: ByteString {
    let stage = try access.log.stage()
    for try await piece in pieces {
      try piece.withBytes { (bytes) throws(DatabaseError) in
        try converting { () throws(PagerError) in try stage.append(bytes) }
      }
    }
    return try key.withBytes { (key) throws(DatabaseError) in
      try access.withKey(key) { (key) throws(DatabaseError) in
        try access.log.write(key, stage, durability)
      }
    }
  }
}
