import TestSupport
import Testing

@testable import BTreeKV
@testable import Pager
@testable import Regions

/// What salvage leaves of entry stores.
@Suite struct EntrySalvageTests {
  private static let chunk = 64 << 10
  private static let page = 4096

  /// An entry as it should be, and the bytes of its store that it takes, with key and trailer.
  private struct Known: Equatable {
    var key: [UInt8]
    var bytes: [UInt8]
    var range = 0..<0

    static func == (a: Known, b: Known) -> Bool { a.key == b.key && a.bytes == b.bytes }
  }

  /// A file with entry stores, and where they lie in it.
  private struct Image {
    var bytes: [UInt8] = []
    /// The entries of each store, in the order in which they were written.
    var stores: [String: [Known]] = [:]
    /// All that a key of a store has ever had.
    var history: [String: [[UInt8]: [[UInt8]]]] = [:]
    var ids: [String: UInt64] = [:]
    var chunks: [String: [Extent?]] = [:]
    /// The pages of the tree of entries, and the one of the stores' names.
    var indexPages: [Int] = []
    var namePage = 0

    /// - Parameter isClosed: whether there is no log.
    init(seed: UInt64, isClosed: Bool) throws {
      var random = SeededRandom(seed: seed)
      let storage = try MemoryStorage()
      var options = Database.Options()
      options.pageSize = EntrySalvageTests.page
      let database = try openDatabase(in: storage, options, hasBackgroundThreads: false)
      try database.insert("other", "value")
      try database.region("region").append(random.bytes(100_000))
      _ = try EntryStore(database, "empty")
      try write(database, "small", 3, 50, &random)
      try write(database, "many", 600, 900, &random)
      try write(database, "long", 4, 150_000, &random)
      let streamed = random.bytes(400_000)
      try EntryStore(database, "long").write("streamed", from: [streamed])
      history["long", default: [:]][Array("streamed".utf8), default: []].append(streamed)
      let many = try EntryStore(database, "many")
      for number in stride(from: 5, to: 600, by: 9) { try many.remove("key \(number)") }
      try database.checkpoint()
      try write(database, "many", 40, 300, &random)
      try many.rename("key 20", to: "renamed")
      history["many", default: [:]][Array("renamed".utf8)] =
        history["many"]?[Array("key 20".utf8)]
      for number in 100..<110 { try many.remove("key \(number)") }
      // The last record of a log may end it without being damage: it is one that names no chunk.
      try database.insert("last", "value")
      try find(database)
      if isClosed {
        try database.close()
        bytes = storage.copyOfContents()
        let again = try openDatabase(
          in: MemoryStorage(contents: bytes), hasBackgroundThreads: false)
        try find(again)
        again.pager.abandon()
      } else {
        bytes = storage.copyOfContents()
        database.pager.abandon()
      }
    }

    private mutating func write(
      _ database: Database, _ name: String, _ count: Int, _ size: Int, _ random: inout SeededRandom
    ) throws {
      let store = try EntryStore(database, name)
      for number in 0..<count {
        let bytes = random.bytes(random.below(size))
        try store.write("key \(number)", bytes)
        history[name, default: [:]][Array("key \(number)".utf8), default: []].append(bytes)
      }
    }

    private mutating func find(_ database: Database) throws {
      indexPages = []
      var budget = PageBudget(database.pager)
      let index = database.engine.tree(of: .entries)
      try index.forEachPage(of: index.descriptor.writerRoot, &budget) { node, _ in
        indexPages.append(Int(node.id.rawValue))
      }
      let names = database.engine.tree(of: .entryStores)
      namePage = Int(names.descriptor.writerRoot.page.id.rawValue)
      for name in try database.entryStoreNames() {
        let store = try EntryStore(database, name)
        stores[name] = try EntrySalvageTests.entries(store)
        let list = store.access.log.list
        ids[name] = list.id
        let count = (try store.byteCount + EntrySalvageTests.chunk - 1) / EntrySalvageTests.chunk
        var extents: [Extent?] = []
        try list.tree.forEachChunk(of: list.id, 0..<count, root: list.tree.descriptor.writerRoot) {
          chunk, _ in extents.append(chunk.extent)
        }
        chunks[name] = extents
      }
    }

    mutating func damage(page: Int) {
      let start = page * EntrySalvageTests.page
      for index in start..<start + 64 { bytes[index] ^= 0x55 }
    }

    mutating func damage(chunk: Int, of name: String) throws {
      let extents = try #require(chunks[name])
      let extent = try #require(extents[chunk])
      damage(page: Int(extent.first.rawValue))
    }

    /// Whether an entry lies in a chunk, with its key and trailer.
    func isHit(_ entry: Known, chunk: Int) -> Bool {
      entry.range.overlaps(chunk * EntrySalvageTests.chunk..<(chunk + 1) * EntrySalvageTests.chunk)
    }
  }

  /// The entries of a store, the oldest first, each compared with its checksums.
  private static func entries(_ store: EntryStore) throws -> [Known] {
    var entries: [Known] = []
    try store.forEach(.newestFirst) { entry in
      try entry.verify()
      let end = entry.range.upperBound + entry.key.count + 42
      entries.append(
        Known(key: entry.key, bytes: entry.array, range: entry.range.lowerBound..<end))
      return .next
    }
    let count = try store.count
    try require(entries.count == count, "\(entries.count) entries, \(count) counted")
    return entries.reversed()
  }

  /// Salvages, and gives the entry stores of the new file.
  private func salvaged(
    _ image: Image, _ context: String
  ) throws -> (report: SalvageReport, stores: [String: [Known]]) {
    let new = try MemoryStorage()
    let report = try Database.salvage(from: MemoryStorage(contents: image.bytes), into: new)
    let database = try openDatabase(in: new.reopen(), hasBackgroundThreads: false)
    try requireSound(database, context)
    var stores: [String: [Known]] = [:]
    for name in try database.entryStoreNames() {
      stores[name] = try Self.entries(EntryStore(database, name))
    }
    try require(report.entryStoreCount == stores.count, "\(context): wrong number of stores")
    let count = stores.values.reduce(0) { $0 + $1.count }
    try require(report.entryStoreEntryCount == count, "\(context): wrong number of entries")
    // They can be written to as any store.
    if let name = stores.keys.min() {
      try EntryStore(database, name).write("afterwards", "bytes")
      try EntryStore(database, name).compact()
    }
    try requireSound(database, context)
    try database.close()
    return (report, stores)
  }

  @Test(arguments: [false, true]) func intactStoresAreWhole(isClosed: Bool) throws {
    let image = try Image(seed: runSeed, isClosed: isClosed)
    let (report, stores) = try salvaged(image, "seed \(runSeed)")
    #expect(report.losses == [])
    #expect(report.entryCount == 2 && report.treeCount == 0 && report.regionCount == 1)
    let isEqual = stores == image.stores
    #expect(isEqual, "seed \(runSeed)")
  }

  /// What lies in a damaged chunk is lost and told, entry by entry; all others are there.
  @Test(arguments: [false, true]) func chunksThatAreDamaged(isClosed: Bool) throws {
    let image = try Image(seed: runSeed, isClosed: isClosed)
    for name in ["many", "long"] {
      for chunk in try #require(image.chunks[name]).indices {
        let context = "seed \(runSeed), chunk \(chunk) of \(name)"
        var damaged = image
        try damaged.damage(chunk: chunk, of: name)
        let (report, stores) = try salvaged(damaged, context)
        let all = try #require(image.stores[name])
        let left = all.filter { !image.isHit($0, chunk: chunk) }
        #expect(left.count < all.count, "\(context)")
        #expect(report.damagedValueCount == all.count - left.count, "\(context)")
        #expect(report.lossCount == all.count - left.count, "\(context): \(report.losses)")
        #expect(report.losses.allSatisfy { $0.contains("the entry store \"\(name)\"") })
        let isLeft = stores[name] == left
        #expect(isLeft, "\(context)")
        for (other, entries) in image.stores where other != name {
          let isEqual = stores[other] == entries
          #expect(isEqual, "\(context): \(other)")
        }
      }
    }
  }

  @Test func namesThatAreLost() throws {
    var image = try Image(seed: runSeed, isClosed: true)
    image.damage(page: image.namePage)
    let (report, stores) = try salvaged(image, "seed \(runSeed)")
    for (name, entries) in image.stores where !entries.isEmpty {
      let id = try #require(image.ids[name])
      let isEqual = stores["salvaged-store-\(id)"] == entries
      #expect(isEqual, "seed \(runSeed): \(name)")
    }
    // Without name and entries nothing tells a store from a region. The page, and each name.
    #expect(stores.count == image.stores.count - 1 && report.regionCount == 2)
    #expect(report.lossCount == 1 + image.stores.count, "\(report.losses)")
  }

  /// Where a page of the tree of entries is lost, the entries themselves tell of their keys.
  @Test func pagesOfTheTreeThatAreDamaged() throws {
    let image = try Image(seed: runSeed, isClosed: true)
    #expect(image.indexPages.count > 3)
    for page in image.indexPages {
      let context = "seed \(runSeed), page \(page)"
      var damaged = image
      damaged.damage(page: page)
      let (report, stores) = try salvaged(damaged, context)
      // Nothing but the page: also nothing that was removed or overwritten is there again.
      #expect(report.lossCount == 1 && report.damagedPageCount == 1, "\(report.losses)")
      #expect(report.salvagedCount == 0, "\(context)")
      let isEqual = stores == image.stores
      #expect(isEqual, "\(context)")
    }
  }

  /// Both are damaged: entries before and behind a damaged chunk are found, and none has bytes that
  /// its key never had.
  @Test func pagesAndChunksThatAreDamaged() throws {
    let image = try Image(seed: runSeed, isClosed: true)
    for name in ["many", "long"] {
      for chunk in try #require(image.chunks[name]).indices {
        let context = "seed \(runSeed), chunk \(chunk) of \(name)"
        var damaged = image
        for page in image.indexPages { damaged.damage(page: page) }
        try damaged.damage(chunk: chunk, of: name)
        let (report, stores) = try salvaged(damaged, context)
        #expect(report.lossCount > 1, "\(context): \(report.losses)")
        let found = try #require(stores[name])
        let history = try #require(image.history[name])
        for entry in found {
          let isKnown = history[entry.key]?.contains(entry.bytes) ?? false
          #expect(isKnown, "\(context): \(entry.key)")
        }
        for entry in try #require(image.stores[name]) where !image.isHit(entry, chunk: chunk) {
          let isFound = found.contains(entry)
          #expect(isFound, "\(context): the entry at \(entry.range)")
        }
      }
    }
  }

  /// Trailers that a payload holds, such as those of a store in it, are not taken for the store's own.
  @Test func storesInStores() throws {
    let inner = try MemoryStorage()
    var options = Database.Options()
    options.pageSize = Self.page
    let innerDatabase = try openDatabase(in: inner, options, hasBackgroundThreads: false)
    for number in 0..<100 { try EntryStore(innerDatabase, "in").write("inner \(number)", "bytes") }
    try innerDatabase.close()
    let storage = try MemoryStorage()
    let database = try openDatabase(in: storage, options, hasBackgroundThreads: false)
    let store = try EntryStore(database, "outer")
    try store.write("before", "1")
    try store.write("file", inner.copyOfContents())
    try store.write("behind", "2")
    let index = database.engine.tree(of: .entries)
    try database.checkpoint()
    let page = Int(index.descriptor.writerRoot.page.id.rawValue)
    database.pager.abandon()
    var image = try Image(seed: 1, isClosed: true)
    image.bytes = storage.copyOfContents()
    image.damage(page: page)
    let (_, stores) = try salvaged(image, "stores in stores")
    let keys = stores["outer"]?.map { String(decoding: $0.key, as: UTF8.self) }
    #expect(keys == ["before", "file", "behind"])
  }
}
