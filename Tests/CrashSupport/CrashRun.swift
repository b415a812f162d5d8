package import BTreeKV
import Pager
import Regions
import TestSupport
import Vectors

/// A workload on a recorded file, to be crashed at any instant of it.
package struct CrashRun {
  package let plan: CrashPlan
  package let recorder: Recorder
  package private(set) var history = CrashHistory(ContentDigest())
  /// How many events the first opening took.
  package private(set) var openingEnd = 0
  private var storage: RecordingStorage
  private var driver = OperationDriver()
  /// What the file holds for certain.
  private var durableModel = TreesModel()
  private var durability: Database.Durability
  private var snapshots: [(Snapshot, ContentDigest)] = []
  /// Readers of regions, and the digest of what each must show.
  private var readers: [(RegionReader, String, UInt64)] = []

  /// Entries that are held, and the hash of what each must show.
  private var heldEntries: [(Entry, UInt64)] = []

  /// Readers of raw vectors, and what each must show.
  private var vectorReaders: [(RawVectorReader<UInt32>, [UInt32])] = []

  /// A run on a file of this content; none makes a new one.
  package init(_ plan: CrashPlan, contents: [UInt8] = []) throws {
    self.plan = plan
    storage = try RecordingStorage(contents: contents)
    recorder = storage.recorder
    durability = plan.durability
  }

  /// Opens the database for the first time, which recovers what is there.
  ///
  /// - Returns: the database and what was found in it, which is durable.
  package mutating func open() throws -> (Database, ContentDigest) {
    let database = try open(durability)
    openingEnd = recorder.eventCount
    try requireSound(database, "after opening")
    let digest = try ContentDigest(of: database)
    if digest != history.digests[0] {
      driver.model = try TreesModel(of: database)
      durableModel = driver.model
      history = CrashHistory(digest)
    }
    return (database, digest)
  }

  /// Does all operations on the database that `open` gave.
  package mutating func run(_ first: Database) throws {
    var database = first
    for operation in plan.operations { try step(operation, &database) }
    try compare(database, "at the end")
    try compareReaders()
    releaseAll()
    driver.forgetHandles()
    if plan.isClosed {
      let start = recorder.eventCount
      try database.close()
      note(.barrier, start)
    } else {
      database.abandon()
    }
  }

  private func open(_ durability: Database.Durability) throws -> Database {
    let database = try Database.open(
      storage: storage, options: plan.options(durability), hasBackgroundThreads: false)
    recorder.mark()
    return database
  }

  private func compare(_ database: Database, _ context: String) throws {
    try require(
      try ContentDigest(of: database) == driver.model.digest,
      "\(context) the content is another one than the model's")
  }

  private mutating func note(_ kind: CrashHistory.Kind, _ start: Int) {
    recorder.mark()
    history.note(kind, driver.model.digest, start: start, end: recorder.eventCount)
    if kind == .barrier { durableModel = driver.model }
  }

  private mutating func step(_ operation: CrashOperation, _ database: inout Database) throws {
    let start = recorder.eventCount
    switch operation {
    case .checkpoint:
      try database.checkpoint()
      note(.barrier, start)
    case .compact:
      try database.compact()
      note(.barrier, start)
    case .waitUntilDurable:
      try database.waitUntilDurable()
      note(.barrier, start)
    case .insertDurably:
      try driver.apply(operation, to: database)
      note(.barrier, start)
    case .region(let region, .appendDurably):
      let isThere = driver.model.regions[OperationDriver.regionNames[region]] != nil
      try driver.apply(operation, to: database)
      note(isThere ? .barrier : .change(durability), start)
    case .entries(let store, .writeDurably):
      let isThere = driver.model.stores[OperationDriver.storeNames[store]] != nil
      try driver.apply(operation, to: database)
      note(isThere ? .barrier : .change(durability), start)
    case .load where durability != .none:
      let isEmpty = driver.model.digest
      try driver.apply(operation, to: database)
      // On a tree that has entries it does nothing.
      note(isEmpty == driver.model.digest ? .change(durability) : .barrier, start)
    case .takeSnapshot:
      snapshots.append((try database.snapshot(), driver.model.digest))
      if snapshots.count > 3 { snapshots.removeFirst() }
      try takeReaders(database)
    case .releaseSnapshots: try releaseSnapshots()
    case .reopen(let next):
      try releaseSnapshots()
      try database.close()
      note(.barrier, start)
      try reopen(next, &database)
    case .kill(let next):
      releaseAll()
      database.abandon()
      if durability == .none { driver.model = durableModel }
      try reopen(next, &database)
      try compare(database, "after the death of the process")
      note(.barrier, start)
    default:
      try driver.apply(operation, to: database)
      note(.change(durability), start)
    }
  }

  private mutating func reopen(
    _ next: Database.Durability, _ database: inout Database
  ) throws {
    durability = next
    driver.forgetHandles()
    storage = storage.reopen()
    database = try open(next)
  }

  private mutating func releaseSnapshots() throws {
    for (snapshot, digest) in snapshots {
      try require(
        try ContentDigest(of: snapshot) == digest, "a snapshot shows another content")
    }
    try compareReaders()
    releaseAll()
  }

  private mutating func releaseAll() {
    snapshots = []
    readers = []
    heldEntries = []
    vectorReaders = []
  }

  private mutating func takeReaders(_ database: Database) throws {
    for (name, bytes) in driver.model.regions {
      guard let reader = try database.existingRegion(name)?.reader() else { continue }
      let hash = bytes.withUnsafeBytes { ContentDigest.hash(name, $0) }
      readers.append((reader, name, hash))
    }
    if readers.count > 8 { readers.removeFirst(readers.count - 8) }
    for name in driver.model.stores.keys {
      guard let last = try database.existingEntryStore(name)?.lastEntry else { continue }
      heldEntries.append((last, Self.hash(last)))
    }
    if heldEntries.count > 8 { heldEntries.removeFirst(heldEntries.count - 8) }
    for (name, vector) in driver.model.vectors where !OperationDriver.isCompressed(name) {
      let reader = try RawVector<UInt32>.open(name, in: database).reader()
      vectorReaders.append((reader, vector.elements))
    }
    if vectorReaders.count > 8 { vectorReaders.removeFirst(vectorReaders.count - 8) }
  }

  private static func hash(_ entry: Entry) -> UInt64 {
    entry.bytes.withUnsafeBytes { EntryStoreModel.hash(entry.key, $0) }
  }

  private func compareReaders() throws {
    for (entry, hash) in heldEntries {
      try entry.verify()
      try require(Self.hash(entry) == hash, "an entry that is held shows other bytes")
    }
    for (reader, name, hash) in readers {
      let bytes = reader.bytes
      let found = bytes.withUnsafeBytes { ContentDigest.hash(name, $0) }
      try require(found == hash, "a reader of region \"\(name)\" shows other bytes")
    }
    for (reader, elements) in vectorReaders {
      try require(reader.elementsEqual(elements), "a reader of a vector shows other elements")
    }
  }
}

extension TreesModel {
  /// What an open database holds.
  init(of database: Database) throws {
    self.init()
    try add(database, "")
    for name in try database.treeNames() {
      create(name)
      if let tree = try database.existingTree(name) { try add(tree, name) }
    }
    for name in try database.regionNames() {
      setRegion(name, try database.existingRegion(name)?.readAll())
    }
    for name in try database.entryStoreNames() {
      var entries: [(key: [UInt8], bytes: [UInt8])] = []
      try database.existingEntryStore(name)?.forEach(.newestFirst) { entry in
        entries.append((entry.key, entry.array))
        return .next
      }
      var store = EntryStoreModel()
      for entry in entries.reversed() { _ = store.write(entry.key, entry.bytes) }
      setStore(name, store)
    }
    for vector in try database.vectors() {
      setVector(vector.name, try VectorModel(vector.name, of: database))
    }
  }

  private mutating func add(_ tree: some ReadableTree, _ name: String) throws {
    var entries: [([UInt8], [UInt8])] = []
    try tree.forEach { key, value in
      entries.append((key.withUnsafeBytes { Array($0) }, value.withUnsafeBytes { Array($0) }))
      return .next
    }
    for (key, value) in entries { set(name, key, value) }
  }
}
