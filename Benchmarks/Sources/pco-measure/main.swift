// Compresses and decompresses one column of numbers, and prints what it took. `Benchmarks/pco` runs
// this beside the reference implementation.
//
//     pco-measure TYPE LEVEL REPEATS CHUNK FILE [OUTPUT]
//
// FILE holds the numbers' bytes, little-endian; they go in chunks of at most CHUNK. The output is one
// line: bytes, best nanoseconds of compressing, best nanoseconds of decompressing.

import Foundation
import Vectors

struct UsageError: Error {}

func nanoseconds(_ body: () throws -> Void) rethrows -> Int {
  let clock = ContinuousClock()
  let (seconds, attoseconds) = try clock.measure(body).components
  return Int(seconds) * 1_000_000_000 + Int(attoseconds / 1_000_000_000)
}

func measure<Number: PcoNumber>(_ type: Number.Type) throws {
  let words = CommandLine.arguments
  guard let level = Int(words[2]), let repeats = Int(words[3]), let chunk = Int(words[4]) else {
    throw UsageError()
  }
  let data = try Data(contentsOf: URL(filePath: words[5]))
  let count = data.count / MemoryLayout<Number>.size
  let numbers = UnsafeMutableBufferPointer<Number>.allocate(capacity: count)
  let back = UnsafeMutableBufferPointer<Number>.allocate(capacity: count)
  defer {
    numbers.deallocate()
    back.deallocate()
  }
  // Both are touched here, so that the first access to a page of memory is not measured.
  _ = data.copyBytes(to: UnsafeMutableRawBufferPointer(numbers))
  _ = data.copyBytes(to: UnsafeMutableRawBufferPointer(back))
  let options = PcoOptions(level: level, maximumChunkCount: chunk)
  var bytes: [UInt8] = []
  var (compressing, decompressing) = (Int.max, Int.max)
  for _ in 0..<max(1, repeats / 3) {
    let time = try nanoseconds {
      bytes = try Pco.compress(UnsafeBufferPointer(numbers), options: options)
    }
    compressing = min(compressing, time)
  }
  for _ in 0..<repeats {
    let time = try nanoseconds {
      try bytes.withUnsafeBytes { bytes in
        guard try Pco.decompress(bytes, into: back) == count else { throw UsageError() }
      }
    }
    decompressing = min(decompressing, time)
  }
  let before = UnsafeRawBufferPointer(numbers)
  guard before.elementsEqual(UnsafeRawBufferPointer(back)) else { throw UsageError() }
  if words.count > 6 { try Data(bytes).write(to: URL(filePath: words[6])) }
  print(bytes.count, compressing, decompressing)
}

guard CommandLine.arguments.count >= 6 else {
  print("usage: pco-measure TYPE LEVEL REPEATS CHUNK FILE [OUTPUT]")
  exit(2)
}
switch CommandLine.arguments[1] {
case "u8": try measure(UInt8.self)
case "u16": try measure(UInt16.self)
case "u32": try measure(UInt32.self)
case "u64": try measure(UInt64.self)
case "i8": try measure(Int8.self)
case "i16": try measure(Int16.self)
case "i32": try measure(Int32.self)
case "i64": try measure(Int64.self)
case "f32": try measure(Float.self)
case "f64": try measure(Double.self)
default: throw UsageError()
}
