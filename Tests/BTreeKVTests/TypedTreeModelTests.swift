import BTreeKV
import Pager
import TestSupport
import Testing

/// Random histories of typed trees against sorted arrays: as they are, in transactions, in snapshots,
/// and after reopening.
@Suite struct TypedTreeModelTests {
  @Test(arguments: 0..<3) func numbersAndTexts(number: Int) throws {
    try run(number) { seed in
      TypedHistory<Int32, String>(
        seed: seed, key: { Int32(truncatingIfNeeded: $0.below(400) - 200) },
        value: { String(repeating: "é", count: $0.below(80)) + "\($0.below(1000))" },
        precedes: { $0 < $1 })
    }
  }

  @Test(arguments: 0..<3) func textsAndNumbers(number: Int) throws {
    try run(number) { seed in
      TypedHistory<String, Int64>(
        seed: seed, key: { String(repeating: "ab", count: $0.below(40)) + "\($0.below(10))" },
        value: { Int64(bitPattern: $0.next()) },
        precedes: { $0.unicodeScalars.lexicographicallyPrecedes($1.unicodeScalars) })
    }
  }

  @Test(arguments: 0..<3) func compositesAndBytes(number: Int) throws {
    try run(number) { seed in
      TypedHistory<CompositeKey<UInt8, String, Int16>, [UInt8]>(
        seed: seed,
        key: {
          CompositeKey(
            UInt8($0.below(4)), ["", "\0", "a", "a\0"][$0.below(4)], Int16($0.below(20) - 10))
        },
        value: { $0.bytes($0.chance(2) ? 5000 + $0.below(20_000) : $0.below(60)) },
        precedes: { first, second in
          let (a, b, c) = first.elements
          let (x, y, z) = second.elements
          return (a, b, c) < (x, y, z)
        })
    }
  }

  private func run<Key, Value>(
    _ number: Int, _ make: (UInt64) -> TypedHistory<Key, Value>
  ) throws {
    for round in 0..<lengthFactor {
      let seed = runSeed &* 1000 + UInt64(number + 100 * round)
      do {
        var history = make(seed)
        try history.run(steps: 150)
      } catch {
        throw TestFailure("seed \(seed): \(error)")
      }
    }
  }
}

/// What a typed tree should hold: a sorted array.
struct TypedModel<Key: OrderedKey, Value> {
  var entries: [(key: Key, value: Value)] = []
  let precedes: (Key, Key) -> Bool

  /// The index of the first entry that is not before the key, and whether it is the key's.
  func place(_ key: Key) -> (index: Int, isFound: Bool) {
    let index = entries.firstIndex { !precedes($0.key, key) } ?? entries.count
    return (index, index < entries.count && !precedes(key, entries[index].key))
  }

  subscript(key: Key) -> Value? {
    get {
      let (index, isFound) = place(key)
      return isFound ? entries[index].value : nil
    }
    set {
      let (index, isFound) = place(key)
      if let newValue {
        entries.replaceSubrange(index..<(isFound ? index + 1 : index), with: [(key, newValue)])
      } else if isFound {
        entries.remove(at: index)
      }
    }
  }

  func entry(_ index: Int) -> (key: Key, value: Value)? {
    entries.indices.contains(index) ? entries[index] : nil
  }
}

struct TypedHistory<Key: OrderedKey & Comparable, Value: StorableValue & Equatable> {
  let makeKey: (inout SeededRandom) -> Key
  let makeValue: (inout SeededRandom) -> Value
  private var random: SeededRandom
  private var model: TypedModel<Key, Value>
  private let seed: UInt64

  private struct Refusal: Error {}

  init(
    seed: UInt64, key: @escaping (inout SeededRandom) -> Key,
    value: @escaping (inout SeededRandom) -> Value, precedes: @escaping (Key, Key) -> Bool
  ) {
    self.seed = seed
    random = SeededRandom(seed: seed)
    makeKey = key
    makeValue = value
    model = TypedModel(precedes: precedes)
  }

  mutating func run(steps: Int) throws {
    var storage = try MemoryStorage()
    let options = tightOptions(durability: Database.Durability.allCases[Int(seed % 3)])
    var database = try openDatabase(in: storage, options)
    var tree = try database.tree("typed", of: Key.self, Value.self)
    var held: [(tree: TypedSnapshotTree<Key, Value>, model: TypedModel<Key, Value>)] = []
    for step in 0..<steps {
      switch random.below(10) {
      case 0..<4: try change(tree)
      case 4..<8: try transaction(database, tree)
      case 8:
        let snapshot = try database.snapshot()
        let then = try snapshot.tree("typed", of: Key.self, Value.self)
        held.append((try #require(then), model))
        if held.count > 3 { held.removeFirst() }
      default:
        held = []
        try database.close()
        storage = storage.reopen()
        database = try openDatabase(in: storage, options)
        tree = try database.tree("typed", of: Key.self, Value.self)
      }
      if step % 8 == 0 {
        try check(tree, model)
        for (tree, model) in held { try check(tree, model) }
        try requireSound(database, "step \(step)")
      }
    }
    try check(tree, model)
    try database.close()
  }

  private mutating func transaction(
    _ database: Database, _ tree: TypedTree<Key, Value>
  ) throws {
    let before = model
    let isRefused = random.chance(30)
    var copy = self
    do {
      try database.write { transaction in
        let opened = try transaction.tree("typed", of: Key.self, Value.self)
        for _ in 0..<copy.random.below(12) { try copy.change(opened) }
        try copy.check(tree.access(in: transaction), copy.model)
        if isRefused { throw Refusal() }
      }
      self = copy
    } catch is Refusal {
      random = copy.random
      model = before
    }
  }

  private mutating func key() -> Key { makeKey(&random) }
  private mutating func value() -> Value { makeValue(&random) }

  private mutating func entries(_ count: Int) -> [(Key, Value)] {
    (0..<count).map { _ in (key(), value()) }
  }

  /// One change, live or in a transaction.
  private mutating func change(
    _ tree: borrowing some TypedWritableTree<Key, Value> & ~Copyable & ~Escapable
  ) throws {
    let key = key()
    let old = model[key]
    switch random.below(12) {
    case 0..<4:
      let value = value()
      try require(try tree.insert(key, value) == (old == nil), "insert of \(key)")
      model[key] = value
    case 4..<6:
      try require(try tree.remove(key) == (old != nil), "remove of \(key)")
      model[key] = nil
    case 6:
      let value = value()
      try require(try tree.insertIfAbsent(key, value) == old, "insertIfAbsent of \(key)")
      if old == nil { model[key] = value }
    case 7:
      let expected = random.chance(60) ? old : value()
      let new = random.chance(70) ? value() : nil
      let isEqual = try tree.compareAndSwap(key, expected: expected, new: new)
      try require(isEqual == (expected == old), "compareAndSwap of \(key)")
      if isEqual { model[key] = new }
    case 8:
      let new = random.chance(70) ? value() : nil
      var seen: Value?
      let now = try tree.update(key) {
        seen = $0
        return new
      }
      try require(seen == old && now == new, "update of \(key)")
      model[key] = new
    case 9:
      let entries = entries(random.below(30))
      let before = model.entries.count
      for (key, value) in entries { model[key] = value }
      let count = try tree.insert(contentsOf: entries)
      try require(count == model.entries.count - before, "insert(contentsOf:) said \(count)")
    case 10:
      try removeRange(tree, key)
    default:
      guard random.chance(20) else { return }
      try require(try tree.removeAll() == model.entries.count, "removeAll")
      model.entries = []
      for (key, value) in entries(200) { model[key] = value }
      let count = try tree.load(ascending: model.entries.lazy.map { ($0.key, $0.value) })
      try require(count == model.entries.count, "load said \(count)")
    }
  }

  private mutating func removeRange(
    _ tree: borrowing some TypedWritableTree<Key, Value> & ~Copyable & ~Escapable, _ first: Key
  ) throws {
    let second = key()
    let (low, high) = model.precedes(second, first) ? (second, first) : (first, second)
    let doomed = model.entries.filter {
      !model.precedes($0.key, low) && model.precedes($0.key, high)
    }
    guard doomed.count < 40 else { return }
    let removed = try tree.removeRange(low..<high)
    try require(removed == doomed.count, "removeRange said \(removed), not \(doomed.count)")
    for (key, _) in doomed { model[key] = nil }
  }

  // MARK: Checks, the same for all handles

  private mutating func check(
    _ tree: borrowing some TypedReadableTree<Key, Value> & ~Copyable & ~Escapable,
    _ model: TypedModel<Key, Value>
  ) throws {
    try require(tree.count == model.entries.count, "count \(tree.count)")
    try require(tree.isEmpty == model.entries.isEmpty, "isEmpty")
    var index = 0
    try tree.forEach { key, value in
      try require(isEqual((key, value), model.entry(index)), "entry \(index) is \(key)")
      index += 1
      return .next
    }
    try require(index == model.entries.count, "\(index) entries")
    try require(isEqual(try tree.min(), model.entry(0)), "min")
    try require(isEqual(try tree.max(), model.entry(index - 1)), "max")
    for _ in 0..<5 { try checkKey(tree, model, key()) }
    try checkRanges(tree, model, key(), key())
  }

  private func checkKey(
    _ tree: borrowing some TypedReadableTree<Key, Value> & ~Copyable & ~Escapable,
    _ model: TypedModel<Key, Value>, _ key: Key
  ) throws {
    let (index, isFound) = model.place(key)
    try require(try tree.lookup(key) == model[key], "lookup of \(key)")
    try require(try tree[key] == model[key], "subscript of \(key)")
    try require(try tree.contains(key) == isFound, "contains \(key)")
    let next = isFound ? index + 1 : index
    try require(isEqual(try tree.above(key), model.entry(next)), "above \(key)")
    try require(isEqual(try tree.below(key), model.entry(index - 1)), "below \(key)")
    try require(isEqual(try tree.ceiling(key), model.entry(index)), "ceiling \(key)")
    try require(isEqual(try tree.floor(key), model.entry(next - 1)), "floor \(key)")
  }

  private func checkRanges(
    _ tree: borrowing some TypedReadableTree<Key, Value> & ~Copyable & ~Escapable,
    _ model: TypedModel<Key, Value>, _ first: Key, _ second: Key
  ) throws {
    let (low, high) = model.precedes(second, first) ? (second, first) : (first, second)
    let isFrom: (Key) -> Bool = { !model.precedes($0, low) }
    let isBelow: (Key) -> Bool = { model.precedes($0, high) }
    let isThrough: (Key) -> Bool = { !model.precedes(high, $0) }
    try checkRange(tree, model, low..<high) { isFrom($0) && isBelow($0) }
    try checkRange(tree, model, low...high) { isFrom($0) && isThrough($0) }
    try checkRange(tree, model, low...) { isFrom($0) }
    try checkRange(tree, model, ..<high) { isBelow($0) }
    try checkRange(tree, model, ...high) { isThrough($0) }
  }

  private func checkRange(
    _ tree: borrowing some TypedReadableTree<Key, Value> & ~Copyable & ~Escapable,
    _ model: TypedModel<Key, Value>, _ range: some ComponentRange<Key>, _ belongs: (Key) -> Bool
  ) throws {
    let wanted = model.entries.filter { belongs($0.key) }
    try require(try tree.count(in: range) == wanted.count, "count in \(range)")
    let estimate = try tree.estimatedCount(in: range)
    try require(0...(2 * model.entries.count + 2) ~= estimate, "estimate \(estimate)")
    let entries = tree.range(range)
    try require(areEqual(Array(entries), wanted), "entries of \(range)")
    try require(areEqual(Array(entries.reversed()), wanted.reversed()), "reversed \(range)")
    try entries.check()
    var keys: [Key] = []
    try tree.forEachKey(in: range, reversed: true) {
      keys.append($0)
      return .next
    }
    try require(keys.count == wanted.count, "keys of \(range)")
    let cursor = try tree.cursor(in: range)
    for entry in wanted { try require(isEqual(try cursor.next(), entry), "cursor in \(range)") }
    try require(try cursor.next() == nil, "the cursor's end in \(range)")
    let before = wanted.count < 2 ? nil : wanted[wanted.count - 2]
    try require(
      isEqual(try cursor.previous(), before),
      "the cursor's way back in \(range), \(wanted.count) entries")
    if let middle = wanted.dropFirst(wanted.count / 2).first {
      cursor.seek(middle.key)
      try require(isEqual(try cursor.next(), middle), "seek in \(range)")
    }
  }

  private func isEqual(_ a: (key: Key, value: Value)?, _ b: (key: Key, value: Value)?) -> Bool {
    guard let a, let b else { return a == nil && b == nil }
    return a.key.encodedKey == b.key.encodedKey && a.value == b.value
  }

  private func areEqual(
    _ a: [(key: Key, value: Value)], _ b: [(key: Key, value: Value)]
  ) -> Bool {
    a.count == b.count && zip(a, b).allSatisfy { isEqual($0, $1) }
  }
}
