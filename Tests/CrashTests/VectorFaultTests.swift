import Foundation
import TestSupport
import Testing
import Vectors

@testable import BTreeKV
@testable import Pager

/// Each call of the storage fails, one after the other, while vectors are changed.
///
/// `BTREEKV_LONG=1` leaves none out.
@Suite struct VectorFaultTests {
  /// rule A1, B7, C7, E: as `FaultScriptTests` has it.
  @Test(arguments: FaultCase.all) func anyCallMayFail(_ test: FaultCase) throws {
    try test.failEachInMemory(step: CrashTests.isLong ? 1 : 37, .vectors)
  }

  /// The same on a file, where elements are read in place; no descriptor, lock or mapping is left.
  @Test(arguments: FaultCase.all.filter(\.isForever))
  func anyCallOnAFileMayFail(_ test: FaultCase) throws {
    try test.failEach(step: CrashTests.isLong ? 1 : 97, .vectors)
  }

  /// The calls that write what is buffered.
  enum Call: CaseIterable { case write, commit, fold }

  private func open(isCompressed: Bool, _ database: Database) throws -> BufferedVector<UInt64> {
    guard isCompressed else { return try RawVector<UInt64>.open("v", in: database) }
    let options = CompressionOptions(level: 1, pageElementCount: 256)
    return try CompressedVector<UInt64>.open("v", in: database, options: options)
  }

  private func elements(_ vector: BufferedVector<UInt64>) throws -> [UInt64] {
    if let raw = vector as? RawVector { return Array(try raw.reader()) }
    return try (vector as? CompressedVector)?.reader().elements() ?? []
  }

  private func run(_ call: Call, _ vector: BufferedVector<UInt64>) throws {
    switch call {
    case .write: try vector.write()
    case .commit: try vector.commit(stamp: 3)
    case .fold: try vector.fold()
    }
  }

  /// rule C7: what a call that finds no room was to write stays buffered, and the same call writes it
  /// when there is room.
  @Test(arguments: Call.allCases, [false, true])
  func whatIsBufferedIsWrittenLater(_ call: Call, isCompressed: Bool) throws {
    let storage = FaultyStorage(try MemoryStorage())
    let database = try openDatabase(in: storage, hasBackgroundThreads: false)
    let vector = try open(isCompressed: isCompressed, database)
    var random = SeededRandom(seed: 7)
    var expected = (0..<300).map { _ in random.next() }
    try vector.write(appending: expected)
    let before = expected
    let new = (0..<40_000).map { _ in random.next() }
    vector.append(contentsOf: new)
    expected += new
    try vector.update(at: 5, 55)
    expected[5] = 55
    try vector.take(at: 6)
    let full = PagerError(.diskFull, "a planned fault", systemError: ENOSPC)
    storage.failAt(1, full, forever: true, matching: [.allocate])
    for _ in 0..<2 {
      #expect(errorCode { try run(call, vector) } == .diskFull)
      #expect(vector.hasPendingChanges)
      #expect(try elements(vector) == before)
      #expect(try vector.count == expected.count)
      #expect(try vector.stamps.isEmpty)
    }
    storage.stopFailing()
    try run(call, vector)
    #expect(!vector.hasPendingChanges)
    #expect(try elements(vector) == expected)
    #expect(try vector.holes == [6])
    #expect(try vector.stamps == (call == .commit ? [3] : []))
    try vector.verify()
    try requireSound(database, "afterwards")
    try database.close()
  }

  /// rule A1: what may have been written is not written a second time.
  @Test(arguments: Call.allCases, [false, true])
  func whatMayBeWrittenIsNotBuffered(_ call: Call, isCompressed: Bool) throws {
    let storage = FaultyStorage(try MemoryStorage())
    let database = try openDatabase(
      in: storage, tightOptions(durability: .sync), hasBackgroundThreads: false)
    let vector = try open(isCompressed: isCompressed, database)
    vector.append(contentsOf: 0..<30)
    let fault = PagerError(.inputOutput, "a planned fault", systemError: EIO)
    storage.failAt(1, fault, matching: [.writeDurably])
    #expect(errorCode { try run(call, vector) } == .outcomeUnknown)
    #expect(!vector.hasPendingChanges)
    #expect(try elements(vector) == Array(0..<30))
    vector.append(30)
    #expect(errorCode { try run(call, vector) } == .poisoned)
    #expect(vector.hasPendingChanges)
    database.pager.abandon()
  }

  /// rule A1: a change stays what it is when the checkpoint that was to make it durable fails.
  @Test(arguments: [false, true]) func whatIsVisibleIsNotBuffered(isCompressed: Bool) throws {
    let storage = FaultyStorage(try MemoryStorage())
    let database = try openDatabase(
      in: storage, tightOptions(durability: .none), hasBackgroundThreads: false)
    let vector = try open(isCompressed: isCompressed, database)
    vector.append(contentsOf: 0..<40_000)
    let fault = PagerError(.inputOutput, "a planned fault", systemError: EIO)
    storage.failAt(1, fault, forever: true, matching: [.synchronize])
    #expect(errorCode { try vector.write(durability: .sync) } == .outcomeUnknown)
    #expect(!vector.hasPendingChanges)
    #expect(try elements(vector) == Array(0..<40_000))
    database.pager.abandon()
  }
}
