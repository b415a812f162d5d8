import BTreeKV
import Pager
import TestSupport
import Testing

/// Lazy sequences: what they show, when they read, and how they tell of errors.
@Suite struct SequenceTests {
  private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

  private func keys(_ entries: Entries) -> [String] { entries.map { text($0.key) } }

  private func letters() throws -> Database {
    let database = try openDatabase(in: MemoryStorage())
    try database.insert(contentsOf: "abcdef".map { (String($0), String($0).uppercased()) })
    return database
  }

  @Test func rangesOfTexts() throws {
    let database = try letters()
    try database.tree("named").insert(contentsOf: "abcdef".map { (String($0), "") })
    func check(_ tree: borrowing some ReadableTree & ~Copyable & ~Escapable) throws {
      #expect(keys(tree.range("b"..<"d")) == ["b", "c"])
      #expect(keys(tree.range("b"..."d")) == ["b", "c", "d"])
      #expect(keys(tree.range("e"...)) == ["e", "f"])
      #expect(keys(tree.range(..<"c")) == ["a", "b"])
      #expect(keys(tree.range(..."c")) == ["a", "b", "c"])
      #expect(keys(tree.range()) == ["a", "b", "c", "d", "e", "f"])
      #expect(keys(tree.range().reversed()) == ["f", "e", "d", "c", "b", "a"])
      #expect(keys(tree.range("b"..<"d").reversed()) == ["c", "b"])
      #expect(keys(tree.range("b"..<"d").reversed().reversed()) == ["b", "c"])
      #expect(keys(tree.range(.prefix("c"))) == ["c"])
      #expect(keys(tree.range(.above("d"))) == ["e", "f"])
      #expect(keys(tree.range("x"..<"z")) == [])
      var values: [String] = []
      for (key, value) in tree.range("a"..<"c") { values.append(text(key) + text(value)) }
      #expect(values.first?.first == "a" && values.count == 2)
    }
    try check(database)
    try check(try database.tree("named"))
    try database.read { snapshot in
      try check(snapshot)
      if let tree = try snapshot.tree("named") { try check(tree) }
    }
    try database.write { transaction in
      try check(transaction)
      try check(try transaction.tree("named"))
    }
    try database.close()
  }

  @Test func whatAnIterationShows() throws {
    let database = try letters()
    let live = database.range("c"...)
    let snapshot = try database.snapshot()
    let then = snapshot.range("c"...)
    try database.remove("d")
    // The database's entries are those at the beginning of each iteration.
    #expect(keys(live) == ["c", "e", "f"])
    #expect(keys(then) == ["c", "d", "e", "f"])
    var iterator = live.makeIterator()
    #expect(iterator.next()?.key == Array("c".utf8))
    try database.removeAll()
    #expect(iterator.next()?.key == Array("e".utf8))
    #expect(keys(live) == [])
    #expect(keys(then.reversed()) == ["f", "e", "d", "c"])
    // All of these stay lazy, reversed or not.
    #expect(then.first?.key == Array("c".utf8))
    #expect(then.reversed().first?.key == Array("f".utf8))
    #expect(then.reversed().prefix(2).map { text($0.key) } == ["f", "e"])
    #expect(then.reversed().dropFirst().map { text($0.key) } == ["e", "d", "c"])
    #expect(then.prefix(while: { text($0.key) < "e" }).map { text($0.key) } == ["c", "d"])
    #expect(live.first == nil)
    try live.check()
    try then.check()
    try snapshot.check()
    snapshot.close()
    #expect(keys(then) == [])
    #expect(then.failure?.code == .closed)
    // Told once.
    #expect(throws: DatabaseError.self) { try snapshot.check() }
    try snapshot.check()
    try then.check()
    try database.close()
    #expect(keys(live) == [])
    #expect(live.failure?.code == .closed)
  }

  @Test func aTransactionsSequenceMeetsItsChanges() throws {
    let database = try letters()
    var escaped: Entries?
    try database.write { transaction in
      var seen: [String] = []
      for (key, _) in transaction.range() {
        seen.append(text(key))
        if key == Array("a".utf8) {
          try transaction.insert("bb", "new")
          try transaction.remove("c")
        }
        try transaction.remove(key)
      }
      #expect(seen == ["a", "b", "bb", "d", "e", "f"])
      let count = transaction.count
      #expect(count == 0)
      escaped = transaction.range()
    }
    let entries = try #require(escaped)
    #expect(keys(entries) == [])
    #expect(entries.failure?.code == .transactionEnded)
    #expect(database.isEmpty)
    try database.close()
  }

  /// The sequence keeps the file open when nothing else does.
  @Test func theDatabaseStaysOpen() throws {
    func opened() throws -> (Entries, Cursor, TypedEntries<Int, Int>) {
      let database = try letters()
      let squares = try database.tree("squares", of: Int.self, Int.self)
      try squares.insert(contentsOf: (1...50).map { ($0, $0 * $0) })
      return (try database.snapshot().range(), try database.cursor(), squares.range())
    }
    let (entries, cursor, squares) = try opened()
    #expect(keys(entries).count == 6)
    #expect(try cursor.next()?.key == Array("a".utf8))
    #expect(squares.map(\.value).count == 50)
    try entries.check()
    try squares.check()
  }

  // MARK: Errors

  /// A database with a damaged page in its middle, and how many entries come before it.
  private func damaged() throws -> (database: Database, soundCount: Int) {
    let storage = try MemoryStorage()
    var database = try openDatabase(in: storage)
    try database.load(
      ascending: (10_000..<14_000).map { ("key \($0)", "value of the number \($0)") })
    try database.close()
    var bytes = storage.reopen().copyOfContents()
    let mark = Array("value of the number 12000".utf8)
    let place = (0..<bytes.count - mark.count).first {
      bytes[$0] == mark[0] && bytes[$0..<$0 + mark.count].elementsEqual(mark)
    }
    bytes[try #require(place)] ^= 1
    database = try openDatabase(in: try MemoryStorage(contents: bytes))
    let entries = database.range()
    let count = entries.reduce(0) { count, _ in count + 1 }
    #expect(entries.failure?.code == .corrupted)
    #expect(count > 0 && count <= 2000)
    return (database, count)
  }

  @Test func sequencesStopAtDamage() throws {
    let (database, soundCount) = try damaged()
    let entries = database.range()
    // Lazy: what is not reached does no harm.
    #expect(Array(entries.prefix(soundCount)).count == soundCount)
    #expect(entries.failure == nil)
    var iterator = entries.makeIterator()
    for _ in 0..<soundCount { #expect(iterator.next() != nil) }
    #expect(iterator.next() == nil)
    #expect(iterator.next() == nil)
    #expect(entries.failure?.code == .corrupted)
    #expect(throws: DatabaseError.self) { try entries.check() }
    try entries.check()
    let reversed = entries.reversed()
    #expect(reversed.reduce(0) { count, _ in count + 1 } < 4000 - soundCount)
    #expect(reversed.failure?.code == .corrupted)
    try database.close()
  }

  @Test func readRethrows() throws {
    let (database, soundCount) = try damaged()
    var count = 0
    let error = #expect(throws: DatabaseError.self) {
      try database.read { snapshot in
        for _ in snapshot.range() { count += 1 }
      }
    }
    #expect(error?.code == .corrupted)
    #expect(count == soundCount)
    // Whoever asked was told.
    try database.read { snapshot in
      let entries = snapshot.range()
      for _ in entries {}
      #expect(throws: DatabaseError.self) { try entries.check() }
    }
    // An error of the closure's own comes first.
    struct Refusal: Error {}
    #expect(throws: Refusal.self) {
      try database.read { snapshot in
        for _ in snapshot.range() {}
        throw Refusal()
      }
    }
    try database.read { snapshot in
      for _ in snapshot.range(..<"key 10100") {}
    }
    try database.close()
  }

  @Test func writeRethrowsAndUndoes() throws {
    let (database, _) = try damaged()
    let error = #expect(throws: DatabaseError.self) {
      try database.write { transaction in
        let tree = try transaction.tree("copy")
        for (key, value) in transaction.range() { try tree.insert(key, value) }
      }
    }
    #expect(error?.code == .corrupted)
    #expect(try database.treeNames() == [])
    // A savepoint is undone alone.
    try database.write { transaction in
      try transaction.insert("a", "kept")
      #expect(throws: DatabaseError.self) {
        try transaction.savepoint {
          try transaction.insert("b", "undone")
          for _ in transaction.range() {}
        }
      }
    }
    #expect(try database.contains("a"))
    #expect(try !database.contains("b"))
    // An error met before a savepoint is not the savepoint's: it is told at the transaction's end.
    #expect(throws: DatabaseError.self) {
      try database.write { transaction in
        for _ in transaction.range() {}
        try transaction.savepoint { _ = try transaction.insert("c", "undone with all") }
        let isThere = try transaction.contains("c")
        #expect(isThere)
      }
    }
    #expect(try !database.contains("c"))
    try database.close()
  }

  // MARK: Ranges

  @Test func rangesOfKeys() throws {
    let samples: [[UInt8]] = [
      [], [0], [0, 0], [0, 1], [1], [1, 0], [1, 0xFF], [2], [0xFE, 0xFF], [0xFF], [0xFF, 0],
      [0xFF, 0xFF],
    ]
    func isBelow(_ a: [UInt8], _ b: [UInt8]) -> Bool { a.lexicographicallyPrecedes(b) }
    func expect(_ range: KeyRange, _ name: String, _ belongs: ([UInt8]) -> Bool) {
      for key in samples { #expect(range.contains(key) == belongs(key), "\(name): \(key)") }
      if range.isEmpty {
        for key in samples { #expect(!belongs(key), "\(name)") }
      }
    }
    expect(.all, "all") { _ in true }
    for a in samples {
      expect(.from(a), "from") { !isBelow($0, a) }
      expect(.above(a), "above \(a)") { isBelow(a, $0) }
      expect(.upTo(a), "upTo") { isBelow($0, a) }
      expect(.through(a), "through") { !isBelow(a, $0) }
      expect(.prefix(a), "prefix") { $0.starts(with: a) }
      for b in samples {
        expect(.range(a, b), "range") { !isBelow($0, a) && isBelow($0, b) }
        expect(.closed(a, b), "closed") { !isBelow($0, a) && !isBelow(b, $0) }
        expect(.above(a).clamped(to: .through(b)), "above, through") {
          isBelow(a, $0) && !isBelow(b, $0)
        }
        expect(.prefix(a).clamped(to: .from(b)), "prefix, from") {
          $0.starts(with: a) && !isBelow($0, b)
        }
        #expect(KeyRange.range(a, b).isEmpty == !isBelow(a, b))
      }
    }
    #expect(KeyRange.upTo("").isEmpty)
    #expect(!KeyRange.through("").isEmpty)
  }
}
