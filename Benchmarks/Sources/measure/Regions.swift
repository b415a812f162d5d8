import BTreeKV
import Foundation
import Regions

// Regions beside what the machine can do: plain writes into an allocated file, and a plain mapping.

/// A plain file, for comparison.
final class PlainFile {
  let descriptor: Int32

  /// A new file.
  ///
  /// - Parameter byteCount: how many bytes it is given from the start; nil: it grows as it is written.
  init(_ path: String, byteCount: Int?) {
    unlink(path)
    descriptor = Foundation.open(path, O_RDWR | O_CREAT, 0o600)
    precondition(descriptor >= 0)
    if let byteCount { precondition(posix_fallocate(descriptor, 0, off_t(byteCount)) == 0) }
  }

  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) {
    precondition(pwrite(descriptor, bytes.baseAddress, bytes.count, off_t(offset)) == bytes.count)
  }

  func synchronize() { precondition(fdatasync(descriptor) == 0) }

  func map(byteCount: Int) -> UnsafeRawBufferPointer {
    let base = mmap(nil, byteCount, PROT_READ, MAP_SHARED, descriptor, 0)
    return UnsafeRawBufferPointer(start: base, count: byteCount)
  }

  deinit { close(descriptor) }
}

/// Makes the system's free memory ready for what is measured next: a virtual machine's host takes back
/// what has been free for a while, and a page of it costs ten times as much as one that was just let go.
///
/// - Parameter path: where a file may lie for a moment.
func takeMemory(_ path: String, byteCount: Int) {
  let file = PlainFile(path, byteCount: nil)
  let piece = [UInt8](repeating: 1, count: 1 << 20)
  for offset in stride(from: 0, to: byteCount, by: piece.count) {
    piece.withUnsafeBytes { file.write($0, at: offset) }
  }
  unlink(path)
}

func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }

@inline(never)
private func sum(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
  let words = bytes.assumingMemoryBound(to: UInt64.self)
  var a: UInt64 = 0
  var b: UInt64 = 0
  var index = 0
  while index + 2 <= words.count {
    a &+= words[index]
    b &+= words[index + 1]
    index += 2
  }
  return a &+ b
}

/// Sums words at random places.
@inline(never)
private func randomSum(_ bytes: UnsafeRawBufferPointer, count: Int) -> UInt64 {
  let words = bytes.assumingMemoryBound(to: UInt64.self)
  let mask = words.count - 1
  var state: UInt64 = 88_172_645_463_325_252
  var total: UInt64 = 0
  for _ in 0..<count {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    total &+= words[Int(truncatingIfNeeded: state) & mask]
  }
  return total
}

/// 1 GiB in pieces of 64 KiB: appended, flushed, read.
func measureLongRegion(_ path: String) throws {
  let byteCount = 1 << 30
  let piece = [UInt8](unsafeUninitializedCapacity: 64 << 10) { room, count in
    for index in 0..<room.count { room[index] = UInt8(truncatingIfNeeded: key(index)) }
    count = room.count
  }
  let plainPath = path + ".plain"
  defer { unlink(plainPath) }
  var plain: [Double] = []
  var ours: [Double] = []
  var plainUnflushed: [Double] = []
  var oursUnflushed: [Double] = []
  var scans: [[Double]] = [[], []]
  var randoms: [[Double]] = [[], []]
  let probes = 20_000_000
  for _ in 0..<3 {
    takeMemory(path + ".memory", byteCount: byteCount * 5 / 4)
    let file = PlainFile(plainPath, byteCount: byteCount)
    let start = ContinuousClock.now
    for offset in stride(from: 0, to: byteCount, by: piece.count) {
      piece.withUnsafeBytes { file.write($0, at: offset) }
    }
    plainUnflushed.append(start.duration(to: .now) / .seconds(1))
    file.synchronize()
    plain.append(start.duration(to: .now) / .seconds(1))

    let database = try create(path, .flush)
    let region = try database.region("long")
    takeMemory(path + ".memory", byteCount: byteCount * 5 / 4)
    let begin = ContinuousClock.now
    for _ in 0..<byteCount / piece.count { try region.append(piece) }
    oursUnflushed.append(begin.duration(to: .now) / .seconds(1))
    try database.waitUntilDurable()
    ours.append(begin.duration(to: .now) / .seconds(1))

    let mapped = file.map(byteCount: byteCount)
    let reader = try region.reader()
    var total: UInt64 = 0
    for _ in 0..<2 {
      scans[0].append(seconds { total &+= sum(mapped) })
      scans[1].append(seconds { reader.bytes.withUnsafeBytes { total &+= sum($0) } })
    }
    randoms[0].append(seconds { total &+= randomSum(mapped, count: probes) })
    randoms[1].append(
      seconds { reader.bytes.withUnsafeBytes { total &+= randomSum($0, count: probes) } })
    precondition(total != 1)
    munmap(UnsafeMutableRawPointer(mutating: mapped.baseAddress), byteCount)
    try database.close()
  }
  let megabytes = Double(byteCount) / 1e6
  report(
    "region_append_64KiB",
    [
      "plain_MB_per_second": megabytes / median(plain),
      "region_MB_per_second": megabytes / median(ours),
      "share": median(plain) / median(ours),
      "plain_unflushed": megabytes / median(plainUnflushed),
      "region_unflushed": megabytes / median(oursUnflushed),
    ])
  reportReads(scans, randoms, megabytes: megabytes, probeCount: probes)
}

/// Reports what reading took: of a plain file's mapping, and of a region.
private func reportReads(
  _ scans: [[Double]], _ randoms: [[Double]], megabytes: Double, probeCount: Int
) {
  let words = scans.map { Array($0.dropFirst()) }
  report(
    "region_scan",
    [
      "plain_GB_per_second": megabytes / 1000 / median(words[0]),
      "region_GB_per_second": megabytes / 1000 / median(words[1]),
      "share": median(words[0]) / median(words[1]),
    ])
  report(
    "region_random_read",
    [
      "plain_ns": median(randoms[0]) * 1e9 / Double(probeCount),
      "region_ns": median(randoms[1]) * 1e9 / Double(probeCount),
      "ratio": median(randoms[1]) / median(randoms[0]),
    ])
}

/// Appends of 100 bytes.
func measureShortAppends(_ path: String) throws {
  var rates: [Double] = []
  let bytes = [UInt8](repeating: 7, count: 100)
  for durability in [Database.Durability.none, .flush] {
    var times: [Double] = []
    let count = 2_000_000
    for _ in 0..<3 {
      let database = try create(path, durability)
      let region = try database.region("short")
      times.append(try seconds { for _ in 0..<count { try region.append(bytes) } })
      try database.close()
    }
    rates.append(Double(count) / median(times))
  }
  report(
    "region_append_100", ["none_per_second": rates[0], "flush_per_second": rates[1]])
}

/// Many regions of 100 bytes.
func measureManyRegions(_ path: String) throws {
  let count = 10_000
  let bytes = [UInt8](repeating: 7, count: 100)
  let database = try create(path, .flush)
  let creation = try seconds {
    try database.write { transaction in
      for index in 0..<count { try transaction.region("region \(index)").append(bytes) }
    }
  }
  try database.close()
  let length = try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int ?? 0
  var database2: Database?
  let opening = try seconds { database2 = try open(path, .flush) }
  let before = try database2?.regionNames().count ?? 0
  for index in stride(from: 1, to: count, by: 2) {
    _ = try database2?.removeRegion("region \(index)")
  }
  let compaction = try seconds { _ = try database2?.compact() }
  var status = stat()
  stat(path, &status)
  try database2?.close()
  var closed = stat()
  stat(path, &closed)
  report(
    "regions_many",
    [
      "created_per_second": Double(count) / creation, "file_MB": Double(length) / 1e6,
      "open_ms": opening * 1000, "regions": Double(before), "compact_ms": compaction * 1000,
      "half_file_MB": Double(status.st_size) / 1e6,
      "half_allocated_MB": Double(status.st_blocks) * 512 / 1e6,
      "half_closed_MB": Double(closed.st_size) / 1e6,
    ])
}

/// Two regions that grow in turn to 256 MiB.
func measureTwoRegions(_ path: String) throws {
  let byteCount = 256 << 20
  let piece = [UInt8](repeating: 7, count: 256 << 10)
  let database = try create(path, .flush)
  let time = try seconds {
    let regions = [try database.region("a"), try database.region("b")]
    for _ in 0..<byteCount / piece.count {
      for region in regions { try region.append(piece) }
    }
    try database.waitUntilDurable()
  }
  var status = stat()
  stat(path, &status)
  report(
    "regions_in_turn",
    [
      "seconds": time,
      "allocated_share": Double(status.st_blocks) * 512 / Double(2 * byteCount),
    ])
  try database.close()
}
