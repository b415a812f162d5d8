// Text and bytes: as they are, alone and as values; as components escaped, so that one sees the end.

/// The order of keys is that of the UTF-8 bytes, which is that of the Unicode scalars.
///
/// It is neither a language's collation nor that of Swift's `<`: that compares what is canonically
/// equivalent as equal, while "é" as one scalar and as two are different keys here.
extension String: OrderedKey, StorableValue {
  /// The name of the coding.
  public static var codingTag: String { "text" }

  /// Appends the UTF-8 bytes, escaped.
  @inlinable public func encodeComponent(into encoder: inout ByteEncoder) {
    encoder.append(escaped: self)
  }

  /// Takes what `encodeComponent` appended.
  @inlinable public static func decodeComponent(
    from decoder: inout ByteDecoder
  ) throws(DatabaseError) -> String {
    try decoder.takeEscaped { (bytes) throws(DatabaseError) in try text(bytes) }
  }

  /// Appends the UTF-8 bytes.
  @inlinable public func encodeKey(into encoder: inout ByteEncoder) { encoder.append(self) }

  /// Takes everything.
  @inlinable public static func decodeKey(
    from decoder: inout ByteDecoder
  ) throws(DatabaseError) -> String {
    try text(decoder.takeAll())
  }

  /// Lends the UTF-8 bytes to `body`.
  @inlinable public func withEncodedKey<R, E: Error>(
    _ body: (UnsafeRawBufferPointer) throws(E) -> R
  ) throws(E) -> R {
    try withBytes(body)
  }

  /// Appends the UTF-8 bytes.
  @inlinable public func encodeValue(into encoder: inout ByteEncoder) { encoder.append(self) }

  /// Takes everything.
  @inlinable public static func decodeValue(
    from decoder: inout ByteDecoder
  ) throws(DatabaseError) -> String {
    try text(decoder.takeAll())
  }

  /// Lends the UTF-8 bytes to `body`.
  @inlinable public func withEncodedValue<R>(
    _ body: (UnsafeRawBufferPointer) throws(DatabaseError) -> R
  ) throws(DatabaseError) -> R {
    try withBytes(body)
  }

  /// The text of these bytes.
  @usableFromInline
  static func text(_ bytes: UnsafeRawBufferPointer) throws(DatabaseError) -> String {
    // No bytes may have no address.
    guard !bytes.isEmpty else { return "" }
    // Half of what `String(validating:as:)` takes.
    let text: String? = bytes.withMemoryRebound(to: UInt8.self) { bytes in
      guard let valid = try? UTF8Span(validating: bytes.span) else { return nil }
      return String(copying: valid)
    }
    guard let text else { throw ByteDecoder.malformed("text is UTF-8") }
    return text
  }
}

// Swift wants the protocol that both refine to be named where the conformance has a condition.
extension Array: CodingTagged where Element == UInt8 {
  /// The name of the coding.
  public static var codingTag: String { "bytes" }
}

extension Array: OrderedKey where Element == UInt8 {
  /// Appends the bytes, escaped.
  @inlinable public func encodeComponent(into encoder: inout ByteEncoder) {
    encoder.append(escaped: self)
  }

  /// Takes what `encodeComponent` appended.
  @inlinable public static func decodeComponent(
    from decoder: inout ByteDecoder
  ) throws(DatabaseError) -> [UInt8] {
    try decoder.takeEscaped { Array($0) }
  }

  /// Appends the bytes.
  @inlinable public func encodeKey(into encoder: inout ByteEncoder) { encoder.append(self) }

  /// Takes everything.
  @inlinable public static func decodeKey(
    from decoder: inout ByteDecoder
  ) throws(DatabaseError) -> [UInt8] {
    Array(decoder.takeAll())
  }

  /// Lends the bytes to `body`.
  @inlinable public func withEncodedKey<R, E: Error>(
    _ body: (UnsafeRawBufferPointer) throws(E) -> R
  ) throws(E) -> R {
    try withBytes(body)
  }
}

extension Array: StorableValue where Element == UInt8 {
  /// Appends the bytes.
  @inlinable public func encodeValue(into encoder: inout ByteEncoder) { encoder.append(self) }

  /// Takes everything.
  @inlinable public static func decodeValue(
    from decoder: inout ByteDecoder
  ) throws(DatabaseError) -> [UInt8] {
    Array(decoder.takeAll())
  }

  /// Lends the bytes to `body`.
  @inlinable public func withEncodedValue<R>(
    _ body: (UnsafeRawBufferPointer) throws(DatabaseError) -> R
  ) throws(DatabaseError) -> R {
    try withBytes(body)
  }
}
