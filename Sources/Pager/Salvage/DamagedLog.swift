/// The log of a damaged file, piece by piece: little of it is in memory.
///
/// Unlike recovery it goes on behind what is damaged: each record's checksum covers its position,
/// so that those behind can be found.
package struct DamagedLog {
  /// What is found, in the order of positions.
  package enum Piece {
    /// A whole record.
    case record(UnsafeRawBufferPointer, at: LogSequenceNumber, durableUpTo: LogSequenceNumber)
    /// Bytes that are none; without `to` up to an end that is not known.
    case gap(from: LogSequenceNumber, to: LogSequenceNumber?)
    /// The log went on from here, but it is not known where.
    case brokenLink(at: LogSequenceNumber)
  }

  private let file: DamagedFile
  private let first: LogSegment
  private let start: LogSequenceNumber
  private let window = Window()

  /// No record is longer: larger transactions are not logged.
  private static let bodyLimit = 16 << 20

  /// The log of the last checkpoint, or without a superblock the newest one there is; nil: none.
  package init?(_ file: DamagedFile) {
    self.file = file
    if let superblock = file.superblock {
      guard let log = superblock.log, file.contains(log.extent) else { return nil }
      first = LogSegment(
        extent: log.extent, sequence: log.sequence, firstLSN: log.firstLSN, salt: log.salt,
        byteCount: log.extent.pageCount * file.pageByteCount)
      start = max(log.replayFrom, log.firstLSN)
      return
    }
    let segments = file.logHeaders.map(\.segment).filter { file.contains($0.extent) }
      .sorted { $0.firstLSN < $1.firstLSN }
    guard var earliest = segments.last else { return nil }
    for segment in segments.reversed()
    where Self.end(of: segment) == earliest.firstLSN.rawValue
      && segment.sequence + 1 == earliest.sequence
    {
      earliest = segment
    }
    first = earliest
    start = earliest.firstLSN
  }

  private static func end(of segment: LogSegment) -> UInt64 {
    segment.firstLSN.rawValue + UInt64(segment.byteCount)
  }

  /// Hands over what there is, until `visit` returns false.
  package func forEach(_ visit: (Piece) throws(PagerError) -> Bool) throws(PagerError) {
    var segment = first
    var lsn = start
    var pagesSeen = 0
    while true {
      pagesSeen += segment.extent.pageCount
      guard pagesSeen <= file.pageCount else { return }
      guard let ended = try records(of: segment, from: lsn, visit) else { return }
      let (link, isDamaged) = next(behind: segment, hasEnded: ended.isRegular)
      guard let next = link else {
        if isDamaged { _ = try visit(.brokenLink(at: ended.at)) }
        return
      }
      segment = next
      lsn = next.firstLSN
    }
  }

  /// Hands over one segment's records.
  ///
  /// - Returns: where it ends, and whether by a record that says so; nil when `visit` wants no
  ///   more.
  private func records(
    of segment: LogSegment, from start: LogSequenceNumber,
    _ visit: (Piece) throws(PagerError) -> Bool
  ) throws(PagerError) -> (at: LogSequenceNumber, isRegular: Bool)? {
    let distance = start.rawValue - segment.firstLSN.rawValue
    guard distance <= UInt64(segment.byteCount) else { return (start, false) }
    var offset = Int(distance) + LogSegment.recordsOffset
    // What is hashed in vain is bounded: garbage may claim any length.
    var budget = 8 * segment.byteCount
    var gap: Int?
    window.forget()
    while offset + LogRecord.headerByteCount < segment.byteCount, budget > 0 {
      let lsn = segment.lsn(at: offset)
      guard let record = record(of: segment, at: offset, lsn, &budget) else {
        gap = gap ?? offset
        offset += 8
        continue
      }
      if let from = gap {
        guard try visit(.gap(from: segment.lsn(at: from), to: lsn)) else { return nil }
        gap = nil
      }
      offset += LogRecord.byteCount(body: record.body.count)
      if record.body[0] == LogRecord.endKind { return (segment.lsn(at: offset), true) }
      let piece = Piece.record(record.body, at: lsn, durableUpTo: record.durableUpTo)
      guard try visit(piece) else { return nil }
    }
    let end = segment.lsn(at: gap ?? offset)
    guard try visit(.gap(from: end, to: nil)) else { return nil }
    return (end, false)
  }

  private func record(
    of segment: LogSegment, at offset: Int, _ lsn: LogSequenceNumber, _ budget: inout Int
  ) -> (body: UnsafeRawBufferPointer, durableUpTo: LogSequenceNumber)? {
    let base = Int(segment.extent.first.rawValue) * file.pageByteCount
    let left = segment.byteCount - offset
    let head = window.bytes(
      of: file, at: base + offset, count: LogRecord.headerByteCount, limit: left)
    let count = Int(head.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
    guard count > 0, count <= min(left - LogRecord.headerByteCount, Self.bodyLimit) else {
      return nil
    }
    budget -= count
    let bytes = window.bytes(
      of: file, at: base + offset, count: LogRecord.headerByteCount + count, limit: left)
    return LogRecord.body(in: bytes, at: 0, salt: segment.salt, lsn: lsn)
  }

  /// The segment that the link names, or, if that is damaged, the one that fits behind this one.
  ///
  /// - Returns: that segment, and whether there was one that can't be found any more.
  private func next(
    behind segment: LogSegment, hasEnded: Bool
  ) -> (segment: LogSegment?, isDamaged: Bool) {
    var start = [UInt8](repeating: 0, count: LogSegment.recordsOffset)
    return start.withUnsafeMutableBytes { start in
      DamagedFile.read(
        file.storage, file.fileByteCount, into: start,
        at: Int(segment.extent.first.rawValue) * file.pageByteCount)
      let bytes = UnsafeRawBufferPointer(start)
      if let next = segment.linkedSegment(in: bytes, pageByteCount: file.pageByteCount),
        file.contains(next.extent), !(next.firstLSN < segment.firstLSN)
      {
        return (next, false)
      }
      let isLinked = bytes[LogSegment.linkOffset..<LogSegment.linkOffset + 512]
        .contains { $0 != 0 }
      guard isLinked || hasEnded else { return (nil, false) }
      let fitting = file.logHeaders.map(\.segment).first {
        $0.firstLSN.rawValue == Self.end(of: segment) && $0.sequence == segment.sequence + 1
          && file.contains($0.extent)
      }
      return (fitting, fitting == nil && isLinked && hasEnded)
    }
  }
}

/// A piece of the file in memory.
private final class Window {
  private var buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 4096)
  private var start = 0
  private var end = 0

  deinit { buffer.deallocate() }

  func forget() { (start, end) = (0, 0) }

  /// Bytes of the file, of which up to `limit` may be read ahead.
  func bytes(
    of file: DamagedFile, at offset: Int, count: Int, limit: Int
  ) -> UnsafeRawBufferPointer {
    if offset < start || offset + count > end {
      if buffer.count < count {
        buffer.deallocate()
        buffer = .allocate(byteCount: count, alignment: 4096)
      }
      start = offset
      end = offset + min(limit, buffer.count)
      DamagedFile.read(
        file.storage, file.fileByteCount,
        into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<(end - start)]), at: offset)
    }
    return UnsafeRawBufferPointer(
      rebasing: buffer[offset - start..<offset - start + count])
  }
}
