/// Replaces latents by differences, in place.
enum DeltaEncoder {
  /// Takes differences `order` times.
  ///
  /// - Parameters:
  ///   - values: A page's latents; on return the first `max(0, count - order)` are what is stored.
  /// - Returns: The page's state: the first value of each round.
  @inline(__always)
  static func takeDifferences<Value: Latent>(
    _ values: UnsafeMutablePointer<Value>, count: Int, order: Int
  ) -> [Value] {
    var moments: [Value] = []
    var rest = count
    for _ in 0..<order {
      moments.append(rest > 0 ? values[0] : 0)
      if rest == 0 { continue }
      rest -= 1
      for index in 0..<rest { values[index] = values[index &+ 1] &- values[index] }
    }
    for index in 0..<rest { values[index] ^= Value.middle }
    return moments
  }
}
