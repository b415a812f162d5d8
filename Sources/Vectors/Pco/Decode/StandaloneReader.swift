/// Walks the chunks of standalone Pcodec data.
struct StandaloneReader {
  private let bytes: UnsafeRawBufferPointer
  private var byteOffset = 0
  private var uniformType: PcoNumberType?
  private var major = 0
  private let scratch = DecoderScratch()
  /// How many numbers the writer said there are; it need not be so.
  private(set) var countHint = 0

  private static let magic: [UInt64] = Array("pco!".utf8).map { UInt64($0) }

  /// Reads the header.
  init(_ bytes: UnsafeRawBufferPointer) throws(PcoError) {
    self.bytes = bytes
    var reader = BitReader(bytes)
    for byte in Self.magic where try reader.read(8) != byte {
      throw PcoError(.corrupted, "this is not Pcodec data: it begins otherwise", byteOffset: 0)
    }
    let version = try reader.readInt(8)
    if version <= 1 {
      // Of this age, the byte is the version of the content.
      major = version
    } else {
      guard version <= 3 else { throw Self.unsupported(version, reader) }
      if version == 3 {
        let code = try reader.read(8)
        if code != 0 { uniformType = try Self.type(code, reader) }
      }
      let hintWidth = try reader.readInt(6) + 1
      countHint = Int(truncatingIfNeeded: min(try reader.read(hintWidth), UInt64(Int32.max)))
      try reader.alignToByte()
      major = try reader.readInt(8)
      guard major <= 4 else { throw Self.unsupported(major, reader) }
      // The minor version: what is newer there can be read by older readers.
      if major == 4 { _ = try reader.read(8) }
    }
    byteOffset = reader.byteOffset
  }

  private static func unsupported(_ version: Int, _ reader: BitReader) -> PcoError {
    PcoError(
      .unsupportedVersion, "version \(version) of the format is not known",
      byteOffset: reader.byteOffset - 1)
  }

  private static func type(
    _ code: UInt64, _ reader: BitReader
  ) throws(PcoError) -> PcoNumberType {
    guard let type = PcoNumberType(rawValue: UInt8(truncatingIfNeeded: code)) else {
      throw reader.corrupted("the type of numbers is unknown")
    }
    return type
  }

  /// What stands at the beginning of a chunk.
  struct ChunkHeader {
    let type: PcoNumberType
    let count: Int
  }

  /// Reads the header of the next chunk; nil at the end.
  mutating func nextChunk() throws(PcoError) -> ChunkHeader? {
    var reader = BitReader(bytes, byteOffset: byteOffset)
    let code = try reader.read(8)
    guard code != 0 else { return nil }
    let type = try Self.type(code, reader)
    guard uniformType == nil || uniformType == type else {
      throw reader.corrupted("a chunk's numbers are not of the type that all should be of")
    }
    let count = try reader.readInt(24) + 1
    byteOffset = reader.byteOffset
    return ChunkHeader(type: type, count: count)
  }

  /// Decodes the chunk whose header was read last into memory for its numbers.
  mutating func decode(
    _ header: ChunkHeader, into numbers: UnsafeMutableRawPointer
  ) throws(PcoError) {
    var reader = BitReader(bytes, byteOffset: byteOffset)
    let meta = try ChunkMeta(from: &reader, type: header.type, major: major)
    byteOffset = try ChunkDecoder(meta, type: header.type).decodePage(
      bytes, byteOffset: reader.byteOffset, into: numbers, count: header.count, scratch: scratch)
  }
}
