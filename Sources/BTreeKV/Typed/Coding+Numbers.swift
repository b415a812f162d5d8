// Integers: as keys big-endian, with the sign bit inverted if there is one, so that negative numbers
// come first; as values little-endian two's complement. `Int` is what it is on this machine: `i64`.

extension CodingTagged where Self: FixedWidthInteger {
  /// "u" or "i", and the number of bits.
  public static var codingTag: String { "\(isSigned ? "i" : "u")\(bitWidth)" }
}

extension OrderedKey where Self: FixedWidthInteger & BitwiseCopyable {
  /// Appends the number, the highest byte first, with the sign bit inverted.
  @inlinable public func encodeComponent(into encoder: inout ByteEncoder) {
    encoder.append(bigEndian: self ^ (Self.isSigned ? .min : 0))
  }

  /// Takes what `encodeComponent` appended.
  @inlinable public static func decodeComponent(
    from decoder: inout ByteDecoder
  ) throws(DatabaseError) -> Self {
    try decoder.take(bigEndian: Self.self) ^ (isSigned ? .min : 0)
  }

  /// Lends the bytes of the key to `body`.
  @inlinable public func withEncodedKey<R, E: Error>(
    _ body: (UnsafeRawBufferPointer) throws(E) -> R
  ) throws(E) -> R {
    try withUnsafeBytes(of: (self ^ (Self.isSigned ? .min : 0)).bigEndian) { (bytes) throws(E) in
      try body(bytes)
    }
  }
}

extension StorableValue where Self: FixedWidthInteger & BitwiseCopyable {
  /// Appends the number, the lowest byte first.
  @inlinable public func encodeValue(into encoder: inout ByteEncoder) {
    encoder.append(littleEndian: self)
  }

  /// Takes what `encodeValue` appended.
  @inlinable public static func decodeValue(
    from decoder: inout ByteDecoder
  ) throws(DatabaseError) -> Self {
    try decoder.take(littleEndian: Self.self)
  }

  /// Lends the bytes of the value to `body`.
  @inlinable public func withEncodedValue<R>(
    _ body: (UnsafeRawBufferPointer) throws(DatabaseError) -> R
  ) throws(DatabaseError) -> R {
    try withUnsafeBytes(of: littleEndian) { (bytes) throws(DatabaseError) in try body(bytes) }
  }
}

extension UInt8: OrderedKey, StorableValue {}
extension UInt16: OrderedKey, StorableValue {}
extension UInt32: OrderedKey, StorableValue {}
extension UInt64: OrderedKey, StorableValue {}
extension UInt128: OrderedKey, StorableValue {}
extension UInt: OrderedKey, StorableValue {}
extension Int8: OrderedKey, StorableValue {}
extension Int16: OrderedKey, StorableValue {}
extension Int32: OrderedKey, StorableValue {}
extension Int64: OrderedKey, StorableValue {}
extension Int128: OrderedKey, StorableValue {}
extension Int: OrderedKey, StorableValue {}

/// Between a floating-point number's bits and an integer that orders as IEEE 754's *totalOrder*:
/// positive numbers get the sign bit, so that they come behind; negative ones are inverted, so that
/// the larger magnitude comes first.
@inlinable func ordered<Bits: FixedWidthInteger & UnsignedInteger>(_ bits: Bits) -> Bits {
  let sign: Bits = 1 << (Bits.bitWidth - 1)
  return bits & sign == 0 ? bits | sign : ~bits
}

/// The inverse of `ordered`.
@inlinable func unordered<Bits: FixedWidthInteger & UnsignedInteger>(_ bits: Bits) -> Bits {
  let sign: Bits = 1 << (Bits.bitWidth - 1)
  return bits & sign == 0 ? ~bits : bits & ~sign
}

/// The order of keys is IEEE 754's *totalOrder*, and every bit is kept.
///
/// -NaN, -infinity, …, -0, +0, …, +infinity, +NaN. So there are two zeros, and all NaNs are keys.
extension Double: OrderedKey, StorableValue {
  /// The name of the coding.
  public static var codingTag: String { "f64" }

  /// Appends 8 bytes that order as the numbers do.
  @inlinable public func encodeComponent(into encoder: inout ByteEncoder) {
    encoder.append(bigEndian: ordered(bitPattern))
  }

  /// Takes what `encodeComponent` appended.
  @inlinable public static func decodeComponent(
    from decoder: inout ByteDecoder
  ) throws(DatabaseError) -> Double {
    Double(bitPattern: unordered(try decoder.take(bigEndian: UInt64.self)))
  }

  /// Lends the bytes of the key to `body`.
  @inlinable public func withEncodedKey<R, E: Error>(
    _ body: (UnsafeRawBufferPointer) throws(E) -> R
  ) throws(E) -> R {
    try withUnsafeBytes(of: ordered(bitPattern).bigEndian) { (bytes) throws(E) in try body(bytes) }
  }

  /// Appends the 8 bytes of the number, the lowest first.
  @inlinable public func encodeValue(into encoder: inout ByteEncoder) {
    encoder.append(littleEndian: bitPattern)
  }

  /// Takes what `encodeValue` appended.
  @inlinable public static func decodeValue(
    from decoder: inout ByteDecoder
  ) throws(DatabaseError) -> Double {
    Double(bitPattern: try decoder.take(littleEndian: UInt64.self))
  }

  /// Lends the bytes of the value to `body`.
  @inlinable public func withEncodedValue<R>(
    _ body: (UnsafeRawBufferPointer) throws(DatabaseError) -> R
  ) throws(DatabaseError) -> R {
    try withUnsafeBytes(of: bitPattern.littleEndian) { (bytes) throws(DatabaseError) in
      try body(bytes)
    }
  }
}

/// The order of keys is IEEE 754's *totalOrder*, and every bit is kept.
///
/// -NaN, -infinity, …, -0, +0, …, +infinity, +NaN. So there are two zeros, and all NaNs are keys.
extension Float: OrderedKey, StorableValue {
  /// The name of the coding.
  public static var codingTag: String { "f32" }

  /// Appends 4 bytes that order as the numbers do.
  @inlinable public func encodeComponent(into encoder: inout ByteEncoder) {
    encoder.append(bigEndian: ordered(bitPattern))
  }

  /// Takes what `encodeComponent` appended.
  @inlinable public static func decodeComponent(
    from decoder: inout ByteDecoder
  ) throws(DatabaseError) -> Float {
    Float(bitPattern: unordered(try decoder.take(bigEndian: UInt32.self)))
  }

  /// Lends the bytes of the key to `body`.
  @inlinable public func withEncodedKey<R, E: Error>(
    _ body: (UnsafeRawBufferPointer) throws(E) -> R
  ) throws(E) -> R {
    try withUnsafeBytes(of: ordered(bitPattern).bigEndian) { (bytes) throws(E) in try body(bytes) }
  }

  /// Appends the 4 bytes of the number, the lowest first.
  @inlinable public func encodeValue(into encoder: inout ByteEncoder) {
    encoder.append(littleEndian: bitPattern)
  }

  /// Takes what `encodeValue` appended.
  @inlinable public static func decodeValue(
    from decoder: inout ByteDecoder
  ) throws(DatabaseError) -> Float {
    Float(bitPattern: try decoder.take(littleEndian: UInt32.self))
  }

  /// Lends the bytes of the value to `body`.
  @inlinable public func withEncodedValue<R>(
    _ body: (UnsafeRawBufferPointer) throws(DatabaseError) -> R
  ) throws(DatabaseError) -> R {
    try withUnsafeBytes(of: bitPattern.littleEndian) { (bytes) throws(DatabaseError) in
      try body(bytes)
    }
  }
}
