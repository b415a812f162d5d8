import BTreeKV
import Pager
import TestSupport
import Testing

/// Long random histories of all operations give the answers of a sorted array, while pages split,
/// merge, are evicted and checkpointed, and `verify` finds nothing, also after reopening.
///
/// rule A2, C1-C8, F2 (an insert never widens a page), F4 and F6 as a whole: dropping one of
/// them shows as a wrong answer, an unsound file or a crash here.
@Suite struct ModelTests {
  @Test(arguments: KeyKind.allCases, [4096, 16384])
  func history(keys: KeyKind, pageSize: Int) throws {
    let durabilities = Database.Durability.allCases
    for round in 0..<lengthFactor {
      let number = (KeyKind.allCases.firstIndex(of: keys) ?? 0) + pageSize / 16384 + round
      var plan = History.Plan(
        keys: keys, durability: durabilities[number % durabilities.count],
        seed: runSeed &* 1000 + UInt64(number))
      plan.pageSize = pageSize
      plan.stepCount = pageSize == 4096 ? 3000 : 2000
      var history = try History(plan)
      try history.run()
    }
  }

  @Test(arguments: Database.Durability.allCases)
  func manyLargeValues(durability: Database.Durability) throws {
    var plan = History.Plan(keys: .dense, durability: durability, seed: runSeed &* 1000 + 77)
    plan.largePerMille = 300
    plan.stepCount = 500 * lengthFactor
    var history = try History(plan)
    try history.run()
  }
}

/// Keys and values are taken in every form of bytes.
@Suite struct ByteStringTests {
  @Test func allForms() throws {
    let database = try openDatabase(in: MemoryStorage())
    let bytes = Array("apple".utf8)
    try database.insert("apple", "red")
    #expect(try database.lookup(bytes) == Array("red".utf8))
    #expect(try database.contains(bytes[...]))
    #expect(try database.contains("a pple".filter { $0 != " " }[...]))
    #expect(try database.contains(bytes.span.bytes))
    let raw = try bytes.withUnsafeBytes { try database.lookup($0) }
    #expect(raw == Array("red".utf8))
    let buffer = try bytes.withUnsafeBufferPointer { try database.lookup($0) }
    #expect(buffer == Array("red".utf8))
    #expect(try !database.insert(bytes.span.bytes, bytes[1...]))
    #expect(try database.lookup("apple") == Array("pple".utf8))
    #expect(try database.remove(bytes[...]))
    #expect(database.isEmpty)
    try database.close()
  }
}
