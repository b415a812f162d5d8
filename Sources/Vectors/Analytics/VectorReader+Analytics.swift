// Analytics over ranges. Holes are left out everywhere but in searches.

extension VectorReader {
  /// Combines all elements of a range, one after the other, with a value.
  ///
  /// ```swift
  /// let longest = try words.reader().fold(0) { longest, length in max(longest, length) }
  /// ```
  ///
  /// - Parameters:
  ///   - initial: the value to begin with.
  ///   - range: of which elements; holes are left out.
  ///   - body: makes a new value of the last one and an element.
  /// - Returns: the last value.
  /// - Throws: as the kind of vector says.
  /// - Complexity: O(n).
  @inlinable public func fold<Result>(
    _ initial: Result, in range: Range<Int>? = nil, _ body: (Result, Element) -> Result
  ) throws(ReadError) -> Result {
    var result = initial
    try forEachRun(in: checked(range)) { run, _ in
      for place in 0..<run.count {
        result = body(result, Element(stored: run[unchecked: place]))
      }
    }
    return result
  }

  /// Hands over all elements of a range with their indices.
  ///
  /// - Parameters:
  ///   - range: of which elements; holes are left out.
  ///   - body: gets an index and the element there.
  /// - Throws: as the kind of vector says.
  /// - Complexity: O(n).
  @inlinable public func forEachElement(
    in range: Range<Int>? = nil, _ body: (Int, Element) -> Void
  ) throws(ReadError) {
    try forEachRun(in: checked(range)) { run, index in
      for place in 0..<run.count {
        body(index + place, Element(stored: run[unchecked: place]))
      }
    }
  }

  /// The number of elements of a range for which something holds.
  ///
  /// - Parameters:
  ///   - range: of which elements; holes are left out.
  ///   - isCounted: says whether it does.
  /// - Throws: as the kind of vector says.
  /// - Complexity: O(n).
  @inlinable public func count(
    in range: Range<Int>?, where isCounted: (Element) -> Bool
  ) throws(ReadError) -> Int {
    var count = 0
    try forEachRun(in: checked(range)) { run, _ in
      for place in 0..<run.count {
        count &+= isCounted(Element(stored: run[unchecked: place])) ? 1 : 0
      }
    }
    return count
  }

  /// The number of elements of a range that are no holes.
  ///
  /// - Parameter range: of indices.
  /// - Throws: as the kind of vector says.
  /// - Complexity: O(holes).
  @inlinable public func presentCount(in range: Range<Int>? = nil) throws(ReadError) -> Int {
    let range = checked(range)
    return range.count - (try holes(in: range).count)
  }

  /// The elements at some indices.
  ///
  /// - Parameter indices: ascending; the same one may come several times.
  /// - Returns: as many, nil for each hole.
  /// - Throws: as the kind of vector says.
  /// - Complexity: O(indices + holes between the first and the last one).
  public func read(sortedIndices indices: some Collection<Int>) throws(ReadError) -> [Element?] {
    guard let first = indices.first else { return [] }
    var (last, hole) = (first, 0)
    let end = indices.reduce(first) { $1 } + 1
    precondition(end > first, "the indices must ascend")
    let holes = try holes(in: checked(first..<end))
    var found: [Element?] = []
    found.reserveCapacity(indices.count)
    for index in indices {
      precondition(index >= last && index < end, "the indices must ascend")
      last = index
      while hole < holes.count, holes[hole] < index { hole += 1 }
      let isHole = hole < holes.count && holes[hole] == index
      found.append(isHole ? nil : try value(at: index))
    }
    return found
  }
}

// MARK: Numbers

extension VectorReader where Element: VectorNumber {
  /// The sum of a range; 0 when there is nothing.
  ///
  /// It is exact for integers; `FloatAccumulator` says in which order floating-point numbers are added,
  /// as `Double`s.
  ///
  /// ```swift
  /// let reader = try prices.reader()
  /// let (total, mean) = (reader.sum(), reader.mean(in: 1..<3))
  /// ```
  ///
  /// - Parameter range: of which elements; holes are left out.
  /// - Throws: as the kind of vector says.
  /// - Complexity: O(n).
  @inlinable
  public func sum(in range: Range<Int>? = nil) throws(ReadError) -> Element.Accumulator.Sum {
    var sum = Element.Accumulator.Sum.zero
    try forEachBlock(of: checked(range)) { (block) throws(ReadError) in
      sum += try blockSum(block)
    }
    return sum
  }

  /// The sum of elements of one block.
  @inlinable
  func blockSum(_ block: Range<Int>) throws(ReadError) -> Element.Accumulator.Sum {
    var accumulator = Element.Accumulator()
    try forEachRun(in: block) { run, index in accumulator.add(run, at: index) }
    return accumulator.sum
  }

  /// The sum of a range divided by the number of its elements; nil when there is nothing.
  ///
  /// - Parameter range: of which elements; holes are left out.
  /// - Throws: as the kind of vector says.
  /// - Complexity: O(n).
  @inlinable public func mean(in range: Range<Int>? = nil) throws(ReadError) -> Double? {
    let count = try presentCount(in: range)
    return count == 0 ? nil : try sum(in: range).divided(by: count)
  }

  /// The least element of a range; nil when there is nothing but holes and NaNs.
  ///
  /// NaNs are left out. Of zeros with different signs it may be either.
  ///
  /// - Parameter range: of which elements; nil means all. Holes are left out.
  /// - Throws: as the kind of vector says.
  /// - Complexity: O(n).
  @inlinable public func min(in range: Range<Int>?) throws(ReadError) -> Element? {
    var least: Element?
    try forEachRun(in: checked(range)) { run, _ in
      guard let found = Element.least(of: run) else { return }
      least = least.map { Swift.min($0, found) } ?? found
    }
    return least
  }

  /// The greatest element of a range; nil when there is nothing but holes and NaNs.
  ///
  /// NaNs are left out. Of zeros with different signs it may be either.
  ///
  /// - Parameter range: of which elements; nil means all. Holes are left out.
  /// - Throws: as the kind of vector says.
  /// - Complexity: O(n).
  @inlinable public func max(in range: Range<Int>?) throws(ReadError) -> Element? {
    var greatest: Element?
    try forEachRun(in: checked(range)) { run, _ in
      guard let found = Element.greatest(of: run) else { return }
      greatest = greatest.map { Swift.max($0, found) } ?? found
    }
    return greatest
  }

  /// The indices of the elements that lie in some bounds, ascending; NaN lies in none.
  ///
  /// ```swift
  /// let cheap = try prices.reader().indices(where: 1..<3)
  /// ```
  ///
  /// - Parameters:
  ///   - bounds: such as `10...20`, `5...`.
  ///   - range: of which elements; holes are left out.
  /// - Throws: as the kind of vector says.
  /// - Complexity: O(n).
  @inlinable public func indices<Bounds: RangeExpression<Element>>(
    where bounds: Bounds, in range: Range<Int>? = nil
  ) throws(ReadError) -> [Int] {
    var found: [Int] = []
    // Written always and kept sometimes: no branch that could be predicted wrongly.
    let room = UnsafeMutableBufferPointer<Int>.allocate(capacity: 1024)
    defer { room.deallocate() }
    try forEachRun(in: checked(range)) { run, index in
      var start = 0
      while start < run.count {
        let end = Swift.min(run.count, start + 1024)
        var count = 0
        for place in start..<end {
          room[count] = index + place
          count &+= bounds.contains(run[unchecked: place]) ? 1 : 0
        }
        found.append(contentsOf: UnsafeBufferPointer(rebasing: room[..<count]))
        start = end
      }
    }
    return found
  }
}

// The collection's own methods of these names show what was in holes, and don't know of NaN.
extension RawVectorReader where Element: VectorNumber {
  /// The least element; nil when there is nothing but holes and NaNs.
  ///
  /// - Complexity: O(n).
  @inlinable public func min() -> Element? { self.min(in: nil) }

  /// The greatest element; nil when there is nothing but holes and NaNs.
  ///
  /// - Complexity: O(n).
  @inlinable public func max() -> Element? { self.max(in: nil) }
}

extension RawVectorReader {
  /// The number of elements for which something holds, without holes.
  ///
  /// - Parameter isCounted: says whether it does.
  /// - Complexity: O(n).
  @inlinable public func count(where isCounted: (Element) -> Bool) -> Int {
    count(in: nil, where: isCounted)
  }
}

// MARK: Sorted vectors

extension VectorReader where Element: Comparable {
  /// The first index in a range, of elements in ascending order, where an element is not less than
  /// another; the end of the range when there is none.
  ///
  /// At a hole, what was there before takes part.
  ///
  /// ```swift
  /// let since = try times.reader().firstIndex(notBelow: 20)
  /// ```
  ///
  /// - Parameters:
  ///   - element: what is looked for.
  ///   - range: of which elements.
  /// - Throws: as the kind of vector says.
  /// - Complexity: O(log n) elements read.
  public func firstIndex(
    notBelow element: Element, in range: Range<Int>? = nil
  ) throws(ReadError) -> Int {
    try firstIndex(in: range) { $0 >= element }
  }

  /// The first index in a range, of elements in ascending order, where an element is greater than
  /// another; the end of the range when there is none.
  ///
  /// At a hole, what was there before takes part.
  ///
  /// - Parameters:
  ///   - element: what is looked for.
  ///   - range: of which elements.
  /// - Throws: as the kind of vector says.
  /// - Complexity: O(log n) elements read.
  public func firstIndex(
    above element: Element, in range: Range<Int>? = nil
  ) throws(ReadError) -> Int {
    try firstIndex(in: range) { $0 > element }
  }

  private func firstIndex(
    in range: Range<Int>?, where isBehind: (Element) -> Bool
  ) throws(ReadError) -> Int {
    var rest = checked(range)
    while !rest.isEmpty {
      let middle = rest.lowerBound + rest.count / 2
      if isBehind(try value(at: middle)) {
        rest = rest.lowerBound..<middle
      } else {
        rest = middle + 1..<rest.upperBound
      }
    }
    return rest.lowerBound
  }
}
