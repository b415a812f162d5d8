@testable import BTreeKV
import Pager
import Regions
import TestSupport
import Testing

/// Namespaces of entry stores: which there are, and removing one.
@Suite struct EntryNamespaceTests {
  private static let names: [[UInt8]] = [
    [], [0], [0, 0], [0, 1], [0, 2], [0, 0xFF], [1], [97], [97, 0], [97, 1], [97, 98], [0xFF],
    [0xFF, 0xFF],
  ]

  /// What every handle of a store shows of its namespaces.
  private func check(
    _ store: borrowing some ReadableEntryStore & ~Copyable & ~Escapable, _ names: [[UInt8]]
  ) throws {
    let found = try store.namespaceNames()
    try require(
      found == names.sorted { $0.lexicographicallyPrecedes($1) },
      "namespaces \(found.map(hex)), expected \(names.map(hex))")
  }

  @Test func namesAreListed() throws {
    let database = try openDatabase(in: try MemoryStorage())
    let store = try EntryStore(database, "store")
    try check(store, [])
    for (number, name) in Self.names.enumerated() {
      for key in 0...number { try store.namespace(name).write([UInt8(key)], name) }
    }
    // In none: no name, what looks like the beginning of one, and bytes that no name has.
    for key: [UInt8] in [[], [0], [97], [97, 0], [97, 0, 2, 1], [97, 0, 0xFF], [0xFF, 0, 0]] {
      try store.write(key, "plain")
    }
    try check(store, Self.names)
    for (number, name) in Self.names.enumerated() {
      #expect(try store.namespace(name).count == number + 1)
      #expect(try store.namespace(name).namespaceNames() == [])
    }
    // Of one inside of another the store knows the outer one.
    let inner = store.namespace([97]).namespace([0, 5])
    try inner.write("deep", "1")
    try store.namespace([8]).namespace([9]).write("deep", "2")
    try check(store, Self.names + [[8]])
    #expect(try store.namespace([97]).namespaceNames() == [[0, 5]])
    #expect(try store.namespace([8]).namespaceNames() == [[9]])
    #expect(try store.namespace([8]).count == 1)
    // As every handle sees it.
    let snapshot = try database.snapshot()
    #expect(try inner.removeAll() == 1)
    #expect(try store.namespace([97]).namespaceNames() == [])
    let old = try #require(try snapshot.entryStore("store"))
    #expect(try old.namespace([97]).namespaceNames() == [[0, 5]])
    try check(old, Self.names + [[8]])
    try database.write { transaction in
      let store = store.access(in: transaction)
      try store.namespace([7]).write("k", "v")
      try check(store, Self.names + [[7], [8]])
    }
    try check(store, Self.names + [[7], [8]])
    try database.close()
  }

  @Test func oneIsRemovedAtOnce() throws {
    let storage = try MemoryStorage()
    var database = try openDatabase(in: storage)
    var store = try EntryStore(database, "store")
    var random = SeededRandom(seed: 5)
    var model: [[UInt8]: Int] = [:]
    for name in Self.names {
      model[name] = random.number(in: 1...40)
      for key in 0..<(model[name] ?? 0) {
        try store.namespace(name).write("key \(key)", random.bytes(random.below(3000)))
      }
    }
    try store.write("plain", "1")
    let other = try EntryStore(database, "other")
    try other.namespace([97]).write("key 0", "other")
    for (number, name) in Self.names.enumerated().reversed() {
      let count = model[name] ?? 0
      let before = try store.byteCount
      switch number % 3 {
      case 0:
        let held = try #require(try store.namespace(name).read("key 0"))
        let bytes = held.array
        #expect(try store.namespace(name).removeAll() == count)
        #expect(held.array == bytes)
      case 1:
        struct Refusal: Error {}
        _ = try? database.write { transaction in
          let removed = try store.access(in: transaction).namespace(name).removeAll()
          #expect(removed == count)
          throw Refusal()
        }
        #expect(try store.namespace(name).count == count && store.byteCount == before)
        try database.write { transaction in
          let part = store.access(in: transaction).namespace(name)
          // What the transaction has written goes, too.
          try part.write("new", "1")
          let removed = try part.removeAll()
          #expect(removed == count + 1)
          try part.write("left", "1")
          try part.remove("left")
        }
      default:
        try database.close()
        database = try openDatabase(in: storage.reopen())
        store = try EntryStore(database, "store")
        #expect(try store.namespace(name).removeAll(durability: .sync) == count)
      }
      model[name] = nil
      try check(store, Array(model.keys))
      #expect(try store.count == model.values.reduce(1, +))
      #expect(try store.namespace(name).removeAll() == 0)
      try requireSound(database, "\(hex(name)) removed")
    }
    #expect(try EntryStore(database, "other").namespace([97]).count == 1)
    #expect(try store.read("plain")?.array == Array("1".utf8))
    #expect(try store.compact() > 0)
    #expect(try store.removeAll() == 1 && store.count == 0)
    try requireSound(database, "all removed")
    try database.close()
  }

  /// As many keys as the log does not take in one record, with a snapshot beside them.
  @Test func manyKeysAreRemovedAtOnce() throws {
    let storage = try MemoryStorage()
    var options = tightOptions()
    options.transactionLogLimitByteCount = 16 << 10
    // What the removal reads through does not expire.
    options.snapshotAgeLimitSeconds = 0.001
    let database = try openDatabase(in: storage, options)
    let store = try EntryStore(database, "store")
    let count = 3000
    for name in ["a", "b"] {
      try store.namespace(name).write(
        (0..<count).map { (key: "key \($0)", bytes: Array("\(name) \($0)".utf8)) })
    }
    #expect(try store.namespace("a").removeAll(durability: .flush) == count)
    database.abandon()
    let again = try openDatabase(in: storage.reopen())
    let left = try EntryStore(again, "store")
    #expect(try left.namespaceNames() == [Array("b".utf8)])
    #expect(try left.count == count && left.namespace("b").count == count)
    #expect(try left.namespace("b").read("key 2999")?.array == Array("b 2999".utf8))
    try requireSound(again, "after the process died")
    #expect(try left.removeAll() == count && left.compact() > 0)
    try requireSound(again, "all removed")
    try again.close()
  }

  @Test func theLastEntryIsTheNamespaces() throws {
    let database = try openDatabase(in: try MemoryStorage())
    let store = try EntryStore(database, "store")
    try store.namespace("a").write("1", "first")
    try store.namespace("b").write("2", "second")
    #expect(try store.namespace("a").lastEntry?.key == Array("1".utf8))
    #expect(try store.lastEntry?.array == Array("second".utf8))
    try database.close()
  }

  @Test func removalIsRefusedWhereNothingCanBeWritten() throws {
    let folder = try TemporaryFolder()
    let database = try Database.open(folder.file())
    let store = try EntryStore(database, "store")
    try store.namespace("a").write("1", "first")
    try database.removeEntryStore("store")
    #expect(throws: DatabaseError.self) { try store.namespace("a").removeAll() }
    try EntryStore(database, "store").namespace("a").write("1", "first")
    try database.close()
    var options = Database.Options()
    options.mode = .readOnly
    let reading = try Database.open(folder.file(), options: options)
    let part = try EntryStore(reading, "store").namespace("a")
    #expect(throws: DatabaseError.self) { try part.removeAll() }
    #expect(try part.count == 1)
    try reading.close()
  }
}
