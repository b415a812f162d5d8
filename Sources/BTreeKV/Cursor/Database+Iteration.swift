internal import Pager

/// Whether an iteration goes on.
@frozen
public enum Visit: Sendable {
  /// On to the next entry.
  case next
  /// No further.
  case stop
}

extension Database {
  /// Visits the entries of a range in order, as they are now: changes made meanwhile are not seen.
  ///
  /// ```swift
  /// try database.forEach(in: .prefix("user:")) { key, value in
  ///   total += value.byteCount
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
    let walker = try walker(range, reversed, true)
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
    let walker = try walker(range, reversed, false)
    while try walker.step() {
      if try body(walker.key.bytes) == .stop { return }
    }
  }

  /// A cursor over the entries of a range as they are now.
  ///
  /// - Parameters:
  ///   - range: which keys.
  ///   - reversed: whether to go from the last to the first.
  /// - Returns: a cursor before the first entry. It keeps what it shows alive: let go of it soon.
  /// - Throws: `.closed`.
  public func cursor(
    in range: KeyRange = .all, reversed: Bool = false
  ) throws(DatabaseError) -> Cursor {
    Cursor(try walker(range, reversed, true))
  }

  @usableFromInline
  func walker(
    _ range: KeyRange, _ isReversed: Bool, _ readsValues: Bool
  ) throws(DatabaseError) -> RangeWalker {
    try converting { () throws(PagerError) in
      try RangeWalker(tree, range, isReversed: isReversed, readsValues: readsValues)
    }
  }
}

/// Steps through the entries of a range, as they were when it was made.
///
/// For one thread.
public final class Cursor {
  private let walker: RangeWalker

  init(_ walker: RangeWalker) { self.walker = walker }

  /// The next entry in the cursor's direction, or nil at the end.
  ///
  /// - Throws: `.corrupted`, `.inputOutput`.
  public func next() throws(DatabaseError) -> Database.Entry? {
    guard try walker.step() else { return nil }
    return (Array(walker.key), Array(walker.value))
  }
}
