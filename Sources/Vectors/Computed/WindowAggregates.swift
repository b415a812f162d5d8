/// Something that is known of some elements side by side, and can be merged with that of the next ones.
protocol WindowAggregate: Sendable {
  /// That of no element.
  init()

  /// Adds what is known of the elements behind.
  mutating func merge(_ next: Self)
}

/// What is known of the last elements, so many, of a row.
///
/// The row is cut into blocks as long as a window, at multiples of that. A window is the end of a block,
/// of which the aggregates of all ends are made when the block is full, and the beginning of the next,
/// whose aggregate grows (M. van Herk, 1992; J. Gil and M. Werman, 1993). That takes three merges an
/// element; nothing is ever taken away again, and where something begins to be computed makes no
/// difference, as long as it is a block's beginning.
struct SlidingWindow<Aggregate: WindowAggregate>: Sendable {
  let width: Int
  /// Those of the block's elements so far, and all of them together.
  private var block: [Aggregate] = []
  private var beginning = Aggregate()
  /// Those of the block before, from each of its places to its end.
  private var ends: [Aggregate] = []

  init(width: Int) { self.width = width }

  /// From where on elements must be added to know a window that ends at an index.
  func start(for index: Int) -> Int { max(0, (index / width - 1) * width) }

  mutating func reset() { self = SlidingWindow(width: width) }

  /// Adds an element and tells what is known of the window that it is the last one of.
  mutating func add(_ element: Aggregate, at index: Int) -> Aggregate {
    let place = index % width
    if place == 0 { endBlock() }
    block.append(element)
    beginning.merge(element)
    guard place + 1 < ends.count else { return beginning }
    var window = ends[place + 1]
    window.merge(beginning)
    return window
  }

  private mutating func endBlock() {
    swap(&block, &ends)
    block.removeAll(keepingCapacity: true)
    beginning = Aggregate()
    guard ends.count > 1 else { return }
    for place in (0..<ends.count - 1).reversed() { ends[place].merge(ends[place + 1]) }
  }
}

/// A sum of floating-point numbers and, apart, what was lost by rounding it.
///
/// A. Neumaier, 1974.
struct CompensatedSum: WindowAggregate {
  private var sum = 0.0
  private var lost = 0.0

  mutating func add(_ number: Double) {
    let total = sum + number
    lost += abs(sum) >= abs(number) ? (sum - total) + number : (number - total) + sum
    sum = total
  }

  mutating func merge(_ next: CompensatedSum) {
    add(next.sum)
    lost += next.lost
  }

  /// The sum, rounded; where it is no finite number, nothing can be said of what was lost.
  var value: Double { lost.isFinite ? sum + lost : sum }
}

/// Floating-point numbers' sum, and how many they are.
struct FloatTotal: WindowAggregate {
  var sum = CompensatedSum()
  var count = 0

  init() {}

  init(_ number: Double) {
    sum.add(number)
    count = 1
  }

  mutating func merge(_ next: FloatTotal) {
    sum.merge(next.sum)
    count += next.count
  }
}

/// Integers' sum, and how many they are.
struct IntegerTotal: WindowAggregate {
  /// Nil: it does not fit.
  var sum: Int128? = 0
  var count = 0

  init() {}

  init(_ number: some FixedWidthInteger) {
    sum = Int128(exactly: number)
    count = 1
  }

  mutating func merge(_ next: IntegerTotal) {
    if let left = sum, let right = next.sum {
      let (total, overflow) = left.addingReportingOverflow(right)
      sum = overflow ? nil : total
    } else {
      sum = nil
    }
    count += next.count
  }
}

/// The least element that is not NaN.
struct Least<Number: VectorNumber>: WindowAggregate {
  var number: Number?

  init() {}

  init(_ number: Number) { if number == number { self.number = number } }

  mutating func merge(_ next: Least) {
    guard let other = next.number else { return }
    number = number.map { Swift.min($0, other) } ?? other
  }
}

/// The greatest element that is not NaN.
struct Greatest<Number: VectorNumber>: WindowAggregate {
  var number: Number?

  init() {}

  init(_ number: Number) { if number == number { self.number = number } }

  mutating func merge(_ next: Greatest) {
    guard let other = next.number else { return }
    number = number.map { Swift.max($0, other) } ?? other
  }
}

/// How many elements there are, their mean, and the sum of the squares of what they differ from it.
///
/// T. F. Chan, G. H. Golub, R. J. LeVeque, 1979.
struct Moments: WindowAggregate {
  private var count = 0.0
  private(set) var mean = 0.0
  private var squares = 0.0

  init() {}

  init(_ number: Double) {
    count = 1
    mean = number
    // NaN for what is not finite: it differs from its mean by who knows what.
    squares = number - number
  }

  mutating func merge(_ next: Moments) {
    guard next.count > 0 else { return }
    guard count > 0 else {
      self = next
      return
    }
    let total = count + next.count
    let difference = next.mean - mean
    mean += difference * (next.count / total)
    squares += next.squares + difference * difference * (count * next.count / total)
    count = total
  }

  /// Of all that there are, not of a sample.
  var standardDeviation: Double { (squares / count).squareRoot() }
}
