/// Modes that some numbers may be of; whether they pay is found out by trial.
enum ModeCandidates {
  /// About one number in so many is looked at.
  private static let sampleStep = 40
  private static let minSampleCount = 10
  /// Of short pages more than one in forty is looked at.
  private static let fairSampleCount = 160
  private static let maxSampleCount = 3000
  private static let maxFactorCount = 3

  // There is no `map` over generic numbers here: without whole-module optimization, as mutants are built
  // (Tests/Mutants/run), this compiler, 6.3.1, made of it what returned no array.

  /// The modes besides the classic one that are worth a trial.
  @inline(__always)
  static func find<Number: Latent>(
    _ ordered: LatentBuffer<Number>, kind: PcoNumberType.Kind
  ) -> [Mode] {
    let sample = sample(ordered)
    guard sample.count >= minSampleCount else { return [] }
    if kind == .float {
      var bits: [Number] = []
      for number in sample { bits.append(LatentJoiner.floatBits(ofOrdered: number)) }
      return FloatCandidates<Number>(bits).modes
    }
    var wide: [UInt64] = []
    for number in sample { wide.append(UInt64(number)) }
    return commonFactors(of: wide).prefix(maxFactorCount).map {
      .intMult(base: $0)
    }
  }

  /// Numbers from all over the chunk, at irregular distances.
  @inline(__always)
  private static func sample<Number: Latent>(_ ordered: LatentBuffer<Number>) -> [Number] {
    let count = min(
      ordered.count, maxSampleCount, max(fairSampleCount, ordered.count / sampleStep))
    guard count >= minSampleCount else { return [] }
    var random: UInt64 = 0x9E37_79B9_7F4A_7C15
    var sample: [Number] = []
    sample.reserveCapacity(count)
    for index in 0..<count {
      let start = index * ordered.count / count
      let end = (index + 1) * ordered.count / count
      random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      sample.append(ordered.values[start + Int(random >> 33) % max(end - start, 1)])
    }
    return sample
  }

  /// Numbers that so many of the sample are alike modulo them that it saves bits, best first.
  ///
  /// The differences of three random numbers have the greatest common divisor `g` with probability
  /// `1 / (zeta(2) * g * g)`; if many more have it, then many numbers are alike modulo `g`.
  static func commonFactors(of numbers: [UInt64]) -> [UInt64] {
    let sample = rareOnes(of: numbers)
    guard sample.count >= minSampleCount else { return [] }
    // The others save nothing: they have bins of their own.
    let rareShare = Double(sample.count) / Double(numbers.count)
    var divisors: [UInt64] = []
    for start in stride(from: 0, to: sample.count - 2, by: 3) {
      let (a, b, c) = (sample[start], sample[start + 1], sample[start + 2])
      let divisor = greatestCommonDivisor(a > b ? a - b : b - a, b > c ? b - c : c - b)
      if divisor > 1 { divisors.append(divisor) }
    }
    let tripleCount = Double(sample.count / 3)
    divisors.sort()
    var found: [(factor: UInt64, saved: Double)] = []
    var start = 0
    while start < divisors.count {
      let divisor = divisors[start]
      let end = divisors[start...].firstIndex { $0 != divisor } ?? divisors.count
      let count = end - start
      let share = Double(count) / tripleCount
      start = end
      let g = Double(divisor)
      let chance = 1 / (zetaOfTwo * g * g)
      let deviation = (chance * (1 - chance) / tripleCount).squareRoot()
      guard share - chance >= 3 * deviation, count >= 2 || tripleCount < 20 else { continue }
      // Three numbers alike have a divisor of g, and g itself as often as three coprime ones.
      let alike = cubeRoot(min(1, share * zetaOfTwo))
      let saved = bitsSaved(share: alike, alternatives: g) * rareShare
      if saved > 0.5 { found.append((divisor, saved)) }
    }
    return found.sorted { $0.saved > $1.saved }.map(\.factor)
  }

  /// The numbers without those that are so frequent that they get a bin of their own.
  private static func rareOnes(of numbers: [UInt64]) -> [UInt64] {
    let limit = max(numbers.count / 256, 2)
    let sorted = numbers.sorted()
    var frequent: Set<UInt64> = []
    for index in sorted.indices.dropFirst(limit) where sorted[index] == sorted[index - limit] {
      frequent.insert(sorted[index])
    }
    return frequent.isEmpty ? numbers : numbers.filter { !frequent.contains($0) }
  }

  private static let zetaOfTwo = 1.6449340668482264

  /// The bits that are saved of `log2(alternatives)` if one of them has at least a share.
  static func bitsSaved(share: Double, alternatives: Double) -> Double {
    let rest = 1 - share
    var entropy = 0.0
    if share > 0 { entropy -= share * Logarithm.base2(share) }
    if rest > 0 { entropy -= rest * Logarithm.base2(rest / max(alternatives - 1, 1)) }
    return Logarithm.base2(alternatives) - entropy
  }

  private static func cubeRoot(_ number: Double) -> Double {
    var root = 1.0
    for _ in 0..<60 { root = (2 * root + number / (root * root)) / 3 }
    return root
  }

  /// The greatest number that divides both; the other one if one is 0.
  static func greatestCommonDivisor(_ a: UInt64, _ b: UInt64) -> UInt64 {
    guard a != 0 else { return b }
    guard b != 0 else { return a }
    let shared = UInt64((a | b).trailingZeroBitCount)
    var (low, high) = (a >> UInt64(a.trailingZeroBitCount), b)
    while high != 0 {
      high >>= UInt64(high.trailingZeroBitCount)
      if low > high { swap(&low, &high) }
      high -= low
    }
    return low << shared
  }
}

/// Logarithms without the system's mathematical library.
enum Logarithm {
  /// The logarithm to base 2 of a positive normal number, to about 0.00004.
  @inline(__always)
  static func base2(_ number: Double) -> Double {
    let bits = number.bitPattern
    let exponent = Double(Int(truncatingIfNeeded: bits &>> 52) &- 1023)
    let m = Double(bitPattern: bits & 0x000F_FFFF_FFFF_FFFF | 0x3FF0_0000_0000_0000) - 1
    // Exact at powers of two; fitted between.
    let bend = 0.44225185 + m * (-0.26888419 + m * (0.15026751 + m * -0.04530125))
    return exponent + m + m * (1 - m) * bend
  }
}
