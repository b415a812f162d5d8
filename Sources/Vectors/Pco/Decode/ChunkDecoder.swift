/// Decodes the pages of one chunk.
///
/// Immutable once made, so any number of threads can decode pages with it, each with its own
/// `DecoderScratch`.
final class ChunkDecoder: @unchecked Sendable {
  /// The type of the chunk's numbers.
  let type: PcoNumberType
  private let mode: Mode
  private let delta: Delta
  private let lookback: LatentTable?
  private let primary: LatentTable
  private let secondary: LatentTable?
  /// The dictionary, in the numbers' own width.
  private let entries: UnsafeMutableRawBufferPointer

  /// Makes a decoder of chunks of a meta.
  init(_ meta: ChunkMeta, type: PcoNumberType) {
    self.type = type
    mode = meta.mode
    delta = meta.delta
    lookback = meta.lookback.map { LatentTable($0, of: UInt32.self) }
    let primaryWidth = ChunkMeta.primaryWidth(mode: meta.mode, numberWidth: type.bitWidth)
    primary = Self.table(meta.primary, width: primaryWidth)
    secondary = meta.secondary.map { Self.table($0, width: type.bitWidth) }
    if case .dictionary(let values) = meta.mode {
      entries = .allocate(byteCount: values.count * type.bitWidth / 8, alignment: 8)
      for (index, value) in values.enumerated() {
        switch type.bitWidth {
        case 8: Self.store(UInt8(truncatingIfNeeded: value), at: index, of: entries)
        case 16: Self.store(UInt16(truncatingIfNeeded: value), at: index, of: entries)
        case 32: Self.store(UInt32(truncatingIfNeeded: value), at: index, of: entries)
        default: Self.store(value, at: index, of: entries)
        }
      }
    } else {
      entries = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    }
  }

  deinit { entries.deallocate() }

  private static func store<Value: Latent>(
    _ value: Value, at index: Int, of entries: UnsafeMutableRawBufferPointer
  ) {
    entries.storeBytes(of: value, toByteOffset: index * MemoryLayout<Value>.size, as: Value.self)
  }

  private static func table(_ meta: LatentMeta, width: Int) -> LatentTable {
    switch width {
    case 8: LatentTable(meta, of: UInt8.self)
    case 16: LatentTable(meta, of: UInt16.self)
    case 32: LatentTable(meta, of: UInt32.self)
    default: LatentTable(meta, of: UInt64.self)
    }
  }

  /// Decodes a page into the caller's memory.
  ///
  /// - Parameters:
  ///   - bytes: Bytes that hold the page.
  ///   - byteOffset: Where in them the page begins.
  ///   - numbers: Memory for `count` numbers of the chunk's type, aligned for them.
  ///   - count: How many numbers the page has; the container knows.
  /// - Returns: Where in the bytes the page ends.
  func decodePage(
    _ bytes: UnsafeRawBufferPointer, byteOffset: Int, into numbers: UnsafeMutableRawPointer,
    count: Int, scratch: DecoderScratch
  ) throws(PcoError) -> Int {
    var isDictionary = false
    if case .dictionary = mode { isDictionary = true }
    var page = Page(bytes: bytes, byteOffset: byteOffset, count: count, scratch: scratch)
    switch (type.bitWidth, isDictionary) {
    case (8, false): return try decode(&page, to: numbers, of: UInt8.self, UInt8.self)
    case (8, true): return try decode(&page, to: numbers, of: UInt8.self, UInt32.self)
    case (16, false): return try decode(&page, to: numbers, of: UInt16.self, UInt16.self)
    case (16, true): return try decode(&page, to: numbers, of: UInt16.self, UInt32.self)
    case (32, _): return try decode(&page, to: numbers, of: UInt32.self, UInt32.self)
    case (_, false): return try decode(&page, to: numbers, of: UInt64.self, UInt64.self)
    case (_, true): return try decode(&page, to: numbers, of: UInt64.self, UInt32.self)
    }
  }

  /// What a page is decoded from.
  private struct Page {
    let bytes: UnsafeRawBufferPointer
    let byteOffset: Int
    let count: Int
    let scratch: DecoderScratch
  }

  @inline(never)
  private func decode<Number: Latent, Primary: Latent>(
    _ page: inout Page, to memory: UnsafeMutableRawPointer, of: Number.Type, _: Primary.Type
  ) throws(PcoError) -> Int {
    let scratch = page.scratch
    var reader = BitReader(page.bytes, byteOffset: page.byteOffset)
    var lookbackStream: LatentStream<UInt32>?
    if let lookback {
      lookbackStream = try LatentStream(
        lookback, part: .lookback, delta: .none, count: page.count, reader: &reader,
        scratch: scratch)
    }
    var primaryStream = try LatentStream<Primary>(
      primary, part: .primary, delta: delta, count: page.count, reader: &reader,
      scratch: scratch)
    var secondaryStream: LatentStream<Number>?
    if let secondary {
      secondaryStream = try LatentStream(
        secondary, part: .secondary, delta: delta.coversSecondary ? delta : .none,
        count: page.count, reader: &reader, scratch: scratch)
    }
    try reader.alignToByte()
    var source = PageSource(
      page.bytes, byteOffset: reader.byteOffset,
      tail: UnsafeMutableRawPointer(scratch.pointer(.tail, to: UInt8.self)))
    let lookbacks = scratch.pointer(.lookback, to: UInt32.self)
    var numbers = memory.assumingMemoryBound(to: Number.self)
    var remaining = page.count
    while remaining > 0 {
      let count = min(PageSource.batchCount, remaining)
      if case .lookback(let windowLog, let stateLog, _) = delta {
        let storedCount = min(PageSource.batchCount, max(0, remaining - 1 << stateLog))
        try lookbackStream?.decodeStored(storedCount, from: &source)
        try Self.check(lookbacks, count: storedCount, windowLog: windowLog, source)
      }
      try primaryStream.decodeBatch(
        count, remaining: remaining, lookbacks: lookbacks, from: &source)
      try secondaryStream?.decodeBatch(
        count, remaining: remaining, lookbacks: lookbacks, from: &source)
      try join(count, to: numbers, of: Primary.self, scratch: scratch, source)
      numbers += count
      remaining -= count
    }
    try source.alignToByte()
    return source.byteOffset
  }

  @inline(__always)
  private static func check(
    _ lookbacks: UnsafeMutablePointer<UInt32>, count: Int, windowLog: Int, _ source: PageSource
  ) throws(PcoError) {
    // A lookback of 0 becomes the largest number of all.
    var largest: UInt32 = 0
    for index in 0..<count { largest = max(largest, lookbacks[index] &- 1) }
    guard count == 0 || largest < 1 << UInt32(windowLog) else {
      throw PcoError(
        .corrupted, "a lookback leads outside the window", byteOffset: source.byteOffset)
    }
  }

  /// Puts a batch of latents together.
  @inline(__always)
  private func join<Number: Latent, Primary: Latent>(
    _ count: Int, to numbers: UnsafeMutablePointer<Number>, of: Primary.Type,
    scratch: DecoderScratch, _ source: PageSource
  ) throws(PcoError) {
    let first = scratch.pointer(.primary, to: Number.self)
    let second = scratch.pointer(.secondary, to: Number.self)
    switch mode {
    case .classic:
      LatentJoiner.write(type.kind, to: numbers, count: count) { first[$0] }
    case .intMult(let base):
      LatentJoiner.writeProducts(
        type.kind, to: numbers, count: count, quotients: first, remainders: second,
        base: Number(truncatingIfNeeded: base))
    case .floatMult(let baseBits):
      LatentJoiner.writeFloatMultiples(
        to: numbers, count: count, multiples: first, corrections: second,
        baseBits: Number(truncatingIfNeeded: baseBits))
    case .floatQuant(let lowerBitCount):
      LatentJoiner.writeQuantized(
        to: numbers, count: count, upper: first, lower: second, lowerBitCount: lowerBitCount)
    case .dictionary:
      let isValid = LatentJoiner.writeEntries(
        type.kind, to: numbers, count: count, indices: scratch.pointer(.primary, to: Primary.self),
        entries: UnsafeBufferPointer(entries.assumingMemoryBound(to: Number.self)))
      guard isValid else {
        throw PcoError(
          .corrupted, "an index is beyond the dictionary", byteOffset: source.byteOffset)
      }
    }
  }
}
