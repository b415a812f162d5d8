import CrashSupport
import Testing

@testable import BTreeKV
@testable import Pager

/// Power cuts around values of more than 1 MiB, which are synced before a record names them.
@Suite struct LongValueCrashTests {
  /// rule B5: an acknowledged value is there as a whole, made alone or in a transaction.
  @Test(arguments: [Database.Durability.sync, .flush], [false, true])
  func longValuesAreWhole(durability: Database.Durability, inTransaction: Bool) throws {
    var workload = try LongValueWorkload(
      seed: CrashTests.firstSeed, durability: durability, inTransaction: inTransaction)
    try workload.run(6)
    let problems = CrashImages.problems(
      of: workload.storage.recorder, workload.history, workload.options, seed: workload.seed,
      count: CrashTests.isLong ? 300 : 40)
    #expect(problems.isEmpty, "\(problems.joined(separator: "\n"))")
  }
}

/// Long values among short ones.
private struct LongValueWorkload {
  let seed: UInt64
  let durability: Database.Durability
  let inTransaction: Bool
  let storage: RecordingStorage
  private(set) var history = CrashHistory(ContentDigest())
  private var digest = ContentDigest()
  private var model: [[UInt8]: [UInt8]] = [:]
  private var random: CrashRandom

  init(seed: UInt64, durability: Database.Durability, inTransaction: Bool) throws {
    self.seed = seed
    self.durability = durability
    self.inTransaction = inTransaction
    storage = try RecordingStorage()
    random = CrashRandom(seed: seed)
  }

  var options: Database.Options { LogImage.options(durability) }

  mutating func run(_ count: Int) throws {
    let database = try Database.open(
      storage: storage, options: options, hasBackgroundThreads: false)
    for number in 0..<count {
      try insert(database, "short \(number)", random.bytes(50))
      try insert(database, "long \(number % 2)", random.bytes((1 << 20) + 1 + random.below(9000)))
    }
    withExtendedLifetime(database) { database.pager.abandon() }
  }

  private mutating func insert(_ database: Database, _ name: String, _ value: [UInt8]) throws {
    let key = Array(name.utf8)
    let start = storage.recorder.eventCount
    if inTransaction {
      try database.write { _ = try $0.insert(key, value) }
    } else {
      try database.insert(key, value)
    }
    storage.recorder.mark()
    if let old = model[key] { digest.remove(key, old) }
    digest.add(key, value)
    model[key] = value
    history.note(
      .change(durability), digest, start: start, end: storage.recorder.eventCount)
  }
}
