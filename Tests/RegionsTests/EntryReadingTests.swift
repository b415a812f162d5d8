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
}
