/// Encodes one stream of latents of a chunk with its bins.
///
/// The entropy coder works backwards: `encodeSymbols(_:)` goes over a page's latents from the last
/// to the first and notes the bits that each gives off, and `writeBatch` writes them forwards.
final class LatentEncoder<Value: Latent> {
  private struct Symbol {
    /// `(state + bitCountBase) >> 16` bits are given off.
    var bitCountBase: Int32
    /// What is added to the rest of the state for the place of the next state.
    var nextStateBase: Int32
  }

  let meta: LatentMeta
  private let symbolTable: UnsafeMutablePointer<Symbol>
  /// The next states, those of each bin together, in ascending order.
  private let nextStates: UnsafeMutablePointer<UInt16>
  /// Lower bounds, padded to a power of two.
  private let lowers: UnsafeMutablePointer<Value>
  private let offsetBitCounts: UnsafeMutablePointer<UInt8>
  private let searchDepth: Int
  private let maxOffsetBitCount: Int

  private let values: UnsafeMutablePointer<Value>
  /// For each latent the bits given off (14), their count (4) and the bin (14).
  private let emitted: LatentBuffer<UInt32>

  /// An encoder of latents, all of which lie in bins of the meta, which ascend and don't overlap.
  init(_ meta: LatentMeta, values: LatentBuffer<Value>) {
    self.meta = meta
    self.values = values.values
    buffer = values
    emitted = LatentBuffer(count: meta.bins.count > 1 ? values.count : 0)
    let count = meta.bins.count
    var depth = 0
    while 1 << depth < count { depth += 1 }
    searchDepth = depth
    symbolTable = .allocate(capacity: max(count, 1))
    nextStates = .allocate(capacity: 1 << meta.sizeLog)
    lowers = .allocate(capacity: 1 << depth)
    offsetBitCounts = .allocate(capacity: 1 << depth)
    lowers.initialize(repeating: .max, count: 1 << depth)
    offsetBitCounts.initialize(repeating: 0, count: 1 << depth)
    for (index, bin) in meta.bins.enumerated() {
      lowers[index] = Value(truncatingIfNeeded: bin.lower)
      offsetBitCounts[index] = UInt8(truncatingIfNeeded: bin.offsetBitCount)
    }
    maxOffsetBitCount = meta.bins.reduce(0) { max($0, $1.offsetBitCount) }
    if count > 1 { fillTables() }
  }

  private let buffer: LatentBuffer<Value>

  deinit {
    symbolTable.deallocate()
    nextStates.deallocate()
    lowers.deallocate()
    offsetBitCounts.deallocate()
  }

  private func fillTables() {
    let stateCount = 1 << meta.sizeLog
    var starts: [Int] = []
    var start = 0
    for (index, bin) in meta.bins.enumerated() {
      let weight = bin.weight
      // Of the states in stateCount ..< 2 * stateCount, those from `threshold` on give off one bit
      // more than the others.
      let leastBitCount =
        meta.sizeLog - (Int.bitWidth - 1 - (2 * weight - 1).leadingZeroBitCount)
      let threshold = 2 * weight << leastBitCount
      symbolTable[index] = Symbol(
        bitCountBase: Int32((leastBitCount + 1) << 16 - threshold),
        nextStateBase: Int32(start - weight))
      starts.append(start)
      start += weight
    }
    let order = StateOrder(sizeLog: meta.sizeLog, weights: meta.bins.map(\.weight))
    for (state, owner) in order.owners.enumerated() {
      nextStates[starts[Int(owner)]] = UInt16(truncatingIfNeeded: stateCount + state)
      starts[Int(owner)] += 1
    }
  }

  /// What a page's latents have been turned into.
  struct EncodedPage {
    /// The states that the decoder begins with.
    var states: [Int]
    /// How many bits the symbols and offsets take.
    var bitCount: Int
  }

  /// Finds the bins of a page's latents and encodes them.
  @inline(__always)
  func encodeSymbols(_ range: Range<Int>) -> EncodedPage {
    let count = range.count
    guard meta.bins.count > 1 else {
      return EncodedPage(states: [0, 0, 0, 0], bitCount: count * maxOffsetBitCount)
    }
    let emitted = emitted.values + range.lowerBound
    findBins(of: values + range.lowerBound, count: count, into: emitted)
    let first = Int32(1 << meta.sizeLog)
    var (a, b, c, d) = (first, first, first, first)
    var bitCount = 0
    var index = count
    // The last batch may be short; from a multiple of four on, all four states take turns.
    while index & 3 != 0 {
      index &-= 1
      switch index & 3 {
      case 0: encode(&emitted[index], state: &a, &bitCount)
      case 1: encode(&emitted[index], state: &b, &bitCount)
      default: encode(&emitted[index], state: &c, &bitCount)
      }
    }
    while index > 0 {
      index &-= 4
      encode(&emitted[index &+ 3], state: &d, &bitCount)
      encode(&emitted[index &+ 2], state: &c, &bitCount)
      encode(&emitted[index &+ 1], state: &b, &bitCount)
      encode(&emitted[index], state: &a, &bitCount)
    }
    return EncodedPage(
      states: [a, b, c, d].map { Int($0 &- first) }, bitCount: bitCount)
  }

  /// Turns a bin into what it gives off.
  @inline(__always)
  private func encode(_ emitted: inout UInt32, state: inout Int32, _ bitCount: inout Int) {
    let bin = Int(emitted)
    let symbol = symbolTable[bin]
    let count = (state &+ symbol.bitCountBase) &>> 16
    let bits = UInt32(bitPattern: state) & ((1 &<< UInt32(bitPattern: count)) &- 1)
    let next = (state &>> count) &+ symbol.nextStateBase
    state = Int32(truncatingIfNeeded: nextStates[Int(next)])
    emitted =
      bits | UInt32(bitPattern: count) &<< 14 | UInt32(truncatingIfNeeded: bin) &<< 18
    bitCount &+= Int(count) &+ Int(offsetBitCounts[bin])
  }

  /// Searches the bins that latents lie in, without a branch that depends on them.
  @inline(__always)
  private func findBins(
    of values: UnsafeMutablePointer<Value>, count: Int, into bins: UnsafeMutablePointer<UInt32>
  ) {
    let lowers = UnsafePointer(lowers)
    // The largest latent of all is not less than the padding.
    let last = UInt32(truncatingIfNeeded: meta.bins.count &- 1)
    var index = 0
    while index &+ 4 <= count {
      let (p, q) = (values[index], values[index &+ 1])
      let (r, s) = (values[index &+ 2], values[index &+ 3])
      var (binP, binQ, binR, binS) = (0, 0, 0, 0)
      var depth = searchDepth
      while depth > 0 {
        depth &-= 1
        let step = 1 &<< depth
        binP |= Self.one(if: p >= lowers[binP &+ step]) &<< depth
        binQ |= Self.one(if: q >= lowers[binQ &+ step]) &<< depth
        binR |= Self.one(if: r >= lowers[binR &+ step]) &<< depth
        binS |= Self.one(if: s >= lowers[binS &+ step]) &<< depth
      }
      bins[index] = min(UInt32(truncatingIfNeeded: binP), last)
      bins[index &+ 1] = min(UInt32(truncatingIfNeeded: binQ), last)
      bins[index &+ 2] = min(UInt32(truncatingIfNeeded: binR), last)
      bins[index &+ 3] = min(UInt32(truncatingIfNeeded: binS), last)
      index &+= 4
    }
    while index < count {
      var bin = 0
      for depth in stride(from: searchDepth - 1, through: 0, by: -1) {
        bin |= Self.one(if: values[index] >= lowers[bin &+ 1 &<< depth]) &<< depth
      }
      bins[index] = min(UInt32(truncatingIfNeeded: bin), last)
      index &+= 1
    }
  }

  @inline(__always)
  private static func one(if condition: Bool) -> Int { condition ? 1 : 0 }

  /// Writes a batch; the writer has room for it.
  @inline(__always)
  func writeBatch(_ range: Range<Int>, to writer: inout BitWriter) {
    let values = values + range.lowerBound
    let count = range.count
    guard meta.bins.count > 1 else {
      if maxOffsetBitCount == 0 { return }
      let lower = lowers[0]
      for index in 0..<count {
        writer.writeLong(
          UInt64(truncatingIfNeeded: values[index] &- lower),
          UInt64(truncatingIfNeeded: maxOffsetBitCount))
      }
      return
    }
    let emitted = emitted.values + range.lowerBound
    for index in 0..<count {
      let word = emitted[index]
      writer.writeShort(UInt64(word & 0x3FFF), UInt64((word &>> 14) & 0xF))
    }
    if maxOffsetBitCount == 0 { return }
    if maxOffsetBitCount <= 56 {
      for index in 0..<count {
        let bin = Int(emitted[index] &>> 18)
        writer.writeShort(
          UInt64(truncatingIfNeeded: values[index] &- lowers[bin]), UInt64(offsetBitCounts[bin]))
      }
    } else {
      for index in 0..<count {
        let bin = Int(emitted[index] &>> 18)
        writer.writeLong(
          UInt64(truncatingIfNeeded: values[index] &- lowers[bin]), UInt64(offsetBitCounts[bin]))
      }
    }
  }
}
