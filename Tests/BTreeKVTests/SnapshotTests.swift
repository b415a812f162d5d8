import BTreeKV
import Pager
import TestSupport
import Testing

/// A cursor or an iteration shows what was there when it began, whatever changes meanwhile, and
/// gives back what was kept for it: C1 (in place only above the youngest pin), C2 (dead lists), C3
/// (free means that no pin reaches it) and C4 of docs/ARCHITECTURE.md.
@Suite struct SnapshotTests {
  private struct View {
    let cursor: Cursor
    var rest: ArraySlice<(key: [UInt8], value: [UInt8])>
    let openedAt: Int
  }

  private static func change(
    _ database: Database, _ model: inout Model, _ random: inout SeededRandom
  ) throws {
    let key = Array("key \(random.below(400))".utf8)
    if random.chance(40) {
      try database.remove(key)
      model.remove(key)
    } else {
      let value = randomValue(&random, largePerMille: 30)
      try database.insert(key, value)
      model.insert(key, value)
    }
  }

  private static func view(
    of database: Database, _ model: Model, _ random: inout SeededRandom, _ step: Int
  ) throws -> View {
    let isReversed = random.chance(50)
    let entries = (0..<model.count).compactMap { model.entry($0) }
    return View(
      cursor: try database.cursor(reversed: isReversed),
      rest: (isReversed ? entries.reversed() : entries)[...], openedAt: step)
  }

  private static func advance(_ view: inout View, _ count: Int, _ context: String) throws {
    for _ in 0..<count {
      let found = try view.cursor.next()
      let expected = view.rest.popFirst()
      try require(
        equalBytes(found?.key, expected?.key) && equalBytes(found?.value, expected?.value),
        """
        \(context), cursor of step \(view.openedAt): \(hex(found?.key)) = \(hex(found?.value)), \
        expected \(hex(expected?.key)) = \(hex(expected?.value))
        """)
      if expected == nil { return }
    }
  }

  /// After all views are gone and some changes more, only the last checkpoint is still held.
  private static func requireNothingHeld(_ database: Database, _ context: String) throws {
    // A bounded number is moved on by each operation.
    for number in 0..<200 { try database.insert("settle", "\(number)") }
    try database.checkpoint()
    try database.insert("settle", "end")
    try database.remove("settle")
    try database.checkpoint()
    for _ in 0..<50 { try database.remove("nothing") }
    let held = try database.statistics().heldPageCount
    try require(held == 0, "\(context): \(held) pages are still held")
    try requireSound(database, context)
  }

  @Test(arguments: Database.Durability.allCases)
  func viewsStayAsTheyWere(durability: Database.Durability) throws {
    let seed = runSeed &* 31 + 5
    var random = SeededRandom(seed: seed)
    let storage = try MemoryStorage()
    let database = try openDatabase(in: storage, tightOptions(durability: durability))
    var model = Model()
    var views: [View] = []
    for step in 0..<1500 * lengthFactor {
      let context = "seed \(seed), .\(durability), step \(step)"
      try Self.change(database, &model, &random)
      if random.chance(2) { try database.checkpoint() }
      if random.chance(4), views.count < 6 {
        views.append(try Self.view(of: database, model, &random, step))
      }
      if let index = views.indices.randomElement(using: &random) {
        try Self.advance(&views[index], random.below(20), context)
        if random.chance(3) || views[index].rest.isEmpty { views.remove(at: index) }
      }
    }
    for index in views.indices { try Self.advance(&views[index], .max, "seed \(seed), end") }
    views = []
    try requireEqual(database, model, "seed \(seed), .\(durability)")
    try Self.requireNothingHeld(database, "seed \(seed), .\(durability)")
    try database.close()
  }

  @Test func everythingRemovedDuringIteration() throws {
    let storage = try MemoryStorage()
    let database = try openDatabase(in: storage)
    var random = SeededRandom(seed: runSeed)
    var model = Model()
    for number in 0..<300 {
      let key = Array("key \(number)".utf8)
      let value = random.bytes(number % 20 == 0 ? 100 << 10 : 300)
      try database.insert(key, value)
      model.insert(key, value)
    }
    var index = 0
    try database.forEach { key, value in
      if index == 0 {
        for key in model.keys { try database.remove(key) }
        try database.checkpoint()
        // What was freed would be overwritten now, were it free.
        for number in 0..<300 { try database.insert("other \(number)", random.bytes(20 << 10)) }
        try database.checkpoint()
      }
      let entry = model.entry(index)
      try require(
        equalBytes(key.withUnsafeBytes { Array($0) }, entry?.key)
          && equalBytes(value.withUnsafeBytes { Array($0) }, entry?.value),
        "seed \(runSeed): entry \(index) is not as it was, \(hex(entry?.key))")
      index += 1
      return .next
    }
    #expect(index == 300, "seed \(runSeed)")
    #expect(database.count == 300, "seed \(runSeed)")
    try Self.requireNothingHeld(database, "seed \(runSeed)")
    try database.close()
  }
}
