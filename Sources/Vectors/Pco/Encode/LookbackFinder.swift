/// Finds for each latent an earlier one that is near it, for delta encoding by lookbacks.
///
/// A few candidates are looked at: the latent right before, lookbacks used just now, and the last
/// latents that agree in all bits or in all but the lowest.
struct LookbackFinder<Value: Latent> {
  /// How many bits of a latent candidates may differ in.
  private static var coarseBitCount: Value { Value(truncatingIfNeeded: Value.bitWidth / 4) }
  private static var largestWindowLog: Int { 15 }

  /// Lookbacks reach `2 ** windowLog` latents back at most.
  let windowLog: Int
  private let hashBitCount: Int
  /// The last place with each hash, plus 1: of the whole latent, and of its upper bits.
  private var exactPlaces: [Int32]
  private var coarsePlaces: [Int32]
  /// How often each lookback was taken: one that is frequent costs fewer bits.
  private var uses: [Int32]

  /// The window for pages of a count.
  static func windowLog(count: Int) -> Int {
    let countLog = count.bitWidth - max(count - 1, 0).leadingZeroBitCount
    return min(max(countLog, 4), largestWindowLog)
  }

  init(windowLog: Int) {
    self.windowLog = windowLog
    hashBitCount = windowLog
    exactPlaces = []
    coarsePlaces = []
    uses = []
  }

  /// Replaces latents by their differences to earlier ones, in place.
  ///
  /// - Parameters:
  ///   - values: `count` latents of a page; on return all but the last are what is stored.
  ///   - lookbacks: Memory for as many; on return all but the last are what is stored.
  /// - Returns: The first latent, which is the page's state.
  @inline(__always)
  mutating func takeDifferences(
    _ values: UnsafeMutablePointer<Value>, lookbacks: UnsafeMutablePointer<UInt32>, count: Int
  ) -> Value {
    guard count > 0 else { return 0 }
    exactPlaces = [Int32](repeating: 0, count: 1 << hashBitCount)
    coarsePlaces = exactPlaces
    uses = [Int32](repeating: 0, count: 1 << windowLog + 1)
    let first = values[0]
    var recent = (1, 1)
    note(values[0], at: 0)
    for index in 1..<count {
      let lookback = best(values, index, recent)
      if lookback != recent.0 { recent = (lookback, recent.0) }
      uses[lookback] &+= 1
      note(values[index], at: index)
      lookbacks[index - 1] = UInt32(truncatingIfNeeded: lookback)
    }
    // What is overwritten is always behind all that is still needed.
    for index in stride(from: count - 1, to: 0, by: -1) {
      let difference = values[index] &- values[index - Int(lookbacks[index - 1])]
      values[index] = difference ^ Value.middle
    }
    for index in 1..<count { values[index - 1] = values[index] }
    return first
  }

  @inline(__always)
  private func best(
    _ values: UnsafeMutablePointer<Value>, _ index: Int, _ recent: (Int, Int)
  ) -> Int {
    let value = values[index]
    var best = 1
    var bestGoodness = goodness(value, values[index - 1], lookback: 1)
    let exact = index + 1 - Int(exactPlaces[hash(value)])
    let coarse = index + 1 - Int(coarsePlaces[hash(value >> Self.coarseBitCount)])
    let reach = min(index, 1 << windowLog)
    func consider(_ lookback: Int) {
      // A place that was never noted is one more than the index back.
      guard lookback <= reach else { return }
      let goodness = goodness(value, values[index - lookback], lookback: lookback)
      if goodness > bestGoodness { (best, bestGoodness) = (lookback, goodness) }
    }
    consider(recent.0)
    consider(recent.1)
    consider(exact)
    consider(coarse)
    return best
  }

  /// About how many bits are saved.
  @inline(__always)
  private func goodness(_ value: Value, _ earlier: Value, lookback: Int) -> Int {
    let difference = value &- earlier
    let magnitude = min(difference, 0 &- difference)
    let useCount = uses[lookback]
    return magnitude.leadingZeroBitCount + (32 - useCount.leadingZeroBitCount)
  }

  @inline(__always)
  private func hash(_ value: Value) -> Int {
    let product = UInt64(truncatingIfNeeded: value) &* 0x9E37_79B9_7F4A_7C15
    return Int(truncatingIfNeeded: product >> UInt64(64 - hashBitCount))
  }

  @inline(__always)
  private mutating func note(_ value: Value, at index: Int) {
    exactPlaces[hash(value)] = Int32(truncatingIfNeeded: index + 1)
    coarsePlaces[hash(value >> Self.coarseBitCount)] = Int32(truncatingIfNeeded: index + 1)
  }
}
