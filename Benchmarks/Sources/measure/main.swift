import BTreeKV
import Foundation

// What needs the API rather than the Demo's phases: `swift run -c release --package-path Benchmarks
// measure`. Prints one JSON object a line.

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
        // A cursor holds a snapshot from its making to its end.
        if round % 2 == 1 { _ = try database.cursor() }
      }
    }
    rates[round % 2].append(Double(count) / time)
    try database.close()
  }
  let medians = rates.map { $0.sorted()[1] }
  print(
    #"{"measure":"snapshots","plain_per_second":\#(Int(medians[0])),"#
      + #""with_cursor_per_second":\#(Int(medians[1])),"share":\#(medians[1] / medians[0])}"#)
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

let path = NSTemporaryDirectory() + "measure-\(ProcessInfo.processInfo.processIdentifier).btreekv"
defer { try? FileManager.default.removeItem(atPath: path) }
let count = CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 1_000_000
do {
  try measureSnapshots(path, count: count)
  try measureCheckpointLatency(path, count: count)
  try measureOpening(path, count: count)
} catch {
  print("measure: \(error)")
  exit(1)
}
