/// Durations counted in buckets of at most 1/64 of their value: percentiles in constant memory.
///
/// The log-linear scheme of HdrHistogram: 64 buckets of one below 64, then 64 for every doubling.
struct Histogram: Sendable {
  private static let precisionBitCount = 6
  private static let bucketsPerDoubling = 1 << precisionBitCount

  private var buckets = [UInt64](
    repeating: 0, count: (64 - precisionBitCount + 1) * bucketsPerDoubling)
  private(set) var count: UInt64 = 0
  private(set) var maximum: UInt64 = 0

  @inline(__always)
  mutating func record(_ value: UInt64) {
    buckets[Histogram.bucket(of: value)] &+= 1
    count &+= 1
    if value > maximum { maximum = value }
  }

  mutating func merge(_ other: Histogram) {
    for (position, added) in other.buckets.enumerated() where added > 0 {
      buckets[position] += added
    }
    count += other.count
    maximum = max(maximum, other.maximum)
  }

  /// The value that this share (0...1) of the values do not exceed, up to 1/64 too large.
  func percentile(_ share: Double) -> UInt64 {
    let rank = UInt64((share * Double(count)).rounded(.up))
    var seen: UInt64 = 0
    for (position, added) in buckets.enumerated() where added > 0 {
      seen += added
      if seen >= rank { return min(Histogram.upperBound(ofBucket: position), maximum) }
    }
    return maximum
  }

  @inline(__always)
  private static func bucket(of value: UInt64) -> Int {
    guard value >= 64 else { return Int(truncatingIfNeeded: value) }
    let shift = 63 &- value.leadingZeroBitCount &- precisionBitCount
    return shift &* bucketsPerDoubling &+ Int(truncatingIfNeeded: value &>> UInt64(shift))
  }

  private static func upperBound(ofBucket bucket: Int) -> UInt64 {
    guard bucket >= 2 * bucketsPerDoubling else { return UInt64(bucket) }
    let shift = bucket / bucketsPerDoubling - 1
    let mantissa = UInt64(bucket - shift * bucketsPerDoubling)
    // The last bucket ends at 2^64, which wraps to the right answer.
    return ((mantissa + 1) &<< UInt64(shift)) &- 1
  }
}
