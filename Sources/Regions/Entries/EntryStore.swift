public import BTreeKV
internal import Pager

/// Keys that lead to bytes of any length, which are only ever appended, and read in place.
///
/// Each call is a transaction of its own, durable as was asked when it returns: bytes and key, both
/// or neither. `Transaction.entryStore(_:)` gives the store as part of a larger one. What is
/// overwritten or removed stays in the file until `compact()`. Any number of threads, and any number
/// of handles, may use one store.
///
/// ```swift
/// let store = try EntryStore(database, "pictures")
/// try store.write("cat", [1, 2, 3])
/// if let cat = try store.read("cat") {
///   try store.remove("cat")
///   assert(cat.array == [1, 2, 3])
/// }
/// ```
public struct EntryStore: WritableEntryStore, Sendable {
  /// How the handle reaches the store.
  public let access: EntryAccess
  // Keeps the file open.
  private let database: Database

  /// The store of a name, which is created if there is none.
  ///
  /// - Parameters:
  ///   - database: whose file it is in.
  ///   - name: any text but the empty one, at most 255 bytes. Names of regions and of trees are others.
  /// - Throws: `.invalidArgument`, or as `insert`.
  public init(_ database: Database, _ name: String) throws(DatabaseError) {
    let known = try EntryAccess.find(name, database.access(to: .entryStores))
    let list: UInt64
    if let known {
      list = known
    } else {
      list = try database.changingNames { (transaction) throws(DatabaseError) in
        try transaction.findOrCreateEntryStore(name)
      }
    }
    self.init(database, list)
  }

  init(_ database: Database, _ list: UInt64) {
    self.database = database
    access = EntryAccess(
      EntryLog(
        database.chunkList(list), chunks: database.access(to: .chunks),
        index: database.access(to: .entries)))
  }

  private init(_ database: Database, _ access: EntryAccess) {
    self.database = database
    self.access = access
  }

  /// The part of the store that has keys of its own, apart from those of all other namespaces.
  ///
  /// For the store itself its keys begin with the name, escaped (a byte 0 becomes 00 FF), and 00 01.
  /// `compact()`, `byteCount` and `estimatedSavings()` are those of the whole store.
  /// `namespaceNames()` lists the namespaces, and `removeAll()` removes one.
  ///
  /// - Parameter name: any bytes.
  public func namespace(
    _ name: borrowing some ByteString & ~Copyable & ~Escapable
  ) -> EntryStore {
    EntryStore(database, access.namespace(name.withBytes { Array($0) }))
  }

  /// Waits until everything that was written to it is on the medium, and all that was written before.
  ///
  /// - Throws: as `Database.waitUntilDurable`.
  /// - Complexity: one sync at most; a checkpoint under `.none`.
  public func flush() throws(DatabaseError) { try database.waitUntilDurable() }

  /// The store as a transaction of its database sees it.
  ///
  /// - Parameter transaction: one of the same `Database` that is under way; of another one it is a
  ///   programming error and traps.
  @_lifetime(borrow transaction)
  public func access(in transaction: borrowing Transaction) -> TransactionEntryStore {
    transaction.checkIsOfSameDatabase(access.log.chunks)
    return TransactionEntryStore(transaction.entryAccess(access.log.listID, access.prefix))
  }

  /// Moves an entry to another store.
  ///
  /// In the same database this is one transaction. Otherwise it is written there first, and then
  /// removed here: a crash may leave it in both.
  ///
  /// - Parameters:
  ///   - key: of the entry, and then there too.
  ///   - store: where to.
  /// - Throws: `.notFound` when the key is not there, or as `write`.
  public func transfer(
    _ key: borrowing some ByteString & ~Copyable & ~Escapable, to store: EntryStore
  ) throws(DatabaseError) {
    let key = key.withBytes { Array($0) }
    if store.database === database {
      try database.changingNames { (transaction) throws(DatabaseError) in
        let (source, target) = (access(in: transaction), store.access(in: transaction))
        // Through the live handle nothing is copied; nobody else can change it now.
        guard let entry = try read(key) else { throw EntryAccess.notFound }
        try source.remove(key)
        try target.write(key, entry.bytes)
      }
    } else {
      guard let entry = try read(key) else { throw EntryAccess.notFound }
      // Durable there before it goes here, whatever both were opened with.
      try store.write(key, entry.bytes, durability: .sync)
      try remove(key)
    }
  }

  /// Writes the entries that are in force anew, side by side, and gives back the room of all others.
  ///
  /// Entries that somebody holds, and snapshots, stay as they are. Other writers wait meanwhile,
  /// readers do not. It needs room for a copy of what is in force, and 32 bytes of memory an entry.
  ///
  /// ```swift
  /// let store = try EntryStore(database, "pictures")
  /// for round in 0..<100 { try store.write("cat", [UInt8](repeating: UInt8(round), count: 1000)) }
  /// if try store.estimatedSavings() > 50_000 { try store.compact() }
  /// ```
  ///
  /// - Parameter durability: as for `write`.
  /// - Returns: how many bytes the store has fewer.
  /// - Throws: `.corrupted` when an entry does not match its checksum, so that no damage is made to
  ///   look sound: remove it. Else as `write`.
  /// - Complexity: O(n log n), and O(bytes in force).
  @discardableResult
  public func compact(durability: Database.Durability? = nil) throws(DatabaseError) -> Int {
    try converting { () throws(PagerError) in try access.log.compact(durability) }
  }
}

/// An entry store as a transaction sees it; it can't outlive the transaction.
public struct TransactionEntryStore: ~Escapable, WritableEntryStore {
  /// How the handle reaches the store.
  public let access: EntryAccess

  @_lifetime(immortal)
  init(_ access: EntryAccess) { self.access = access }

  /// The part of the store that has keys of its own: as `EntryStore.namespace`.
  ///
  /// - Parameter name: any bytes.
  @_lifetime(copy self)
  public func namespace(
    _ name: borrowing some ByteString & ~Copyable & ~Escapable
  ) -> TransactionEntryStore {
    let store = TransactionEntryStore(access.namespace(name.withBytes { Array($0) }))
    return _overrideLifetime(store, copying: self)
  }
}

/// An entry store at a snapshot's instant.
public struct SnapshotEntryStore: ReadableEntryStore, Sendable {
  /// How the handle reaches the store.
  public let access: EntryAccess
  private let snapshot: Snapshot

  init(_ snapshot: Snapshot, _ access: EntryAccess) {
    self.snapshot = snapshot
    self.access = access
  }

  /// The part of the store that has keys of its own: as `EntryStore.namespace`.
  ///
  /// - Parameter name: any bytes.
  public func namespace(
    _ name: borrowing some ByteString & ~Copyable & ~Escapable
  ) -> SnapshotEntryStore {
    SnapshotEntryStore(snapshot, access.namespace(name.withBytes { Array($0) }))
  }
}
