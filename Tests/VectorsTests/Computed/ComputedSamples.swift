import BTreeKV
import TestSupport
import Vectors

/// A rule, and the same written down without regard to cost.
struct RuleSample<Source: VectorElement, Value: VectorElement>: Sendable {
  var rule: ComputationRule<Source, Value>
  /// Nil at holes.
  var expected: @Sendable ([Source?]) -> [Value?]
  /// How far a result may be from what is expected, as a share of the sum of all magnitudes.
  var tolerance = 0.0
  /// How far at least, whatever these are.
  var distance = 0.0

  init(
    _ rule: ComputationRule<Source, Value>, tolerance: Double = 0, distance: Double = 0,
    _ expected: @escaping @Sendable ([Source?]) -> [Value?]
  ) {
    self.rule = rule
    self.expected = expected
    self.tolerance = tolerance
    self.distance = distance
  }
}

/// The elements of each window that are no holes; nil where it ends with a hole.
func windows<Source>(_ column: [Source?], _ width: Int) -> [[Source]?] {
  column.indices.map { index in
    guard column[index] != nil else { return nil }
    return column[max(0, index - min(width, index + 1) + 1)...index].compactMap { $0 }
  }
}

/// All elements up to each one that are no holes; nil where it is a hole.
func beginnings<Source>(_ column: [Source?]) -> [[Source]?] { windows(column, column.count + 1) }

/// What comes of each element and the one so many before.
func changes<Source, Value>(
  _ column: [Source?], _ lag: Int, _ compare: (Source, Source) -> Value
) -> [Value?] {
  column.indices.map { index in
    guard index >= lag, let element = column[index], let before = column[index - lag] else {
      return nil
    }
    return compare(element, before)
  }
}

/// The sum without rounding errors to speak of: with as many bits as it takes.
func exactSum(_ numbers: [Double]) -> Double {
  var parts: [Double] = []
  if numbers.contains(where: { !$0.isFinite }) { return numbers.reduce(0, +) }
  for number in numbers {
    var (carry, kept): (Double, [Double]) = (number, [])
    for part in parts {
      let (high, low) = abs(carry) >= abs(part) ? (carry, part) : (part, carry)
      let sum = high + low
      if low - (sum - high) != 0 { kept.append(low - (sum - high)) }
      carry = sum
    }
    parts = kept + [carry]
  }
  return parts.reversed().reduce(0, +)
}

func median(_ numbers: [Double]) -> Double {
  let sorted = numbers.filter { !$0.isNaN }.sorted()
  guard !sorted.isEmpty else { return .nan }
  let (low, high) = (sorted[(sorted.count - 1) / 2], sorted[sorted.count / 2])
  return low == high ? low : low / 2 + high / 2
}

/// Not as a sample; computed in two passes.
func standardDeviation(_ numbers: [Double]) -> (mean: Double, deviation: Double) {
  let mean = exactSum(numbers) / Double(numbers.count)
  let squares = exactSum(numbers.map { ($0 - mean) * ($0 - mean) })
  return (mean, (squares / Double(numbers.count)).squareRoot())
}

/// All rules of integers, over some numbers of elements.
func integerSamples(_ width: Int) -> [RuleSample<Int32, Int64>] {
  [
    RuleSample(.map { Int64($0) * 3 }) { $0.map { $0.map { Int64($0) * 3 } } },
    RuleSample(.compactMap { $0 % 7 == 0 ? nil : Int64($0) }) { column in
      column.map { $0.flatMap { $0 % 7 == 0 ? nil : Int64($0) } }
    },
    RuleSample(.cumulativeSum) { beginnings($0).map { $0?.reduce(0) { $0 + Int64($1) } } },
    RuleSample(.cumulativeCount) { beginnings($0).map { $0.map { Int64($0.count) } } },
    RuleSample(.cumulativeCount { $0 > 0 }) { column in
      beginnings(column).map { $0.map { Int64($0.count { $0 > 0 }) } }
    },
    RuleSample(.change(over: width)) { changes($0, width) { Int64($0) - Int64($1) } },
    RuleSample(.rollingSum(over: width)) { column in
      windows(column, width).map { $0?.reduce(0) { $0 + Int64($1) } }
    },
  ]
}

/// The rules that keep the type.
func extremeSamples<Number: VectorNumber>(
  _ width: Int, _ rules: [ComputationRule<Number, Number>]
) -> [RuleSample<Number, Number>] {
  @Sendable func extreme(
    _ numbers: [Number], _ isBefore: (Number, Number) -> Bool
  ) -> Number? {
    numbers.filter { $0 == $0 }.min(by: isBefore) ?? numbers.last
  }
  let expected: [@Sendable ([Number?]) -> [Number?]] = [
    { windows($0, width).map { $0.flatMap { extreme($0, <) } } },
    { windows($0, width).map { $0.flatMap { extreme($0, >) } } },
    { beginnings($0).map { $0.flatMap { extreme($0, >) } } },
    { beginnings($0).map { $0.flatMap { extreme($0, <) } } },
  ]
  return zip(rules, expected).map { RuleSample($0, $1) }
}

func extremeSamples(_ width: Int) -> [RuleSample<Int32, Int32>] {
  extremeSamples(
    width,
    [.rollingMinimum(over: width), .rollingMaximum(over: width), .allTimeHigh, .allTimeLow])
}

func floatExtremeSamples(_ width: Int) -> [RuleSample<Double, Double>] {
  extremeSamples(
    width,
    [.rollingMinimum(over: width), .rollingMaximum(over: width), .allTimeHigh, .allTimeLow])
}

private func exponentialAverages(_ column: [Double?], _ weight: Double) -> [Double?] {
  var last = Double.nan
  return column.map { element in
    guard let element else { return nil }
    if !element.isNaN { last = last.isNaN ? element : weight * element + (1 - weight) * last }
    return last
  }
}

/// The rules whose results are floating-point numbers.
func floatSamples(_ width: Int) -> [RuleSample<Double, Double>] {
  [
    RuleSample(.map { $0 * 3 }) { $0.map { $0.map { $0 * 3 } } },
    RuleSample(.cumulativeSum, tolerance: 1e-14) { beginnings($0).map { $0.map(exactSum) } },
    RuleSample(.change(over: width)) { changes($0, width, -) },
    RuleSample(.percentageChange(over: width)) { changes($0, width) { ($0 - $1) / $1 * 100 } },
    RuleSample(.exponentialAverage(over: width)) { column in
      exponentialAverages(column, 2 / (Double(width) + 1))
    },
    RuleSample(.rollingSum(over: width), tolerance: 1e-15) { column in
      windows(column, width).map { $0.map(exactSum) }
    },
    RuleSample(.rollingAverage(over: width), tolerance: 1e-15) { column in
      windows(column, width).map { $0.map { exactSum($0) / Double($0.count) } }
    },
    RuleSample(.rollingMedian(over: width), tolerance: 1e-15) { column in
      windows(column, width).map { $0.map(median) }
    },
    RuleSample(.rollingStandardDeviation(over: width), tolerance: 1e-12) { column in
      windows(column, width).map { $0.map { standardDeviation($0).deviation } }
    },
    RuleSample(.zScore(over: width), distance: 1e-9) { column in
      zip(column, windows(column, width)).map { element, window in
        guard let element, let window else { return nil }
        let (mean, deviation) = standardDeviation(window)
        return (element - mean) / deviation
      }
    },
  ]
}

/// What a vector holds, with what lies beneath holes.
struct ComputedContent: Equatable {
  var bytes: [UInt8]
  var holes: [Int]
  var count: Int

  init<Element: VectorElement>(_ vector: BufferedVector<Element>) throws {
    var elements: [Element] = []
    if let raw = vector as? RawVector<Element> { elements = Array(try raw.reader()) }
    self.init(elements: elements, holes: try vector.holes)
  }

  init<Element: VectorElement>(
    compressed vector: CompressedVector<Element>
  ) throws {
    self.init(elements: try vector.reader().elements(), holes: try vector.holes)
  }

  init<Element: VectorElement>(elements: [Element], holes: [Int]) {
    bytes = storedBytes(elements)
    self.holes = holes
    count = elements.count
  }
}

/// The elements of a vector, nil at holes.
func presentElements<Element: VectorElement>(
  _ reader: RawVectorReader<Element>
) -> [Element?] {
  reader.indices.map { reader.element(at: $0) }
}

/// Throws unless results are as near as they must be.
func requireNear<Value: VectorElement>(
  _ found: [Value?], _ expected: [Value?], distance: Double,
  _ context: @autoclosure () -> String
) throws {
  try require(
    found.count == expected.count, "\(context()): \(found.count) elements of \(expected.count)")
  for (index, (left, right)) in zip(found, expected).enumerated() {
    let isNear: Bool
    switch (left, right) {
    case (nil, nil): isNear = true
    case (let left?, let right?): isNear = near(left, right, distance)
    default: isNear = false
    }
    try require(
      isNear,
      "\(context()): \(left.map { "\($0)" } ?? "hole") at \(index), expected "
        + "\(right.map { "\($0)" } ?? "hole")")
  }
}

private func near<Value: VectorElement>(_ left: Value, _ right: Value, _ distance: Double) -> Bool {
  if let left = left as? Double, let right = right as? Double {
    return left == right || (left.isNaN && right.isNaN) || abs(left - right) <= distance
  }
  return storedBytes([left]) == storedBytes([right])
}
