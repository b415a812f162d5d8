import BTreeKV
import Testing

// The examples of typed trees and of lazy sequences.

extension DocumentationExamples {
  @Test func sequencesAreLazy() throws {
    let database = try open()
    try database.insert("apple", "red")
    try database.insert("banana", "yellow")
    try database.read { snapshot in
      for (key, value) in snapshot.range("a"..<"b") {
        print(String(decoding: key, as: UTF8.self), value.count)
      }
      let last = snapshot.range().reversed().first
      assert(last?.key == Array("banana".utf8))
    }
    let entries = database.range("a"...)
    for (key, value) in entries { print(key.count, value.count) }
    try entries.check()
    for (key, value) in database.range("a"..."z").reversed() { print(key.count, value.count) }
    let snapshot = try database.snapshot()
    for (key, value) in snapshot.range("a"..<"b") { print(key.count, value.count) }
    try snapshot.check()
    #expect(entries.map(\.value.count) == [3, 6])
  }

  @Test func rangesAreCombined() throws {
    let database = try open()
    try database.insert("m", "here")
    let count = try database.count(in: .above("m").clamped(to: .through("z")))
    #expect(count == 0)
  }

  @Test func treesHaveStatistics() throws {
    let database = try open()
    try database.tree("users").insert("1", "Ada")
    let statistics = try database.read { snapshot in try snapshot.statistics(ofTree: "users") }
    assert(statistics?.entryCount == 1)
    #expect(statistics?.entryCount == 1)
  }

  @Test func typedEntriesAreLazy() throws {
    let database = try open()
    let squares = try database.tree("squares", of: Int.self, Int.self)
    try squares.insert(contentsOf: (1...100).map { ($0, $0 * $0) })
    let last = squares.range(10..<20).reversed().prefix(2).map(\.value)
    assert(last == [361, 324])
    #expect(last == [361, 324])
  }

  @Test func typedForEach() throws {
    let database = try open()
    let stock = try database.tree("stock", of: String.self, Int.self)
    try stock.insert(contentsOf: [("apples", 12), ("pears", 3)])
    var total = 0
    try stock.forEach(in: "a"..."b") { name, count in
      total += count
      return .next
    }
    assert(total == 12)
    #expect(total == 12)
  }

  @Test func compositeKeys() throws {
    let database = try open()
    typealias Visit = CompositeKey<String, Int64>
    let visits = try database.tree("visits", of: Visit.self, Bool.self)
    try visits.insert(Visit("ada", 1815), true)
    let count = try visits.count(in: Visit.prefixRange("ada"))
    #expect(count == 1)
  }

  @Test func typedTreeInASnapshot() throws {
    let database = try open()
    let users = try database.tree("users", of: UInt64.self, String.self)
    try users.insert(7, "Ada")
    let name = try database.read { snapshot in
      try snapshot.tree("users", of: UInt64.self, String.self)?[7]
    }
    assert(name == "Ada")
    #expect(name == "Ada")
  }

  @Test func typedTreeInATransaction() throws {
    let database = try open()
    try database.write { transaction in
      let users = try transaction.tree("users", of: UInt64.self, String.self)
      try users.insert(7, "Ada")
    }
    #expect(try database.tree("users", of: UInt64.self, String.self)[7] == "Ada")
  }

  @Test func typedSubscript() throws {
    let database = try open()
    let ages = try database.tree("ages", of: String.self, Int.self)
    try ages.insert("Ada", 36)
    let age = try ages["Ada"] ?? 0
    #expect(age == 36)
  }

  @Test func typedCompareAndSwap() throws {
    let database = try open()
    let seats = try database.tree("seats", of: UInt16.self, String.self)
    let isMine = try seats.compareAndSwap(12, expected: nil, new: "Ada")
    #expect(isMine)
  }

  @Test func typedUpdate() throws {
    let database = try open()
    let visits = try database.tree("visits", of: String.self, Int.self)
    let count = try visits.update("index.html") { ($0 ?? 0) + 1 }
    assert(count == 1)
    #expect(count == 1)
  }

  @Test func typedLoad() throws {
    let database = try open()
    let squares = try database.tree("squares", of: UInt32.self, UInt64.self)
    try squares.load(ascending: (0..<1000).map { (UInt32($0), UInt64($0 * $0)) })
    #expect(try squares[999] == 998_001)
  }

  @Test func typedTree() throws {
    let database = try open()
    let users = try database.tree("users", of: UInt64.self, String.self)
    try users.insert(7, "Ada")
    try users.insert(9, "Grace")
    let name = try users[7]
    assert(name == "Ada")
    for (id, name) in users.range(8...) { print(id, name) }
    #expect(users.range(8...).map(\.value) == ["Grace"])
  }

  @Test func typedAccessInATransaction() throws {
    let database = try open()
    let stock = try database.tree("stock", of: String.self, Int.self)
    try database.write { transaction in
      let stock = stock.access(in: transaction)
      try stock.insert("apples", 12)
      try stock.update("pears") { ($0 ?? 0) + 1 }
    }
    #expect(try stock["pears"] == 1)
  }
}
