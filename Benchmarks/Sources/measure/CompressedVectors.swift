import BTreeKV
import Foundation
import Vectors

// Compressed vectors beside plain memory, and beside decompressing pages.

/// Times in milliseconds, a minute apart with some jitter: ascending but for neighbours.
private func times(_ count: Int) -> [UInt64] {
  (0..<count).map { 1_700_000_000_000 + 60_000 * UInt64($0) + key($0) % 65_536 }
}

private func load(
  _ path: String, _ source: [UInt64]
) throws -> (Database, CompressedVector<UInt64>) {
  let database = try create(path, .flush)
  let vector = try CompressedVector<UInt64>.open("times", in: database)
  try vector.write(appending: source)
  try database.checkpoint()
  return (database, vector)
}

@inline(never)
private func sum(
  _ reader: CompressedVectorReader<UInt64>, at probes: [Int]
) throws -> UInt64 {
  var total: UInt64 = 0
  for place in probes { total &+= try reader.value(at: place) }
  return total
}

/// Random reads: among a million elements, all pages of which are kept decompressed; of all elements,
/// likewise; and where each read needs another page.
func measureCompressedReads(_ path: String, count: Int) throws {
  let source = times(count)
  let (database, vector) = try load(path, source)
  try reportCachedReads(
    "compressed_reads_kept", source, try vector.reader(), below: min(count, 1_000_000))
  try reportCachedReads(
    "compressed_reads_all_kept", source, try vector.reader(cacheByteCount: 16 * count),
    below: count)
  try reportUncachedReads(source, vector)
  try database.close()
}

private func reportCachedReads(
  _ measure: String, _ source: [UInt64], _ reader: CompressedVectorReader<UInt64>, below count: Int
) throws {
  let probes = probes(4_000_000, below: count)
  var times: [[Double]] = [[], []]
  for round in 0...3 * roundCount {
    var sums: [UInt64] = []
    let plain = source.withUnsafeBufferPointer { source in
      seconds { sums.append(sum(source, at: probes)) }
    }
    let ours = try seconds { sums.append(try sum(reader, at: probes)) }
    precondition(sums[0] == sums[1])
    guard round > 0 else { continue }
    times[0].append(plain)
    times[1].append(ours)
  }
  let nanoseconds = times.map { median($0) * 1e9 / Double(probes.count) }
  report(
    measure,
    [
      "plain_ns": nanoseconds[0], "vector_ns": nanoseconds[1],
      "ratio": nanoseconds[1] / nanoseconds[0],
    ])
}

/// A read that needs a page which is not kept, beside decompressing that page from memory.
private func reportUncachedReads(
  _ source: [UInt64], _ vector: CompressedVector<UInt64>
) throws {
  let pageElementCount = CompressionOptions().pageElementCount
  let pageCount = source.count / pageElementCount
  guard pageCount > 2 else { return }
  let pages = try (0..<pageCount).map { page in
    try Pco.compress(source[page * pageElementCount..<(page + 1) * pageElementCount].map { $0 })
  }
  let room = UnsafeMutableBufferPointer<UInt64>.allocate(capacity: pageElementCount)
  defer { room.deallocate() }
  let probeCount = 3000
  let reader = try vector.reader(cacheByteCount: 0)
  var times: [[Double]] = [[], []]
  for round in 0...roundCount {
    var sums: [UInt64] = [0, 0]
    let probes = probes(probeCount, below: pageCount * pageElementCount)
    let plain = try seconds {
      for probe in probes {
        try pages[probe / pageElementCount].withUnsafeBytes {
          let found = try Pco.decompress($0, into: room)
          precondition(found == pageElementCount)
        }
        sums[0] &+= room[probe % pageElementCount]
      }
    }
    let ours = try seconds { for probe in probes { sums[1] &+= try reader.value(at: probe) } }
    precondition(sums[0] == sums[1])
    guard round > 0 else { continue }
    times[0].append(plain)
    times[1].append(ours)
  }
  let microseconds = times.map { median($0) * 1e6 / Double(probeCount) }
  report(
    "compressed_reads_not_kept",
    [
      "decompress_page_us": microseconds[0], "vector_us": microseconds[1],
      "ratio": microseconds[1] / microseconds[0],
    ])
}

/// The places of the hundredth of the elements that lies in some bounds, beside decompressing all.
func measureCompressedFilter(_ path: String, count: Int) throws {
  let source = times(count)
  let (database, vector) = try load(path, source)
  let low = source[count / 2]
  let bounds = low..<low + 60_000 * UInt64(count / 100)
  let expected = source.indices.filter { bounds.contains(source[$0]) }
  var times: [[Double]] = [[], [], []]
  for round in 0...roundCount {
    var total: UInt64 = 0
    let decoding = try seconds {
      try vector.reader().forEachSpan { span in total &+= span[span.count - 1] }
    }
    let scanning = try seconds {
      var found: [Int] = []
      var start = 0
      try vector.reader().forEachSpan { span in
        for index in span.indices where bounds.contains(span[index]) { found.append(start + index) }
        start += span.count
      }
      precondition(found == expected)
    }
    var found: [Int] = []
    let filtering = try seconds { found = try vector.reader().indices(where: bounds) }
    precondition(found == expected && total > 0)
    guard round > 0 else { continue }
    for (index, time) in [decoding, scanning, filtering].enumerated() { times[index].append(time) }
  }
  let milliseconds = times.map { median($0) * 1e3 }
  report(
    "compressed_filter",
    [
      "decompress_all_ms": milliseconds[0], "filter_all_ms": milliseconds[1],
      "filter_ms": milliseconds[2], "times_faster": milliseconds[0] / milliseconds[2],
      "M_elements_per_second_decompressed": Double(count) / 1e3 / milliseconds[0],
    ])
  try database.close()
}
