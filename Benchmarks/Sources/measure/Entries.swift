import BTreeKV
import Foundation
import Regions

// An entry store: small entries one by one and in batches, reads, compaction, large entries, a stream.

/// The bytes that the file system has given a file.
private func allocatedByteCount(_ path: String) -> Int {
  var status = stat()
  precondition(stat(path, &status) == 0)
  return Int(status.st_blocks) * 512
}

private func bytes(of number: Int) -> [UInt8] {
  withUnsafeBytes(of: UInt64(number).bigEndian) { Array($0) }
}

@inline(never)
private func sum(_ entry: Entry) -> UInt64 {
  entry.bytes.withUnsafeBytes { bytes in
    var total: UInt64 = 0
    var offset = 0
    while offset + 8 <= bytes.count {
      total &+= bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
      offset += 8
    }
    return total
  }
}

private func show(_ measure: String, _ figures: [String: Double]) {
  let fields = figures.sorted { $0.key < $1.key }.map { "\"\($0.key)\":\($0.value)" }
  print("{\"measure\":\"\(measure)\",\(fields.joined(separator: ","))}")
}

/// `count` entries of 8 bytes.
func measureSmallEntries(_ path: String, count: Int) throws {
  let keys = (0..<count).map { bytes(of: $0) }
  var figures: [String: Double] = [:]
  var database = try create(path, .flush)
  var store = try EntryStore(database, "entries")
  var time = try seconds { for key in keys { try store.write(key, key) } }
  figures["writes_per_second"] = Double(count) / time
  try database.checkpoint()
  try database.close()
  figures["bytes_an_entry"] = Double(allocatedByteCount(path)) / Double(count)

  time = try seconds {
    database = try open(path, .flush)
    store = try EntryStore(database, "entries")
    let found = try store.count
    precondition(found == count)
  }
  figures["open_milliseconds"] = time * 1000
  var total: UInt64 = 0
  for key in keys { total &+= try store.read(key).map { sum($0) } ?? 0 }
  let probes = (0..<count).map { _ in Int.random(in: 0..<count) }
  time = try seconds {
    // The keys are made here: those in memory would be missed in the caches, too.
    for probe in probes {
      total &+= try withUnsafeBytes(of: UInt64(probe).bigEndian) { key in
        try store.read(key).map { sum($0) } ?? 0
      }
    }
  }
  figures["random_read_nanoseconds"] = time * 1e9 / Double(count)
  time = try seconds { for key in keys { try store.write(key, key) } }
  figures["overwrites_per_second"] = Double(count) / time
  figures["compact_seconds"] = try seconds { _ = try store.compact() }
  let found = try store.count
  precondition(found == count && total != 1)
  try database.close()

  database = try create(path, .flush)
  store = try EntryStore(database, "entries")
  time = try seconds {
    for start in stride(from: 0, to: count, by: 1000) {
      try store.write(keys[start..<min(count, start + 1000)].lazy.map { (key: $0, bytes: $0) })
    }
  }
  figures["batched_writes_per_second"] = Double(count) / time
  try database.close()
  show("entries", figures)
}

/// 1024 entries of 1 MiB, and a stream of 1 GiB; medians of three rounds.
func measureLargeEntries(_ path: String) throws {
  let payload = [UInt8](unsafeUninitializedCapacity: 1 << 20) { room, count in
    for index in 0..<room.count { room[index] = UInt8(truncatingIfNeeded: key(index)) }
    count = room.count
  }
  let plainPath = path + ".plain"
  defer { unlink(plainPath) }
  var times: [String: [Double]] = [:]
  func note(_ name: String, _ time: Double) { times[name, default: []].append(time) }
  for _ in 0..<3 {
    let file = PlainFile(plainPath, byteCount: 1 << 30)
    takeMemory(path + ".memory", byteCount: 5 << 28)
    note(
      "plain",
      seconds {
        for number in 0..<1024 { payload.withUnsafeBytes { file.write($0, at: number << 20) } }
        file.synchronize()
      })
    let database = try create(path, .flush)
    let store = try EntryStore(database, "large")
    takeMemory(path + ".memory", byteCount: 5 << 28)
    note(
      "entries",
      try seconds {
        for number in 0..<1024 { try store.write(bytes(of: number), payload) }
        try database.waitUntilDurable()
      })
    takeMemory(path + ".memory", byteCount: 5 << 28)
    note(
      "stream",
      try seconds {
        try store.write("stream") { writer in
          for _ in 0..<1024 { try writer.write(payload) }
        }
        try database.waitUntilDurable()
      })
    var total: UInt64 = 0
    // The first time maps it.
    total &+= try store.read("stream").map { sum($0) } ?? 0
    note("read", try seconds { total &+= try store.read("stream").map { sum($0) } ?? 0 })
    precondition(total != 1)
    try database.close()
  }
  var figures = times.mapValues { 1073.7 / median($0) }
  for name in ["entries", "stream"] {
    figures[name + "_share"] = (figures[name] ?? 0) / (figures["plain"] ?? 0)
  }
  show(
    "large_entries",
    Dictionary(
      uniqueKeysWithValues: figures.map {
        ($0.key.hasSuffix("share") ? $0.key : $0.key + "_MB_per_second", $0.value)
      }))
}
