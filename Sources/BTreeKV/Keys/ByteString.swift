/// What can be given as a key or a value: a run of bytes in memory.
///
/// Keys are ordered by their bytes, compared as unsigned numbers; a key that another one begins
/// with comes first. Strings are taken as UTF-8.
public protocol ByteString: ~Copyable, ~Escapable {
  /// Lends the bytes to `body`.
  borrowing func withBytes<R, E: Error>(
    _ body: (UnsafeRawBufferPointer) throws(E) -> R
  ) throws(E) -> R
}

extension UnsafeRawBufferPointer: ByteString {
  /// Lends the bytes to `body`.
  @inlinable public func withBytes<R, E: Error>(
    _ body: (UnsafeRawBufferPointer) throws(E) -> R
  ) throws(E) -> R {
    try body(self)
  }
}

extension UnsafeBufferPointer<UInt8>: ByteString {
  /// Lends the bytes to `body`.
  @inlinable public func withBytes<R, E: Error>(
    _ body: (UnsafeRawBufferPointer) throws(E) -> R
  ) throws(E) -> R {
    try body(UnsafeRawBufferPointer(self))
  }
}

extension RawSpan: ByteString {
  /// Lends the bytes to `body`.
  @inlinable public func withBytes<R, E: Error>(
    _ body: (UnsafeRawBufferPointer) throws(E) -> R
  ) throws(E) -> R {
    try withUnsafeBytes { (bytes) throws(E) in try body(bytes) }
  }
}

extension [UInt8]: ByteString {
  /// Lends the bytes to `body`.
  @inlinable public func withBytes<R, E: Error>(
    _ body: (UnsafeRawBufferPointer) throws(E) -> R
  ) throws(E) -> R {
    try span.bytes.withBytes(body)
  }
}

extension ArraySlice<UInt8>: ByteString {
  /// Lends the bytes to `body`.
  @inlinable public func withBytes<R, E: Error>(
    _ body: (UnsafeRawBufferPointer) throws(E) -> R
  ) throws(E) -> R {
    try span.bytes.withBytes(body)
  }
}

extension String: ByteString {
  /// Lends the UTF-8 bytes to `body`.
  @inlinable public func withBytes<R, E: Error>(
    _ body: (UnsafeRawBufferPointer) throws(E) -> R
  ) throws(E) -> R {
    try utf8.span.bytes.withBytes(body)
  }
}

extension Substring: ByteString {
  /// Lends the UTF-8 bytes to `body`.
  @inlinable public func withBytes<R, E: Error>(
    _ body: (UnsafeRawBufferPointer) throws(E) -> R
  ) throws(E) -> R {
    try utf8.span.bytes.withBytes(body)
  }
}
