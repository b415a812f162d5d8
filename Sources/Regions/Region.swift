public import BTreeKV
internal import Pager

/// Bytes under a name, of any number, that grow at their end and can be read in place.
///
/// Each call is a transaction of its own, durable as was asked when it returns; `Transaction.region(_:)`
/// gives the region as part of a larger one. A handle stays good when the region is renamed; once it is
/// removed, calls throw `.notFound`. Any number of threads may use one.
///
/// ```swift
/// let region = try database.region("log")
/// try region.append("first line\n")
/// let text = try region.read(0..<5)
/// assert(text == Array("first".utf8))
/// ```
public struct Region: WritableRegion, Sendable {
  /// How the handle reaches the region.
  public let access: RegionAccess
  // Keeps the file open.
  private let database: Database

  init(_ database: Database, _ id: UInt64) {
    self.database = database
    access = RegionAccess(database.chunkList(id), database.access(to: .chunks))
  }

  /// Waits until everything that was written to it is on the medium, and all that was written before.
  ///
  /// - Throws: as `Database.waitUntilDurable`.
  /// - Complexity: one sync at most; a checkpoint under `.none`.
  public func flush() throws(DatabaseError) { try database.waitUntilDurable() }

  /// The region as a transaction of its database sees it.
  ///
  /// - Parameter transaction: one of the same `Database` that is under way; of another one it is a
  ///   programming error and traps.
  @_lifetime(borrow transaction)
  public func access(in transaction: borrowing Transaction) -> TransactionRegion {
    transaction.checkIsOfSameDatabase(access.chunks)
    return TransactionRegion(
      transaction.chunkList(access.list.id), transaction.access(to: .chunks))
  }
}

/// A region as a transaction sees it; it can't outlive the transaction.
public struct TransactionRegion: ~Escapable, WritableRegion {
  /// How the handle reaches the region.
  public let access: RegionAccess

  @_lifetime(immortal)
  init(_ list: ChunkList, _ chunks: TreeAccess) { access = RegionAccess(list, chunks) }
}

/// A region at a snapshot's instant.
public struct SnapshotRegion: ReadableRegion, Sendable {
  /// How the handle reaches the region.
  public let access: RegionAccess
  private let snapshot: Snapshot

  init(_ snapshot: Snapshot, _ list: ChunkList, _ chunks: TreeAccess) {
    self.snapshot = snapshot
    access = RegionAccess(list, chunks)
  }
}

/// How a handle reaches its region.
///
/// There is nothing in it for users.
public final class RegionAccess: Sendable {
  let list: ChunkList
  let chunks: TreeAccess

  init(_ list: ChunkList, _ chunks: TreeAccess) {
    self.list = list
    self.chunks = chunks
  }
}

// What the generic calls of regions come to: they are compiled where they are used, these once.
extension RegionAccess {
  @usableFromInline
  func append(
    _ bytes: UnsafeRawBufferPointer, _ durability: Database.Durability?
  ) throws(DatabaseError) -> Int {
    try converting { () throws(PagerError) in try list.append(bytes, chunks, durability) }
  }

  @usableFromInline
  func write(
    _ bytes: UnsafeRawBufferPointer, at offset: Int, _ durability: Database.Durability?
  ) throws(DatabaseError) {
    try converting { () throws(PagerError) in
      try list.write(bytes, at: offset, chunks, durability)
    }
  }

  @usableFromInline
  func write(
    _ durability: Database.Durability?, _ next: () -> (offset: Int, bytes: [UInt8])?
  ) throws(DatabaseError) {
    try converting { () throws(PagerError) in
      try list.changeAtOnce(chunks, durability) { () throws(PagerError) in
        try list.write(chunks, next)
      }
    }
  }

  @usableFromInline
  func truncate(
    to count: Int, andAppend bytes: UnsafeRawBufferPointer, _ durability: Database.Durability?
  ) throws(DatabaseError) {
    try converting { () throws(PagerError) in
      try list.truncate(to: count, thenAppend: bytes, chunks, durability)
    }
  }
}
