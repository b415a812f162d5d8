/// What keys and values are decoded from: bytes that are taken from their beginning on.
///
/// The bytes come from a file, so everything here checks and throws `.corrupted`; nothing traps. A
/// decoder points into memory that is lent: don't keep it, nor the bytes that it returns.
public struct ByteDecoder {
  /// The bytes that were not taken yet.
  @usableFromInline var rest: UnsafeRawBufferPointer

  /// A decoder of these bytes, which must outlive it.
  @inlinable public init(_ bytes: UnsafeRawBufferPointer) { rest = bytes }

  /// How many bytes were not taken yet.
  @inlinable public var byteCount: Int { rest.count }
}

extension ByteDecoder {
  /// Takes one byte.
  @inlinable public mutating func takeByte() throws(DatabaseError) -> UInt8 {
    try take(inMemory: UInt8.self)
  }

  /// Takes a number whose highest byte comes first.
  @inline(__always) @inlinable
  public mutating func take<Number: FixedWidthInteger & BitwiseCopyable>(
    bigEndian type: Number.Type
  ) throws(DatabaseError) -> Number {
    Number(bigEndian: try take(inMemory: type))
  }

  /// Takes a number whose lowest byte comes first.
  @inline(__always) @inlinable
  public mutating func take<Number: FixedWidthInteger & BitwiseCopyable>(
    littleEndian type: Number.Type
  ) throws(DatabaseError) -> Number {
    Number(littleEndian: try take(inMemory: type))
  }

  /// Takes so many bytes.
  @inlinable public mutating func takeBytes(
    _ byteCount: Int
  ) throws(DatabaseError) -> UnsafeRawBufferPointer {
    guard byteCount >= 0, byteCount <= rest.count else {
      try Self.fail("it ends too early")
    }
    let taken = UnsafeRawBufferPointer(rebasing: rest[..<byteCount])
    rest = UnsafeRawBufferPointer(rebasing: rest[byteCount...])
    return taken
  }

  /// Takes all bytes that remain.
  @inlinable public mutating func takeAll() -> UnsafeRawBufferPointer {
    let taken = rest
    rest = UnsafeRawBufferPointer(rebasing: rest[taken.count...])
    return taken
  }

  /// Takes bytes that `ByteEncoder.append(escaped:)` wrote, and lends them to `body`.
  @inlinable public mutating func takeEscaped<R>(
    _ body: (UnsafeRawBufferPointer) throws(DatabaseError) -> R
  ) throws(DatabaseError) -> R {
    let zero = rest.firstZero(from: 0)
    guard rest.count &- zero >= 2 else { try Self.fail("bytes without an end") }
    guard rest[zero &+ 1] == 1 else {
      let bytes = try takeUnescaping(from: zero)
      return try bytes.withBytes(body)
    }
    let taken = try takeBytes(zero)
    rest = UnsafeRawBufferPointer(rebasing: rest[2...])
    return try body(taken)
  }

  /// Takes escaped bytes of which the first zero byte is at `zero`.
  @usableFromInline
  mutating func takeUnescaping(from zero: Int) throws(DatabaseError) -> [UInt8] {
    var bytes = Array(rest[..<zero])
    var index = zero
    while index < rest.count {
      let byte = rest[index]
      index += 1
      guard byte == 0 else {
        bytes.append(byte)
        continue
      }
      guard index < rest.count else { break }
      let mark = rest[index]
      index += 1
      switch mark {
      case 0xFF:
        bytes.append(0)
      case 0x01:
        rest = UnsafeRawBufferPointer(rebasing: rest[index...])
        return bytes
      default:
        try Self.fail("no byte is escaped like this")
      }
    }
    try Self.fail("bytes without an end")
  }

  /// Makes sure that nothing remains.
  @inlinable public func finish() throws(DatabaseError) {
    guard rest.isEmpty else { try Self.fail("there are bytes behind it") }
  }

  /// Takes bytes as they lie in memory.
  @inline(__always) @inlinable
  mutating func take<Layout: BitwiseCopyable>(
    inMemory type: Layout.Type
  ) throws(DatabaseError) -> Layout {
    let size = MemoryLayout<Layout>.size
    guard rest.count >= size else { try Self.fail("it ends too early") }
    guard size > 0 else {
      // No bytes may have no address to load from.
      return withUnsafeBytes(of: 0 as UInt8) { $0.loadUnaligned(as: type) }
    }
    let layout = rest.loadUnaligned(as: type)
    rest = UnsafeRawBufferPointer(rebasing: rest[size...])
    return layout
  }
}
