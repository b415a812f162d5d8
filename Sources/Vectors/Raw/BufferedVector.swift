public import BTreeKV
internal import Pager

/// What raw and compressed vectors have in common: changes are buffered until they are written.
///
/// There is none that is neither a `RawVector` nor a `CompressedVector`.
public class BufferedVector<Element: VectorElement> {
  /// How the handle reaches the vector.
  @usableFromInline let access: VectorAccess
  let database: Database
  /// What is not written yet; behind a pointer, since the runtime would check each access to a class's
  /// variables.
  @usableFromInline let pending: UnsafeMutablePointer<PendingChanges<Element.Stored>>

  init(_ database: Database, _ access: VectorAccess) {
    self.database = database
    self.access = access
    pending = .allocate(capacity: 1)
    pending.initialize(to: PendingChanges(to: access))
  }

  deinit {
    pending.deinitialize(count: 1)
    pending.deallocate()
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

  /// Forgets the changes that are not written, and gives back the room that they took in the file.
  public func discard() { pending.pointee = PendingChanges(to: access) }

  /// Writes all buffered changes in one step: they are visible and as durable as was asked when this
  /// returns, or none of them.
  ///
  /// - Parameter durability: what to wait for; nil means what the database was opened with.
  /// - Throws: `.notFound` when the vector was removed; `.invalidArgument` when elements were changed or
  ///   cut off here and somebody else has changed the vector's length meanwhile; else as `insert`.
  ///   The changes are still buffered then, but after `.outcomeUnknown`.
  /// - Complexity: O(changes); appended elements of a raw vector are mostly in the file by then, and only
  ///   their chunks of 64 KiB are entered; a compressed one's pages are compressed.
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
    if let bytes = pending.pointee.appended.bytesInMemory { return try append(bytes, durability) }
    try database.changingVectors(durability) { (transaction) throws(DatabaseError) in
      try pending.pointee.appended.append(to: access.in(transaction))
    }
  }

  private func append(
    _ bytes: UnsafeRawBufferPointer, _ durability: Database.Durability?
  ) throws(DatabaseError) {
    guard access.pages != nil else {
      _ = try access.append(bytes, durability)
      return
    }
    try database.changingVectors(durability) { (transaction) throws(DatabaseError) in
      _ = try access.in(transaction).append(bytes, nil)
    }
  }

  /// Forgets the buffered changes once they are written, or nobody knows whether they are.
  func clearing<R>(_ body: () throws(DatabaseError) -> R) throws(DatabaseError) -> R {
    do throws(DatabaseError) {
      let result = try body()
      discard()
      return result
    } catch {
      if error.code == .outcomeUnknown {
        discard()
      } else {
        pending.pointee.appended.stage?.takeBack()
      }
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
    guard hasPendingChanges else { return try append(bytes, durability) }
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
  /// - Complexity: O(chunks of 64 KiB, or compressed pages, that have changes).
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
