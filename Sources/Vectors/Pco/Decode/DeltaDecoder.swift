/// Undoes the delta encoding of one stream of latents, batch by batch.
///
/// The latents that come in are centred: their top bit is flipped. Those of the first `stateCount`
/// numbers are not stored but are the page's state, so that what comes out lags behind what goes in.
enum DeltaDecoder {
  /// Sums a batch of differences `moments.count` times.
  ///
  /// - Parameters:
  ///   - values: `count` values, of which the first `storedCount` were stored; changed in place.
  ///   - moments: The running sums; the first is that of the latents themselves.
  @inline(__always)
  static func undoConsecutive<Value: Latent>(
    _ values: UnsafeMutablePointer<Value>, count: Int, storedCount: Int,
    moments: UnsafeMutableBufferPointer<Value>
  ) {
    for index in storedCount..<max(count, storedCount) { values[index] = 0 }
    if moments.count == 1 {
      var sum = moments[0]
      for index in 0..<count {
        let difference = values[index] ^ Value.middle
        values[index] = sum
        sum &+= difference
      }
      moments[0] = sum
    } else if moments.count == 2 {
      var (sum, slope) = (moments[0], moments[1])
      for index in 0..<count {
        let difference = values[index] ^ Value.middle
        values[index] = sum
        sum &+= slope
        slope &+= difference
      }
      (moments[0], moments[1]) = (sum, slope)
    } else {
      for index in 0..<count { values[index] ^= Value.middle }
      for order in stride(from: moments.count - 1, through: 0, by: -1) {
        var sum = moments[order]
        for index in 0..<count {
          let difference = values[index]
          values[index] = sum
          sum &+= difference
        }
        moments[order] = sum
      }
    }
  }

  /// Adds each stored latent to a weighted sum of the latents before it.
  ///
  /// - Parameters:
  ///   - values: `count` values, of which the first `storedCount` were stored; changed in place.
  ///   - history: The last `weights.count` latents, and room for 256 more behind them.
  @inline(__always)
  static func undoConvolution<Value: Latent>(
    _ values: UnsafeMutablePointer<Value>, count: Int, storedCount: Int,
    history: UnsafeMutablePointer<Value>, shift: Int, bias: Int64, weights: [Int32]
  ) {
    let order = weights.count
    for index in 0..<storedCount {
      // The checks of the meta keep this sum within 64 bits whatever the latents are.
      var sum = bias
      for tap in 0..<order {
        sum &+= Int64(weights[tap]) &* Int64(truncatingIfNeeded: history[index &+ tap])
      }
      let predicted = max(0, sum) &>> Int64(shift)
      history[order &+ index] =
        (values[index] ^ Value.middle) &+ Value(truncatingIfNeeded: predicted)
    }
    for index in storedCount..<max(count, storedCount) { history[order + index] = 0 }
    for index in 0..<count { values[index] = history[index] }
    for index in 0..<order { history[index] = history[count + index] }
  }
}

/// The latents of a page as far back as lookbacks can reach.
struct LookbackHistory<Value: Latent> {
  private let memory: UnsafeMutablePointer<Value>
  private let capacity: Int
  /// How many latents at most are kept when the memory is full.
  private let window: Int
  /// Where the next latent goes.
  private var end: Int
  /// The next latent to hand out.
  private var next = 0

  /// How many latents the memory needs room for.
  static func capacity(count: Int, windowLog: Int, stateCount: Int) -> Int {
    min(count, 2 << windowLog) + stateCount + 2 * PageSource.batchCount
  }

  /// A history whose memory begins with the page's state.
  init(
    _ memory: UnsafeMutablePointer<Value>, capacity: Int, windowLog: Int, stateCount: Int
  ) {
    self.memory = memory
    self.capacity = capacity
    window = 1 << windowLog
    end = stateCount
  }

  /// Adds each stored latent to the one so far back, and hands out the next `count`.
  @inline(__always)
  mutating func undo(
    _ values: UnsafeMutablePointer<Value>, count: Int, storedCount: Int,
    lookbacks: UnsafeMutablePointer<UInt32>
  ) {
    if end + storedCount > capacity { slide() }
    for index in 0..<storedCount {
      let lookback = Int(lookbacks[index])
      // In front of the page's first latent there are zeros.
      let earlier = lookback <= end ? memory[end &- lookback] : 0
      memory[end] = (values[index] ^ Value.middle) &+ earlier
      end &+= 1
    }
    values.update(from: memory + next, count: count)
    next &+= count
  }

  /// Keeps the window, which holds all that was not handed out yet: at most the state's count.
  @inline(never)
  private mutating func slide() {
    let dropped = end - window
    memory.update(from: memory + dropped, count: window)
    end = window
    next -= dropped
  }
}
