public import BTreeKV
internal import Pager

// Regions by their names.

extension Database {
  /// The region of a name, which is created if there is none.
  ///
  /// - Parameter name: any text but the empty one, at most 255 bytes.
  /// - Throws: `.invalidArgument`; `.notFound` when the file is open for reading and has no such
  ///   region; else as `insert`.
  public func region(_ name: String) throws(DatabaseError) -> Region {
    if let known = try existingRegion(name) { return known }
    let id = try changingRegions { (transaction) throws(DatabaseError) in
      try transaction.findOrCreateRegion(name)
    }
    return Region(self, id)
  }

  /// The region of a name, or nil when there is none.
  ///
  /// - Parameter name: any text.
  /// - Throws: as `lookup`.
  public func existingRegion(_ name: String) throws(DatabaseError) -> Region? {
    try RegionCatalogue(access(to: .regions)).find(name).map { Region(self, $0) }
  }

  /// The names of all regions, in order.
  ///
  /// - Throws: as `lookup`.
  public func regionNames() throws(DatabaseError) -> [String] {
    try RegionCatalogue(access(to: .regions)).all().map(\.name)
  }

  /// Gives a region another name; handles to it stay good.
  ///
  /// - Parameters:
  ///   - name: what it is called now.
  ///   - newName: what it is to be called.
  /// - Throws: `.notFound`, `.alreadyExists`, `.invalidArgument`, or as `insert`.
  public func renameRegion(_ name: String, to newName: String) throws(DatabaseError) {
    try changingRegions { (transaction) throws(DatabaseError) in
      try transaction.renameRegion(name, to: newName)
    }
  }

  /// Removes a region with all its bytes.
  ///
  /// Readers of it stay good.
  ///
  /// - Parameter name: what it is called.
  /// - Returns: whether there was such a region.
  /// - Throws: as `insert`.
  /// - Complexity: O(log n + chunks of 64 KiB).
  @discardableResult
  public func removeRegion(_ name: String) throws(DatabaseError) -> Bool {
    try changingRegions { (transaction) throws(DatabaseError) in
      try transaction.removeRegion(name)
    }
  }

  /// Removes all regions but some.
  ///
  /// - Parameter names: of those to be left; names of none do no harm.
  /// - Returns: the names of those that were removed, in order.
  /// - Throws: as `insert`.
  @discardableResult
  public func retainRegions(_ names: some Sequence<String>) throws(DatabaseError) -> [String] {
    let kept = Set(names)
    return try changingRegions { (transaction) throws(DatabaseError) in
      try transaction.retainRegions(kept)
    }
  }

  /// A transaction that throws nothing but errors of the database.
  private func changingRegions<R>(
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
  private var regions: RegionCatalogue { RegionCatalogue(access(to: .regions)) }

  /// The region of a name, which is created if there is none.
  ///
  /// - Parameter name: any text but the empty one, at most 255 bytes.
  /// - Returns: the region as the transaction sees it.
  /// - Throws: `.invalidArgument`, or as `insert`.
  @_lifetime(borrow self)
  public func region(_ name: String) throws(DatabaseError) -> TransactionRegion {
    let id = try findOrCreateRegion(name)
    return TransactionRegion(chunkList(id), access(to: .chunks))
  }

  /// The region of a name, or nil when there is none.
  ///
  /// - Parameter name: any text.
  /// - Returns: the region as the transaction sees it.
  /// - Throws: as `lookup`.
  @_lifetime(borrow self)
  public func existingRegion(_ name: String) throws(DatabaseError) -> TransactionRegion? {
    guard let id = try regions.find(name) else { return nil }
    return TransactionRegion(chunkList(id), access(to: .chunks))
  }

  /// The names of all regions, in order.
  ///
  /// - Throws: as `lookup`.
  public func regionNames() throws(DatabaseError) -> [String] { try regions.all().map(\.name) }

  /// Gives a region another name; handles to it stay good.
  ///
  /// - Parameters:
  ///   - name: what it is called now.
  ///   - newName: what it is to be called.
  /// - Throws: `.notFound`, `.alreadyExists`, `.invalidArgument`, or as `insert`.
  public func renameRegion(_ name: String, to newName: String) throws(DatabaseError) {
    let regions = regions
    try atOnce { () throws(DatabaseError) in try regions.rename(name, to: newName) }
  }

  /// Removes a region with all its bytes.
  ///
  /// - Parameter name: what it is called.
  /// - Returns: whether there was such a region.
  /// - Throws: as `insert`.
  /// - Complexity: O(log n + chunks of 64 KiB).
  @discardableResult
  public func removeRegion(_ name: String) throws(DatabaseError) -> Bool {
    let regions = regions
    guard let id = try regions.find(name) else { return false }
    let (list, chunks) = (chunkList(id), access(to: .chunks))
    try atOnce { () throws(DatabaseError) in
      try regions.remove(name)
      try converting { () throws(PagerError) in try list.remove(chunks) }
    }
    return true
  }

  /// Removes all regions but some.
  ///
  /// - Parameter names: of those to be left; names of none do no harm.
  /// - Returns: the names of those that were removed, in order.
  /// - Throws: as `insert`.
  @discardableResult
  public func retainRegions(_ names: Set<String>) throws(DatabaseError) -> [String] {
    let doomed = try regionNames().filter { !names.contains($0) }
    for name in doomed { try removeRegion(name) }
    return doomed
  }

  func findOrCreateRegion(_ name: String) throws(DatabaseError) -> UInt64 {
    let regions = regions
    if let id = try regions.find(name) { return id }
    try regions.check(name)
    let chunks = access(to: .chunks)
    return try converting { () throws(PagerError) in
      let list = try newChunkList()
      try list.create(chunks)
      do throws(DatabaseError) {
        try regions.add(name, id: list.id)
      } catch {
        // What has no name would never be removed.
        try? list.remove(chunks)
        throw error.cause
      }
      return list.id
    }
  }

  /// Runs changes that are undone together when one throws.
  private func atOnce(_ body: () throws(DatabaseError) -> Void) throws(DatabaseError) {
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
  /// A region at the snapshot's instant, or nil when there was none of that name.
  ///
  /// - Parameter name: any text.
  /// - Throws: as `lookup`.
  public func region(_ name: String) throws(DatabaseError) -> SnapshotRegion? {
    guard let id = try RegionCatalogue(try access(to: .regions)).find(name) else { return nil }
    return SnapshotRegion(self, chunkList(id), try access(to: .chunks))
  }

  /// The names of all regions that there were, in order.
  ///
  /// - Throws: as `lookup`.
  public func regionNames() throws(DatabaseError) -> [String] {
    try RegionCatalogue(try access(to: .regions)).all().map(\.name)
  }
}
