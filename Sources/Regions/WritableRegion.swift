public import BTreeKV
internal import Pager

/// A region that can be changed: on its own, or in a transaction.
///
/// Each change is there as a whole or not at all, after a crash too. In a transaction, changes are
/// published and durable with its commit.
public protocol WritableRegion: ReadableRegion, ~Copyable, ~Escapable {}

extension WritableRegion where Self: ~Copyable & ~Escapable {
  /// Appends bytes.
  ///
  /// - Parameters:
  ///   - bytes: any number.
  ///   - durability: what to wait for; nil means what the database was opened with. A call can ask
  ///     for more than that, not for less.
  /// - Returns: where they begin: how many bytes were there before.
  /// - Throws: `.notFound` when the region was removed, `.diskFull`, `.readOnly`, `.poisoned`,
  ///   `.outcomeUnknown`, `.corrupted`, `.closed`, `.nestedTransaction`. After an error nothing has
  ///   changed, but for `.outcomeUnknown`.
  /// - Complexity: O(bytes); what is there is not copied, but for up to 64 KiB while the region is
  ///   shorter than that.
  @inlinable @discardableResult
  public func append(
    _ bytes: borrowing some ByteString & ~Copyable & ~Escapable,
    durability: Database.Durability? = nil
  ) throws(DatabaseError) -> Int {
    let access = access
    return try bytes.withBytes { (bytes) throws(DatabaseError) in
      try access.append(bytes, durability)
    }
  }

  /// Writes bytes over those that are there, and appends what goes beyond the end.
  ///
  /// - Parameters:
  ///   - bytes: any number.
  ///   - offset: the first byte to be written, at most `count`.
  ///   - durability: as for `append`.
  /// - Throws: `.invalidArgument`, or as `append`.
  /// - Complexity: O(bytes); each chunk of 64 KiB that is touched is written anew.
  @inlinable
  public func write(
    _ bytes: borrowing some ByteString & ~Copyable & ~Escapable, at offset: Int,
    durability: Database.Durability? = nil
  ) throws(DatabaseError) {
    let access = access
    try bytes.withBytes { (bytes) throws(DatabaseError) in
      try access.write(bytes, at: offset, durability)
    }
  }

  /// Writes bytes in many places, all or none.
  ///
  /// - Parameters:
  ///   - writes: offsets and bytes, carried out in order; each as `write(_:at:)`.
  ///   - durability: as for `append`.
  /// - Throws: as `write(_:at:)`.
  /// - Complexity: O(bytes); of writes that come in the order of their offsets, each chunk of 64 KiB
  ///   is written anew once.
  @inlinable
  public func write(
    _ writes: some Sequence<(offset: Int, bytes: [UInt8])>,
    durability: Database.Durability? = nil
  ) throws(DatabaseError) {
    var iterator = writes.makeIterator()
    try access.write(durability) { iterator.next() }
  }

  /// Makes the region shorter.
  ///
  /// - Parameters:
  ///   - count: how many bytes are to be left, at most `count`.
  ///   - durability: as for `append`.
  /// - Throws: `.invalidArgument`, or as `append`.
  /// - Complexity: O(log n + chunks that go), and one chunk of 64 KiB is copied.
  public func truncate(
    to count: Int, durability: Database.Durability? = nil
  ) throws(DatabaseError) {
    let access = access
    try converting { () throws(PagerError) in
      try access.list.truncate(to: count, thenAppend: nil, access.chunks, durability)
    }
  }

  /// Makes the region shorter and appends bytes there, both or neither.
  ///
  /// - Parameters:
  ///   - count: how many bytes are to be left, at most `count`.
  ///   - bytes: what comes behind them.
  ///   - durability: as for `append`.
  /// - Throws: as `truncate`.
  /// - Complexity: as `truncate` and `append`.
  @inlinable
  public func truncate(
    to count: Int, andAppend bytes: borrowing some ByteString & ~Copyable & ~Escapable,
    durability: Database.Durability? = nil
  ) throws(DatabaseError) {
    let access = access
    try bytes.withBytes { (bytes) throws(DatabaseError) in
      try access.truncate(to: count, andAppend: bytes, durability)
    }
  }

  /// Makes sure that the region can grow to so many bytes without further room on the disk for them,
  /// and in one piece as far as possible.
  ///
  /// What is reserved stays so until the region is truncated or removed, or the file compacted or
  /// closed. After an error what was reserved before still is.
  ///
  /// - Parameter count: of all bytes, those included that are there. At most about 126 MiB more than
  ///   are there with pages of 4 KiB.
  /// - Throws: `.invalidArgument`, `.diskFull`, or as `append`.
  public func reserve(_ count: Int) throws(DatabaseError) {
    let access = access
    try converting { () throws(PagerError) in
      try access.list.reserve(count, access.chunks)
    }
  }

  /// How many bytes are reserved for the region to grow into.
  public var reservedCount: Int { access.list.reservedByteCount }
}
