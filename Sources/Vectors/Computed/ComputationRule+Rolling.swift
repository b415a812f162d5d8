internal import BTreeKV
internal import Pager

// Rules over the last elements, so many, and against the one so many before.

/// Computes each element from what is known of a window.
struct RollingKernel<Source: Sendable, Value, Aggregate: WindowAggregate>: RuleKernel {
  private var window: SlidingWindow<Aggregate>
  private let aggregate: @Sendable (Source) -> Aggregate
  private let result: @Sendable (Aggregate, Source, Int) throws(DatabaseError) -> Value

  /// - Parameters:
  ///   - aggregate: what is known of a single element.
  ///   - result: what comes of a window, the last element in it, and its index.
  init(
    over count: Int, _ aggregate: @escaping @Sendable (Source) -> Aggregate,
    _ result: @escaping @Sendable (Aggregate, Source, Int) throws(DatabaseError) -> Value
  ) {
    window = SlidingWindow(width: checkedPeriod(count))
    self.aggregate = aggregate
    self.result = result
  }

  func start(for index: Int) -> Int { window.start(for: index) }

  mutating func begin(at index: Int, after previous: Value?) { window.reset() }

  mutating func next(
    _ element: Source?, at index: Int
  ) throws(DatabaseError) -> ComputedElement<Value> {
    let known = window.add(element.map(aggregate) ?? Aggregate(), at: index)
    guard let element else { return .hole(beneath: nil) }
    return .value(try result(known, element, index))
  }
}

/// Computes each element from one and the one so many before.
struct LagKernel<Source: Sendable, Value>: RuleKernel {
  private let lag: Int
  private let compute: @Sendable (Source, Source, Int) throws(DatabaseError) -> Value
  /// The last elements, each at the number mod `lag` with which it was added.
  private var ring: [Source?] = []
  private var count = 0

  init(
    over count: Int,
    _ compute: @escaping @Sendable (Source, Source, Int) throws(DatabaseError) -> Value
  ) {
    lag = checkedPeriod(count)
    self.compute = compute
  }

  func start(for index: Int) -> Int { max(0, index - lag) }

  mutating func begin(at index: Int, after previous: Value?) {
    ring.removeAll(keepingCapacity: true)
    count = 0
  }

  mutating func next(
    _ element: Source?, at index: Int
  ) throws(DatabaseError) -> ComputedElement<Value> {
    let slot = count % lag
    count += 1
    guard slot < ring.count else {
      ring.append(element)
      return .hole(beneath: nil)
    }
    let before = ring[slot]
    ring[slot] = element
    guard let element, let before else { return .hole(beneath: nil) }
    return .value(try compute(element, before, index))
  }
}

/// Computes each element as the median of a window.
struct MedianKernel<Source: VectorNumber, Value: BinaryFloatingPoint>: RuleKernel {
  private var window: SlidingMedian

  init(over count: Int) { window = SlidingMedian(width: checkedPeriod(count)) }

  func start(for index: Int) -> Int { max(0, index - window.width + 1) }

  mutating func begin(at index: Int, after previous: Value?) { window.reset() }

  mutating func next(_ element: Source?, at index: Int) -> ComputedElement<Value> {
    window.add(element?.rounded)
    return element == nil ? .hole(beneath: nil) : .value(window.median.map { Value($0) } ?? .nan)
  }
}

extension ComputationRule
where Source: VectorNumber & FixedWidthInteger, Value: VectorNumber & FixedWidthInteger {
  /// How much greater an element is than the one so many before; holes where there is none.
  ///
  /// - Parameter count: at least 1.
  public static func change(over count: Int) -> ComputationRule {
    ComputationRule(
      "change \(count)",
      LagKernel(over: count) {
        (element: Source, before: Source, index: Int) throws(DatabaseError) -> Value in
        let (change, overflow) = try element.widened(at: index).subtractingReportingOverflow(
          try before.widened(at: index))
        return try .narrowed(overflow ? nil : change, at: index)
      })
  }

  /// The sum of the last elements, so many; of all as long as there are fewer.
  ///
  /// - Parameter count: at least 1.
  public static func rollingSum(over count: Int) -> ComputationRule {
    ComputationRule(
      "rolling sum \(count)",
      RollingKernel(over: count, { IntegerTotal($0) }) {
        (total: IntegerTotal, _: Source, index: Int) throws(DatabaseError) -> Value in
        try .narrowed(total.sum, at: index)
      })
  }
}

extension ComputationRule
where Source: VectorNumber & FixedWidthInteger, Value: VectorNumber & BinaryFloatingPoint {
  /// The mean of the last elements, so many; of all as long as there are fewer.
  ///
  /// The sum is exact.
  ///
  /// - Parameter count: at least 1.
  public static func rollingAverage(over count: Int) -> ComputationRule {
    ComputationRule(
      "rolling average \(count)",
      RollingKernel(over: count, { IntegerTotal($0) }) {
        (total: IntegerTotal, _: Source, index: Int) throws(DatabaseError) -> Value in
        guard let sum = total.sum else { throw misfit(Int128.self, at: index) }
        return Value(Double(sum) / Double(total.count))
      })
  }
}

extension ComputationRule
where Source: VectorNumber & BinaryFloatingPoint, Value: VectorNumber & BinaryFloatingPoint {
  /// How much greater an element is than the one so many before; holes where there is none.
  ///
  /// - Parameter count: at least 1.
  public static func change(over count: Int) -> ComputationRule {
    ComputationRule(
      "change \(count)",
      LagKernel(over: count) { (element: Source, before: Source, _: Int) throws(DatabaseError) in
        Value(element.rounded - before.rounded)
      })
  }

  /// The sum of the last elements, so many; of all as long as there are fewer.
  ///
  /// It is added up with compensation (Neumaier's): what it differs from the exact sum is hardly more
  /// than one rounding.
  ///
  /// - Parameter count: at least 1.
  public static func rollingSum(over count: Int) -> ComputationRule {
    ComputationRule(
      "rolling sum \(count)",
      RollingKernel(over: count, { FloatTotal($0.rounded) }) {
        (total: FloatTotal, _: Source, _: Int) throws(DatabaseError) in Value(total.sum.value)
      })
  }

  /// The mean of the last elements, so many; of all as long as there are fewer.
  ///
  /// It is that of the sum as `rollingSum` has it.
  ///
  /// - Parameter count: at least 1.
  public static func rollingAverage(over count: Int) -> ComputationRule {
    ComputationRule(
      "rolling average \(count)",
      RollingKernel(over: count, { FloatTotal($0.rounded) }) {
        (total: FloatTotal, _: Source, _: Int) throws(DatabaseError) in
        Value(total.sum.value / Double(total.count))
      })
  }
}

extension ComputationRule where Source: VectorNumber, Value: VectorNumber & BinaryFloatingPoint {
  /// How much greater an element is than the one so many before, in percent of that; holes where there
  /// is none.
  ///
  /// - Parameter count: at least 1.
  public static func percentageChange(over count: Int) -> ComputationRule {
    ComputationRule(
      "percentage change \(count)",
      LagKernel(over: count) { (element: Source, before: Source, _: Int) throws(DatabaseError) in
        Value((element.rounded - before.rounded) / before.rounded * 100)
      })
  }

  /// The median of the last elements, so many; of all as long as there are fewer.
  ///
  /// Of two in the middle it is the mean. NaN is left out; where there is nothing else, so is it.
  ///
  /// - Parameter count: at least 1.
  public static func rollingMedian(over count: Int) -> ComputationRule {
    ComputationRule("rolling median \(count)", MedianKernel<Source, Value>(over: count))
  }

  /// The standard deviation of the last elements, so many, as all that there are (not as a sample); of
  /// all as long as there are fewer.
  ///
  /// - Parameter count: at least 1.
  public static func rollingStandardDeviation(over count: Int) -> ComputationRule {
    ComputationRule(
      "rolling standard deviation \(count)",
      RollingKernel(over: count, { Moments($0.rounded) }) {
        (moments: Moments, _: Source, _: Int) throws(DatabaseError) in
        Value(moments.standardDeviation)
      })
  }

  /// By how many standard deviations an element differs from the mean of the last elements, so many, this
  /// one included.
  ///
  /// NaN where all are the same.
  ///
  /// - Parameter count: at least 1.
  public static func zScore(over count: Int) -> ComputationRule {
    ComputationRule(
      "z-score \(count)",
      RollingKernel(over: count, { Moments($0.rounded) }) {
        (moments: Moments, element: Source, _: Int) throws(DatabaseError) in
        Value((element.rounded - moments.mean) / moments.standardDeviation)
      })
  }
}

extension ComputationRule where Source == Value, Value: VectorNumber {
  /// The least of the last elements, so many; of all as long as there are fewer.
  ///
  /// NaN is left out; where there is nothing else, so is it.
  ///
  /// - Parameter count: at least 1.
  public static func rollingMinimum(over count: Int) -> ComputationRule {
    ComputationRule(
      "rolling minimum \(count)",
      RollingKernel(over: count, { Least($0) }) {
        (least: Least<Value>, element: Value, _: Int) throws(DatabaseError) in
        least.number ?? element
      })
  }

  /// The greatest of the last elements, so many; of all as long as there are fewer.
  ///
  /// NaN is left out; where there is nothing else, so is it.
  ///
  /// - Parameter count: at least 1.
  public static func rollingMaximum(over count: Int) -> ComputationRule {
    ComputationRule(
      "rolling maximum \(count)",
      RollingKernel(over: count, { Greatest($0) }) {
        (greatest: Greatest<Value>, element: Value, _: Int) throws(DatabaseError) in
        greatest.number ?? element
      })
  }
}
