/// A range of keys, in the order of their bytes.
///
/// Every range has a lower bound that belongs to it, or none, and an upper bound that does not: a key's
/// next one is the same with a zero byte behind it.
public struct KeyRange: Hashable, Sendable {
  /// The first key that belongs to it, or nil for the beginning.
  @usableFromInline let lower: [UInt8]?
  /// The first key behind it, or nil for the end.
  @usableFromInline let upper: [UInt8]?

  @usableFromInline init(lower: [UInt8]?, upper: [UInt8]?) {
    self.lower = lower
    self.upper = upper
  }

  /// Every key.
  public static var all: KeyRange { KeyRange(lower: nil, upper: nil) }

  /// The keys that begin with these bytes.
  public static func prefix(
    _ prefix: borrowing some ByteString & ~Copyable & ~Escapable
  ) -> KeyRange {
    let lower = copy(prefix)
    // Behind all of them is the prefix with its last byte raised by one; bytes that can't be are
    // dropped, and if none is left there is nothing behind.
    var upper = lower
    while let last = upper.last {
      upper.removeLast()
      if last < 0xFF {
        upper.append(last + 1)
        return KeyRange(lower: lower, upper: upper)
      }
    }
    return KeyRange(lower: lower, upper: nil)
  }

  /// The keys from this one on.
  public static func from(
    _ lower: borrowing some ByteString & ~Copyable & ~Escapable
  ) -> KeyRange {
    KeyRange(lower: copy(lower), upper: nil)
  }

  /// The keys above this one, without it.
  ///
  /// ```swift
  /// try database.insert("m", "here")
  /// let count = try database.count(in: .above("m").clamped(to: .through("z")))
  /// ```
  public static func above(
    _ lower: borrowing some ByteString & ~Copyable & ~Escapable
  ) -> KeyRange {
    KeyRange(lower: copy(lower) + [0], upper: nil)
  }

  /// The keys up to this one, and it.
  public static func through(
    _ upper: borrowing some ByteString & ~Copyable & ~Escapable
  ) -> KeyRange {
    KeyRange(lower: nil, upper: copy(upper) + [0])
  }

  /// The keys below this one.
  public static func upTo(
    _ upper: borrowing some ByteString & ~Copyable & ~Escapable
  ) -> KeyRange {
    KeyRange(lower: nil, upper: copy(upper))
  }

  /// The keys from the first on, up to but without the second.
  public static func range(
    _ lower: borrowing some ByteString & ~Copyable & ~Escapable,
    _ upper: borrowing some ByteString & ~Copyable & ~Escapable
  ) -> KeyRange {
    KeyRange(lower: copy(lower), upper: copy(upper))
  }

  /// The keys from the first through the second.
  public static func closed(
    _ lower: borrowing some ByteString & ~Copyable & ~Escapable,
    _ upper: borrowing some ByteString & ~Copyable & ~Escapable
  ) -> KeyRange {
    // The next key there is: the same with a zero byte behind it.
    KeyRange(lower: copy(lower), upper: copy(upper) + [0])
  }

  /// The keys that belong to both ranges.
  public func clamped(to other: KeyRange) -> KeyRange {
    var (lower, upper) = (lower, upper)
    if let otherLower = other.lower, lower.map({ Self.precedes($0, otherLower) }) ?? true {
      lower = otherLower
    }
    if let otherUpper = other.upper, upper.map({ Self.precedes(otherUpper, $0) }) ?? true {
      upper = otherUpper
    }
    return KeyRange(lower: lower, upper: upper)
  }

  /// Whether no key belongs to it, whatever is stored.
  public var isEmpty: Bool {
    guard let upper else { return false }
    return !Self.precedes(lower ?? [], upper)
  }

  /// Whether a key belongs to it.
  public func contains(_ key: borrowing some ByteString & ~Copyable & ~Escapable) -> Bool {
    let key = Self.copy(key)
    return !(lower.map { Self.precedes(key, $0) } ?? false)
      && (upper.map { Self.precedes(key, $0) } ?? true)
  }

  private static func precedes(_ a: [UInt8], _ b: [UInt8]) -> Bool {
    a.withUnsafeBytes { a in b.withUnsafeBytes { Node.compare(a, $0) < 0 } }
  }

  private static func copy(_ key: borrowing some ByteString & ~Copyable & ~Escapable) -> [UInt8] {
    key.withBytes { Array($0) }
  }
}
