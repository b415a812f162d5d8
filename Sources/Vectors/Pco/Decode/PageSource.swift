/// The bits of a page's body, read without a check a value.
///
/// A *section* is what a batch stores of one stream of latents: at most 256 symbols and offsets.
/// Before a section, `prepareSection()` makes sure that as much as the largest section can be read
/// from memory: near the end of the input it goes on in a copy of the rest that is padded with
/// zeros. After a section, `finishSection()` throws if it went beyond the input.
struct PageSource {
  /// The bytes that a section and the wide loads in it can touch at most.
  static let sectionByteCount =
    batchCount * (LatentMeta.maxSizeLog + UInt64.bitWidth) / 8 + 32

  /// The bytes of memory that a source needs for its copy.
  static let tailByteCount = 2 * sectionByteCount

  /// The values in a full batch.
  static let batchCount = 256

  private(set) var base: UnsafeRawPointer
  /// Where the next field begins, in bits from `base`.
  var bitIndex: Int
  private var bitEnd: Int
  /// A section that begins here or before is wholly in memory.
  private var lastSafeBitIndex: Int
  private let tail: UnsafeMutableRawPointer
  /// The place of `base` in the input.
  private var baseOffset = 0

  /// A source that begins in the middle of an input.
  ///
  /// - Parameters:
  ///   - bytes: The input; it outlives the source.
  ///   - byteOffset: Where the body begins.
  ///   - tail: Memory of `tailByteCount` bytes that the source may use.
  init(_ bytes: UnsafeRawBufferPointer, byteOffset: Int, tail: UnsafeMutableRawPointer) {
    base = bytes.baseAddress ?? UnsafeRawPointer(tail)
    bitIndex = byteOffset << 3
    bitEnd = bytes.count << 3
    lastSafeBitIndex = (bytes.count - Self.sectionByteCount) << 3
    self.tail = tail
  }

  /// Where the next field begins in the input, in bytes, rounded up.
  var byteOffset: Int { baseOffset + (bitIndex + 7) >> 3 }

  @inline(__always)
  mutating func prepareSection() {
    if bitIndex > lastSafeBitIndex { moveToTail() }
  }

  @inline(never)
  private mutating func moveToTail() {
    let first = bitIndex >> 3
    // The last section ended within the input, so this is not negative, and at most a section.
    let byteCount = bitEnd >> 3 - first
    tail.copyMemory(from: base + first, byteCount: byteCount)
    (tail + byteCount).initializeMemory(
      as: UInt8.self, repeating: 0, count: Self.tailByteCount - byteCount)
    base = UnsafeRawPointer(tail)
    baseOffset += first
    bitIndex &= 7
    bitEnd = byteCount << 3
    // The copy has room for the largest section wherever one begins in it.
    lastSafeBitIndex = .max
  }

  @inline(__always)
  func finishSection() throws(PcoError) {
    if bitIndex > bitEnd { throw truncated() }
  }

  @inline(never)
  private func truncated() -> PcoError {
    PcoError(
      .truncated, "the page ends before all that it promises",
      byteOffset: baseOffset + bitEnd >> 3)
  }

  /// Goes on to the next whole byte; the bits between must be 0.
  mutating func alignToByte() throws(PcoError) {
    let padding = -bitIndex & 7
    guard padding > 0 else { return }
    // The byte holds the last bit that was read, so it is in memory.
    let byte = base.load(fromByteOffset: bitIndex >> 3, as: UInt8.self)
    guard byte >> UInt8(8 - padding) == 0 else {
      throw PcoError(.corrupted, "bits of padding are set", byteOffset: byteOffset)
    }
    bitIndex += padding
  }
}
