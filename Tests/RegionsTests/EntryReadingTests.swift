import BTreeKV
import Foundation
import Pager
import Regions
import TestSupport
import Testing

/// Reading entries where nothing can be mapped: in a transaction, and where the storage can't.
@Suite struct EntryReadingTests {
  /// Going through the entries again shows what was written in between, through the same handle.
  @Test func newestFirstAgainAfterAWrite() throws {
    let database = try openDatabase(in: try MemoryStorage())
    try EntryStore(database, "store").write("first", "1")
    try database.write { transaction in
      let store = try transaction.entryStore("store")
      try require(try store.lastEntry?.key == Array("first".utf8), "at the beginning")
      try store.write("second", "2")
      try require(try store.lastEntry?.key == Array("second".utf8), "after a write")
      try store.write("long", [UInt8](repeating: 3, count: 100_000))
      var keys: [String] = []
      try store.forEach(.newestFirst) { entry in
        try entry.verify()
        keys.append(String(decoding: entry.key, as: UTF8.self))
        return .next
      }
      try require(keys == ["long", "second", "first"], "\(keys)")
      try store.remove("long")
      try require(try store.lastEntry?.key == Array("second".utf8), "after a removal")
    }
    #expect(try EntryStore(database, "store").lastEntry?.key == Array("second".utf8))
  }

  /// An entry that has to be copied is copied alone: damage elsewhere in the store does not matter.
  @Test func oneEntryIsCopiedAlone() throws {
    let storage = try MemoryStorage()
    let database = try openDatabase(in: storage)
    let store = try EntryStore(database, "store")
    var random = SeededRandom(seed: 21)
    let (good, bad) = (random.bytes(1000), random.bytes(500_000))
    try store.write("good", good)
    try store.write("bad", bad)
    try store.write("last", good)
    try database.close()
    var contents = Data(storage.copyOfContents())
    let place = try #require(contents.range(of: Data(bad[300_000..<300_100])))
    contents[place.lowerBound] ^= 1

    let damaged = try openDatabase(in: try MemoryStorage(contents: [UInt8](contents)))
    let found = try EntryStore(damaged, "store")
    for key in ["good", "last"] { #expect(try found.read(key)?.array == good, "\(key)") }
    #expect(errorCode { _ = try found.read("bad") } == .corrupted)
    try damaged.read { snapshot in
      let found = try #require(try snapshot.entryStore("store"))
      try require(try found.read("good")?.array == good, "in a snapshot")
    }
  }

  /// A copy is compared with checksums when it is made; what is in place, when somebody asks.
  @Test func copiesAreCompared() throws {
    let folder = try TemporaryFolder()
    var database = try Database.open(folder.file())
    var store = try EntryStore(database, "store")
    var random = SeededRandom(seed: 4)
    let contents = (0..<8).map { _ in random.bytes(100_000) }
    for (number, bytes) in contents.enumerated() { try store.write("\(number)", bytes) }
    for (number, bytes) in contents.enumerated() {
      let entry = try #require(try store.read("\(number)", .copying))
      try entry.verify()
      #expect(entry.array == bytes && entry.key == Array("\(number)".utf8))
    }
    #expect(try store.read("none", .copying) == nil)
    try database.close()
    var file = try Data(contentsOf: URL(filePath: folder.file()))
    let place = try #require(file.range(of: Data(contents[3][50_000..<50_100])))
    file[place.lowerBound] ^= 1
    try file.write(to: URL(filePath: folder.file()))

    database = try Database.open(folder.file())
    store = try EntryStore(database, "store")
    #expect(errorCode { _ = try store.read("3", .copying) } == .corrupted)
    #expect(try store.read("3") != nil)
    #expect(try store.read("6", .copying)?.array == contents[6])
    try database.close()
  }

  /// `.none` promises nothing before `flush`.
  @Test func flushedIsDurable() throws {
    let storage = try MemoryStorage()
    var options = Database.Options()
    options.durability = .none
    let database = try openDatabase(in: storage, options, hasBackgroundThreads: false)
    let (store, region) = (try EntryStore(database, "store"), try database.region("region"))
    try store.write("a", [1, 2, 3])
    try store.flush()
    try region.append([4, 5])
    try region.flush()
    let contents = storage.copyOfContents()
    try region.append([6])
    database.abandon()
    let again = try openDatabase(in: try MemoryStorage(contents: contents))
    #expect(try EntryStore(again, "store").read("a")?.array == [1, 2, 3])
    #expect(try again.region("region").readAll() == [4, 5])
    try again.close()
  }

  /// What goes to another database is durable there before it is gone here, whatever that was opened
  /// with.
  @Test func transferredIsDurable() throws {
    var options = Database.Options()
    let source = try openDatabase(in: try MemoryStorage(), options)
    options.durability = .none
    let storage = try MemoryStorage()
    let target = try openDatabase(in: storage, options, hasBackgroundThreads: false)
    let from = try EntryStore(source, "store")
    try from.write("key", [1, 2, 3])
    try from.transfer("key", to: try EntryStore(target, "store"))
    #expect(try !from.contains("key"))
    let contents = storage.copyOfContents()
    target.abandon()
    let again = try openDatabase(in: try MemoryStorage(contents: contents))
    #expect(try EntryStore(again, "store").read("key")?.array == [1, 2, 3])
    try again.close()
    try source.close()
  }
}
