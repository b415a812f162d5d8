@testable import BTreeKV
import Pager
import Regions
import TestSupport
import Testing

/// Random histories of two entry stores against dictionaries: with transactions and savepoints that
/// come to nothing, snapshots and entries held for long, compaction, reopening and deaths of the process.
@Suite struct EntryModelTests {
  @Test(arguments: 0..<9)
  func history(number: Int) throws {
    for round in 0..<lengthFactor {
      let seed = runSeed &* 1000 + UInt64(number + 100 * round)
      var history = try EntryHistory(
        seed: seed, durability: Database.Durability.allCases[number % 3],
        pageSize: [4096, 4096, 16384, 65536][number % 4], isFile: number % 2 == 0)
      do {
        try history.run(steps: 150)
      } catch {
        throw TestFailure("seed \(seed): \(error)")
      }
    }
  }
}

/// What a store should hold.
struct EntryModel {
  /// A key's bytes, and the how-manieth write they came with.
  var entries: [[UInt8]: (bytes: [UInt8], number: Int)] = [:]
  private var writeCount = 0

  mutating func write(_ key: [UInt8], _ bytes: [UInt8]) -> Bool {
    writeCount += 1
    return entries.updateValue((bytes, writeCount), forKey: key) == nil
  }

  mutating func remove(_ key: [UInt8]) -> Bool { entries.removeValue(forKey: key) != nil }

  /// The keys, those that were written last first.
  var newestFirst: [[UInt8]] {
    entries.sorted { $0.value.number > $1.value.number }.map(\.key)
  }

  var byKey: [[UInt8]] { entries.keys.sorted { $0.lexicographicallyPrecedes($1) } }

  /// Throws unless a store holds exactly this.
  func compare(_ store: borrowing some ReadableEntryStore & ~Copyable & ~Escapable) throws {
    let count = try store.count
    try require(count == entries.count, "count \(count), expected \(entries.count)")
    var keys: [[UInt8]] = []
    try store.forEach { entry in
      try check(entry)
      keys.append(entry.key)
      return .next
    }
    try require(keys == byKey, "by key: \(keys.map(hex)), expected \(byKey.map(hex))")
    keys = []
    var sequence = Int.max
    try store.forEach(.newestFirst) { entry in
      try check(entry)
      try require(entry.sequence < sequence, "numbers \(sequence), \(entry.sequence)")
      sequence = entry.sequence
      keys.append(entry.key)
      return .next
    }
    let expected = newestFirst
    try require(
      keys == expected, "newest first: \(keys.map(hex)), expected \(expected.map(hex))")
    let last = try store.lastEntry?.key
    try require(last == expected.first, "the last entry")
  }

  private func check(_ entry: Entry) throws {
    let key = entry.key
    try require(entry.array == entries[key]?.bytes, "the bytes of \(hex(key))")
    try require(entry.range.lowerBound % 64 == 0, "\(entry.range) of \(hex(key))")
    let address = entry.bytes.withUnsafeBytes { UInt(bitPattern: $0.baseAddress) }
    try require(address % 64 == 0, "the address of \(hex(key)) is \(address)")
    try entry.verify()
  }

  /// Throws unless single lookups find what they should.
  func lookUp(
    _ store: borrowing some ReadableEntryStore & ~Copyable & ~Escapable, _ keys: [[UInt8]]
  ) throws {
    let found = try store.read(keys)
    for (key, entry) in zip(keys, found) {
      let expected = entries[key]?.bytes
      try require(
        entry?.array == expected,
        "\(hex(key)): \(entry?.count ?? -1) bytes, expected \(expected?.count ?? -1)")
      try require(try store.contains(key) == (expected != nil), "whether \(hex(key)) is there")
      try require(
        try store.metadata(of: key)?.count == expected?.count, "the length of \(hex(key))")
    }
  }
}

/// A run of changes of entry stores and what should have come of them.
struct EntryHistory {
  private static let names = ["a", "b"]
  private struct Refusal: Error {}
  private typealias Models = [String: EntryModel]

  private var memory: MemoryStorage?
  private let folder: TemporaryFolder
  private let options: Database.Options
  private var database: Database
  private var random: SeededRandom
  private var models: Models = [:]
  private var snapshots: [(snapshot: Snapshot, models: Models)] = []
  private var held: [(entry: Entry, key: [UInt8], bytes: [UInt8])] = []
  private let keys: [[UInt8]]

  init(seed: UInt64, durability: Database.Durability, pageSize: Int, isFile: Bool) throws {
    var random = SeededRandom(seed: seed)
    keys = (0..<60).map { number in
      number == 0 ? [] : random.bytes(random.below([4, 12, 60, 1000][number % 4] + 1))
    }
    self.random = random
    options = tightOptions(
      pageSize: pageSize, durability: durability, checkpointThresholdByteCount: 256 << 10)
    folder = try TemporaryFolder()
    if isFile {
      database = try Database.open(folder.file(), options: options)
    } else {
      let storage = try MemoryStorage()
      memory = storage
      database = try openDatabase(in: storage, options)
    }
  }

  mutating func run(steps: Int) throws {
    for step in 0..<steps {
      do {
        try self.step()
        if step % 25 == 0 { try check() }
      } catch {
        throw TestFailure("step \(step): \(error)")
      }
    }
    snapshots = []
    held = []
    try check()
    try database.close()
  }

  private mutating func step() throws {
    switch random.below(24) {
    case 0: try reopen()
    case 1: try database.checkpoint()
    case 2:
      if snapshots.count > 3 { snapshots.remove(at: random.below(snapshots.count)) }
      snapshots.append((try database.snapshot(), models))
    case 3, 4, 5: try hold()
    case 6, 7, 8: try transact()
    case 9: try compact()
    case 10:
      try transfer()
    default:
      let name = someName
      let store = try EntryStore(database, name)
      var model = models[name] ?? EntryModel()
      if random.chance(50) {
        try writeSmall(store, &model)
      } else {
        try change(store, &model)
      }
      models[name] = model
    }
  }

  private var someName: String { mutating get { Self.names[random.below(Self.names.count)] } }
  private var someKey: [UInt8] { mutating get { keys[random.below(keys.count)] } }

  /// Mostly short; now and then over several chunks.
  private mutating func someBytes() -> [UInt8] {
    let longest = [0, 10, 100, 300, 1000, 2000, 5000, 20_000, 70_000, 300_000][random.below(10)]
    return random.bytes(random.below(longest + 1))
  }

  /// Many writes of few bytes, as they come most often.
  private mutating func writeSmall(
    _ store: borrowing some WritableEntryStore & ~Copyable & ~Escapable, _ model: inout EntryModel
  ) throws {
    for _ in 0..<random.below(30) {
      let key = someKey
      if random.chance(20) {
        try require(try store.remove(key) == model.remove(key), "removal of \(hex(key))")
      } else {
        let bytes = random.bytes(random.below(100))
        try require(
          try store.write(key, bytes) == model.write(key, bytes), "novelty of \(hex(key))")
      }
    }
  }

  private mutating func change(
    _ store: borrowing some WritableEntryStore & ~Copyable & ~Escapable, _ model: inout EntryModel
  ) throws {
    let key = someKey
    switch random.below(8) {
    case 0:
      try require(try store.remove(key) == model.remove(key), "removal of \(hex(key))")
    case 1:
      let doomed = (0..<random.below(10)).map { _ in someKey }
      let count = doomed.reduce(0) { $0 + (model.remove($1) ? 1 : 0) }
      try require(try store.remove(doomed) == count, "removal of many keys")
      if random.chance(20) {
        try require(try store.removeAll() == model.entries.count, "removal of all keys")
        model.entries.removeAll()
      }
    case 2:
      let batch = (0..<random.below(20)).map { _ in (key: someKey, bytes: someBytes()) }
      try store.write(batch)
      for (key, bytes) in batch { _ = model.write(key, bytes) }
    case 3:
      let newKey = someKey
      if let bytes = model.entries[key]?.bytes {
        try store.rename(key, to: newKey)
        if key != newKey {
          _ = model.write(newKey, bytes)
          _ = model.remove(key)
        }
      } else {
        #expect(throws: DatabaseError.self) { try store.rename(key, to: newKey) }
      }
    case 4:
      if let bytes = model.entries[key]?.bytes {
        let newKey = someKey
        try store.copy(key, to: newKey)
        _ = model.write(newKey, bytes)
      }
    case 5, 6: try stream(store, key, &model)
    default:
      let bytes = someBytes()
      try require(
        try store.write(key, bytes) == model.write(key, bytes), "novelty of \(hex(key))")
    }
  }

  private mutating func stream(
    _ store: borrowing some WritableEntryStore & ~Copyable & ~Escapable, _ key: [UInt8],
    _ model: inout EntryModel
  ) throws {
    let pieces = (0..<random.below(8)).map { _ in someBytes() }
    if random.chance(30) {
      do {
        try store.write(key) { writer in
          for piece in pieces { try writer.write(piece) }
          throw Refusal()
        }
        throw TestFailure("a stream that failed was stored")
      } catch is Refusal {
      }
      return
    }
    let isNew = try store.write(key, from: pieces)
    try require(isNew == model.write(key, Array(pieces.joined())), "novelty of \(hex(key))")
  }

  /// A transaction with savepoints, some of which throw, as does the whole now and then.
  private mutating func transact() throws {
    var new = models
    let fails = random.chance(30)
    do {
      try database.write { transaction in
        for _ in 0..<random.number(in: 1...5) {
          if random.chance(30) {
            var inner = new
            let undone = random.chance(50)
            do {
              try transaction.savepoint {
                try change(transaction, &inner)
                try change(transaction, &inner)
                if undone { throw Refusal() }
              }
              new = inner
            } catch is Refusal {
            }
          } else {
            try change(transaction, &new)
          }
        }
        let names = try transaction.entryStoreNames()
        try require(names == new.keys.sorted(), "names \(names) in a transaction")
        for (name, model) in new { try model.compare(try transaction.entryStore(name)) }
        if fails { throw Refusal() }
      }
      models = new
    } catch is Refusal {
    }
  }

  private mutating func change(
    _ transaction: borrowing Transaction, _ models: inout Models
  ) throws {
    let name = someName
    switch random.below(12) {
    case 0:
      try require(
        try transaction.removeEntryStore(name) == (models.removeValue(forKey: name) != nil),
        "removal of \(name)")
    case 1:
      let other = someName
      guard let model = models[name], models[other] == nil else { return }
      try transaction.renameEntryStore(name, to: other)
      models[name] = nil
      models[other] = model
    default:
      let store = try transaction.entryStore(name)
      var model = models[name] ?? EntryModel()
      if random.chance(30) {
        try writeSmall(store, &model)
      } else {
        try change(store, &model)
      }
      try model.lookUp(store, [someKey, someKey])
      models[name] = model
    }
  }

  private mutating func compact() throws {
    guard let store = try database.existingEntryStore(someName) else { return }
    let before = try store.byteCount
    let estimate = try store.estimatedSavings()
    let saved = try store.compact()
    let after = try store.byteCount
    try require(before - after == saved, "\(before) - \(after) bytes, told \(saved)")
    // What is left takes whole blocks but for the last; a mark is the one thing that is added.
    try require(
      saved >= estimate - 64 && saved <= estimate + 64, "saved \(saved), estimated \(estimate)")
  }

  private mutating func transfer() throws {
    guard let key = models["a"]?.byKey.first, let bytes = models["a"]?.entries[key]?.bytes else {
      return
    }
    try EntryStore(database, "a").transfer(key, to: try EntryStore(database, "b"))
    _ = models["a"]?.remove(key)
    _ = models["b", default: EntryModel()].write(key, bytes)
  }

  private mutating func hold() throws {
    if held.count > 10 { held.remove(at: random.below(held.count)) }
    let name = someName
    guard let store = try database.existingEntryStore(name) else { return }
    let key = someKey
    if let entry = try store.read(key) {
      held.append((entry, key, models[name]?.entries[key]?.bytes ?? []))
    }
  }

  private mutating func reopen() throws {
    snapshots = []
    held = []
    if random.chance(50) {
      // Under `.none` only a checkpoint promises anything.
      if options.durability == .none { try database.checkpoint() }
      database.pager.abandon()
    } else {
      try database.close()
    }
    if let memory {
      let again = memory.reopen()
      self.memory = again
      database = try openDatabase(in: again, options)
    } else {
      database = try Database.open(folder.file(), options: options)
    }
    try check()
  }

  private func check() throws {
    try requireSound(database, "the file")
    let names = try database.entryStoreNames()
    try require(names == models.keys.sorted(), "names \(names)")
    for (name, model) in models {
      let store = try EntryStore(database, name)
      try model.compare(store)
      try model.lookUp(store, keys)
    }
    for (snapshot, models) in snapshots {
      let names = try snapshot.entryStoreNames()
      try require(names == models.keys.sorted(), "names \(names) of a snapshot")
      for (name, model) in models {
        guard let store = try snapshot.entryStore(name) else { continue }
        try model.compare(store)
        try model.lookUp(store, keys)
      }
    }
    for (entry, key, bytes) in held {
      try require(entry.key == key && entry.array == bytes, "a held entry of \(hex(key))")
      try entry.verify()
    }
  }
}
