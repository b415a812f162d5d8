/// A type whose values can be keys of typed trees, which keep them in the order of their encodings.
///
/// What has to hold, for values `a` and `b`:
///
/// - `a` belongs before `b` if and only if `a`'s encoding, compared as unsigned bytes, comes before
///   `b`'s. For most types that is the order of `<`; those that differ say so.
/// - Decoding gives back what was encoded, and throws `.corrupted` for any other bytes. It never
///   traps, since a file may hold anything.
/// - As a component, no encoding is the beginning of another one. So encodings can stand one behind
///   the other, and still order as their values do.
///
/// A type of your own is best made of components:
///
///     struct Place: OrderedKey {
///       var country: String
///       var code: UInt32
///       static var codingTag: String { "place" }
///       func encodeComponent(into encoder: inout ByteEncoder) {
///         country.encodeComponent(into: &encoder)
///         code.encodeComponent(into: &encoder)
///       }
///       static func decodeComponent(
///         from decoder: inout ByteDecoder
///       ) throws(DatabaseError) -> Place {
///         Place(
///           country: try String.decodeComponent(from: &decoder),
///           code: try UInt32.decodeComponent(from: &decoder))
///       }
///     }
///
/// A type with a raw value only needs to be declared an `OrderedKey`.
public protocol OrderedKey: CodingTagged {
  /// Appends the encoding as a part of a longer key.
  func encodeComponent(into encoder: inout ByteEncoder)

  /// Takes what `encodeComponent` appended, and no more.
  ///
  /// - Throws: `.corrupted`, see `ByteDecoder.malformed`.
  static func decodeComponent(from decoder: inout ByteDecoder) throws(DatabaseError) -> Self

  /// Appends the encoding as a key of its own.
  ///
  /// By default that of a component. Text and bytes need no end here.
  func encodeKey(into encoder: inout ByteEncoder)

  /// Takes what `encodeKey` appended. It may take everything; whoever calls sees what is left.
  ///
  /// - Throws: `.corrupted`, see `ByteDecoder.malformed`.
  static func decodeKey(from decoder: inout ByteDecoder) throws(DatabaseError) -> Self

  /// Lends the bytes of the key to `body`.
  ///
  /// By default they are encoded on the stack. Whatever has its bytes in memory can lend them as
  /// they are.
  func withEncodedKey<R, E: Error>(
    _ body: (UnsafeRawBufferPointer) throws(E) -> R
  ) throws(E) -> R
}

extension OrderedKey {
  /// Appends the encoding as a key of its own: that of a component.
  @inlinable public func encodeKey(into encoder: inout ByteEncoder) {
    encodeComponent(into: &encoder)
  }

  /// Takes what `encodeKey` appended: a component.
  @inlinable public static func decodeKey(
    from decoder: inout ByteDecoder
  ) throws(DatabaseError) -> Self {
    try decodeComponent(from: &decoder)
  }

  /// Lends the bytes of the key to `body`.
  @inlinable public func withEncodedKey<R, E: Error>(
    _ body: (UnsafeRawBufferPointer) throws(E) -> R
  ) throws(E) -> R {
    try withEncoder({ (encoder) throws(E) in encodeKey(into: &encoder) }, body)
  }

  /// The bytes of the key.
  @inlinable public var encodedKey: [UInt8] { withEncodedKey { Array($0) } }

  /// The key that has these bytes.
  ///
  /// - Throws: `.corrupted` if no key has.
  @inlinable public init(encodedKey bytes: UnsafeRawBufferPointer) throws(DatabaseError) {
    var decoder = ByteDecoder(bytes)
    self = try Self.decodeKey(from: &decoder)
    try decoder.finish()
  }

  /// The key that has these bytes.
  ///
  /// - Throws: `.corrupted` if no key has.
  @inlinable public init(
    encodedKey bytes: borrowing some ByteString & ~Copyable & ~Escapable
  ) throws(DatabaseError) {
    self = try bytes.withBytes { (bytes) throws(DatabaseError) in try Self(encodedKey: bytes) }
  }
}

// A type with a raw value is stored, and ordered, as that.
extension OrderedKey where Self: RawRepresentable, RawValue: OrderedKey {
  /// Appends the raw value's encoding as a part of a longer key.
  @inlinable public func encodeComponent(into encoder: inout ByteEncoder) {
    rawValue.encodeComponent(into: &encoder)
  }

  /// Takes what `encodeComponent` appended.
  @inlinable public static func decodeComponent(
    from decoder: inout ByteDecoder
  ) throws(DatabaseError) -> Self {
    try value(of: try RawValue.decodeComponent(from: &decoder))
  }

  /// Appends the raw value's encoding as a key of its own.
  @inlinable public func encodeKey(into encoder: inout ByteEncoder) {
    rawValue.encodeKey(into: &encoder)
  }

  /// Takes what `encodeKey` appended.
  @inlinable public static func decodeKey(
    from decoder: inout ByteDecoder
  ) throws(DatabaseError) -> Self {
    try value(of: try RawValue.decodeKey(from: &decoder))
  }

  /// Lends the bytes of the raw value's key to `body`.
  @inlinable public func withEncodedKey<R, E: Error>(
    _ body: (UnsafeRawBufferPointer) throws(E) -> R
  ) throws(E) -> R {
    try rawValue.withEncodedKey(body)
  }
}

extension RawRepresentable {
  /// The value that has this raw value, which comes from a file.
  @inlinable static func value(of rawValue: RawValue) throws(DatabaseError) -> Self {
    guard let value = Self(rawValue: rawValue) else {
      throw ByteDecoder.malformed("no value has this raw value")
    }
    return value
  }
}
