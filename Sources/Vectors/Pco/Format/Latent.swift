/// An unsigned integer that the codec works on: numbers are mapped to latents of their own width.
///
/// The codec is written once over this protocol and always entered with one of the four types that
/// conform, within this module, so that the compiler specializes all of it.
protocol Latent: FixedWidthInteger, UnsignedInteger, BitwiseCopyable, Sendable {
  /// How many bits the count of offset bits takes in a bin: enough to say `bitWidth`.
  static var offsetBitCountWidth: Int { get }

  /// The explicit bits of the significand of the float of this width; 0 if there is none.
  static var significandBitCount: Int { get }

  /// The bits of the product of two floats that are given by their bits, rounded once.
  static func floatProduct(_ a: Self, _ b: Self) -> Self

  /// The bits of the float of an integer that the significand can hold.
  static func floatBits(exactly integer: Self) -> Self

  /// The bits of the float of a signed integer whose magnitude is below
  /// `2 ** (significandBitCount - 1)`; the sign of zero is open.
  static func floatBits(smallInteger integer: Self) -> Self

  /// The integer part of a float that is given by its bits, is not negative, and is below
  /// `2 ** (significandBitCount + 1)`.
  static func integerPart(ofFloatBits bits: Self) -> Self

  /// The float of these bits, exactly.
  static func double(ofFloatBits bits: Self) -> Double

  /// The bits of the float nearest to a number.
  static func floatBits(nearest number: Double) -> Self
}

extension Latent {
  /// The latent in the middle of the range, whose top bit alone is set.
  @inline(__always)
  static var middle: Self { 1 << Self(truncatingIfNeeded: bitWidth &- 1) }

  /// How many bits an offset takes that goes up to this number.
  @inline(__always)
  var bitLength: Int { Self.bitWidth &- leadingZeroBitCount }
}

extension UInt8: Latent {
  static var offsetBitCountWidth: Int { 4 }
  // There is no float of 8 bits; what would need one is refused with the chunk's meta.
  static var significandBitCount: Int { 0 }
  static func floatProduct(_ a: Self, _ b: Self) -> Self { 0 }
  static func floatBits(exactly integer: Self) -> Self { 0 }
  static func floatBits(smallInteger integer: Self) -> Self { 0 }
  static func integerPart(ofFloatBits bits: Self) -> Self { 0 }
  static func double(ofFloatBits bits: Self) -> Double { 0 }
  static func floatBits(nearest number: Double) -> Self { 0 }
}

extension UInt16: Latent {
  static var offsetBitCountWidth: Int { 5 }
  static var significandBitCount: Int { 10 }

  @inline(__always)
  static func floatProduct(_ a: Self, _ b: Self) -> Self {
    // The product of two significands of 11 bits is exact in 24, so this rounds once.
    Half.bits(nearest: Half.float(ofBits: a) * Half.float(ofBits: b))
  }

  @inline(__always)
  static func floatBits(exactly integer: Self) -> Self { Half.bits(nearest: Float(integer)) }

  @inline(__always)
  static func floatBits(smallInteger integer: Self) -> Self {
    Half.bits(nearest: Float(Int16(truncatingIfNeeded: integer)))
  }

  @inline(__always)
  static func integerPart(ofFloatBits bits: Self) -> Self { Self(Half.float(ofBits: bits)) }

  @inline(__always)
  static func double(ofFloatBits bits: Self) -> Double { Double(Half.float(ofBits: bits)) }

  @inline(__always)
  static func floatBits(nearest number: Double) -> Self { Half.bits(nearest: Float(number)) }
}

extension UInt32: Latent {
  static var offsetBitCountWidth: Int { 6 }
  static var significandBitCount: Int { 23 }

  @inline(__always)
  static func floatProduct(_ a: Self, _ b: Self) -> Self {
    (Float(bitPattern: a) * Float(bitPattern: b)).bitPattern
  }

  @inline(__always)
  static func floatBits(exactly integer: Self) -> Self {
    Float(Int32(truncatingIfNeeded: integer)).bitPattern
  }

  @inline(__always)
  static func floatBits(smallInteger integer: Self) -> Self { floatBits(exactly: integer) }

  @inline(__always)
  static func integerPart(ofFloatBits bits: Self) -> Self {
    Self(truncatingIfNeeded: Int32(Float(bitPattern: bits)))
  }

  @inline(__always)
  static func double(ofFloatBits bits: Self) -> Double { Double(Float(bitPattern: bits)) }

  @inline(__always)
  static func floatBits(nearest number: Double) -> Self { Float(number).bitPattern }
}

extension UInt64: Latent {
  static var offsetBitCountWidth: Int { 7 }
  static var significandBitCount: Int { 52 }

  @inline(__always)
  static func floatProduct(_ a: Self, _ b: Self) -> Self {
    (Double(bitPattern: a) * Double(bitPattern: b)).bitPattern
  }

  @inline(__always)
  static func floatBits(exactly integer: Self) -> Self {
    Double(Int64(truncatingIfNeeded: integer)).bitPattern
  }

  @inline(__always)
  static func floatBits(smallInteger integer: Self) -> Self {
    // Not every processor has a vector instruction for the conversion, but all can add: in the
    // significand of 1.5 * 2 ** 52 the integer stands as it is.
    let shifted = Double(bitPattern: 0x4338_0000_0000_0000 &+ integer)
    return (shifted - 0x1.8p52).bitPattern
  }

  @inline(__always)
  static func integerPart(ofFloatBits bits: Self) -> Self {
    Self(truncatingIfNeeded: Int64(Double(bitPattern: bits)))
  }

  @inline(__always)
  static func double(ofFloatBits bits: Self) -> Double { Double(bitPattern: bits) }

  @inline(__always)
  static func floatBits(nearest number: Double) -> Self { number.bitPattern }
}

/// Floats of 16 bits by their bits: not every platform has the type, and not every processor the
/// instructions.
enum Half {
  /// The float that equals a half; a NaN keeps sign and payload.
  @inline(__always)
  static func float(ofBits bits: UInt16) -> Float {
    let sign = UInt32(bits & 0x8000) << 16
    let magnitude = UInt32(bits & 0x7FFF)
    if magnitude >= 0x7C00 {
      return Float(bitPattern: sign | 0x7F80_0000 | (magnitude & 0x03FF) << 13)
    }
    if magnitude < 0x0400 {
      // Subnormal: so many times 2 ** -24.
      let value = Float(Int32(truncatingIfNeeded: magnitude)) * 0x1p-24
      return Float(bitPattern: value.bitPattern | sign)
    }
    return Float(bitPattern: sign | (magnitude << 13) &+ (112 << 23))
  }

  /// The half nearest to a float, ties to even; a NaN becomes quiet and keeps the top of its payload.
  @inline(__always)
  static func bits(nearest number: Float) -> UInt16 {
    let bits = number.bitPattern
    let sign = UInt16(truncatingIfNeeded: bits >> 16) & 0x8000
    let magnitude = bits & 0x7FFF_FFFF
    if magnitude > 0x7F80_0000 {
      return sign | 0x7E00 | UInt16(truncatingIfNeeded: magnitude >> 13) & 0x03FF
    }
    if magnitude >= 0x4780_0000 { return sign | 0x7C00 }
    if magnitude < 0x3880_0000 {
      // Below the smallest normal half: adding 0.5 leaves the multiple of 2 ** -24 in the last bits,
      // rounded by the addition.
      let shifted = Float(bitPattern: magnitude) + 0.5
      return sign | UInt16(truncatingIfNeeded: shifted.bitPattern &- 0x3F00_0000)
    }
    // An overflow of the significand goes into the exponent, as it should, up to infinity.
    let rounded = magnitude &+ 0x0FFF &+ ((magnitude >> 13) & 1)
    return sign | UInt16(truncatingIfNeeded: (rounded &- (112 << 23)) >> 13)
  }
}
