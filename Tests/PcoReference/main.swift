// Compresses and decompresses files for `Tests/PcoReference/check`, which compares with the
// reference implementation.
//
// Each line of the standard input is `compress TYPE LEVEL FROM TO` or `decompress TYPE FROM TO`;
// files of numbers hold their bytes, little-endian.

import Foundation
import Vectors

struct UsageError: Error {}

func compress<Number: PcoNumber>(_ type: Number.Type, _ words: [String]) throws {
  let data = try Data(contentsOf: URL(filePath: words[3]))
  var numbers: [Number] = []
  data.withUnsafeBytes { bytes in
    for offset in stride(from: 0, to: bytes.count, by: MemoryLayout<Number>.size) {
      numbers.append(bytes.loadUnaligned(fromByteOffset: offset, as: Number.self))
    }
  }
  guard let level = Int(words[2]) else { throw UsageError() }
  // Small chunks, so that there are several of them.
  let options = PcoOptions(level: level, maximumChunkCount: 30_000)
  try Data(Pco.compress(numbers, options: options)).write(to: URL(filePath: words[4]))
}

func decompress<Number: PcoNumber>(_ type: Number.Type, _ words: [String]) throws {
  let bytes = [UInt8](try Data(contentsOf: URL(filePath: words[2])))
  let numbers = try Pco.decompress(bytes, as: type)
  try numbers.withUnsafeBytes { try Data($0).write(to: URL(filePath: words[3])) }
}

func run<Number: PcoNumber>(_ type: Number.Type, _ words: [String]) throws {
  switch (words[0], words.count) {
  case ("compress", 5): try compress(type, words)
  case ("decompress", 4): try decompress(type, words)
  default: throw UsageError()
  }
}

var count = 0
while let line = readLine() {
  let words = line.split(separator: " ").map(String.init)
  guard words.count >= 4 else { throw UsageError() }
  switch words[1] {
  case "u8": try run(UInt8.self, words)
  case "u16": try run(UInt16.self, words)
  case "u32": try run(UInt32.self, words)
  case "u64": try run(UInt64.self, words)
  case "i8": try run(Int8.self, words)
  case "i16": try run(Int16.self, words)
  case "i32": try run(Int32.self, words)
  case "i64": try run(Int64.self, words)
  #if !(os(macOS) && arch(x86_64))
    case "f16": try run(Float16.self, words)
  #endif
  case "f32": try run(Float.self, words)
  case "f64": try run(Double.self, words)
  default: throw UsageError()
  }
  count += 1
}
print("\(count) files")
