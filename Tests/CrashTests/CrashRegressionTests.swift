import BTreeKV
import CrashSupport
import Testing

/// Workloads that once broke a promise, as short as `Torture` could make them.
@Suite struct CrashRegressionTests {
  /// rule C2, C9: a large value that recovery took from the log, and that a snapshot shows, was freed
  /// under it when the writer that died was further ahead in epochs than the one after it.
  static let recoveredValueInASnapshot = CrashPlan(
    pageSize: 4096, cacheByteCount: 64 << 20, transactionLimit: 8000, durability: .sync,
    isClosed: false,
    operations: [
      .transaction([.insert(tree: 2, key: 38, size: 10_699)], isKept: true),
      .kill(.flush),
      .takeSnapshot,
      .transaction([.removeRange(tree: 2, from: 8, to: 54)], isKept: true),
      .transaction([.load(tree: 1, count: 173, size: 131)], isKept: true),
      .transaction([.insertMany(tree: 2, key: 16, count: 48, size: 823)], isKept: true),
      .reopen(.flush),
    ])

  /// rule B5: what tells an engine that does not sync a value together with its record.
  static let valueBesideItsRecord = CrashPlan(
    pageSize: 8192, cacheByteCount: 1024, transactionLimit: 2000, durability: .flush,
    isClosed: true,
    operations: [
      .kill(.sync), .insert(tree: 0, key: 85, size: 594),
      .insert(tree: 0, key: 75, size: 10_830),
    ])

  /// The number of a new region was that of another one, if the first region since the opening was made
  /// in a savepoint that had removed that one and was given up.
  static let numberOfARemovedRegion = CrashPlan(
    pageSize: 4096, cacheByteCount: 64 << 20, transactionLimit: 4 << 20, durability: .flush,
    isClosed: true,
    operations: [
      .region(0, .append(size: 0)), .region(1, .append(size: 0)), .region(2, .append(size: 0)),
      .region(2, .append(size: 216)), .region(1, .remove), .kill(.flush),
      .transaction(
        [
          .savepoint([.region(2, .remove), .region(3, .append(size: 8))], isKept: false),
          .region(3, .append(size: 56)),
        ], isKept: true),
    ])

  @Test(arguments: [recoveredValueInASnapshot, valueBesideItsRecord, numberOfARemovedRegion])
  func isKept(_ plan: CrashPlan) throws {
    // The distance between the epochs of two writers is random.
    for _ in 0..<12 { try CrashExplorer.run(plan) }
    var explorer = CrashExplorer()
    try explorer.explore(plan, seed: 1)
  }
}
