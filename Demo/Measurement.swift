import BTreeKV

/// What ends a demo early.
enum DemoFailure: Error {
  /// The database gave an answer that it should not have given.
  case wrongAnswer(String)
  case interrupted(phase: String, done: UInt64)
}

/// What a phase came to.
struct Measurement {
  var operations: UInt64
  var nanoseconds: UInt64
  var latencies: Histogram?

  var seconds: Double { Double(nanoseconds) * 1e-9 }
  var operationsPerSecond: Double { Double(operations) / max(seconds, 1e-9) }
}

/// What every phase works on.
struct Bench {
  let database: Database
  let workload: Workload
  let options: Options
  let report: Report
  /// Whether the file was there before, so that pairs may be in it already.
  let isReused: Bool
  /// Whether writers may have replaced values, here or in an earlier run on the same file.
  var allowsReplacedValues: Bool

  /// The generation that values must have; nil for any.
  var expectedGeneration: UInt64? { allowsReplacedValues ? nil : 0 }

  /// Runs an operation for every number below `operations`, and times them.
  @inline(__always)
  func measure(
    _ phase: Options.Phase, operations: UInt64, _ operation: (UInt64) throws -> Void
  ) throws -> Measurement {
    var progress = Progress(phase: phase.rawValue, total: operations)
    defer { progress.erase() }
    let start = monotonicNanoseconds()
    guard options.measuresLatency else {
      for number in 0..<operations {
        if number >= progress.nextCheck { try progress.check(number) }
        try operation(number)
      }
      return Measurement(operations: operations, nanoseconds: monotonicNanoseconds() - start)
    }
    var latencies = Histogram()
    var before = start
    for number in 0..<operations {
      if number >= progress.nextCheck {
        try progress.check(number)
        before = monotonicNanoseconds()
      }
      try operation(number)
      let after = monotonicNanoseconds()
      latencies.record(after &- before)
      before = after
    }
    return Measurement(
      operations: operations, nanoseconds: monotonicNanoseconds() - start, latencies: latencies)
  }

  /// Lends buffers for a key and a value; the only memory that a phase needs.
  @inline(__always)
  func withBuffers<R>(
    _ body: (_ key: UnsafeMutableRawBufferPointer, _ value: UnsafeMutableRawBufferPointer) throws
      -> R
  ) throws -> R {
    let key = UnsafeMutableRawBufferPointer.allocate(
      byteCount: workload.keyByteCount, alignment: 8)
    let value = UnsafeMutableRawBufferPointer.allocate(
      byteCount: workload.valueByteCount, alignment: 8)
    defer {
      key.deallocate()
      value.deallocate()
    }
    return try body(key, value)
  }

  /// A key as the messages print it.
  func text(ofKeyWord word: UInt64) -> String {
    let key = UnsafeMutableRawBufferPointer.allocate(
      byteCount: workload.keyByteCount, alignment: 8)
    defer { key.deallocate() }
    workload.writeKey(word: word, to: key)
    return hexadecimal(key)
  }
}

func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
  bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}

/// A number with so many decimal places; never in the notation with an exponent.
func decimal(_ number: Double, places: Int) -> String {
  var scale = 1.0
  for _ in 0..<places { scale *= 10 }
  let scaled = UInt64((max(number, 0) * scale).rounded())
  guard places > 0 else { return String(scaled) }
  let unit = UInt64(scale)
  let fraction = String(scaled % unit)
  return "\(scaled / unit)." + String(repeating: "0", count: places - fraction.count) + fraction
}
