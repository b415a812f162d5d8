/// What the pages of a compressed vector are: so many numbers of a type.
///
/// In the vector's record: the type's code in the lower four bits, and in the upper ones how many
/// times 256 is doubled.
struct PageLayout: Equatable {
  static let countLogs = 8...16
  static let defaultCountLog = 14

  var type: PcoNumberType
  /// A page has 2 ** countLog numbers.
  var countLog: Int

  init(_ type: PcoNumberType, countLog: Int) {
    self.type = type
    self.countLog = countLog
  }

  init?(code: UInt8) {
    guard let type = PcoNumberType(rawValue: code & 15) else { return nil }
    let countLog = Self.countLogs.lowerBound + Int(code >> 4)
    guard Self.countLogs.contains(countLog) else { return nil }
    self.init(type, countLog: countLog)
  }

  var code: UInt8 {
    type.rawValue | UInt8(truncatingIfNeeded: countLog - Self.countLogs.lowerBound) << 4
  }

  var count: Int { 1 << countLog }
  var byteCount: Int { count * type.bitWidth / 8 }

  /// The version of Pcodec's content that is written.
  private static let majorVersion: UInt8 = 4

  /// Compresses a page.
  ///
  /// - Parameter numbers: `count` numbers, aligned for them.
  /// - Returns: the version, the meta of a chunk, and its only page.
  func encode(_ numbers: UnsafeRawPointer, level: Int) -> [UInt8] {
    let chunk = EncodedChunk(
      numbers, type: type, pageCounts: [count],
      options: PcoOptions(level: level, maximumChunkCount: count))
    var bytes = [Self.majorVersion]
    bytes.append(contentsOf: chunk.meta)
    for page in chunk.pages { bytes.append(contentsOf: page) }
    return bytes
  }

  /// Decompresses a page: as many numbers as any page has, whatever the bytes say.
  ///
  /// - Parameter numbers: memory for `count` numbers, aligned for them.
  func decode(
    _ bytes: UnsafeRawBufferPointer, to numbers: UnsafeMutableRawPointer, _ scratch: DecoderScratch
  ) throws(PcoError) {
    var reader = BitReader(bytes)
    let major = try reader.readInt(8)
    guard major == Int(Self.majorVersion) else {
      throw PcoError(
        .unsupportedVersion, "version \(major) of the format is not known", byteOffset: 0)
    }
    let meta = try ChunkMeta(from: &reader, type: type, major: major)
    let end = try ChunkDecoder(meta, type: type).decodePage(
      bytes, byteOffset: reader.byteOffset, into: numbers, count: count, scratch: scratch)
    guard end == bytes.count else {
      throw PcoError(.corrupted, "there are bytes behind the page", byteOffset: end)
    }
  }
}
