import BTreeKV
import CrashSupport
import Testing

/// Power cuts while entries are written the short way, in place.
///
/// `Torture` does the same among all else; here nothing else happens, so that little time is enough.
@Suite struct EntryCrashTests {
  /// Beyond what lies in a leaf, so that entries are written behind others in mapped pages.
  private static let filled: [CrashOperation] = [
    .entries(0, .write(key: 1, size: 0)), .entries(0, .write(key: 1, size: 5000)),
    .entries(0, .write(key: 2, size: 700)),
  ]

  private static let short: [CrashOperation] =
    filled + (3..<12).map { .entries(0, .write(key: $0, size: 40 + 9 * $0)) } + [
      .entries(0, .delete(key: 4)), .entries(0, .write(key: 5, size: 30)), .waitUntilDurable,
      .entries(0, .delete(key: 6)), .entries(0, .write(key: 4, size: 200)),
    ]

  private func crash(
    _ operations: [CrashOperation], _ durability: Database.Durability
  ) throws(CrashFind) {
    let plan = CrashPlan(
      pageSize: 4096, cacheByteCount: 64 << 20, transactionLimit: 4 << 20, durability: durability,
      isClosed: false, operations: operations)
    var settings = CrashExplorer.Settings()
    settings.depthLimit = 0
    var explorer = CrashExplorer(settings)
    try explorer.explore(plan, seed: CrashTests.firstSeed)
  }

  /// rule B2, B5: an entry's key and bytes are there together, and are when the call has returned.
  @Test(arguments: Database.Durability.allCases)
  func shortEntriesAreThereWithTheirKeys(durability: Database.Durability) throws {
    try crash(Self.short, durability)
  }

  /// A whole store is emptied in one commit, and goes on.
  @Test(arguments: Database.Durability.allCases)
  func storesAreEmptiedAtOnce(durability: Database.Durability) throws {
    let inTransaction = CrashOperation.transaction(
      [.entries(0, .write(key: 3, size: 90)), .entries(0, .deleteAll)], isKept: true)
    try crash(
      Self.filled + [
        .entries(0, .writeMany(key: 3, count: 60, size: 20)), .entries(0, .deleteAll),
        .entries(0, .writeMany(key: 1, count: 5, size: 900)), inTransaction,
        .entries(0, .write(key: 2, size: 30)), .entries(0, .compact),
      ], durability)
  }
}
