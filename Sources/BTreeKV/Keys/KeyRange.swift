/// A range of keys, in the order of their bytes.
public struct KeyRange: Sendable {
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

  private static func copy(_ key: borrowing some ByteString & ~Copyable & ~Escapable) -> [UInt8] {
    key.withBytes { Array($0) }
  }
}
