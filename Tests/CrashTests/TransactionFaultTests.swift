import CrashSupport
import Foundation
import Testing

@testable import BTreeKV
@testable import Pager

/// Transactions on a storage that fails on command.
struct TransactionFaultRun {
  let durability: Database.Durability
  let recording: RecordingStorage
  let faulty: FaultyStorage
  private(set) var problems: [String] = []
  private var generator = OperationGenerator(seed: 5)
  private var driver = OperationDriver()
  /// Every content that was committed, and the last one that may have been.
  private var committed: [ContentDigest] = [ContentDigest()]
  private var unknown: ContentDigest?
  /// Whether a single change is of unknown outcome, which the model has not made.
  private var isUncertain = false
  private var wasPoisoned = false
  private var random = CrashRandom(seed: 3)

  init(_ durability: Database.Durability) throws {
    self.durability = durability
    recording = try RecordingStorage()
    faulty = FaultyStorage(recording)
    generator.keyCount = 60
    generator.valueLimit = 700
    generator.largePerMille = 60
    generator.transactionPercent = 100
  }

  var options: Database.Options {
    var options = Database.Options()
    options.pageSize = 4096
    options.cacheByteCount = 1 << 10
    options.durability = durability
    options.transactionLogLimitByteCount = 10_000
    return options
  }

  mutating func run() {
    let database: Database
    do {
      database = try Database.open(
        storage: faulty, options: options, hasBackgroundThreads: false)
    } catch {
      note(error.code.name, "open")
      return
    }
    recording.recorder.mark()
    for number in 0..<26 {
      step(database)
      if number % 9 == 8 { attempt("checkpoint") { try database.checkpoint() } }
      check(database)
    }
    // What failed may go well now, and must find everything in order.
    faulty.stopFailing()
    if !wasPoisoned, unknown == nil {
      for _ in 0..<3 { step(database) }
      attempt("checkpoint") { try database.checkpoint() }
      check(database)
    }
    if !wasPoisoned, unknown == nil { verify(database, "at the end") }
    attempt("close") { try database.close() }
    recording.recorder.mark()
  }

  private mutating func attempt(_ what: String, _ body: () throws -> Void) {
    do { try body() } catch { note((error as? DatabaseError)?.code.name ?? "\(error)", what) }
  }

  private mutating func note(_ code: String, _ what: String) {
    if !FaultRun.errorCodes.contains(code) { problems.append("\(what) throws \(code)") }
    if code == "poisoned" { wasPoisoned = true }
    if faulty.calls.last?.operation == .synchronize { recording.recorder.record(.loss) }
  }

  private mutating func step(_ database: Database) {
    let before = driver.model
    let wasPoisonedBefore = wasPoisoned
    do {
      try driver.apply(generator.mutation(), to: database)
      recording.recorder.mark()
      if wasPoisonedBefore, driver.model.digest != before.digest {
        problems.append("a change after .poisoned succeeds")
      }
      committed.append(driver.model.digest)
    } catch {
      let name = (error as? DatabaseError)?.code.name ?? "\(error)"
      note(name, "a step")
      // Where the step was interrupted, the model had gone on only as far as the database.
      if name == "outcomeUnknown", (try? database.checkpoint()) != nil {
        // A large transaction whose checkpoint found no room is visible; now it is durable too.
        recording.recorder.mark()
        committed.append(driver.model.digest)
        return
      }
      if name == "outcomeUnknown" {
        unknown = driver.model.digest
        isUncertain = driver.model.digest == before.digest
      }
      driver.model = before
    }
  }

  /// All trees together show what was committed last, or what may have been.
  private mutating func check(_ database: Database) {
    do {
      let digest = try ContentDigest(of: database)
      if digest != committed[committed.count - 1], unknown == nil {
        problems.append("the content is not the committed one")
      }
    } catch {
      // With a cache this small a read may have to write a dirty page first.
      note((error as? DatabaseError)?.code.name ?? "\(error)", "a read")
    }
  }

  private mutating func verify(_ database: Database, _ when: String) {
    do {
      let found = try database.verify().problems
      if !found.isEmpty { problems.append("\(when): \(found.prefix(3))") }
    } catch {
      note(error.code.name, "verify")
    }
  }

  /// Opens what a power cut right now leaves, and the whole file, on a healthy device.
  mutating func checkAfterCrash() {
    var simulator = CrashSimulator(recording.recorder)
    simulator.advance(to: recording.recorder.eventCount)
    for seed in 0..<3 as Range<UInt64> {
      let image = simulator.image(seed: seed * 7 + random.next() % 7)
      do {
        let memory = try MemoryStorage(contents: image.contents)
        let (digest, database) = try CrashCheck.content(of: memory, options)
        let isLast = digest == committed[committed.count - 1] || digest == unknown
        if isUncertain {
          // Only that the file is whole can be said.
        } else if durability == .sync, !isLast {
          problems.append("image \(image.mode): an acknowledged transaction is gone")
        } else if !isLast, !committed.contains(digest) {
          problems.append("image \(image.mode): a transaction is there in part")
        }
        try database.insert("after the fault", "value")
        try database.close()
      } catch {
        problems.append("image \(image.mode): \(error)")
      }
    }
  }
}

/// Every call that changes the file fails once, one after the other, in a run of transactions.
@Suite struct TransactionFaultTests {
  /// rule A1, B7, C7: whichever call fails, a transaction is there as a whole or not at all, for
  /// readers now and after reopening, and no page is lost.
  @Test(arguments: FaultTests.cases) func anyCallMayFail(_ test: FaultTests.Case) throws {
    var healthy = try TransactionFaultRun(test.durability)
    healthy.run()
    healthy.checkAfterCrash()
    #expect(healthy.problems.isEmpty, "healthy: \(healthy.problems)")
    let callCount = healthy.faulty.callCount(of: FaultyStorage.Operation.changes)
    let error = PagerError(
      test.code, "a planned fault", systemError: test.code == .diskFull ? ENOSPC : EIO)
    var failures: [String] = []
    // Each case begins elsewhere, so that together they fail most of the calls.
    let step = CrashTests.isLong ? 1 : max(1, callCount / 14)
    let number = FaultTests.cases.firstIndex { "\($0)" == "\(test)" } ?? 0
    let first = 1 + number * step / FaultTests.cases.count
    for call in stride(from: first, through: callCount, by: step) {
      var run = try TransactionFaultRun(test.durability)
      run.faulty.failAt(call, error, forever: test.isForever)
      run.run()
      run.checkAfterCrash()
      if !run.problems.isEmpty {
        let failed =
          run.faulty.calls.filter {
            FaultyStorage.Operation.changes.contains($0.operation)
          }.dropFirst(call - 1).first.map { "\($0)" } ?? ""
        failures.append("call \(call)/\(callCount) \(failed): \(Set(run.problems).sorted())")
      }
    }
    #expect(failures.isEmpty, "\(failures.count): \(failures.prefix(8).joined(separator: "\n"))")
  }

  /// rule C7: what fails while a transaction is under way refuses its commit too.
  @Test(arguments: Database.Durability.allCases, [4 << 20, 10])
  func aFailureInsideRefusesTheCommit(durability: Database.Durability, logLimit: Int) throws {
    let faulty = FaultyStorage(try MemoryStorage())
    var options = Database.Options()
    options.durability = durability
    options.transactionLogLimitByteCount = logLimit
    let database = try Database.open(
      storage: faulty, options: options, hasBackgroundThreads: false)
    try database.insert("before", "value")
    var code: DatabaseError.Code?
    do {
      try database.write { transaction in
        try transaction.insert("in it", "value")
        faulty.failAt(1, FaultTests.inputOutput, matching: [.synchronize])
        #expect(throws: DatabaseError.self) { try database.checkpoint() }
      }
    } catch {
      code = (error as? DatabaseError)?.code
    }
    #expect(code == .poisoned)
    #expect(try database.lookup("in it") == nil)
    #expect(try database.lookup("before") == Array("value".utf8))
    #expect(database.count == 1)
  }

  /// rule B7, C7: a large transaction whose checkpoint finds no room is visible, but nothing is
  /// logged on top of it before a checkpoint has made it durable.
  @Test(arguments: [Database.Durability.sync, .flush])
  func aCommitByCheckpointMayBeOwed(durability: Database.Durability) throws {
    let storage = try RecordingStorage()
    let faulty = FaultyStorage(storage)
    var options = Database.Options()
    options.durability = durability
    options.transactionLogLimitByteCount = 10
    let database = try Database.open(
      storage: faulty, options: options, hasBackgroundThreads: false)
    try database.insert("before", "value")
    func code(_ body: () throws -> Void) -> DatabaseError.Code? {
      do { try body() } catch { return (error as? DatabaseError)?.code }
      return nil
    }
    let full = PagerError(.diskFull, "a planned fault", systemError: ENOSPC)
    let large = code {
      try database.write { transaction in
        try transaction.insert("large", "value")
        // From here on no page can be written.
        faulty.failAt(1, full, forever: true, matching: [.write])
      }
    }
    #expect(large == .outcomeUnknown)
    #expect(try database.contains("large"))
    #expect(code { try database.insert("on top", "value") } == .diskFull)
    #expect(try !database.contains("on top"))
    faulty.stopFailing()
    try database.insert("on top", "value")
    try database.waitUntilDurable()
    let end = storage.recorder.eventCount
    var simulator = CrashSimulator(storage.recorder)
    simulator.advance(to: end)
    let image = try MemoryStorage(contents: simulator.image(seed: 1).contents)
    let again = try Database.open(storage: image, options: options, hasBackgroundThreads: false)
    #expect(again.count == 3)
    #expect(try again.verify().problems == [])
    try database.close()
  }

  /// rule C7: a transaction that finds no room is undone as a whole, and succeeds with room.
  @Test(arguments: Database.Durability.allCases)
  func aFullDiskUndoesATransaction(durability: Database.Durability) throws {
    let storage = try MemoryStorage(capacityByteCount: 4 << 20)
    var options = Database.Options()
    options.durability = durability
    options.cacheByteCount = 0
    let database = try Database.open(
      storage: storage, options: options, hasBackgroundThreads: false)
    func fill(_ value: [UInt8]) throws {
      try database.write { transaction in
        let tree = try transaction.tree("tree")
        for number in 0..<3000 {
          try tree.insert("key \(number)", value)
          try transaction.insert("key \(number)", value)
        }
      }
    }
    let value = [UInt8](repeating: 3, count: 600)
    var codes: [DatabaseError.Code] = []
    for _ in 0..<3 {
      do {
        try fill(value)
      } catch {
        codes.append((error as? DatabaseError)?.code ?? .closed)
      }
    }
    #expect(codes == [.diskFull, .diskFull, .diskFull])
    #expect(database.isEmpty)
    #expect(try database.treeNames() == [])
    try database.insert("small", "value")
    #expect(try database.verify().problems == [])
    storage.capacityByteCount = 64 << 20
    try fill(value)
    #expect(database.count == 3001)
    #expect(try database.verify().problems == [])
    try database.close()
    let again = try Database.open(
      storage: storage.reopen(), options: options, hasBackgroundThreads: false)
    #expect(again.count == 3001)
    #expect(try again.existingTree("tree")?.count == 3000)
    #expect(try again.verify().problems == [])
  }
}
