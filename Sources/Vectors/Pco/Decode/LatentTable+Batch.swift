/// The four states of the entropy coder; latent `i` of a batch uses state `i % 4`.
struct CoderStates {
  var first = 0
  var second = 0
  var third = 0
  var fourth = 0
}

/// Decoding a batch: first all symbols, which depend on each other, then all offsets, which don't.
extension LatentTable {
  /// Decodes up to 256 latents.
  ///
  /// - Parameters:
  ///   - count: How many; `values` has room for 256.
  ///   - symbols: Memory for 256 states.
  @inline(__always)
  func decodeBatch<Value: Latent>(
    _ count: Int, from source: inout PageSource, states: inout CoderStates,
    into values: UnsafeMutablePointer<Value>, symbols: UnsafeMutablePointer<UInt16>
  ) throws(PcoError) {
    if count == 0 { return }
    if isConstant {
      values.update(repeating: Value(truncatingIfNeeded: firstLower), count: count)
      return
    }
    guard binCount > 0 else {
      throw PcoError(.corrupted, "latents without a bin", byteOffset: source.byteOffset)
    }
    source.prepareSection()
    if sizeLog == 0 {
      decodeOffsetsOfOneBin(count, from: &source, into: values)
    } else {
      decodeSymbols(count, from: &source, states: &states, into: symbols)
      decodeOffsets(count, from: &source, symbols: symbols, into: values)
    }
    try source.finishSection()
  }

  /// Decodes the symbols of a batch as the states that stand for them.
  ///
  /// At most 4 * 14 bits are read a round, and the buffer is filled to at least 56 bits each time;
  /// the load that fills it is begun before the round's states are known. Bits beyond `available`
  /// are either 0 or already what the next load brings.
  @inline(__always)
  private func decodeSymbols(
    _ count: Int, from source: inout PageSource, states: inout CoderStates,
    into symbols: UnsafeMutablePointer<UInt16>
  ) {
    let nodes = UnsafePointer(nodes)
    var (first, second) = (states.first, states.second)
    var (third, fourth) = (states.third, states.fourth)
    let start = source.bitIndex
    var next = source.base + (start &>> 3)
    let skipped = start & 7
    var buffer = next.loadUnaligned(as: UInt64.self) &>> UInt64(truncatingIfNeeded: skipped)
    next += skipped == 0 ? 7 : 8
    var available = skipped == 0 ? 56 : 64 &- skipped
    var symbol = symbols
    let lastRound = symbols + (count & ~3)
    while symbol < lastRound {
      let loaded = next.loadUnaligned(as: UInt64.self)
      symbol[0] = UInt16(truncatingIfNeeded: first)
      symbol[1] = UInt16(truncatingIfNeeded: second)
      symbol[2] = UInt16(truncatingIfNeeded: third)
      symbol[3] = UInt16(truncatingIfNeeded: fourth)
      symbol += 4
      let end1 = Int(nodes[first].bitCount)
      let end2 = end1 &+ Int(nodes[second].bitCount)
      let end3 = end2 &+ Int(nodes[third].bitCount)
      let end4 = end3 &+ Int(nodes[fourth].bitCount)
      first = nodes[first].next(buffer)
      second = nodes[second].next(buffer &>> UInt64(truncatingIfNeeded: end1))
      third = nodes[third].next(buffer &>> UInt64(truncatingIfNeeded: end2))
      fourth = nodes[fourth].next(buffer &>> UInt64(truncatingIfNeeded: end3))
      available &-= end4
      buffer =
        buffer &>> UInt64(truncatingIfNeeded: end4)
        | loaded &<< UInt64(truncatingIfNeeded: available)
      next += (63 &- available) &>> 3
      available |= 56
    }
    // Up to three symbols more; the buffer has enough for them.
    while symbol < symbols + count {
      symbol[0] = UInt16(truncatingIfNeeded: first)
      symbol += 1
      let node = nodes[first]
      (first, second, third, fourth) = (second, third, fourth, node.next(buffer))
      buffer &>>= UInt64(node.bitCount)
      available &-= Int(node.bitCount)
    }
    source.bitIndex = (next - source.base) &<< 3 &- available
    // A shorter batch is the last one of a page, so that its states are rotated does not matter.
    states = CoderStates(first: first, second: second, third: third, fourth: fourth)
  }

  /// Reads the offsets of a batch whose symbols are known.
  @inline(__always)
  private func decodeOffsets<Value: Latent>(
    _ count: Int, from source: inout PageSource, symbols: UnsafeMutablePointer<UInt16>,
    into values: UnsafeMutablePointer<Value>
  ) {
    let lowers = UnsafePointer(lowers.assumingMemoryBound(to: Value.self))
    if maxOffsetBitCount == 0 {
      for index in 0..<count { values[index] = lowers[Int(symbols[index])] }
      return
    }
    let nodes = UnsafePointer(nodes)
    let base = source.base
    var bitIndex = source.bitIndex
    if maxOffsetBitCount > 57 {
      for index in 0..<count {
        let symbol = Int(symbols[index])
        let bitCount = Int(nodes[symbol].offsetBitCount)
        let offset = Self.wideField(base, at: bitIndex, bitCount: bitCount)
        values[index] = lowers[symbol] &+ Value(truncatingIfNeeded: offset)
        bitIndex &+= bitCount
      }
    } else {
      let masks = UnsafePointer(masks)
      var index = 0
      if maxOffsetBitCount <= 14 {
        while index &+ 4 <= count {
          var word = Self.word(base, at: bitIndex)
          for lane in 0..<4 {
            let symbol = Int(symbols[index &+ lane])
            let bitCount = Int(nodes[symbol].offsetBitCount)
            values[index &+ lane] =
              lowers[symbol] &+ Value(truncatingIfNeeded: word & masks[bitCount])
            word &>>= UInt64(truncatingIfNeeded: bitCount)
            bitIndex &+= bitCount
          }
          index &+= 4
        }
      } else if maxOffsetBitCount <= 28 {
        while index &+ 2 <= count {
          var word = Self.word(base, at: bitIndex)
          for lane in 0..<2 {
            let symbol = Int(symbols[index &+ lane])
            let bitCount = Int(nodes[symbol].offsetBitCount)
            values[index &+ lane] =
              lowers[symbol] &+ Value(truncatingIfNeeded: word & masks[bitCount])
            word &>>= UInt64(truncatingIfNeeded: bitCount)
            bitIndex &+= bitCount
          }
          index &+= 2
        }
      }
      while index < count {
        let symbol = Int(symbols[index])
        let bitCount = Int(nodes[symbol].offsetBitCount)
        values[index] =
          lowers[symbol]
          &+ Value(truncatingIfNeeded: Self.word(base, at: bitIndex) & masks[bitCount])
        bitIndex &+= bitCount
        index &+= 1
      }
    }
    source.bitIndex = bitIndex
  }

  /// Reads the offsets of a batch that all lie in the only bin.
  @inline(__always)
  private func decodeOffsetsOfOneBin<Value: Latent>(
    _ count: Int, from source: inout PageSource, into values: UnsafeMutablePointer<Value>
  ) {
    let lower = Value(truncatingIfNeeded: firstLower)
    let bitCount = maxOffsetBitCount
    let base = source.base
    var bitIndex = source.bitIndex
    if bitCount > 57 {
      for index in 0..<count {
        let offset = Self.wideField(base, at: bitIndex, bitCount: bitCount)
        values[index] = lower &+ Value(truncatingIfNeeded: offset)
        bitIndex &+= bitCount
      }
    } else {
      let mask = masks[bitCount]
      for index in 0..<count {
        let offset = Self.word(base, at: bitIndex) & mask
        values[index] = lower &+ Value(truncatingIfNeeded: offset)
        bitIndex &+= bitCount
      }
    }
    source.bitIndex = bitIndex
  }

  /// At least 57 bits from a place on.
  @inline(__always)
  private static func word(_ base: UnsafeRawPointer, at bitIndex: Int) -> UInt64 {
    (base + bitIndex &>> 3).loadUnaligned(as: UInt64.self)
      &>> UInt64(truncatingIfNeeded: bitIndex & 7)
  }

  /// A field of up to 64 bits.
  @inline(__always)
  private static func wideField(
    _ base: UnsafeRawPointer, at bitIndex: Int, bitCount: Int
  ) -> UInt64 {
    let pointer = base + bitIndex &>> 3
    let shift = UInt64(truncatingIfNeeded: bitIndex & 7)
    let low = pointer.loadUnaligned(as: UInt64.self) &>> shift
    let high = (pointer + 7).loadUnaligned(as: UInt64.self)
    // Where the loads overlap they agree.
    let word = low | high &<< (56 &- shift)
    return bitCount == 0 ? 0 : word & (~0 &>> UInt64(truncatingIfNeeded: 64 &- bitCount))
  }
}

extension LatentTable.Node {
  /// The next state, given the bits from where this symbol's begin on.
  @inline(__always)
  func next(_ bits: UInt64) -> Int {
    Int(base) &+ Int(truncatingIfNeeded: UInt64(mask) & bits)
  }
}
