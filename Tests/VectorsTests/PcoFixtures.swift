import Foundation

@testable import Vectors

/// The files in `Fixtures`: data made by the reference implementation, and data that it refuses.
struct PcoFixtures: Decodable {
  struct Vector: Decodable {
    let name: String
    let type: String
    let count: Int
    let file: String
    /// Of the numbers' bytes, little-endian.
    let sha256: String
    let wrapped: Wrapped?
  }

  /// How data is divided whose container is not part of the format.
  struct Wrapped: Decodable {
    let headerByteCount: Int
    let metaByteCount: Int
    let pageByteCounts: [Int]
    let pageCounts: [Int]
  }

  struct Malformed: Decodable {
    let name: String
    let file: String
    let what: String
  }

  let vectors: [Vector]
  let malformed: [Malformed]

  private static let folder = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "Fixtures")

  static func load() throws -> PcoFixtures {
    let data = try Data(contentsOf: folder.appending(path: "manifest.json"))
    return try JSONDecoder().decode(PcoFixtures.self, from: data)
  }

  static func bytes(_ file: String) throws -> [UInt8] {
    [UInt8](try Data(contentsOf: folder.appending(path: file)))
  }
}

extension PcoNumberType {
  /// The type by the short name that the fixtures use, such as `u32`.
  init?(shortName: String) {
    let names: [String: PcoNumberType] = [
      "u8": .uint8, "u16": .uint16, "u32": .uint32, "u64": .uint64, "i8": .int8, "i16": .int16,
      "i32": .int32, "i64": .int64, "f16": .float16, "f32": .float32, "f64": .float64,
    ]
    guard let type = names[shortName] else { return nil }
    self = type
  }
}

/// Decompresses to the bytes of the numbers.
func decompressedBytes(
  _ bytes: [UInt8], _ type: PcoNumberType, maximumCount: Int = 1 << 20
) throws(PcoError) -> [UInt8] {
  func decompressed<Number: PcoNumber>(_ type: Number.Type) throws(PcoError) -> [UInt8] {
    try Pco.decompress(bytes, as: type, maximumCount: maximumCount)
      .withUnsafeBytes { [UInt8]($0) }
  }
  switch type {
  case .uint8: return try decompressed(UInt8.self)
  case .uint16: return try decompressed(UInt16.self)
  case .uint32: return try decompressed(UInt32.self)
  case .uint64: return try decompressed(UInt64.self)
  case .int8: return try decompressed(Int8.self)
  case .int16: return try decompressed(Int16.self)
  case .int32: return try decompressed(Int32.self)
  case .int64: return try decompressed(Int64.self)
  case .float16:
    #if os(macOS) && arch(x86_64)
      return try decompressed(Half16.self)
    #else
      return try decompressed(Float16.self)
    #endif
  case .float32: return try decompressed(Float.self)
  case .float64: return try decompressed(Double.self)
  }
}

#if os(macOS) && arch(x86_64)
  /// Stands for the float that the platform lacks.
  struct Half16: PcoNumber {
    static var pcoNumberType: PcoNumberType { .float16 }
    var bits: UInt16
  }
#endif

/// The hash function SHA-256, to compare numbers with what a fixture says they are.
struct SHA256Digest {
  private static let primes: [Int] = {
    var primes: [Int] = []
    var candidate = 2
    while primes.count < 64 {
      if primes.allSatisfy({ candidate % $0 != 0 }) { primes.append(candidate) }
      candidate += 1
    }
    return primes
  }()

  /// The first 32 bits of the fraction of a root.
  private static func fraction(_ root: Double) -> UInt32 {
    UInt32(truncatingIfNeeded: UInt64((root - root.rounded(.down)) * 0x1p32))
  }

  private static let constants = primes.map { fraction(cbrt(Double($0))) }

  private static func rotated(_ word: UInt32, _ count: UInt32) -> UInt32 {
    word >> count | word << (32 - count)
  }

  /// The hash of some bytes in hexadecimal digits.
  static func hexadecimal(_ bytes: [UInt8]) -> String {
    var state = primes.prefix(8).map { fraction(Double($0).squareRoot()) }
    var padded = bytes + [0x80]
    while padded.count % 64 != 56 { padded.append(0) }
    let bitCount = UInt64(bytes.count) * 8
    for shift in stride(from: UInt64(56), through: 0, by: -8) {
      padded.append(UInt8(truncatingIfNeeded: bitCount >> shift))
    }
    for start in stride(from: 0, to: padded.count, by: 64) {
      mix(padded[start..<start + 64], into: &state)
    }
    return state.map { word in
      let digits = String(word, radix: 16)
      return String(repeating: "0", count: 8 - digits.count) + digits
    }.joined()
  }

  private static func mix(_ block: ArraySlice<UInt8>, into state: inout [UInt32]) {
    var words = [UInt32](repeating: 0, count: 64)
    for (index, byte) in block.enumerated() {
      words[index / 4] = words[index / 4] << 8 | UInt32(byte)
    }
    for index in 16..<64 {
      let (a, b) = (words[index - 15], words[index - 2])
      words[index] =
        words[index - 16] &+ words[index - 7]
        &+ (rotated(a, 7) ^ rotated(a, 18) ^ a >> 3)
        &+ (rotated(b, 17) ^ rotated(b, 19) ^ b >> 10)
    }
    var s = state
    for index in 0..<64 {
      let choice = s[4] & s[5] ^ ~s[4] & s[6]
      let majority = s[0] & s[1] ^ s[0] & s[2] ^ s[1] & s[2]
      let first =
        s[7] &+ (rotated(s[4], 6) ^ rotated(s[4], 11) ^ rotated(s[4], 25)) &+ choice
        &+ constants[index] &+ words[index]
      let second = (rotated(s[0], 2) ^ rotated(s[0], 13) ^ rotated(s[0], 22)) &+ majority
      s = [first &+ second, s[0], s[1], s[2], s[3] &+ first, s[4], s[5], s[6]]
    }
    for index in 0..<8 { state[index] &+= s[index] }
  }
}
