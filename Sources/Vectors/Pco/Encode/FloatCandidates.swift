/// Modes that some floats may be of: multiples of a base, or of few bits of significand.
struct FloatCandidates<Number: Latent> {
  private(set) var modes: [Mode] = []
  /// The magnitudes of the sample that are neither tiny nor huge.
  private let magnitudes: [Double]
  /// The relative error of a float that was rounded.
  private let roundingError: Double

  private static var precision: Int { Number.significandBitCount + 1 }

  /// Looks at the bits of some floats.
  @inline(__always)
  init(_ sample: [Number]) {
    roundingError = Double(sign: .plus, exponent: -Self.precision, significand: 1)
    let shift = Number(truncatingIfNeeded: Number.significandBitCount)
    let largestExponent = (Number.middle &- 1) >> shift
    let normal = sample.map { $0 & (Number.middle &- 1) }.filter {
      // Neither subnormal, nor of the two largest exponents, the last of which is no number.
      $0 >> shift > 0 && $0 >> shift < largestExponent - 1
    }
    magnitudes = normal.map { Number.double(ofFloatBits: $0) }
    guard normal.count >= 10, normal.count * 2 >= sample.count else { return }
    findLowerBits(normal)
    for base in [exactBase(normal), decimalBase()] {
      guard let base, base > 0, base.isFinite else { continue }
      let bits = Number.floatBits(nearest: base)
      let mode = Mode.floatMult(baseBits: UInt64(bits))
      let back = Number.double(ofFloatBits: bits)
      if back.isFinite, back > 0, !modes.contains(mode) { modes.append(mode) }
    }
  }

  /// Notes how many bits of the significand are nearly always 0.
  @inline(__always)
  private mutating func findLowerBits(_ floats: [Number]) {
    var counts = [Int](repeating: 0, count: Number.significandBitCount + 1)
    for bits in floats { counts[min(bits.trailingZeroBitCount, Number.significandBitCount)] += 1 }
    var best = (saved: 1.5, bitCount: 0)
    var atLeast = 0
    for bitCount in stride(from: Number.significandBitCount, through: 1, by: -1) {
      atLeast += counts[bitCount]
      let saved = ModeCandidates.bitsSaved(
        share: Double(atLeast) / Double(floats.count),
        alternatives: Double(sign: .plus, exponent: bitCount, significand: 1))
      if saved > best.saved { best = (saved, bitCount) }
    }
    if best.bitCount > 0 { modes.append(.floatQuant(lowerBitCount: best.bitCount)) }
  }

  /// A base that many of the floats are multiples of without any rounding, such as 1 or 0.25.
  private func exactBase(_ floats: [Number]) -> Double? {
    let round = zip(floats, magnitudes).filter { $0.0.trailingZeroBitCount >= 5 }.map(\.1)
    guard round.count * 2 >= floats.count else { return nil }
    // The place of the last bit that is set, as an exponent.
    let places = round.map { number in
      number.exponent - Int(52 - min(number.significandBitPattern.trailingZeroBitCount, 52))
    }.sorted()
    let place = places[places.count / 50]
    let unit = Double(sign: .plus, exponent: place, significand: 1)
    let integers = round.compactMap { number -> UInt64? in
      let scaled = number / unit
      return scaled < 0x1p53 && scaled.rounded() == scaled ? UInt64(scaled) : nil
    }
    guard integers.count * 2 >= floats.count else { return nil }
    return unit * Double(ModeCandidates.commonFactors(of: integers).first ?? 1)
  }

  /// A base that the floats are multiples of but for rounding, such as 0.01.
  private func decimalBase() -> Double? {
    var divisors: [(divisor: Double, error: Double)] = []
    // Of few numbers, all neighbours are looked at.
    let step = magnitudes.count < 500 ? 1 : 2
    for index in stride(from: 0, to: magnitudes.count - 1, by: step) {
      if let found = commonDivisor(magnitudes[index], magnitudes[index + 1]) {
        divisors.append(found)
      }
    }
    guard !divisors.isEmpty, divisors.count * 50 >= magnitudes.count else { return nil }
    divisors.sort { $0.divisor < $1.divisor }
    for percent in [10, 30, 50] {
      let middle = divisors[divisors.count * percent / 100].divisor
      let near = divisors.filter { abs($0.divisor - middle) <= middle * 0.01 }
      guard near.count * 20 >= divisors.count,
        let surest = near.min(by: { $0.error < $1.error })
      else { continue }
      if let base = roundNumbers(near: surest.divisor).first(where: { fits($0) }) { return base }
    }
    return nil
  }

  /// Whether at least half of the floats are near multiples of a base that are worth it.
  private func fits(_ base: Double) -> Bool {
    var count = 0
    for number in magnitudes {
      let quotient = (number / base).rounded()
      // As far as rounding can move a product, and the bits of a multiple are fewer.
      let isNear = abs(quotient * base - number) <= 4 * roundingError * number
      if isNear, quotient * roundingError < 0.02 { count += 1 }
    }
    return count * 2 >= magnitudes.count
  }

  /// The numbers that a measured base may really be, the likeliest first.
  private func roundNumbers(near base: Double) -> [Double] {
    let inverse = 1 / base
    var numbers: [Double] = []
    var power = 1.0
    while power < inverse * 0.99, power < 1e15 { power *= 10 }
    if abs(inverse - power) <= power * 0.01 { numbers.append(1 / power) }
    if inverse.rounded() >= 1, abs(inverse - inverse.rounded()) < 0.02 {
      numbers.append(1 / inverse.rounded())
    }
    if base.rounded() >= 1, abs(base - base.rounded()) < 0.02 { numbers.append(base.rounded()) }
    return numbers + [base]
  }

  /// The greatest number that both are multiples of but for rounding, and how wrong it may be:
  /// Euclid's algorithm, with the errors carried along.
  private func commonDivisor(_ a: Double, _ b: Double) -> (divisor: Double, error: Double)? {
    var (high, low) = (max(a, b), min(a, b))
    var (highError, lowError) = (high * roundingError, low * roundingError)
    for _ in 0..<64 {
      let quotient = (high / low).rounded()
      let rest = abs(high - quotient * low)
      let restError = highError + quotient * lowError + high * 0x1p-53
      if rest <= 2 * restError { return lowError * 50 < low ? (low, lowError / low) : nil }
      if restError * 50 > rest { return nil }
      (high, highError) = (low, lowError)
      (low, lowError) = (rest, restError)
    }
    return nil
  }
}
