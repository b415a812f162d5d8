package import BTreeKV
import Foundation
package import Pager

/// A folder that is there for one test.
package final class TemporaryFolder: Sendable {
  /// Where it is.
  package let path: String

  /// Makes an empty one.
  package init() throws {
    path = NSTemporaryDirectory() + "BTreeKVTests-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// The path of a file in it.
  package func file(_ name: String = "test.btreekv") -> String { path + "/" + name }
}

/// Options under which everything happens all the time: eviction (the smallest cache) and
/// checkpoints (a small threshold).
package func tightOptions(
  pageSize: Int = 4096, durability: Database.Durability = .flush,
  checkpointThresholdByteCount: Int = 64 << 10
) -> Database.Options {
  var options = Database.Options()
  options.pageSize = pageSize
  options.cacheByteCount = 0
  options.durability = durability
  options.flushIntervalMilliseconds = 5
  options.checkpointThresholdByteCount = checkpointThresholdByteCount
  return options
}

/// Opens a database in memory.
package func openDatabase(
  in storage: any Storage, _ options: Database.Options = tightOptions(),
  hasBackgroundThreads: Bool = true
) throws(PagerError) -> Database {
  try Database.open(
    storage: storage, options: options, hasBackgroundThreads: hasBackgroundThreads)
}

/// How much longer than by default histories are to be: `BTREEKV_LONG=1` multiplies by ten.
package var lengthFactor: Int {
  ProcessInfo.processInfo.environment["BTREEKV_LONG"] == nil ? 1 : 10
}

/// Whether this runs under ThreadSanitizer, which makes everything ten times slower.
package var isUnderThreadSanitizer: Bool {
  ProcessInfo.processInfo.environment["BTREEKV_TSAN"] != nil
}

/// The seed of the run: `BTREEKV_SEED` repeats one.
package var runSeed: UInt64 {
  ProcessInfo.processInfo.environment["BTREEKV_SEED"].flatMap { UInt64($0) } ?? 1
}

/// Throws unless `verify` finds nothing.
package func requireSound(_ database: Database, _ context: @autoclosure () -> String) throws {
  let report = try database.verify()
  try require(
    report.isSound,
    "\(context()): verify found \(report.problems.prefix(5).joined(separator: "; "))")
}

/// Throws unless the database holds exactly what the model does.
package func requireEqual(
  _ database: some ReadableTree, _ model: Model, _ context: @autoclosure () -> String
) throws {
  try require(
    database.count == model.count,
    "\(context()): count \(database.count), expected \(model.count)")
  var index = 0
  try database.forEach { key, value in
    let key = key.withUnsafeBytes { Array($0) }
    let value = value.withUnsafeBytes { Array($0) }
    let expected = model.entry(index)
    try require(
      equalBytes(key, expected?.key) && equalBytes(value, expected?.value),
      """
      \(context()): entry \(index) is \(hex(key)) = \(hex(value)), \
      expected \(hex(expected?.key)) = \(hex(expected?.value))
      """)
    index += 1
    return .next
  }
  try require(index == model.count, "\(context()): \(index) entries, expected \(model.count)")
}
