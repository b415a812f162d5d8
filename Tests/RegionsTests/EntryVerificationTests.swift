import TestSupport
import Testing

@testable import BTreeKV
@testable import Pager
@testable import Regions

/// What `verify` says of entry stores whose pages and chunks are whole but whose content is not.
@Suite struct EntryVerificationTests {
  /// Two stores; what is done to `bad` must not keep `verify` from looking at `other`.
  private struct Sample {
    let database: Database
    let bad: EntryStore
    let other: EntryStore
    var id: UInt64 { bad.access.log.listID }

    init() throws {
      database = try openDatabase(in: MemoryStorage(), hasBackgroundThreads: false)
      bad = try EntryStore(database, "bad")
      other = try EntryStore(database, "other")
      for (number, key) in ["a", "b", "c"].enumerated() {
        try bad.write(key, [UInt8](repeating: UInt8(number + 1), count: 100))
        try other.write(key, [UInt8](repeating: UInt8(number + 1), count: 10))
      }
      try requireSound(database, "before")
    }

    var problems: [String] { get throws { try database.verify().problems } }

    func entry(_ key: String) throws -> Entry { try #require(try bad.read(key)) }

    /// Where an entry ends, behind its trailer.
    func end(_ key: String) throws -> Int {
      try entry(key).range.upperBound + key.utf8.count + EntryTrailer.byteCount
    }

    /// Changes a byte of a store; its chunk gets the right checksum.
    func flip(_ position: Int, of store: EntryStore) throws {
      let list = store.access.log.list
      let chunks = database.access(to: .chunks)
      let old = try list.read(position..<position + 1, chunks)
      try [old[0] ^ 0x10].withBytes { (bytes) throws(DatabaseError) in
        try converting { () throws(PagerError) in
          try list.write(bytes, at: position, chunks, nil)
        }
      }
    }

    func truncate(to count: Int) throws {
      try bad.access.log.list.truncate(
        to: count, thenAppend: nil, database.access(to: .chunks), nil)
    }

    func indexKey(_ key: String) -> [UInt8] { ChunkKey.head(id) + Array(key.utf8) }

    func place(_ key: String) throws -> [UInt8] {
      let found = try indexKey(key).withBytes { (key) throws(DatabaseError) in
        try database.access(to: .entries).lookup(key)
      }
      return try #require(found)
    }

    /// Makes a tree of the library's own have a value under a key, or nothing.
    func set(_ key: [UInt8], _ value: [UInt8]?, in tree: TreeID = .entries) throws {
      let access = database.access(to: tree)
      try key.withBytes { (key) throws(DatabaseError) in
        guard let value else {
          _ = try access.remove(key, nil)
          return
        }
        try value.withBytes { (value) throws(DatabaseError) in
          _ = try access.insert(key, value, nil)
        }
      }
    }

    func wrong(_ position: Int) -> String {
      "at byte \(position) of entry store \(id) is not the entry it should be"
    }
    func counts(_ count: Int, _ found: Int) -> String {
      "entry store \(id) counts \(count) keys but has \(found)"
    }
    var nonsense: String { "what the tree of entries says of a key of store \(id) makes no sense" }
    var noStore: String { "a key in the tree of entries is in no entry store" }
  }

  /// rule F4: whichever byte of an entry is another one, payload, key or trailer.
  @Test func anyByteOfAnEntry() throws {
    let sample = try Sample()
    let position = try sample.entry("b").range.lowerBound
    for byte in try position..<sample.end("b") {
      try sample.flip(byte, of: sample.bad)
      #expect(try sample.problems == [sample.wrong(position)], "byte \(byte)")
      try sample.flip(byte, of: sample.bad)
    }
    try requireSound(sample.database, "afterwards")
  }

  /// rule F4: what the last entry says of the whole store.
  @Test func theEndOfAStore() throws {
    let sample = try Sample()
    let position = try sample.entry("c").range.lowerBound
    let trailer = try sample.end("c") - EntryTrailer.byteCount
    let liveCount = trailer + 18
    try sample.flip(liveCount, of: sample.bad)
    #expect(try sample.problems == [sample.wrong(position), sample.counts(3 ^ 0x10, 3)])
    try sample.flip(liveCount, of: sample.bad)
    try requireSound(sample.database, "in between")

    func expectEnd() throws {
      // The damage of one store does not hide that of the other.
      let otherPosition = try #require(try sample.other.read("a")).range.lowerBound
      try sample.flip(otherPosition, of: sample.other)
      let problems = try sample.problems
      let otherID = sample.other.access.log.listID
      try #require(problems.count == 3, "\(problems)")
      #expect(problems[0] == sample.wrong(position))
      #expect(problems[1].contains("the end of entry store \(sample.id) makes no sense"))
      #expect(
        problems[2]
          == "at byte \(otherPosition) of entry store \(otherID) is not the entry it should be")
      try sample.flip(otherPosition, of: sample.other)
    }
    try sample.flip(trailer, of: sample.bad)
    try expectEnd()
    try sample.flip(trailer, of: sample.bad)
    try requireSound(sample.database, "at last")
    try sample.truncate(to: trailer + EntryTrailer.byteCount - 1)
    try expectEnd()
  }

  /// Changes of many keys meet one of which the tree says what makes no sense: none of them is made, and
  /// a transaction may go on.
  @Test func aPlaceThatMakesNoSenseUndoesTheBatch() throws {
    let sample = try Sample()
    let good = try sample.place("b")
    let store = sample.bad
    let entries = ["d", "a", "b", "e"].map { (key: $0, bytes: [UInt8](repeating: 9, count: 30)) }
    try sample.set(sample.indexKey("b"), [0xFF])
    let byteCount = try store.byteCount
    for _ in 0..<2 {
      #expect(errorCode { try store.write(entries) } == .corrupted)
      #expect(errorCode { _ = try store.remove(["a", "b"]) } == .corrupted)
      try sample.database.write { transaction in
        let inside = store.access(in: transaction)
        #expect(errorCode { try inside.write(entries) } == .corrupted)
        #expect(errorCode { _ = try inside.remove(["a", "b"]) } == .corrupted)
        #expect(try inside.count == 3)
        try sample.other.access(in: transaction).write("f", [1])
      }
      #expect(try sample.place("b") == [0xFF])
      #expect(try store.count == 3)
      #expect(try store.byteCount == byteCount)
      #expect(try !store.contains("d") && !store.contains("e"))
      #expect(try sample.entry("a").array == [UInt8](repeating: 1, count: 100))
    }
    try sample.set(sample.indexKey("b"), good)
    #expect(try sample.entry("b").array == [UInt8](repeating: 2, count: 100))
    try store.write(entries)
    #expect(try store.count == 5)
    #expect(try sample.other.count == 4)
    try requireSound(sample.database, "at last")
  }

  /// rule F4: keys that lead to entries of others, to none, or nowhere.
  @Test func placesThatAreWrong() throws {
    let sample = try Sample()
    let (a, b) = (try sample.place("a"), try sample.place("b"))
    let (positionA, positionB) = (
      try sample.entry("a").range.lowerBound, try sample.entry("b").range.lowerBound
    )
    try sample.set(sample.indexKey("a"), b)
    try sample.set(sample.indexKey("b"), a)
    #expect(try sample.problems == [sample.wrong(positionB), sample.wrong(positionA)])
    try sample.set(sample.indexKey("b"), b)
    // Of another length, of another place, far behind the end.
    for (place, position) in [
      (EntryPlace(position: positionA, byteCount: 99), positionA),
      (EntryPlace(position: positionA + 64, byteCount: 100), positionA + 64),
      (EntryPlace(position: 1 << 40, byteCount: 100), 1 << 40),
      (EntryPlace(position: positionA, byteCount: 1 << 46), positionA),
    ] {
      let encoded = try place.withEncoded { (bytes) throws(PagerError) in Array(bytes) }
      try sample.set(sample.indexKey("a"), encoded)
      #expect(try sample.problems == [sample.wrong(position)])
    }
    for value in [
      [], [0x80], [0], [0, 1, 2], [UInt8](repeating: 0xFF, count: 14),
      [UInt8](repeating: 1, count: 5000),
    ] as [[UInt8]] {
      try sample.set(sample.indexKey("a"), value)
      #expect(try sample.problems == [sample.nonsense], "\(value.prefix(20))")
    }
    try sample.set(sample.indexKey("a"), a)
    try requireSound(sample.database, "afterwards")
  }

  /// rule F4: keys that are missing, too many, or nobody's.
  @Test func keysThatAreWrong() throws {
    let sample = try Sample()
    let b = try sample.place("b")
    let positionB = try sample.entry("b").range.lowerBound
    try sample.set(sample.indexKey("b"), nil)
    #expect(try sample.problems == [sample.counts(3, 2)])
    try sample.set(sample.indexKey("x"), b)
    #expect(try sample.problems == [sample.wrong(positionB)])
    try sample.set(sample.indexKey("b"), b)
    #expect(try sample.problems == [sample.wrong(positionB), sample.counts(3, 4)])
    for key in ["a", "b", "c", "x"] { try sample.set(sample.indexKey(key), nil) }
    #expect(try sample.problems == [sample.counts(3, 0)])

    let whole = try Sample()
    for key in [ChunkKey.head(whole.id + 100) + [1], [], [7], ChunkKey.head(0)] {
      try whole.set(key, b)
      #expect(try whole.problems == [whole.noStore], "\(key)")
      try whole.set(key, nil)
    }
    // Between two stores it does not end the count of either.
    try whole.set(ChunkKey.head(whole.id) + [0xFF], b)
    #expect(try whole.problems.contains(whole.counts(3, 4)))
    try whole.set(ChunkKey.head(whole.id) + [0xFF], nil)
    try requireSound(whole.database, "afterwards")
  }

  /// rule F4: stores without a name, with two, or without a list.
  @Test func namesThatAreWrong() throws {
    let sample = try Sample()
    let name = Array("bad".utf8)
    let record = withUnsafeBytes(of: sample.id.littleEndian) { Array($0) }
    try sample.set(name, nil, in: .entryStores)
    #expect(try sample.problems == ["region \(sample.id) has no name"])
    for value in [[], [1], [UInt8](repeating: 0, count: 8), record + [0]] as [[UInt8]] {
      try sample.set(name, value, in: .entryStores)
      #expect(
        try sample.problems == [
          "what the file says of the region \"bad\" makes no sense",
          "region \(sample.id) has no name",
        ])
    }
    try sample.set(name, record, in: .entryStores)
    try sample.set(Array("twice".utf8), record, in: .entryStores)
    #expect(try sample.problems == ["region \(sample.id) has two names, \"twice\" is one"])
    try sample.set(Array("twice".utf8), nil, in: .entryStores)
    try requireSound(sample.database, "in between")
    let missing = withUnsafeBytes(of: (sample.id + 50).littleEndian) { Array($0) }
    try sample.set(Array("lost".utf8), missing, in: .entryStores)
    #expect(
      try sample.problems == ["region \(sample.id + 50), \"lost\", is not in the tree of chunks"])
  }

  /// What a stream has written ahead of its commit is not lost, and is given back when it fails.
  @Test func streamUnderWay() throws {
    struct Refusal: Error {}
    let sample = try Sample()
    let database = sample.database
    let before = try database.statistics().reservedPageCount
    for fails in [true, false] {
      do {
        try sample.other.write("stream") { writer in
          for _ in 0..<50 { try writer.write([UInt8](repeating: 7, count: 10_000)) }
          #expect(try database.statistics().reservedPageCount > before)
          try requireSound(database, "under way")
          if fails { throw Refusal() }
        }
      } catch is Refusal {
        #expect(try database.statistics().reservedPageCount == before)
      }
      try requireSound(database, "afterwards")
    }
    #expect(try sample.other.read("stream")?.range.count == 500_000)
    try database.close()
  }
}
