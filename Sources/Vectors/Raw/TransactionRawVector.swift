public import BTreeKV
internal import Pager

/// A raw vector as a transaction sees it, which can't outlive the transaction.
///
/// Its changes are published and durable with the transaction's other ones; each of them is done as a
/// whole or not at all.
///
/// ```swift
/// try database.write { transaction in
///   let heights = try transaction.rawVector("heights", of: UInt32.self)
///   try heights.append(contentsOf: [170, 181])
///   try transaction.insert("last", "181")
/// }
/// ```
public struct TransactionRawVector<Element: VectorElement>: ~Escapable, ReadableRawVector,
  WritableVector
{
  /// How the handle reaches the vector.
  public let access: VectorAccess

  @_lifetime(immortal)
  init(_ access: VectorAccess) { self.access = access }
}

/// A vector that a transaction can change.
public protocol WritableVector<Element>: ReadableVector, ~Copyable, ~Escapable {}

extension WritableVector where Self: ~Copyable & ~Escapable {
  /// Appends an element.
  ///
  /// - Parameter element: any.
  /// - Returns: its index.
  /// - Throws: `.notFound` when the vector was removed, else as `insert`.
  @inlinable @discardableResult
  public func append(_ element: Element) throws(DatabaseError) -> Int {
    try append(contentsOf: CollectionOfOne(element))
  }

  /// Appends elements.
  ///
  /// - Parameter elements: any number; those of an array, if they are stored as they are, are copied
  ///   once, into the file.
  /// - Returns: the index of the first one.
  /// - Throws: as `append`.
  /// - Complexity: O(elements).
  @inlinable @discardableResult
  public func append(
    contentsOf elements: some Sequence<Element>
  ) throws(DatabaseError) -> Int {
    try withStoredBytes(of: elements) { (bytes) throws(DatabaseError) in
      try access.append(bytes, nil)
    }
  }

  /// Stores an element in place of another one, or in a hole, which is none any more.
  ///
  /// - Parameters:
  ///   - index: below `count`.
  ///   - element: any.
  /// - Throws: `.invalidArgument`, or as `append`.
  /// - Complexity: O(log n) page visits, and the block's changes so far are written anew.
  @inlinable
  public func update(at index: Int, _ element: Element) throws(DatabaseError) {
    try update(CollectionOfOne((index, element)))
  }

  /// Stores elements in place of others, all or none.
  ///
  /// - Parameter updates: indices below `count`, in any order, with elements; of equal ones the last
  ///   counts.
  /// - Throws: as `update(at:_:)`.
  /// - Complexity: O(updates), and O(log n) page visits for each block of 64 KiB with some.
  @inlinable
  public func update(
    _ updates: some Sequence<(Int, Element)>
  ) throws(DatabaseError) {
    var log = UpdateLog<Element.Stored>()
    for (index, element) in updates { log.append(index, element.stored) }
    try apply(log)
  }

  @usableFromInline
  func apply(_ log: UpdateLog<Element.Stored>) throws(DatabaseError) {
    let access = access
    try access.atOnce { () throws(DatabaseError) in try access.update(log.sorted()) }
  }

  /// Makes the vector shorter.
  ///
  /// - Parameter count: how many elements are to be left, at most `count`.
  /// - Throws: `.invalidArgument`, or as `append`.
  /// - Complexity: O(log n + chunks that go), and O(elements that go) if a stamp is to bring them back.
  public func truncate(to count: Int) throws(DatabaseError) {
    let access = access
    try access.atOnce { () throws(DatabaseError) in try access.truncate(to: count) }
  }

  /// Appends an element as often as it takes to have so many; nothing if there are as many.
  ///
  /// - Parameters:
  ///   - count: how many elements there are to be at least.
  ///   - element: what is appended.
  /// - Throws: as `append`.
  public func fill(to count: Int, with element: Element) throws(DatabaseError) {
    let access = access
    try access.atOnce { () throws(DatabaseError) in
      var missing = count - (try access.count)
      let piece = [Element](repeating: element, count: max(0, min(missing, 65536)))
      while missing > 0 {
        _ = try append(contentsOf: piece.prefix(missing))
        missing -= min(missing, piece.count)
      }
    }
  }

  /// Removes an element and leaves a hole.
  ///
  /// - Parameter index: below `count`.
  /// - Returns: the element, or nil when there was a hole already.
  /// - Throws: `.invalidArgument`, or as `append`.
  @discardableResult
  public func take(at index: Int) throws(DatabaseError) -> Element? {
    guard let element = try element(at: index) else { return nil }
    let access = access
    try access.atOnce { () throws(DatabaseError) in
      try access.setHoles(CollectionOfOne(index), true)
    }
    return element
  }

  /// Stores an element in the first hole, or appends it if there is none.
  ///
  /// - Parameter element: any.
  /// - Returns: its index.
  /// - Throws: as `append`.
  @discardableResult
  public func fillFirstHole(orAppend element: Element) throws(DatabaseError) -> Int {
    guard let hole = try access.firstHole() else { return try append(element) }
    try update(at: hole, element)
    return hole
  }

  /// Writes everything that was changed since it was appended to its place, so that readers find all
  /// elements side by side.
  ///
  /// - Throws: as `append`.
  /// - Complexity: O(chunks of 64 KiB, or compressed pages, that have changes).
  public func fold() throws(DatabaseError) {
    let access = access
    try access.atOnce { () throws(DatabaseError) in try access.fold() }
  }

  /// Makes a stamp of what is there now, to which the vector can be rolled back.
  ///
  /// - Parameter stamp: greater than the last one.
  /// - Throws: `.invalidArgument`, or as `append`.
  /// - Complexity: O(log n) page visits, and O(changes that are kept for stamps too old from now on).
  public func commit(stamp: UInt64) throws(DatabaseError) {
    let access = access
    try access.atOnce { () throws(DatabaseError) in try access.commit(stamp: stamp) }
  }

  /// Goes back to the newest stamp for which something holds: all elements and holes are what they were.
  ///
  /// Younger stamps are gone afterwards.
  ///
  /// - Parameter isTarget: gets a stamp.
  /// - Returns: the stamp.
  /// - Throws: `.notFound` when no stamp that is kept is such a one; else as `append`.
  /// - Complexity: O(what has changed since).
  @discardableResult
  public func rollback(
    toLast isTarget: (UInt64) -> Bool
  ) throws(DatabaseError) -> UInt64 {
    let access = access
    return try access.atOnce { () throws(DatabaseError) in
      try access.rollBack { isTarget($0.stamp) }.stamp
    }
  }
}

/// Lends elements as they are stored, side by side: where they lie so already, without a copy.
@inlinable
func withStoredBytes<Element: VectorElement, R>(
  of elements: some Sequence<Element>,
  _ body: (UnsafeRawBufferPointer) throws(DatabaseError) -> R
) throws(DatabaseError) -> R {
  if Element.self == Element.Stored.self {
    let result = elements.withContiguousStorageIfAvailable { elements -> Result<R, DatabaseError> in
      do throws(DatabaseError) {
        return .success(try body(UnsafeRawBufferPointer(elements)))
      } catch {
        return .failure(error)
      }
    }
    if let result { return try result.get() }
  }
  let stored = ContiguousArray(elements.lazy.map(\.stored))
  let result = stored.withUnsafeBytes { bytes -> Result<R, DatabaseError> in
    do throws(DatabaseError) {
      return .success(try body(bytes))
    } catch {
      return .failure(error)
    }
  }
  return try result.get()
}

extension Transaction {
  /// The raw vector of a name, which is made if there is none.
  ///
  /// - Parameters:
  ///   - name: any text but the empty one, at most 255 bytes.
  ///   - type: the type of its elements.
  ///   - version: any number: a vector that was made with another one is refused.
  ///   - stampLimit: how many stamps can be gone back to from the last one.
  /// - Returns: the vector as the transaction sees it.
  /// - Throws: `.typeMismatch` when it is of another type, format or version; `.invalidArgument`, or as
  ///   `insert`.
  @_lifetime(borrow self)
  public func rawVector<Element: VectorElement>(
    _ name: String, of type: Element.Type, version: UInt32 = 0, stampLimit: Int = 16
  ) throws(DatabaseError) -> TransactionRawVector<Element> {
    let wanted = try VectorRecord(of: type, .raw, version: version)
    let record = try openVector(name, wanted, isForced: false)
    return TransactionRawVector(
      vectorAccess(record, AccessOptions(stampLimit: Swift.max(0, stampLimit))))
  }
}
