/// One run of pages of the log.
///
///     sector 0 (offset 0)    header: magic, file identifier, sequence, first LSN, salt, page count
///     sector 1 (offset 512)  link to the next segment: its first page, page count, salt
///     offset 1024            records, until an end record
///
/// The link is a place of its own, not a record, so that recovery can look into the next segment
/// even when a record before the link is damaged (rule B3).
struct LogSegment: Sendable {
  static let recordsOffset = 1024
  static let linkOffset = 512
  static let magic: UInt64 = 0x4C4F_4753_4547_3031  // "LOGSEG01"
  static let linkMagic: UInt64 = 0x4C4F_474C_494E_4B31  // "LOGLINK1"

  var extent: Extent
  var sequence: UInt64
  var firstLSN: LogSequenceNumber
  var salt: UInt64
  var byteCount: Int

  /// The position of the byte at `offset` of the segment.
  func lsn(at offset: Int) -> LogSequenceNumber {
    LogSequenceNumber(firstLSN.rawValue + UInt64(offset - Self.recordsOffset))
  }

  /// Where in the segment the byte of a position is.
  func offset(of lsn: LogSequenceNumber) -> Int {
    Int(lsn.rawValue - firstLSN.rawValue) + Self.recordsOffset
  }

  func encodedHeader(fileIdentifier: (high: UInt64, low: UInt64)) -> [UInt8] {
    Self.sector([
      Self.magic, fileIdentifier.high.byteSwapped, fileIdentifier.low.byteSwapped, sequence,
      firstLSN.rawValue, salt, extent.first.rawValue, UInt64(extent.pageCount),
    ])
  }

  func encodedLink(to next: LogSegment) -> [UInt8] {
    Self.sector([
      Self.linkMagic, salt, next.extent.first.rawValue, UInt64(next.extent.pageCount), next.salt,
      next.sequence, next.firstLSN.rawValue,
    ])
  }

  private static func sector(_ words: [UInt64]) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 512)
    bytes.withUnsafeMutableBytes { bytes in
      for (index, word) in words.enumerated() {
        bytes.storeBytes(of: word.littleEndian, toByteOffset: index * 8, as: UInt64.self)
      }
      let sum = checksum64(UnsafeRawBufferPointer(rebasing: bytes[..<504]), seed: 0)
      bytes.storeBytes(of: sum.littleEndian, toByteOffset: 504, as: UInt64.self)
    }
    return bytes
  }

  static func words(of sector: UnsafeRawBufferPointer) -> [UInt64]? {
    let sum = checksum64(UnsafeRawBufferPointer(rebasing: sector[..<504]), seed: 0)
    guard sector.loadUnaligned(fromByteOffset: 504, as: UInt64.self) == sum else { return nil }
    return (0..<8).map { sector.loadUnaligned(fromByteOffset: $0 * 8, as: UInt64.self) }
  }

  /// Whether the first sector of a segment's bytes is this segment's header.
  func matchesHeader(
    _ bytes: UnsafeRawBufferPointer, fileIdentifier: (high: UInt64, low: UInt64)
  ) -> Bool {
    guard let words = Self.words(of: UnsafeRawBufferPointer(rebasing: bytes[..<512])) else {
      return false
    }
    return words == [
      Self.magic, fileIdentifier.high.byteSwapped, fileIdentifier.low.byteSwapped, sequence,
      firstLSN.rawValue, salt, extent.first.rawValue, UInt64(extent.pageCount),
    ]
  }

  /// The segment that this one's link names, or nil when there is no whole link.
  func linkedSegment(in bytes: UnsafeRawBufferPointer, pageByteCount: Int) -> LogSegment? {
    let sector = UnsafeRawBufferPointer(rebasing: bytes[Self.linkOffset..<Self.linkOffset + 512])
    guard let words = Self.words(of: sector), words[0] == Self.linkMagic, words[1] == salt,
      words[2] < 1 << 47, words[3] < 1 << 32, words[3] > 0, words[5] == sequence + 1,
      words[6] < 1 << 62
    else { return nil }
    return LogSegment(
      extent: Extent(first: PageID(words[2]), pageCount: Int(words[3])), sequence: words[5],
      firstLSN: LogSequenceNumber(words[6]), salt: words[4],
      byteCount: Int(words[3]) * pageByteCount)
  }

  /// Whether there was a link to a next segment that can't be followed any more.
  ///
  /// It is damage, or a link that was being stored through a mapping when its page was written.
  func hasDamagedLink(in bytes: UnsafeRawBufferPointer) -> Bool {
    let sector = UnsafeRawBufferPointer(rebasing: bytes[Self.linkOffset..<Self.linkOffset + 512])
    return Self.words(of: sector) == nil
      && sector.loadUnaligned(fromByteOffset: 0, as: UInt64.self) == Self.linkMagic
      && sector.loadUnaligned(fromByteOffset: 8, as: UInt64.self) == salt
  }
}

/// The shape of one record.
///
///     offset 0   checksum      XXH64 of bytes 8 ..< 16 + body, seeded with salt and LSN
///     offset 8   byte count    of the body
///     offset 12  durable lag   bytes from the position known to be durable to this record, or all
///                              ones when that is further back (rule B3)
///     offset 16  body          its first byte is the kind; padded with zeros to 8 bytes
public enum LogRecord {
  /// The bytes in front of the body.
  @inlinable public static var headerByteCount: Int { 16 }
  /// The kind that ends a segment.
  @inlinable public static var endKind: UInt8 { 0xFF }

  /// The bytes that a record with such a body takes.
  @inlinable public static func byteCount(body: Int) -> Int { (16 + body + 7) & ~7 }

  /// The seed of a record's checksum.
  @inlinable public static func seed(salt: UInt64, lsn: LogSequenceNumber) -> UInt64 {
    salt &+ lsn.rawValue &* 0x9E37_79B9_7F4A_7C15
  }

  /// Writes the header of the record at `record`, whose body is in place.
  @inlinable
  public static func seal(
    _ record: UnsafeMutableRawPointer, body: Int, durableLag: UInt32, salt: UInt64,
    lsn: LogSequenceNumber
  ) {
    record.storeBytes(of: UInt32(truncatingIfNeeded: body), toByteOffset: 8, as: UInt32.self)
    record.storeBytes(of: durableLag, toByteOffset: 12, as: UInt32.self)
    let sum = checksum64(
      UnsafeRawBufferPointer(start: record + 8, count: body + 8), seed: seed(salt: salt, lsn: lsn))
    // The checksum comes last: when the process dies in between, the record is invalid.
    record.storeBytes(of: sum, toByteOffset: 0, as: UInt64.self)
  }

  /// The body of the record at `offset`, if there is a whole one.
  static func body(
    in segment: UnsafeRawBufferPointer, at offset: Int, salt: UInt64, lsn: LogSequenceNumber
  ) -> (body: UnsafeRawBufferPointer, durableUpTo: LogSequenceNumber)? {
    guard offset + headerByteCount < segment.count else { return nil }
    let count = Int(segment.loadUnaligned(fromByteOffset: offset + 8, as: UInt32.self))
    guard count > 0, count <= segment.count - offset - headerByteCount else { return nil }
    let sum = checksum64(
      UnsafeRawBufferPointer(rebasing: segment[offset + 8..<offset + 16 + count]),
      seed: seed(salt: salt, lsn: lsn))
    guard segment.loadUnaligned(fromByteOffset: offset, as: UInt64.self) == sum else { return nil }
    let lag = segment.loadUnaligned(fromByteOffset: offset + 12, as: UInt32.self)
    let durable = lag == .max || UInt64(lag) > lsn.rawValue ? 0 : lsn.rawValue - UInt64(lag)
    return (
      UnsafeRawBufferPointer(rebasing: segment[offset + 16..<offset + 16 + count]),
      LogSequenceNumber(durable)
    )
  }
}
