public import BTreeKV
internal import Pager

// Entry stores by their names.

extension Database {
  /// The entry store of a name, or nil when there is none.
  ///
  /// - Parameter name: any text.
  /// - Throws: as `lookup`.
  public func existingEntryStore(_ name: String) throws(DatabaseError) -> EntryStore? {
    try EntryAccess.find(name, access(to: .entryStores)).map { EntryStore(self, $0) }
  }

  /// The names of all entry stores, in order.
  ///
  /// - Throws: as `lookup`.
  public func entryStoreNames() throws(DatabaseError) -> [String] {
    try RegionCatalogue(access(to: .entryStores), of: "store").all().map(\.name)
  }

  /// Gives an entry store another name; handles to it stay good.
  ///
  /// - Parameters:
  ///   - name: what it is called now.
  ///   - newName: what it is to be called.
  /// - Throws: `.notFound`, `.alreadyExists`, `.invalidArgument`, or as `insert`.
  public func renameEntryStore(_ name: String, to newName: String) throws(DatabaseError) {
    try changingNames { (transaction) throws(DatabaseError) in
      try transaction.renameEntryStore(name, to: newName)
    }
  }

  /// Removes an entry store with all its entries.
  ///
  /// Those that somebody holds stay good.
  ///
  /// - Parameter name: what it is called.
  /// - Returns: whether there was such a store.
  /// - Throws: as `insert`.
  /// - Complexity: O(pages of its keys + chunks of 64 KiB).
  @discardableResult
  public func removeEntryStore(_ name: String) throws(DatabaseError) -> Bool {
    try changingNames { (transaction) throws(DatabaseError) in
      try transaction.removeEntryStore(name)
    }
  }

  /// A transaction that throws nothing but errors of the database.
  func changingNames<R>(
    _ body: (borrowing Transaction) throws(DatabaseError) -> R
  ) throws(DatabaseError) -> R {
    do {
      return try write { (transaction) in try body(transaction) }
    } catch let error as DatabaseError {
      throw error
    } catch {
      throw DatabaseError(PagerError(.transactionEnded, "\(error)", path: nil))
    }
  }
}

extension Transaction {
  private var stores: RegionCatalogue {
    RegionCatalogue(access(to: .entryStores), of: "store")
  }

  func entryAccess(_ list: UInt64, _ prefix: [UInt8] = []) -> EntryAccess {
    EntryAccess(
      EntryLog(chunkList(list), chunks: access(to: .chunks), index: access(to: .entries)),
      prefix: prefix)
  }

  /// The entry store of a name, which is created if there is none.
  ///
  /// - Parameter name: any text but the empty one, at most 255 bytes.
  /// - Returns: the store as the transaction sees it.
  /// - Throws: `.invalidArgument`, or as `insert`.
  @_lifetime(borrow self)
  public func entryStore(_ name: String) throws(DatabaseError) -> TransactionEntryStore {
    let list = try findOrCreateEntryStore(name)
    return TransactionEntryStore(entryAccess(list))
  }

  /// The entry store of a name, or nil when there is none.
  ///
  /// - Parameter name: any text.
  /// - Returns: the store as the transaction sees it.
  /// - Throws: as `lookup`.
  @_lifetime(borrow self)
  public func existingEntryStore(
    _ name: String
  ) throws(DatabaseError) -> TransactionEntryStore? {
    guard let list = try EntryAccess.find(name, access(to: .entryStores)) else { return nil }
    return TransactionEntryStore(entryAccess(list))
  }

  /// The names of all entry stores, in order.
  ///
  /// - Throws: as `lookup`.
  public func entryStoreNames() throws(DatabaseError) -> [String] {
    try stores.all().map(\.name)
  }

  /// Gives an entry store another name; handles to it stay good.
  ///
  /// - Parameters:
  ///   - name: what it is called now.
  ///   - newName: what it is to be called.
  /// - Throws: `.notFound`, `.alreadyExists`, `.invalidArgument`, or as `insert`.
  public func renameEntryStore(_ name: String, to newName: String) throws(DatabaseError) {
    let stores = stores
    try inSavepoint { () throws(DatabaseError) in try stores.rename(name, to: newName) }
  }

  /// Removes an entry store with all its entries.
  ///
  /// - Parameter name: what it is called.
  /// - Returns: whether there was such a store.
  /// - Throws: as `insert`.
  /// - Complexity: O(pages of its keys + chunks of 64 KiB).
  @discardableResult
  public func removeEntryStore(_ name: String) throws(DatabaseError) -> Bool {
    let stores = stores
    guard let list = try EntryAccess.find(name, stores.access) else { return false }
    let log = entryAccess(list).log
    try inSavepoint { () throws(DatabaseError) in
      try stores.remove(name)
      try converting { () throws(PagerError) in try log.removeStore() }
    }
    return true
  }

  func findOrCreateEntryStore(_ name: String) throws(DatabaseError) -> UInt64 {
    let stores = stores
    if let list = try EntryAccess.find(name, stores.access) { return list }
    try stores.check(name)
    let chunks = access(to: .chunks)
    return try converting { () throws(PagerError) in
      let list = try newChunkList()
      try list.create(chunks)
      do throws(DatabaseError) {
        try stores.add(name, id: list.id)
      } catch {
        // What has no name would never be removed.
        try? list.remove(chunks)
        throw error.cause
      }
      return list.id
    }
  }

  /// Runs changes that are undone together when one throws.
  private func inSavepoint(_ body: () throws(DatabaseError) -> Void) throws(DatabaseError) {
    do {
      try savepoint { try body() }
    } catch let error as DatabaseError {
      throw error
    } catch {
      throw DatabaseError(PagerError(.transactionEnded, "\(error)"))
    }
  }
}

extension Snapshot {
  /// An entry store at the snapshot's instant, or nil when there was none of that name.
  ///
  /// Its first read maps the store: keep it for more reads.
  ///
  /// - Parameter name: any text.
  /// - Throws: as `lookup`.
  public func entryStore(_ name: String) throws(DatabaseError) -> SnapshotEntryStore? {
    guard let list = try EntryAccess.find(name, try access(to: .entryStores)) else { return nil }
    let log = EntryLog(
      chunkList(list), chunks: try access(to: .chunks), index: try access(to: .entries))
    return SnapshotEntryStore(self, EntryAccess(log))
  }

  /// The names of all entry stores that there were, in order.
  ///
  /// - Throws: as `lookup`.
  public func entryStoreNames() throws(DatabaseError) -> [String] {
    try RegionCatalogue(try access(to: .entryStores), of: "store").all().map(\.name)
  }
}
