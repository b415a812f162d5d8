/// Something that ordered entries can be read from: the database, a named tree, a snapshot, or a
/// transaction.
///
/// What is the same for all of them is written once, here. The database and named trees show what is
/// there at each call; snapshots and transactions show one instant.
public protocol ReadableTree: ~Copyable, ~Escapable {
  /// How the handle reaches its tree; for the library's own use.
  var access: TreeAccess { get }
}

extension ReadableTree where Self: ~Copyable & ~Escapable {
  /// A key with its value.
  public typealias Entry = (key: [UInt8], value: [UInt8])

  /// The number of entries.
  ///
  /// Costs nothing.
  @inlinable public var count: Int { access.count }

  /// Whether there is no entry.
  ///
  /// Costs nothing.
  @inlinable public var isEmpty: Bool { access.count == 0 }

  /// The longest key that can be stored, in bytes: a quarter of a page.
  @inlinable public var maximumKeyByteCount: Int { access.maximumKeyByteCount }

  /// The value of a key, or nil when it is not there.
  ///
  /// - Parameter key: any bytes.
  /// - Returns: a copy of the value.
  /// - Throws: `.corrupted`, `.inputOutput`, `.closed`, and through a snapshot `.snapshotExpired`.
  /// - Complexity: O(log n) page visits, without a lock.
  @inlinable
  public func lookup(
    _ key: borrowing some ByteString & ~Copyable & ~Escapable
  ) throws(DatabaseError) -> [UInt8]? {
    try key.withBytes { (key) throws(DatabaseError) in try access.lookup(key) }
  }

  /// Whether a key is there.
  ///
  /// - Parameter key: any bytes.
  /// - Throws: as `lookup`.
  /// - Complexity: O(log n) page visits, without a lock.
  @inlinable
  public func contains(
    _ key: borrowing some ByteString & ~Copyable & ~Escapable
  ) throws(DatabaseError) -> Bool {
    try key.withBytes { (key) throws(DatabaseError) in try access.contains(key) }
  }

  /// Lends the value of a key to `body`, without an array for it.
  ///
  /// - Parameters:
  ///   - key: any bytes.
  ///   - body: gets the value, valid until it returns. It may use the database.
  /// - Returns: what `body` returned, or nil when the key is not there.
  /// - Throws: as `lookup`.
  /// - Complexity: O(log n) page visits, without a lock.
  @inlinable
  public func withValue<R>(
    of key: borrowing some ByteString & ~Copyable & ~Escapable, _ body: (RawSpan) -> R
  ) throws(DatabaseError) -> R? {
    let access = access
    return try key.withBytes { (key) throws(DatabaseError) in
      var length = 0
      var result: R?
      let problem: DatabaseError? = withUnsafeTemporaryAllocation(
        byteCount: 1024, alignment: 16
      ) { room in
        do throws(DatabaseError) {
          length = try access.copyValue(key, room)
          if length >= 0, length <= room.count {
            result = body(UnsafeRawBufferPointer(rebasing: room[..<length]).bytes)
          }
          return nil
        } catch {
          return error
        }
      }
      if let problem { throw problem }
      guard length > 1024 else { return result }
      guard let bytes = try access.lookup(key) else { return nil }
      return body(bytes.span.bytes)
    }
  }
}
