/// Sixteen bytes, such as those of a UUID, ordered as they stand.
///
/// It has the text form of UUIDs (RFC 9562), but any bytes will do. `BTreeKVCodable` converts it from
/// and to Foundation's `UUID`.
public struct Bytes16: Hashable, Sendable, BitwiseCopyable {
  /// The first eight bytes as a number, the first byte highest.
  public var high: UInt64
  /// The last eight bytes as a number.
  public var low: UInt64

  /// The bytes of two numbers.
  @inlinable public init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  /// A random UUID: version 4, from the system's source of random numbers.
  public static func random() -> Bytes16 {
    var source = SystemRandomNumberGenerator()
    return random(using: &source)
  }

  /// A random UUID: version 4, 122 random bits.
  public static func random(using source: inout some RandomNumberGenerator) -> Bytes16 {
    Bytes16(
      high: source.next() & ~0xF000 | 0x4000,
      low: source.next() & ~(0b11 << 62) | 0b10 << 62)
  }
}

extension Bytes16: Comparable {
  /// Whether the bytes of the first come before those of the second.
  @inlinable public static func < (first: Bytes16, second: Bytes16) -> Bool {
    (first.high, first.low) < (second.high, second.low)
  }
}

extension Bytes16: LosslessStringConvertible {
  /// A UUID's text: 32 hexadecimal digits, upper or lower case, with hyphens after 8, 12, 16 and 20.
  ///
  /// - Returns: nil for anything else.
  public init?(_ text: some StringProtocol) {
    let bytes = Array(text.utf8)
    guard bytes.count == 36 else { return nil }
    var number: UInt128 = 0
    for (index, byte) in bytes.enumerated() {
      if [8, 13, 18, 23].contains(index) {
        guard byte == UInt8(ascii: "-") else { return nil }
        continue
      }
      let digit: UInt8
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0")
      case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte - UInt8(ascii: "a") + 10
      case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = byte - UInt8(ascii: "A") + 10
      default: return nil
      }
      number = number << 4 | UInt128(digit)
    }
    self.init(
      high: UInt64(truncatingIfNeeded: number >> 64), low: UInt64(truncatingIfNeeded: number))
  }

  /// A UUID's text: 32 hexadecimal digits, upper or lower case, with hyphens after 8, 12, 16 and 20.
  ///
  /// - Returns: nil for anything else.
  public init?(_ description: String) { self.init(description[...]) }

  /// A UUID's text, in lower case.
  public var description: String {
    let digits = [high, low].map { number in
      let digits = String(number, radix: 16)
      return String(repeating: "0", count: 16 - digits.utf8.count) + digits
    }
    var text = ""
    for (index, digit) in digits.joined().enumerated() {
      if [8, 12, 16, 20].contains(index) { text += "-" }
      text.append(digit)
    }
    return text
  }
}

/// The bytes as they stand, as a key and as a value.
extension Bytes16: OrderedKey, StorableValue {
  /// The name of the coding.
  public static var codingTag: String { "uuid" }

  /// Appends the 16 bytes.
  @inlinable public func encodeComponent(into encoder: inout ByteEncoder) {
    encoder.append(bigEndian: high)
    encoder.append(bigEndian: low)
  }

  /// Takes what `encodeComponent` appended.
  @inlinable public static func decodeComponent(
    from decoder: inout ByteDecoder
  ) throws(DatabaseError) -> Bytes16 {
    let high = try decoder.take(bigEndian: UInt64.self)
    return Bytes16(high: high, low: try decoder.take(bigEndian: UInt64.self))
  }

  /// Lends the bytes of the key to `body`.
  @inlinable public func withEncodedKey<R, E: Error>(
    _ body: (UnsafeRawBufferPointer) throws(E) -> R
  ) throws(E) -> R {
    try withUnsafeBytes(of: (high.bigEndian, low.bigEndian)) { (bytes) throws(E) in try body(bytes)
    }
  }

  /// Appends the 16 bytes.
  @inlinable public func encodeValue(into encoder: inout ByteEncoder) {
    encodeComponent(into: &encoder)
  }

  /// Takes what `encodeValue` appended.
  @inlinable public static func decodeValue(
    from decoder: inout ByteDecoder
  ) throws(DatabaseError) -> Bytes16 {
    try decodeComponent(from: &decoder)
  }

  /// Lends the bytes of the value to `body`.
  @inlinable public func withEncodedValue<R>(
    _ body: (UnsafeRawBufferPointer) throws(DatabaseError) -> R
  ) throws(DatabaseError) -> R {
    try withUnsafeBytes(of: (high.bigEndian, low.bigEndian)) { (bytes) throws(DatabaseError) in
      try body(bytes)
    }
  }
}
