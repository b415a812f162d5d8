import BTreeKV
import Pager
import TestSupport

/// A seeded random history on a database and on the model of it; it throws at the first difference.
struct History {
  struct Plan: Sendable, CustomStringConvertible {
    var keys: KeyKind
    var durability: Database.Durability
    var pageSize = 4096
    var stepCount = 2000
    var largePerMille = 6
    var seed: UInt64

    var description: String {
      "seed \(seed), \(keys) keys, .\(durability), pages of \(pageSize)"
    }
  }

  let plan: Plan
  let storage: MemoryStorage
  var database: Database
  var model = Model()
  var random: SeededRandom
  var source: KeySource
  var step = 0

  init(_ plan: Plan) throws {
    self.plan = plan
    storage = try MemoryStorage()
    random = SeededRandom(seed: plan.seed)
    database = try openDatabase(
      in: storage.reopen(), tightOptions(pageSize: plan.pageSize, durability: plan.durability))
    source = KeySource(
      plan.keys, maximumByteCount: database.maximumKeyByteCount, random: &random)
  }

  var context: String { "\(plan), step \(step)" }

  /// Grows, changes, shrinks and grows again; verified after each part, and reopened.
  mutating func run() throws {
    let parts: [(inserts: Int, removals: Int)] = [(55, 5), (30, 30), (5, 60), (50, 10), (0, 90)]
    for (index, part) in parts.enumerated() {
      for _ in 0..<plan.stepCount / parts.count {
        step += 1
        try oneStep(inserts: part.inserts, removals: part.removals)
      }
      if index == 4 { try removeAll() }
      try compareAll()
      if index % 2 == 1 { try reopen() }
    }
    try reopen()
    try database.close()
  }

  private mutating func removeAll() throws {
    while let key = model.keys.randomElement(using: &random) { try remove(key) }
  }

  private mutating func oneStep(inserts: Int, removals: Int) throws {
    let choice = random.below(100)
    if choice < inserts {
      try insert(random.chance(25) ? anyKey() : source.next(&random))
    } else if choice < inserts + removals {
      try remove(anyKey())
    } else {
      try query()
    }
    if random.below(400) == 0 { try database.checkpoint() }
    if random.below(700) == 0 { try database.waitUntilDurable() }
    if random.below(900) == 0 { try reopen() }
  }

  /// A key to ask for: one that is there, one beside it, or any.
  mutating func anyKey() -> [UInt8] {
    let choice = random.below(10)
    guard choice < 9, let key = model.keys.randomElement(using: &random) else {
      return source.next(&random)
    }
    return choice < 7 ? key : source.neighbour(of: key, &random)
  }

  mutating func insert(_ key: [UInt8]) throws {
    let value = randomValue(&random, largePerMille: plan.largePerMille)
    let isNew = try database.insert(key, value)
    try require(
      model.insert(key, value) == isNew,
      "\(context): insert \(hex(key)) says new: \(isNew)")
    try requireCount()
  }

  mutating func remove(_ key: [UInt8]) throws {
    let wasThere = try database.remove(key)
    try require(
      model.remove(key) == wasThere,
      "\(context): remove \(hex(key)) says there: \(wasThere)")
    try requireCount()
  }

  private func requireCount() throws {
    try require(
      database.count == model.count && database.isEmpty == model.isEmpty,
      "\(context): count \(database.count), expected \(model.count)")
  }

  func compareAll() throws {
    try requireSound(database, context)
    try requireEqual(database, model, context)
  }

  mutating func reopen() throws {
    try database.close()
    database = try openDatabase(
      in: storage.reopen(), tightOptions(pageSize: plan.pageSize, durability: plan.durability))
    try requireSound(database, "\(context), reopened")
    try requireEqual(database, model, "\(context), reopened")
  }
}
