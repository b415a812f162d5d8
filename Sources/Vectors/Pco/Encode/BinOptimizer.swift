/// Merges neighbouring ranges of a histogram so that the latents take the fewest bits.
///
/// The cost of a set of bins is a sum over bins, so the best set for the first ranges follows from
/// the best sets for fewer: dynamic programming, quadratic in the ranges.
struct BinOptimizer {
  /// A bin that was chosen, before it gets a weight.
  struct Choice {
    var count: Int
    var lower: UInt64
    var offsetBitCount: Int
  }

  /// The bins, in ascending order.
  private(set) var choices: [Choice] = []
  /// What the latents and the bins' descriptions take, in bits.
  private(set) var cost = 0.0

  /// A bit a number is given up, at this share, for bins that decode faster.
  private static let speedShare = 0.1

  /// Chooses bins.
  ///
  /// - Parameters:
  ///   - latentWidth: The width of the latents in bits.
  ///   - sizeLog: About how large the entropy coder will be.
  init(_ histogram: Histogram, latentWidth: Int, sizeLog: Int) {
    let ranges = histogram.ranges
    guard !ranges.isEmpty else { return }
    let binCost = Double(
      sizeLog + latentWidth + ChunkMeta.offsetBitCountWidth(ofLatentWidth: latentWidth))
    let coder = Cost(ranges, total: histogram.count, binCost: binCost)
    let (best, firsts) = coder.bestPartition()
    let slack = Self.speedShare * Double(histogram.count)
    let last = ranges.count - 1
    let whole = coder.cost(0, last)
    if whole < best + slack {
      choices = [coder.choice(0, last)]
      cost = whole
      return
    }
    if ranges.allSatisfy({ $0.lower == $0.upper }) {
      let separate = ranges.indices.reduce(0) { $0 + coder.cost($1, $1) }
      if separate < best + slack {
        choices = ranges.indices.map { coder.choice($0, $0) }
        cost = separate
        return
      }
    }
    var end = last
    while end >= 0 {
      choices.append(coder.choice(firsts[end], end))
      end = firsts[end] - 1
    }
    choices.reverse()
    cost = best
  }

  /// The cost of bins of ranges.
  private struct Cost {
    private let lowers: [UInt64]
    private let uppers: [UInt64]
    /// How many latents are in all the ranges before each.
    private let countsBefore: [Int]
    private let logTotal: Double
    private let binCost: Double

    init(_ ranges: [Histogram.Range], total: Int, binCost: Double) {
      lowers = ranges.map(\.lower)
      uppers = ranges.map(\.upper)
      countsBefore = ranges.reduce(into: [0]) { $0.append(($0.last ?? 0) + $1.count) }
      logTotal = Logarithm.base2(Double(total))
      self.binCost = binCost
    }

    @inline(__always)
    private func cost(count: Int, span: UInt64) -> Double {
      binCost + Double(count) * (logTotal - Logarithm.base2(Double(count)) + Double(span.bitLength))
    }

    func cost(_ first: Int, _ last: Int) -> Double {
      cost(
        count: countsBefore[last + 1] - countsBefore[first], span: uppers[last] - lowers[first])
    }

    func choice(_ first: Int, _ last: Int) -> Choice {
      Choice(
        count: countsBefore[last + 1] - countsBefore[first], lower: lowers[first],
        offsetBitCount: (uppers[last] - lowers[first]).bitLength)
    }

    /// The least cost of all ranges, and where the last bin of the best bins for the ranges up to
    /// each one begins.
    func bestPartition() -> (cost: Double, firsts: [Int]) {
      var best = [Double](repeating: 0, count: lowers.count + 1)
      var firsts = [Int](repeating: 0, count: lowers.count)
      best.withUnsafeMutableBufferPointer { best in
        lowers.withUnsafeBufferPointer { lowers in
          countsBefore.withUnsafeBufferPointer { before in
            for last in lowers.indices {
              let (end, upper) = (before[last &+ 1], uppers[last])
              var least = Double.infinity
              var leastFirst = 0
              for first in 0...last {
                let total =
                  best[first]
                  + cost(count: end &- before[first], span: upper &- lowers[first])
                // Of equals the later one, whose bin is the smaller.
                if total <= least {
                  least = total
                  leastFirst = first
                }
              }
              best[last &+ 1] = least
              firsts[last] = leastFirst
            }
          }
        }
      }
      return (best[lowers.count], firsts)
    }
  }
}

/// Turns counts into weights of the entropy coder's states.
enum WeightQuantizer {
  /// The bins of choices, with weights.
  ///
  /// - Parameter sizeLog: How large the coder may be, if the bins need no more.
  static func quantize(_ choices: [BinOptimizer.Choice], sizeLog: Int) -> LatentMeta {
    guard choices.count > 1 else {
      return LatentMeta(
        sizeLog: 0,
        bins: choices.map {
          Bin(weight: 1, lower: $0.lower, offsetBitCount: $0.offsetBitCount)
        })
    }
    var sizeLog = max(
      sizeLog, (choices.count - 1).bitWidth - (choices.count - 1).leadingZeroBitCount)
    var weights = weights(of: choices.map(\.count), stateCount: 1 << sizeLog)
    while weights.allSatisfy({ $0 % 2 == 0 }) {
      weights = weights.map { $0 / 2 }
      sizeLog -= 1
    }
    return LatentMeta(
      sizeLog: sizeLog,
      bins: zip(choices, weights).map {
        Bin(weight: $1, lower: $0.lower, offsetBitCount: $0.offsetBitCount)
      })
  }

  /// Weights of at least 1 that sum to the count of states.
  private static func weights(of counts: [Int], stateCount: Int) -> [Int] {
    let total = counts.reduce(0, +)
    let scale = Double(stateCount) / Double(total)
    // One state each is given; the rest is shared by what is wanted beyond.
    let wants = counts.map { max(0, Double($0) * scale - 1) }
    let wanted = wants.reduce(0, +)
    let factor = wanted > 0 ? Double(stateCount - counts.count) / wanted : 0
    let exact = wants.map { 1 + $0 * factor }
    var weights = exact.map { Int($0.rounded()) }
    var sum = weights.reduce(0, +)
    for index in weights.indices where sum > stateCount {
      guard weights[index] > 1, Double(weights[index]) > exact[index] else { continue }
      weights[index] -= 1
      sum -= 1
    }
    for index in weights.indices where sum < stateCount {
      guard Double(weights[index]) < exact[index] else { continue }
      weights[index] += 1
      sum += 1
    }
    // Rounding of the sums could leave a state over or short.
    if let largest = weights.indices.max(by: { weights[$0] < weights[$1] }) {
      weights[largest] += stateCount - sum
    }
    return weights
  }
}
