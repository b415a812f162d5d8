/// A type whose values can be the values of typed trees.
///
/// Values need no order, so their encodings are the simplest there are: numbers little-endian, text as
/// UTF-8. A value's encoding takes all bytes that are stored with its key; so it needs no length.
///
/// What has to hold: decoding gives back what was encoded, and throws `.corrupted` for any other
/// bytes. It never traps, since a file may hold anything.
public protocol StorableValue: CodingTagged {
  /// Appends the encoding.
  ///
  /// - Throws: `.invalidArgument` if this value can't be stored; most types never throw.
  func encodeValue(into encoder: inout ByteEncoder) throws(DatabaseError)

  /// Takes what `encodeValue` appended. It may take everything; whoever calls sees what is left.
  ///
  /// - Throws: `.corrupted`, see `ByteDecoder.malformed`.
  static func decodeValue(from decoder: inout ByteDecoder) throws(DatabaseError) -> Self

  /// Lends the bytes of the value to `body`.
  ///
  /// By default they are encoded on the stack, or on the heap from 1 KiB on. Whatever has its bytes
  /// in memory can lend them as they are.
  ///
  /// - Throws: as `encodeValue`, and what `body` throws.
  func withEncodedValue<R>(
    _ body: (UnsafeRawBufferPointer) throws(DatabaseError) -> R
  ) throws(DatabaseError) -> R

  /// Makes sure, as far as that can be seen, that the type keeps what it vows.
  ///
  /// For typed trees to call once, when they are opened. By default it finds nothing.
  ///
  /// - Throws: `.invalidArgument`.
  static func checkCoding() throws(DatabaseError)
}

extension StorableValue {
  /// Lends the bytes of the value to `body`.
  @inlinable public func withEncodedValue<R>(
    _ body: (UnsafeRawBufferPointer) throws(DatabaseError) -> R
  ) throws(DatabaseError) -> R {
    try withEncoder({ (encoder) throws(DatabaseError) in try encodeValue(into: &encoder) }, body)
  }

  /// Finds nothing.
  public static func checkCoding() throws(DatabaseError) {}

  /// The bytes of the value.
  ///
  /// - Returns: a copy of them.
  /// - Throws: as `encodeValue`.
  @inlinable public func encodedValue() throws(DatabaseError) -> [UInt8] {
    try withEncodedValue { Array($0) }
  }

  /// The value that has these bytes.
  ///
  /// - Throws: `.corrupted` if none has.
  @inlinable public init(encodedValue bytes: UnsafeRawBufferPointer) throws(DatabaseError) {
    var decoder = ByteDecoder(bytes)
    self = try Self.decodeValue(from: &decoder)
    try decoder.finish()
  }

  /// The value that has these bytes.
  ///
  /// - Throws: `.corrupted` if none has.
  @inlinable public init(
    encodedValue bytes: borrowing some ByteString & ~Copyable & ~Escapable
  ) throws(DatabaseError) {
    self = try bytes.withBytes { (bytes) throws(DatabaseError) in try Self(encodedValue: bytes) }
  }
}

// A type with a raw value is stored as that.
extension StorableValue where Self: RawRepresentable, RawValue: StorableValue {
  /// Appends the raw value's encoding.
  @inlinable public func encodeValue(into encoder: inout ByteEncoder) throws(DatabaseError) {
    try rawValue.encodeValue(into: &encoder)
  }

  /// Takes what `encodeValue` appended.
  @inlinable public static func decodeValue(
    from decoder: inout ByteDecoder
  ) throws(DatabaseError) -> Self {
    try value(of: try RawValue.decodeValue(from: &decoder))
  }

  /// Lends the bytes of the raw value to `body`.
  @inlinable public func withEncodedValue<R>(
    _ body: (UnsafeRawBufferPointer) throws(DatabaseError) -> R
  ) throws(DatabaseError) -> R {
    try rawValue.withEncodedValue(body)
  }

  /// Makes sure that the raw value's type keeps what it vows.
  public static func checkCoding() throws(DatabaseError) { try RawValue.checkCoding() }
}
