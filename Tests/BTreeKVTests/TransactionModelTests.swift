@testable import BTreeKV
import Pager
import TestSupport
import Testing

/// Random histories of transactions over several trees, with rollbacks, nested savepoints, snapshots
/// held for long, reopening and crashes of the process, against plain arrays.
///
/// rule B7 (a transaction is one record or one checkpoint), C1, C2 and F1 (a snapshot sees all trees
/// at its instant): dropping one of them shows as a wrong answer or an unsound file here.
@Suite struct TransactionModelTests {
  @Test(arguments: 0..<8)
  func history(number: Int) throws {
    for round in 0..<lengthFactor {
      let seed = runSeed &* 1000 + UInt64(number + 100 * round)
      var history = try TransactionHistory(
        seed: seed, durability: Database.Durability.allCases[number % 3],
        pageSize: number < 6 ? 4096 : 8192)
      do {
        try history.run(steps: 220)
      } catch {
        throw TestFailure("seed \(seed): \(error)")
      }
    }
  }
}

/// The trees of a file as the model sees them: nil stands for the one without a name.
typealias ModelTrees = [String: Model]

/// A run of transactions and what should have come of them.
struct TransactionHistory {
  private static let names = ["", "users", "orders", "log"]

  private var storage: MemoryStorage
  private let options: Database.Options
  private var database: Database
  private var random: SeededRandom
  private var trees: ModelTrees = ["": Model()]
  private var snapshots: [(snapshot: Snapshot, trees: ModelTrees)] = []
  private let keyCount: Int

  private struct Refusal: Error {}

  init(seed: UInt64, durability: Database.Durability, pageSize: Int) throws {
    random = SeededRandom(seed: seed)
    storage = try MemoryStorage()
    options = tightOptions(pageSize: pageSize, durability: durability)
    database = try openDatabase(in: storage, options)
    keyCount = [40, 400, 3000][random.below(3)]
  }

  mutating func run(steps: Int) throws {
    for step in 0..<steps {
      do {
        try self.step()
        if step % 10 == 0 { try check(step) }
      } catch {
        throw TestFailure("step \(step): \(error)")
      }
    }
    snapshots = []
    try check(steps)
    try database.close()
  }

  private mutating func step() throws {
    switch random.below(100) {
    case 0..<55: try transaction()
    case 55..<75: try single()
    case 75..<83:
      snapshots.append((try database.snapshot(), trees))
      if snapshots.count > 5 { snapshots.remove(at: random.below(snapshots.count)) }
    case 83..<88: try database.checkpoint()
    case 88..<91: try reopen()
    case 91..<95: try dropOrRename()
    default: try bulk()
    }
  }

  private mutating func reopen() throws {
    snapshots = []
    try database.close()
    storage = storage.reopen()
    database = try openDatabase(in: storage, options)
  }

  // MARK: Changes

  private mutating func key() -> [UInt8] {
    let number = random.below(keyCount)
    return Array("key \(String(repeating: "-", count: number % 5 * 3))\(number)".utf8)
  }

  private mutating func value() -> [UInt8] { randomValue(&random, largePerMille: 10) }

  private mutating func name() -> String { Self.names[random.below(Self.names.count)] }

  /// One operation outside of transactions.
  private mutating func single() throws {
    let name = name()
    if name.isEmpty {
      try change(database, name)
    } else {
      try change(try database.tree(name), name)
      trees[name] = trees[name] ?? Model()
    }
  }

  private mutating func transaction() throws {
    let before = trees
    let isRefused = random.chance(30)
    // The transaction's closure can't change `self`.
    var copy = self
    do {
      try database.write { transaction in
        try copy.changes(in: transaction, depth: 0)
        if isRefused { throw Refusal() }
      }
      self = copy
    } catch is Refusal {
      random = copy.random
      trees = before
    }
  }

  /// Some changes, savepoints with further ones among them.
  private mutating func changes(in transaction: borrowing Transaction, depth: Int) throws {
    for _ in 0..<random.below(depth == 0 ? 40 : 15) {
      if depth < 3, random.chance(6) {
        try savepoint(in: transaction, depth: depth)
        continue
      }
      let name = name()
      if name.isEmpty {
        try change(transaction, name)
      } else {
        try change(try transaction.tree(name), name)
        trees[name] = trees[name] ?? Model()
      }
      if random.chance(2) { try checkTransaction(transaction) }
    }
    if random.chance(10) { try checkTransaction(transaction) }
    if random.chance(3) {
      let name = name()
      if !name.isEmpty {
        let wasThere = try transaction.dropTree(name)
        try require(wasThere == (trees[name] != nil), "dropTree said \(wasThere)")
        trees[name] = nil
      }
    }
  }

  private mutating func savepoint(
    in transaction: borrowing Transaction, depth: Int
  ) throws {
    let before = trees
    let isRefused = random.chance(50)
    do {
      try transaction.savepoint {
        try changes(in: transaction, depth: depth + 1)
        if isRefused { throw Refusal() }
      }
    } catch is Refusal {
      trees = before
    }
    if random.chance(30) { try checkTransaction(transaction) }
  }

  /// One operation on a tree, in a transaction or not.
  private mutating func change(
    _ tree: borrowing some WritableTree & ~Copyable & ~Escapable, _ name: String
  ) throws {
    var model = trees[name] ?? Model()
    defer { trees[name] = model }
    let key = key()
    let old = model.lookup(key)
    switch random.below(20) {
    case 0..<9:
      let value = value()
      let isNew = try tree.insert(key, value)
      try require(isNew == model.insert(key, value), "insert said \(isNew)")
    case 9..<14:
      let wasThere = try tree.remove(key)
      try require(wasThere == model.remove(key), "remove said \(wasThere)")
    case 14:
      let value = value()
      let there = try tree.insertIfAbsent(key, value)
      try require(equalBytes(there, old), "insertIfAbsent gave \(hex(there)), not \(hex(old))")
      if old == nil { model.insert(key, value) }
    case 15:
      let expected = random.chance(50) ? old : value()
      let new: [UInt8]? = random.chance(70) ? value() : nil
      let isEqual = try tree.compareAndSwap(key, expected: expected, new: new)
      try require(isEqual == equalBytes(old, expected), "compareAndSwap said \(isEqual)")
      if isEqual, let new { model.insert(key, new) }
      if isEqual, new == nil { model.remove(key) }
    case 16:
      let new = try tree.update(key) { ($0 ?? []).isEmpty ? Array("new".utf8) : nil }
      let expected = (old ?? []).isEmpty ? Array("new".utf8) : nil
      try require(equalBytes(new, expected), "update gave \(hex(new))")
      if let expected { model.insert(key, expected) } else { model.remove(key) }
    case 17:
      let first = model.lowerBound(key).index
      let end = min(model.count, first + random.below(60))
      let range: KeyRange =
        model.entry(end).map { KeyRange.range(key, $0.key) } ?? KeyRange.from(key)
      let estimate = try tree.estimatedCount(in: range)
      try require(estimate >= 0 && estimate <= 2 * model.count + 2, "an estimate of \(estimate)")
      try require(try tree.count(in: range) == end - first || end == model.count, "count(in:)")
      let last = model.entry(end) == nil ? model.count : end
      let removed = try tree.removeRange(range)
      try require(removed == last - first, "removeRange said \(removed), not \(last - first)")
      for key in model.keys[first..<last] { model.remove(key) }
    case 18:
      var entries: [([UInt8], [UInt8])] = []
      for _ in 0..<random.below(30) { entries.append((self.key(), value())) }
      let before = model.count
      for (key, value) in entries { model.insert(key, value) }
      let count = try tree.insert(contentsOf: entries)
      try require(count == model.count - before, "insert(contentsOf:) said \(count)")
    default:
      try require(equalBytes(try tree.lookup(key), old), "lookup before the commit")
    }
  }

  private mutating func dropOrRename() throws {
    let name = Self.names[1 + random.below(Self.names.count - 1)]
    let other = Self.names[1 + random.below(Self.names.count - 1)]
    if random.chance(50) {
      try require(try database.dropTree(name) == (trees[name] != nil), "dropTree")
      trees[name] = nil
    } else if trees[name] != nil, trees[other] == nil {
      try database.renameTree(name, to: other)
      trees[other] = trees[name]
      trees[name] = nil
    } else {
      let isRefused = hasThrown(.alreadyExists, .notFound) {
        try database.renameTree(name, to: other)
      }
      try require(isRefused, "renaming \(name) to \(other)")
    }
  }

  private func hasThrown(_ codes: DatabaseError.Code..., body: () throws -> Void) -> Bool {
    do {
      try body()
      return false
    } catch {
      return (error as? DatabaseError).map { codes.contains($0.code) } ?? false
    }
  }

  /// A bulk load of an emptied tree, or the removal of most of one.
  private mutating func bulk() throws {
    let tree = try database.tree("log")
    if random.chance(50) {
      try tree.removeAll()
      var model = Model()
      var entries: [([UInt8], [UInt8])] = []
      for number in 0..<random.below(3000) {
        entries.append((Array("key \(number + 100_000)".utf8), value()))
        model.insert(entries[number].0, entries[number].1)
      }
      let count = try tree.load(ascending: entries)
      try require(count == entries.count, "load said \(count)")
      trees["log"] = model
    } else {
      let lower = key()
      let upper = key()
      var model = trees["log"] ?? Model()
      let doomed = model.indices(in: .range(lower, upper))
      try require(
        try tree.removeRange(.range(lower, upper)) == doomed.count, "removeRange of a part")
      for key in model.keys[doomed] { model.remove(key) }
      trees["log"] = model
    }
  }

  // MARK: Checks

  private mutating func check(_ step: Int) throws {
    let report = try database.verify()
    try require(
      report.isSound, "verify found \(report.problems.prefix(5).joined(separator: "; "))")
    try require(
      try database.treeNames() == trees.keys.filter { !$0.isEmpty }.sorted(), "treeNames")
    for (name, model) in trees {
      if name.isEmpty {
        try expectEqual(database, model, "the tree without a name")
      } else {
        try expectEqual(try database.tree(name), model, name)
      }
    }
    for (snapshot, trees) in snapshots {
      try expectEqual(snapshot, trees[""] ?? Model(), "a snapshot")
      try require(
        try snapshot.treeNames() == trees.keys.filter { !$0.isEmpty }.sorted(),
        "a snapshot's names")
      for (name, model) in trees where !name.isEmpty {
        guard let tree = try snapshot.tree(name) else {
          throw TestFailure("a snapshot lacks \(name)")
        }
        try expectEqual(tree, model, "\(name) in a snapshot")
      }
    }
  }

  private func checkTransaction(_ transaction: borrowing Transaction) throws {
    try expectEqual(transaction, trees[""] ?? Model(), "the transaction")
    let names = try transaction.treeNames()
    try require(names == trees.keys.filter { !$0.isEmpty }.sorted(), "names \(names)")
    for (name, model) in trees where !name.isEmpty {
      try expectEqual(try transaction.tree(name), model, "\(name) in the transaction")
    }
  }

  private func expectEqual(
    _ tree: borrowing some ReadableTree & ~Copyable & ~Escapable, _ model: Model, _ what: String
  ) throws {
    try require(tree.count == model.count, "\(what) counts \(tree.count), not \(model.count)")
    var index = 0
    try tree.forEach { key, value in
      let found = (key.withUnsafeBytes { Array($0) }, value.withUnsafeBytes { Array($0) })
      let expected = model.entry(index)
      try require(
        equalBytes(found.0, expected?.key) && equalBytes(found.1, expected?.value),
        "\(what): entry \(index) is \(hex(found.0)), expected \(hex(expected?.key))")
      index += 1
      return .next
    }
    try require(index == model.count, "\(what) has \(index) entries, not \(model.count)")
  }
}
