/// Steps through the entries of a range of a typed tree, in either direction: as `Cursor`.
///
/// For one thread.
public final class TypedCursor<Key: OrderedKey, Value: StorableValue> {
  private let walker: RangeWalker
  private let isReversed: Bool

  init(_ walker: RangeWalker, isReversed: Bool) {
    self.walker = walker
    self.isReversed = isReversed
  }

  /// The next entry in the cursor's direction, or nil at the end.
  ///
  /// At the end the cursor stays at its last entry, so that `previous()` gives the one before that.
  ///
  /// - Throws: `.corrupted`, also for bytes that are not of the type, `.inputOutput`, `.closed`,
  ///   `.snapshotExpired`, `.transactionEnded`.
  public func next() throws(DatabaseError) -> (key: Key, value: Value)? { try step(isReversed) }

  /// The next entry against the cursor's direction, or nil at the beginning.
  ///
  /// - Throws: as `next()`.
  public func previous() throws(DatabaseError) -> (key: Key, value: Value)? {
    try step(!isReversed)
  }

  private func step(_ isReversed: Bool) throws(DatabaseError) -> (key: Key, value: Value)? {
    guard walker.turn(isReversed: isReversed), try walker.step() else { return nil }
    return (try Key(encodedKey: walker.key), try Value(encodedValue: walker.value))
  }

  /// Goes to a key: `next()` then gives its entry, or the nearest in the cursor's direction.
  ///
  /// - Parameter key: any key; outside the cursor's range it leads to its nearest end.
  public func seek(_ key: Key) { walker.seek(key.encodedKey, isReversed: isReversed) }
}
