/// What is done with one tree.
enum Step: Sendable {
  case insert([UInt8], [UInt8])
  case remove([UInt8])
  case lookup([UInt8])
  case min
  case max
  case floor([UInt8])
  case ceiling([UInt8])
  case above([UInt8])
  case below([UInt8])
  case scan(Bounds, isReversed: Bool, limit: Int)
  case count(Bounds)
  case removeRange(Bounds)
  case drop
}

/// The keys from a lower bound on, and below an upper one; nil: no bound.
struct Bounds: Sendable {
  var lower: [UInt8]?
  var upper: [UInt8]?
}

/// A part of a history.
enum Operation: Sendable {
  /// With the tree's number.
  case step(Int, Step)
  case transaction([Operation], isCommitted: Bool)
  /// In a transaction only.
  case savepoint([Operation], isCommitted: Bool)
  case reopen
}

/// What an engine says to one step: equal for both, or something is wrong.
struct Answer: Equatable {
  var number: Int
  var bytes: [[UInt8]] = []

  /// An entry, or that there is none.
  init(entry: (key: [UInt8], value: [UInt8])?) {
    number = entry == nil ? 0 : 1
    if let entry { bytes = [entry.key, entry.value] }
  }

  init(_ number: Int, _ bytes: [[UInt8]] = []) {
    self.number = number
    self.bytes = bytes
  }
}

/// An engine that plays histories.
protocol Player: AnyObject {
  /// Carries an operation out.
  ///
  /// - Returns: an answer for each step in it, in order.
  func play(_ operation: Operation) throws -> [Answer]
  func close() throws
}

/// What ends a transaction or a savepoint that is to be taken back.
struct TakenBack: Error {}

/// The number of trees: 0 is the main one, the others have names.
let treeCount = 4

/// Random numbers that a seed decides (splitmix64).
struct SeededRandom {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var word = state
    word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
    word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
    return word ^ (word >> 31)
  }

  mutating func below(_ bound: Int) -> Int { Int(truncatingIfNeeded: next() >> 1) % bound }

  mutating func chance(_ percent: Int) -> Bool { below(100) < percent }
}

/// Makes up histories.
struct HistoryMaker {
  private var random: SeededRandom
  /// How many different keys there are of each kind: few, so that keys are met again.
  private let keyCount: Int

  init(seed: UInt64) {
    random = SeededRandom(seed: seed)
    keyCount = [20, 300, 3000][random.below(3)]
  }

  mutating func history(operationCount: Int) -> [Operation] {
    (0..<operationCount).map { _ in
      if random.chance(4) { return .transaction(part(40), isCommitted: random.chance(70)) }
      if random.below(400) == 0 { return .reopen }
      return step()
    }
  }

  private mutating func part(_ longest: Int) -> [Operation] {
    (0..<1 + random.below(longest)).map { _ in
      if longest > 4, random.chance(8) {
        return .savepoint(part(longest / 3), isCommitted: random.chance(60))
      }
      return step()
    }
  }

  private mutating func step() -> Operation {
    let tree = random.chance(55) ? 0 : random.below(treeCount)
    let step: Step =
      switch random.below(1000) {
      case 0..<480: .insert(key(), value())
      case ..<630: .remove(key())
      case ..<760: .lookup(key())
      case ..<775: .min
      case ..<790: .max
      case ..<820: .floor(key())
      case ..<850: .ceiling(key())
      case ..<880: .above(key())
      case ..<910: .below(key())
      case ..<955:
        .scan(bounds(), isReversed: random.chance(50), limit: random.chance(20) ? 5000 : 30)
      case ..<985: .count(bounds())
      case ..<999: .removeRange(narrowBounds())
      default: .drop
      }
    return .step(tree, step)
  }

  private mutating func key() -> [UInt8] {
    let number = random.below(keyCount)
    switch random.below(6) {
    case 0:
      // Few different bytes, among them those that are likely to be compared wrongly.
      return (0..<random.below(5)).map { _ in [0, 1, 0x61, 0x7F, 0x80, 0xFF][random.below(6)] }
    case 1:
      return [UInt8](repeating: 0x70, count: 200) + Array("\(number)".utf8)
    case 2:
      return withUnsafeBytes(of: UInt64(number).bigEndian) { Array($0) }
    case 3:
      // Up to the longest key of pages of 4096 bytes.
      return Array("\(number)".utf8) + [UInt8](repeating: 0x2E, count: random.below(3) * 500)
    default:
      return Array("key \(number)".utf8)
    }
  }

  private mutating func value() -> [UInt8] {
    let length =
      switch random.below(100) {
      case 0..<60: random.below(40)
      case ..<90: random.below(400)
      case ..<98: random.below(2000)
      default: random.below(80_000)
      }
    let first = UInt8(truncatingIfNeeded: random.next())
    return (0..<length).map { first &+ UInt8(truncatingIfNeeded: $0 &* 31) }
  }

  private mutating func bounds() -> Bounds {
    var bounds = Bounds()
    if random.chance(75) { bounds.lower = key() }
    if random.chance(75) { bounds.upper = key() }
    return bounds
  }

  /// Ranges to remove: mostly short ones, or trees would never grow.
  private mutating func narrowBounds() -> Bounds {
    if random.chance(15) { return bounds() }
    let number = random.below(keyCount)
    return Bounds(lower: Array("key \(number)".utf8), upper: Array("key \(number)5".utf8))
  }
}
