import Synchronization
import TestSupport
import Testing

@testable import BTreeKV
@testable import Pager

/// The invariants of an open database's structures: nothing is reported of a sound one, and each kind
/// of breach is.
@Suite struct StructureInvariantTests {
  private func expect(
    _ violations: [String], toSay text: String, _ place: SourceLocation = #_sourceLocation
  ) {
    #expect(violations.contains { $0.contains(text) }, "\(violations)", sourceLocation: place)
  }

  private func open(_ durability: Database.Durability = .flush) throws -> Database {
    let database = try openDatabase(
      in: try MemoryStorage(), tightOptions(durability: durability), hasBackgroundThreads: false)
    for number in 0..<300 {
      try database.insert(KeySource.bigEndian(UInt64(number)), [UInt8](repeating: 1, count: 60))
    }
    return database
  }

  @Test func log() throws {
    let database = try open()
    // More than the first segment holds.
    for number in 0..<700 {
      try database.insert(KeySource.bigEndian(UInt64(number)), [UInt8](repeating: 2, count: 900))
    }
    let log = try #require(database.pager.log)
    #expect(log.live.count > 1)
    #expect(log.invariantViolations() == [])
    #expect(database.pager.invariantViolations() == [])

    let cursor = log.cursor.pointee
    log.cursor.pointee.offset += 8
    expect(log.invariantViolations(), toSay: "not to go to its end")
    log.cursor.pointee.offset = cursor.limit
    expect(log.invariantViolations(), toSay: "the next record is to go to offset")
    log.cursor.pointee = cursor
    log.cursor.pointee.salt ^= 1
    expect(log.invariantViolations(), toSay: "do not go to the last segment")
    log.cursor.pointee = cursor
    let durable = log.durableLSN
    log.durable.store(log.endLSN.rawValue + 8, ordering: .relaxed)
    expect(log.invariantViolations(), toSay: "behind its end")
    log.durable.store(durable.rawValue, ordering: .relaxed)

    let live = log.live
    log.live[0].finishedAt = nil
    expect(log.invariantViolations(), toSay: "is not finished")
    log.live = live
    log.live[live.count - 1].finishedAt = 2000
    expect(log.invariantViolations(), toSay: "is finished, but the last")
    log.live = live
    log.live[1].segment.sequence += 1
    expect(log.invariantViolations(), toSay: "does not follow")
    log.live = live
    log.live[1].segment.extent.first = live[0].segment.extent.first
    expect(log.invariantViolations(), toSay: "share pages")
    log.live = live
    log.live[0].segment.byteCount -= 8
    expect(log.invariantViolations(), toSay: "bytes in")
    log.live = live
    let staying = log.firstStaying
    log.firstStaying = live[live.count - 1].segment.sequence + 1
    expect(log.invariantViolations(), toSay: "which is not live")
    log.firstStaying = staying
    #expect(log.invariantViolations() == [])
    try database.close()
  }

  @Test func node() throws {
    let database = try open()
    let tree = database.engine.mainTree
    let leaf = try #require(try tree.leaf(for: .init(start: nil, count: 0), root: nil))
    tree.pool.endRead(leaf.page.id, leaf.version)
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 8)
    defer { copy.deallocate() }
    func violations(level: Int = 0, _ breaking: (Node) -> Void = { _ in }) throws -> [String] {
      copy.copyMemory(from: UnsafeRawBufferPointer(tree.pool.buffer(leaf.page.id)))
      let node = Node(try #require(copy.baseAddress))
      breaking(node)
      return node.invariantViolations(leaf.page, level: level, pageByteCount: 4096)
    }
    #expect(try violations() == [])
    expect(try violations(level: 1), toSay: "not of epoch")
    expect(try violations { $0.garbage += 1 }, toSay: "do not add up")
    expect(try violations { $0.count = 0 }, toSay: "is empty")
    expect(
      try violations { node in
        let first = node.slot(0).word
        node.slots.storeBytes(of: node.slot(1).word, as: UInt64.self)
        node.slots.storeBytes(of: first, toByteOffset: 8, as: UInt64.self)
      }, toSay: "order")
    try database.close()
  }

  @Test func tree() throws {
    let database = try open()
    let tree = database.engine.mainTree
    #expect(tree.invariantViolations() == [])
    try #require(tree.pathCount > 0)
    tree.path[0].isHeld = true
    expect(tree.invariantViolations(), toSay: "still held")
    tree.path[0].isHeld = false
    let root = tree.state.pointee.root
    tree.state.pointee.root.height += 1
    expect(tree.invariantViolations(), toSay: "not of epoch")
    tree.state.pointee.root = root
    #expect(tree.invariantViolations() == [])
    try database.close()
  }

  @Test func snapshots() throws {
    let database = try open()
    let snapshots = database.engine.snapshots
    let first = try database.snapshot()
    let second = try database.snapshot()
    let epoch = try #require(snapshots.held.withLock { $0.values.first?.epoch })
    #expect(snapshots.invariantViolations() == [])
    // The durable checkpoint may hold the same pin.
    let holders = database.pager.holderCount(of: epoch)
    for _ in 1..<holders { database.pager.releasePin(epoch) }
    expect(snapshots.invariantViolations(), toSay: "pinned by 1")
    database.pager.publishLatch.withLock {
      for _ in 1..<holders { database.pager.published.pointee.pins.share(epoch) }
    }
    first.close()
    second.close()
    #expect(snapshots.invariantViolations() == [])
    try database.close()
  }

  @Test func cursor() throws {
    let database = try open()
    let walker = try TreeAccess(database.file, database.engine.mainTree, .live)
      .walker(.all, false, true)
    #expect(walker.invariantViolations() == [])
    for _ in 0..<5 { #expect(try walker.step()) }
    #expect(walker.invariantViolations() == [])
    let position = walker.position.pointee
    walker.position.pointee.stop = walker.leaf.count + 1
    expect(walker.invariantViolations(), toSay: "slots 5 to")
    walker.position.pointee = position
    walker.isFinished = true
    expect(walker.invariantViolations(), toSay: "at its end")
    walker.isFinished = false
    walker.hasStarted = false
    expect(walker.invariantViolations(), toSay: "without having begun")
    walker.hasStarted = true
    walker.pending = RangeWalker.Place(key: [])
    expect(walker.invariantViolations(), toSay: "elsewhere too")
    walker.pending = nil
    walker.leaf.state.pointee.count += 1
    expect(walker.invariantViolations(), toSay: "copy of a leaf has changed")
    walker.leaf.state.pointee.count -= 1
    #expect(walker.invariantViolations() == [])
    try database.close()
  }

  /// The pager's own, and what ties its structures together.
  @Test func pager() throws {
    let database = try open(.none)
    let pager = database.pager
    try database.checkpoint()
    #expect(pager.invariantViolationsAfterCheckpoint() == [])
    #expect(pager.invariantViolations() == [])
    let pin = pager.durablePin
    pager.durablePin = Epoch(pin.rawValue + 1)
    expect(
      pager.invariantViolationsAfterCheckpoint(), toSay: "the durable checkpoint is not pinned")
    pager.durablePin = pin
    // rule A3: a page of the durable checkpoint is given back.
    let page = Extent(first: pager.superblock.root.page.id, pageCount: 1)
    try pager.allocator.free(page)
    expect(
      pager.invariantViolationsAfterCheckpoint(), toSay: "the durable map has page \(page.first)")
    #expect(pager.allocator.reserve(page))
    try database.write { transaction in
      try transaction.insert("a", "b")
      #expect(pager.invariantViolations() == [])
      pager.published.pointee.committedPin = nil
      expect(pager.invariantViolations(), toSay: "what is pinned for it")
      pager.published.pointee.committedPin = pager.transaction.pointee.levels[0].pin
    }
    #expect(pager.invariantViolations() == [])
    #expect(pager.pool.invariantViolations(isQuiet: true) == [])
    try database.close()
  }

  #if os(Linux) || os(macOS)
    /// They are looked at in debug builds: a breach ends the program.
    @Test func breachesEndTheProgram() async {
      await #expect(processExitsWith: .failure) {
        let database = try openDatabase(in: try MemoryStorage(), hasBackgroundThreads: false)
        try database.insert("a", "b")
        database.pager.allocator.usedPageCount += 1
        try database.checkpoint()
      }
    }
  #endif
}
