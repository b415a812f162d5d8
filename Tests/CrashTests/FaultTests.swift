import CrashSupport
import Foundation
import TestSupport
import Testing

@testable import BTreeKV
@testable import Pager

/// A short workload on a storage that fails on command, and what may be there afterwards.
struct FaultRun {
  let durability: Database.Durability
  let recording: RecordingStorage
  let faulty: FaultyStorage
  /// What each key may hold: the last acknowledged value, and those of unknown outcome since.
  private(set) var possible: [[UInt8]: Set<[UInt8]?>] = [:]
  private(set) var wasPoisoned = false
  private(set) var problems: [String] = []
  private var random = CrashRandom(seed: 11)

  init(_ durability: Database.Durability) throws {
    self.durability = durability
    recording = try RecordingStorage()
    faulty = FaultyStorage(recording)
  }

  var options: Database.Options {
    var options = Database.Options()
    options.pageSize = 4096
    options.cacheByteCount = 1 << 10
    options.durability = durability
    return options
  }

  static let errorCodes: Set<String> = ["inputOutput", "diskFull", "poisoned", "outcomeUnknown"]

  /// Opens, changes, checkpoints and closes, going on whatever fails.
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
    for number in 0..<50 {
      let key = Array("key-\(random.below(20))".utf8)
      switch random.below(20) {
      case 0..<4: change(database, key, nil)
      case 4, 5: change(database, key, random.bytes(3000 + random.below(9000)))
      case 6 where number % 2 == 0: change(database, key, random.bytes((1 << 20) + 5000))
      default: change(database, key, random.bytes(500 + random.below(400)))
      }
      if number % 17 == 16 { attempt("checkpoint") { try database.checkpoint() } }
      checkReads(database)
    }
    attempt("close") { try database.close() }
    recording.recorder.mark()
    do {
      try database.insert("a", "b")
      problems.append("an insert after close succeeds")
    } catch {
      if error.code != .closed { problems.append("an insert after close throws \(error)") }
    }
  }

  private mutating func attempt(_ what: String, _ body: () throws -> Void) {
    do { try body() } catch { note((error as? DatabaseError)?.code.name ?? "\(error)", what) }
  }

  private mutating func note(_ code: String, _ what: String) {
    if !Self.errorCodes.contains(code) { problems.append("\(what) throws \(code)") }
    if code == "poisoned" { wasPoisoned = true }
    // Linux may forget what a failed sync could not write.
    if faulty.calls.last?.operation == .synchronize { recording.recorder.record(.loss) }
  }

  private mutating func change(_ database: Database, _ key: [UInt8], _ value: [UInt8]?) {
    let before = possible[key] ?? [nil]
    let wasPoisonedBefore = wasPoisoned
    do {
      if let value { try database.insert(key, value) } else { try database.remove(key) }
      recording.recorder.mark()
      possible[key] = [value]
      // Removing what is not there writes nothing.
      if wasPoisonedBefore, value != nil { problems.append("a write after .poisoned succeeds") }
    } catch {
      note(error.code.name, "a write")
      if error.code == .outcomeUnknown { possible[key] = before.union([value]) }
    }
  }

  private mutating func checkReads(_ database: Database) {
    for (key, values) in possible.prefix(3) {
      do {
        let found = try database.lookup(key)
        if !values.contains(found) { problems.append("a read finds what was never written") }
      } catch {
        // With a cache this small a read may have to write a dirty page first.
        note(error.code.name, "a read")
      }
    }
  }

  /// Opens what a power cut right now leaves, on a healthy device.
  mutating func checkAfterCrash() {
    var simulator = CrashSimulator(recording.recorder)
    simulator.advance(to: recording.recorder.eventCount)
    var images = [("nothing unsynced", simulator.poorestImage())]
    if durability == .flush { images = [] }
    images.append(("some unsynced", simulator.image(seed: random.next()).contents))
    for (name, image) in images {
      do {
        let memory = try MemoryStorage(contents: image)
        let (_, database) = try CrashCheck.content(of: memory, options)
        if durability == .sync {
          for (key, values) in possible where !values.contains(try database.lookup(key)) {
            problems.append("\(name): an acknowledged write is gone")
          }
        }
        database.pager.abandon()
      } catch {
        problems.append("\(name): \(error)")
      }
    }
  }
}

/// Every call that changes the file fails once, one after the other.
@Suite struct FaultTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var durability: Database.Durability
    var code: PagerError.Code
    var isForever: Bool
    var testDescription: String { "\(durability) \(code) \(isForever ? "for ever" : "once")" }
  }

  static let cases: [Case] = Database.Durability.allCases.flatMap { durability in
    [PagerError.Code.inputOutput, .diskFull].flatMap { code in
      [false, true].map { Case(durability: durability, code: code, isForever: $0) }
    }
  }

  /// rule A1, C7: whichever call fails, errors are clear, nothing traps or hangs, after a failure
  /// writes are refused while reads go on, and reopening finds everything acknowledged.
  @Test(arguments: cases) func anyCallMayFail(_ test: Case) throws {
    var healthy = try FaultRun(test.durability)
    healthy.run()
    healthy.checkAfterCrash()
    #expect(healthy.problems.isEmpty, "healthy: \(healthy.problems)")
    let callCount = healthy.faulty.callCount(of: FaultyStorage.Operation.changes)
    let number = test.code == .diskFull ? ENOSPC : EIO
    let error = PagerError(test.code, "a planned fault", systemError: number)
    var failures: [String] = []
    for call in stride(from: 1, through: callCount, by: CrashTests.isLong ? 1 : 3) {
      var run = try FaultRun(test.durability)
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

  private func makeDatabase(
    _ durability: Database.Durability
  ) throws -> (Database, FaultyStorage, RecordingStorage) {
    let recording = try RecordingStorage()
    let faulty = FaultyStorage(recording)
    var options = Database.Options()
    options.durability = durability
    let database = try Database.open(
      storage: faulty, options: options, hasBackgroundThreads: false)
    for number in 0..<100 { try database.insert("key \(number)", "value \(number)") }
    return (database, faulty, recording)
  }

  static let inputOutput = PagerError(.inputOutput, "a planned fault", systemError: EIO)
  static let diskFull = PagerError(.diskFull, "a planned fault", systemError: ENOSPC)

  /// rule A1, C7: the waiter of a failed log sync hears that the outcome is unknown, and the next
  /// write is refused at once; reads go on.
  @Test(arguments: [FaultTests.inputOutput, FaultTests.diskFull])
  func failedLogSyncPoisons(error: PagerError) throws {
    let (database, faulty, _) = try makeDatabase(.sync)
    faulty.failAt(1, error, matching: [.writeDurably])
    #expect(errorCode { try database.insert("a", "b") } == .outcomeUnknown)
    #expect(errorCode { try database.insert("c", "d") } == .poisoned)
    #expect(errorCode { try database.checkpoint() } == .poisoned)
    #expect(try database.lookup("key 7") == Array("value 7".utf8))
    #expect(errorCode { try database.close() } == .poisoned)
  }

  /// rule A1, C7: also under `.flush`, where nobody waits for the sync that failed.
  @Test(arguments: [FaultTests.inputOutput, FaultTests.diskFull])
  func failedFlushPoisons(error: PagerError) throws {
    let (database, faulty, _) = try makeDatabase(.flush)
    faulty.failAt(1, error, matching: [.synchronize])
    #expect(errorCode { try database.waitUntilDurable() } == .outcomeUnknown)
    #expect(errorCode { try database.insert("c", "d") } == .poisoned)
    #expect(try database.lookup("key 7") == Array("value 7".utf8))
  }

  /// rule C7: a failed sync of a large value's bytes may have lost others' pages too.
  @Test func failedSyncOfALargeValuePoisons() throws {
    let (database, faulty, _) = try makeDatabase(.flush)
    faulty.failAt(1, Self.inputOutput, matching: [.synchronize])
    let large = [UInt8](repeating: 1, count: 2 << 20)
    #expect(errorCode { try database.insert("large", large) } == .inputOutput)
    #expect(errorCode { try database.insert("c", "d") } == .poisoned)
  }

  /// rule C7: after a sync in a checkpoint failed, whatever with, no later checkpoint may rely on
  /// the pages written before it.
  @Test(arguments: [FaultTests.inputOutput, FaultTests.diskFull])
  func failedCheckpointSyncLosesNothing(error: PagerError) throws {
    let (database, faulty, recording) = try makeDatabase(.sync)
    faulty.failAt(1, error, matching: [.synchronize])
    #expect(errorCode { try database.checkpoint() } != nil)
    recording.recorder.record(.loss)
    _ = errorCode { try database.checkpoint() }
    database.pager.abandon()
    var simulator = CrashSimulator(recording.recorder)
    simulator.advance(to: recording.recorder.eventCount)
    let memory = try MemoryStorage(contents: simulator.poorestImage())
    let (digest, _) = try CrashCheck.content(of: memory, Database.Options())
    #expect(digest.count == 100)
  }

  /// rule B4, C7: once a superblock may be on the medium, the checkpoint can't be taken back,
  /// not even for want of room.
  @Test(arguments: [FaultTests.inputOutput, FaultTests.diskFull], [1, 2])
  func failedSuperblockWriteLosesNothing(error: PagerError, number: Int) throws {
    let recording = try RecordingStorage()
    let faulty = FaultyStorage(recording)
    var options = Database.Options()
    options.durability = .none
    options.cacheByteCount = 0
    let database = try Database.open(
      storage: faulty, options: options, hasBackgroundThreads: false)
    let value = [UInt8](repeating: 7, count: 500)
    for number in 0..<1200 { try database.insert("key \(number)", value) }
    try database.checkpoint()
    for number in 0..<500 { try database.insert("key \(number)", "other") }
    faulty.failAt(number, error, matching: [.writeDurably])
    #expect(errorCode { try database.checkpoint() } != nil)
    for number in 0..<1200 {
      _ = errorCode { try database.insert("key \(number)", [UInt8](repeating: 9, count: 300)) }
    }
    database.pager.abandon()
    var simulator = CrashSimulator(recording.recorder)
    simulator.advance(to: recording.recorder.eventCount)
    for seed in 0..<8 as Range<UInt64> {
      let memory = try MemoryStorage(contents: simulator.image(seed: seed).contents)
      #expect(throws: Never.self, "image \(seed)") {
        _ = try CrashCheck.content(of: memory, options)
      }
    }
  }

  /// rule C7: a full disk poisons nothing; with room the same call succeeds.
  @Test(arguments: Database.Durability.allCases)
  func worksAgainWhenThereIsRoom(durability: Database.Durability) throws {
    let storage = try MemoryStorage(capacityByteCount: 3 << 20)
    var options = Database.Options()
    options.durability = durability
    options.cacheByteCount = 0
    let database = try Database.open(
      storage: storage, options: options, hasBackgroundThreads: false)
    let value = [UInt8](repeating: 3, count: 900)
    var stored = 0
    var refusal: DatabaseError?
    while refusal == nil, stored < 20_000 {
      do {
        try database.insert("key \(stored)", value)
        stored += 1
      } catch {
        refusal = error
      }
    }
    #expect(refusal?.code == .diskFull)
    let large = [UInt8](repeating: 1, count: 1 << 20)
    #expect(errorCode { try database.insert("one more", large) } == .diskFull)
    #expect(try database.lookup("key 0") == value)
    storage.capacityByteCount = 64 << 20
    for number in stored..<stored + 500 { try database.insert("key \(number)", value) }
    try database.checkpoint()
    #expect(try database.verify().problems == [])
    try database.close()
    let again = try Database.open(
      storage: storage.reopen(), options: options, hasBackgroundThreads: false)
    #expect(again.count == stored + 500)
    #expect(try again.verify().problems == [])
  }
}
