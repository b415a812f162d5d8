import Testing

@testable import BTreeKV
@testable import Pager
@testable import Regions

/// Chunks and names of regions that are made up with right checksums: whatever is asked of them, an
/// error or an answer, never a trap; and `verify` says that something is wrong (rule F4).
@Suite struct HostileRegionTests {
  private static let pageByteCount = 4096

  private static func open(_ bytes: [UInt8]) throws -> Database {
    var options = Database.Options()
    options.pageSize = pageByteCount
    options.cacheByteCount = 4 << 20
    return try Database.open(
      storage: try MemoryStorage(contents: bytes), options: options, hasBackgroundThreads: false)
  }

  /// A closed file with an empty region, one in a leaf, one of a page, and two of several chunks.
  private static let closedFile = Result { () throws -> [UInt8] in
    let storage = try MemoryStorage()
    var options = Database.Options()
    options.pageSize = pageByteCount
    let database = try Database.open(
      storage: storage, options: options, hasBackgroundThreads: false)
    for (name, count) in [
      ("long", 150_000), ("empty", 0), ("tiny", 50), ("short", 3000), ("other", 80_000),
    ] {
      try database.region(name).append([UInt8](repeating: UInt8(name.utf8.count), count: count))
    }
    for number in 0..<50 { try database.insert("key \(number)", "value") }
    try database.close()
    return storage.reopen().copyOfContents()
  }

  private static func chunkTree(_ database: Database) -> Tree { database.engine.chunkTree }

  private static func id(_ name: String, _ database: Database) throws -> UInt64 {
    try #require(try database.existingRegion(name)).access.list.id
  }

  private static func chunks(_ name: String, _ database: Database) throws -> [Chunk] {
    var chunks: [Chunk] = []
    let tree = chunkTree(database)
    let id = try id(name, database)
    let last = try tree.lastChunk(of: id, root: nil)?.index ?? -1
    try tree.forEachChunk(of: id, 0..<last + 1, root: nil) { chunk, _ in chunks.append(chunk) }
    return chunks
  }

  private static func reference(_ chunk: Chunk) throws -> [UInt8] {
    let extent = try #require(chunk.extent)
    return try chunk.withReference(to: extent) { Array($0) }
  }

  /// Puts other bytes in the place of some in a leaf, and makes the page's checksum right.
  private static func replace(
    _ old: [UInt8], by new: [UInt8], in bytes: inout [UInt8]
  ) throws {
    #expect(old.count == new.count)
    let seed = try Superblock.decode(Array(bytes[..<512])).checksumSeed
    var count = 0
    for start in stride(from: 0, to: bytes.count, by: pageByteCount)
    where bytes[start + PageHeader.kindOffset] == 1 {
      let page = bytes[start..<start + pageByteCount]
      for place in page.indices.dropLast(old.count - 1)
      where page[place] == old[0] && page[place..<place + old.count].elementsEqual(old) {
        bytes.replaceSubrange(place..<place + old.count, with: new)
        count += 1
      }
      bytes.withUnsafeMutableBytes {
        PageHeader.seal(
          UnsafeMutableRawBufferPointer(rebasing: $0[start..<start + pageByteCount]), seed: seed)
      }
    }
    // Pages that are free may hold older leaves.
    #expect(count >= 1, "the reference was not found")
  }

  // MARK: What is asked of a file

  private typealias Ask = @Sendable (Region) throws -> Void
  private static let asks: [Ask] = [
    { _ = try $0.readAll() },
    { _ = try $0.read(65_000..<66_000) },
    { try $0.verify() },
    { region in
      let reader = try region.reader()
      let bytes = reader.bytes
      #expect(bytes.withUnsafeBytes { $0.reduce(0) { $0 &+ Int($1) } } >= 0)
    },
    { _ = try $0.reader(.copying) },
    { try $0.append([UInt8](repeating: 3, count: 20)) },
    { try $0.write([UInt8](repeating: 4, count: 10), at: 5) },
    { try $0.reserve(300_000) },
    { try $0.append([UInt8](repeating: 5, count: 100_000)) },
    { region in
      let writes: [(offset: Int, bytes: [UInt8])] = [(66_000, [1, 2]), (10, [3]), (131_072, [4])]
      try region.write(writes)
    },
    { try $0.write([UInt8](repeating: 6, count: 70_000), at: 100) },
    { try $0.truncate(to: 132_000) },
    { try $0.truncate(to: 66_000, andAppend: [UInt8](repeating: 7, count: 5000)) },
    { try $0.truncate(to: 65_536) },
    { try $0.truncate(to: 2000) },
    { try $0.append([UInt8](repeating: 8, count: 70_000)) },
    { try $0.truncate(to: 0) },
  ]

  /// Verifies a file, asks everything of it from one of the questions on, and closes it.
  ///
  /// - Returns: what opening or `verify` found before anything was changed.
  private func exercise(_ bytes: [UInt8], from first: Int) throws -> [String] {
    let database: Database
    do {
      database = try Self.open(bytes)
    } catch let error as PagerError {
      #expect(error.code == .corrupted, "\(error)")
      return ["\(error)"]
    }
    let found = try database.verify().problems
    func attempt(_ body: () throws -> Void) {
      do {
        try body()
      } catch {
        let code = (error as? DatabaseError)?.code
        // A checkpoint that meets what is wrong refuses all changes after it.
        let allowed: [DatabaseError.Code] = [.corrupted, .invalidArgument, .notFound, .poisoned]
        #expect(allowed.contains { $0 == code }, "\(error)")
      }
    }
    attempt { _ = try database.regionNames() }
    for name in ["long", "short", "other", "tiny", "empty"] {
      attempt {
        guard let region = try database.existingRegion(name) else { return }
        for index in Self.asks.indices {
          attempt { try Self.asks[(first + index) % Self.asks.count](region) }
          attempt { _ = try region.count }
        }
        attempt { _ = try database.snapshot().region(name)?.reader() }
        attempt { _ = try database.snapshot().region(name)?.readAll() }
      }
    }
    attempt { try database.region("new").append([1, 2, 3]) }
    attempt { try database.renameRegion("other", to: "another") }
    attempt { try database.checkpoint() }
    attempt { _ = try database.removeRegion("long") }
    attempt { _ = try database.retainRegions(["tiny"]) }
    attempt { try database.checkpoint() }
    attempt { try database.close() }
    return found
  }

  @Test func untouchedFileIsSound() throws {
    #expect(try exercise(try Self.closedFile.get(), from: 0) == [])
  }

  // MARK: References

  /// Writes a number into a reference.
  private static func put<Number: FixedWidthInteger>(
    _ number: Number, at offset: Int, _ reference: inout [UInt8]
  ) {
    withUnsafeBytes(of: number.littleEndian) {
      reference.replaceSubrange(offset..<offset + $0.count, with: $0)
    }
  }

  private static func putPage(_ page: UInt64, _ reference: inout [UInt8]) {
    put(UInt32(truncatingIfNeeded: page), at: 26, &reference)
    put(UInt16(truncatingIfNeeded: page >> 32), at: 30, &reference)
  }

  /// Where the edits find the pages of others.
  private struct Places {
    var pageCount: UInt64
    var other: UInt64
    var own: UInt64
    var tree: UInt64
  }

  private typealias Edit = @Sendable (inout [UInt8], Places) -> Void
  private static let edits: [(String, Edit)] = [
    ("beyond the file", { reference, places in putPage(places.pageCount + 5, &reference) }),
    ("far beyond the file", { reference, _ in putPage((1 << 48) - 1, &reference) }),
    ("over the file's end", { reference, places in putPage(places.pageCount - 1, &reference) }),
    ("another's pages", { reference, places in putPage(places.other, &reference) }),
    ("some of another's pages", { reference, places in putPage(places.other + 1, &reference) }),
    ("its own pages shifted", { reference, places in putPage(places.own + 1, &reference) }),
    ("a page of a tree", { reference, places in putPage(places.tree, &reference) }),
    ("the superblock", { reference, _ in putPage(0, &reference) }),
    ("the free map", { reference, _ in putPage(2, &reference) }),
    ("no bytes", { reference, _ in put(UInt64(0), at: 0, &reference) }),
    ("one byte too many for a chunk", { reference, _ in put(UInt64(65_537), at: 0, &reference) }),
    ("absurdly many bytes", { reference, _ in put(UInt64(1) << 46, at: 0, &reference) }),
    ("the largest number of bytes", { reference, _ in put(UInt64.max, at: 0, &reference) }),
    ("too few bytes", { reference, _ in put(UInt64(100), at: 0, &reference) }),
    ("no pages", { reference, _ in put(UInt32(0), at: 32, &reference) }),
    ("one page too many", { reference, _ in put(UInt32(17), at: 32, &reference) }),
    ("absurdly many pages", { reference, _ in put(UInt32.max, at: 32, &reference) }),
    ("no runs", { reference, _ in put(UInt16(0), at: 24, &reference) }),
    ("two runs", { reference, _ in put(UInt16(2), at: 24, &reference) }),
    ("the largest number of runs", { reference, _ in put(UInt16.max, at: 24, &reference) }),
    ("another checksum", { reference, _ in put(UInt64(77), at: 8, &reference) }),
  ]

  /// Each edit, made to the first, a middle and the last chunk, and to a chunk that is alone.
  @Test(arguments: 0..<21) func madeUpReference(number: Int) throws {
    #expect(Self.edits.count == 21)
    let (name, edit) = Self.edits[number]
    let bytes = try Self.closedFile.get()
    let database = try Self.open(bytes)
    defer { database.pager.abandon() }
    let long = try Self.chunks("long", database)
    #expect(long.count == 3)
    let targets = long + (try Self.chunks("short", database))
    for (index, target) in targets.enumerated() {
      let places = Places(
        pageCount: UInt64(database.pager.allocator.pageCount),
        other: try #require(try Self.chunks("other", database)[0].extent).first.rawValue,
        own: try #require(target.extent).first.rawValue,
        tree: database.pager.publishedRoot(of: database.engine.mainTree.descriptor)
          .page.id.rawValue)
      let old = try Self.reference(target)
      var new = old
      edit(&new, places)
      var forged = bytes
      try Self.replace(old, by: new, in: &forged)
      let found = try exercise(forged, from: number + index * 5)
      #expect(!found.isEmpty, "\(name), chunk \(index), is not found")
    }
  }

  // MARK: Keys and names

  private static func key(_ list: UInt64, _ index: UInt64) -> [UInt8] {
    ChunkKey.head(list) + withUnsafeBytes(of: index.bigEndian) { Array($0) }
  }

  /// Sets or removes an entry behind the library's back.
  private static func set(
    _ key: [UInt8], _ value: [UInt8]?, in id: TreeID, _ database: Database
  ) throws {
    let access = database.access(to: id)
    try key.withBytes { (key) throws(DatabaseError) in
      if let value {
        try value.withBytes { (value) throws(DatabaseError) in
          _ = try access.insert(key, value, nil)
        }
      } else {
        _ = try access.remove(key, nil)
      }
    }
  }

  private static func number(_ id: UInt64) -> [UInt8] {
    withUnsafeBytes(of: id.littleEndian) { Array($0) }
  }

  /// What is done to the trees, given the numbers of "long" and "other".
  private typealias Forgery = @Sendable (Database, UInt64, UInt64) throws -> Void
  private static let forgeries: [(String, Forgery)] = [
    (
      "a missing first chunk",
      { database, id, _ in try set(key(id, 0), nil, in: .chunks, database) }
    ),
    ("a missing chunk", { database, id, _ in try set(key(id, 1), nil, in: .chunks, database) }),
    ("a gap", { database, id, _ in try set(key(id, 5), [1, 2, 3], in: .chunks, database) }),
    (
      "a large gap",
      { database, id, _ in try set(key(id, 1 << 45), [1, 2, 3], in: .chunks, database) }
    ),
    (
      "the largest index",
      { database, id, _ in try set(key(id, (1 << 47) - 1), [1, 2], in: .chunks, database) }
    ),
    (
      "an index too large",
      { database, id, _ in try set(key(id, .max), [1, 2, 3], in: .chunks, database) }
    ),
    (
      "bytes in a leaf",
      { database, id, _ in try set(key(id, 1), [1, 2, 3], in: .chunks, database) }
    ),
    (
      "last bytes in a leaf",
      { database, id, _ in try set(key(id, 2), [1, 2, 3], in: .chunks, database) }
    ),
    (
      "a chunk too long",
      { database, id, _ in
        try set(key(id, 2), [UInt8](repeating: 1, count: 100_000), in: .chunks, database)
      }
    ),
    (
      "chunks without a head",
      { database, id, _ in try set(ChunkKey.head(id), nil, in: .chunks, database) }
    ),
    (
      "a head with bytes",
      { database, id, _ in try set(ChunkKey.head(id), [1], in: .chunks, database) }
    ),
    (
      "a head of no name",
      { database, _, _ in try set(ChunkKey.head(50), [], in: .chunks, database) }
    ),
    (
      "the largest list",
      { database, _, _ in try set(ChunkKey.head(.max), [], in: .chunks, database) }
    ),
    ("list 0", { database, _, _ in try set(ChunkKey.head(0), [], in: .chunks, database) }),
    ("a key too short", { database, _, _ in try set([255, 1, 2], [], in: .chunks, database) }),
    (
      "a key too long", { database, id, _ in try set(key(id, 2) + [1], [9], in: .chunks, database) }
    ),
    ("a name of nothing", { database, _, _ in try set([65], number(99), in: .regions, database) }),
    ("a name of list 0", { database, _, _ in try name("long", number(0), database) }),
    ("a name of the largest list", { database, _, _ in try name("long", number(.max), database) }),
    (
      "a name of a list too high", { database, _, _ in try name("long", number(1 << 62), database) }
    ),
    ("two names", { database, _, id in try name("long", number(id), database) }),
    ("an empty record", { database, _, _ in try name("long", [], database) }),
    ("a short record", { database, _, _ in try name("long", [1, 2, 3, 4, 5, 6, 7], database) }),
    ("a long record", { database, id, _ in try name("long", number(id) + [0], database) }),
    (
      "a very long record",
      { database, _, _ in try name("long", [UInt8](repeating: 1, count: 9000), database) }
    ),
  ]

  private static func name(_ name: String, _ record: [UInt8], _ database: Database) throws {
    try set(Array(name.utf8), record, in: .regions, database)
  }

  @Test(arguments: 0..<25) func madeUpEntry(number: Int) throws {
    #expect(Self.forgeries.count == 25)
    let (name, forge) = Self.forgeries[number]
    let storage = try MemoryStorage(contents: try Self.closedFile.get())
    var options = Database.Options()
    options.pageSize = Self.pageByteCount
    let database = try Database.open(
      storage: storage, options: options, hasBackgroundThreads: false)
    try forge(database, try Self.id("long", database), try Self.id("other", database))
    try database.close()
    let bytes = storage.reopen().copyOfContents()
    for first in [0, 6, 11] {
      let found = try exercise(bytes, from: first)
      #expect(!found.isEmpty, "\(name) is not found")
    }
  }
}
