/// One stream of a page's latents while the page is decoded.
struct LatentStream<Value: Latent> {
  private enum Undo {
    case none
    case consecutive(UnsafeMutableBufferPointer<Value>)
    case lookback
    case convolution(shift: Int, bias: Int64)
  }

  /// The latents of the batch that was decoded last.
  let values: UnsafeMutablePointer<Value>
  private let table: LatentTable
  private let symbols: UnsafeMutablePointer<UInt16>
  private var states = CoderStates()
  private let undo: Undo
  private let stateCount: Int
  private var history: LookbackHistory<Value>?
  private let weights: [Int32]
  private let state: UnsafeMutablePointer<Value>

  /// Reads the stream's part of a page's meta.
  ///
  /// - Parameters:
  ///   - part: Where the batch goes.
  ///   - delta: The delta encoding of this stream.
  ///   - count: How many numbers the page has.
  init(
    _ table: LatentTable, part: DecoderScratch.Part, delta: Delta, count: Int,
    reader: inout BitReader, scratch: DecoderScratch
  ) throws(PcoError) {
    self.table = table
    values = scratch.pointer(part, to: Value.self)
    symbols = scratch.pointer(.symbols, to: UInt16.self)
    stateCount = delta.stateCount
    guard stateCount * Value.bitWidth <= reader.remainingBitCount else {
      throw reader.truncated()
    }
    let isSecondary = part == .secondary
    var state = scratch.pointer(isSecondary ? .secondaryState : .primaryState, to: Value.self)
    var weights: [Int32] = []
    switch delta {
    case .none:
      undo = .none
    case .consecutive(let order, _):
      undo = .consecutive(UnsafeMutableBufferPointer(start: state, count: order))
    case .lookback(let windowLog, _, _):
      let capacity = LookbackHistory<Value>.capacity(
        count: count, windowLog: windowLog, stateCount: stateCount)
      state = scratch.history(isSecondary: isSecondary, capacity: capacity, of: Value.self)
      history = LookbackHistory(
        state, capacity: capacity, windowLog: windowLog, stateCount: stateCount)
      undo = .lookback
    case .convolution(let shift, let bias, let chunkWeights):
      weights = chunkWeights
      undo = .convolution(shift: shift, bias: bias)
    }
    self.weights = weights
    self.state = state
    for index in 0..<stateCount {
      state[index] = Value(truncatingIfNeeded: try reader.read(Value.bitWidth))
    }
    states.first = try reader.readInt(table.sizeLog)
    states.second = try reader.readInt(table.sizeLog)
    states.third = try reader.readInt(table.sizeLog)
    states.fourth = try reader.readInt(table.sizeLog)
  }

  /// Decodes `count` latents as they are stored.
  @inline(__always)
  mutating func decodeStored(_ count: Int, from source: inout PageSource) throws(PcoError) {
    try table.decodeBatch(
      count, from: &source, states: &states, into: values, symbols: symbols)
  }

  /// Decodes the next batch, its deltas undone.
  ///
  /// - Parameters:
  ///   - count: The numbers in the batch.
  ///   - remaining: The numbers from the batch's first to the end of the page.
  ///   - lookbacks: How far back the latents refer, if they do.
  @inline(__always)
  mutating func decodeBatch(
    _ count: Int, remaining: Int, lookbacks: UnsafeMutablePointer<UInt32>,
    from source: inout PageSource
  ) throws(PcoError) {
    let storedCount = min(PageSource.batchCount, max(0, remaining - stateCount))
    try decodeStored(storedCount, from: &source)
    switch undo {
    case .none:
      break
    case .consecutive(let moments):
      DeltaDecoder.undoConsecutive(
        values, count: count, storedCount: storedCount, moments: moments)
    case .lookback:
      history?.undo(
        values, count: count, storedCount: storedCount, lookbacks: lookbacks)
    case .convolution(let shift, let bias):
      DeltaDecoder.undoConvolution(
        values, count: count, storedCount: storedCount, history: state, shift: shift,
        bias: bias, weights: weights)
    }
  }
}
