import Synchronization
import TestSupport
import Testing

@testable import BTreeKV
@testable import Pager

/// rule B2: a cut is one step under the publish latch, and so is a mutation: log, change, publish.
///
/// So whoever holds that latch finds that log, pages and counts tell the same story. Records are of
/// two sizes here, so that the log's length says how many there are of either kind.
@Suite(.serialized) struct CutRuleTests {
  private static func key(_ number: Int) -> [UInt8] { KeySource.bigEndian(UInt64(number)) }
  fileprivate static let value = [UInt8](repeating: 7, count: 32)
  private static func insertByteCount(_ valueByteCount: Int) -> Int {
    LogRecord.byteCount(body: LogEntry.headerByteCount + 8 + valueByteCount)
  }
  private static let removeByteCount = LogRecord.byteCount(body: LogEntry.headerByteCount + 8)
  /// So few that their records lie in the log's first segment, without a jump in positions.
  private static func mutationCount(_ valueByteCount: Int) -> Int {
    (Log.firstSegmentByteCount - LogSegment.recordsOffset) / insertByteCount(valueByteCount) - 100
  }

  private static func open(_ storage: MemoryStorage) throws -> Database {
    var options = tightOptions(checkpointThresholdByteCount: 1 << 30)
    // All pages stay in memory, so that they can be looked at with the latch held.
    options.cacheByteCount = 16 << 20
    let database = try openDatabase(in: storage, options, hasBackgroundThreads: false)
    // The first mutation starts the log, and that takes a checkpoint.
    try database.insert([0xFF], value)
    return database
  }

  /// What log, pages and counts say at one instant.
  private struct Story: Equatable {
    var logByteCount: UInt64
    var mutationCount: Int
    var count: Int
    var liveCount: Int
    var pageEntryCount: Int

    /// Whatever thread holds the publish latch may read the pages: nobody changes any meanwhile.
    init(_ database: Database) {
      let pager = database.pager
      let tree = database.engine.mainTree
      self = pager.publishLatch.withLock {
        let root = pager.mainTree.state.pointee.root
        return Story(
          logByteCount: pager.log?.endLSN.rawValue ?? 0,
          mutationCount: pager.published.pointee.mutationCount, count: root.count,
          liveCount: pager.mainTree.liveCount,
          pageEntryCount: Self.entryCount(tree, root.page.id, level: root.height - 1))
      }
    }

    private init(
      logByteCount: UInt64, mutationCount: Int, count: Int, liveCount: Int, pageEntryCount: Int
    ) {
      self.logByteCount = logByteCount
      self.mutationCount = mutationCount
      self.count = count
      self.liveCount = liveCount
      self.pageEntryCount = pageEntryCount
    }

    private static func entryCount(_ tree: Tree, _ page: PageID, level: Int) -> Int {
      let node = tree.node(page)
      if level == 0 { return node.count }
      return (0..<node.count).reduce(0) { sum, index in
        sum + entryCount(tree, node.child(index).id, level: level - 1)
      }
    }

    /// What there must be after so many mutations that changed the count by so much.
    func following(
      _ mutationCount: Int, countChange: Int, valueByteCount: Int = CutRuleTests.value.count
    ) -> Story {
      let inserts = (mutationCount + countChange) / 2
      return Story(
        logByteCount: logByteCount
          + UInt64(
            inserts * CutRuleTests.insertByteCount(valueByteCount)
              + (mutationCount - inserts) * CutRuleTests.removeByteCount),
        mutationCount: self.mutationCount + mutationCount, count: count + countChange,
        liveCount: liveCount + countChange, pageEntryCount: pageEntryCount + countChange)
    }
  }

  /// Inserts and removes, with splits, merges and a root that comes and goes.
  private static func mutate(_ database: Database) throws {
    let half = mutationCount(value.count) / 2
    for number in 0..<half { try database.insert(key(number * 7919 % half), value) }
    for number in 0..<half { try database.remove(key(number * 104_729 % half)) }
  }

  @Test func mutationsAreOneStep() throws {
    var steps = 0
    var round = 0
    // Who looks on may get few turns on a busy machine: then there are more rounds.
    while round < 4 * lengthFactor || steps <= 20 && round < 500 {
      round += 1
      let database = try Self.open(try MemoryStorage())
      let before = Story(database)
      let done = Done()
      let writer = try BackgroundThread(name: "writer") { done.run { try Self.mutate(database) } }
      var seen = 0
      var wrong: (found: Story, expected: Story)?
      while !done.isDone, wrong == nil {
        let story = Story(database)
        let mutationCount = story.mutationCount - before.mutationCount
        let expected = before.following(mutationCount, countChange: story.count - before.count)
        if story != expected { wrong = (story, expected) }
        if mutationCount != seen { steps += 1 }
        seen = mutationCount
      }
      writer.join()
      #expect(wrong == nil, "round \(round): \(String(describing: wrong))")
      try done.rethrow()
      try requireSound(database, "round \(round)")
    }
    #expect(steps > 20, "too few instants were seen")
  }

  /// The cut's root, log position, pages and pin belong together: the superblock says so, and a
  /// file that is recovered from there holds a prefix of what was done.
  ///
  /// Longer values make more splits.
  @Test(arguments: [32, 400]) func cutsAreOneStep(valueByteCount: Int) throws {
    let value = [UInt8](repeating: 7, count: valueByteCount)
    var cuts = 0
    for round in 0..<4 * lengthFactor {
      let storage = try MemoryStorage()
      let database = try Self.open(storage)
      let before = Story(database)
      let done = Done()
      let writer = try BackgroundThread(name: "writer") {
        done.run {
          let count = Self.mutationCount(valueByteCount)
          for number in 0..<count { try database.insert(Self.key(number), value) }
        }
      }
      while !done.isDone {
        try database.checkpoint()
        let block = database.pager.checkpointMutex.withLock { database.pager.superblock }
        let change = block.root.count - before.count
        let expected = before.following(
          change, countChange: change, valueByteCount: valueByteCount)
        let context = "round \(round), cut \(cuts)"
        #expect(block.log?.replayFrom.rawValue == expected.logByteCount, "\(context)")
        if change > 0, cuts % 4 == 0 { try Self.requirePrefix(storage, block, context) }
        cuts += 1
      }
      writer.join()
      try done.rethrow()
      try database.checkpoint()
      let last = database.pager.checkpointMutex.withLock { database.pager.superblock.root }
      #expect(
        last == database.pager.publishedRoot(of: database.pager.mainTree),
        "round \(round): the end was not written")
    }
    #expect(cuts > 5, "too few cuts")
  }

  /// Nobody gets the latch between a cut's pin and its lists of what changed before.
  ///
  /// Somebody presses for the latch without pause, since a gap would last a few nanoseconds.
  @Test(arguments: 0..<4) func cutsAreNotSeenInHalf(round: Int) throws {
    let database = try Self.open(try MemoryStorage())
    let done = Done()
    let cutter = try BackgroundThread(name: "cutter") {
      done.run {
        // On a busy machine the other thread may have the latch nearly all the time.
        let end = SystemCalls.monotonicNanoseconds() + 1_000_000_000
        for number in 0..<1500 * lengthFactor where SystemCalls.monotonicNanoseconds() < end {
          try database.insert(Self.key(number % 50), Self.value)
          try database.checkpoint()
        }
      }
    }
    let pager = database.pager
    var visits = 0
    var halves = 0
    while !done.isDone {
      while !pager.publishLatch.held.compareExchange(
        expected: false, desired: true, ordering: .acquiring
      ).exchanged {}
      // Only cuts pin here, so nothing is new since the last cut that is not since the last pin.
      let state = pager.published
      let isNew =
        state.pointee.mutationCount > 0 || !state.pointee.dirtyPages.isEmpty
        || pager.mutationHint.load(ordering: .relaxed) > 0
      if isNew, !state.pointee.isChangedSincePin { halves += 1 }
      // Which rhythm hits a gap depends on the machine, so there are several.
      for _ in 0..<[0, 30, 300][visits / 64 % 3] { spinHint() }
      pager.publishLatch.unlock()
      visits += 1
      for _ in 0..<20 { spinHint() }
    }
    cutter.join()
    try done.rethrow()
    #expect(halves == 0, "round \(round): cuts were seen half done")
  }

  /// Recovers what a crash of the process would leave now.
  private static func requirePrefix(
    _ storage: MemoryStorage, _ block: Superblock, _ context: String
  ) throws {
    let image = try MemoryStorage(contents: storage.copyOfContents())
    let recovered = try openDatabase(in: image, hasBackgroundThreads: false)
    try requireSound(recovered, context)
    let count = recovered.count
    try require(count >= block.root.count, "\(context): \(count) of \(block.root.count) entries")
    var number = 0
    try recovered.forEachKey { found in
      let expected = number == count - 1 ? [0xFF] : key(number)
      let isEqual = found.withUnsafeBytes { Array($0) } == expected
      try require(isEqual, "\(context): \(hex(expected)) of \(count) is missing")
      number += 1
      return .next
    }
    recovered.pager.abandon()
  }
}

/// Whether a thread is done, and what it threw.
private final class Done: Sendable {
  private let flag = Atomic(false)
  private let failure = Locked<(any Error)?>(nil)

  var isDone: Bool { flag.load(ordering: .acquiring) }

  func run(_ body: () throws -> Void) {
    do { try body() } catch { failure.withLock { $0 = error } }
    flag.store(true, ordering: .releasing)
  }

  func rethrow() throws { if let failure = failure.withLock({ $0 }) { throw failure } }

  /// rule A3: a page that came into use and went out of it after a cut is not taken for the table of
  /// trees of that cut, since the free map still has to hear of the page.
  ///
  /// It was: then the next checkpoint found the page in use twice and refused all writes.
  @Test func tableTakesNoPageThatTheMapHasStillToHearOf() throws {
    let database = try openDatabase(
      in: try MemoryStorage(), tightOptions(durability: .none), hasBackgroundThreads: false)
    try database.write { try $0.tree("some").insert("a", "b") }
    let pager = database.pager
    let epoch = pager.takePin()
    let extent = try pager.allocator.allocateExtent(pageCount: 1)
    let isFree = pager.publishLatch.withLock {
      pager.link(extent.first)
      return pager.unlink(
        PageReference(id: extent.first, epoch: pager.published.pointee.epoch))
    }
    #expect(isFree)
    try pager.allocator.free(extent)

    let table = try pager.writeTreeTable(at: epoch)
    let place = try #require(table).extent
    #expect(!place.overlaps(extent))
    // What was passed over is given back.
    #expect(try pager.allocator.allocateExtent(pageCount: 1) == extent)
    try pager.allocator.free(extent)
    try pager.allocator.free(place)
    pager.releasePin(epoch)
    try database.checkpoint()
    try requireSound(database, "after a checkpoint")
    try database.close()
  }
}
