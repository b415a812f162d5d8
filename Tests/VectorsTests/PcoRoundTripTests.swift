import TestSupport
import Testing

@testable import Vectors

/// What is compressed comes back bit by bit.
@Suite struct PcoRoundTripTests {
  private static let seed: UInt64 = 20_261_121

  private func check<Number: SampleNumber>(
    _ numbers: [Number], level: Int, maximumChunkCount: Int, _ what: String
  ) throws {
    let bytes = try Pco.compress(
      numbers, options: PcoOptions(level: level, maximumChunkCount: maximumChunkCount))
    let chunkCount = (numbers.count + maximumChunkCount - 1) / maximumChunkCount
    let rawByteCount = numbers.count * MemoryLayout<Number>.size
    #expect(bytes.count <= rawByteCount + 14 + chunkCount * 24, "\(what) is larger than raw")
    let back = try Pco.decompress(bytes, as: Number.self)
    let same = numbers.withUnsafeBytes { before in
      back.withUnsafeBytes { after in before.elementsEqual(after) }
    }
    #expect(same, "\(what) comes back otherwise")
  }

  /// Every distribution at every edge of batches and chunks.
  private func checkAll<Number: SampleNumber>(_ type: Number.Type) throws {
    var random = SeededRandom(seed: Self.seed)
    for kind in SampleKind.allCases {
      for count in [0, 1, 2, 3, 9, 255, 256, 257, 499, 500, 501, 513, 1001] {
        let numbers = kind.numbers(type, count: count, random: &random)
        let level = [0, 1, 4, 8, 12][random.below(5)]
        try check(
          numbers, level: level, maximumChunkCount: 500,
          "seed \(Self.seed): \(count) × \(type), \(kind), level \(level)")
      }
    }
  }

  @Test func unsigned8() throws { try checkAll(UInt8.self) }
  @Test func unsigned16() throws { try checkAll(UInt16.self) }
  @Test func unsigned32() throws { try checkAll(UInt32.self) }
  @Test func unsigned64() throws { try checkAll(UInt64.self) }
  @Test func signed8() throws { try checkAll(Int8.self) }
  @Test func signed16() throws { try checkAll(Int16.self) }
  @Test func signed32() throws { try checkAll(Int32.self) }
  @Test func signed64() throws { try checkAll(Int64.self) }
  @Test func float32() throws { try checkAll(Float.self) }
  @Test func float64() throws { try checkAll(Double.self) }
  #if !(os(macOS) && arch(x86_64))
    @Test func float16() throws { try checkAll(Float16.self) }
  #endif

  @Test(arguments: 0...12) func everyLevel(level: Int) throws {
    var random = SeededRandom(seed: Self.seed)
    for kind in [SampleKind.walk, .longTail, .multiples, .smallNumbers] {
      let numbers = kind.numbers(Int64.self, count: 5000, random: &random)
      try check(numbers, level: level, maximumChunkCount: 1 << 18, "\(kind), level \(level)")
    }
    let prices = SampleKind.decimals.numbers(Double.self, count: 5000, random: &random)
    try check(prices, level: level, maximumChunkCount: 1 << 18, "prices, level \(level)")
  }

  @Test func everyHalf() throws {
    // Every bit pattern of 16 bits, in order and mixed up.
    let ordered = (0...UInt64(UInt16.max)).map { $0 }
    var random = SeededRandom(seed: Self.seed)
    for bits in [ordered, ordered.shuffled(using: &random)] {
      try check(bits.map { UInt16($0) }, level: 8, maximumChunkCount: 1 << 18, "every UInt16")
      #if !(os(macOS) && arch(x86_64))
        try check(
          bits.map { Float16(bitPattern: UInt16($0)) }, level: 8, maximumChunkCount: 1 << 18,
          "every Float16")
      #endif
    }
  }

  #if !(os(macOS) && arch(x86_64))
    @Test func halvesConvertLikeTheHardware() {
      for pattern in 0...UInt16.max {
        let half = Float16(bitPattern: pattern)
        let float = Half.float(ofBits: pattern)
        #expect(half.isNaN ? float.isNaN : float == Float(half), "\(pattern)")
      }
      var random = SeededRandom(seed: Self.seed)
      for _ in 0..<100_000 {
        // Mostly within the range of halves, where rounding is at stake.
        let exponent = UInt32(100 + random.below(45)) << 23
        let float = Float(
          bitPattern: UInt32(truncatingIfNeeded: random.next()) & 0x807F_FFFF | exponent)
        #expect(Half.bits(nearest: float) == Float16(float).bitPattern, "\(float)")
      }
    }
  #endif

  @Test func optionsOutOfRangeThrow() {
    for options in [
      PcoOptions(level: -1), PcoOptions(level: 13), PcoOptions(maximumChunkCount: 0),
      PcoOptions(maximumChunkCount: 1 << 24 + 1),
    ] {
      do throws(PcoError) {
        _ = try Pco.compress([1, 2, 3] as [Int64], options: options)
        Issue.record("\(options) were accepted")
      } catch { #expect(error.code == .invalidArgument) }
    }
  }

  @Test func pagesOfAChunkDecodeAlone() throws {
    var random = SeededRandom(seed: Self.seed)
    let pageCounts = [1000, 1, 2, 256, 300]
    let total = pageCounts.reduce(0, +)
    for kind in [SampleKind.walk, .parabola, .multiples, .randomBits, .cycle] {
      let numbers = kind.numbers(Int64.self, count: total, random: &random)
      let chunk = numbers.withUnsafeBytes { bytes in
        bytes.baseAddress.map {
          EncodedChunk($0, type: .int64, pageCounts: pageCounts, options: PcoOptions())
        }
      }
      let encoded = try #require(chunk)
      let meta = try encoded.meta.withUnsafeBytes { bytes in
        var reader = BitReader(bytes)
        return try ChunkMeta(from: &reader, type: .int64, major: 4)
      }
      let decoder = ChunkDecoder(meta, type: .int64)
      let scratch = DecoderScratch()
      // The last page first: none needs another.
      for index in pageCounts.indices.reversed() {
        let start = pageCounts[..<index].reduce(0, +)
        var page = [Int64](repeating: 0, count: pageCounts[index])
        let end = try page.withUnsafeMutableBytes { numbers in
          try encoded.pages[index].withUnsafeBytes { bytes in
            try decoder.decodePage(
              bytes, byteOffset: 0, into: try #require(numbers.baseAddress),
              count: pageCounts[index], scratch: scratch)
          }
        }
        #expect(end == encoded.pages[index].count)
        #expect(page == Array(numbers[start..<start + page.count]), "\(kind), page \(index)")
      }
    }
  }

  /// The meta of the only chunk of compressed numbers.
  private func meta<Number: SampleNumber>(_ numbers: [Number]) throws -> ChunkMeta {
    let chunk = numbers.withUnsafeBytes { bytes in
      bytes.baseAddress.map {
        EncodedChunk(
          $0, type: Number.pcoNumberType, pageCounts: [numbers.count], options: PcoOptions())
      }
    }
    return try #require(chunk).meta.withUnsafeBytes { bytes in
      var reader = BitReader(bytes)
      return try ChunkMeta(from: &reader, type: Number.pcoNumberType, major: 4)
    }
  }

  @Test func modesAndDeltasAreFound() throws {
    var random = SeededRandom(seed: Self.seed)
    let count = 20_000
    let walk = try meta(SampleKind.walk.numbers(Int64.self, count: count, random: &random))
    #expect(walk.mode == .classic)
    #expect(walk.delta == .consecutive(order: 1, coversSecondary: false))
    let parabola = try meta(SampleKind.parabola.numbers(Int64.self, count: count, random: &random))
    #expect(parabola.delta == .consecutive(order: 2, coversSecondary: false))
    let multiples = try meta(
      SampleKind.multiples.numbers(UInt64.self, count: count, random: &random))
    #expect(multiples.mode == .intMult(base: 1000))
    #expect(multiples.delta == .none)
    let prices = try meta(SampleKind.decimals.numbers(Double.self, count: count, random: &random))
    #expect(prices.mode == .floatMult(baseBits: 0.01.bitPattern))
    let cycle = try meta(SampleKind.cycle.numbers(Double.self, count: count, random: &random))
    #expect(cycle.mode == .classic)
    #expect(cycle.delta == .lookback(windowLog: 15, stateLog: 0, coversSecondary: false))
    #expect(cycle.lookback?.bins.contains { $0.lower == 300 } == true)
    let single = try meta(
      SampleKind.singlePrecision.numbers(Double.self, count: count, random: &random))
    #expect(single.mode == .floatQuant(lowerBitCount: 29))
    let noise = try meta(SampleKind.randomBits.numbers(UInt32.self, count: count, random: &random))
    #expect(noise.mode == .classic && noise.delta == .none)
    #expect(noise.primary.bins.map(\.offsetBitCount) == [32])
  }
}
