import CrashSupport
import Testing

@testable import BTreeKV
@testable import Pager

/// Power cuts while a log of several segments is replayed.
@Suite struct RecoveryCrashTests {
  /// rule E5, E7: nothing that recovery needs is written to before its checkpoint, although the
  /// segments behind the first one are free by the map that it begins with.
  @Test(arguments: [Database.Durability.sync, .flush])
  func replayOfSeveralSegmentsCanCrashAnywhere(durability: Database.Durability) throws {
    let keyCount = 900
    let image = try LogImage(durability) { database in
      for number in 0..<keyCount {
        try database.insert("key \(number * 7919 % keyCount)", [UInt8](repeating: 1, count: 900))
      }
    }
    #expect(try image.segments().count >= 3)
    // So small a cache writes pages early.
    var options = LogImage.options(durability)
    options.cacheByteCount = 0
    let storage = try RecordingStorage(contents: image.contents)
    let database = try Database.open(
      storage: storage, options: options, hasBackgroundThreads: false)
    #expect(database.count == keyCount)
    let digest = try ContentDigest(of: database)
    database.pager.abandon()
    var history = CrashHistory(digest)
    history.note(.barrier, digest, start: 0, end: 0)
    let problems = CrashImages.problems(
      of: storage.recorder, history, options, seed: CrashTests.firstSeed,
      count: CrashTests.isLong ? 300 : 25)
    #expect(problems.isEmpty, "\(problems.joined(separator: "\n"))")
  }
}
