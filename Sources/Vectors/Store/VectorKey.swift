internal import BTreeKV

/// The keys in the tree of the vectors' records.
///
///     list's number (8 bytes, big-endian), kind (1 byte), one or two numbers (8 bytes each, big-endian)
enum VectorKey {
  enum Kind: UInt8 {
    /// Changed elements of a block: the block's number.
    case changes = 1
    /// Holes in a block: the hole block's number.
    case holes = 2
    /// A stamp: its number in order.
    case stamp = 3
    /// Elements of a block as they were at a stamp: the stamp's number in order, the block's number.
    case oldElements = 4
    /// Holes in a block as they were at a stamp: the stamp's number in order, the hole block's number.
    case oldHoles = 5
    /// What is known of a page's elements: the page's number.
    case pageStatistics = 6
    /// A page's elements, compressed: the page's number.
    case page = 7
    /// From where on the vector has changed: 0.
    case changeHistory = 8
    /// What the vector was computed from, and how far: 0.
    case computation = 9
  }

  static func make(_ list: UInt64, _ kind: Kind, _ numbers: Int...) -> [UInt8] {
    var key: [UInt8] = []
    key.reserveCapacity(25)
    append(list, to: &key)
    key.append(kind.rawValue)
    for number in numbers { append(UInt64(number), to: &key) }
    return key
  }

  private static func append(_ number: UInt64, to key: inout [UInt8]) {
    withUnsafeBytes(of: number.bigEndian) { key.append(contentsOf: $0) }
  }

  /// All keys of a vector.
  static func all(_ list: UInt64) -> KeyRange {
    var prefix: [UInt8] = []
    append(list, to: &prefix)
    return .prefix(prefix)
  }

  /// The keys of a kind whose number is in a range.
  static func range(_ list: UInt64, _ kind: Kind, _ numbers: Range<Int>) -> KeyRange {
    .range(make(list, kind, numbers.lowerBound), make(list, kind, numbers.upperBound))
  }

  /// The keys of a kind with a first number, whose second one is in a range.
  static func range(
    _ list: UInt64, _ kind: Kind, _ first: Int, _ numbers: Range<Int>
  ) -> KeyRange {
    .range(make(list, kind, first, numbers.lowerBound), make(list, kind, first, numbers.upperBound))
  }

  /// The last of a key's numbers; nil when it makes no sense.
  static func lastNumber(_ key: [UInt8]) -> Int? {
    guard key.count > 8, let kind = Kind(rawValue: key[8]) else { return nil }
    switch kind {
    case .oldElements, .oldHoles: guard key.count == 25 else { return nil }
    default: guard key.count == 17 else { return nil }
    }
    let number = key.withUnsafeBytes {
      UInt64(bigEndian: $0.loadUnaligned(fromByteOffset: key.count - 8, as: UInt64.self))
    }
    // So that no place in bytes overflows.
    return number < 1 << 46 ? Int(number) : nil
  }
}
