/// Steps through the entries of a range, in either direction.
///
/// Through the database, a named tree or a snapshot it shows what was there when it was made. A cursor
/// of a transaction shows what the transaction has made of it at each step: a step goes to the
/// nearest entry behind (or before) the key that the cursor is at, whether or not that key is still
/// there. So removing the current entry skips nothing, and entries that are added ahead are met.
///
/// For one thread.
public final class Cursor {
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
  /// - Throws: `.corrupted`, `.inputOutput`, `.closed`, `.snapshotExpired`, `.transactionEnded`.
  public func next() throws(DatabaseError) -> Database.Entry? { try step(isReversed) }

  /// The next entry against the cursor's direction, or nil at the beginning.
  ///
  /// - Throws: as `next()`.
  public func previous() throws(DatabaseError) -> Database.Entry? { try step(!isReversed) }

  private func step(_ isReversed: Bool) throws(DatabaseError) -> Database.Entry? {
    guard walker.turn(isReversed: isReversed), try walker.step() else { return nil }
    return (Array(walker.key), Array(walker.value))
  }

  /// Goes to a key: `next()` then gives its entry, or the nearest in the cursor's direction.
  ///
  /// - Parameter key: any bytes; outside the cursor's range they lead to its nearest end.
  public func seek(_ key: borrowing some ByteString & ~Copyable & ~Escapable) {
    let bytes = key.withBytes { Array($0) }
    walker.seek(bytes, isReversed: isReversed)
  }
}
