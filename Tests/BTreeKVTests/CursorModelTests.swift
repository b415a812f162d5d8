import BTreeKV
import Pager
import TestSupport
import Testing

/// Cursors of transactions and of snapshots, moved about at random and turned around at both ends,
/// against a sorted array.
@Suite struct CursorModelTests {
  @Test(arguments: 0..<12) func inATransaction(number: Int) throws {
    for round in 0..<3 * lengthFactor {
      let seed = runSeed &* 1000 + UInt64(number + 100 * round)
      var run = CursorRun(seed: seed)
      do {
        try run.inATransaction(steps: 700)
      } catch {
        throw TestFailure("seed \(seed): \(error)")
      }
    }
  }

  @Test(arguments: 0..<6) func ofASnapshot(number: Int) throws {
    for round in 0..<3 * lengthFactor {
      let seed = runSeed &* 1000 + UInt64(number + 100 * round)
      var run = CursorRun(seed: seed)
      do {
        try run.ofASnapshot(steps: 600)
      } catch {
        throw TestFailure("seed \(seed): \(error)")
      }
    }
  }

  private func key(_ entry: Database.Entry?) -> String? {
    entry.map { String(decoding: $0.key, as: UTF8.self) }
  }

  /// Going back from the end of a range that ends between two leaves of different prefixes.
  ///
  /// With long values there are many leaves, and many begin where the last digits do.
  @Test(arguments: [100, 400, 900]) func turningAtTheEdgeOfALeaf(valueByteCount: Int) throws {
    let database = try openDatabase(in: try MemoryStorage(), hasBackgroundThreads: false)
    let keys = ["abc", "abd"].flatMap { first in (100..<300).map { "\(first)\($0)" } }
    for key in keys { try database.insert(key, [UInt8](repeating: 1, count: valueByteCount)) }
    for (index, upper) in keys.enumerated() where index >= 2 {
      let cursor = try database.cursor(in: .range(keys[index - 2], upper))
      while try cursor.next() != nil {}
      #expect(key(try cursor.previous()) == keys[index - 2], "up to \(upper)")
    }
  }

  /// After a seek the cursor is at the key that was sought, not where it was before.
  @Test func aSeekForgetsWhereTheCursorWas() throws {
    let database = try openDatabase(in: try MemoryStorage(), hasBackgroundThreads: false)
    try database.insert(contentsOf: ["a", "b", "c"].map { ($0, "value") })
    let snapshot = try database.cursor()
    #expect(key(try snapshot.next()) == "a")
    snapshot.seek("x")
    #expect(key(try snapshot.next()) == nil)
    #expect(key(try snapshot.previous()) == "c")
    try database.write { transaction in
      let cursor = try transaction.cursor()
      #expect(key(try cursor.next()) == "a")
      cursor.seek("x")
      #expect(key(try cursor.next()) == nil)
      try transaction.insert("y", "value")
      #expect(key(try cursor.next()) == "y")
    }
  }

  /// A cursor that came to the end of nothing meets what comes into being.
  @Test func whatIsAddedToNothingIsMet() throws {
    let database = try openDatabase(in: try MemoryStorage(), hasBackgroundThreads: false)
    try database.write { transaction in
      let cursor = try transaction.cursor()
      #expect(key(try cursor.next()) == nil)
      try transaction.insert("a", "value")
      #expect(key(try cursor.next()) == "a")
      #expect(key(try cursor.next()) == nil)
      try transaction.insert("b", "value")
      #expect(key(try cursor.next()) == "b")
      try transaction.removeAll()
      #expect(key(try cursor.next()) == nil)
      #expect(key(try cursor.previous()) == nil)
      try transaction.insert("c", "value")
      #expect(key(try cursor.next()) == "c")
    }
  }
}

/// Where a cursor should be.
private struct ModelCursor {
  enum Place {
    /// Before the first entry.
    case start
    /// At an entry that was given out.
    case at([UInt8])
    /// Where a key that was sought would be the next one.
    case before([UInt8])
  }

  let range: ModelRange
  let isReversed: Bool
  var place = Place.start

  mutating func seek(_ key: [UInt8]) { place = .before(key) }

  mutating func step(_ model: Model, isNext: Bool) -> Model.Entry? {
    let indices = model.indices(in: range)
    let isUpwards = isNext != isReversed
    let index: Int
    switch place {
    case .start:
      guard isNext else { return nil }
      index = isUpwards ? indices.lowerBound : indices.upperBound - 1
    case .at(let key):
      let (bound, isFound) = model.lowerBound(key)
      index = isUpwards ? bound + (isFound ? 1 : 0) : bound - 1
    case .before(let key):
      let (bound, isFound) = model.lowerBound(key)
      if isNext {
        index = isUpwards || isFound ? bound : bound - 1
      } else {
        index = isUpwards ? bound + (isFound ? 1 : 0) : bound - 1
      }
    }
    let nearest =
      isUpwards ? max(index, indices.lowerBound) : min(index, indices.upperBound - 1)
    guard indices.contains(nearest), let entry = model.entry(nearest) else { return nil }
    place = .at(entry.key)
    return entry
  }
}

/// A run of cursor steps.
private struct CursorRun {
  private var random: SeededRandom
  private var model = Model()
  private let keyCount: Int

  init(seed: UInt64) {
    random = SeededRandom(seed: seed)
    keyCount = [3, 30, 600][random.below(3)]
  }

  private mutating func key() -> [UInt8] {
    let number = random.below(keyCount)
    // Neighbours with different long beginnings, so that leaves have different prefixes.
    let group = [UInt8](repeating: UInt8(97 + number % 5), count: 3 + number % 5 * 12)
    return group + Array("\(number)".utf8)
  }

  private mutating func value() -> [UInt8] {
    random.bytes(random.chance(2) ? 6000 : random.below(200))
  }

  private mutating func anyRange() -> (KeyRange, ModelRange) {
    var (lower, upper) = (key(), key())
    if random.chance(20) { lower += [0] }
    if random.chance(20) { upper.removeLast() }
    if random.chance(90), compareBytes(lower, upper) > 0 { swap(&lower, &upper) }
    switch random.below(7) {
    case 0: return (.from(lower), .from(lower))
    case 1: return (.upTo(upper), .upTo(upper))
    case 2, 3: return (.range(lower, upper), .range(lower, upper))
    case 4: return (.closed(lower, upper), .closed(lower, upper))
    case 5:
      let prefix = Array(lower.prefix(1 + random.below(6)))
      return (.prefix(prefix), .prefix(prefix))
    default: return (.all, .all)
    }
  }

  private mutating func change(
    _ tree: borrowing some WritableTree & ~Copyable & ~Escapable
  ) throws {
    let key = key()
    if random.chance(45) {
      try tree.remove(key)
      model.remove(key)
    } else {
      let value = value()
      try tree.insert(key, value)
      model.insert(key, value)
    }
  }

  /// Steps, seeks and compares.
  private mutating func use(
    _ cursor: Cursor, _ expected: inout ModelCursor, _ model: Model, _ step: Int
  ) throws -> [UInt8]? {
    if random.chance(10) {
      let key = key()
      cursor.seek(key)
      expected.seek(key)
      return nil
    }
    let isNext = random.chance(65)
    let before = "\(expected.place)"
    let found = isNext ? try cursor.next() : try cursor.previous()
    let entry = expected.step(model, isNext: isNext)
    try require(
      equalBytes(found?.key, entry?.key) && equalBytes(found?.value, entry?.value),
      """
      step \(step), \(expected.range.description), reversed \(expected.isReversed), at \(before), \
      \(isNext ? "next" : "previous"): \(hex(found?.key)), expected \(hex(entry?.key))
      """)
    return entry?.key
  }

  private mutating func fill(_ database: Database) throws {
    for _ in 0..<random.below(2 * keyCount) { try change(database) }
  }

  mutating func inATransaction(steps: Int) throws {
    let database = try openDatabase(in: try MemoryStorage(), hasBackgroundThreads: false)
    try fill(database)
    let name = random.chance(50) ? "" : "tree"
    if !name.isEmpty { model = Model() }
    try database.write { transaction in
      if name.isEmpty {
        try run(transaction, steps)
      } else {
        let tree = try transaction.tree(name)
        for _ in 0..<random.below(keyCount) { try change(tree) }
        try run(tree, steps)
      }
    }
    try requireSound(database, "at the end")
  }

  private mutating func run(
    _ tree: borrowing some WritableTree & ~Copyable & ~Escapable, _ steps: Int
  ) throws {
    var cursors: [(Cursor, ModelCursor)] = []
    for step in 0..<steps {
      if cursors.count < 3 || random.chance(3) {
        let (range, modelRange) = anyRange()
        let isReversed = random.chance(40)
        if cursors.count == 3 { cursors.remove(at: random.below(3)) }
        cursors.append(
          (
            try tree.cursor(in: range, reversed: isReversed),
            ModelCursor(range: modelRange, isReversed: isReversed)
          ))
      }
      if random.chance(15) { try change(tree) }
      let index = random.below(cursors.count)
      let entry = try use(cursors[index].0, &cursors[index].1, model, step)
      if let entry, random.chance(25) {
        try tree.remove(entry)
        model.remove(entry)
      }
    }
  }

  mutating func ofASnapshot(steps: Int) throws {
    let database = try openDatabase(in: try MemoryStorage(), hasBackgroundThreads: false)
    try fill(database)
    var cursors: [(Cursor, ModelCursor, Model)] = []
    for step in 0..<steps {
      if cursors.count < 4 || random.chance(3) {
        let (range, modelRange) = anyRange()
        let isReversed = random.chance(40)
        if cursors.count == 4 { cursors.remove(at: random.below(4)) }
        cursors.append(
          (
            try database.cursor(in: range, reversed: isReversed),
            ModelCursor(range: modelRange, isReversed: isReversed), model
          ))
      }
      if random.chance(10) { try change(database) }
      if random.chance(2) { try database.checkpoint() }
      let index = random.below(cursors.count)
      _ = try use(cursors[index].0, &cursors[index].1, cursors[index].2, step)
    }
  }
}
