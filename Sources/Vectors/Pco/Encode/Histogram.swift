/// Ranges of sorted latents of about equal counts, with what lies in them exactly.
struct Histogram {
  /// A range of latents from `lower` to `upper`, both of which occur.
  struct Range {
    var count: Int
    var lower: UInt64
    var upper: UInt64
  }

  private(set) var ranges: [Range] = []
  /// How many latents there are.
  let count: Int
  /// There are `2 ** rangeCountLog` quantiles.
  private let rangeCountLog: Int
  private var open: Range?
  private var takenCount = 0
  /// The first quantile that no closed range covers.
  private var nextQuantile = 0

  /// Divides sorted latents.
  ///
  /// Equal latents are never divided: a run of them that crosses the end of a quantile joins the
  /// range before or behind, wherever its middle is.
  @inline(__always)
  init<Value: Latent>(sorted values: LatentBuffer<Value>, rangeCountLog: Int) {
    count = values.count
    self.rangeCountLog = rangeCountLog
    let sorted = UnsafePointer(values.values)
    var start = 0
    while start < count {
      let quantile = quantile(ofRank: takenCount)
      let end = endRank(ofQuantile: quantile)
      if end >= count {
        take(sorted, start, count)
        close(upTo: quantile)
        break
      }
      let runStart = Self.firstIndex(sorted, from: start, in: end - 1)
      let runEnd = Self.endIndex(sorted, from: end - 1, to: count)
      take(sorted, start, runStart)
      var target = self.quantile(ofRank: takenCount + (runEnd - runStart) / 2)
      if target > nextQuantile, !close(upTo: target - 1) { target -= 1 }
      take(sorted, runStart, runEnd)
      if takenCount >= endRank(ofQuantile: target) { close(upTo: target) }
      start = runEnd
    }
    close(upTo: 0)
  }

  private func quantile(ofRank rank: Int) -> Int { (rank << rangeCountLog) / count }

  private func endRank(ofQuantile quantile: Int) -> Int {
    ((quantile + 1) * count + 1 << rangeCountLog - 1) >> rangeCountLog
  }

  @inline(__always)
  private mutating func take<Value: Latent>(
    _ sorted: UnsafePointer<Value>, _ start: Int, _ end: Int
  ) {
    guard start < end else { return }
    var range = open ?? Range(count: 0, lower: UInt64(sorted[start]), upper: 0)
    range.count += end - start
    range.upper = UInt64(sorted[end - 1])
    takenCount += end - start
    open = range
  }

  /// Ends the open range, if there is one; it covers all quantiles up to this.
  @discardableResult
  private mutating func close(upTo quantile: Int) -> Bool {
    guard let range = open else { return false }
    nextQuantile = quantile + 1
    ranges.append(range)
    open = nil
    return true
  }

  /// The first index, `start` or behind, of the value at an index.
  @inline(__always)
  private static func firstIndex<Value: Latent>(
    _ sorted: UnsafePointer<Value>, from start: Int, in index: Int
  ) -> Int {
    let value = sorted[index]
    var step = 1
    // Everything from `known` on is equal; `low` is a place before which nothing is.
    var known = index
    while known - step >= start, sorted[known - step] == value {
      known -= step
      step *= 2
    }
    var low = max(start, known - step)
    while low < known {
      let middle = (low + known) / 2
      if sorted[middle] == value { known = middle } else { low = middle + 1 }
    }
    return known
  }

  /// The index behind the last one of the value at an index.
  @inline(__always)
  private static func endIndex<Value: Latent>(
    _ sorted: UnsafePointer<Value>, from index: Int, to end: Int
  ) -> Int {
    let value = sorted[index]
    var step = 1
    var known = index
    while known + step < end, sorted[known + step] == value {
      known += step
      step *= 2
    }
    var (low, high) = (known + 1, min(end, known + step))
    while low < high {
      let middle = (low + high) / 2
      if sorted[middle] == value { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
