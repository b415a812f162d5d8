import BTreeKV
import TestSupport

/// Values of a type, edges and random ones, and the order that their keys must have.
struct KeySamples<Key: OrderedKey> {
  var name: String
  var values: [Key]
  /// Whether the first belongs before the second: written without the codings.
  var precedes: (Key, Key) -> Bool
  /// Whether both are the same key.
  var isSame: (Key, Key) -> Bool
}

/// What can be asked of samples of any type.
protocol AnyKeySamples {
  var name: String { get }
  func visit(_ visitor: some KeySampleVisitor) throws
}

protocol KeySampleVisitor {
  func visit<Key: OrderedKey>(_ samples: KeySamples<Key>) throws
}

extension KeySamples: AnyKeySamples {
  func visit(_ visitor: some KeySampleVisitor) throws { try visitor.visit(self) }
}

extension KeySamples where Key: Comparable {
  init(_ name: String, _ values: [Key]) {
    self.init(name: name, values: values, precedes: { $0 < $1 }, isSame: { $0 == $1 })
  }
}

extension KeySamples where Key: FixedWidthInteger {
  /// The edges, all powers of two and some neighbours, and random numbers of all sizes.
  static func integers(_ random: inout SeededRandom) -> KeySamples {
    var values: Set<Key> = [.min, .max, 0]
    for shift in 0..<Key.bitWidth {
      let power = Key(truncatingIfNeeded: 1) << shift
      values.formUnion([power, 0 &- power])
      if shift % 8 == 0 || shift % 8 == 7 { values.formUnion([power &- 1, power &+ 1]) }
    }
    for _ in 0..<30 {
      let word = Key(truncatingIfNeeded: UInt128(random.next()) << 64 | UInt128(random.next()))
      values.formUnion([word, word >> Key(random.below(Key.bitWidth))])
    }
    return KeySamples("\(Key.self)", Array(values))
  }
}

extension KeySamples where Key: BinaryFloatingPoint {
  /// All kinds of numbers, with both signs, ordered by the standard library's *totalOrder*.
  static func floats(_ random: inout SeededRandom, _ make: (UInt64) -> Key) -> KeySamples {
    var values: [Key] = [
      0, 1, 1.5, .pi, .infinity, .nan, .signalingNaN, .greatestFiniteMagnitude,
      .leastNormalMagnitude, .leastNonzeroMagnitude, .ulpOfOne, Key(1).nextUp, Key(1).nextDown,
    ]
    for _ in 0..<80 { values.append(make(random.next())) }
    values += values.map { -$0 }
    return KeySamples(
      name: "\(Key.self)", values: values,
      precedes: { !$1.isTotallyOrdered(belowOrEqualTo: $0) },
      isSame: {
        $0.isTotallyOrdered(belowOrEqualTo: $1) && $1.isTotallyOrdered(belowOrEqualTo: $0)
      })
  }
}

/// A type of one's own with a raw value: ordered as this.
enum Level: Int8, OrderedKey, StorableValue, CaseIterable {
  case high = 7
  case low = -3
  case none = 0
}

/// A type with a text as its raw value.
struct Name: RawRepresentable, OrderedKey, StorableValue, Hashable {
  var rawValue: String
}

/// The example of `OrderedKey`'s documentation.
struct Place: OrderedKey, Equatable {
  var country: String
  var code: UInt32
  static var codingTag: String { "place" }
  func encodeComponent(into encoder: inout ByteEncoder) {
    country.encodeComponent(into: &encoder)
    code.encodeComponent(into: &encoder)
  }
  static func decodeComponent(
    from decoder: inout ByteDecoder
  ) throws(DatabaseError) -> Place {
    Place(
      country: try String.decodeComponent(from: &decoder),
      code: try UInt32.decodeComponent(from: &decoder))
  }
}

enum TypedSamples {
  static let edgeBytes: [[UInt8]] = [
    [], [0], [0, 0], [0, 1], [0, 0xFF], [0, 0, 1], [1], [1, 0], [1, 0, 1], [0xFF], [0xFF, 0],
    [0xFF, 0xFF], [0x61], [0x61, 0], [0x61, 0, 0x62], [0x61, 0, 0], [0x61, 1], [0x61, 0xFF],
    [UInt8](repeating: 0, count: 1500), [UInt8](repeating: 0x61, count: 1024),
    [UInt8](repeating: 0x61, count: 1023), [UInt8](repeating: 0x61, count: 1025),
  ]

  /// Bytes of a small alphabet, so that beginnings are often shared.
  static func bytes(_ random: inout SeededRandom) -> [UInt8] {
    (0..<random.below(7)).map { _ in [0, 0, 1, 0x61, 0xFE, 0xFF][random.below(6)] }
  }

  static func texts(_ random: inout SeededRandom) -> [String] {
    let scalars: [Unicode.Scalar] = [
      "\0", "\u{1}", "a", "b", "é", "e", "\u{301}", "\u{FF}", "\u{FFFD}", "\u{1F600}", "\u{10FFFF}",
    ]
    var texts = ["", "\0", "\0\0", "a", "a\0", "a\0b", "ab", "\u{E9}", "e\u{301}", "Z", "zebra"]
    texts.append(String(repeating: "x\0", count: 900))
    for _ in 0..<60 {
      var text = String.UnicodeScalarView()
      for _ in 0..<random.below(6) { text.append(scalars[random.below(scalars.count)]) }
      texts.append(String(text))
    }
    return texts
  }

  static func precedes(_ first: String, _ second: String) -> Bool {
    first.unicodeScalars.lexicographicallyPrecedes(second.unicodeScalars)
  }

  static func precedes<Wrapped>(
    _ first: Wrapped?, _ second: Wrapped?, _ inner: (Wrapped, Wrapped) -> Bool
  ) -> Bool {
    guard let second else { return false }
    guard let first else { return true }
    return inner(first, second)
  }

  private static func isSame(_ first: String, _ second: String) -> Bool {
    Array(first.utf8) == Array(second.utf8)
  }

  /// Samples of every type that the library gives a key coding.
  static func all(seed: UInt64) -> [any AnyKeySamples] {
    var random = SeededRandom(seed: seed)
    return integers(&random) + others(&random) + composites(&random)
  }

  private static func integers(_ random: inout SeededRandom) -> [any AnyKeySamples] {
    [
      KeySamples<UInt8>.integers(&random), KeySamples<UInt16>.integers(&random),
      KeySamples<UInt32>.integers(&random), KeySamples<UInt64>.integers(&random),
      KeySamples<UInt128>.integers(&random), KeySamples<UInt>.integers(&random),
      KeySamples<Int8>.integers(&random), KeySamples<Int16>.integers(&random),
      KeySamples<Int32>.integers(&random), KeySamples<Int64>.integers(&random),
      KeySamples<Int128>.integers(&random), KeySamples<Int>.integers(&random),
    ]
  }

  private static func others(_ random: inout SeededRandom) -> [any AnyKeySamples] {
    let byteStrings = edgeBytes + (0..<60).map { _ in bytes(&random) }
    let texts = texts(&random)
    var uuids = [Bytes16(high: 0, low: 0), Bytes16(high: .max, low: .max)]
    uuids += [Bytes16(high: 0, low: 1), Bytes16(high: 1, low: 0), Bytes16(high: 1 << 63, low: 0)]
    for _ in 0..<40 { uuids.append(.random(using: &random)) }
    return [
      KeySamples<Double>.floats(&random) { Double(bitPattern: $0) },
      KeySamples<Float>.floats(&random) { Float(bitPattern: UInt32(truncatingIfNeeded: $0)) },
      KeySamples<Bool>(
        name: "Bool", values: [true, false], precedes: { !$0 && $1 }, isSame: { $0 == $1 }),
      KeySamples<String>(name: "String", values: texts, precedes: precedes, isSame: isSame),
      KeySamples<[UInt8]>(
        name: "bytes", values: byteStrings,
        precedes: { $0.lexicographicallyPrecedes($1) }, isSame: { $0 == $1 }),
      KeySamples<Bytes16>("Bytes16", uuids),
      KeySamples<Level>(
        name: "Level", values: Level.allCases,
        precedes: { $0.rawValue < $1.rawValue }, isSame: { $0 == $1 }),
      KeySamples<Name>(
        name: "Name", values: texts.map { Name(rawValue: $0) },
        precedes: { precedes($0.rawValue, $1.rawValue) },
        isSame: { isSame($0.rawValue, $1.rawValue) }),
      KeySamples<String?>(
        name: "String?", values: texts + [nil], precedes: { precedes($0, $1, precedes) },
        isSame: { $0.map { Array($0.utf8) } == $1.map { Array($0.utf8) } }),
      KeySamples<Int16??>(
        name: "Int16??", values: [nil, .some(nil), .some(.some(-1)), 0, 1],
        precedes: { precedes($0, $1) { precedes($0, $1) { $0 < $1 } } }, isSame: { $0 == $1 }),
    ]
  }

  private static func composites(_ random: inout SeededRandom) -> [any AnyKeySamples] {
    typealias Pair = CompositeKey<UInt64, String>
    typealias Mixed = CompositeKey<[UInt8], Int8?, CompositeKey<String, Bool>, UInt8>
    let texts = ["", "\0", "\0\0", "a", "a\0", "ab", "é"]
    let pairs = (0..<150).map { _ in
      Pair([0, 1, 7, 256, .max][random.below(5)], texts[random.below(texts.count)])
    }
    let mixed = (0..<250).map { _ in
      Mixed(
        bytes(&random), [nil, -128, 0, 127][random.below(4)],
        CompositeKey(texts[random.below(texts.count)], random.chance(50)),
        [0, 1, 0xFF][random.below(3)])
    }
    let places = (0..<100).map { _ in
      Place(country: texts[random.below(texts.count)], code: [0, 1, .max][random.below(3)])
    }
    return [
      KeySamples<Pair>(
        name: "Pair", values: pairs,
        precedes: {
          $0.elements.0 != $1.elements.0
            ? $0.elements.0 < $1.elements.0 : precedes($0.elements.1, $1.elements.1)
        },
        isSame: { $0.elements == $1.elements }),
      KeySamples<Mixed>(name: "Mixed", values: mixed, precedes: precedes, isSame: isSame),
      KeySamples(
        name: "()", values: [CompositeKey()], precedes: { _, _ in false },
        isSame: { _, _ in true }),
      KeySamples<Place>(
        name: "Place", values: places,
        precedes: {
          $0.country != $1.country ? precedes($0.country, $1.country) : $0.code < $1.code
        },
        isSame: { $0 == $1 }),
    ]
  }

  private typealias Mixed = CompositeKey<[UInt8], Int8?, CompositeKey<String, Bool>, UInt8>

  private static func precedes(_ first: Mixed, _ second: Mixed) -> Bool {
    let (a, b) = (first.elements, second.elements)
    if a.0 != b.0 { return a.0.lexicographicallyPrecedes(b.0) }
    if a.1 != b.1 { return precedes(a.1, b.1) { $0 < $1 } }
    let (c, d) = (a.2.elements, b.2.elements)
    if c.0 != d.0 { return precedes(c.0, d.0) }
    if c.1 != d.1 { return d.1 }
    return a.3 < b.3
  }

  private static func isSame(_ first: Mixed, _ second: Mixed) -> Bool {
    let (a, b) = (first.elements, second.elements)
    return a.0 == b.0 && a.1 == b.1 && a.2.elements == b.2.elements && a.3 == b.3
  }
}
