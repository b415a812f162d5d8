/// Writes fields of a little-endian bit stream.
///
/// Fields are gathered in a word, and whole words are stored at the end of the bytes; the memory
/// behind the last field is always long enough for that.
struct BitWriter {
  private var memory: UnsafeMutableRawBufferPointer
  private var byteCount = 0
  private var pending: UInt64 = 0
  private var pendingBitCount: UInt64 = 0

  /// A writer with room for some bytes; it grows only where `reserve(_:)` is called.
  ///
  /// Its memory must be freed with `finish()` or `deallocate()`.
  init(capacity: Int = 256) {
    memory = .allocate(byteCount: capacity + 16, alignment: 8)
  }

  func deallocate() { memory.deallocate() }

  /// Makes room for so many bytes more.
  mutating func reserve(_ additional: Int) {
    let needed = byteCount + additional + 16
    guard needed > memory.count else { return }
    let larger = UnsafeMutableRawBufferPointer.allocate(
      byteCount: max(needed, 2 * memory.count), alignment: 8)
    larger.copyMemory(from: UnsafeRawBufferPointer(rebasing: memory[..<byteCount]))
    memory.deallocate()
    memory = larger
  }

  /// Writes a field of at most 56 bits for which there is room; the bits above it are 0.
  @inline(__always)
  mutating func writeShort(_ value: UInt64, _ bitCount: UInt64) {
    pending |= value &<< pendingBitCount
    pendingBitCount &+= bitCount
    flush()
  }

  /// Writes a field of at most 64 bits for which there is room; the bits above it are 0.
  @inline(__always)
  mutating func writeLong(_ value: UInt64, _ bitCount: UInt64) {
    writeShort(value & 0xFFFF_FFFF, min(bitCount, 32))
    writeShort(value &>> 32, bitCount > 32 ? bitCount &- 32 : 0)
  }

  /// Stores what is pending, of which less than a byte remains.
  @inline(__always)
  private mutating func flush() {
    memory.baseAddress.unsafelyUnwrapped
      .advanced(by: byteCount).storeBytes(of: pending.littleEndian, as: UInt64.self)
    byteCount &+= Int(truncatingIfNeeded: pendingBitCount &>> 3)
    pending &>>= pendingBitCount & ~7
    pendingBitCount &= 7
  }

  /// Writes a field of any size, making room for it.
  mutating func write(_ value: UInt64, _ bitCount: Int) {
    reserve(8)
    writeLong(value, UInt64(bitCount))
  }

  /// Writes an integer of any size, making room for it.
  mutating func write(_ value: Int, _ bitCount: Int) {
    write(UInt64(truncatingIfNeeded: value), bitCount)
  }

  /// Fills the last byte with zeros.
  mutating func alignToByte() {
    reserve(8)
    if pendingBitCount > 0 { writeShort(0, 8 - pendingBitCount) }
  }

  /// What was written, and the end of the writer; it must stand at a whole byte.
  consuming func finish() -> [UInt8] {
    let bytes = [UInt8](UnsafeRawBufferPointer(rebasing: memory[..<byteCount]))
    memory.deallocate()
    return bytes
  }
}
