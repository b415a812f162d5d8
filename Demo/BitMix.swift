// Keyed permutations: the demo computes keys and orders with them and so holds nothing for a pair.

/// A keyed permutation of the numbers below a power of two, and its inverse.
///
/// Two multiplications by odd constants between folds of the upper half into the lower, the scheme
/// of the 64-bit finalisers of MurmurHash3 and SplitMix64, at any width. Each stage has an inverse:
/// an odd number has one modulo a power of two, and a fold by half of the width or more is its own.
struct BitMix: Sendable {
  private let mask: UInt64
  private let fold: UInt64
  private let offset: UInt64
  private static let first: UInt64 = 0xD6E8_FEB8_6659_FD93
  private static let second: UInt64 = 0xBF58_476D_1CE4_E5B9
  private static let firstInverse = inverse(ofOdd: first)
  private static let secondInverse = inverse(ofOdd: second)
  private let firstInverse: UInt64
  private let secondInverse: UInt64

  /// - Parameters:
  ///   - bitCount: The width, 1...64.
  ///   - key: Which permutation.
  init(bitCount: Int, key: UInt64) {
    precondition(1...64 ~= bitCount)
    mask = UInt64.max >> UInt64(64 - bitCount)
    fold = UInt64((bitCount + 1) / 2)
    offset = scramble(key) & mask
    firstInverse = BitMix.firstInverse
    secondInverse = BitMix.secondInverse
  }

  @inline(__always)
  func forward(_ number: UInt64) -> UInt64 {
    var bits = (number &+ offset) & mask
    bits ^= bits &>> fold
    bits = (bits &* BitMix.first) & mask
    bits ^= bits &>> fold
    bits = (bits &* BitMix.second) & mask
    return bits ^ (bits &>> fold)
  }

  @inline(__always)
  func backward(_ image: UInt64) -> UInt64 {
    var bits = image ^ (image &>> fold)
    bits = (bits &* secondInverse) & mask
    bits ^= bits &>> fold
    bits = (bits &* firstInverse) & mask
    bits ^= bits &>> fold
    return (bits &- offset) & mask
  }

  /// Newton's iteration; each round doubles the number of right low bits, starting from three.
  private static func inverse(ofOdd number: UInt64) -> UInt64 {
    var inverse = number
    for _ in 0..<5 { inverse = inverse &* (2 &- number &* inverse) }
    return inverse
  }
}

/// A keyed permutation of `0..<count`: the order in which a phase visits the pairs.
struct Permutation: Sendable {
  private let count: UInt64
  private let mix: BitMix

  init(count: UInt64, key: UInt64) {
    precondition(count > 0)
    self.count = count
    let bitCount = 64 - (count - 1).leadingZeroBitCount
    mix = BitMix(bitCount: max(bitCount, 1), key: key)
  }

  /// Walks the cycle of `position` until it is in range again, which takes less than two steps on
  /// average because the power of two is less than twice the count.
  @inline(__always)
  subscript(position: UInt64) -> UInt64 {
    var image = mix.forward(position)
    while image >= count { image = mix.forward(image) }
    return image
  }
}

/// SplitMix64's finaliser: turns similar numbers into unlike ones.
@inline(__always)
func scramble(_ number: UInt64) -> UInt64 {
  var bits = number &+ 0x9E37_79B9_7F4A_7C15
  bits = (bits ^ (bits &>> 30)) &* 0xBF58_476D_1CE4_E5B9
  bits = (bits ^ (bits &>> 27)) &* 0x94D0_49BB_1331_11EB
  return bits ^ (bits &>> 31)
}

/// A small random number generator for a thread's choices.
struct RandomNumbers {
  private var state: UInt64
  init(seed: UInt64) { state = scramble(seed) }

  /// A number below `bound`, close enough to evenly for a load.
  @inline(__always)
  mutating func next(below bound: UInt64) -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    return scramble(state).multipliedFullWidth(by: bound).high
  }
}
