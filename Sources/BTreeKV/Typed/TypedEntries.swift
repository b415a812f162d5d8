/// The entries of a range of a typed tree in order, read as they are asked for.
///
/// ```swift
/// let squares = try database.tree("squares", of: Int.self, Int.self)
/// try squares.insert(contentsOf: (1...100).map { ($0, $0 * $0) })
/// let last = squares.range(10..<20).reversed().prefix(2).map(\.value)
/// assert(last == [361, 324])
/// ```
///
/// As `Entries` it stops at an error and keeps it. An entry that is not of the type is one, too.
public struct TypedEntries<Key: OrderedKey, Value: StorableValue>: Sequence, Sendable {
  private let source: EntrySource

  init(_ source: EntrySource) { self.source = source }

  /// The same entries from the last to the first, as lazily.
  public func reversed() -> TypedEntries { TypedEntries(source.reversed) }

  /// The first entry, read now; nil when there is none, and at an error.
  public var first: (key: Key, value: Value)? {
    var iterator = makeIterator()
    return iterator.next()
  }

  // `Sequence` has these too. But `reversed()` is also a way to an array there, of which a collection's
  // `prefix` would be the better match, and the compiler could not choose.

  /// The first entries, at most so many, as lazily.
  public func prefix(_ maxLength: Int) -> PrefixSequence<TypedEntries> {
    precondition(maxLength >= 0, "a number of entries is not negative")
    return PrefixSequence(self, maxLength: maxLength)
  }

  /// The entries behind the first ones, as lazily.
  public func dropFirst(_ count: Int = 1) -> DropFirstSequence<TypedEntries> {
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
  public func makeIterator() -> Iterator { Iterator(source.begin()) }

  /// An iteration under way.
  public struct Iterator: IteratorProtocol {
    @usableFromInline let steps: EntrySteps

    init(_ steps: EntrySteps) { self.steps = steps }

    /// The next entry; nil at the end, and from an error on.
    @inlinable
    public mutating func next() -> (key: Key, value: Value)? {
      guard let walker = steps.next() else { return nil }
      do throws(DatabaseError) {
        return (try Key(encodedKey: walker.key), try Value(encodedValue: walker.value))
      } catch {
        steps.fail(error)
        return nil
      }
    }
  }
}
