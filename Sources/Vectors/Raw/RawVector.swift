public import BTreeKV
internal import Pager

/// A column of elements of one type, each stored as it lies in memory, that grows at its end.
///
/// Changes made through this are buffered: reads through it see them, nobody else does before
/// `write()`, which makes them all visible, and as durable as was asked, in one step. Other threads
/// open the vector for themselves, or get a `reader()`; this handle is for one thread at a time.
/// Appends of several handles come one behind the other.
///
/// ```swift
/// let heights = try RawVector<UInt32>.open("heights", in: database, version: 1)
/// heights.append(170)
/// heights.append(contentsOf: [181, 165])
/// try heights.update(at: 0, 171)
/// try heights.write()
/// let reader = try heights.reader()
/// assert(Array(reader) == [171, 181, 165])
/// ```
public final class RawVector<Element: VectorElement> {
  /// How the handle reaches the vector.
  @usableFromInline let access: VectorAccess
  let database: Database
  /// What is not written yet; behind a pointer, since the runtime would check each access to a class's
  /// variables.
  @usableFromInline let pending: UnsafeMutablePointer<PendingChanges<Element.Stored>>

  private init(_ database: Database, _ access: VectorAccess) {
    self.database = database
    self.access = access
    pending = .allocate(capacity: 1)
    pending.initialize(to: PendingChanges())
  }

  deinit {
    pending.deinitialize(count: 1)
    pending.deallocate()
  }

  /// Opens the vector of a name, which is made if there is none.
  ///
  /// - Parameters:
  ///   - name: any text but the empty one, at most 255 bytes.
  ///   - database: where it is.
  ///   - version: any number: a vector that was made with another one is refused.
  ///   - stampLimit: how many stamps can be gone back to from the last one.
  /// - Returns: a handle to it.
  /// - Throws: `.typeMismatch` when it is of another type, format or version; `.invalidArgument`; else
  ///   as `insert`.
  public static func open(
    _ name: String, in database: Database, version: UInt32 = 0, stampLimit: Int = 16
  ) throws(DatabaseError) -> RawVector {
    try open(name, database, version, stampLimit, isForced: false)
  }

  /// Opens the vector of a name as `open` does; one that is of another type, format or version is
  /// removed with all its elements, and made anew.
  ///
  /// - Parameters:
  ///   - name: as for `open`.
  ///   - database: where it is.
  ///   - version: any number.
  ///   - stampLimit: as for `open`.
  /// - Returns: a handle to it.
  /// - Throws: `.invalidArgument`, or as `insert`.
  public static func forcedOpen(
    _ name: String, in database: Database, version: UInt32 = 0, stampLimit: Int = 16
  ) throws(DatabaseError) -> RawVector {
    try open(name, database, version, stampLimit, isForced: true)
  }

  private static func open(
    _ name: String, _ database: Database, _ version: UInt32, _ stampLimit: Int, isForced: Bool
  ) throws(DatabaseError) -> RawVector {
    let wanted = try VectorRecord(of: Element.self, .raw, version: version)
    let list = try database.openVector(name, wanted, isForced: isForced)
    return RawVector(
      database,
      database.vectorAccess(list, stride: wanted.stride, stampLimit: max(0, stampLimit)))
  }

  /// The vector as a transaction of its database sees it; what is buffered here has no part in that.
  ///
  /// - Parameter transaction: one of the same `Database` that is under way.
  @_lifetime(borrow transaction)
  public func access(in transaction: borrowing Transaction) -> TransactionRawVector<Element> {
    TransactionRawVector(access.in(transaction))
  }

  /// The elements that are written, to be read in place for as long as this is held.
  ///
  /// What is buffered is not among them.
  ///
  /// - Throws: `.notFound` when the vector was removed, `.corrupted`, `.inputOutput`, `.closed`.
  /// - Complexity: O(log n) page visits, O(chunks that no reader has mapped before), and O(changes that
  ///   are not folded + holes).
  public func reader() throws(DatabaseError) -> RawVectorReader<Element> {
    try RawVectorReader(access, .mapped)
  }

  /// Compares all elements that are written with their checksums, and looks whether what is kept
  /// beside them makes sense.
  ///
  /// - Throws: `.corrupted` when not, or as `reader`.
  /// - Complexity: O(n).
  public func verify() throws(DatabaseError) { try access.kept().verify() }

  // MARK: Writing

  /// Whether there are changes that are not written.
  public var hasPendingChanges: Bool { !pending.pointee.isEmpty }

  /// Forgets the changes that are not written.
  public func discard() { pending.pointee = PendingChanges() }

  /// Writes all buffered changes in one step: they are visible and as durable as was asked when this
  /// returns, or none of them.
  ///
  /// - Parameter durability: what to wait for; nil means what the database was opened with.
  /// - Throws: `.notFound` when the vector was removed; `.invalidArgument` when elements were changed or
  ///   cut off here and somebody else has changed the vector's length meanwhile; else as `insert`.
  ///   The changes are still buffered then, but after `.outcomeUnknown`.
  /// - Complexity: O(changes); appending copies the elements once.
  public func write(durability: Database.Durability? = nil) throws(DatabaseError) {
    guard hasPendingChanges else { return }
    try clearing { () throws(DatabaseError) in
      if pending.pointee.isAppending {
        try append(durability)
      } else {
        try database.changingVectors(durability) { (transaction) throws(DatabaseError) in
          try pending.pointee.apply(to: access.in(transaction))
        }
      }
    }
  }

  private func append(_ durability: Database.Durability?) throws(DatabaseError) {
    let access = access
    _ = try withStoredBytes(pending.pointee.appended) { (bytes) throws(DatabaseError) in
      try access.append(bytes, durability)
    }
  }

  /// Forgets the buffered changes once they are written, or nobody knows whether they are.
  func clearing<R>(_ body: () throws(DatabaseError) -> R) throws(DatabaseError) -> R {
    do throws(DatabaseError) {
      let result = try body()
      discard()
      return result
    } catch {
      if error.code == .outcomeUnknown { discard() }
      throw error
    }
  }

  /// Writes all buffered changes, and waits until everything is on the medium.
  ///
  /// - Throws: as `write`.
  public func flush() throws(DatabaseError) {
    try write(durability: .sync)
    try database.waitUntilDurable()
  }

  /// Writes all buffered changes, and behind them elements that are not buffered first: an array of
  /// what is stored as it is is copied once, into the file.
  ///
  /// - Parameters:
  ///   - elements: any number.
  ///   - durability: as for `write`.
  /// - Throws: as `write`; the elements are not buffered then.
  @inlinable
  public func write(
    appending elements: some Sequence<Element>, durability: Database.Durability? = nil
  ) throws(DatabaseError) {
    try withStoredBytes(of: elements) { (bytes) throws(DatabaseError) in
      try write(appendingStored: bytes, durability)
    }
  }

  @usableFromInline
  func write(
    appendingStored bytes: UnsafeRawBufferPointer, _ durability: Database.Durability?
  ) throws(DatabaseError) {
    guard hasPendingChanges else {
      _ = try access.append(bytes, durability)
      return
    }
    try clearing { () throws(DatabaseError) in
      try database.changingVectors(durability) { (transaction) throws(DatabaseError) in
        let access = access.in(transaction)
        try pending.pointee.apply(to: access)
        _ = try access.append(bytes, nil)
      }
    }
  }

  /// Writes everything that was changed since it was appended to its place, so that readers find all
  /// elements side by side; blocks of which much has changed are written so anyway.
  ///
  /// What is buffered is written, too.
  ///
  /// - Parameter durability: as for `write`.
  /// - Throws: as `write`.
  /// - Complexity: O(chunks of 64 KiB that have changes).
  public func fold(durability: Database.Durability? = nil) throws(DatabaseError) {
    try clearing { () throws(DatabaseError) in
      try database.changingVectors(durability) { (transaction) throws(DatabaseError) in
        let access = access.in(transaction)
        try pending.pointee.apply(to: access)
        try access.fold()
      }
    }
  }
}
