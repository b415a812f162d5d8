@testable import BTreeKV
import Dispatch
import Pager
import Regions
import TestSupport
import Testing

/// What comes between the steps of others.
@Suite struct RegionRaceTests {
  private func inThread(_ body: @escaping @Sendable () throws -> Void) throws {
    let failure = Locked<(any Error)?>(nil)
    let thread = try BackgroundThread(name: "other") {
      do { try body() } catch { failure.withLock { $0 = error } }
    }
    thread.join()
    if let error = failure.withLock({ $0 }) { throw error }
  }

  /// Opens a region in another thread, and reads it there.
  private func readInThread(_ database: Database, _ content: [UInt8]) -> Region? {
    let opened = Locked<Region?>(nil)
    do {
      try inThread {
        let region = try #require(try database.existingRegion("r"))
        let reader = try region.reader()
        #expect(reader.bytes.withUnsafeBytes { Array($0) } == content)
        opened.withLock { $0 = region }
      }
    } catch {
      Issue.record(error)
    }
    return opened.withLock { $0 }
  }

  private func isInUse(_ id: UInt64, _ engine: Engine) -> Bool {
    engine.chunkLists.withLock { $0[id]?.list != nil }
  }

  /// Moves five chunks, as a compaction does, and does something when the last is about to.
  private func move(_ id: UInt64, _ engine: Engine, _ between: () -> Void) throws(PagerError) {
    var movedCount = 0
    try engine.changeAtOnce(nil) { () throws(PagerError) in
      engine.pager.touch(engine.chunkTree.descriptor)
      for index in 0..<5 {
        let key = ChunkKey.head(id) + ChunkKey.head(UInt64(index))
        engine.noteMove(ofChunk: key)
        if index == 4 { between() }
        if try engine.chunkTree.moveValue(of: key) { movedCount += 1 }
      }
    }
    #expect(movedCount == 5)
  }

  /// A region that nobody had in use when its chunks began to move, and that is read before they have
  /// moved: the reader sees the old places, and all after it the new ones.
  @Test func readerBetweenMoves() throws {
    let folder = try TemporaryFolder()
    let database = try Database.open(folder.file())
    let engine = database.engine
    var random = SeededRandom(seed: 5)
    let content = random.bytes(300_000)
    let more = random.bytes(100)
    try database.region("gone").append(random.bytes(2_000_000))
    try database.region("r").append(content)
    // The second list of the file.
    let id: UInt64 = 2
    try database.removeRegion("gone")
    for _ in 0..<3 { try database.checkpoint() }
    engine.pager.allocator.preferLowPages()
    try require(!isInUse(id, engine), "somebody has the region")
    var held: Region?
    try move(id, engine) { held = readInThread(database, content) }
    #expect(held != nil)
    let region = try #require(try database.existingRegion("r"))
    try region.append(more)
    let reader = try region.reader()
    #expect(reader.bytes.withUnsafeBytes { Array($0) } == content + more)
    try requireSound(database, "the file")
    try database.close()
  }

  /// One leaf in two trees, as only a made-up file has it: an error, where a writer would wait for
  /// itself.
  @Test func sharedLeaf() throws {
    let database = try openDatabase(in: MemoryStorage())
    let store = try EntryStore(database, "s")
    for number in 0..<100 { try store.write("\(number)", [UInt8](repeating: 1, count: 1000)) }
    let engine = database.engine
    let entries = engine.tree(of: .entries)
    let root = engine.chunkTree.descriptor.writerRoot
    engine.pager.publishLatch.lock()
    engine.pager.publish(entries.descriptor, root: root)
    engine.pager.publishLatch.unlock()
    #expect(errorCode { try store.write("new", [1]) } == .corrupted)
    #expect(errorCode { try store.write("1", [1]) } == .corrupted)
    database.abandon()
  }

  /// What is read on behalf of a verification or a compaction takes as long as it takes.
  @Test func workOfOurOwnDoesNotExpire() throws {
    var options = Database.Options()
    options.snapshotAgeLimitSeconds = 1e-9
    let database = try openDatabase(in: MemoryStorage(), options, hasBackgroundThreads: false)
    let snapshots = database.engine.snapshots
    try database.insert("a", "1")
    let snapshot = try database.snapshot()
    try snapshots.withoutExpiry { () throws(PagerError) in snapshots.expire() }
    #expect(try snapshot.lookup("a") != nil)
    snapshots.expire()
    #expect(errorCode { _ = try snapshot.lookup("a") } == .snapshotExpired)
    let store = try EntryStore(database, "s")
    for number in 0..<500 { try store.write("\(number % 7)", [UInt8](repeating: 1, count: 500)) }
    let report = try database.verify { _ in snapshots.expire() }
    #expect(report.isSound, "\(report.problems)")
    #expect(try store.compact() > 0)
    try database.close()
  }

  /// However full the place behind the region is: as much as was asked for, or an error and as much as
  /// before.
  @Test func reservedRoomIsThere() throws {
    let storage = FaultyStorage(try MemoryStorage())
    let database = try openDatabase(in: storage, hasBackgroundThreads: false)
    let (a, b) = (try database.region("a"), try database.region("b"))
    try a.reserve(100_000)
    #expect(a.reservedCount >= 131_072)
    // A neighbour leaves little room behind it.
    try b.append([UInt8](repeating: 1, count: 70_000))
    try a.reserve(5_000_000)
    #expect(a.reservedCount >= 5_000_000)
    let before = a.reservedCount
    storage.failAt(
      1, PagerError(.diskFull, "full"), forever: true, matching: [.allocate, .truncate])
    #expect(errorCode { try a.reserve(60_000_000) } == .diskFull)
    #expect(a.reservedCount == before)
    // What is reserved is there: in small steps and at once.
    for _ in 0..<50 { try a.append([UInt8](repeating: 2, count: 1000)) }
    try a.append([UInt8](repeating: 3, count: 4_900_000))
    #expect(try a.count == 4_950_000)
    storage.stopFailing()
    try requireSound(database, "the file")
    try database.close()
  }

  /// A hole for which the disk has no room is no reason not to use what is free behind it.
  @Test func holesThatCannotBeFilled() throws {
    let storage = FaultyStorage(try MemoryStorage())
    let database = try openDatabase(in: storage, hasBackgroundThreads: false)
    for name in ["a", "b", "c", "d"] {
      try database.region(name).append([UInt8](repeating: 1, count: 3_000_000))
    }
    try database.removeRegion("a")
    for _ in 0..<3 { try database.checkpoint() }
    let allocator = database.engine.pager.allocator
    try require(
      try allocator.punchHoles(minimumPageCount: 16) > 0, "there is nothing to give back")
    try database.removeRegion("c")
    for _ in 0..<3 { try database.checkpoint() }
    storage.failAt(
      1, PagerError(.diskFull, "full"), forever: true, matching: [.allocate, .truncate])
    try database.insert("long", [UInt8](repeating: 5, count: 500_000))
    for number in 0..<2000 {
      try database.insert("key \(number)", [UInt8](repeating: 6, count: 100))
    }
    #expect(storage.failedCalls.count > 0)
    storage.stopFailing()
    #expect(try database.lookup("long")?.count == 500_000)
    try requireSound(database, "the file")
    try database.close()
  }
}
