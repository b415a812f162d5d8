/// What keys and values are encoded into: bytes that grow at their end.
///
/// It begins with room that somebody else lends, mostly on the stack, and moves to memory of its own
/// when that is full. So short keys cost no allocation.
public struct ByteEncoder: ~Copyable {
  @usableFromInline var room: UnsafeMutableRawBufferPointer
  @usableFromInline var ownsRoom = false

  /// How many bytes of the room are taken.
  @usableFromInline var used = 0

  /// How many bytes were appended.
  @inlinable public var byteCount: Int { used }

  /// An encoder that begins in `room`, which must outlive it.
  @inlinable init(room: UnsafeMutableRawBufferPointer) { self.room = room }

  deinit {
    if ownsRoom { room.deallocate() }
  }
}

extension ByteEncoder {
  /// Appends one byte.
  @inlinable public mutating func append(_ byte: UInt8) {
    if used == room.count { grow(by: 1) }
    room[used] = byte
    used &+= 1
  }

  /// Appends the bytes of a number, the highest first: the order that keys need.
  @inlinable public mutating func append<Number: FixedWidthInteger & BitwiseCopyable>(
    bigEndian number: Number
  ) {
    append(inMemory: number.bigEndian)
  }

  /// Appends the bytes of a number, the lowest first: as values have them.
  @inlinable public mutating func append<Number: FixedWidthInteger & BitwiseCopyable>(
    littleEndian number: Number
  ) {
    append(inMemory: number.littleEndian)
  }

  /// Appends these bytes.
  @inlinable public mutating func append(
    _ bytes: borrowing some ByteString & ~Copyable & ~Escapable
  ) {
    bytes.withBytes { append(bytesOf: $0) }
  }

  /// Appends these bytes in a form that shows where they end and keeps their order.
  ///
  /// A zero byte becomes `00 FF`, and `00 01` is the end, as in Google's `ordered-code` and
  /// CockroachDB. (FoundationDB's tuples end with a single `00`; that needs a type code below FF in
  /// front of whatever follows, which components here don't have.)
  @inlinable public mutating func append(
    escaped bytes: borrowing some ByteString & ~Copyable & ~Escapable
  ) {
    bytes.withBytes { bytes in
      var start = 0
      while true {
        let zero = bytes.firstZero(from: start)
        guard zero < bytes.count else { break }
        append(bytesOf: UnsafeRawBufferPointer(rebasing: bytes[start...zero]))
        append(0xFF)
        start = zero &+ 1
      }
      append(bytesOf: UnsafeRawBufferPointer(rebasing: bytes[start...]))
      append(bigEndian: 0x0001 as UInt16)
    }
  }

  /// Lends what was appended to `body`.
  @inlinable func withBytes<R, E: Error>(
    _ body: (UnsafeRawBufferPointer) throws(E) -> R
  ) throws(E) -> R {
    try body(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(room)[..<used]))
  }

  /// Appends bytes as they lie in memory.
  @inline(__always) @inlinable
  mutating func append<Layout: BitwiseCopyable>(inMemory layout: Layout) {
    let size = MemoryLayout<Layout>.size
    if room.count &- used < size { grow(by: size) }
    withUnsafeBytes(of: layout) { bytes in
      UnsafeMutableRawBufferPointer(rebasing: room[used...]).copyMemory(from: bytes)
    }
    used &+= size
  }

  @inlinable mutating func append(bytesOf bytes: UnsafeRawBufferPointer) {
    if room.count &- used < bytes.count { grow(by: bytes.count) }
    UnsafeMutableRawBufferPointer(rebasing: room[used...]).copyMemory(from: bytes)
    used &+= bytes.count
  }

  /// Moves to memory that has room for so many more bytes.
  @inline(never) @usableFromInline
  mutating func grow(by byteCount: Int) {
    let larger = UnsafeMutableRawBufferPointer.allocate(
      byteCount: max(2 * room.count, used + byteCount), alignment: 16)
    larger.copyMemory(from: UnsafeRawBufferPointer(rebasing: room[..<used]))
    if ownsRoom { room.deallocate() }
    room = larger
    ownsRoom = true
  }
}

extension UnsafeRawBufferPointer {
  /// The index of the first zero byte from `start` on, or the count if there is none.
  ///
  /// Eight bytes at a time: in `zeros`, the lowest bit that is set is that of the first zero byte
  /// (Henry S. Warren, Hacker's Delight, 6-1).
  @inlinable func firstZero(from start: Int) -> Int {
    var index = start
    while count &- index >= 8 {
      let word = UInt64(littleEndian: loadUnaligned(fromByteOffset: index, as: UInt64.self))
      let zeros = (word &- 0x0101_0101_0101_0101) & ~word & 0x8080_8080_8080_8080
      if zeros != 0 { return index &+ zeros.trailingZeroBitCount / 8 }
      index &+= 8
    }
    while index < count, self[index] != 0 { index &+= 1 }
    return index
  }
}

/// Encodes into room on the stack, or more if need be, and lends the bytes to `body`.
@inlinable
@inline(__always)
func withEncoder<R, E: Error>(
  _ encode: (inout ByteEncoder) throws(E) -> Void,
  _ body: (UnsafeRawBufferPointer) throws(E) -> R
) throws(E) -> R {
  // The standard library's function does not carry typed errors.
  let result: Result<R, E> = withUnsafeTemporaryAllocation(byteCount: 1024, alignment: 16) { room in
    var encoder = ByteEncoder(room: room)
    do throws(E) {
      try encode(&encoder)
      return .success(try encoder.withBytes(body))
    } catch {
      return .failure(error)
    }
  }
  return try result.get()
}
