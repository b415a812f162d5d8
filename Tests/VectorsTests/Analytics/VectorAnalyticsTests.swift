import BTreeKV
import Pager
import TestSupport
import Testing
import Vectors

/// Analytics compared with the same over arrays, on vectors with changes that are not folded and with
/// holes.
@Suite struct VectorAnalyticsTests {
  private let database: Database

  init() throws { database = try openDatabase(in: try MemoryStorage()) }

  /// A vector, and what is to be found in it: nil at holes.
  private func vector<Number: VectorNumber>(
    _ numbers: [Number], seed: UInt64, hasHoles: Bool = true
  ) throws -> (RawVectorReader<Number>, [Number?]) {
    var random = SeededRandom(seed: seed)
    let vector = try RawVector<Number>.forcedOpen("numbers", in: database)
    try vector.truncate(to: 0)
    try vector.write(appending: numbers)
    var model: [Number?] = numbers
    if !numbers.isEmpty {
      for _ in 0..<40 {
        let (place, source) = (
          Int.random(in: numbers.indices, using: &random),
          Int.random(in: numbers.indices, using: &random)
        )
        try vector.update(at: place, numbers[source])
        model[place] = numbers[source]
      }
      for _ in 0..<(hasHoles ? 25 : 0) {
        let place = Int.random(in: numbers.indices, using: &random)
        try vector.take(at: place)
        model[place] = nil
      }
    }
    try vector.write()
    return (try vector.reader(), model)
  }

  /// Ranges at and across the edges of blocks, and random ones.
  private func ranges(_ count: Int, seed: UInt64) -> [Range<Int>] {
    var random = SeededRandom(seed: seed)
    let edges = [0, 1, 7, 8, 9, 65535, 65536, 65537, count].filter { $0 <= count }
    var ranges = [0..<count, 0..<0, count..<count]
    for _ in 0..<12 {
      let pair = [
        edges.randomElement(using: &random) ?? 0, Int.random(in: 0...count, using: &random),
      ].sorted()
      ranges.append(pair[0]..<pair[1])
    }
    return ranges
  }

  /// The sum in the order that `FloatAccumulator` tells of.
  private func sumInLanes(_ model: [Double?], _ range: Range<Int>) -> Double {
    var sum = 0.0
    var lanes = [Double](repeating: 0, count: 8)
    for index in range {
      if let number = model[index] { lanes[index % 8] += number }
      if index + 1 == range.upperBound || (index + 1) % 65536 == 0 {
        sum +=
          ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3]))
          + ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]))
        lanes = [Double](repeating: 0, count: 8)
      }
    }
    return sum
  }

  private func checkIntegers<Number: VectorNumber & FixedWidthInteger>(
    _ type: Number.Type, seed: UInt64
  ) throws where Number.Accumulator.Sum: BinaryInteger {
    var random = SeededRandom(seed: seed)
    let edges = [Number.max, Number.min, 0, 1]
    for count in [0, 1, 9, 1000, 140_000] {
      let numbers = (0..<count).map { place in
        place % 5 == 0 ? edges[place / 5 % 4] : Number.random(in: .min ... .max, using: &random)
      }
      let (reader, model) = try vector(numbers, seed: seed)
      for range in ranges(count, seed: seed) {
        let expected = model[range].compactMap { $0 }
        let what = Comment("\(type) \(count) \(range), seed \(seed)")
        let sum = expected.reduce(Number.Accumulator.Sum.zero) {
          $0 + Number.Accumulator.Sum(truncatingIfNeeded: $1)
        }
        #expect(reader.sum(in: range) == sum, what)
        #expect(reader.concurrentSum(in: range, threadCount: 3) == sum, what)
        #expect(reader.min(in: range) == expected.min(), what)
        #expect(reader.max(in: range) == expected.max(), what)
        #expect(reader.concurrentMin(in: range, threadCount: 2) == expected.min(), what)
        #expect(reader.concurrentMax(in: range) == expected.max(), what)
        #expect(reader.presentCount(in: range) == expected.count, what)
        let mean = expected.isEmpty ? nil : Double(sum) / Double(expected.count)
        #expect(reader.mean(in: range) == mean, what)
        #expect(reader.concurrentMean(in: range) == mean, what)
        let bounds = (Number.max / 4)...(Number.max / 2)
        let indices = range.filter { model[$0].map(bounds.contains) ?? false }
        #expect(reader.indices(where: bounds, in: range) == indices, what)
        #expect(reader.concurrentIndices(where: bounds, in: range, threadCount: 2) == indices, what)
        #expect(reader.count(in: range) { bounds.contains($0) } == indices.count, what)
        #expect(reader.concurrentCount(in: range) { bounds.contains($0) } == indices.count, what)
      }
    }
  }

  @Test func integersOfAllWidths() throws {
    try checkIntegers(UInt8.self, seed: 1)
    try checkIntegers(Int8.self, seed: 2)
    try checkIntegers(UInt16.self, seed: 3)
    try checkIntegers(Int16.self, seed: 4)
    try checkIntegers(UInt32.self, seed: 5)
    try checkIntegers(Int32.self, seed: 6)
    try checkIntegers(UInt64.self, seed: 7)
    try checkIntegers(Int64.self, seed: 8)
  }

  @Test func sumsOf128Bits() throws {
    let (unsigned, _) = try vector([UInt128.max - 5, 2, 3], seed: 1, hasHoles: false)
    let sum = unsigned.concurrentFold(0) {
      $0 &+ $1
    } combining: {
      $0 &+ $1
    }
    #expect(unsigned.fold(0, &+) == sum)
    let big: [Int128] = [.max, -.max, 1 << 100, .min + 1, .max]
    let vector = try RawVector<Int128>.open("big", in: database)
    try vector.write(appending: big)
    #expect(try vector.reader().sum() == 1 << 100)
    #expect(try vector.reader().min() == .min + 1)
  }

  @Test func floatsAreAddedInLanes() throws {
    for seed in UInt64(1)...6 {
      var random = SeededRandom(seed: seed)
      let numbers = (0..<150_003).map { _ in
        Double.random(in: -1...1, using: &random)
          * Double(1 << Int.random(in: 0...40, using: &random))
      }
      let (reader, model) = try vector(numbers, seed: seed, hasHoles: seed.isMultiple(of: 2))
      for range in ranges(numbers.count, seed: seed) {
        let sum = sumInLanes(model, range)
        let what = Comment("\(range), seed \(seed)")
        #expect(reader.sum(in: range) == sum, what)
        for threadCount in [1, 2, 3, 8] {
          let found = reader.concurrentSum(in: range, threadCount: threadCount)
          #expect(found == sum, "\(threadCount) threads, \(range), seed \(seed)")
        }
        let present = model[range].compactMap { $0 }
        #expect(reader.min(in: range) == present.min(), what)
        #expect(reader.max(in: range) == present.max(), what)
      }
    }
    let vector = try RawVector<Float>.open("floats", in: database)
    try vector.write(appending: [16_777_216, 1, 1])
    // As `Float`s the ones would get lost.
    #expect(try vector.reader().sum() == 16_777_218)
    #expect(try vector.reader().mean() == 16_777_218.0 / 3)
  }

  @Test func notANumberIsLeftOutOfExtremesAndTakesPartInSums() throws {
    let vector = try RawVector<Double>.open("numbers", in: database)
    func reader(_ numbers: [Double]) throws -> RawVectorReader<Double> {
      try vector.truncate(to: 0)
      vector.append(contentsOf: numbers)
      try vector.write()
      return try vector.reader()
    }
    for count in 1...9 {
      for place in 0..<count {
        var numbers = [Double](repeating: .nan, count: count)
        for number in [3, .infinity, -.infinity, -0.0] {
          numbers[place] = number
          let found = try reader(numbers)
          #expect(found.min() == number && found.max() == number, "\(numbers)")
          #expect(found.sum().isNaN == (count > 1), "\(numbers)")
          #expect(found.indices(where: (-.infinity)...) == [place], "\(numbers)")
        }
      }
    }
    #expect(try reader([.nan, .nan]).min() == nil && reader([.nan]).max() == nil)
    #expect(try reader([]).min() == nil && reader([]).mean() == nil && reader([]).sum() == 0)
    #expect(try reader([.infinity, -.infinity]).sum().isNaN)
  }

  @Test func holesAreLeftOut() throws {
    let vector = try RawVector<Int32>.open("numbers", in: database)
    vector.append(contentsOf: [5, -9, 7, 100])
    try vector.take(at: 1)
    try vector.take(at: 3)
    try vector.write()
    let reader = try vector.reader()
    #expect(reader.sum() == 12 && reader.min() == 5 && reader.max() == 7 && reader.mean() == 6)
    #expect(reader.count { _ in true } == 2 && reader.presentCount() == 2)
    #expect(reader.fold([]) { $0 + [$1] } == [5, 7])
    var seen: [Int] = []
    reader.forEachElement(in: 1..<4) { index, element in seen += [index, Int(element)] }
    #expect(seen == [2, 7])
    #expect(reader.indices(where: ...(200)) == [0, 2])
    #expect(reader.read(sortedIndices: [0, 1, 1, 2, 3]) == [5, nil, nil, 7, nil])
    #expect(reader.read(sortedIndices: []) == [])
    try vector.take(at: 0)
    try vector.take(at: 2)
    try vector.write()
    let none = try vector.reader()
    #expect(none.sum() == 0 && none.min() == nil && none.mean() == nil)
  }

  @Test func sortedSearch() throws {
    let vector = try RawVector<UInt16>.open("numbers", in: database)
    for count in [0, 1, 2, 3, 100] {
      try vector.truncate(to: 0)
      let numbers = (0..<count).map { UInt16($0 / 3 * 2) }
      vector.append(contentsOf: numbers)
      try vector.write()
      let reader = try vector.reader()
      for wanted in UInt16(0)...70 {
        let (first, above) = (
          numbers.firstIndex { $0 >= wanted } ?? count, numbers.firstIndex { $0 > wanted } ?? count
        )
        #expect(reader.firstIndex(notBelow: wanted) == first, "\(wanted) of \(count)")
        #expect(reader.firstIndex(above: wanted) == above, "\(wanted) of \(count)")
        let part = count / 3..<count / 2
        #expect(
          reader.firstIndex(notBelow: wanted, in: part)
            == Swift.min(Swift.max(first, part.lowerBound), part.upperBound))
      }
    }
  }

  @Test func wrappersAndSmallStructsAreFolded() throws {
    let flags = try RawVector<Bool>.open("flags", in: database)
    try flags.write(appending: (0..<70_000).map { $0 % 3 == 0 })
    #expect(try flags.reader().count { $0 } == 23_334)
    let vector = try RawVector<SIMD2<Float>>.open("points", in: database)
    try vector.write(appending: (0..<9000).map { SIMD2(Float($0), 1) })
    let sum = try vector.reader().concurrentFold(SIMD2<Float>.zero) {
      $0 + $1
    } combining: {
      $0 + $1
    }
    #expect(sum.y == 9000)
    let parts = try vector.reader().mapConcurrently(in: 3..<8000, threadCount: 4) { $1 }
    #expect(parts == [3..<8000])
    let flagParts = try flags.reader().mapConcurrently(in: 9..<70_000, threadCount: 9) { $1 }
    #expect(flagParts == [9..<65536, 65536..<70_000])
  }
}
