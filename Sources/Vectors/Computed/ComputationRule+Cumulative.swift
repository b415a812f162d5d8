internal import BTreeKV
internal import Pager

// Rules whose elements go on from the one before, which is taken from the column itself.

/// Goes on from the result before, beneath holes, too.
struct RecurrenceKernel<Source, Value: Sendable>: RuleKernel {
  /// What there is before the first element.
  let initial: Value
  let step: @Sendable (Value, Source, Int) throws(DatabaseError) -> Value
  private var last: Value

  init(
    _ initial: Value,
    _ step: @escaping @Sendable (Value, Source, Int) throws(DatabaseError) -> Value
  ) {
    self.initial = initial
    self.step = step
    last = initial
  }

  func start(for index: Int) -> Int { index }

  mutating func begin(at index: Int, after previous: Value?) { last = previous ?? initial }

  mutating func next(
    _ element: Source?, at index: Int
  ) throws(DatabaseError) -> ComputedElement<Value> {
    guard let element else { return .hole(beneath: last) }
    last = try step(last, element, index)
    return .value(last)
  }
}

/// Adds up floating-point numbers in blocks: a block's sum so far, without rounding errors to speak of,
/// to what came before the block.
struct CumulativeSumKernel<Source: VectorNumber, Value: VectorNumber & BinaryFloatingPoint>:
  RuleKernel
{
  /// So the column has one rounding for each so many elements, and going on reads fewer than that.
  private static var blockCount: Int { 4096 }

  private var base: Value = 0
  private var block = CompensatedSum()
  private var last: Value = 0

  func start(for index: Int) -> Int { index - index % Self.blockCount }

  mutating func begin(at index: Int, after previous: Value?) {
    base = previous ?? 0
    last = base
    block = CompensatedSum()
  }

  mutating func next(_ element: Source?, at index: Int) -> ComputedElement<Value> {
    if index % Self.blockCount == 0 {
      base = last
      block = CompensatedSum()
    }
    guard let element else { return .hole(beneath: last) }
    block.add(element.rounded)
    last = Value(Double(base) + block.value)
    return .value(last)
  }
}

extension ComputationRule where Value: VectorNumber & FixedWidthInteger {
  /// How many elements there have been that are no holes, this one included.
  public static var cumulativeCount: ComputationRule {
    cumulativeCount(named: "cumulative count") { _ in true }
  }

  /// How many elements there have been for which something holds, this one included.
  ///
  /// What the closure does is not seen from here: when it changes, give the column another version.
  ///
  /// - Parameter isCounted: says whether an element counts; the same each time.
  public static func cumulativeCount(
    where isCounted: @escaping @Sendable (Source) -> Bool
  ) -> ComputationRule {
    cumulativeCount(named: "cumulative count where", isCounted)
  }

  private static func cumulativeCount(
    named name: String, _ isCounted: @escaping @Sendable (Source) -> Bool
  ) -> ComputationRule {
    ComputationRule(
      name,
      RecurrenceKernel(0) { (count: Value, element: Source, index: Int) throws(DatabaseError) in
        guard isCounted(element) else { return count }
        return try .narrowed(try count.widened(at: index) + 1, at: index)
      })
  }
}

extension ComputationRule
where Source: VectorNumber & FixedWidthInteger, Value: VectorNumber & FixedWidthInteger {
  /// The sum of all elements so far, this one included.
  public static var cumulativeSum: ComputationRule {
    ComputationRule(
      "cumulative sum",
      RecurrenceKernel(0) { (sum: Value, element: Source, index: Int) throws(DatabaseError) in
        let (total, overflow) = try sum.widened(at: index).addingReportingOverflow(
          try element.widened(at: index))
        return try .narrowed(overflow ? nil : total, at: index)
      })
  }
}

extension ComputationRule where Source: VectorNumber, Value: VectorNumber & BinaryFloatingPoint {
  /// The sum of all elements so far, this one included.
  ///
  /// Within 4,096 elements it is added up with compensation (Neumaier's), so that there is one rounding
  /// for as many; after a NaN it is NaN.
  public static var cumulativeSum: ComputationRule {
    ComputationRule("cumulative sum", CumulativeSumKernel<Source, Value>())
  }

  /// The exponential moving average: each element counts by a weight, and what was before by the rest.
  ///
  /// The first element is the first average. Each average is rounded to the column's type, and the next
  /// one goes on from that. NaN is passed over; after an infinity the average is one.
  ///
  /// - Parameter weight: of the new element; above 0, at most 1.
  public static func exponentialAverage(weight: Double) -> ComputationRule {
    precondition(weight > 0 && weight <= 1, "a weight is above 0 and at most 1")
    return ComputationRule(
      "exponential average \(weight)",
      RecurrenceKernel(.nan) { (last: Value, element: Source, _: Int) throws(DatabaseError) in
        let number = element.rounded
        if number.isNaN { return last }
        if last.isNaN { return Value(number) }
        return Value(weight * number + (1 - weight) * Double(last))
      })
  }

  /// The exponential moving average over so many elements: the weight is 2 / (`count` + 1).
  ///
  /// - Parameter count: at least 1.
  public static func exponentialAverage(over count: Int) -> ComputationRule {
    exponentialAverage(weight: 2 / (Double(checkedPeriod(count)) + 1))
  }
}

extension ComputationRule where Source == Value, Value: VectorNumber & FixedWidthInteger {
  /// The greatest element so far, this one included.
  public static var allTimeHigh: ComputationRule {
    ComputationRule(
      "all-time high",
      RecurrenceKernel(.min) { (high: Value, element: Value, _: Int) throws(DatabaseError) in
        max(high, element)
      })
  }

  /// The least element so far, this one included.
  public static var allTimeLow: ComputationRule {
    ComputationRule(
      "all-time low",
      RecurrenceKernel(.max) { (low: Value, element: Value, _: Int) throws(DatabaseError) in
        min(low, element)
      })
  }
}

extension ComputationRule where Source == Value, Value: VectorNumber & BinaryFloatingPoint {
  /// The greatest element so far, this one included; NaN only as long as there is nothing else.
  public static var allTimeHigh: ComputationRule {
    ComputationRule(
      "all-time high",
      RecurrenceKernel(.nan) { (high: Value, element: Value, _: Int) throws(DatabaseError) in
        high.isNaN || element > high ? element : high
      })
  }

  /// The least element so far, this one included; NaN only as long as there is nothing else.
  public static var allTimeLow: ComputationRule {
    ComputationRule(
      "all-time low",
      RecurrenceKernel(.nan) { (low: Value, element: Value, _: Int) throws(DatabaseError) in
        low.isNaN || element < low ? element : low
      })
  }
}
