/// The entries of a range in order, read as they are asked for.
///
/// ```swift
/// try database.insert("apple", "red")
/// try database.insert("banana", "yellow")
/// try database.read { snapshot in
///   for (key, value) in snapshot.range("a"..<"b") {
///     print(String(decoding: key, as: UTF8.self), value.count)
///   }
///   let last = snapshot.range().reversed().first
///   assert(last?.key == Array("banana".utf8))
/// }
/// ```
///
/// Nothing is read before an iteration begins. Each iteration of a database's or a named tree's entries
/// shows what is there when it begins, those of a snapshot its instant; those of a transaction meet
/// what the transaction changes meanwhile, as its cursors do.
///
/// **Errors.** Swift's sequences can't throw, so at an error an iteration ends early, and the error is
/// kept until somebody is told of it, once:
///
/// - `Database.read` and `Database.write` throw it at their end if it was met through the snapshot or
///   the transaction that they lend; so a transaction that has seen half of a range is not committed.
///   `savepoint` does the same.
/// - `check()` throws it, here and on a `Snapshot`. The entries of the database itself or of a named
///   tree belong to no closure: keep the sequence and ask it, or go through a snapshot.
///
/// ```swift
/// let entries = database.range("a"...)
/// for (key, value) in entries { print(key.count, value.count) }
/// try entries.check()
/// ```
///
/// While an iteration is under way, what it shows is kept, as for a cursor. An iterator is for one
/// thread, the sequence for any.
public struct Entries: Sequence, Sendable {
  private let source: EntrySource

  init(_ source: EntrySource) { self.source = source }

  /// The same entries from the last to the first, as lazily.
  public func reversed() -> Entries { Entries(source.reversed) }

  /// The first entry, read now; nil when there is none, and at an error.
  public var first: Database.Entry? {
    var iterator = makeIterator()
    return iterator.next()
  }

  // `Sequence` has these too. But `reversed()` is also a way to an array there, of which a collection's
  // `prefix` would be the better match, and the compiler could not choose.

  /// The first entries, at most so many, as lazily.
  public func prefix(_ maxLength: Int) -> PrefixSequence<Entries> {
    precondition(maxLength >= 0, "a number of entries is not negative")
    return PrefixSequence(self, maxLength: maxLength)
  }

  /// The entries behind the first ones, as lazily.
  public func dropFirst(_ count: Int = 1) -> DropFirstSequence<Entries> {
    precondition(count >= 0, "a number of entries is not negative")
    return DropFirstSequence(self, dropping: count)
  }

  /// The error at which an iteration ended early, if nobody was told of it yet.
  public var failure: DatabaseError? { source.failure }

  /// Throws the error at which an iteration ended early, if nobody was told of it yet.
  ///
  /// - Throws: `.corrupted`, `.inputOutput`, `.closed`, `.snapshotExpired`, `.transactionEnded`.
  public func check() throws(DatabaseError) { try source.check() }

  /// Begins an iteration.
  public func makeIterator() -> Iterator { Iterator(steps: source.begin()) }

  /// An iteration under way.
  public struct Iterator: IteratorProtocol {
    let steps: EntrySteps

    /// The next entry; nil at the end, and from an error on.
    public mutating func next() -> Database.Entry? {
      guard let walker = steps.next() else { return nil }
      return (Array(walker.key), Array(walker.value))
    }
  }
}

extension ReadableTree where Self: ~Copyable & ~Escapable {
  /// The entries of a range, as a sequence that reads them as they are asked for.
  ///
  /// - Parameter range: which keys.
  /// - Returns: a sequence that stops at an error and keeps it: see `Entries`.
  public func range(_ range: KeyRange = .all) -> Entries {
    Entries(EntrySource(access, range))
  }

  /// The entries of a range of texts, as a sequence that reads them as they are asked for.
  ///
  /// ```swift
  /// for (key, value) in database.range("a"..."z").reversed() { print(key.count, value.count) }
  /// ```
  ///
  /// - Parameter range: `a..<b`, `a...b`, `a...`, `..<b` or `...b`, in the order of the UTF-8 bytes.
  /// - Returns: a sequence that stops at an error and keeps it: see `Entries`.
  public func range(_ range: some ComponentRange<String>) -> Entries {
    self.range(KeyRange(range))
  }
}
