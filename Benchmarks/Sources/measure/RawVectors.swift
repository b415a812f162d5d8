import BTreeKV
import Foundation
import Vectors

// Raw vectors beside what the machine can do: plain writes, and the same loops over a plain mapping.

let roundCount = 5

/// Numbers of which no two neighbours are alike.
private func numbers(_ count: Int) -> [UInt64] { (0..<count).map { key($0) } }

/// A file of numbers, mapped.
private final class MappedNumbers {
  let bytes: UnsafeRawBufferPointer
  private let path: String
  private let file: PlainFile

  init(_ path: String, _ source: UnsafeRawBufferPointer) {
    self.path = path
    file = PlainFile(path, byteCount: source.count)
    file.write(all: source)
    bytes = file.map(byteCount: source.count)
  }

  func elements<Number: BitwiseCopyable>(_: Number.Type) -> UnsafeBufferPointer<Number> {
    bytes.assumingMemoryBound(to: Number.self)
  }

  deinit {
    munmap(UnsafeMutableRawPointer(mutating: bytes.baseAddress), bytes.count)
    unlink(path)
  }
}

extension PlainFile {
  /// Writes bytes from the file's start on, a mebibyte at a time.
  func write(all bytes: UnsafeRawBufferPointer) {
    for offset in stride(from: 0, to: bytes.count, by: 1 << 20) {
      let end = min(bytes.count, offset + 1 << 20)
      write(UnsafeRawBufferPointer(rebasing: bytes[offset..<end]), at: offset)
    }
  }
}

/// Appends, until they are durable: an array at once, an array through the buffer, one by one.
func measureVectorAppends(_ path: String, count: Int) throws {
  let source = numbers(count)
  let plainPath = path + ".plain"
  defer { unlink(plainPath) }
  var grown: [Double] = []
  var allocated: [Double] = []
  var ours: [[Double]] = [[], [], []]
  for _ in 0..<roundCount {
    source.withUnsafeBytes { bytes in
      for byteCount in [nil, bytes.count] {
        let file = PlainFile(plainPath, byteCount: byteCount)
        let time = seconds {
          file.write(all: bytes)
          file.synchronize()
        }
        if byteCount == nil { grown.append(time) } else { allocated.append(time) }
      }
    }
    for shape in ours.indices {
      let database = try create(path, .flush)
      let vector = try RawVector<UInt64>.open("numbers", in: database)
      let time = try seconds {
        switch shape {
        case 0: try vector.write(appending: source)
        case 1: vector.append(contentsOf: source)
        default: for number in source { vector.append(number) }
        }
        try vector.flush()
        try database.waitUntilDurable()
      }
      ours[shape].append(time)
      let found = try vector.count
      precondition(found == count)
      try database.close()
    }
  }
  func rate(_ times: [Double]) -> Double { Double(count) / 1e6 / median(times) }
  report(
    "vector_append",
    [
      "pwrite_M_per_second": rate(grown), "pwrite_allocated_M_per_second": rate(allocated),
      "write_M_per_second": rate(ours[0]), "append_contents_M_per_second": rate(ours[1]),
      "append_each_M_per_second": rate(ours[2]),
      "write_share": median(grown) / median(ours[0]),
      "append_contents_share": median(grown) / median(ours[1]),
      "append_each_share": median(grown) / median(ours[2]),
    ])
}

// MARK: Reads

@inline(never)
private func sum(_ numbers: UnsafeBufferPointer<UInt64>) -> UInt64 {
  var total: UInt64 = 0
  for number in numbers { total &+= number }
  return total
}

/// Without losing what overflows, as a vector's own sum.
@inline(never)
private func exactSum(_ numbers: UnsafeBufferPointer<UInt64>) -> UInt128 {
  var total: UInt128 = 0
  for start in stride(from: 0, to: numbers.count, by: 65536) {
    var (whole, high): (UInt64, UInt64) = (0, 0)
    for index in start..<min(numbers.count, start + 65536) {
      whole &+= numbers[index]
      high &+= numbers[index] >> 32
    }
    total += UInt128(high) << 32 + UInt128(whole &- high << 32)
  }
  return total
}

/// In eight lanes, as a vector's own sum: one after the other could not be vectorised.
@inline(never)
private func sum(_ numbers: UnsafeBufferPointer<Double>) -> Double {
  var lanes = SIMD8<Double>.zero
  var index = 0
  while index + 8 <= numbers.count {
    lanes += SIMD8(
      numbers[index], numbers[index + 1], numbers[index + 2], numbers[index + 3],
      numbers[index + 4], numbers[index + 5], numbers[index + 6], numbers[index + 7])
    index += 8
  }
  while index < numbers.count {
    lanes[index & 7] += numbers[index]
    index += 1
  }
  return lanes.sum()
}

/// Sums of all elements: the vector's own, and the plain loop's over what the reader lends.
func measureVectorScans(_ path: String, count: Int) throws {
  let source = numbers(count)
  let plain = source.withUnsafeBytes { MappedNumbers(path + ".plain", $0) }
  let database = try create(path, .flush)
  let integers = try RawVector<UInt64>.open("integers", in: database)
  try integers.write(appending: source)
  try reportScans(
    "vector_scan_u64", plain.elements(UInt64.self), try integers.reader(), plain: { sum($0) },
    same: { UInt64(truncatingIfNeeded: exactSum($0)) },
    own: { UInt64(truncatingIfNeeded: $0.sum()) })
  try database.removeVector("integers")

  let fractions = source.map { Double($0 >> 40) / 8 }
  let other = fractions.withUnsafeBytes { MappedNumbers(path + ".plain", $0) }
  let floats = try RawVector<Double>.open("floats", in: database)
  try floats.write(appending: fractions)
  try reportScans(
    "vector_scan_f64", other.elements(Double.self), try floats.reader(), plain: { sum($0) },
    same: { sum($0) },
    own: { $0.sum() })
  try database.close()
}

/// - Parameters:
///   - plain: the shortest loop.
///   - same: the loop that `own` is made of.
private func reportScans<Number: VectorElement & AdditiveArithmetic>(
  _ measure: String, _ mapped: UnsafeBufferPointer<Number>, _ reader: RawVectorReader<Number>,
  plain: (UnsafeBufferPointer<Number>) -> Number, same: (UnsafeBufferPointer<Number>) -> Number,
  own: (RawVectorReader<Number>) -> Number
) throws where Number.Stored == Number {
  var times: [[Double]] = [[], [], [], []]
  // The first round touches all pages of both mappings.
  for round in 0...3 * roundCount {
    var sums: [Number] = []
    let found = [
      seconds { sums.append(plain(mapped)) }, seconds { sums.append(own(reader)) },
      seconds {
        var total = Number.zero
        reader.forEachSpan { span in span.withUnsafeBufferPointer { total += plain($0) } }
        sums.append(total)
      },
      seconds { sums.append(same(mapped)) },
    ]
    precondition(sums.allSatisfy { $0 == sums[0] })
    if round > 0 { for index in times.indices { times[index].append(found[index]) } }
  }
  let rates = times.map { Double(mapped.count) / 1e9 / median($0) }
  report(
    measure,
    [
      "plain_G_per_second": rates[0], "same_loop_G_per_second": rates[3],
      "sum_G_per_second": rates[1], "spans_G_per_second": rates[2],
      "sum_share": rates[1] / rates[3], "sum_to_plain": rates[1] / rates[0],
      "spans_share": rates[2] / rates[0],
    ])
}

/// Places in random order, the same at each use.
struct RandomPlaces {
  private var state: UInt64 = 88_172_645_463_325_252
  let count: Int

  init(below count: Int) { self.count = count }

  @inline(__always)
  mutating func next() -> Int {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return Int(truncatingIfNeeded: state.multipliedFullWidth(by: UInt64(count)).high)
  }
}

/// Random places, made before anything is measured.
func probes(_ probeCount: Int, below count: Int) -> [Int] {
  var places = RandomPlaces(below: count)
  return (0..<probeCount).map { _ in places.next() }
}

@inline(never)
func sum(_ numbers: UnsafeBufferPointer<UInt64>, at probes: [Int]) -> UInt64 {
  var total: UInt64 = 0
  for place in probes { total &+= numbers[place] }
  return total
}

/// With each index compared with the bounds, as a vector's reader does.
@inline(never)
private func checkedSum(_ numbers: UnsafeBufferPointer<UInt64>, at probes: [Int]) -> UInt64 {
  let span = numbers.span
  var total: UInt64 = 0
  for place in probes { total &+= span[place] }
  return total
}

@inline(never)
private func sum(_ reader: RawVectorReader<UInt64>, at probes: [Int]) -> UInt64 {
  var total: UInt64 = 0
  for place in probes { total &+= reader[place] }
  return total
}

/// Elements at random places.
func measureVectorReads(_ path: String, count: Int) throws {
  let source = numbers(count)
  let plain = source.withUnsafeBytes { MappedNumbers(path + ".plain", $0) }
  let database = try create(path, .flush)
  let vector = try RawVector<UInt64>.open("numbers", in: database)
  try vector.write(appending: source)
  let reader = try vector.reader()
  let probes = probes(4_000_000, below: count)
  var times: [[Double]] = [[], [], [], []]
  for round in 0...5 * roundCount {
    var sums: [UInt64] = []
    let found = [
      seconds { sums.append(sum(plain.elements(UInt64.self), at: probes)) },
      seconds { sums.append(sum(reader, at: probes)) },
      seconds {
        reader.span.withUnsafeBufferPointer { sums.append(sum($0, at: probes)) }
      },
      seconds { sums.append(checkedSum(plain.elements(UInt64.self), at: probes)) },
    ]
    precondition(sums.allSatisfy { $0 == sums[0] })
    if round > 0 { for index in times.indices { times[index].append(found[index]) } }
  }
  let nanoseconds = times.map { median($0) * 1e9 / Double(probes.count) }
  report(
    "vector_reads",
    [
      "plain_ns": nanoseconds[0], "vector_ns": nanoseconds[1], "span_ns": nanoseconds[2],
      "checked_ns": nanoseconds[3], "ratio": nanoseconds[1] / nanoseconds[0],
      "ratio_to_checked": nanoseconds[1] / nanoseconds[3],
    ])
  try database.close()
}
