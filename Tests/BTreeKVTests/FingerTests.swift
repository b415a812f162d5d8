import Pager
import TestSupport
import Testing

@testable import BTreeKV

/// rule D6: the writer goes straight to the leaf it was at last only while the way there is the same.
///
/// Runs of changes side by side, between everything that moves leaves: splits, merges, copies for
/// snapshots, transactions that come to nothing, pages that leave memory, compaction.
@Suite struct FingerTests {
  @Test(arguments: 0..<4)
  func runsOfChanges(number: Int) throws {
    for round in 0..<lengthFactor {
      let seed = runSeed &* 7919 &+ UInt64(number + 100 * round)
      do {
        var history = try FingerHistory(seed: seed)
        for _ in 0..<500 { try history.step() }
        try history.finish()
      } catch {
        throw TestFailure("seed \(seed): \(error)")
      }
    }
  }

  /// A copy of the leaf is made without the finger: it must notice that the root is another one.
  @Test func aCopiedLeafIsNotMissed() throws {
    let database = try openDatabase(
      in: try MemoryStorage(), tightOptions(), hasBackgroundThreads: false)
    for number in 0..<20 { try database.insert([UInt8(number)], [1]) }
    #expect(database.engine.mainTree.finger.pointee.isBounded)
    let snapshot = try database.snapshot()
    try database.insert([50], [2])
    let wasThere = try database.remove([50])
    #expect(wasThere)
    #expect(snapshot.count == 20)
    try database.close()
  }

  /// Keys too long for its bounds, and keys that are parts of one another.
  @Test func boundsOfAllLengths() throws {
    let database = try openDatabase(
      in: try MemoryStorage(), tightOptions(), hasBackgroundThreads: false)
    var model = Model()
    for length in [0, 1, 7, 8, 9, 250, 251, 252, 253, 254, 255, 256, 257, 1000] {
      for last in UInt8(0)..<6 {
        let key = [UInt8](repeating: 7, count: length) + [last]
        try database.insert(key, key)
        model.insert(key, key)
      }
    }
    try requireEqual(database, model, "after all lengths")
    try requireSound(database, "after all lengths")
    try database.close()
  }

  /// Each change in a leaf after each other one: where a key is told by the place of the one before, also
  /// of keys that differ in nothing but zeros at their end.
  @Test func anyKeyAfterAnyOther() throws {
    let database = try openDatabase(
      in: try MemoryStorage(), tightOptions(), hasBackgroundThreads: false)
    var keys: [[UInt8]] = []
    for start: [UInt8] in [[], [0], [5], [5, 0, 0, 0, 1], [5, 6, 7, 8, 9, 9], [9]] {
      for zeros in 0..<6 { keys.append(start + [UInt8](repeating: 0, count: zeros)) }
    }
    var model = Model()
    for (first, key) in keys.enumerated() {
      for (second, next) in keys.enumerated() {
        for (number, key) in [key, next].enumerated() {
          let value = [UInt8(first), UInt8(second)]
          if (first + second) % 3 == number {
            let wasThere = try database.remove(key)
            #expect(wasThere == model.remove(key))
          } else {
            try database.insert(key, value)
            model.insert(key, value)
          }
        }
      }
      try requireEqual(database, model, "after key \(first)")
    }
    try requireSound(database, "at last")
    try database.close()
  }
}

private struct FingerHistory {
  private struct Refusal: Error {}

  private var random: SeededRandom
  private let database: Database
  private var model = Model()
  private var snapshot: (Snapshot, Model)?
  private var nextValue: UInt8 = 0
  private var pointedCount = 0

  init(seed: UInt64) throws {
    random = SeededRandom(seed: seed)
    database = try openDatabase(
      in: try MemoryStorage(), tightOptions(), hasBackgroundThreads: false)
    for number in 0..<2500 {
      let (key, value) = (Self.key(number * 4), [UInt8](repeating: 0, count: 90))
      try database.insert(key, value)
      model.insert(key, value)
    }
  }

  private static func key(_ number: Int) -> [UInt8] { Array("key \(number + 100_000)".utf8) }

  mutating func step() throws {
    switch random.below(12) {
    case 0..<5:
      let database = database
      model = try run(model) { key, value in
        guard let value else { return try database.remove(key) }
        return try database.insert(key, value)
      }
    case 5: try transaction(undone: false)
    case 6: try transaction(undone: true)
    case 7:
      let from = random.below(10_000)
      let end = from + random.below(400)
      try database.removeRange(.range(Self.key(from), Self.key(end)))
      for number in from..<end { model.remove(Self.key(number)) }
    case 8:
      try snapshot.map { try requireEqual($0.0, $0.1, "the snapshot") }
      snapshot = (try database.snapshot(), model)
    case 9: snapshot = nil
    case 10: try database.checkpoint()
    default: try database.compact()
    }
  }

  /// Changes keys side by side: upwards, downwards, or the same ones again and again.
  private mutating func run(
    _ old: Model, _ change: ([UInt8], [UInt8]?) throws -> Bool
  ) throws -> Model {
    var model = old
    var number = random.below(10_000)
    let stride = [1, 1, -1, 0, 3][random.below(5)]
    for _ in 0..<random.below(120) {
      if database.engine.mainTree.finger.pointee.isBounded { pointedCount += 1 }
      let key = Self.key(number)
      if random.chance(25) {
        let wasThere = try change(key, nil)
        try require(wasThere == model.remove(key), "whether \(number) was there to be removed")
      } else {
        nextValue &+= 1
        let value = [UInt8](repeating: nextValue, count: random.below(200))
        let isNew = try change(key, value)
        try require(isNew == model.insert(key, value), "whether \(number) is new")
      }
      number += stride
    }
    return model
  }

  private mutating func transaction(undone: Bool) throws {
    let before = model
    do {
      try database.write { transaction in
        model = try run(model) { key, value in
          guard let value else { return try transaction.remove(key) }
          return try transaction.insert(key, value)
        }
        let middle = model
        do {
          try transaction.savepoint {
            model = try run(model) { key, value in
              guard let value else { return try transaction.remove(key) }
              return try transaction.insert(key, value)
            }
            if random.chance(50) { throw Refusal() }
          }
        } catch is Refusal {
          model = middle
        }
        if undone { throw Refusal() }
      }
    } catch is Refusal {
      model = before
    }
  }

  mutating func finish() throws {
    try requireEqual(database, model, "in the end")
    snapshot = nil
    try requireSound(database, "in the end")
    try require(pointedCount > 500, "the finger hardly ever pointed anywhere: \(pointedCount)")
    try database.close()
  }
}
