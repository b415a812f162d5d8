/// Random numbers that a seed decides, so that a failure can be had again (splitmix64).
package struct SeededRandom: RandomNumberGenerator, Sendable {
  private var state: UInt64

  /// The sequence of a seed.
  package init(seed: UInt64) { state = seed }

  package mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var word = state
    word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
    word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
    return word ^ (word >> 31)
  }

  /// A number below `bound`, which is at least 1.
  package mutating func below(_ bound: Int) -> Int {
    Int(truncatingIfNeeded: next() >> 1) % bound
  }

  /// A number of the range.
  package mutating func number(in range: ClosedRange<Int>) -> Int {
    range.lowerBound + below(range.count)
  }

  /// True so many times of a hundred.
  package mutating func chance(_ percent: Int) -> Bool { below(100) < percent }

  /// So many random bytes.
  package mutating func bytes(_ count: Int) -> [UInt8] {
    // The array is filled by words: tests make megabytes of this in debug builds.
    [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
      let raw = UnsafeMutableRawBufferPointer(buffer)
      var offset = 0
      while offset + 8 <= count {
        raw.storeBytes(of: next(), toByteOffset: offset, as: UInt64.self)
        offset += 8
      }
      while offset < count {
        raw[offset] = UInt8(truncatingIfNeeded: next())
        offset += 1
      }
      filled = count
    }
  }
}
