/// Reading a chunk's meta, with every check that its content allows.
extension ChunkMeta {
  /// Reads the meta of a chunk.
  ///
  /// - Parameters:
  ///   - reader: It stands at the meta, and is left at the first page.
  ///   - type: The type of the chunk's numbers.
  ///   - major: The major version of the format that the data is in.
  init(from reader: inout BitReader, type: PcoNumberType, major: Int) throws(PcoError) {
    let width = type.bitWidth
    let mode = try Self.readMode(from: &reader, type: type, major: major)
    let primaryWidth = Self.primaryWidth(mode: mode, numberWidth: width)
    let delta =
      major <= 2
      ? try Self.readOldDelta(from: &reader)
      : try Self.readDelta(from: &reader, latentWidth: primaryWidth)
    var lookback: LatentMeta?
    if case .lookback(let windowLog, _, _) = delta {
      let meta = try LatentMeta(from: &reader, latentWidth: 32)
      guard meta.bins.allSatisfy({ 1 <= $0.lower && $0.lower <= 1 << UInt64(windowLog) }) else {
        throw reader.corrupted("a bin of lookbacks begins outside the window")
      }
      lookback = meta
    }
    let primary = try LatentMeta(from: &reader, latentWidth: primaryWidth)
    let secondary =
      mode.hasSecondary ? try LatentMeta(from: &reader, latentWidth: width) : nil
    try reader.alignToByte()
    self.init(
      mode: mode, delta: delta, lookback: lookback, primary: primary, secondary: secondary)
  }

  private static func readMode(
    from reader: inout BitReader, type: PcoNumberType, major: Int
  ) throws(PcoError) -> Mode {
    let width = type.bitWidth
    let isFloat = type.kind == .float
    switch try reader.readInt(4) {
    case 0:
      return .classic
    case 1:
      guard !isFloat else { throw reader.corrupted("a mode of integers for floats") }
      guard major > 0 else {
        throw PcoError(.unsupportedVersion, "integer multiples as version 0 stored them")
      }
      let base = try reader.read(width)
      guard base > 0 else { throw reader.corrupted("the base of multiples is 0") }
      return .intMult(base: base)
    case 2:
      guard isFloat else { throw reader.corrupted("a mode of floats for integers") }
      let bits = floatBits(ofOrdered: try reader.read(width), width: width)
      let significandBitCount = significandBitCount(ofFloatWidth: width)
      let magnitude = bits & (1 << UInt64(width - 1) - 1)
      let infinity =
        (UInt64(1) << UInt64(width - 1 - significandBitCount) - 1)
        << UInt64(significandBitCount)
      guard magnitude > 0, magnitude < infinity else {
        throw reader.corrupted("the base of multiples is zero or not finite")
      }
      return .floatMult(baseBits: bits)
    case 3:
      guard isFloat else { throw reader.corrupted("a mode of floats for integers") }
      let count = try reader.readInt(8)
      guard 0 < count, count <= significandBitCount(ofFloatWidth: width) else {
        throw reader.corrupted("the count of lower bits is outside the significand")
      }
      return .floatQuant(lowerBitCount: count)
    case 4:
      return try readDictionary(from: &reader, width: width)
    default:
      throw reader.corrupted("the mode is unknown")
    }
  }

  private static func readDictionary(
    from reader: inout BitReader, width: Int
  ) throws(PcoError) -> Mode {
    let count = try reader.readInt(25)
    try reader.alignToByte()
    // Compared before anything is allocated.
    guard count * width <= reader.remainingBitCount else { throw reader.truncated() }
    var values: [UInt64] = []
    values.reserveCapacity(count)
    for _ in 0..<count { values.append(try reader.read(width)) }
    return .dictionary(values)
  }

  /// The bits of the float that an ordered latent stands for.
  static func floatBits(ofOrdered latent: UInt64, width: Int) -> UInt64 {
    let top = UInt64(1) << UInt64(width - 1)
    return latent & top != 0 ? latent ^ top : latent ^ (top | (top - 1))
  }

  /// The ordered latent of the bits of a float.
  static func ordered(ofFloatBits bits: UInt64, width: Int) -> UInt64 {
    let top = UInt64(1) << UInt64(width - 1)
    return bits & top != 0 ? bits ^ (top | (top - 1)) : bits ^ top
  }

  private static func readOldDelta(from reader: inout BitReader) throws(PcoError) -> Delta {
    let order = try reader.readInt(3)
    return order == 0 ? .none : .consecutive(order: order, coversSecondary: false)
  }

  private static func readDelta(
    from reader: inout BitReader, latentWidth: Int
  ) throws(PcoError) -> Delta {
    switch try reader.readInt(4) {
    case 0:
      return .none
    case 1:
      let order = try reader.readInt(3)
      guard order > 0 else { throw reader.corrupted("consecutive deltas of order 0") }
      return .consecutive(order: order, coversSecondary: try reader.read(1) == 1)
    case 2:
      let windowLog = try reader.readInt(5) + 1
      let stateLog = try reader.readInt(4)
      guard windowLog <= 24, stateLog <= windowLog else {
        throw reader.corrupted("the window of lookbacks is too large, or smaller than its state")
      }
      return .lookback(
        windowLog: windowLog, stateLog: stateLog, coversSecondary: try reader.read(1) == 1)
    case 3:
      let shift = try reader.readInt(5)
      let bias = Int64(bitPattern: try reader.read(64) ^ 1 << 63)
      let order = try reader.readInt(5) + 1
      var weights: [Int32] = []
      for _ in 0..<order {
        let word = UInt32(truncatingIfNeeded: try reader.read(32))
        weights.append(Int32(bitPattern: word ^ 1 << 31))
      }
      guard
        convolutionIsValid(shift: shift, bias: bias, weights: weights, latentWidth: latentWidth)
      else { throw reader.corrupted("a convolution whose sums could overflow") }
      return .convolution(shift: shift, bias: bias, weights: weights)
    default:
      throw reader.corrupted("the delta encoding is unknown")
    }
  }
}

extension LatentMeta {
  /// Reads the bins of latents of a width.
  init(from reader: inout BitReader, latentWidth: Int) throws(PcoError) {
    let sizeLog = try reader.readInt(4)
    let count = try reader.readInt(15)
    guard sizeLog <= Self.maxSizeLog, count <= 1 << sizeLog, count != 1 || sizeLog == 0 else {
      throw reader.corrupted("the entropy coder's size does not fit the count of bins")
    }
    let offsetField = ChunkMeta.offsetBitCountWidth(ofLatentWidth: latentWidth)
    // Compared before anything is allocated.
    guard count * (sizeLog + latentWidth + offsetField) <= reader.remainingBitCount else {
      throw reader.truncated()
    }
    var bins: [Bin] = []
    bins.reserveCapacity(count)
    var weightSum = 0
    for _ in 0..<count {
      let bin = Bin(
        weight: try reader.readInt(sizeLog) + 1, lower: try reader.read(latentWidth),
        offsetBitCount: try reader.readInt(offsetField))
      guard bin.offsetBitCount <= latentWidth else {
        throw reader.corrupted("a bin has offsets wider than its latents")
      }
      weightSum += bin.weight
      bins.append(bin)
    }
    guard count == 0 ? sizeLog == 0 : weightSum == 1 << sizeLog else {
      throw reader.corrupted("the weights of the bins do not add up")
    }
    self.init(sizeLog: sizeLog, bins: bins)
  }
}
