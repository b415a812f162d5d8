@testable import BTreeKV
import Pager
import Regions
import TestSupport
import Testing

/// Compaction in a thread of its own, beside everything else.
@Suite struct BackgroundCompactionTests {
  /// A file of regions of which every second is gone, with what is left.
  private func fixture(
    _ path: String, count: Int = 60
  ) throws -> (database: Database, contents: [String: [UInt8]]) {
    let database = try Database.open(path)
    var random = SeededRandom(seed: 3)
    var contents: [String: [UInt8]] = [:]
    for index in 0..<count {
      contents["region \(index)"] = random.bytes(100_000)
      try database.region("region \(index)").append(contents["region \(index)"] ?? [])
    }
    for index in stride(from: 0, to: count, by: 2) {
      contents["region \(index)"] = nil
      try database.removeRegion("region \(index)")
    }
    return (database, contents)
  }

  private func check(_ database: Database, _ contents: [String: [UInt8]]) throws {
    for (name, expected) in contents {
      let found = try database.region(name).readAll()
      try require(found == expected, "\(name) differs")
    }
    try requireSound(database, "the file")
  }

  @Test func compactsBesideReadersAndWriters() throws {
    let folder = try TemporaryFolder()
    let (database, contents) = try fixture(folder.file())
    let compaction = try database.compactInBackground()
    for number in 0..<500 { try database.insert("key \(number)", "value") }
    let reader = try database.region("region 1").reader()
    let report = try compaction.wait()
    #expect(compaction.isFinished)
    #expect(report.movedValueCount > 0 && report.byteCount < report.byteCountBefore)
    #expect(reader.bytes.withUnsafeBytes { Array($0) } == contents["region 1"])
    #expect(database.count == 500)
    try check(database, contents)
    // The next one is another one. It may find more than the first one left: keys came behind its end.
    let again = try database.compactInBackground()
    #expect(again !== compaction)
    let whole = try again.wait()
    #expect(whole.byteCount < report.byteCountBefore)
    #expect(try database.compactInBackground().wait().byteCount <= whole.byteCount)
    try database.close()
  }

  @Test func onlyOneWaits() throws {
    let folder = try TemporaryFolder()
    let (database, contents) = try fixture(folder.file())
    let first = try database.compactInBackground(after: .seconds(3600))
    #expect(try database.compactInBackground() === first && !first.isFinished)
    first.cancel()
    #expect(try first.wait().movedValueCount == 0)
    let second = try database.compactInBackground()
    #expect(second !== first)
    #expect(try second.wait().movedValueCount > 0)
    try check(database, contents)
    try database.close()
  }

  /// However long it was to wait, and whatever it was about to do.
  @Test(arguments: [Duration.zero, .milliseconds(1), .milliseconds(10), .seconds(3600)])
  func closingEndsIt(delay: Duration) throws {
    let folder = try TemporaryFolder()
    let (database, contents) = try fixture(folder.file())
    let compaction = try database.compactInBackground(after: delay)
    try database.close()
    #expect(compaction.isFinished)
    _ = try compaction.wait()
    #expect(errorCode { try database.compactInBackground() } == .closed)
    let again = try Database.open(folder.file())
    try check(again, contents)
    try again.close()
  }

  /// However far it has come.
  @Test func cancellingLosesNothing() throws {
    let folder = try TemporaryFolder()
    let (database, contents) = try fixture(folder.file(), count: 200)
    let compaction = try database.compactInBackground()
    compaction.cancel()
    _ = try compaction.wait()
    #expect(compaction.isFinished)
    try check(database, contents)
    try database.compact()
    try check(database, contents)
    try database.close()
  }

  /// Who asks gets one that begins after that, or will once more.
  @Test func askingAgain() throws {
    let folder = try TemporaryFolder()
    let (database, contents) = try fixture(folder.file())
    for round in 0..<20 {
      let compaction = try database.compactInBackground()
      if round % 3 == 0 { compaction.cancel() }
    }
    let last = try database.compactInBackground()
    #expect(errorCode { try database.write { _ in _ = try last.wait() } } == .nestedTransaction)
    _ = try last.wait()
    try check(database, contents)
    try database.close()
  }

  @Test func errorsReachWhoWaits() throws {
    let storage = FaultyStorage(try MemoryStorage())
    // Nobody else is to meet the failure first: what comes then is told that writes are refused.
    let database = try openDatabase(in: storage, hasBackgroundThreads: false)
    try database.region("gone").append([UInt8](repeating: 1, count: 200_000))
    try database.region("kept").append([UInt8](repeating: 2, count: 200_000))
    try database.removeRegion("gone")
    storage.failAt(
      1, PagerError(.inputOutput, "the medium is gone"), forever: true)
    let compaction = try database.compactInBackground()
    #expect(errorCode { _ = try compaction.wait() } == .inputOutput)
    database.abandon()
  }
}
