extension TypedReadableTree where Self: ~Copyable & ~Escapable {
  /// A key with its value.
  public typealias Entry = (key: Key, value: Value)

  @inlinable var bytes: TreeBytes { TreeBytes(access) }

  /// The number of entries.
  ///
  /// Costs nothing.
  @inlinable public var count: Int { access.count }

  /// Whether there is no entry.
  ///
  /// Costs nothing.
  @inlinable public var isEmpty: Bool { access.count == 0 }

  /// The value of a key, or nil when it is not there.
  ///
  /// Numbers, and all other types of a fixed size, cost no allocation.
  ///
  /// - Parameter key: what to look for.
  /// - Throws: `.corrupted`, also for bytes that are no such value, `.inputOutput`, `.closed`, and
  ///   `.snapshotExpired` or `.transactionEnded`.
  /// - Complexity: O(log n) page visits, without a lock.
  @inlinable
  public func lookup(_ key: Key) throws(DatabaseError) -> Value? {
    let bytes = bytes
    let found: Result<Value, DatabaseError>? = try key.withEncodedKey {
      (key) throws(DatabaseError) in
      try bytes.withValue(of: key) { decoded($0) }
    }
    return try found?.get()
  }

  /// The value of a key, or nil when it is not there: as `lookup`.
  ///
  /// ```swift
  /// let ages = try database.tree("ages", of: String.self, Int.self)
  /// try ages.insert("Ada", 36)
  /// let age = try ages["Ada"] ?? 0
  /// ```
  ///
  /// - Parameter key: what to look for.
  @inlinable
  public subscript(key: Key) -> Value? {
    get throws(DatabaseError) { try lookup(key) }
  }

  /// Whether a key is there.
  ///
  /// - Parameter key: what to look for.
  /// - Throws: as `lookup`.
  /// - Complexity: O(log n) page visits, without a lock.
  @inlinable
  public func contains(_ key: Key) throws(DatabaseError) -> Bool {
    let access = access
    return try key.withEncodedKey { (key) throws(DatabaseError) in try access.contains(key) }
  }

  // MARK: Neighbours

  /// The entry with the first key, or nil when there is none.
  ///
  /// - Throws: as `lookup`.
  @inlinable
  public func min() throws(DatabaseError) -> Entry? { try end(isReversed: false) }

  /// The entry with the last key, or nil when there is none.
  ///
  /// - Throws: as `lookup`.
  @inlinable
  public func max() throws(DatabaseError) -> Entry? { try end(isReversed: true) }

  /// The entry with the first key behind `key`, which need not be there itself.
  ///
  /// - Parameter key: where to look.
  /// - Throws: as `lookup`.
  @inlinable
  public func above(_ key: Key) throws(DatabaseError) -> Entry? { try entry(.above, key) }

  /// The entry with the last key before `key`, which need not be there itself.
  ///
  /// - Parameter key: where to look.
  /// - Throws: as `lookup`.
  @inlinable
  public func below(_ key: Key) throws(DatabaseError) -> Entry? { try entry(.below, key) }

  /// The entry of `key` itself, or else of the last key before it.
  ///
  /// - Parameter key: where to look.
  /// - Throws: as `lookup`.
  @inlinable
  public func floor(_ key: Key) throws(DatabaseError) -> Entry? { try entry(.floor, key) }

  /// The entry of `key` itself, or else of the first key behind it.
  ///
  /// - Parameter key: where to look.
  /// - Throws: as `lookup`.
  @inlinable
  public func ceiling(_ key: Key) throws(DatabaseError) -> Entry? { try entry(.ceiling, key) }

  @inlinable
  func entry(_ relation: Relation, _ key: Key) throws(DatabaseError) -> Entry? {
    let bytes = bytes
    let found: Result<Entry, DatabaseError>? = try key.withEncodedKey {
      (key) throws(DatabaseError) in
      try bytes.withEntry(relation, key) { decodedEntry($0, $1) }
    }
    return try found?.get()
  }

  @inlinable
  func end(isReversed: Bool) throws(DatabaseError) -> Entry? {
    let walker = try access.walker(.all, isReversed, true)
    guard try walker.step() else { return nil }
    return (try Key(encodedKey: walker.key), try Value(encodedValue: walker.value))
  }

  // MARK: Decoding where an error can't be thrown

  @inlinable
  func decoded(_ value: RawSpan) -> Result<Value, DatabaseError> {
    do throws(DatabaseError) {
      return .success(try Value(encodedValue: value))
    } catch {
      return .failure(error)
    }
  }

  @inlinable
  func decodedEntry(_ key: RawSpan, _ value: RawSpan) -> Result<Entry, DatabaseError> {
    do throws(DatabaseError) {
      return .success((try Key(encodedKey: key), try Value(encodedValue: value)))
    } catch {
      return .failure(error)
    }
  }
}
