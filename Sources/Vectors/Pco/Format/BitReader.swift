/// Reads fields of a little-endian bit stream, each checked against the end.
///
/// For headers and metas, whose fields are few. The bodies of pages are read by `PageSource`.
struct BitReader {
  private let bytes: UnsafeRawBufferPointer
  /// Where the next field begins, in bits from the start of the bytes.
  private(set) var bitIndex: Int

  /// A reader of some bytes that outlive it.
  init(_ bytes: UnsafeRawBufferPointer, byteOffset: Int = 0) {
    self.bytes = bytes
    bitIndex = byteOffset << 3
  }

  /// Where the next field begins, in bytes, rounded down.
  var byteOffset: Int { bitIndex >> 3 }

  /// How many bits are left.
  var remainingBitCount: Int { bytes.count << 3 - bitIndex }

  /// The next field of up to 64 bits.
  mutating func read(_ bitCount: Int) throws(PcoError) -> UInt64 {
    guard bitCount <= remainingBitCount else { throw truncated() }
    if bitCount == 0 { return 0 }
    let first = bitIndex >> 3
    let shift = bitIndex & 7
    let byteCount = (shift + bitCount + 7) >> 3
    var low: UInt64 = 0
    for index in 0..<min(byteCount, 8) {
      low |= UInt64(bytes[first + index]) << UInt64(index << 3)
    }
    var value = low >> UInt64(shift)
    if byteCount > 8 {
      // Nine bytes only if the field begins within the first, so `shift` is not 0.
      value |= UInt64(bytes[first + 8]) << UInt64(64 - shift)
    }
    bitIndex += bitCount
    return bitCount == 64 ? value : value & (1 << UInt64(bitCount) - 1)
  }

  /// The next field as an integer; it has at most 62 bits.
  mutating func readInt(_ bitCount: Int) throws(PcoError) -> Int {
    Int(truncatingIfNeeded: try read(bitCount))
  }

  /// Goes on to the next whole byte; the bits between must be 0.
  mutating func alignToByte() throws(PcoError) {
    let padding = -bitIndex & 7
    guard try read(padding) == 0 else { throw corrupted("bits of padding are set") }
  }

  /// An error about what was just read.
  func corrupted(_ message: String) -> PcoError {
    PcoError(.corrupted, message, byteOffset: byteOffset)
  }

  /// The error of data that ends too early.
  func truncated() -> PcoError {
    PcoError(.truncated, "the data ends before all that it promises", byteOffset: byteOffset)
  }
}
