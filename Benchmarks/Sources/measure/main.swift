import BTreeKV
import Foundation

// What needs the API rather than the Demo's phases: `swift run -c release --package-path Benchmarks
// measure [COUNT [NAME …]]`. Prints one JSON object a line.

/// A key that no other index has, in random order.
func key(_ index: Int) -> UInt64 {
  var z = UInt64(truncatingIfNeeded: index) &* 0x9E37_79B9_7F4A_7C15
  z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
  z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
  return z ^ (z >> 31)
}

func insert(_ database: Database, _ index: Int) throws {
  var pair = (key(index).bigEndian, UInt64(index))
  try withUnsafeBytes(of: &pair) {
    _ = try database.insert(
      UnsafeRawBufferPointer(rebasing: $0[..<8]), UnsafeRawBufferPointer(rebasing: $0[8...]))
  }
}

func seconds(_ body: () throws -> Void) rethrows -> Double {
  let start = ContinuousClock.now
  try body()
  return start.duration(to: .now) / .seconds(1)
}

func open(_ path: String, _ durability: Database.Durability) throws -> Database {
  var options = Database.Options()
  options.durability = durability
  return try Database.open(path, options: options)
}

/// Inserts with and without a snapshot taken and dropped between every two.
func measureSnapshots(_ path: String, count: Int) throws {
  var rates: [[Double]] = [[], []]
  for round in 0..<6 {
    try? FileManager.default.removeItem(atPath: path)
    let database = try open(path, .flush)
    let time = try seconds {
      for index in 0..<count {
        try insert(database, index)
        if round % 2 == 1 { _ = try database.snapshot() }
      }
    }
    rates[round % 2].append(Double(count) / time)
    try database.close()
  }
  let medians = rates.map { $0.sorted()[1] }
  print(
    #"{"measure":"snapshots","plain_per_second":\#(Int(medians[0])),"#
      + #""with_snapshot_per_second":\#(Int(medians[1])),"share":\#(medians[1] / medians[0])}"#)
}

/// The latency of a `.sync` writer, alone and while checkpoints are written.
func measureCheckpointLatency(_ path: String, count: Int) throws {
  try? FileManager.default.removeItem(atPath: path)
  let loader = try open(path, .none)
  for index in 0..<count { try insert(loader, index) }
  try loader.close()
  let database = try open(path, .sync)
  func percentile99(_ latencies: [Double]) -> Double {
    latencies.sorted()[latencies.count * 99 / 100]
  }
  func latencies(_ range: Range<Int>) throws -> [Double] {
    try range.map { index in try seconds { try insert(database, index) } }
  }
  let quiet = percentile99(try latencies(count..<count + 3000))
  // Dirty many pages without waiting for each, then write them beside the measured writer.
  final class Flag: @unchecked Sendable { var isDone = false }
  let done = Flag()
  let checkpointer = Thread {
    while !done.isDone { try? database.checkpoint() }
  }
  checkpointer.start()
  let busy = percentile99(try latencies(count + 3000..<count + 6000))
  done.isDone = true
  try database.close()
  print(
    #"{"measure":"sync_beside_checkpoint","quiet_p99_us":\#(quiet * 1e6),"#
      + #""busy_p99_us":\#(busy * 1e6),"ratio":\#(busy / quiet)}"#)
}

/// How long it takes to open a file that was closed.
func measureOpening(_ path: String, count: Int) throws {
  try? FileManager.default.removeItem(atPath: path)
  let loader = try open(path, .none)
  for index in 0..<count { try insert(loader, index) }
  try loader.close()
  var database: Database?
  let time = try seconds { database = try open(path, .flush) }
  print(#"{"measure":"open","pairs":\#(count),"milliseconds":\#(time * 1e3)}"#)
  try database?.close()
}

/// Prints one line of results.
func report(_ measure: String, _ values: KeyValuePairs<String, Double>) {
  let fields = values.map { "\"\($0)\":\($1)" }.joined(separator: ",")
  print("{\"measure\":\"\(measure)\",\(fields)}")
}

/// A fresh file.
func create(_ path: String, _ durability: Database.Durability) throws -> Database {
  try? FileManager.default.removeItem(atPath: path)
  return try open(path, durability)
}

/// Transactions of a thousand inserts, synced at each commit, until `count` pairs are there.
func measureTransactions(_ path: String, count: Int) throws {
  let database = try create(path, .sync)
  let time = try seconds {
    for start in stride(from: 0, to: count, by: 1000) {
      try database.write { transaction in
        for index in start..<min(count, start + 1000) {
          var pair = (key(index).bigEndian, UInt64(index))
          try withUnsafeBytes(of: &pair) {
            _ = try transaction.insert(
              UnsafeRawBufferPointer(rebasing: $0[..<8]),
              UnsafeRawBufferPointer(rebasing: $0[8...]))
          }
        }
      }
    }
  }
  report("transactions_of_1000", ["inserts_per_second": Double(count) / time])
  try database.close()
}

/// A snapshot taken and dropped, and lookups through one beside direct ones.
func measureSnapshotReads(_ path: String, count: Int) throws {
  let database = try create(path, .flush)
  for index in 0..<count { try insert(database, index) }
  let taking = try seconds { for _ in 0..<count { _ = try database.snapshot() } }
  func lookUpAll(_ tree: some ReadableTree) throws -> Double {
    try seconds {
      for index in 0..<count {
        var wanted = key(index &* 7919 % count).bigEndian
        let found = try withUnsafeBytes(of: &wanted) { key in
          try tree.withValue(of: key) { $0.unsafeLoadUnaligned(as: UInt64.self) }
        }
        precondition(found == UInt64(index &* 7919 % count))
      }
    }
  }
  let snapshot = try database.snapshot()
  var direct: [Double] = []
  var through: [Double] = []
  for _ in 0..<3 {
    direct.append(try lookUpAll(database))
    through.append(try lookUpAll(snapshot))
  }
  report(
    "snapshots_and_reads",
    [
      "take_and_drop_ns": taking / Double(count) * 1e9,
      "lookup_ns": direct.sorted()[1] / Double(count) * 1e9,
      "lookup_through_snapshot_ns": through.sorted()[1] / Double(count) * 1e9,
    ])
  try database.close()
}

/// Sorted pairs loaded from memory, half of them cut off again, and counts.
func measureRanges(_ path: String, count: Int) throws {
  let database = try create(path, .flush)
  let pairs = (0..<2 * count).map { index in
    (withUnsafeBytes(of: UInt64(index).bigEndian) { Array($0) }, Array("12345678".utf8))
  }
  let loading = try seconds { _ = try database.load(ascending: pairs) }
  var removed = 0
  let range = KeyRange.range(pairs[count / 2].0, pairs[count / 2 + count].0)
  let estimating = try seconds { removed = try database.estimatedCount(in: range) }
  let counting = try seconds { removed = try database.count(in: range) }
  let removing = try seconds { removed = try database.removeRange(range) }
  precondition(removed == count && database.count == count)
  let full = try database.statistics()
  report(
    "ranges",
    [
      "load_pairs_per_second": Double(2 * count) / loading, "estimate_us": estimating * 1e6,
      "count_ms": counting * 1e3, "remove_range_ms": removing * 1e3, "fill": full.fill,
    ])
  try database.close()
}

/// Values of 1 MiB, written and read.
func measureLargeValues(_ path: String) throws {
  let value = [UInt8](repeating: 0x5A, count: 1 << 20)
  for durability in [Database.Durability.flush, .sync] {
    let database = try create(path, durability)
    let writing = try seconds {
      for index in 0..<256 { try database.insert("value \(index)", value) }
    }
    var sum = 0
    let reading = try seconds {
      for index in 0..<256 { sum += try database.lookup("value \(index)")?.count ?? 0 }
    }
    var words: UInt64 = 0
    let mapped = try seconds {
      for index in 0..<256 {
        try database.reader(of: "value \(index)")?.forEachPiece { bytes in
          bytes.withUnsafeBytes { for word in $0.bindMemory(to: UInt64.self) { words &+= word } }
        }
      }
    }
    precondition(sum == 256 << 20 && words != 1)
    report(
      "large_values_\(durability.rawValue)",
      [
        "write_mb_per_second": 268.4 / writing, "read_mb_per_second": 268.4 / reading,
        "mapped_mb_per_second": 268.4 / mapped,
      ])
    try database.close()
  }
}

/// Lookups of several threads, a snapshot each.
func measureReaders(_ path: String, count: Int) throws {
  let database = try create(path, .flush)
  for index in 0..<count { try insert(database, index) }
  var rates: [Double] = []
  for threadCount in [1, 2, 8] {
    let time = seconds {
      DispatchQueue.concurrentPerform(iterations: threadCount) { thread in
        guard let snapshot = try? database.snapshot() else { return }
        for index in 0..<count / threadCount {
          var wanted = key((index &* 7919 &+ thread) % count).bigEndian
          withUnsafeBytes(of: &wanted) { key in
            _ = try? snapshot.withValue(of: key) { $0.byteCount }
          }
        }
      }
    }
    rates.append(Double(count) / time)
  }
  report(
    "snapshot_readers",
    ["one_per_second": rates[0], "two_per_second": rates[1], "eight_per_second": rates[2]])
  try database.close()
}

let path = NSTemporaryDirectory() + "measure-\(ProcessInfo.processInfo.processIdentifier).btreekv"
defer { try? FileManager.default.removeItem(atPath: path) }
let wantedCount = CommandLine.arguments.dropFirst().first.flatMap { Int($0) }
let count = wantedCount ?? 1_000_000
let vectorCount = wantedCount ?? 50_000_000
let compressedCount = wantedCount ?? 10_000_000
let measures: KeyValuePairs<String, () throws -> Void> = [
  "snapshots": { try measureSnapshots(path, count: count) },
  "checkpoints": { try measureCheckpointLatency(path, count: count) },
  "opening": { try measureOpening(path, count: count) },
  "transactions": { try measureTransactions(path, count: count) },
  "reads": { try measureSnapshotReads(path, count: count) },
  "ranges": { try measureRanges(path, count: count) },
  "large": { try measureLargeValues(path) },
  "readers": { try measureReaders(path, count: count) },
  "long_region": { try measureLongRegion(path) },
  "short_appends": { try measureShortAppends(path) },
  "many_regions": { try measureManyRegions(path) },
  "two_regions": { try measureTwoRegions(path) },
  "entries": { try measureSmallEntries(path, count: count) },
  "large_entries": { try measureLargeEntries(path) },
  "vector_append": { try measureVectorAppends(path, count: vectorCount) },
  "vector_scan": { try measureVectorScans(path, count: vectorCount) },
  "vector_reads": { try measureVectorReads(path, count: vectorCount) },
  "vector_updates": { try measureVectorUpdates(path, count: vectorCount) },
  "vector_stamps": { try measureVectorStamps(path, count: vectorCount) },
  "vector_open": { try measureVectorOpening(path, count: vectorCount) },
  "compressed_reads": { try measureCompressedReads(path, count: compressedCount) },
  "compressed_filter": { try measureCompressedFilter(path, count: compressedCount) },
]
let wanted = CommandLine.arguments.dropFirst(2)
do {
  for (name, measure) in measures where wanted.isEmpty || wanted.contains(name) { try measure() }
} catch {
  print("measure: \(error)")
  exit(1)
}
