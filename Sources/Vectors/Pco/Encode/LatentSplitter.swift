/// Takes numbers apart into latents, as `LatentJoiner` puts them together.
enum LatentSplitter {
  /// The ordered latents of numbers.
  @inline(__always)
  static func ordered<Number: Latent>(
    _ numbers: UnsafePointer<Number>, count: Int, kind: PcoNumberType.Kind
  ) -> LatentBuffer<Number> {
    let buffer = LatentBuffer<Number>(count: count)
    let values = buffer.values
    switch kind {
    case .unsigned:
      values.update(from: numbers, count: count)
    case .signed:
      for index in 0..<count { values[index] = numbers[index] ^ Number.middle }
    case .float:
      for index in 0..<count { values[index] = LatentJoiner.ordered(ofFloatBits: numbers[index]) }
    }
    return buffer
  }

  /// The primary and the secondary latents of ordered ones; the dictionary's are made elsewhere.
  ///
  /// What comes as primary latents may be the buffer itself.
  @inline(__always)
  static func split<Number: Latent>(
    _ ordered: LatentBuffer<Number>, mode: Mode
  ) -> (primary: LatentBuffer<Number>, secondary: LatentBuffer<Number>?) {
    let count = ordered.count
    if !mode.hasSecondary { return (ordered, nil) }
    let primary = LatentBuffer<Number>(count: count)
    let secondary = LatentBuffer<Number>(count: count)
    let (first, second) = (primary.values, secondary.values)
    switch mode {
    case .classic, .dictionary:
      break
    case .intMult(let base):
      let base = Number(truncatingIfNeeded: base)
      for index in 0..<count {
        let quotient = ordered.values[index] / base
        first[index] = quotient
        second[index] = ordered.values[index] &- quotient &* base
      }
    case .floatMult(let baseBits):
      splitMultiples(
        ordered, baseBits: Number(truncatingIfNeeded: baseBits), first, second)
    case .floatQuant(let lowerBitCount):
      let shift = Number(truncatingIfNeeded: lowerBitCount)
      let mask: Number = (1 &<< shift) &- 1
      for index in 0..<count {
        let value = ordered.values[index]
        first[index] = value &>> shift
        let low = value & mask
        second[index] = value >= Number.middle ? low : mask &- low
      }
    }
    return (primary, secondary)
  }

  @inline(__always)
  private static func splitMultiples<Number: Latent>(
    _ ordered: LatentBuffer<Number>, baseBits: Number,
    _ first: UnsafeMutablePointer<Number>, _ second: UnsafeMutablePointer<Number>
  ) {
    let base = Number.double(ofFloatBits: baseBits)
    let inverse = nearInteger(1 / base)
    for index in 0..<ordered.count {
      let bits = LatentJoiner.floatBits(ofOrdered: ordered.values[index])
      let quotient = Number.double(ofFloatBits: bits) * inverse
      let multiple: Number = Self.multiple(of: quotient)
      let product = Number.floatProduct(LatentJoiner.floatBits(ofMultiple: multiple), baseBits)
      first[index] = multiple
      second[index] =
        ordered.values[index] &- LatentJoiner.ordered(ofFloatBits: product) &+ Number.middle
    }
  }

  /// A number itself, or the integer that it comes from by rounding.
  private static func nearInteger(_ number: Double) -> Double {
    let rounded = number.rounded()
    return abs(number - rounded) <= abs(number) * 0x1p-50 ? rounded : number
  }

  /// The latent of the multiple nearest to a quotient.
  @inline(__always)
  static func multiple<Number: Latent>(of quotient: Double) -> Number {
    // Adding this leaves the integer in the last bits of the sum, if it is not too large.
    let shift = 0x1.8p52
    let limit = Double(sign: .plus, exponent: Number.significandBitCount - 1, significand: 1)
    if abs(quotient) < limit {
      let integer = Int64(bitPattern: (quotient + shift).bitPattern &- shift.bitPattern)
      let isNegative = Int64(bitPattern: quotient.bitPattern) &>> 63
      return Number.middle &+ Number(truncatingIfNeeded: integer &+ isNegative)
    }
    let bits = Number.floatBits(nearest: quotient.rounded())
    let magnitudeBits = bits & (Number.middle &- 1)
    let firstBeyond: Number = 1 &<< Number(truncatingIfNeeded: Number.significandBitCount &+ 1)
    let firstBeyondBits = Number.floatBits(exactly: firstBeyond)
    let magnitude =
      magnitudeBits < firstBeyondBits
      ? Number.integerPart(ofFloatBits: magnitudeBits)
      : firstBeyond &+ (magnitudeBits &- firstBeyondBits)
    return bits & Number.middle == 0
      ? Number.middle &+ magnitude : Number.middle &- 1 &- magnitude
  }
}
