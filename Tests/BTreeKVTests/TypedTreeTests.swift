import BTreeKV
import BTreeKVCodable
import Foundation
import Pager
import TestSupport
import Testing

/// What typed trees promise besides what the histories compare.
@Suite struct TypedTreeTests {
  private func expect(
    _ code: DatabaseError.Code, _ what: String, at location: SourceLocation = #_sourceLocation,
    _ body: () throws -> Void
  ) {
    do {
      try body()
      Issue.record("no error: \(what)", sourceLocation: location)
    } catch {
      #expect(
        (error as? DatabaseError)?.code == code, "\(what): \(error)", sourceLocation: location)
    }
  }

  @Test func anotherTypeIsAnError() throws {
    let storage = try MemoryStorage()
    var database = try openDatabase(in: storage)
    let users = try database.tree("users", of: UInt64.self, String.self)
    try users.insert(7, "Ada")
    try database.tree("plain").insert("a", "b")
    func check(_ database: Database) throws {
      expect(.typeMismatch, "key") { _ = try database.tree("users", of: Int64.self, String.self) }
      expect(.typeMismatch, "value") { _ = try database.tree("users", of: UInt64.self, Int.self) }
      expect(.typeMismatch, "plain") { _ = try database.tree("plain", of: Int.self, Int.self) }
      expect(.typeMismatch, "existing") {
        _ = try database.existingTree("users", of: String.self, String.self)
      }
      try database.read { snapshot in
        expect(.typeMismatch, "snapshot") {
          _ = try snapshot.tree("users", of: Int64.self, String.self)
        }
        expect(.typeMismatch, "plain, snapshot") {
          _ = try snapshot.tree("plain", of: Int.self, Int.self)
        }
      }
      try database.write { transaction in
        expect(.typeMismatch, "transaction") {
          _ = try transaction.tree("users", of: Int64.self, String.self)
        }
        expect(.typeMismatch, "existing, transaction") {
          _ = try transaction.existingTree("plain", of: Int64.self, String.self)
        }
      }
    }
    try check(database)
    try database.close()
    database = try openDatabase(in: storage.reopen())
    try check(database)
    #expect(try database.tree("users", of: UInt64.self, String.self)[7] == "Ada")
    #expect(try database.read { try $0.treeCodings("users") } == "u64→text")
    #expect(try database.read { try $0.treeCodings("plain") } == nil)
    // Types that are stored alike are the same: a raw value is what is stored.
    #expect(try database.tree("users", of: UInt64.self, Name.self)[7] == Name(rawValue: "Ada"))
    try requireSound(database, "no seed")
    try database.close()
  }

  @Test func missingAndEmptyTrees() throws {
    let database = try openDatabase(in: MemoryStorage())
    #expect(try database.existingTree("t", of: Int.self, Int.self) == nil)
    try database.write { transaction in
      let isMissing = try transaction.existingTree("t", of: Int.self, Int.self) == nil
      #expect(isMissing)
    }
    #expect(try database.treeNames() == [])
    // An empty plain tree becomes typed; a snapshot of it reads as any type.
    _ = try database.tree("t")
    let before = try database.snapshot()
    #expect(try before.tree("t", of: Int.self, Int.self)?.count == 0)
    #expect(try before.tree("u", of: Int.self, Int.self) == nil)
    _ = try database.existingTree("t", of: Int.self, Int.self)
    #expect(try database.read { try $0.treeCodings("t") } == "i64→i64")
    expect(.typeMismatch, "noted") { _ = try database.tree("t", of: String.self, Int.self) }
    #expect(try before.tree("t", of: String.self, Int.self)?.count == 0)
    try database.renameTree("t", to: "v")
    #expect(try database.existingTree("v", of: Int.self, Int.self) != nil)
    try database.dropTree("v")
    let other = try database.tree("v", of: String.self, Double.self)
    try other.insert("a", 0.5)
    #expect(try other["a"] == 0.5)
    before.close()
    try database.close()
  }

  @Test func aRefusedTransactionMakesNoTree() throws {
    struct Refusal: Error {}
    let database = try openDatabase(in: MemoryStorage())
    _ = try? database.write { transaction in
      try transaction.tree("t", of: Int.self, Int.self).insert(1, 1)
      throw Refusal()
    }
    #expect(try database.treeNames() == [])
    #expect(try database.tree("t", of: String.self, String.self).isEmpty)
    try database.close()
  }

  private struct Padded: FixedLayoutValue {
    var small: UInt8
    var large: UInt32
  }

  private struct Wordy: StorableValue {
    static var codingTag: String { String(repeating: "w", count: 600) }
    func encodeValue(into encoder: inout ByteEncoder) {}
    static func decodeValue(from decoder: inout ByteDecoder) -> Wordy { Wordy() }
  }

  @Test func codingsThatCannotBe() throws {
    let database = try openDatabase(in: MemoryStorage())
    expect(.invalidArgument, "a long tag") {
      _ = try database.tree("t", of: Int.self, Wordy.self)
    }
    expect(.invalidArgument, "padding") {
      _ = try database.tree("t", of: Int.self, Padded.self)
    }
    expect(.invalidArgument, "name") { _ = try database.tree("", of: Int.self, Int.self) }
    #expect(try database.treeNames() == [])
    try database.close()
  }

  /// A value that refuses to be stored when it is negative.
  private struct Choosy: StorableValue, Equatable {
    var number: Int
    static var codingTag: String { "choosy" }
    func encodeValue(into encoder: inout ByteEncoder) throws(DatabaseError) {
      guard number >= 0 else { throw ByteEncoder.unstorable("it is negative") }
      number.encodeValue(into: &encoder)
    }
    static func decodeValue(from decoder: inout ByteDecoder) throws(DatabaseError) -> Choosy {
      Choosy(number: try Int.decodeValue(from: &decoder))
    }
  }

  @Test func valuesThatCannotBeStoredChangeNothing() throws {
    let database = try openDatabase(in: MemoryStorage())
    let tree = try database.tree("t", of: Int.self, Choosy.self)
    let good = Choosy(number: 1)
    let bad = Choosy(number: -1)
    let entries = [(1, good), (2, good), (3, bad), (4, good)]
    expect(.invalidArgument, "load") { try tree.load(ascending: entries) }
    #expect(tree.isEmpty)
    expect(.invalidArgument, "contents") { try tree.insert(contentsOf: entries) }
    #expect(tree.isEmpty)
    try tree.insert(1, good)
    expect(.invalidArgument, "insert") { try tree.insert(1, bad) }
    expect(.invalidArgument, "insertIfAbsent") { try tree.insertIfAbsent(2, bad) }
    expect(.invalidArgument, "update") { try tree.update(1) { _ in bad } }
    expect(.invalidArgument, "swap") { try tree.compareAndSwap(1, expected: good, new: bad) }
    try database.write { transaction in
      let tree = tree.access(in: transaction)
      do throws(DatabaseError) {
        try tree.insert(contentsOf: entries)
        Issue.record("no error")
      } catch {
        #expect(error.code == .invalidArgument)
      }
      let count = tree.count
      #expect(count == 1)
    }
    #expect(try tree[1] == good && tree.count == 1)
    expect(.invalidArgument, "not empty") { try tree.load(ascending: [(5, good)]) }
    let other = try database.tree("u", of: Int.self, Int.self)
    expect(.invalidArgument, "not ascending") { try other.load(ascending: [(5, 1), (4, 1)]) }
    #expect(other.isEmpty)
    try requireSound(database, "no seed")
    try database.close()
  }

  @Test func bytesOfAnotherTypeAreErrors() throws {
    let database = try openDatabase(in: MemoryStorage())
    let tree = try database.tree("t", of: UInt32.self, UInt32.self)
    try tree.insert(contentsOf: [(1, 1), (2, 2), (4, 4)])
    try tree.plain.insert(UInt32(3).encodedKey, "strange")
    expect(.corrupted, "lookup") { _ = try tree.lookup(3) }
    expect(.corrupted, "subscript") { _ = try tree[3] }
    expect(.corrupted, "above") { _ = try tree.above(2) }
    expect(.corrupted, "update") { try tree.update(3) { _ in 5 } }
    expect(.corrupted, "insertIfAbsent") { try tree.insertIfAbsent(3, 5) }
    expect(.corrupted, "forEach") { try tree.forEach { _, _ in .next } }
    let cursor = try tree.cursor(in: 3...)
    expect(.corrupted, "cursor") { _ = try cursor.next() }
    #expect(try tree.plain.lookup(UInt32(3).encodedKey) == Array("strange".utf8))
    #expect(try tree.contains(3))
    let entries = tree.range()
    #expect(entries.map(\.key) == [1, 2])
    #expect(entries.failure?.code == .corrupted)
    expect(.corrupted, "check") { try entries.check() }
    #expect(entries.failure == nil)
    #expect(entries.reversed().map(\.key) == [4])
    #expect(try tree.remove(3))
    try tree.plain.insert("longer", "1234")
    expect(.corrupted, "key") { _ = try tree.max() }
    expect(.corrupted, "keys") { try tree.forEachKey { _ in .next } }
    try database.close()
  }

  @Test func prefixesOfComposites() throws {
    typealias Line = CompositeKey<UInt64, String, Int>
    let database = try openDatabase(in: MemoryStorage())
    let lines = try database.tree("lines", of: Line.self, Bool.self)
    for order in 1...3 as ClosedRange<UInt64> {
      for name in ["a", "b"] {
        for number in 0..<5 { try lines.insert(Line(order, name, number), true) }
      }
    }
    #expect(try lines.count(in: Line.prefixRange(2)) == 10)
    #expect(try lines.count(in: Line.prefixRange(2, "a", 1...3)) == 3)
    #expect(
      lines.range(Line.prefixRange(3, "b")).reversed().map(\.key.elements.2) == [4, 3, 2, 1, 0])
    #expect(try lines.removeRange(Line.prefixRange(1)) == 10)
    #expect(lines.count == 20)
    try database.close()
  }

  private struct Person: Codable, Equatable {
    var name: String
    var born: Int?
  }

  @Test func codableValues() throws {
    let database = try openDatabase(in: MemoryStorage())
    let people = try database.tree("people", of: UUID.self, CodableValue<Person>.self)
    let ada = CodableValue(Person(name: "Ada", born: 1815))
    let id = UUID()
    try people.insert(id, ada)
    #expect(try people[id] == ada)
    #expect(try people.compareAndSwap(id, expected: ada, new: nil))
    #expect(people.isEmpty)
    #expect(try database.read { try $0.treeCodings("people") } == "uuid→json")
    try database.close()
  }

  @Test func readOnlyFiles() throws {
    let folder = try TemporaryFolder()
    let path = folder.file()
    var database = try Database.open(path)
    try database.tree("t", of: Int.self, Int.self).insert(1, 2)
    try database.close()
    var options = Database.Options()
    options.mode = .readOnly
    database = try Database.open(path, options: options)
    let tree = try database.tree("t", of: Int.self, Int.self)
    #expect(try tree[1] == 2)
    expect(.readOnly, "insert") { try tree.insert(1, 3) }
    expect(.readOnly, "new tree") { _ = try database.tree("u", of: Int.self, Int.self) }
    try database.close()
    expect(.closed, "closed") { _ = try tree[1] }
  }
}
