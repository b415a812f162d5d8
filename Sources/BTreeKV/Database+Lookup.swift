internal import Pager

extension Database {
  /// A key with its value.
  public typealias Entry = (key: [UInt8], value: [UInt8])

  /// The value of a key, or nil when it is not there.
  ///
  /// - Parameter key: any bytes.
  /// - Returns: a copy of the value.
  /// - Throws: `.corrupted`, `.inputOutput`, `.closed`.
  /// - Complexity: O(log n) page visits, without a lock.
  @inlinable
  public func lookup(
    _ key: borrowing some ByteString & ~Copyable & ~Escapable
  ) throws(DatabaseError) -> [UInt8]? {
    try key.withBytes { (key) throws(DatabaseError) in try lookupBytes(key) }
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
    try key.withBytes { (key) throws(DatabaseError) in try containsBytes(key) }
  }

  @usableFromInline
  func containsBytes(_ key: UnsafeRawBufferPointer) throws(DatabaseError) -> Bool {
    try converting { () throws(PagerError) in
      try pager.checkOpen()
      return try tree.withPayload(of: key, root: nil) { _, _ in true } ?? false
    }
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
    try key.withBytes { (key) throws(DatabaseError) in
      var length = 0
      var result: R?
      let problem: DatabaseError? = withUnsafeTemporaryAllocation(
        byteCount: 1024, alignment: 16
      ) { room in
        do throws(DatabaseError) {
          length = try copyValue(key, room)
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
      guard let bytes = try lookupBytes(key) else { return nil }
      return body(bytes.span.bytes)
    }
  }

  /// Copies a value out if it fits.
  ///
  /// - Returns: its length, -1 when there is none, `Int.max` when it lies in pages of its own.
  @usableFromInline
  func copyValue(
    _ key: UnsafeRawBufferPointer, _ room: UnsafeMutableRawBufferPointer
  ) throws(DatabaseError) -> Int {
    try converting { () throws(PagerError) in
      try pager.checkOpen()
      return try tree.withPayload(of: key, root: nil) { payload, isLarge in
        if isLarge { return Int.max }
        if payload.count <= room.count { room.copyMemory(from: payload) }
        return payload.count
      } ?? -1
    }
  }

  @usableFromInline
  func lookupBytes(_ key: UnsafeRawBufferPointer) throws(DatabaseError) -> [UInt8]? {
    try converting { () throws(PagerError) in
      try pager.checkOpen()
      var isElsewhere = false
      let bytes = try tree.withPayload(of: key, root: nil) { payload, isLarge in
        isElsewhere = isLarge
        return isLarge ? [] : Array(payload)
      }
      return isElsewhere ? try lookupLarge(key) : bytes
    }
  }

  /// Reads a large value in a snapshot, so that its pages can't be reused meanwhile.
  private func lookupLarge(_ key: UnsafeRawBufferPointer) throws(PagerError) -> [UInt8]? {
    let snapshot = try Snapshot(tree)
    var isElsewhere = false
    let bytes = try tree.withPayload(of: key, root: snapshot.root) { payload, isLarge in
      isElsewhere = isLarge
      return Array(payload)
    }
    guard isElsewhere, let bytes else { return bytes }
    let reference = bytes.withUnsafeBytes { LargeValue($0, pageByteCount: tree.pageByteCount) }
    guard let reference else {
      throw PagerError(.corrupted, "the reference to a value's bytes makes no sense")
    }
    return try withExtendedLifetime(snapshot) { () throws(PagerError) in
      try tree.load(reference)
    }
  }
}
