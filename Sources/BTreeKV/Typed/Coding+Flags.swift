extension ByteDecoder {
  /// Takes a byte that is 0 or 1.
  @inlinable mutating func takeFlag() throws(DatabaseError) -> Bool {
    let byte = try takeByte()
    guard byte <= 1 else { try Self.fail("a flag is 0 or 1") }
    return byte == 1
  }
}

/// A byte: 0 for false, which comes first, 1 for true.
extension Bool: OrderedKey, StorableValue {
  /// The name of the coding.
  public static var codingTag: String { "bool" }

  /// Appends a byte.
  @inlinable public func encodeComponent(into encoder: inout ByteEncoder) {
    encoder.append(self ? 1 : 0)
  }

  /// Takes what `encodeComponent` appended.
  @inlinable public static func decodeComponent(
    from decoder: inout ByteDecoder
  ) throws(DatabaseError) -> Bool {
    try decoder.takeFlag()
  }

  /// Appends a byte.
  @inlinable public func encodeValue(into encoder: inout ByteEncoder) {
    encoder.append(self ? 1 : 0)
  }

  /// Takes what `encodeValue` appended.
  @inlinable public static func decodeValue(
    from decoder: inout ByteDecoder
  ) throws(DatabaseError) -> Bool {
    try decoder.takeFlag()
  }
}

extension Optional: CodingTagged where Wrapped: CodingTagged {
  /// The wrapped type's tag with a question mark.
  public static var codingTag: String { Wrapped.codingTag + "?" }
}

/// A byte, 0 for nil, which comes first, or 1 and the wrapped key.
extension Optional: OrderedKey where Wrapped: OrderedKey {
  /// Appends the encoding as a part of a longer key.
  @inlinable public func encodeComponent(into encoder: inout ByteEncoder) {
    encoder.append(self == nil ? 0 : 1)
    self?.encodeComponent(into: &encoder)
  }

  /// Takes what `encodeComponent` appended.
  @inlinable public static func decodeComponent(
    from decoder: inout ByteDecoder
  ) throws(DatabaseError) -> Wrapped? {
    try decoder.takeFlag() ? try Wrapped.decodeComponent(from: &decoder) : nil
  }

  /// Appends the encoding as a key of its own.
  @inlinable public func encodeKey(into encoder: inout ByteEncoder) {
    encoder.append(self == nil ? 0 : 1)
    self?.encodeKey(into: &encoder)
  }

  /// Takes what `encodeKey` appended.
  @inlinable public static func decodeKey(
    from decoder: inout ByteDecoder
  ) throws(DatabaseError) -> Wrapped? {
    try decoder.takeFlag() ? try Wrapped.decodeKey(from: &decoder) : nil
  }
}

/// A byte, 0 for nil, or 1 and the wrapped value.
extension Optional: StorableValue where Wrapped: StorableValue {
  /// Appends the encoding.
  @inlinable public func encodeValue(into encoder: inout ByteEncoder) throws(DatabaseError) {
    encoder.append(self == nil ? 0 : 1)
    try self?.encodeValue(into: &encoder)
  }

  /// Takes what `encodeValue` appended.
  @inlinable public static func decodeValue(
    from decoder: inout ByteDecoder
  ) throws(DatabaseError) -> Wrapped? {
    try decoder.takeFlag() ? try Wrapped.decodeValue(from: &decoder) : nil
  }

  /// Makes sure that the wrapped type keeps what it vows.
  public static func checkCoding() throws(DatabaseError) { try Wrapped.checkCoding() }
}
