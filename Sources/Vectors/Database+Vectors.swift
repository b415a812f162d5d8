public import BTreeKV
internal import Pager

// Vectors by their names.

/// How a vector's elements are stored.
public enum VectorFormat: UInt8, Sendable {
  /// As they lie in memory.
  case raw = 1
  /// In pages, compressed in the Pcodec format.
  case compressed = 2
}

/// What the file says of a vector.
public struct VectorDescription: Sendable, Equatable {
  /// What it is called.
  public let name: String
  /// The tag of its elements' type.
  public let elementTag: String
  /// The size of an element in bytes.
  public let elementByteCount: Int
  /// How they are stored.
  public let format: VectorFormat
  /// The version that its user gave it.
  public let version: UInt32
  /// How many elements there are, holes included.
  public let count: Int
  /// The last stamp, or nil when there is none.
  public let stamp: UInt64?
  /// What it was computed from; nil when it was not, as no `ComputedVector` has updated it.
  public let computation: ComputationDescription?

  /// All vectors of a catalogue.
  ///
  /// - Parameter access: of a record, at the catalogue's instant.
  static func all(
    in catalogue: VectorCatalogue,
    _ access: (VectorRecord) throws(DatabaseError) -> VectorAccess
  ) throws(DatabaseError) -> [VectorDescription] {
    let records = try catalogue.all()
    var vectors: [UInt64: (name: String, access: VectorAccess)] = [:]
    for (name, record) in records { vectors[record.list] = (name, try access(record)) }
    var found: [VectorDescription] = []
    for (name, record) in records {
      found.append(try VectorDescription(name, record, try access(record), among: vectors))
    }
    return found
  }

  private init(
    _ name: String, _ record: VectorRecord, _ access: VectorAccess,
    among vectors: [UInt64: (name: String, access: VectorAccess)]
  ) throws(DatabaseError) {
    computation = try ComputationDescription(of: access, among: vectors)
    self.name = name
    elementTag = record.elementTag
    elementByteCount = record.stride
    format = record.format
    version = record.version
    count = try access.count
    let period = try access.period()
    stamp = period.number > 0 ? period.stamp : nil
  }
}

extension Database {
  /// All vectors, in the order of their names.
  ///
  /// - Throws: as `lookup`.
  public func vectors() throws(DatabaseError) -> [VectorDescription] {
    try snapshot().vectors()
  }

  /// Gives a vector another name; handles to it stay good.
  ///
  /// - Parameters:
  ///   - name: what it is called now.
  ///   - newName: what it is to be called.
  /// - Throws: `.notFound`, `.alreadyExists`, `.invalidArgument`, or as `insert`.
  public func renameVector(_ name: String, to newName: String) throws(DatabaseError) {
    try changingVectors { (transaction) throws(DatabaseError) in
      try transaction.renameVector(name, to: newName)
    }
  }

  /// Removes a vector with all its elements.
  ///
  /// Readers of it stay good; handles to it throw `.notFound`.
  ///
  /// - Parameter name: what it is called.
  /// - Returns: whether there was such a vector.
  /// - Throws: as `insert`.
  /// - Complexity: O(log n + chunks of 64 KiB + pages of records).
  @discardableResult
  public func removeVector(_ name: String) throws(DatabaseError) -> Bool {
    try changingVectors { (transaction) throws(DatabaseError) in
      try transaction.removeVector(name)
    }
  }

  /// A transaction that throws nothing but errors of the database.
  func changingVectors<R>(
    _ durability: Durability? = nil, _ body: (borrowing Transaction) throws(DatabaseError) -> R
  ) throws(DatabaseError) -> R {
    do {
      return try write(durability: durability) { (transaction) in try body(transaction) }
    } catch let error as DatabaseError {
      throw error
    } catch {
      throw DatabaseError(PagerError(.transactionEnded, "\(error)"))
    }
  }

  /// The record of the vector that is wanted, which is made if there is none.
  ///
  /// - Parameter isForced: whether one that is of another kind is replaced.
  func openVector(
    _ name: String, _ wanted: VectorRecord, isForced: Bool
  ) throws(DatabaseError) -> VectorRecord {
    if let known = try VectorCatalogue(access(to: .vectors)).find(name),
      known.mismatch(wanted) == nil
    {
      return known
    }
    return try changingVectors { (transaction) throws(DatabaseError) in
      try transaction.openVector(name, wanted, isForced: isForced)
    }
  }

  func vectorAccess(_ record: VectorRecord, _ options: AccessOptions) -> VectorAccess {
    VectorAccess(
      chunkList(record.list), chunks: access(to: .chunks), records: access(to: .vectorRecords),
      record, options)
  }
}

extension Transaction {
  /// All vectors as the transaction sees them, in the order of their names.
  ///
  /// - Throws: as `lookup`.
  public func vectors() throws(DatabaseError) -> [VectorDescription] {
    try VectorDescription.all(in: VectorCatalogue(access(to: .vectors))) { vectorAccess($0) }
  }

  /// Gives a vector another name; handles to it stay good.
  ///
  /// - Parameters:
  ///   - name: what it is called now.
  ///   - newName: what it is to be called.
  /// - Throws: `.notFound`, `.alreadyExists`, `.invalidArgument`, or as `insert`.
  public func renameVector(_ name: String, to newName: String) throws(DatabaseError) {
    let catalogue = VectorCatalogue(access(to: .vectors))
    try atOnce { () throws(DatabaseError) in try catalogue.rename(name, to: newName) }
  }

  /// Removes a vector with all its elements.
  ///
  /// - Parameter name: what it is called.
  /// - Returns: whether there was such a vector.
  /// - Throws: as `insert`.
  /// - Complexity: O(log n + chunks of 64 KiB + pages of records).
  @discardableResult
  public func removeVector(_ name: String) throws(DatabaseError) -> Bool {
    let catalogue = VectorCatalogue(access(to: .vectors))
    guard let record = try catalogue.find(name) else { return false }
    let vector = vectorAccess(record)
    try atOnce { () throws(DatabaseError) in
      try catalogue.remove(name)
      try vector.records.removeRange(VectorKey.all(record.list))
      try converting { () throws(PagerError) in try vector.list.remove(vector.chunks) }
    }
    return true
  }

  func vectorAccess(
    _ record: VectorRecord, _ options: AccessOptions = AccessOptions()
  ) -> VectorAccess {
    VectorAccess(
      chunkList(record.list), chunks: access(to: .chunks), records: access(to: .vectorRecords),
      record, options)
  }

  func openVector(
    _ name: String, _ wanted: VectorRecord, isForced: Bool
  ) throws(DatabaseError) -> VectorRecord {
    let catalogue = VectorCatalogue(access(to: .vectors))
    if let known = try catalogue.find(name) {
      do throws(DatabaseError) {
        try known.check(wanted, name)
        return known
      } catch {
        guard isForced else { throw error }
        try removeVector(name)
      }
    }
    try catalogue.check(name)
    let chunks = access(to: .chunks)
    return try converting { () throws(PagerError) in
      let list = try newChunkList()
      try list.create(chunks)
      var record = wanted
      record.list = list.id
      do throws(DatabaseError) {
        try catalogue.add(name, record)
      } catch {
        // What has no name would never be removed.
        try? list.remove(chunks)
        throw error.cause
      }
      return record
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
  /// All vectors that there were, in the order of their names.
  ///
  /// - Throws: as `lookup`.
  public func vectors() throws(DatabaseError) -> [VectorDescription] {
    try VectorDescription.all(in: VectorCatalogue(try access(to: .vectors))) {
      (record) throws(DatabaseError) in try vectorAccess(record)
    }
  }

  func vectorAccess(_ record: VectorRecord) throws(DatabaseError) -> VectorAccess {
    VectorAccess(
      chunkList(record.list), chunks: try access(to: .chunks),
      records: try access(to: .vectorRecords), record, AccessOptions())
  }
}
