import Testing

@testable import Demo

/// What the demo computes its pairs, orders and percentiles with.
@Suite struct DemoPartsTests {
  @Test(arguments: 1...64) func mixIsUndoneAtEveryWidth(bitCount: Int) {
    let mask = UInt64.max >> UInt64(64 - bitCount)
    let mix = BitMix(bitCount: bitCount, key: 7)
    for number in 0..<1000 {
      let input = (UInt64(number) &* 0x9E37_79B9_7F4A_7C15) & mask
      let image = mix.forward(input)
      #expect(image <= mask && mix.backward(image) == input, "width \(bitCount), \(input)")
    }
  }

  @Test(arguments: [1, 2, 3, 5, 8, 100, 1023, 1024, 1025, 20000] as [UInt64])
  func permutationMeetsEveryNumberOnce(count: UInt64) {
    let order = Permutation(count: count, key: 42)
    let visited = (0..<count).map { order[$0] }
    #expect(Set(visited).count == Int(count) && visited.allSatisfy { $0 < count })
    if count > 100 {
      #expect(visited != visited.sorted())
      #expect(visited != (0..<count).map { Permutation(count: count, key: 43)[$0] })
    }
  }

  @Test(arguments: Workload.Keys.allCases, [1, 3, 7, 8, 9, 16, 100])
  func keysAreDistinctOrderedAsTheirWordsAndReadBack(keys: Workload.Keys, byteCount: Int) {
    let count: UInt64 = byteCount == 1 ? 256 : 2000
    let workload = Workload(
      count: count, keyByteCount: byteCount, valueByteCount: 8, seed: 3, keys: keys)
    var made: [(word: UInt64, key: [UInt8])] = []
    for index in 0..<count {
      let key = bytes(byteCount) { workload.writeKey(index, to: $0) }
      let word = workload.keyWord(of: key.span.bytes)
      #expect(word == workload.keyWord(index))
      #expect(word.map(workload.index(ofKeyWord:)) == index)
      made.append((workload.keyWord(index), key))
    }
    made.sort { $0.word < $1.word }
    for (smaller, larger) in zip(made, made.dropFirst()) {
      #expect(smaller.key.lexicographicallyPrecedes(larger.key))
    }
  }

  @Test(arguments: [0, 1, 5, 6, 8, 9, 24, 1001])
  func valuesAreToldFromOthers(byteCount: Int) {
    let workload = Workload(
      count: 100, keyByteCount: 8, valueByteCount: byteCount, seed: 3, keys: .random)
    func matches(_ index: UInt64, _ value: [UInt8], generation: UInt64?) -> Bool {
      workload.valueMatches(index, value.span.bytes, generation: generation)
    }
    let old = bytes(byteCount) { workload.writeValue(17, to: $0) }
    let new = bytes(byteCount) { workload.writeValue(17, generation: 9, to: $0) }
    #expect(matches(17, old, generation: 0))
    #expect(matches(17, new, generation: nil))
    if byteCount >= 8 { #expect(!matches(17, new, generation: 0)) }
    #expect(!matches(17, (old + [0]), generation: nil))
    guard byteCount > 0 else { return }
    #expect(!matches(18, old, generation: nil))
    for position in old.indices {
      var spoiled = old
      spoiled[position] ^= 0x10
      #expect(!matches(17, spoiled, generation: 0), "\(position)")
    }
  }

  @Test func percentilesAreWithinA64th() {
    var histogram = Histogram()
    for value in 1...100_000 as ClosedRange<UInt64> { histogram.record(value * 37) }
    for share in [0.5, 0.99, 0.999, 1] {
      let exact = share * 3_700_000
      let found = Double(histogram.percentile(share))
      #expect(found >= exact && found <= exact * (1 + 1 / 64.0), "\(share)")
    }
    histogram.record(.max)
    #expect(histogram.maximum == .max && histogram.percentile(1) == .max)
    var other = Histogram()
    other.merge(histogram)
    #expect(other.count == 100_001 && other.percentile(0.5) == histogram.percentile(0.5))
  }

  @Test(
    arguments: [
      ("1000000", 1_000_000), ("1_000_000", 1_000_000), ("1M", 1_000_000), ("10m", 10_000_000),
      ("2k", 2000), ("3G", 3_000_000_000), ("", nil), ("M", nil), ("_1", nil), ("1_", nil),
      ("-1", nil), ("1.5M", nil), ("99999999999999999999", nil), ("9223372036854775807K", nil),
    ] as [(String, Int?)])
  func wholeNumbersHaveUnitsAndUnderscores(text: String, number: Int?) {
    #expect(parseWholeNumber(text) == number)
  }

  @Test func optionsTakeTheirValueEitherWay() throws {
    let spaced = try Options.parse(["--count", "2M", "--threads", "3,1", "--phases", "insert"])
    let joined = try Options.parse(["--count=2M", "--threads=3,1", "--phases=insert"])
    #expect(spaced == joined)
    #expect(spaced?.count == 2_000_000)
    #expect(spaced?.threads == Options.Threads(readers: 3, writers: 1))
    #expect(spaced?.phases == [.insert, .mixed])
    #expect(try Options.parse(["--count", "5", "--help"]) == nil)
  }

  private func bytes(
    _ byteCount: Int, _ write: (UnsafeMutableRawBufferPointer) -> Void
  ) -> [UInt8] {
    var bytes = [UInt8](repeating: 0xEE, count: byteCount)
    bytes.withUnsafeMutableBytes(write)
    return bytes
  }
}
