internal import Pager

// Analytics on all cores. A range is cut at multiples of 65,536 elements, one part a thread.

/// Runs something once for each number below another, each in a thread of its own where the system has
/// room for one.
@usableFromInline
func inThreads<Result: Sendable>(
  _ count: Int, _ body: @Sendable (Int) -> Result
) -> [Result] {
  let results = Locked([Result?](repeating: nil, count: count))
  withoutActuallyEscaping(body) { body in
    var threads: [BackgroundThread] = []
    var rest: [Int] = []
    for number in 1..<max(1, count) {
      let work: @Sendable () -> Void = {
        let result = body(number)
        results.withLock { $0[number] = result }
      }
      if let thread = try? BackgroundThread(name: "kv-vector-\(number)", body: work) {
        threads.append(thread)
      } else {
        rest.append(number)
      }
    }
    for number in (count > 0 ? [0] : []) + rest {
      let result = body(number)
      results.withLock { $0[number] = result }
    }
    for thread in threads { thread.join() }
    // The closures are gone when their threads are.
    threads = []
  }
  return results.withLock { $0.compactMap { $0 } }
}

/// How many threads there are to be when nobody says.
@usableFromInline var usualThreadCount: Int { SystemCalls.processorCount }

/// A reader that other threads only ask for copies.
@usableFromInline struct SharedReader<Reader: VectorReader>: @unchecked Sendable {
  @usableFromInline let reader: Reader

  @usableFromInline init(reader: Reader) { self.reader = reader }
}

extension VectorReader {
  /// Makes something of each part of a range, in several threads at once.
  ///
  /// ```swift
  /// let sums = reader.mapConcurrently { reader, part in reader.sum(in: part) }
  /// let sum = sums.reduce(0, +)
  /// ```
  ///
  /// - Parameters:
  ///   - range: of which elements.
  ///   - threadCount: with the caller's; nil means as many as there are processors.
  ///   - body: gets a reader of the same elements, for its thread, and a part of the range.
  /// - Returns: what it returned, in the order of the parts.
  /// - Throws: what `body` throws, of the first part of which it does; or as the kind of vector says.
  @inlinable public func mapConcurrently<Result: Sendable>(
    in range: Range<Int>? = nil, threadCount: Int? = nil,
    _ body: @Sendable (Self, Range<Int>) throws(ReadError) -> Result
  ) throws(ReadError) -> [Result] {
    let range = checked(range)
    guard !range.isEmpty else { return [] }
    let shared = SharedReader(reader: self)
    let first = range.lowerBound / analysisBlockCount
    let blockCount = (range.upperBound - 1) / analysisBlockCount + 1 - first
    let partCount = Swift.min(blockCount, Swift.max(1, threadCount ?? usualThreadCount))
    let results = inThreads(partCount) { part -> Swift.Result<Result, ReadError> in
      let start = (first + blockCount * part / partCount) * analysisBlockCount
      let end = (first + blockCount * (part + 1) / partCount) * analysisBlockCount
      do throws(ReadError) {
        return .success(
          try body(
            shared.reader.copy(),
            Swift.max(start, range.lowerBound)..<Swift.min(end, range.upperBound)))
      } catch {
        return .failure(error)
      }
    }
    var values: [Result] = []
    values.reserveCapacity(results.count)
    for result in results { values.append(try result.get()) }
    return values
  }

  /// Combines the elements of parts of a range with values, in several threads at once, and then
  /// these values, in the order of the parts.
  ///
  /// - Parameters:
  ///   - initial: the value to begin each part with, such that combining with it changes nothing.
  ///   - range: of which elements; holes are left out.
  ///   - threadCount: with the caller's; nil means as many as there are processors.
  ///   - body: makes a new value of the last one and an element.
  ///   - combine: makes one value of those of two neighbouring parts.
  /// - Returns: the last value.
  /// - Throws: as the kind of vector says.
  @inlinable public func concurrentFold<Result: Sendable>(
    _ initial: Result, in range: Range<Int>? = nil, threadCount: Int? = nil,
    _ body: @Sendable (Result, Element) -> Result, combining combine: (Result, Result) -> Result
  ) throws(ReadError) -> Result {
    try mapConcurrently(in: range, threadCount: threadCount) {
      (reader, part) throws(ReadError) in
      try reader.fold(initial, in: part, body)
    }.reduce(initial, combine)
  }

  /// As `count(in:where:)`, in several threads at once.
  ///
  /// - Parameters:
  ///   - range: of which elements; holes are left out.
  ///   - threadCount: with the caller's; nil means as many as there are processors.
  ///   - isCounted: says whether an element counts.
  /// - Throws: as the kind of vector says.
  @inlinable public func concurrentCount(
    in range: Range<Int>? = nil, threadCount: Int? = nil,
    where isCounted: @Sendable (Element) -> Bool
  ) throws(ReadError) -> Int {
    try mapConcurrently(in: range, threadCount: threadCount) {
      (reader, part) throws(ReadError) in
      try reader.count(in: part, where: isCounted)
    }.reduce(0, +)
  }
}

extension VectorReader where Element: VectorNumber {
  /// As `sum(in:)`, to the last bit, in several threads at once.
  ///
  /// But for floating-point numbers of compressed vectors: the sums of their pages are added in
  /// another order.
  ///
  /// - Parameters:
  ///   - range: of which elements; holes are left out.
  ///   - threadCount: with the caller's; nil means as many as there are processors.
  /// - Throws: as the kind of vector says.
  @inlinable public func concurrentSum(
    in range: Range<Int>? = nil, threadCount: Int? = nil
  ) throws(ReadError) -> Element.Accumulator.Sum {
    let sums = try mapConcurrently(in: range, threadCount: threadCount) {
      (reader, part) throws(ReadError) in
      var sums: [Element.Accumulator.Sum] = []
      try reader.forEachBlock(of: part) { (block) throws(ReadError) in
        sums.append(try reader.blockSum(block))
      }
      return sums
    }
    return sums.reduce(.zero) { sum, blocks in blocks.reduce(sum, +) }
  }

  /// As `mean(in:)`, to the last bit, in several threads at once.
  ///
  /// But for floating-point numbers of compressed vectors: the sums of their pages are added in
  /// another order.
  ///
  /// - Parameters:
  ///   - range: of which elements; holes are left out.
  ///   - threadCount: with the caller's; nil means as many as there are processors.
  /// - Throws: as the kind of vector says.
  @inlinable public func concurrentMean(
    in range: Range<Int>? = nil, threadCount: Int? = nil
  ) throws(ReadError) -> Double? {
    let count = try presentCount(in: range)
    return count == 0
      ? nil : try concurrentSum(in: range, threadCount: threadCount).divided(by: count)
  }

  /// As `min(in:)`, in several threads at once.
  ///
  /// - Parameters:
  ///   - range: of which elements; holes are left out.
  ///   - threadCount: with the caller's; nil means as many as there are processors.
  /// - Throws: as the kind of vector says.
  @inlinable public func concurrentMin(
    in range: Range<Int>? = nil, threadCount: Int? = nil
  ) throws(ReadError) -> Element? {
    try mapConcurrently(in: range, threadCount: threadCount) {
      (reader, part) throws(ReadError) in
      try reader.min(in: part)
    }.compactMap { $0 }.min()
  }

  /// As `max(in:)`, in several threads at once.
  ///
  /// - Parameters:
  ///   - range: of which elements; holes are left out.
  ///   - threadCount: with the caller's; nil means as many as there are processors.
  /// - Throws: as the kind of vector says.
  @inlinable public func concurrentMax(
    in range: Range<Int>? = nil, threadCount: Int? = nil
  ) throws(ReadError) -> Element? {
    try mapConcurrently(in: range, threadCount: threadCount) {
      (reader, part) throws(ReadError) in
      try reader.max(in: part)
    }.compactMap { $0 }.max()
  }

  /// As `indices(where:in:)`, in several threads at once.
  ///
  /// - Parameters:
  ///   - bounds: such as `10...20`, `5...`.
  ///   - range: of which elements; holes are left out.
  ///   - threadCount: with the caller's; nil means as many as there are processors.
  /// - Throws: as the kind of vector says.
  @inlinable public func concurrentIndices<Bounds: RangeExpression<Element> & Sendable>(
    where bounds: Bounds, in range: Range<Int>? = nil, threadCount: Int? = nil
  ) throws(ReadError) -> [Int] {
    try mapConcurrently(in: range, threadCount: threadCount) {
      (reader, part) throws(ReadError) in
      try reader.indices(where: bounds, in: part)
    }.flatMap { $0 }
  }
}
