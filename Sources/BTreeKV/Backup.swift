package import Pager

/// What a backup holds.
public struct BackupReport: Sendable {
  /// How many entries were copied, in all trees, those of regions, entry stores and vectors among
  /// them.
  public var entryCount = 0
  /// The new file's length in bytes.
  public var byteCount = 0
}

/// How far a backup has come.
public struct BackupProgress: Sendable {
  /// How many entries are copied so far.
  public var entryCount = 0
  /// How many there are.
  public var totalEntryCount = 0
}

extension Database {
  /// Copies everything, as it is at one instant, into a new file, while readers and writers go on.
  ///
  /// The new file has everything but the log and what is free: it is as short as it can be. It has
  /// that name once it is whole and on the medium; until then it is called `path.unfinished`, and a
  /// crash leaves nothing but that, which the next backup replaces. All checksums of what is copied
  /// are compared. `Snapshot.backUp(to:)` does the same for an instant in the past.
  ///
  /// ```swift
  /// try database.insert("apple", "red")
  /// let report = try database.backUp(to: newPath)
  /// assert(report.entryCount == 1)
  /// ```
  ///
  /// - Parameters:
  ///   - path: of the new file; there must be none.
  ///   - progress: told now and then how far it is; when it throws, the backup ends.
  /// - Returns: what it holds.
  /// - Throws: `.alreadyExists`; `.busy` while another backup writes to the same path; `.corrupted` when
  ///   something does not match its checksum; `.snapshotExpired`, `.diskFull`, `.inputOutput`,
  ///   `.closed`; or what `progress` throws. There is no new file then.
  /// - Complexity: O(bytes in use). The space of what is changed meanwhile is not used again until it
  ///   ends, as with every snapshot.
  @discardableResult
  public func backUp(
    to path: String, progress: ((BackupProgress) throws -> Void)? = nil
  ) throws -> BackupReport {
    try read { try $0.backUp(to: path, progress: progress) }
  }
}

extension Snapshot {
  /// Copies everything, as it is here, into a new file: as `Database.backUp(to:)`.
  ///
  /// - Parameters:
  ///   - path: of the new file; there must be none.
  ///   - progress: told now and then how far it is; when it throws, the backup ends.
  /// - Returns: what it holds.
  /// - Throws: as `Database.backUp(to:)`.
  /// - Complexity: O(bytes in use).
  @discardableResult
  public func backUp(
    to path: String, progress: ((BackupProgress) throws -> Void)? = nil
  ) throws -> BackupReport {
    let unfinished = path + ".unfinished"
    try converting { () throws(PagerError) in
      try FileStorage.checkUnused(path)
      try FileStorage.removeUnused(unfinished)
    }
    let storage = try converting { () throws(PagerError) in
      try FileStorage.open(path: unfinished, access: .mustNotExist)
    }
    do {
      let entryCount = try backUp(into: storage, progress: progress)
      let byteCount = try converting { () throws(PagerError) in
        try FileStorage.rename(unfinished, to: path)
      }
      return BackupReport(entryCount: entryCount, byteCount: byteCount)
    } catch {
      try? FileStorage.removeUnused(unfinished)
      throw error
    }
  }

  /// The same into any storage, which is empty, and closed at the end.
  ///
  /// - Returns: how many entries were copied.
  package func backUp(
    into storage: any Storage, progress: ((BackupProgress) throws -> Void)?
  ) throws -> Int {
    var options = Database.Options()
    options.pageSize = database.pager.pageByteCount
    options.durability = .none
    let target: Database
    do {
      target = try converting { () throws(PagerError) in
        try Database.open(storage: storage, options: options)
      }
    } catch {
      storage.close()
      throw error
    }
    do {
      var backup = try Backup(self, into: target, progress: progress)
      try backup.run()
      try target.checkpoint()
      try target.close()
      return backup.entryCount
    } catch {
      target.abandon()
      throw error
    }
  }
}

/// One backup under way.
private struct Backup {
  private let source: Snapshot
  private let target: Database
  private let progress: ((BackupProgress) throws -> Void)?
  private var told = BackupProgress()

  /// How many entries are copied between two looks at the caller's closure.
  private static let stepCount = 1000

  init(
    _ source: Snapshot, into target: Database, progress: ((BackupProgress) throws -> Void)?
  ) throws(DatabaseError) {
    self.source = source
    self.target = target
    self.progress = progress
    for tree in source.database.engine.allTrees where tree.descriptor.id != .catalogue {
      told.totalEntryCount += try source.access(to: tree.descriptor.id).count
    }
  }

  var entryCount: Int { told.entryCount }

  mutating func run() throws {
    try copy(.main, to: target.access)
    try copyNamedTrees()
    // A list's number is the same in both files, so that all trees that have it are copied as they are.
    try copyChunks()
    for id in [TreeID.regions, .entries, .entryStores, .vectors, .vectorRecords] {
      try copy(id, to: target.access(to: id))
    }
    try progress?(told)
  }

  private mutating func copied() throws {
    told.entryCount += 1
    if told.entryCount % Self.stepCount == 0 { try progress?(told) }
  }

  private mutating func copyNamedTrees() throws {
    let engine = target.engine
    let walker = try source.catalogue().walker(.all, false, true)
    while try walker.step() {
      let name = String(decoding: walker.key, as: UTF8.self)
      guard let record = CatalogueRecord(walker.value) else {
        throw DatabaseError(
          PagerError(.corrupted, "what the catalogue says of the tree \"\(name)\" makes no sense"))
      }
      let id = try converting { () throws(PagerError) in
        try engine.changeAtOnce(nil) { () throws(PagerError) in
          let state = TransactionState(target.file)
          defer { state.end() }
          return try engine.setTypeTag(record.typeTag, of: name, in: state)
        }
      }
      try copy(record.id, to: target.access(to: id))
    }
  }

  /// Copies the entries of a tree.
  private mutating func copy(_ id: TreeID, to copy: TreeAccess) throws {
    let access = try source.access(to: id)
    let walker = try access.walker(.all, false, false)
    while try walker.step() {
      let payload = walker.payload
      if payload.isLarge {
        try copyLarge(Array(walker.key), payload.bytes, of: access, to: copy)
      } else {
        _ = try copy.insert(walker.key, payload.bytes, nil)
      }
      try copied()
    }
  }

  /// Copies a value that lies in pages of its own, in pieces.
  private func copyLarge(
    _ key: [UInt8], _ reference: UnsafeRawBufferPointer, of access: TreeAccess, to copy: TreeAccess
  ) throws {
    let pager = source.database.pager
    guard let large = LargeValue(reference, pageByteCount: pager.pageByteCount) else {
      throw DatabaseError(
        PagerError(.corrupted, "the reference to a value's bytes makes no sense"))
    }
    let reader = LargeValueReader(
      large, storage: pager.storage, pageByteCount: pager.pageByteCount)
    _ = try copy.insert(key, nil) { writer in
      // Once the snapshot has expired its pages are others'.
      try access.read { (_) throws(PagerError) in
        try reader.forEachChunk { (bytes) throws(PagerError) in
          do throws(DatabaseError) {
            try writer.write(bytes)
          } catch {
            throw error.cause
          }
        }
      }
    }
  }

  /// Makes all lists anew, with what their chunks hold.
  private mutating func copyChunks() throws {
    let access = try source.access(to: .chunks)
    let chunks = target.access(to: .chunks)
    let walker = try access.walker(.all, false, false)
    while try walker.step() {
      let (key, payload) = (walker.key, walker.payload)
      guard key.count >= 8, ChunkKey.isList(ChunkKey.list(key)) else { throw damage }
      let id = ChunkKey.list(key)
      let (from, to) = (source.database.engine.chunkList(id), target.engine.chunkList(id))
      if key.count == 8 {
        try converting { () throws(PagerError) in try to.create(chunks) }
      } else {
        guard let index = ChunkKey.index(key, of: id),
          let chunk = Chunk(
            index: index, payload: payload.bytes, isLarge: payload.isLarge,
            pageByteCount: source.database.pager.pageByteCount)
        else { throw damage }
        try access.read { (_) throws(PagerError) in
          try from.withBytes(of: chunk, payload.bytes) { (bytes) throws(PagerError) in
            guard try to.append(bytes, chunks, nil) == chunk.start else { throw damage.cause }
          }
        }
      }
      try copied()
    }
  }

  private var damage: DatabaseError {
    DatabaseError(
      PagerError(
        .corrupted, "what the file says of its regions makes no sense", path: source.database.path))
  }
}

extension RangeWalker {
  /// What the tree has for the current key: its value, or the reference to one; valid until the next
  /// step.
  var payload: (bytes: UnsafeRawBufferPointer, isLarge: Bool) {
    let entry = leaf.entry(position.pointee.index - 1)
    return (entry.payload, entry.isLarge)
  }
}
