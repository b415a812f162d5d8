import CrashSupport
import TestSupport
import Testing

@testable import BTreeKV
@testable import Pager

/// What superblocks promise: each of the two is enough at any time, and a file is there once its
/// creation has returned.
@Suite struct SuperblockTests {
  private static let keyCount = 420

  private static func value(_ round: Int, _ number: Int) -> [UInt8] {
    [UInt8](repeating: UInt8(truncatingIfNeeded: number &+ 50 &* round), count: 900)
  }

  /// Overwrites all, which with the smallest cache also writes pages early.
  private static func fill(_ database: Database, _ round: Int) throws {
    for number in 0..<keyCount { try database.insert("key \(number + 1000)", value(round, number)) }
  }

  private static func options(_ durability: Database.Durability) -> Database.Options {
    var options = LogImage.options(durability)
    options.cacheByteCount = 0
    return options
  }

  /// The offsets of the superblocks, that of the newer one first.
  private static func newerFirst(_ contents: [UInt8]) throws -> (newer: Int, older: Int) {
    let blocks = try [0, 4096].map { try Superblock.decode(Array(contents[$0..<$0 + 512])) }
    return blocks[0].checkpoint > blocks[1].checkpoint ? (0, 4096) : (4096, 0)
  }

  private static func expect(_ round: Int, in contents: [UInt8], _ context: String) throws {
    let database = try Database.open(
      storage: try MemoryStorage(contents: contents), options: options(.sync),
      hasBackgroundThreads: false)
    #expect(try database.verify().problems == [], "\(context)")
    #expect(database.count == keyCount, "\(context)")
    for number in 0..<keyCount {
      #expect(try database.lookup("key \(number + 1000)") == value(round, number), "\(context)")
    }
  }

  /// A length that ends in the slots of a group is none: rounded up to whole groups, pages behind the
  /// end of the file would count as its own, and be read through mappings.
  @Test func lengthsThatEndInTheFreeMap() throws {
    let group = FreeMapLayout(pageByteCount: 4096).pagesPerGroup
    for (rest, isRight) in [(-1, true), (0, true), (1, false), (2, false), (3, false), (4, false)] {
      let memory = try MemoryStorage()
      let database = try Database.open(
        storage: memory.reopen(), options: Self.options(.sync), hasBackgroundThreads: false)
      try database.insert("key", "value")
      try database.close()
      var block = try Superblock.decode(Array(memory.copyOfContents()[..<512]))
      block.pageCount = group + rest
      for offset in [0, 4096] { try memory.writeBytes(block.encoded(), at: offset) }
      try memory.truncate(to: block.pageCount * 4096)
      for readOnly in [true, false] {
        let code = errorCode {
          let found = try Database.open(
            storage: memory.reopen(readOnly: readOnly), options: Self.options(.sync),
            hasBackgroundThreads: false)
          try require(found.lookup("key") == Array("value".utf8), "\(rest)")
          found.abandon()
        }
        #expect(code == (isRight ? nil : .corrupted), "\(rest), read only: \(readOnly)")
      }
    }
  }

  /// rule B4: after a crash between the two writes, the older superblock is brought up to date
  /// before anything that only it needs is reused.
  @Test func theOlderOneIsHealedFirst() throws {
    let storage = try RecordingStorage()
    let database = try Database.open(
      storage: storage, options: Self.options(.none), hasBackgroundThreads: false)
    for round in 0..<2 {
      try Self.fill(database, round)
      try database.checkpoint()
    }
    database.pager.abandon()
    let writes = storage.recorder.events.indices.filter { index in
      guard case .durableWrite(let offset, let bytes) = storage.recorder.events[index] else {
        return false
      }
      return bytes.count == 512 && offset <= 4096
    }
    var simulator = CrashSimulator(storage.recorder)
    simulator.advance(to: try #require(writes.dropLast().last) + 1)
    let crashed = simulator.poorestImage()
    let (newer, older) = try Self.newerFirst(crashed)
    // The next writer gets no further than early writes of pages.
    let memory = try MemoryStorage(contents: crashed)
    let next = try Database.open(
      storage: memory, options: Self.options(.none), hasBackgroundThreads: false)
    try Self.fill(next, 2)
    let contents = memory.copyOfContents()
    next.pager.abandon()
    for offset in [newer, older] {
      var rotten = contents
      rotten[offset + 40] ^= 1
      try Self.expect(1, in: rotten, "the superblock at \(offset) rotted")
    }
  }

  /// rule B4, C4: nothing that the older superblock needs is reused between the two writes, however
  /// much others write meanwhile.
  @Test func nothingIsReusedBetweenTheTwo() throws {
    let memory = try MemoryStorage()
    let storage = FaultyStorage(memory)
    let database = try Database.open(
      storage: storage, options: Self.options(.flush), hasBackgroundThreads: false)
    try Self.fill(database, 0)
    try database.checkpoint()
    try Self.fill(database, 1)
    let seen = Locked(0)
    let image = Locked<Result<[UInt8], any Error>?>(nil)
    storage.setHook { [weak database] call in
      guard call.operation == .writeDurably, call.byteCount == 512, call.offset <= 4096 else {
        return nil
      }
      let number = seen.withLock { seen in
        seen += 1
        return seen
      }
      guard number == 2, let database else { return nil }
      let result = Result {
        try Self.fill(database, 2)
        return memory.copyOfContents()
      }
      image.withLock { $0 = result }
      return nil
    }
    try database.checkpoint()
    storage.setHook(nil)
    database.pager.abandon()
    var contents = try #require(image.withLock { $0 }).get()
    try Self.expect(2, in: contents, "as it was")
    contents[try Self.newerFirst(contents).newer + 40] ^= 1
    try Self.expect(2, in: contents, "the newer superblock rotted")
  }

  /// rule B9: once `open` has returned, the file and its name are on the medium.
  @Test(arguments: Database.Durability.allCases)
  func aCreatedFileIsThere(durability: Database.Durability) throws {
    let recording = try RecordingStorage()
    let storage = FaultyStorage(recording)
    let database = try Database.open(
      storage: storage, options: LogImage.options(durability), hasBackgroundThreads: false)
    database.pager.abandon()
    var simulator = CrashSimulator(recording.recorder)
    simulator.advance(to: recording.recorder.eventCount)
    var options = LogImage.options(durability)
    options.mode = .mustExist
    let again = try Database.open(
      storage: try MemoryStorage(contents: simulator.poorestImage()), options: options,
      hasBackgroundThreads: false)
    #expect(try again.verify().problems == [])
    let calls = storage.calls.map(\.operation)
    let lastSync = try #require(calls.lastIndex(of: .synchronize))
    #expect(calls[lastSync...].contains(.synchronizeDirectory))
  }

  /// rule B2, F1: the table of trees that a checkpoint writes is that of its cut.
  @Test func theTableOfTreesIsThatOfTheCut() throws {
    let database = try Database.open(
      storage: try MemoryStorage(), options: LogImage.options(.sync), hasBackgroundThreads: false)
    let tree = try database.tree("tree")
    try tree.insert("key", "value")
    let pin = database.pager.takePin()
    let table = database.pager.treeTable(at: pin)
    #expect(table != nil)
    try tree.insert("another", "value")
    #expect(database.pager.treeTable(at: database.pager.takePin()) != table)
    #expect(database.pager.treeTable(at: pin) == table)
    database.pager.abandon()
  }

  /// rule A3, F4: when a write of a free-map page was lost, the map before it is not taken for the
  /// one in force.
  @Test func aLostWriteOfTheMapIsFound() throws {
    let storage = try MemoryStorage()
    let database = try Database.open(
      storage: storage, options: LogImage.options(.none), hasBackgroundThreads: false)
    try Self.fill(database, 0)
    try database.checkpoint()
    let before = storage.copyOfContents()
    try Self.fill(database, 1)
    try database.checkpoint()
    var after = storage.copyOfContents()
    database.pager.abandon()
    let slots = [2 * 4096..<3 * 4096, 3 * 4096..<4 * 4096]
    let changed = slots.filter { before[$0] != after[$0] }
    #expect(changed.count == 1, "a checkpoint writes one of the two slots")
    for slot in changed { after.replaceSubrange(slot, with: before[slot]) }
    let error = #expect(throws: PagerError.self) {
      try Database.open(
        storage: try MemoryStorage(contents: after), options: LogImage.options(.none),
        hasBackgroundThreads: false)
    }
    #expect(error?.code == .corrupted)
  }
}
