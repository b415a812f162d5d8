/// The median of the last elements, so many, of a row.
///
/// The lower half is a heap with its greatest element on top, the upper half one with its least. Each
/// element knows its place in its heap, so that it can be taken out when it leaves the window.
struct SlidingMedian: Sendable {
  private enum Half: Int { case lower, upper }

  let width: Int
  /// How many elements have been added.
  private var count = 0
  /// The elements of the window as integers in the same order, the *n*-th that was added at *n* mod
  /// `width`.
  private var keys: [Int64] = []
  /// Where each one is in its heap; -1: nowhere.
  private var places: [Int] = []
  private var halves: [Half] = []
  private var heaps: [[Int]] = [[], []]

  init(width: Int) { self.width = width }

  mutating func reset() { self = SlidingMedian(width: width) }

  /// Adds an element, and lets the one go that has left the window.
  ///
  /// - Parameter number: NaN or nil takes part in nothing.
  mutating func add(_ number: Double?) {
    let slot = count % width
    if count < width {
      keys.append(0)
      places.append(-1)
      halves.append(.lower)
    } else if places[slot] >= 0 {
      remove(slot)
      // So that the lower half tells where the new one belongs, if there is anything.
      balance()
    }
    count += 1
    if let number, !number.isNaN {
      keys[slot] = Self.key(number)
      let isLow = heaps[0].first.map { keys[slot] <= keys[$0] } ?? true
      insert(slot, isLow ? .lower : .upper)
    }
    balance()
  }

  /// The median; nil when there is nothing.
  ///
  /// Of two in the middle it is their mean.
  var median: Double? {
    guard let low = heaps[0].first else { return nil }
    let lower = Self.number(keys[low])
    guard let high = heaps[1].first, heaps[0].count == heaps[1].count else { return lower }
    let upper = Self.number(keys[high])
    let sum = lower + upper
    // Halves first only where the sum is too great.
    return sum.isInfinite && lower.isFinite && upper.isFinite ? lower / 2 + upper / 2 : sum / 2
  }

  /// Integers order as the numbers do, -0 before 0.
  private static func key(_ number: Double) -> Int64 {
    let bits = Int64(bitPattern: number.bitPattern)
    return bits ^ (bits >> 63 & .max)
  }

  private static func number(_ key: Int64) -> Double {
    Double(bitPattern: UInt64(bitPattern: key ^ (key >> 63 & .max)))
  }

  // MARK: Heaps

  /// The lower half has as many elements as the upper one, or one more.
  private mutating func balance() {
    while heaps[0].count > heaps[1].count + 1 { moveTop(from: .lower, to: .upper) }
    while heaps[1].count > heaps[0].count { moveTop(from: .upper, to: .lower) }
  }

  private mutating func moveTop(from half: Half, to other: Half) {
    let slot = heaps[half.rawValue][0]
    remove(slot)
    insert(slot, other)
  }

  private mutating func insert(_ slot: Int, _ half: Half) {
    halves[slot] = half
    places[slot] = heaps[half.rawValue].count
    heaps[half.rawValue].append(slot)
    rise(half, from: places[slot])
  }

  private mutating func remove(_ slot: Int) {
    let (half, place) = (halves[slot], places[slot])
    let last = heaps[half.rawValue].count - 1
    exchange(half, place, last)
    heaps[half.rawValue].removeLast()
    places[slot] = -1
    guard place < last else { return }
    rise(half, from: place)
    sink(half, from: place)
  }

  private func isAbove(_ half: Half, _ left: Int, _ right: Int) -> Bool {
    let (a, b) = (keys[heaps[half.rawValue][left]], keys[heaps[half.rawValue][right]])
    return half == .lower ? a > b : a < b
  }

  private mutating func exchange(_ half: Half, _ left: Int, _ right: Int) {
    heaps[half.rawValue].swapAt(left, right)
    places[heaps[half.rawValue][left]] = left
    places[heaps[half.rawValue][right]] = right
  }

  private mutating func rise(_ half: Half, from place: Int) {
    var place = place
    while place > 0, isAbove(half, place, (place - 1) / 2) {
      exchange(half, place, (place - 1) / 2)
      place = (place - 1) / 2
    }
  }

  private mutating func sink(_ half: Half, from place: Int) {
    var place = place
    while true {
      var top = place
      for child in 2 * place + 1..<2 * place + 3
      where child < heaps[half.rawValue].count && isAbove(half, child, top) {
        top = child
      }
      if top == place { return }
      exchange(half, place, top)
      place = top
    }
  }
}
