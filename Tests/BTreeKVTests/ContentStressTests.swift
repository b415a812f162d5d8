import BTreeKV
import Pager
import TestSupport
import Testing

/// A short run of what `make stress` runs for longer, in a release build: readers check what each
/// answer says, while pages split, merge, are evicted and used anew.
///
/// D1-D5, C1, C2, C5 and C8 of docs/ARCHITECTURE.md.
@Suite(.serialized) struct ContentStressTests {
  @Test(arguments: [Database.Durability.flush, .sync, .none])
  func readersBesideWriters(durability: Database.Durability) throws {
    let seed = runSeed &* 211 &+ UInt64(durability.rawValue.utf8.count)
    let storage = try MemoryStorage()
    var options = tightOptions(durability: durability)
    options.transactionLogLimitByteCount = 1000
    let database = try openDatabase(in: storage.reopen(), options)
    var size = ContentStress.Size()
    size.keyCount = 1600
    size.stepCount = (isUnderThreadSanitizer ? 800 : 3000) * lengthFactor
    let stress = try ContentStress(database, size, seed: seed)
    try stress.run()
    let statistics = try database.statistics()
    #expect(stress.counts.checks > 1000, "seed \(seed): too little was read")
    #expect(statistics.pageReadCount > 100, "seed \(seed): too little was evicted")
    // One comes with the file; without a log, others only when they are asked for.
    #expect(
      statistics.checkpointNumber > (isUnderThreadSanitizer ? 1 : 5),
      "seed \(seed): too few checkpoints")
    try database.close()
    let reopened = try openDatabase(in: storage.reopen())
    try stress.checkReopened(reopened)
    try reopened.close()
  }

  /// The check itself: what can't have been there is refused.
  @Test func impossibleAnswersAreRefused() throws {
    let database = try openDatabase(in: try MemoryStorage())
    let stress = try ContentStress(database, ContentStress.Size(), seed: 1)
    func isAccepted(_ found: UInt64?, _ done: (UInt64, Bool), _ begun: (UInt64, Bool)) -> Bool {
      (try? stress.check(
        found, ContentStress.word(done.0, isThere: done.1),
        ContentStress.word(begun.0, isThere: begun.1), "")) != nil
    }
    #expect(isAccepted(3, (3, true), (3, true)))
    #expect(isAccepted(nil, (3, false), (3, false)))
    #expect(!isAccepted(nil, (3, true), (3, true)), "a lost key")
    #expect(!isAccepted(3, (3, false), (3, false)), "a removed key")
    #expect(!isAccepted(2, (3, true), (3, true)), "a stale version")
    #expect(!isAccepted(4, (3, true), (3, true)), "a version from the future")
    #expect(isAccepted(3, (3, true), (4, false)))
    #expect(isAccepted(nil, (3, true), (4, false)))
    #expect(isAccepted(4, (3, true), (4, true)))
    #expect(!isAccepted(nil, (3, true), (4, true)), "lost while it was replaced")
    #expect(isAccepted(nil, (3, true), (5, true)))
    #expect(!isAccepted(5, (3, true), (5, false)), "a removal that stored something")
    try database.close()
  }
}
