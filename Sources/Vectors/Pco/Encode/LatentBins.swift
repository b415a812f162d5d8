/// The bins that are best for some latents.
enum LatentBins {
  /// How many quantiles, as a power of two, a level looks at for so many latents.
  static func rangeCountLog(level: Int, count: Int) -> Int {
    let direct = max(0, count.bitWidth - 1 - max(count, 1).leadingZeroBitCount - 4)
    return level <= direct ? level : direct + (level - direct) / 2
  }

  /// Secondary latents have few values as a rule, and more bins would only cost time.
  static let maxSecondaryRangeCountLog = 6

  /// Chooses bins for the latents in segments of an array.
  @inline(__always)
  static func optimize<Value: Latent>(
    _ values: UnsafePointer<Value>, segments: [Range<Int>], rangeCountLog: Int
  ) -> (bins: BinOptimizer, sizeLog: Int) {
    let sorted = LatentSorter.sorted(values, segments: segments)
    let histogram = Histogram(sorted: sorted, rangeCountLog: rangeCountLog)
    let countLog =
      sorted.count > 1 ? (sorted.count - 1).bitWidth - (sorted.count - 1).leadingZeroBitCount : 0
    let sizeLog = min(rangeCountLog + 2, 12, countLog)
    return (
      BinOptimizer(histogram, latentWidth: Value.bitWidth, sizeLog: sizeLog), sizeLog
    )
  }
}
