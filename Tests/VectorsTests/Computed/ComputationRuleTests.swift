import BTreeKV
import Pager
import TestSupport
import Testing

@testable import Vectors

/// Every rule against the same written down without regard to cost, and computed in pieces of all
/// lengths against at once: the same bits.
@Suite struct ComputationRuleTests {
  private let database: Database

  init() throws { database = try openDatabase(in: try MemoryStorage()) }

  private static let widths = [1, 2, 3, 10, 64, 1000]

  private func column<Source: VectorElement>(
    _ elements: [Source?], _ name: String, beneath: Source
  ) throws -> RawVector<Source> {
    let vector = try RawVector<Source>.open(name, in: database)
    try vector.truncate(to: 0)
    vector.append(contentsOf: elements.map { $0 ?? beneath })
    for index in elements.indices where elements[index] == nil { try vector.take(at: index) }
    try vector.write()
    return vector
  }

  private func scale<Source>(_ elements: [Source?]) -> Double {
    elements.reduce(1) { sum, element in
      guard let number = element as? Double, number.isFinite else { return sum }
      return sum + abs(number)
    }
  }

  private func check<Source: VectorElement, Value: VectorElement>(
    _ samples: [RuleSample<Source, Value>], _ elements: [Source?], beneath: Source, seed: UInt64
  ) throws {
    var random = SeededRandom(seed: seed)
    let source = try column(elements, "source", beneath: beneath)
    for sample in samples {
      let what = "\(sample.rule.name) of \(elements.count), seed \(seed)"
      let whole = ComputedVector(
        try RawVector<Value>.forcedOpen("whole", in: database), from: source, by: sample.rule)
      try whole.elements.truncate(to: 0)
      try whole.elements.write()
      try whole.update()
      try requireNear(
        presentElements(try whole.elements.reader()), sample.expected(elements),
        distance: sample.distance + sample.tolerance * scale(elements), what)
      let growing = try column([], "growing", beneath: beneath)
      let parts = ComputedVector(
        try RawVector<Value>.forcedOpen("parts", in: database), from: growing, by: sample.rule)
      var count = 0
      while count < elements.count {
        let end = min(elements.count, count + 1 + random.below([1, 5, 100, 300][random.below(4)]))
        let next = elements[count..<end]
        growing.append(contentsOf: next.map { $0 ?? beneath })
        for index in next.indices where elements[index] == nil { try growing.take(at: index) }
        try growing.write()
        let computed = try parts.update(nil, elementsPerCommit: 1 + random.below(200))
        try require(computed == count..<end, "\(what): computed \(computed), not \(count)..<\(end)")
        count = end
      }
      try require(
        try ComputedContent(parts.elements) == ComputedContent(whole.elements),
        "\(what): other bits in pieces")
    }
  }

  private func floats(_ count: Int, _ random: inout SeededRandom, odd: Bool) -> [Double?] {
    let odds: [Double] = [.nan, .infinity, -.infinity, 0, -0.0, .leastNonzeroMagnitude]
    return (0..<count).map { _ in
      if random.chance(10) { return nil }
      if odd, random.chance(5) { return odds[random.below(odds.count)] }
      let number = Double(random.below(2_000_001) - 1_000_000) / 7
      return random.chance(20) ? number * 1e9 : number
    }
  }

  @Test(arguments: widths) func integers(width: Int) throws {
    var random = SeededRandom(seed: runSeed &+ UInt64(width))
    for count in [0, 1, 2, 130, 400] {
      let elements = (0..<count).map { _ -> Int32? in
        random.chance(10)
          ? nil
          : random.chance(5) ? [.min, .max][random.below(2)] : Int32(random.below(2001) - 1000)
      }
      let seed = runSeed &+ UInt64(width)
      try check(integerSamples(width), elements, beneath: 77, seed: seed)
      try check(extremeSamples(width), elements, beneath: 77, seed: seed)
    }
  }

  @Test(arguments: widths) func numbers(width: Int) throws {
    var random = SeededRandom(seed: runSeed &+ UInt64(100 + width))
    for count in [0, 1, 2, 130, 400] {
      let elements = floats(count, &random, odd: false)
      try check(floatSamples(width), elements, beneath: 5, seed: runSeed)
      try check(floatExtremeSamples(width), elements, beneath: 5, seed: runSeed)
    }
  }

  /// NaN and infinities: gone when the window has moved past them.
  @Test(arguments: widths) func oddNumbers(width: Int) throws {
    var random = SeededRandom(seed: runSeed &+ UInt64(200 + width))
    for _ in 0..<2 {
      let elements = floats(200, &random, odd: true)
      // What differs from an infinite mean is NaN: known without a sample.
      try check(floatSamples(width), elements, beneath: .nan, seed: runSeed)
      try check(floatExtremeSamples(width), elements, beneath: .nan, seed: runSeed)
    }
    let numbers: [Double?] = [1, .nan, 2, 3, .infinity, 4, 5, -.infinity, 6, 7]
    let source = try column(numbers, "few", beneath: 0)
    let sums = ComputedVector(
      try RawVector<Double>.open("sums", in: database), from: source, by: .rollingSum(over: 2))
    try sums.update()
    let found = Array(try sums.elements.reader())
    #expect(found[0] == 1 && found[1].isNaN && found[2].isNaN && found[3] == 5)
    #expect(found[4...] == [.infinity, .infinity, 9, -.infinity, -.infinity, 13])
  }

  /// Over blocks of 4,096 and of a transaction's pieces, where sums go on from rounded ones.
  @Test func longColumns() throws {
    var random = SeededRandom(seed: runSeed)
    let numbers = (0..<150_000).map { _ in Double(random.below(1_000_000)) / 1000 - 300 }
    let source = try RawVector<Double>.open("long", in: database)
    try source.write(appending: numbers)
    let rules: [ComputationRule<Double, Double>] = [
      .cumulativeSum, .rollingAverage(over: 5000), .rollingMedian(over: 999), .zScore(over: 70_000),
      .exponentialAverage(over: 50), .change(over: 66_000),
    ]
    for rule in rules {
      let whole = ComputedVector(
        try RawVector<Double>.open("whole", in: database), from: source, by: rule)
      try whole.update()
      let growing = try RawVector<Double>.open("growing", in: database)
      try growing.truncate(to: 0)
      try growing.write()
      let parts = ComputedVector(
        try RawVector<Double>.open("parts", in: database), from: growing, by: rule)
      for end in [1, 4095, 4096, 4097, 65_537, 70_001, 149_999, 150_000] {
        let count = try growing.count
        try growing.write(appending: numbers[count..<end])
        _ = try parts.update(nil, elementsPerCommit: 50_000)
      }
      #expect(
        try ComputedContent(parts.elements) == ComputedContent(whole.elements), "\(rule.name)")
    }
    // So many roundings of the sum's magnitude at most, not one for each element.
    let sums = ComputedVector(
      try RawVector<Double>.open("sums", in: database), from: source, by: .cumulativeSum)
    try sums.update()
    let exact = exactSum(numbers)
    let last = try #require(try sums.elements.reader().last)
    #expect(abs(last - exact) <= 37 * exact.ulp)
  }

  /// A rolling variance that took away what it had added would be off by more than what it tells.
  @Test func deviationsDoNotDrift() throws {
    let numbers = (0..<30_000).map { $0 < 100 ? 1e12 : Double($0 % 2) }
    let source = try RawVector<Double>.open("numbers", in: database)
    try source.write(appending: numbers)
    let deviations = ComputedVector(
      try RawVector<Double>.open("deviations", in: database), from: source,
      by: .rollingStandardDeviation(over: 10))
    try deviations.update()
    #expect(try deviations.elements.reader()[200...].allSatisfy { abs($0 - 0.5) < 1e-15 })
    let scores = ComputedVector(
      try RawVector<Float>.open("scores", in: database), from: source, by: .zScore(over: 10))
    try scores.update()
    let found = Array(try scores.elements.reader())
    #expect(found[50].isNaN && abs(abs(found[29_999]) - 1) < 1e-6)
  }

  @Test func arithmeticOfTwoColumns() throws {
    let left = try column([7, nil, -9, .max, 5, .min] as [Int16?], "left", beneath: 1)
    let right = try column([2, 3, nil, -1, 0, 1, 8] as [Int16?], "right", beneath: 1)
    func computed(
      _ rule: ComputationRule<(Int16, Int16), Int16>
    ) throws -> [Int16?] {
      let vector = ComputedVector(
        try RawVector<Int16>.open("result", in: database), from: left, right, by: rule)
      try vector.update()
      return presentElements(try vector.elements.reader())
    }
    #expect(try computed(.addition) == [9, nil, nil, 32766, 5, -32767])
    #expect(try computed(.division) == [3, nil, nil, -32767, nil, -32768])
    #expect(try computed(.multiplication) == [14, nil, nil, -32767, 0, -32768])
    #expect(try computed(.combine { max($0, $1) }) == [7, nil, nil, 32767, 5, 1])
    // 32,767 + 1: what is in front of it is there.
    do {
      _ = try computed(.subtraction)
      Issue.record("no error")
    } catch let error as DatabaseError {
      #expect(error.code == .invalidArgument && error.description.contains("index 3"))
    }
    let rest = try RawVector<Int16>.open("result", in: database)
    #expect(presentElements(try rest.reader()) == [5, nil, nil])
    let halves = try column([0.5, 0] as [Double?], "halves", beneath: 0)
    let zeros = try column([0, 0] as [Double?], "zeros", beneath: 0)
    let quotients = ComputedVector(
      try RawVector<Double>.open("quotients", in: database), from: halves, zeros, by: .division)
    try quotients.update()
    let found = Array(try quotients.elements.reader())
    #expect(found[0] == .infinity && found[1].isNaN)
  }

  @Test func wideIntegersAreExactOrErrors() throws {
    let source = try column([.max, .max, 5] as [UInt64?], "wide", beneath: 0)
    let sums = ComputedVector(
      try RawVector<UInt128>.open("sums", in: database), from: source, by: .cumulativeSum)
    try sums.update()
    #expect(
      Array(try sums.elements.reader()) == [
        UInt128(UInt64.max), 2 * UInt128(UInt64.max), 2 * UInt128(UInt64.max) + 5,
      ])
    let means = ComputedVector(
      try RawVector<Double>.open("means", in: database), from: source, by: .rollingAverage(over: 2))
    try means.update()
    #expect(Array(try means.elements.reader()) == [0x1p64, 0x1p64, 0x1p63])
    let narrow = ComputedVector(
      try RawVector<UInt64>.open("narrow", in: database), from: source, by: .rollingSum(over: 2))
    #expect(throws: DatabaseError.self) { try narrow.update() }
    #expect(Array(try narrow.elements.reader()) == [.max])
    let falls = ComputedVector(
      try RawVector<Int64>.open("falls", in: database), from: source, by: .change(over: 1))
    #expect(throws: DatabaseError.self) { try falls.update() }
    #expect(presentElements(try falls.elements.reader()) == [nil, 0])
    let huge = try column([.max] as [UInt128?], "huge", beneath: 0)
    let none = ComputedVector(
      try RawVector<Double>.open("none", in: database), from: huge, by: .rollingAverage(over: 2))
    #expect(throws: DatabaseError.self) { try none.update() }
  }
}
