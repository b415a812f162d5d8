import BTreeKV
import Pager
import Synchronization
import TestSupport
import Testing

/// Histories of eight threads over few keys, while the cache is far too small and checkpoints go on:
/// each must be one that some order of the calls explains.
///
/// A1, C1 and D1-D5 of docs/ARCHITECTURE.md: a change is visible at one instant before its call
/// returns, a transaction at one instant in all trees, and a snapshot shows one instant.
@Suite(.serialized) struct LinearizabilityTests {
  private static let threadCount = 8
  private static let registerCount = 4
  private static let fillerCount = 1200

  /// One database, a clock, and what was recorded.
  private final class World: Sendable {
    let database: Database
    private let time = Atomic<UInt64>(0)
    private let nextValue = Atomic<Int>(1)
    private let recorded = Locked<[RegisterCall]>([])

    init(_ database: Database) { self.database = database }

    func newValue() -> Int { nextValue.add(1, ordering: .relaxed).oldValue }

    /// Runs a call and records it, unless `body` returns nil.
    func record(
      _ name: String,
      _ body: () throws -> ([RegisterCall.Observation], [RegisterCall.Write])?
    ) throws {
      let invoked = time.add(1, ordering: .sequentiallyConsistent).newValue
      guard let (observations, writes) = try body() else { return }
      let returned = time.add(1, ordering: .sequentiallyConsistent).newValue
      recorded.withLock {
        $0.append(
          RegisterCall(name, observations, writes, invoked: invoked, returned: returned))
      }
    }

    func takeCalls() -> [RegisterCall] {
      recorded.withLock { calls in
        defer { calls = [] }
        return calls
      }
    }
  }

  private struct Refusal: Error {}

  /// Registers lie among the fillers, far from each other: the odd ones in a tree of a name.
  private static func key(_ register: Int) -> [UInt8] {
    KeySource.bigEndian(UInt64(register * fillerCount / registerCount)) + Array("register".utf8)
  }

  private static func filler(_ number: Int) -> [UInt8] {
    KeySource.bigEndian(UInt64(number)) + [UInt8](repeating: 0x66, count: number % 200)
  }

  /// A value's bytes: its number, and a filler that the number decides; some lie in pages of their
  /// own.
  private static func bytes(_ value: Int) -> [UInt8] {
    let length = value % 13 == 0 ? 3000 + value % 3000 : value * 37 % 500
    return KeySource.bigEndian(UInt64(value))
      + [UInt8](repeating: UInt8(truncatingIfNeeded: value), count: length)
  }

  private static func value(_ bytes: [UInt8]?) throws -> Int? {
    guard let bytes else { return nil }
    let value = bytes.prefix(8).reduce(0) { $0 << 8 | Int($1) }
    try require(equalBytes(bytes, Self.bytes(value)), "a torn value: \(hex(bytes))")
    return value
  }

  // MARK: Calls

  /// One call of one register.
  private static func callOne(
    _ world: World, _ tree: some WritableTree, _ register: Int, _ random: inout SeededRandom
  ) throws {
    let key = key(register)
    let kind = random.below(12)
    var guess = random
    try world.record("call \(kind) of \(register)") {
      let new = world.newValue()
      switch kind {
      case 0..<4:
        return ([.holds(register: register, try value(tree.lookup(key)))], [])
      case 4:
        return ([.isThere(register: register, try tree.contains(key))], [])
      case 5, 6:
        let isNew = try tree.insert(key, bytes(new))
        return ([.isThere(register: register, !isNew)], [.init(register, new)])
      case 7:
        return ([.isThere(register: register, try tree.remove(key))], [.init(register, nil)])
      case 8:
        if let found = try tree.insertIfAbsent(key, bytes(new)) {
          return ([.holds(register: register, try value(found))], [])
        }
        return ([.holds(register: register, nil)], [.init(register, new)])
      case 9:
        var old: [UInt8]?
        let isRemoval = guess.chance(30)
        try tree.update(key) { found in
          old = found
          return isRemoval ? nil : bytes(new)
        }
        return (
          [.holds(register: register, try value(old))],
          [.init(register, isRemoval ? nil : new)]
        )
      default:
        // Looked up beside the recorded history, so that the swap has a chance to succeed.
        let expected = try tree.lookup(key)
        let isSwapped = try tree.compareAndSwap(key, expected: expected, new: bytes(new))
        let seen = try value(expected)
        return isSwapped
          ? ([.holds(register: register, seen)], [.init(register, new)])
          : ([.holdsNot(register: register, seen)], [])
      }
    }
    _ = random.next()
  }

  /// A transaction over both trees: some are given up, in some a savepoint is.
  private static func transact(_ world: World, _ random: inout SeededRandom) throws {
    var choice = random
    _ = random.next()
    let isRefused = choice.chance(15)
    try world.record("transaction") {
      var observations: [RegisterCall.Observation] = []
      var writes: [RegisterCall.Write] = []
      do {
        try world.database.write { transaction in
          let other = try transaction.tree("other")
          for register in Array(0..<registerCount).shuffled(using: &choice).prefix(3) {
            let key = key(register)
            let found = try register % 2 == 0 ? transaction.lookup(key) : other.lookup(key)
            observations.append(.holds(register: register, try value(found)))
            let new = choice.chance(25) ? nil : world.newValue()
            try change(transaction, other, register, new)
            if choice.chance(30) {
              try? transaction.savepoint {
                try change(transaction, other, register, world.newValue())
                throw Refusal()
              }
            }
            writes.append(.init(register, new))
          }
          if isRefused { throw Refusal() }
        }
      } catch is Refusal {
        // It has seen one instant all the same, and changed nothing.
        writes = []
      }
      return (observations, writes)
    }
  }

  private static func change(
    _ transaction: borrowing Transaction, _ other: borrowing TransactionTree, _ register: Int,
    _ new: Int?
  ) throws {
    let key = key(register)
    switch (new, register % 2 == 0) {
    case (let new?, true): try transaction.insert(key, bytes(new))
    case (let new?, false): try other.insert(key, bytes(new))
    case (nil, true): try transaction.remove(key)
    case (nil, false): try other.remove(key)
    }
  }

  /// All registers in one snapshot, by lookups or by cursors.
  private static func look(_ world: World, _ random: inout SeededRandom) throws {
    let usesCursors = random.chance(40)
    try world.record("snapshot") {
      try world.database.read { snapshot in
        guard let other = try snapshot.tree("other") else {
          throw TestFailure("a tree is gone")
        }
        let observations = try (0..<registerCount).map {
          register -> RegisterCall.Observation in
          let key = key(register)
          let found: [UInt8]?
          if usesCursors {
            let range = KeyRange.closed(key, key)
            let cursor =
              try register % 2 == 0 ? snapshot.cursor(in: range) : other.cursor(in: range)
            found = try cursor.next()?.value
          } else {
            found = try register % 2 == 0 ? snapshot.lookup(key) : other.lookup(key)
          }
          return .holds(register: register, try value(found))
        }
        return (observations, [])
      }
    }
  }

  /// What keeps pages coming and going, and is not recorded.
  private static func disturb(
    _ database: Database, _ thread: Int, _ random: inout SeededRandom
  ) throws {
    let number = random.below(fillerCount)
    switch random.below(10) {
    case 0..<5:
      _ = try database.lookup(filler(number))
    case 5..<9:
      let own = filler(number / threadCount * threadCount + thread)
      if random.chance(40) {
        try database.remove(own)
      } else {
        try database.insert(own, [UInt8](repeating: 1, count: random.below(600)))
      }
    default:
      if random.chance(10) { try database.checkpoint() }
    }
  }

  // MARK: Rounds

  /// Runs threads, each of which makes so many calls, and gives what they recorded.
  private static func round(
    _ world: World, _ seed: UInt64, callCount: Int,
    _ call: @escaping @Sendable (World, NamedTree, inout SeededRandom) throws -> Void
  ) throws -> [RegisterCall] {
    let threads = TestThreads()
    let other = try world.database.tree("other")
    for thread in 0..<threadCount {
      threads.start {
        var random = SeededRandom(seed: seed &* 1000 &+ UInt64(thread))
        for _ in 0..<callCount where !threads.mustEnd {
          try call(world, other, &random)
          if random.chance(50) { try disturb(world.database, thread, &random) }
        }
      }
    }
    try threads.wait()
    return world.takeCalls()
  }

  private static func registers(_ database: Database) throws -> [Int?] {
    let other = try database.tree("other")
    return try (0..<registerCount).map { register in
      let key = key(register)
      return try value(register % 2 == 0 ? database.lookup(key) : other.lookup(key))
    }
  }

  private static func open(
    _ durability: Database.Durability
  ) throws -> Database {
    var options = tightOptions(durability: durability)
    options.transactionLogLimitByteCount = 20_000
    let database = try openDatabase(in: try MemoryStorage(), options)
    try database.insert(
      contentsOf: (0..<fillerCount).map { (filler($0), [UInt8](repeating: 2, count: 400)) })
    let other = try database.tree("other")
    try other.insert(
      contentsOf: (0..<fillerCount / 4).map { (filler($0), [UInt8](repeating: 3, count: 400)) })
    return database
  }

  private static func finish(_ database: Database, _ context: String) throws {
    let statistics = try database.statistics()
    #expect(statistics.pageReadCount > 100, "\(context): too little was evicted")
    // One comes with the file; without a log, others only when they are asked for.
    #expect(
      statistics.checkpointNumber > (isUnderThreadSanitizer ? 1 : 5),
      "\(context): too few checkpoints")
    try requireSound(database, context)
    try database.close()
  }

  /// Calls of one key each: every key's history is looked at alone.
  @Test(arguments: [Database.Durability.flush, .sync])
  func singleKeys(durability: Database.Durability) throws {
    let database = try Self.open(durability)
    let world = World(database)
    let roundCount = (isUnderThreadSanitizer ? 4 : 12) * lengthFactor
    for number in 0..<roundCount {
      let seed = runSeed &* 10_000 &+ UInt64(number)
      let before = try Self.registers(database)
      let calls = try Self.round(world, seed, callCount: 60) { world, other, random in
        let register = random.below(Self.registerCount)
        if register % 2 == 0 {
          try Self.callOne(world, world.database, register, &random)
        } else {
          try Self.callOne(world, other, register, &random)
        }
      }
      #expect(calls.count == 60 * Self.threadCount)
      let problem = LinearizabilityChecker.problemOfEachRegister(in: calls, initial: before)
      try require(
        problem == nil, "seed \(runSeed), .\(durability), round \(number): \(problem ?? "")")
    }
    try Self.finish(database, "seed \(runSeed), .\(durability)")
  }

  /// Transactions and snapshots over all keys in two trees, among calls of one key each.
  @Test(arguments: [Database.Durability.flush, .none])
  func transactionsAndSnapshots(durability: Database.Durability) throws {
    let database = try Self.open(durability)
    let world = World(database)
    let roundCount = (isUnderThreadSanitizer ? 4 : 16) * lengthFactor
    for number in 0..<roundCount {
      let seed = runSeed &* 20_000 &+ UInt64(number)
      let before = try Self.registers(database)
      let calls = try Self.round(world, seed, callCount: 25) { world, other, random in
        let register = random.below(Self.registerCount)
        switch random.below(10) {
        case 0..<3: try Self.transact(world, &random)
        case 3..<7: try Self.look(world, &random)
        default:
          if register % 2 == 0 {
            try Self.callOne(world, world.database, register, &random)
          } else {
            try Self.callOne(world, other, register, &random)
          }
        }
      }
      #expect(calls.count == 25 * Self.threadCount)
      let problem = LinearizabilityChecker.problem(in: calls, initial: before)
      try require(
        problem == nil, "seed \(runSeed), .\(durability), round \(number): \(problem ?? "")")
    }
    try Self.finish(database, "seed \(runSeed), .\(durability)")
  }
}
