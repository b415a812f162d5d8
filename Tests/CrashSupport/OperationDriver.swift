package import BTreeKV
import Regions
import TestSupport
import Vectors

/// Makes the same changes in a database and in a model, and compares what the calls return.
package struct OperationDriver {
  package struct Refusal: Error {}

  package static let names = ["", "users", "orders", "log"]

  package var model = TreesModel()
  /// How many values were made; each one is different.
  private var valueCount: UInt64 = 0

  /// Handles of the present opening: what the writer knows of a region or a store, and its reservation,
  /// lasts as long as they do.
  var handles: [String: Region] = [:]
  var entryHandles: [String: EntryStore] = [:]
  var vectorHandles: [String: BufferedVector<UInt32>] = [:]

  package init() {}

  /// Lets go of everything that belongs to an opening.
  package mutating func forgetHandles() {
    handles = [:]
    entryHandles = [:]
    vectorHandles = [:]
  }

  package static func key(_ number: Int) -> [UInt8] {
    Array("key-\(String(repeating: "x", count: number % 7))-\(number)".utf8)
  }

  mutating func value(_ size: Int) -> [UInt8] {
    valueCount += 1
    var random = CrashRandom(seed: CrashRandom.mix(valueCount))
    return random.bytes(size)
  }

  /// One change outside of transactions, or one transaction.
  package mutating func apply(_ operation: CrashOperation, to database: Database) throws {
    switch operation {
    case .transaction(let parts, let isKept):
      try transaction(parts, isKept: isKept, database)
    case .createTree(let tree):
      _ = try database.tree(Self.names[tree])
      model.create(Self.names[tree])
    case .dropTree(let tree):
      let name = Self.names[tree]
      try require(try database.dropTree(name) == model.has(name), "dropTree is wrong")
      if model.has(name) { model.drop(name) }
    case .renameTree(let tree, let other):
      guard let (name, new) = renaming(tree, other) else { return }
      try database.renameTree(name, to: new)
      model.rename(name, to: new)
    case .region(let region, let change): try self.change(region, change, in: database)
    case .entries(let store, let change): try self.change(store, change, in: database)
    case .vector(let vector, let change): try self.change(vector, change, in: database)
    default:
      let name = Self.names[operation.tree]
      if name.isEmpty {
        try change(database, name, operation)
      } else if let tree = try database.existingTree(name) {
        try change(tree, name, operation)
      } else {
        try require(!model.has(name), "tree \"\(name)\" is gone")
      }
    }
  }

  private func renaming(_ tree: Int, _ other: Int) -> (String, String)? {
    let (name, new) = (Self.names[tree], Self.names[other])
    return model.has(name) && !model.has(new) ? (name, new) : nil
  }

  private mutating func transaction(
    _ parts: [CrashOperation], isKept: Bool, _ database: Database
  ) throws {
    let before = model
    do {
      try database.write { transaction in
        for part in parts { try apply(part, in: transaction) }
        if !isKept { throw Refusal() }
      }
    } catch is Refusal {
      model = before
    }
  }

  private mutating func apply(
    _ operation: CrashOperation, in transaction: borrowing Transaction
  ) throws {
    switch operation {
    case .savepoint(let parts, let isKept):
      let before = model
      do {
        try transaction.savepoint {
          for part in parts { try apply(part, in: transaction) }
          if !isKept { throw Refusal() }
        }
      } catch is Refusal {
        model = before
      }
    case .createTree(let tree):
      _ = try transaction.tree(Self.names[tree])
      model.create(Self.names[tree])
    case .dropTree(let tree):
      let name = Self.names[tree]
      try require(try transaction.dropTree(name) == model.has(name), "dropTree is wrong")
      if model.has(name) { model.drop(name) }
    case .renameTree(let tree, let other):
      guard let (name, new) = renaming(tree, other) else { return }
      try transaction.renameTree(name, to: new)
      model.rename(name, to: new)
    case .region(let region, let change): try self.change(region, change, in: transaction)
    case .entries(let store, let change): try self.change(store, change, in: transaction)
    case .vector(let vector, let change): try self.change(vector, change, in: transaction)
    default:
      let name = Self.names[operation.tree]
      if name.isEmpty {
        try change(transaction, name, operation)
      } else {
        let tree = try transaction.tree(name)
        model.create(name)
        try change(tree, name, operation)
      }
    }
  }

  /// A change of one tree.
  private mutating func change(
    _ tree: borrowing some WritableTree & ~Copyable & ~Escapable, _ name: String,
    _ operation: CrashOperation
  ) throws {
    switch operation {
    case .insert(_, let key, let size): try insert(tree, name, Self.key(key), size, nil)
    case .insertDurably(_, let key, let size):
      try insert(tree, name, Self.key(key), size, .sync)
    case .remove(_, let key):
      let key = Self.key(key)
      let isThere = model.value(name, key) != nil
      try require(try tree.remove(key) == isThere, "remove said \(!isThere)")
      model.set(name, key, nil)
    case .update(_, let key, let size):
      let key = Self.key(key)
      let value = value(size)
      var found: [UInt8]?
      _ = try tree.update(key) { old in
        found = old
        return value
      }
      try require(found == model.value(name, key), "update found another value")
      model.set(name, key, value)
    case .compareAndSwap(_, let key, let size, let isExpected):
      let key = Self.key(key)
      let old = model.value(name, key)
      let value = value(size)
      let hasChanged = try tree.compareAndSwap(
        key, expected: isExpected ? old : (old ?? []) + [0], new: value)
      try require(hasChanged == isExpected, "compareAndSwap said \(hasChanged)")
      if isExpected { model.set(name, key, value) }
    default: try changeMany(tree, name, operation)
    }
  }

  private mutating func insert(
    _ tree: borrowing some WritableTree & ~Copyable & ~Escapable, _ name: String, _ key: [UInt8],
    _ size: Int, _ durability: Database.Durability?
  ) throws {
    let value = value(size)
    let isThere = model.value(name, key) != nil
    let isNew = try tree.insert(key, value, durability: durability)
    model.set(name, key, value)
    try require(isNew != isThere, "insert said \(isNew)")
  }

  private mutating func changeMany(
    _ tree: borrowing some WritableTree & ~Copyable & ~Escapable, _ name: String,
    _ operation: CrashOperation
  ) throws {
    switch operation {
    case .insertMany(_, let key, let count, let size):
      let entries = (key..<key + count).map { (Self.key($0), value(size)) }
      try tree.insert(contentsOf: entries)
      for (key, value) in entries { model.set(name, key, value) }
    case .removeRange(_, let from, let to):
      var (lower, upper) = (Self.key(from), Self.key(to))
      if upper.lexicographicallyPrecedes(lower) { swap(&lower, &upper) }
      let doomed = model.keys(name, from: lower, to: upper)
      let count = try tree.removeRange(.range(lower, upper))
      try require(count == doomed.count, "removeRange said \(count), not \(doomed.count)")
      for key in doomed { model.set(name, key, nil) }
    case .removeAll:
      try tree.removeAll()
      model.create(name)
      model.clear(name)
    case .load(_, let count, let size):
      guard (model.trees[name] ?? [:]).isEmpty else { return }
      let entries = (0..<count).map { (Array("key-\($0 + 100_000)".utf8), value(size)) }
      try tree.load(ascending: entries)
      for (key, value) in entries { model.set(name, key, value) }
    default: throw TestFailure("\(operation) is no change of a tree")
    }
  }
}

extension CrashOperation {
  /// The tree that is changed, for changes of one.
  fileprivate var tree: Int {
    switch self {
    case .insert(let tree, _, _), .insertDurably(let tree, _, _), .remove(let tree, _),
      .update(let tree, _, _), .compareAndSwap(let tree, _, _, _), .insertMany(let tree, _, _, _),
      .removeRange(let tree, _, _), .removeAll(let tree), .load(let tree, _, _):
      tree
    default: 0
    }
  }
}
