/// Puts the latents of numbers together and writes the numbers.
///
/// Each loop is simple, so that the compiler can use vector instructions.
enum LatentJoiner {
  /// Writes `count` numbers whose ordered latents are `latent(index)`.
  @inline(__always)
  static func write<Number: Latent>(
    _ kind: PcoNumberType.Kind, to numbers: UnsafeMutablePointer<Number>, count: Int,
    latent: (Int) -> Number
  ) {
    switch kind {
    case .unsigned:
      for index in 0..<count { numbers[index] = latent(index) }
    case .signed:
      for index in 0..<count { numbers[index] = latent(index) ^ Number.middle }
    case .float:
      for index in 0..<count { numbers[index] = floatBits(ofOrdered: latent(index)) }
    }
  }

  /// The bits of the float that an ordered latent stands for.
  @inline(__always)
  static func floatBits<Number: Latent>(ofOrdered latent: Number) -> Number {
    // All ones if the top bit is clear, else the top bit alone.
    let flip = ((latent &>> Number(truncatingIfNeeded: Number.bitWidth &- 1)) &- 1)
    return latent ^ (flip | Number.middle)
  }

  /// The ordered latent of the bits of a float.
  @inline(__always)
  static func ordered<Number: Latent>(ofFloatBits bits: Number) -> Number {
    let flip = 0 &- (bits &>> Number(truncatingIfNeeded: Number.bitWidth &- 1))
    return bits ^ (flip | Number.middle)
  }

  @inline(__always)
  static func writeProducts<Number: Latent>(
    _ kind: PcoNumberType.Kind, to numbers: UnsafeMutablePointer<Number>, count: Int,
    quotients: UnsafeMutablePointer<Number>, remainders: UnsafeMutablePointer<Number>,
    base: Number
  ) {
    write(kind, to: numbers, count: count) { quotients[$0] &* base &+ remainders[$0] }
  }

  @inline(__always)
  static func writeQuantized<Number: Latent>(
    to numbers: UnsafeMutablePointer<Number>, count: Int,
    upper: UnsafeMutablePointer<Number>, lower: UnsafeMutablePointer<Number>, lowerBitCount: Int
  ) {
    let shift = Number(truncatingIfNeeded: lowerBitCount)
    let firstPositive = Number.middle &>> shift
    let mask: Number = (1 &<< shift) &- 1
    write(.float, to: numbers, count: count) { index in
      let low = upper[index] >= firstPositive ? lower[index] : mask &- lower[index]
      return (upper[index] &<< shift) &+ low
    }
  }

  /// Writes multiples of a float, each moved by some units of the last place.
  @inline(__always)
  static func writeFloatMultiples<Number: Latent>(
    to numbers: UnsafeMutablePointer<Number>, count: Int,
    multiples: UnsafeMutablePointer<Number>, corrections: UnsafeMutablePointer<Number>,
    baseBits: Number
  ) {
    // Whether the sign's bit and all others above the significand agree in each multiple.
    var large: Number = 0
    for index in 0..<count {
      let centred = multiples[index] &- Number.middle
      large |= centred ^ (0 &- (centred &>> Number(truncatingIfNeeded: Number.bitWidth &- 1)))
    }
    let isSmall = large &>> Number(truncatingIfNeeded: Number.significandBitCount &- 1) == 0
    if isSmall {
      write(.float, to: numbers, count: count) { index in
        let bits = Number.floatProduct(smallFloatBits(ofMultiple: multiples[index]), baseBits)
        return ordered(ofFloatBits: bits) &+ corrections[index] &+ Number.middle
      }
    } else {
      write(.float, to: numbers, count: count) { index in
        let bits = Number.floatProduct(floatBits(ofMultiple: multiples[index]), baseBits)
        return ordered(ofFloatBits: bits) &+ corrections[index] &+ Number.middle
      }
    }
  }

  /// The bits of the float that a multiple counts to.
  ///
  /// They are integers as far as the significand holds them, then every float. Those below the
  /// middle are negative, from -0 on downwards.
  @inline(__always)
  static func floatBits<Number: Latent>(ofMultiple latent: Number) -> Number {
    let isNegative = latent < Number.middle
    let magnitude = isNegative ? Number.middle &- 1 &- latent : latent &- Number.middle
    let firstBeyond: Number = 1 &<< Number(truncatingIfNeeded: Number.significandBitCount &+ 1)
    let bits =
      magnitude < firstBeyond
      ? Number.floatBits(exactly: magnitude)
      : Number.floatBits(exactly: firstBeyond) &+ (magnitude &- firstBeyond)
    return isNegative ? bits | Number.middle : bits
  }

  /// The same for multiples of less than `significandBitCount` bits.
  @inline(__always)
  private static func smallFloatBits<Number: Latent>(ofMultiple latent: Number) -> Number {
    let centred = latent &- Number.middle
    let isNegative = centred &>> Number(truncatingIfNeeded: Number.bitWidth &- 1)
    // -1 stands for -0, -2 for -1.
    return Number.floatBits(smallInteger: centred &+ isNegative)
      | (isNegative &<< Number(truncatingIfNeeded: Number.bitWidth &- 1))
  }

  /// Looks up the numbers of a dictionary; false if an index is beyond its end.
  @inline(__always)
  static func writeEntries<Number: Latent, Index: Latent>(
    _ kind: PcoNumberType.Kind, to numbers: UnsafeMutablePointer<Number>, count: Int,
    indices: UnsafeMutablePointer<Index>, entries: UnsafeBufferPointer<Number>
  ) -> Bool {
    var largest: Index = 0
    for index in 0..<count { largest = max(largest, indices[index]) }
    guard count == 0 || UInt64(largest) < UInt64(entries.count),
      let first = entries.baseAddress
    else { return count == 0 }
    write(kind, to: numbers, count: count) { first[Int(truncatingIfNeeded: indices[$0])] }
    return true
  }
}
