import CrashSupport
import Synchronization
import TestSupport
import Testing

@testable import BTreeKV
@testable import Pager

/// Power cuts while others write beside a checkpoint.
///
/// What is published between a cut and its superblock belongs to the next checkpoint: neither its
/// pages nor its records, nor what it unlinks, may be mixed up with the cut's.
@Suite struct BesideCrashTests {
  static let cases: [CrashTests.Case] = [Database.Durability.sync, .flush].flatMap { durability in
    (0..<(CrashTests.isLong ? 100 : 5)).map {
      CrashTests.Case(durability: durability, seed: CrashTests.firstSeed + UInt64($0))
    }
  }

  /// rule B2, B4, C3, C4, F1: whatever is published between any two storage calls of a checkpoint,
  /// a crash at any instant leaves the state after some step, and all that was promised.
  @Test(arguments: cases) func writesBesideACheckpoint(_ test: CrashTests.Case) throws {
    let workload = try BesideWorkload(seed: test.seed, durability: test.durability)
    try workload.run(CrashTests.isLong ? 300 : 120)
    #expect(workload.nestedCount > 20, "too few changes came between")
    let problems = CrashImages.problems(
      of: workload.recorder, workload.history, workload.options, seed: test.seed,
      count: CrashTests.isLong ? 800 : 90)
    #expect(problems.isEmpty, "\(problems.joined(separator: "\n"))")
  }
}

/// A seeded run whose checkpoints are interrupted, at each of their storage calls, by changes in the
/// same thread: so a seed says what happens.
///
/// No change in it is committed by a checkpoint, which could not begin before the one under way ends.
private final class BesideWorkload: Sendable {
  private struct State: Sendable {
    var random: CrashRandom
    var model = TreesModel()
    var history = CrashHistory(ContentDigest())
    var nestedCount = 0
  }

  /// The changes of one step, all of them in one transaction if there are several.
  private typealias Change = (tree: String, key: [UInt8], value: [UInt8]?)

  let seed: UInt64
  let durability: Database.Durability
  let storage: RecordingStorage
  private let state: Locked<State>
  private let keyCount: Int
  private let valueLimit: Int
  private let cacheByteCount: Int
  /// Whether a checkpoint is under way whose next call may be interrupted.
  private let mayInterrupt = Atomic(false)
  private let failure = Locked<(any Error)?>(nil)

  init(seed: UInt64, durability: Database.Durability) throws {
    self.seed = seed
    self.durability = durability
    storage = try RecordingStorage()
    var random = CrashRandom(seed: seed ^ 0xBE51DE)
    keyCount = [40, 300, 900][random.below(3)]
    valueLimit = [100, 600, 1000][random.below(3)]
    cacheByteCount = [1 << 10, 1 << 10, 64 << 20][random.below(3)]
    state = Locked(State(random: random))
  }

  var history: CrashHistory { state.withLock { $0.history } }
  /// How many steps came between the calls of a checkpoint.
  var nestedCount: Int { state.withLock { $0.nestedCount } }

  var options: Database.Options {
    var options = Database.Options()
    options.pageSize = 4096
    options.cacheByteCount = cacheByteCount
    options.durability = durability
    return options
  }

  var recorder: Recorder { storage.recorder }

  func run(_ count: Int) throws {
    var recording = storage
    var database = try open(recording)
    // Enough for the cache to be too small at once.
    for _ in 0..<30 { try step(database, changeCount: 12) }
    for _ in 0..<count {
      switch draw(below: 60) {
      case 0:
        try database.close()
        recorder.mark()
        recording = recording.reopen()
        database = try open(recording)
      case 1..<10: try checkpoint(database)
      default: try step(database, changeCount: draw(below: 3) == 0 ? 8 : 1)
      }
    }
    withExtendedLifetime(database) { database.pager.abandon() }
  }

  private func draw(below limit: Int) -> Int { state.withLock { $0.random.below(limit) } }

  private func open(_ recording: RecordingStorage) throws -> Database {
    let faulty = FaultyStorage(recording)
    let database = try Database.open(
      storage: faulty, options: options, hasBackgroundThreads: false)
    recorder.mark()
    // The first change of an opening makes a checkpoint of its own, to begin the log.
    try step(database, changeCount: 2)
    faulty.setHook { [self, weak database] call in
      guard [.write, .writeDurably, .synchronize].contains(call.operation),
        mayInterrupt.exchange(false, ordering: .relaxed), let database
      else { return nil }
      do {
        let stepCount = draw(below: 4)
        for _ in 0..<stepCount { try step(database, changeCount: 1 + draw(below: 6)) }
        state.withLock { $0.nestedCount += stepCount }
      } catch {
        failure.withLock { $0 = error }
      }
      mayInterrupt.store(true, ordering: .relaxed)
      return nil
    }
    return database
  }

  private func checkpoint(_ database: Database) throws {
    mayInterrupt.store(true, ordering: .relaxed)
    defer { mayInterrupt.store(false, ordering: .relaxed) }
    try database.checkpoint()
    recorder.mark()
    if let failure = failure.withLock({ $0 }) { throw failure }
  }

  /// Makes changes and notes them as one step.
  private func step(_ database: Database, changeCount: Int) throws {
    let changes = state.withLock { state in
      (0..<changeCount).map { _ in change(&state.random) }
    }
    let start = recorder.eventCount
    try database.write { transaction in
      for change in changes {
        if change.tree.isEmpty {
          try Self.make(change, in: transaction)
        } else {
          try Self.make(change, in: try transaction.tree(change.tree))
        }
      }
    }
    recorder.mark()
    state.withLock { state in
      for change in changes { state.model.set(change.tree, change.key, change.value) }
      state.history.note(
        .change(durability), state.model.digest, start: start, end: recorder.eventCount)
    }
  }

  private func change(_ random: inout CrashRandom) -> Change {
    let tree = ["", "", "side"][random.below(3)]
    let key = Array("key-\(random.below(keyCount) + 1000)".utf8)
    switch random.below(20) {
    case 0..<5: return (tree, key, nil)
    case 5: return (tree, key, random.bytes(1500 + random.below(20_000)))
    default: return (tree, key, random.bytes(random.below(valueLimit)))
    }
  }

  private static func make(
    _ change: Change, in tree: borrowing some WritableTree & ~Copyable & ~Escapable
  ) throws {
    if let value = change.value {
      try tree.insert(change.key, value)
    } else {
      try tree.remove(change.key)
    }
  }
}
