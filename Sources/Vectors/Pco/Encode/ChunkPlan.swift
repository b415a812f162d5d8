/// The mode and the delta encoding of a chunk, found by trial on samples of it.
struct ChunkPlan {
  var mode: Mode = .classic
  var delta: Delta = .none

  /// A sample is made of runs of so many neighbours, since deltas depend on the order.
  private static let runCount = 200
  /// About one number in so many is in the sample.
  private static let sampleStep = 40
  private static let maxOrder = 7

  /// What a trial tells.
  private struct Trial {
    var delta: Delta
    var bitsPerNumber: Double
  }

  /// Makes the plan of a chunk whose pages have at most `pageCount` numbers.
  @inline(__always)
  init<Number: Latent>(
    _ ordered: LatentBuffer<Number>, kind: PcoNumberType.Kind, pageCount: Int, level: Int
  ) {
    let sample = Self.sample(ordered)
    var best = Self.trial(sample, secondary: nil, level: level)
    delta = best.delta
    for mode in ModeCandidates.find(ordered, kind: kind) {
      let (primary, secondary) = LatentSplitter.split(sample, mode: mode)
      let trial = Self.trial(primary, secondary: secondary, level: level)
      if trial.bitsPerNumber < best.bitsPerNumber {
        best = trial
        (self.mode, delta) = (mode, trial.delta)
      }
    }
    tryLookback(ordered, pageCount: pageCount, level: level)
  }

  /// An eighth of a page shows whether lookbacks are worth it, but so many numbers at most and at
  /// least.
  private static let largestLookbackRun = 6000
  private static let smallestLookbackRun = 512
  /// Lookbacks take longer to decode and must save so many bits a number, and such a share.
  private static let leastLookbackSaving = 2.0
  private static let leastLookbackShare = 0.3

  /// Takes lookbacks for deltas, if they are much better than what was found.
  @inline(__always)
  private mutating func tryLookback<Number: Latent>(
    _ ordered: LatentBuffer<Number>, pageCount: Int, level: Int
  ) {
    let count = min(
      pageCount, Self.largestLookbackRun, max(pageCount / 8, Self.smallestLookbackRun))
    let run = LatentBuffer<Number>(count: count)
    run.values.update(from: ordered.values + (ordered.count - count) / 2, count: count)
    let (primary, _) = LatentSplitter.split(run, mode: mode)
    let rangeCountLog = LatentBins.rangeCountLog(level: level, count: count)
    let differences = LatentBuffer<Number>(count: count)
    differences.values.update(from: primary.values, count: count)
    let order = delta.stateCount
    guard order < count else { return }
    if order > 0 {
      _ = DeltaEncoder.takeDifferences(differences.values, count: count, order: order)
    }
    let before = Self.bits(differences.values, [0..<count - order], rangeCountLog)
    guard before > Self.leastLookbackSaving else { return }
    let lookbacks = LatentBuffer<UInt32>(count: count)
    var finder = LookbackFinder<Number>(windowLog: LookbackFinder<Number>.windowLog(count: count))
    _ = finder.takeDifferences(primary.values, lookbacks: lookbacks.values, count: count)
    let stored = [0..<count - 1]
    let after =
      Self.bits(primary.values, stored, rangeCountLog)
      + Self.bits(lookbacks.values, stored, rangeCountLog)
    let saving = before - after
    if saving >= max(Self.leastLookbackSaving, Self.leastLookbackShare * before) {
      delta = .lookback(
        windowLog: LookbackFinder<Number>.windowLog(count: pageCount), stateLog: 0,
        coversSecondary: false)
    }
  }

  /// Runs of neighbours, evenly over the chunk, one behind the other.
  @inline(__always)
  private static func sample<Number: Latent>(
    _ ordered: LatentBuffer<Number>
  ) -> LatentBuffer<Number> {
    let count = ordered.count
    let runs = max(1, min(max(count / (runCount * sampleStep), 4), count / runCount))
    let length = min(runCount, count)
    let sample = LatentBuffer<Number>(count: runs * length)
    for run in 0..<runs {
      let start = runs == 1 ? 0 : run * (count - length) / (runs - 1)
      (sample.values + run * length).update(from: ordered.values + start, count: length)
    }
    return sample
  }

  /// The best delta encoding of a sample, and what it takes then.
  @inline(__always)
  private static func trial<Number: Latent>(
    _ primary: LatentBuffer<Number>, secondary: LatentBuffer<Number>?, level: Int
  ) -> Trial {
    let length = min(runCount, primary.count)
    let starts = stride(from: 0, to: primary.count, by: max(length, 1))
    let whole = starts.map { $0..<$0 + length }
    let rangeCountLog = LatentBins.rangeCountLog(level: level, count: primary.count)
    var best = Trial(
      delta: .none, bitsPerNumber: bits(primary.values, whole, rangeCountLog))
    let copy = LatentBuffer<Number>(count: primary.count)
    copy.values.update(from: primary.values, count: primary.count)
    for order in 1...maxOrder where order < length {
      // The differences of the round before are taken once more.
      let segments = whole.map { $0.lowerBound..<$0.upperBound - order }
      for segment in segments {
        let values = copy.values + segment.lowerBound
        if order > 1 { for index in 0...segment.count { values[index] ^= Number.middle } }
        _ = DeltaEncoder.takeDifferences(values, count: segment.count + 1, order: 1)
      }
      let cost = bits(copy.values, segments, rangeCountLog)
      guard cost < best.bitsPerNumber else { break }
      best = Trial(
        delta: .consecutive(order: order, coversSecondary: false), bitsPerNumber: cost)
    }
    if let secondary {
      best.bitsPerNumber += bits(
        secondary.values, whole, min(rangeCountLog, LatentBins.maxSecondaryRangeCountLog))
    }
    return best
  }

  /// What latents take, in bits a number.
  @inline(__always)
  private static func bits<Number: Latent>(
    _ values: UnsafePointer<Number>, _ segments: [Range<Int>], _ rangeCountLog: Int
  ) -> Double {
    let count = segments.reduce(0) { $0 + $1.count }
    let optimized = LatentBins.optimize(
      values, segments: segments, rangeCountLog: rangeCountLog)
    return optimized.bins.cost / Double(max(count, 1))
  }
}
