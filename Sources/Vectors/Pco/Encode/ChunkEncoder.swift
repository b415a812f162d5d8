/// A chunk of numbers, encoded: what its pages share, and the pages.
struct EncodedChunk {
  let meta: [UInt8]
  let pages: [[UInt8]]

  private init(meta: [UInt8], pages: [[UInt8]]) {
    self.meta = meta
    self.pages = pages
  }

  /// Encodes the numbers of a chunk.
  ///
  /// - Parameters:
  ///   - numbers: Memory of the numbers, aligned for them.
  ///   - pageCounts: How many numbers each page gets, at least 1.
  init(
    _ numbers: UnsafeRawPointer, type: PcoNumberType, pageCounts: [Int], options: PcoOptions
  ) {
    switch type.bitWidth {
    case 8: self.init(numbers, type, pageCounts, options, as: UInt8.self)
    case 16: self.init(numbers, type, pageCounts, options, as: UInt16.self)
    case 32: self.init(numbers, type, pageCounts, options, as: UInt32.self)
    default: self.init(numbers, type, pageCounts, options, as: UInt64.self)
    }
  }

  @inline(never)
  private init<Number: Latent>(
    _ numbers: UnsafeRawPointer, _ type: PcoNumberType, _ pageCounts: [Int],
    _ options: PcoOptions, as: Number.Type
  ) {
    let count = pageCounts.reduce(0, +)
    let ordered = LatentSplitter.ordered(
      numbers.assumingMemoryBound(to: Number.self), count: count, kind: type.kind)
    let plan = ChunkPlan(
      ordered, kind: type.kind, pageCount: pageCounts.max() ?? 0, level: options.level)
    let (primary, secondary) = LatentSplitter.split(ordered, mode: plan.mode)
    let encoder = ChunkEncoder(
      plan: plan, primary: primary, secondary: secondary, pageCounts: pageCounts,
      level: options.level)
    let meta = encoder.meta
    let pages = encoder.encodePages()
    var writer = BitWriter()
    meta.write(to: &writer, type: type)
    let metaBytes = writer.finish()
    let size = pages.reduce(metaBytes.count) { $0 + $1.count }
    // One bin as wide as the numbers takes this, whatever they are.
    if size > count * type.bitWidth / 8 + 2 * pageCounts.count + type.bitWidth / 8 + 6 {
      self.init(plain: numbers, type, pageCounts, as: Number.self)
    } else {
      self.init(meta: metaBytes, pages: pages)
    }
  }

  /// Stores the numbers as they are, for those that nothing makes smaller.
  private init<Number: Latent>(
    plain numbers: UnsafeRawPointer, _ type: PcoNumberType, _ pageCounts: [Int], as: Number.Type
  ) {
    let bin = Bin(weight: 1, lower: 0, offsetBitCount: type.bitWidth)
    let meta = ChunkMeta(
      mode: .classic, delta: .none, lookback: nil,
      primary: LatentMeta(sizeLog: 0, bins: [bin]), secondary: nil)
    let ordered = LatentSplitter.ordered(
      numbers.assumingMemoryBound(to: Number.self), count: pageCounts.reduce(0, +),
      kind: type.kind)
    var writer = BitWriter()
    meta.write(to: &writer, type: type)
    self.init(
      meta: writer.finish(),
      pages: ChunkEncoder(meta: meta, primary: ordered, pageCounts: pageCounts).encodePages())
  }
}

/// Encodes the pages of a chunk whose mode and delta encoding are settled.
struct ChunkEncoder<Number: Latent> {
  let meta: ChunkMeta
  private let pageCounts: [Int]
  private let primary: LatentEncoder<Number>
  private let secondary: LatentEncoder<Number>?
  private let lookback: LatentEncoder<UInt32>?
  /// The primary latents that each page stores raw.
  private var states: [[Number]] = []

  /// Takes deltas of the primary latents, in place, and chooses bins.
  @inline(__always)
  init(
    plan: ChunkPlan, primary: LatentBuffer<Number>, secondary: LatentBuffer<Number>?,
    pageCounts: [Int], level: Int
  ) {
    self.pageCounts = pageCounts
    var segments: [Range<Int>] = []
    var start = 0
    var lookbacks: LatentBuffer<UInt32>?
    for count in pageCounts {
      switch plan.delta {
      case .consecutive(let order, _):
        states.append(
          DeltaEncoder.takeDifferences(primary.values + start, count: count, order: order))
      case .lookback(let windowLog, _, _):
        let buffer = lookbacks ?? LatentBuffer(count: primary.count)
        lookbacks = buffer
        var finder = LookbackFinder<Number>(windowLog: windowLog)
        states.append([
          finder.takeDifferences(
            primary.values + start, lookbacks: buffer.values + start, count: count)
        ])
      case .none, .convolution:
        states.append([])
      }
      segments.append(start..<start + max(0, count - plan.delta.stateCount))
      start += count
    }
    let rangeCountLog = LatentBins.rangeCountLog(
      level: level, count: segments.reduce(0) { $0 + $1.count })
    let primaryMeta = Self.bins(primary, segments, rangeCountLog)
    let secondaryMeta = secondary.map {
      Self.bins(
        $0, [0..<start], min(rangeCountLog, LatentBins.maxSecondaryRangeCountLog))
    }
    let lookbackMeta = lookbacks.map { Self.bins($0, segments, rangeCountLog) }
    if let lookbacks, let lookbackMeta {
      lookback = LatentEncoder(lookbackMeta, values: lookbacks)
    } else {
      lookback = nil
    }
    meta = ChunkMeta(
      mode: plan.mode, delta: plan.delta, lookback: lookbackMeta, primary: primaryMeta,
      secondary: secondaryMeta)
    self.primary = LatentEncoder(primaryMeta, values: primary)
    if let secondary, let secondaryMeta {
      self.secondary = LatentEncoder(secondaryMeta, values: secondary)
    } else {
      self.secondary = nil
    }
  }

  /// An encoder of latents as they are, with given bins.
  init(meta: ChunkMeta, primary: LatentBuffer<Number>, pageCounts: [Int]) {
    self.meta = meta
    self.pageCounts = pageCounts
    self.primary = LatentEncoder(meta.primary, values: primary)
    secondary = nil
    lookback = nil
    states = pageCounts.map { _ in [] }
  }

  @inline(__always)
  private static func bins<Value: Latent>(
    _ buffer: LatentBuffer<Value>, _ segments: [Range<Int>], _ rangeCountLog: Int
  ) -> LatentMeta {
    let optimized = LatentBins.optimize(
      buffer.values, segments: segments, rangeCountLog: rangeCountLog)
    return WeightQuantizer.quantize(optimized.bins.choices, sizeLog: optimized.sizeLog)
  }

  /// Encodes all pages.
  @inline(__always)
  func encodePages() -> [[UInt8]] {
    var start = 0
    return pageCounts.indices.map { index in
      defer { start += pageCounts[index] }
      return encodePage(start: start, count: pageCounts[index], state: states[index])
    }
  }

  @inline(__always)
  private func encodePage(start: Int, count: Int, state: [Number]) -> [UInt8] {
    let storedCount = max(0, count - state.count)
    let back = lookback?.encodeSymbols(start..<start + storedCount)
    let first = primary.encodeSymbols(start..<start + storedCount)
    let second = secondary?.encodeSymbols(start..<start + count)
    let stateBitCount = state.count * Number.bitWidth + 12 * LatentMeta.maxSizeLog
    let bodyBitCount = first.bitCount + (second?.bitCount ?? 0) + (back?.bitCount ?? 0)
    var writer = BitWriter(capacity: (stateBitCount + bodyBitCount) / 8 + 64)
    if let lookback, let back {
      for state in back.states { writer.write(state, lookback.meta.sizeLog) }
    }
    for value in state { writer.write(UInt64(value), Number.bitWidth) }
    for state in first.states { writer.write(state, primary.meta.sizeLog) }
    if let secondary, let second {
      for state in second.states { writer.write(state, secondary.meta.sizeLog) }
    }
    writer.alignToByte()
    for batch in stride(from: 0, to: count, by: PageSource.batchCount) {
      let end = min(batch + PageSource.batchCount, storedCount)
      if batch < end {
        lookback?.writeBatch(start + batch..<start + end, to: &writer)
        primary.writeBatch(start + batch..<start + end, to: &writer)
      }
      secondary?.writeBatch(
        start + batch..<start + min(batch + PageSource.batchCount, count), to: &writer)
    }
    writer.alignToByte()
    return writer.finish()
  }
}
