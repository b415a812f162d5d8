/// Whether an iteration goes on.
@frozen
public enum Visit: Sendable {
  /// On to the next entry.
  case next
  /// No further.
  case stop
}

extension ReadableTree where Self: ~Copyable & ~Escapable {
  /// Visits the entries of a range in order, as they are now: changes made meanwhile are not seen,
  /// but for those that a transaction makes while it visits its own entries.
  ///
  /// ```swift
  /// var byteCount = 0
  /// try database.forEach(in: .prefix("user:")) { key, value in
  ///   byteCount += value.byteCount
  ///   return .next
  /// }
  /// ```
  ///
  /// - Parameters:
  ///   - range: which keys.
  ///   - reversed: whether to go from the last to the first.
  ///   - body: gets key and value, valid until it returns. It may use the database.
  /// - Throws: `DatabaseError` (`.corrupted`, `.inputOutput`, `.closed`), or what `body` throws.
  /// - Complexity: O(log n) and a few nanoseconds an entry.
  @inlinable
  public func forEach(
    in range: KeyRange = .all, reversed: Bool = false,
    _ body: (_ key: RawSpan, _ value: RawSpan) throws -> Visit
  ) throws {
    let walker = try access.walker(range, reversed, true)
    while try walker.step() {
      if try body(walker.key.bytes, walker.value.bytes) == .stop { return }
    }
  }

  /// Visits the keys of a range in order, without reading the bytes of large values.
  ///
  /// - Parameters:
  ///   - range: which keys.
  ///   - reversed: whether to go from the last to the first.
  ///   - body: gets the key, valid until it returns.
  /// - Throws: as `forEach`.
  @inlinable
  public func forEachKey(
    in range: KeyRange = .all, reversed: Bool = false, _ body: (_ key: RawSpan) throws -> Visit
  ) throws {
    let walker = try access.walker(range, reversed, false)
    while try walker.step() {
      if try body(walker.key.bytes) == .stop { return }
    }
  }

  /// A cursor over the entries of a range as they are now.
  ///
  /// - Parameters:
  ///   - range: which keys.
  ///   - reversed: whether `next()` goes from the last to the first.
  /// - Returns: a cursor before the first entry. It keeps what it shows alive: let go of it soon.
  /// - Throws: `.closed`.
  public func cursor(
    in range: KeyRange = .all, reversed: Bool = false
  ) throws(DatabaseError) -> Cursor {
    Cursor(try access.walker(range, reversed, true), isReversed: reversed)
  }

  /// The number of entries in a range.
  ///
  /// - Parameter range: which keys.
  /// - Throws: as `lookup`.
  /// - Complexity: O(pages of the range), without looking at the entries.
  public func count(in range: KeyRange) throws(DatabaseError) -> Int {
    try access.walker(range, false, false).countRest()
  }

  /// About how many entries are in a range, found at its ends only.
  ///
  /// Exact for a range within one leaf; for a larger one, reckoned from where its ends lie in the
  /// pages on the way to them, which are taken to be equally full below.
  ///
  /// - Parameter range: which keys.
  /// - Throws: as `lookup`.
  /// - Complexity: O(log n) page visits.
  public func estimatedCount(in range: KeyRange) throws(DatabaseError) -> Int {
    try access.estimatedCount(range)
  }
}
