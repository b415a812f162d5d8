import Testing

@testable import BTreeKV
@testable import Pager

/// Made-up files, with right checksums and levels, in which pages are children many times over: the
/// ways down are too many to go, so each call must see what is wrong and end (rule F4).
@Suite struct HostileGraphTests {
  private static let pageByteCount = 4096

  private static var options: Database.Options {
    var options = Database.Options()
    options.pageSize = pageByteCount
    options.cacheByteCount = 1 << 20
    options.durability = .none
    return options
  }

  private static func open(_ bytes: [UInt8]) throws -> Database {
    try Database.open(
      storage: try MemoryStorage(contents: bytes), options: options, hasBackgroundThreads: false)
  }

  /// What a slot of a page stands for.
  private struct Entry {
    var key: String
    var payload = Array("value".utf8)
    var isLarge = false

    init(_ key: String) { self.key = key }

    init(_ key: String, child: Int) {
      self.key = key
      Node.withChild(HostileGraphTests.reference(child)) { payload = Array($0) }
    }

    init(_ key: String, large: LargeValue) {
      self.key = key
      payload = large.encoded
      isLarge = true
    }
  }

  /// A file of which some pages can be made anew, and its superblock.
  private struct Forgery {
    var bytes: [UInt8]
    var block: Superblock

    init() throws {
      let storage = try MemoryStorage()
      let database = try HostileGraphTests.openNew(storage)
      for number in 0..<4000 {
        try database.insert("key \(100_000 + number)", [UInt8](repeating: 7, count: 100))
      }
      try database.close()
      bytes = storage.reopen().copyOfContents()
      block = try Superblock.decode(Array(bytes[..<512]))
      try #require(block.pageCount > 90)
    }

    /// Writes a tree page.
    mutating func makePage(_ id: Int, level: Int, _ entries: [Entry]) {
      let size = HostileGraphTests.pageByteCount
      bytes.withUnsafeMutableBytes { file in
        let page = UnsafeMutableRawBufferPointer(rebasing: file[id * size..<(id + 1) * size])
        guard let base = page.baseAddress else { return }
        page.initializeMemory(as: UInt8.self, repeating: 0)
        let node = Node(base)
        node.initialize(
          id: PageID(UInt64(id)), epoch: Epoch(1), level: level,
          prefix: UnsafeRawBufferPointer(start: nil, count: 0), pageByteCount: size)
        for (index, entry) in entries.enumerated() {
          Array(entry.key.utf8).withUnsafeBytes { key in
            entry.payload.withUnsafeBytes {
              node.insert(
                at: index, suffix: key, payload: $0, isLarge: entry.isLarge, isLeaf: level == 0)
            }
          }
        }
        PageHeader.seal(page, seed: block.checksumSeed)
      }
    }

    /// Marks pages in both slots of the free map, and makes the digest right.
    mutating func mark(_ pages: Range<Int>, isUsed: Bool) {
      let size = HostileGraphTests.pageByteCount
      var best: (epoch: UInt64, sum: UInt64) = (0, 0)
      for slot in [2, 3] {
        bytes.withUnsafeMutableBytes { file in
          let map = UnsafeMutableRawBufferPointer(rebasing: file[slot * size..<(slot + 1) * size])
          for page in pages {
            map[64 + page / 8] &= ~(1 << UInt8(page % 8))
            map[64 + page / 8] |= (isUsed ? 1 : 0) << UInt8(page % 8)
          }
          PageHeader.seal(map, seed: block.checksumSeed)
          let epoch = map.load(fromByteOffset: PageHeader.epochOffset, as: UInt64.self)
          guard map[PageHeader.kindOffset] == PageHeader.freeMapKind,
            epoch <= block.checkpoint, epoch > best.epoch
          else { return }
          best = (epoch, map.load(as: UInt64.self))
        }
      }
      var z = best.sum ^ (best.epoch &* 0x9E37_79B9_7F4A_7C15)
      z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
      z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
      block.mapDigest = z ^ (z >> 31)
      for offset in [0, size] {
        bytes.replaceSubrange(offset..<offset + 512, with: block.encoded())
      }
    }

    /// Puts the root into both superblocks.
    mutating func setRoot(_ page: Int, height: Int, count: Int) {
      setRoot(
        TreeRoot(page: HostileGraphTests.reference(page), height: height, count: count))
    }

    mutating func setRoot(_ root: TreeRoot) {
      block.root = root
      for offset in [0, HostileGraphTests.pageByteCount] {
        bytes.replaceSubrange(offset..<offset + 512, with: block.encoded())
      }
    }
  }

  private static func openNew(_ storage: MemoryStorage) throws -> Database {
    try Database.open(storage: storage, options: options, hasBackgroundThreads: false)
  }

  private static func reference(_ page: Int) -> PageReference {
    PageReference(id: PageID(UInt64(page)), epoch: Epoch(1))
  }

  /// Two pages a level, both of which have both of the next level as children: 2³⁹ ways to the
  /// leaves, through 80 pages.
  private static func ladder() throws -> [UInt8] {
    var forgery = try Forgery()
    let height = 40
    for level in 0..<height {
      for side in 0...1 {
        let id = 4 + 2 * level + side
        if level == 0 {
          forgery.makePage(id, level: 0, [Entry(side == 0 ? "a" : "z")])
        } else {
          let below = 4 + 2 * (level - 1)
          let separator = "m" + String(repeating: "m", count: level)
          forgery.makePage(
            id, level: level, [Entry("", child: below), Entry(separator, child: below + 1)])
        }
      }
    }
    forgery.mark(4..<4 + 2 * height, isUsed: true)
    forgery.setRoot(4 + 2 * (height - 1), height: height, count: 2)
    return forgery.bytes
  }

  private func code(_ body: () throws -> Void) -> DatabaseError.Code? {
    do {
      try body()
      return nil
    } catch {
      return (error as? DatabaseError)?.code
    }
  }

  @Test func ladderIsFound() throws {
    let database = try Self.open(try Self.ladder())
    #expect(try database.lookup("a") == Array("value".utf8))
    #expect(try !database.verify().isSound)
    #expect(code { _ = try database.statistics() } == .corrupted)
    #expect(code { try database.forEach { _, _ in .next } } == .corrupted)
    // The other way it looks sound, as far as a walk goes.
    var backward: [[UInt8]] = []
    let cursor = try database.cursor(reversed: true)
    while let entry = try cursor.next() { backward.append(entry.key) }
    #expect(backward == [Array("z".utf8), Array("a".utf8)])
    #expect(code { _ = try database.count(in: .from("b")) } == .corrupted)
    #expect(code { _ = try database.removeRange(.all) } == .corrupted)
    #expect(code { _ = try database.removeRange(.from("b")) } == .corrupted)
    database.pager.abandon()
  }

  /// Closing moves pages down; it must not go all ways either.
  @Test func ladderIsFoundAtClose() throws {
    let database = try Self.open(try Self.ladder())
    try database.insert("b", "value")
    #expect(code { try database.close() } == .corrupted)
  }

  /// The free map has pages of the tree as free: whoever then holds one of them, and is given the
  /// same page as a new one, must not wait for itself.
  @Test func heldPageIsMarkedAsFree() throws {
    for isInTransaction in [false, true] {
      for lowest in 4..<11 {
        var forgery = try Forgery()
        let ids = [lowest, lowest + 1, lowest + 2]
        forgery.makePage(ids[0], level: 0, [Entry("a")])
        forgery.makePage(ids[1], level: 0, [Entry("n")])
        forgery.makePage(ids[2], level: 1, [Entry("", child: ids[0]), Entry("m", child: ids[1])])
        forgery.setRoot(ids[2], height: 2, count: 2)
        forgery.mark(4..<12, isUsed: false)
        let database = try Self.open(forgery.bytes)
        if isInTransaction {
          _ = code {
            try database.write { transaction in _ = try transaction.insert("b", "value") }
          }
          _ = code {
            try database.write { transaction in _ = try transaction.insert("o", "value") }
          }
        }
        _ = code { _ = try database.insert("b", "value") }
        _ = code { _ = try database.remove("n") }
        _ = code { _ = try database.remove("a") }
        #expect(try !database.verify().isSound)
        database.pager.abandon()
      }
    }
  }

  /// A leaf that is a child at two levels is in memory as what it is, and then met as an inner page,
  /// and the other way round.
  @Test func pageOfTwoLevels() throws {
    for isLeafFirst in [true, false] {
      var forgery = try Forgery()
      forgery.makePage(10, level: 0, [Entry("a"), Entry("b")])
      forgery.makePage(11, level: 0, [Entry("n")])
      forgery.makePage(12, level: 1, [Entry("", child: 10), Entry("m", child: 11)])
      // The other child is said to be of the level of page 12, but is a leaf; or page 12 itself is
      // met once more as a leaf.
      if isLeafFirst {
        forgery.makePage(13, level: 2, [Entry("", child: 12), Entry("q", child: 11)])
        forgery.setRoot(13, height: 3, count: 3)
      } else {
        forgery.makePage(14, level: 1, [Entry("q", child: 10), Entry("r", child: 12)])
        forgery.makePage(13, level: 2, [Entry("", child: 12), Entry("q", child: 14)])
        forgery.setRoot(13, height: 3, count: 3)
      }
      let database = try Self.open(forgery.bytes)
      #expect(try database.lookup("n") == Array("value".utf8))
      _ = code { _ = try database.lookup("s") }
      #expect(code { try database.forEach { _, _ in .next } } == .corrupted)
      #expect(code { _ = try database.insert("s", "value") } == .corrupted)
      #expect(
        code { try database.write { transaction in _ = try transaction.insert("s", "value") } }
          == .corrupted)
      #expect(code { _ = try database.statistics() } == .corrupted)
      #expect(code { _ = try database.removeRange(.from("p")) } == .corrupted)
      #expect(try !database.verify().isSound)
      database.pager.abandon()
    }
  }

  /// A leaf that is in order, but whose keys are outside of the range that its parent gives it: it
  /// can't be joined with its neighbour, whose prefix they have not. (Found by the fuzzer's
  /// whole-file target.)
  @Test func keysOutsideTheRange() throws {
    for isInTransaction in [false, true] {
      var forgery = try Forgery()
      forgery.makePage(10, level: 0, [Entry("a"), Entry("b")])
      forgery.makePage(11, level: 0, [Entry("key 500x"), Entry("z")])
      forgery.makePage(12, level: 0, [Entry("key 501x"), Entry("key 501y")])
      forgery.makePage(13, level: 0, [Entry("key 502x")])
      forgery.makePage(
        14, level: 1,
        [
          Entry("", child: 10), Entry("key 500", child: 11), Entry("key 501", child: 12),
          Entry("key 502", child: 13),
        ])
      forgery.setRoot(14, height: 2, count: 7)
      let database = try Self.open(forgery.bytes)
      #expect(try !database.verify().isSound)
      let found = code {
        if isInTransaction {
          try database.write { transaction in _ = try transaction.remove("key 500x") }
        } else {
          _ = try database.remove("key 500x")
        }
      }
      #expect(found == .corrupted)
      #expect(try database.lookup("key 501y") == Array("value".utf8))
      database.pager.abandon()
    }
  }

  /// Counters that writing would take to where they are refused: said before, not after.
  @Test(arguments: [0, 1, 2]) func countersNearTheirEnd(which: Int) throws {
    var forgery = try Forgery()
    switch which {
    case 0: forgery.block.epoch = Epoch((1 << 62) - 1)
    case 1: forgery.block.checkpoint = (1 << 62) - 1
    default: forgery.block.logEnd = LogSequenceNumber((1 << 62) - 1)
    }
    forgery.setRoot(forgery.block.root)
    do {
      let database = try Self.open(forgery.bytes)
      let problems = try database.verify().problems
      #expect(problems.contains { $0.contains("near their end") }, "\(problems)")
      database.pager.abandon()
    } catch let error as PagerError {
      #expect(error.code == .corrupted)
    }
  }

  /// A page that can't be moved at close: the one made for it is not waited for. (Found by the
  /// fuzzer's whole-file target.)
  @Test func pageThatCannotBeMoved() throws {
    var forgery = try Forgery()
    forgery.makePage(80, level: 0, [Entry("a")])
    forgery.makePage(81, level: 0, [Entry("n")])
    forgery.makePage(82, level: 1, [Entry("", child: 80), Entry("m", child: 81)])
    // Page 82 is said to be a leaf here.
    forgery.makePage(83, level: 1, [Entry("q", child: 81), Entry("r", child: 82)])
    forgery.makePage(84, level: 2, [Entry("", child: 82), Entry("q", child: 83)])
    forgery.setRoot(84, height: 3, count: 2)
    forgery.mark(4..<80, isUsed: false)
    forgery.mark(80..<85, isUsed: true)
    let database = try Self.open(forgery.bytes)
    try database.insert("b", "value")
    #expect(code { try database.close() } == .corrupted)
  }

  @Test func ladderIsSalvaged() throws {
    let report = try Database.salvage(
      from: try MemoryStorage(contents: try Self.ladder()), into: try MemoryStorage())
    #expect(!report.isComplete)
    #expect(report.reachedPageCount <= 80)
  }

  /// 30 inner pages share 30 leaves: no entry is met twice.
  @Test func sharedLeavesAreFound() throws {
    var forgery = try Forgery()
    let leaves = 10..<40
    for leaf in leaves { forgery.makePage(leaf, level: 0, [Entry("k\(leaf)")]) }
    let parents = 40..<70
    for parent in parents {
      let children = leaves.map { leaf in
        Entry(leaf == leaves.lowerBound ? "" : "k\(parent)-\(leaf)", child: leaf)
      }
      forgery.makePage(parent, level: 1, children)
    }
    forgery.makePage(
      70, level: 2,
      parents.map { Entry($0 == parents.lowerBound ? "" : "k\($0)", child: $0) })
    forgery.setRoot(70, height: 3, count: 900)
    let database = try Self.open(forgery.bytes)
    for isReversed in [false, true] {
      var seen: Set<[UInt8]> = []
      let found = code {
        let cursor = try database.cursor(reversed: isReversed)
        while let entry = try cursor.next() { #expect(seen.insert(entry.key).inserted) }
      }
      #expect(found == .corrupted)
    }
    #expect(try !database.verify().isSound)
    database.pager.abandon()
  }

  /// A page that is twice a child of one other would be merged with itself.
  @Test func twiceAChildIsFound() throws {
    var forgery = try Forgery()
    forgery.makePage(10, level: 0, [Entry("a")])
    forgery.makePage(11, level: 0, [Entry("z")])
    forgery.makePage(
      12, level: 1, [Entry("", child: 10), Entry("m", child: 11), Entry("zz", child: 10)])
    forgery.setRoot(12, height: 2, count: 3)
    let database = try Self.open(forgery.bytes)
    #expect(code { _ = try database.lookup("a") } == .corrupted)
    #expect(code { _ = try database.remove("a") } == .corrupted)
    #expect(code { _ = try database.removeRange(.all) } == .corrupted)
    #expect(try !database.verify().isSound)
    database.pager.abandon()
  }

  /// The first segment of the log begins at a position that none is below, whatever the superblock
  /// says. (Found by the fuzzer's whole-file target.)
  @Test func logEndBeforeTheFirstPosition() throws {
    for end in [0, 8, 1016, 1024] as [UInt64] {
      var forgery = try Forgery()
      forgery.block.logEnd = LogSequenceNumber(end)
      forgery.setRoot(forgery.block.root)
      var options = Self.options
      options.durability = .flush
      let storage = try MemoryStorage(contents: forgery.bytes)
      let database = try Database.open(
        storage: storage, options: options, hasBackgroundThreads: false)
      try database.insert("b", "value")
      #expect(try database.verify().problems == [])
      try database.close()
    }
  }

  /// A value whose runs all name the same pages is no longer than they make it look.
  @Test func valueOfOverlappingRuns() throws {
    var forgery = try Forgery()
    let pageCount = forgery.block.pageCount - 8
    let run = Extent(first: PageID(4), pageCount: pageCount)
    let value = LargeValue(
      byteCount: (32 * pageCount - 1) * Self.pageByteCount, checksum: 1, birth: Epoch(1),
      extents: Array(repeating: run, count: 32))
    forgery.makePage(10, level: 0, [Entry("a", large: value)])
    forgery.setRoot(10, height: 1, count: 1)
    let database = try Self.open(forgery.bytes)
    do {
      _ = try database.lookup("a")
      Issue.record("the value is found")
    } catch {
      #expect(error.code == .corrupted)
      #expect("\(error)".contains("more pages than the file"), "\(error)")
    }
    #expect(try !database.verify().isSound)
    database.pager.abandon()
  }
}
