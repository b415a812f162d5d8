import Foundation

@testable import BTreeKV
@testable import Pager

/// What all trees should hold, and the digest of that.
struct TreesModel {
  private(set) var trees: [String: [[UInt8]: [UInt8]]] = ["": [:]]
  private(set) var digest = ContentDigest()

  mutating func create(_ name: String) {
    guard trees[name] == nil else { return }
    trees[name] = [:]
    digest.add(tree: name)
  }

  mutating func set(_ name: String, _ key: [UInt8], _ value: [UInt8]?) {
    create(name)
    if let old = trees[name]?[key] { digest.remove(key, old, tree: name) }
    if let value { digest.add(key, value, tree: name) }
    trees[name]?[key] = value
  }

  mutating func clear(_ name: String) {
    for (key, value) in trees[name] ?? [:] { digest.remove(key, value, tree: name) }
    trees[name] = [:]
  }

  mutating func drop(_ name: String) {
    clear(name)
    digest.remove(tree: name)
    trees[name] = nil
  }

  mutating func rename(_ name: String, to other: String) {
    let content = trees[name] ?? [:]
    drop(name)
    create(other)
    for (key, value) in content { set(other, key, value) }
  }

  func has(_ name: String) -> Bool { trees[name] != nil }

  /// The keys of a range, its lower bound among them.
  func keys(_ name: String, from lower: [UInt8], to upper: [UInt8]) -> [[UInt8]] {
    (trees[name] ?? [:]).keys.filter {
      !$0.lexicographicallyPrecedes(lower) && $0.lexicographicallyPrecedes(upper)
    }
  }
}

/// Seeded changes of several trees, the same in the database and in the model.
struct TransactionSteps {
  struct Refusal: Error {}

  var random: CrashRandom
  var model = TreesModel()
  var keyCount: Int
  var valueLimit: Int
  /// Of a thousand values so many are large.
  var largePerMille = 25

  private static let names = ["", "", "users", "orders", "log"]

  init(seed: UInt64) {
    random = CrashRandom(seed: seed)
    keyCount = [20, 120, 500][random.below(3)]
    valueLimit = [30, 250, 900][random.below(3)]
  }

  private mutating func key() -> [UInt8] {
    let number = random.below(keyCount)
    return Array("key-\(String(repeating: "x", count: number % 7))-\(number)".utf8)
  }

  private mutating func value() -> [UInt8] {
    if random.below(1000) < largePerMille {
      return random.bytes(1500 + random.below(random.once(in: 8) ? 150_000 : 20_000))
    }
    return random.bytes(random.below(valueLimit))
  }

  private mutating func change(
    _ tree: borrowing some WritableTree & ~Copyable & ~Escapable, _ name: String
  ) throws {
    let key = key()
    let isThere = model.trees[name]?[key] != nil
    switch random.below(20) {
    case 0..<12:
      let value = value()
      let isNew = try tree.insert(key, value)
      guard isNew != isThere else { throw Surprise("insert said \(isNew)") }
      model.set(name, key, value)
    case 12..<17:
      let wasThere = try tree.remove(key)
      guard wasThere == isThere else { throw Surprise("remove said \(wasThere)") }
      model.set(name, key, nil)
    case 17:
      let entries = (0..<random.below(20)).map { _ in (self.key(), value()) }
      try tree.insert(contentsOf: entries)
      for (key, value) in entries { model.set(name, key, value) }
    case 18:
      var (lower, upper) = (key, self.key())
      if upper.lexicographicallyPrecedes(lower) { swap(&lower, &upper) }
      let doomed = model.keys(name, from: lower, to: upper)
      let count = try tree.removeRange(.range(lower, upper))
      guard count == doomed.count else {
        throw Surprise("removeRange said \(count), not \(doomed.count)")
      }
      for key in doomed { model.set(name, key, nil) }
    default:
      // One of both: outside of a transaction each is a step of its own.
      if random.once(in: 4) {
        try tree.removeAll()
        model.create(name)
        model.clear(name)
      } else {
        try load(tree, name)
      }
    }
  }

  /// Loads a tree if it is empty.
  private mutating func load(
    _ tree: borrowing some WritableTree & ~Copyable & ~Escapable, _ name: String
  ) throws {
    guard (model.trees[name] ?? [:]).isEmpty else { return }
    let entries = (0..<random.below(300)).map { number in
      (Array("key-\(number + 100_000)".utf8), value())
    }
    try tree.load(ascending: entries)
    for (key, value) in entries { model.set(name, key, value) }
  }

  /// Changes in a transaction, savepoints among them that are kept or undone.
  mutating func changes(in transaction: borrowing Transaction, depth: Int = 0) throws {
    let count = depth == 0 && random.once(in: 12) ? 60 : 1 + random.below(12)
    for _ in 0..<count {
      switch random.below(20) {
      case 0 where depth < 3:
        let before = model
        let isRefused = random.once(in: 2)
        do {
          try transaction.savepoint {
            try changes(in: transaction, depth: depth + 1)
            if isRefused { throw Refusal() }
          }
        } catch is Refusal {
          model = before
        }
      case 1 where random.once(in: 3): try dropOrRename(in: transaction)
      default:
        let name = Self.names[random.below(Self.names.count)]
        if name.isEmpty {
          try change(transaction, name)
        } else {
          let tree = try transaction.tree(name)
          model.create(name)
          try change(tree, name)
        }
      }
    }
  }

  private mutating func dropOrRename(in transaction: borrowing Transaction) throws {
    let name = Self.names[2 + random.below(3)]
    let other = Self.names[2 + random.below(3)]
    if random.once(in: 2) {
      guard try transaction.dropTree(name) == model.has(name) else { throw Surprise("dropTree") }
      if model.has(name) { model.drop(name) }
    } else if model.has(name), !model.has(other) {
      try transaction.renameTree(name, to: other)
      model.rename(name, to: other)
    }
  }

  /// One transaction, or one change outside of transactions.
  mutating func step(_ database: Database) throws {
    switch random.below(10) {
    case 0, 1:
      try change(database, "")
    case 2:
      // Making the tree would be a step of its own.
      let name = Self.names[2 + random.below(3)]
      guard let tree = try database.existingTree(name) else { return }
      try change(tree, name)
    default:
      try transaction(database)
    }
  }

  private mutating func transaction(_ database: Database) throws {
    let before = model
    let isRefused = random.once(in: 6)
    do {
      try database.write { transaction in
        try changes(in: transaction)
        if isRefused { throw Refusal() }
      }
    } catch is Refusal {
      model = before
    }
  }
}

/// A seeded run of transactions over several trees on a recorded file.
struct TransactionWorkload: CrashRun {
  let seed: UInt64
  let durability: Database.Durability
  let storage: RecordingStorage
  private(set) var history = CrashHistory()
  private var steps: TransactionSteps
  private var random: CrashRandom
  private let pageSize: Int
  private let cacheByteCount: Int
  private let logLimit: Int

  init(seed: UInt64, durability: Database.Durability) throws {
    self.seed = seed
    self.durability = durability
    storage = try RecordingStorage()
    steps = TransactionSteps(seed: seed)
    random = CrashRandom(seed: seed ^ 0xABCD)
    pageSize = [4096, 4096, 8192][random.below(3)]
    cacheByteCount = [1 << 10, 64 << 20][random.below(2)]
    // The small one makes many transactions be committed by a checkpoint.
    logLimit = [2000, 8000, 4 << 20][random.below(3)]
  }

  var options: Database.Options {
    var options = Database.Options()
    options.pageSize = pageSize
    options.cacheByteCount = cacheByteCount
    options.durability = durability
    options.transactionLogLimitByteCount = logLimit
    return options
  }

  mutating func run(_ count: Int) throws {
    var storage = storage
    var database = try open(storage)
    var snapshots: [(Snapshot, ContentDigest)] = []
    for _ in 0..<count {
      if random.once(in: 50) {
        snapshots = []
        try durableStep { try database.close() }
        storage = storage.reopen()
        database = try open(storage)
      } else if random.once(in: 20) {
        try durableStep { try database.checkpoint() }
      } else {
        let start = recorder.eventCount
        try steps.step(database)
        recorder.mark()
        history.step(
          steps.model.digest, isCheckpoint: false, start: start, end: recorder.eventCount)
      }
      if random.once(in: 15) {
        snapshots.append((try database.snapshot(), steps.model.digest))
        if snapshots.count > 3 { snapshots.removeFirst() }
        for (snapshot, digest) in snapshots where try ContentDigest(of: snapshot) != digest {
          throw Surprise("a snapshot shows another content, seed \(seed)")
        }
      }
    }
    guard try ContentDigest(of: database) == steps.model.digest else {
      throw Surprise("another content than the model's, seed \(seed)")
    }
    if random.once(in: 2) {
      try durableStep { try database.close() }
    } else {
      withExtendedLifetime(database) { database.pager.abandon() }
    }
  }

  private var recorder: Recorder { storage.recorder }

  private func open(_ storage: RecordingStorage) throws -> Database {
    let database = try Database.open(
      storage: storage, options: options, hasBackgroundThreads: false)
    recorder.mark()
    return database
  }

  private mutating func durableStep(_ body: () throws -> Void) throws {
    let start = recorder.eventCount
    try body()
    recorder.mark()
    history.checkpoint(start: start, end: recorder.eventCount)
  }
}
