extension TypedReadableTree where Self: ~Copyable & ~Escapable {
  /// Visits the entries of a range in order: as `ReadableTree.forEach`.
  ///
  /// ```swift
  /// let stock = try database.tree("stock", of: String.self, Int.self)
  /// try stock.insert(contentsOf: [("apples", 12), ("pears", 3)])
  /// var total = 0
  /// try stock.forEach(in: "a"..."b") { name, count in
  ///   total += count
  ///   return .next
  /// }
  /// assert(total == 12)
  /// ```
  ///
  /// - Parameters:
  ///   - range: which keys, such as those of `CompositeKey.prefixRange`.
  ///   - reversed: whether to go from the last to the first.
  ///   - body: gets key and value. It may use the database.
  /// - Throws: `DatabaseError` (as `lookup`), or what `body` throws.
  /// - Complexity: O(log n), and some nanoseconds an entry.
  @inlinable
  public func forEach(
    in range: KeyRange = .all, reversed: Bool = false,
    _ body: (_ key: Key, _ value: Value) throws -> Visit
  ) throws {
    let walker = try access.walker(range, reversed, true)
    while try walker.step() {
      let key = try Key(encodedKey: walker.key)
      let value = try Value(encodedValue: walker.value)
      if try body(key, value) == .stop { return }
    }
  }

  /// Visits the entries of a range in order: as `ReadableTree.forEach`.
  ///
  /// - Parameters:
  ///   - range: `a..<b`, `a...b`, `a...`, `..<b` or `...b`.
  ///   - reversed: whether to go from the last to the first.
  ///   - body: gets key and value. It may use the database.
  /// - Throws: `DatabaseError` (as `lookup`), or what `body` throws.
  @inlinable
  public func forEach(
    in range: some ComponentRange<Key>, reversed: Bool = false,
    _ body: (_ key: Key, _ value: Value) throws -> Visit
  ) throws {
    try forEach(in: KeyRange(range), reversed: reversed, body)
  }

  /// Visits the keys of a range in order, without looking at the values.
  ///
  /// - Parameters:
  ///   - range: which keys.
  ///   - reversed: whether to go from the last to the first.
  ///   - body: gets the key. It may use the database.
  /// - Throws: as `forEach`.
  @inlinable
  public func forEachKey(
    in range: KeyRange = .all, reversed: Bool = false, _ body: (_ key: Key) throws -> Visit
  ) throws {
    let walker = try access.walker(range, reversed, false)
    while try walker.step() {
      if try body(try Key(encodedKey: walker.key)) == .stop { return }
    }
  }

  /// Visits the keys of a range in order, without looking at the values.
  ///
  /// - Parameters:
  ///   - range: `a..<b`, `a...b`, `a...`, `..<b` or `...b`.
  ///   - reversed: whether to go from the last to the first.
  ///   - body: gets the key. It may use the database.
  /// - Throws: as `forEach`.
  @inlinable
  public func forEachKey(
    in range: some ComponentRange<Key>, reversed: Bool = false,
    _ body: (_ key: Key) throws -> Visit
  ) throws {
    try forEachKey(in: KeyRange(range), reversed: reversed, body)
  }

  /// The number of entries in a range.
  ///
  /// - Parameter range: which keys, such as those of `CompositeKey.prefixRange`.
  /// - Throws: as `lookup`.
  /// - Complexity: O(pages of the range), without looking at the entries.
  public func count(in range: KeyRange) throws(DatabaseError) -> Int {
    try bytes.count(in: range)
  }

  /// The number of entries in a range.
  ///
  /// - Parameter range: `a..<b`, `a...b`, `a...`, `..<b` or `...b`.
  /// - Throws: as `lookup`.
  /// - Complexity: O(pages of the range), without looking at the entries.
  public func count(in range: some ComponentRange<Key>) throws(DatabaseError) -> Int {
    try count(in: KeyRange(range))
  }

  /// About how many entries are in a range: as `ReadableTree.estimatedCount`.
  ///
  /// - Parameter range: which keys.
  /// - Throws: as `lookup`.
  /// - Complexity: O(log n) page visits.
  public func estimatedCount(in range: KeyRange) throws(DatabaseError) -> Int {
    try bytes.estimatedCount(in: range)
  }

  /// About how many entries are in a range: as `ReadableTree.estimatedCount`.
  ///
  /// - Parameter range: `a..<b`, `a...b`, `a...`, `..<b` or `...b`.
  /// - Throws: as `lookup`.
  /// - Complexity: O(log n) page visits.
  public func estimatedCount(in range: some ComponentRange<Key>) throws(DatabaseError) -> Int {
    try estimatedCount(in: KeyRange(range))
  }

  /// A cursor over the entries of a range: as `ReadableTree.cursor`.
  ///
  /// - Parameters:
  ///   - range: which keys.
  ///   - reversed: whether `next()` goes from the last to the first.
  /// - Returns: a cursor before the first entry. It keeps what it shows alive: let go of it soon.
  /// - Throws: `.closed`.
  public func cursor(
    in range: KeyRange = .all, reversed: Bool = false
  ) throws(DatabaseError) -> TypedCursor<Key, Value> {
    TypedCursor(try access.walker(range, reversed, true), isReversed: reversed)
  }

  /// A cursor over the entries of a range: as `ReadableTree.cursor`.
  ///
  /// - Parameters:
  ///   - range: `a..<b`, `a...b`, `a...`, `..<b` or `...b`.
  ///   - reversed: whether `next()` goes from the last to the first.
  /// - Returns: a cursor before the first entry. It keeps what it shows alive: let go of it soon.
  /// - Throws: `.closed`.
  public func cursor(
    in range: some ComponentRange<Key>, reversed: Bool = false
  ) throws(DatabaseError) -> TypedCursor<Key, Value> {
    try cursor(in: KeyRange(range), reversed: reversed)
  }

  /// The entries of a range, as a sequence that reads them as they are asked for.
  ///
  /// - Parameter range: which keys, such as those of `CompositeKey.prefixRange`.
  /// - Returns: a sequence that stops at an error and keeps it: see `Entries`.
  public func range(_ range: KeyRange = .all) -> TypedEntries<Key, Value> {
    TypedEntries(EntrySource(access, range))
  }

  /// The entries of a range, as a sequence that reads them as they are asked for.
  ///
  /// - Parameter range: `a..<b`, `a...b`, `a...`, `..<b` or `...b`.
  /// - Returns: a sequence that stops at an error and keeps it: see `Entries`.
  public func range(_ range: some ComponentRange<Key>) -> TypedEntries<Key, Value> {
    self.range(KeyRange(range))
  }
}
