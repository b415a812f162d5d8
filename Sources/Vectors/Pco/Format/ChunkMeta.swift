/// How the numbers of a chunk become latents.
enum Mode: Equatable, Sendable {
  /// One latent a number: the number itself, in the order of unsigned integers.
  case classic
  /// Quotient and remainder by a base.
  case intMult(base: UInt64)
  /// The nearest multiple of a base, and the distance to it in units of the last place. The base is
  /// the float's bits.
  case floatMult(baseBits: UInt64)
  /// The upper and the lower bits of a float's significand; this many are the lower ones.
  case floatQuant(lowerBitCount: Int)
  /// An index into a list of ordered latents.
  case dictionary([UInt64])

  /// Whether a number has a second latent.
  var hasSecondary: Bool {
    switch self {
    case .classic, .dictionary: false
    case .intMult, .floatMult, .floatQuant: true
    }
  }
}

/// How the primary latents (and perhaps the secondary ones) differ from what is stored.
enum Delta: Equatable, Sendable {
  case none
  /// Differences of differences, `order` times.
  case consecutive(order: Int, coversSecondary: Bool)
  /// The difference to an earlier latent; how far back is a latent of its own.
  case lookback(windowLog: Int, stateLog: Int, coversSecondary: Bool)
  /// The difference to a weighted sum of the latents before it.
  case convolution(shift: Int, bias: Int64, weights: [Int32])

  /// How many latents a page stores raw ahead of the others.
  var stateCount: Int {
    switch self {
    case .none: 0
    case .consecutive(let order, _): order
    case .lookback(_, let stateLog, _): 1 << stateLog
    case .convolution(_, _, let weights): weights.count
    }
  }

  var coversSecondary: Bool {
    switch self {
    case .none, .convolution: false
    case .consecutive(_, let covers), .lookback(_, _, let covers): covers
    }
  }
}

/// A range of latents that share a symbol: `lower ..< lower + 2 ** offsetBitCount`, wrapping.
struct Bin: Equatable, Sendable {
  /// Its share of the states of the entropy coder.
  var weight: Int
  var lower: UInt64
  var offsetBitCount: Int
}

/// The bins of one stream of latents.
struct LatentMeta: Equatable, Sendable {
  /// The entropy coder has `2 ** sizeLog` states.
  var sizeLog: Int
  var bins: [Bin]

  /// The largest `sizeLog` of the format.
  static let maxSizeLog = 14
}

/// What the pages of a chunk share.
struct ChunkMeta: Equatable, Sendable {
  var mode: Mode
  var delta: Delta
  /// The bins of the lookbacks; present just with that delta encoding.
  var lookback: LatentMeta?
  var primary: LatentMeta
  /// The bins of the second latents; present just if the mode has them.
  var secondary: LatentMeta?

  /// The width of the primary latents of numbers of a width.
  static func primaryWidth(mode: Mode, numberWidth: Int) -> Int {
    if case .dictionary = mode { return 32 }
    return numberWidth
  }

  /// How many bits the count of offset bits takes, for latents of a width.
  static func offsetBitCountWidth(ofLatentWidth width: Int) -> Int {
    switch width {
    case 8: 4
    case 16: 5
    case 32: 6
    default: 7
    }
  }

  /// The limits of convolution, for latents of a width; larger sums could overflow the reference.
  static func convolutionIsValid(
    shift: Int, bias: Int64, weights: [Int32], latentWidth: Int
  ) -> Bool {
    guard latentWidth <= 32, shift <= min(31, 2 * latentWidth - 1) else { return false }
    let weightSum = weights.reduce(UInt64(0)) { $0 + UInt64($1.magnitude) }
    let bound = UInt64(1) << UInt64(2 * latentWidth - 1)
    guard weightSum < bound >> UInt64(latentWidth) else { return false }
    let (sum, overflow) = bias.magnitude.addingReportingOverflow(
      weightSum << UInt64(latentWidth))
    return !overflow && sum < bound
  }

  /// The significand's explicit bits of a float of a width.
  static func significandBitCount(ofFloatWidth width: Int) -> Int {
    switch width {
    case 16: 10
    case 32: 23
    default: 52
    }
  }
}
