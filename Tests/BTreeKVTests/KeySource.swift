import TestSupport

/// Where the keys of a history come from; each kind makes a tree of another shape.
enum KeyKind: String, CaseIterable, Sendable {
  /// Any bytes, 0 up to a quarter of a page: few to a page, so the tree gets deep.
  case random
  /// One to three bytes of a small alphabet: many to a page, most of them hit again.
  case dense
  /// A few long prefixes, short ends: prefixes are cut away, separators stay long.
  case sharedPrefix
  /// Big-endian counters: splits at the end of the tree.
  case counterUp
  /// The same downwards: splits at its beginning.
  case counterDown
  /// Empty, 0x00, 0xFF, and keys that begin with each other.
  case awkward
}

/// Makes keys and values of one kind.
struct KeySource {
  let kind: KeyKind
  let maximumByteCount: Int
  private let prefixes: [[UInt8]]
  private var counter: UInt64

  init(_ kind: KeyKind, maximumByteCount: Int, random: inout SeededRandom) {
    self.kind = kind
    self.maximumByteCount = maximumByteCount
    counter = kind == .counterDown ? 1 << 40 : 0
    var prefixes: [[UInt8]] = []
    for _ in 0..<5 {
      // Some share their own beginning too.
      let stem = prefixes.randomElement(using: &random)?.prefix(100) ?? []
      prefixes.append(Array(stem) + random.bytes(random.number(in: 50...maximumByteCount / 2)))
    }
    self.prefixes = prefixes
  }

  /// A key, new or not.
  mutating func next(_ random: inout SeededRandom) -> [UInt8] {
    switch kind {
    case .random:
      return random.bytes(random.number(in: 0...maximumByteCount))
    case .dense:
      return (0..<random.number(in: 1...3)).map { _ in UInt8(random.below(16)) * 16 }
    case .sharedPrefix:
      let prefix = prefixes[random.below(prefixes.count)]
      return prefix + random.bytes(random.number(in: 0...6))
    case .counterUp:
      counter += UInt64(random.number(in: 1...2))
      return Self.bigEndian(counter)
    case .counterDown:
      counter -= UInt64(random.number(in: 1...2))
      return Self.bigEndian(counter)
    case .awkward:
      var key: [UInt8] = []
      let pieces: [[UInt8]] = [
        [0], [0xFF], [0, 0, 0, 0], [0xFF, 0xFF, 0xFF, 0xFF], [0x61], [0, 0xFF],
      ]
      for _ in 0..<random.number(in: 0...10) { key += pieces[random.below(pieces.count)] }
      return key
    }
  }

  static func bigEndian(_ number: UInt64) -> [UInt8] {
    (0..<8).map { UInt8(truncatingIfNeeded: number >> (56 - 8 * $0)) }
  }

  /// A key beside one that is there: longer, shorter or off by one.
  func neighbour(of key: [UInt8], _ random: inout SeededRandom) -> [UInt8] {
    var key = key
    switch random.below(4) {
    case 0 where key.count < maximumByteCount: key.append(0)
    case 1 where !key.isEmpty: key.removeLast()
    case 2 where !key.isEmpty: key[key.count - 1] &+= 1
    case 3 where !key.isEmpty: key[key.count - 1] &-= 1
    default: break
    }
    return key
  }
}

/// A value: mostly short, some longer than a page, a few with an extent of their own.
func randomValue(_ random: inout SeededRandom, largePerMille: Int) -> [UInt8] {
  let kind = random.below(1000)
  if kind < largePerMille { return random.bytes(random.number(in: 70 << 10...300 << 10)) }
  if kind < 600 { return random.bytes(random.below(60)) }
  if kind < 900 { return random.bytes(random.below(1500)) }
  return random.bytes(random.number(in: 0...5000))
}
