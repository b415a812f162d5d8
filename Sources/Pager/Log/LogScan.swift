/// What recovery needs to know of the records that the layer above wrote.
package struct LogClient: Sendable {
  /// The runs of pages that a record names (given the page size), or nil when the record makes no sense.
  package var extentsNamed: @Sendable (UnsafeRawBufferPointer, Int) -> [Extent]?
  /// Whether the bytes in those runs are what the record says they are.
  package var bytesAreWhole:
    @Sendable (UnsafeRawBufferPointer, Int, any Storage) throws(PagerError) -> Bool
  /// What is structurally wrong with a tree page, or nil.
  package var structureProblem: @Sendable (UnsafeRawBufferPointer) -> String?

  package init(
    extentsNamed: @escaping @Sendable (UnsafeRawBufferPointer, Int) -> [Extent]?,
    bytesAreWhole:
      @escaping @Sendable (UnsafeRawBufferPointer, Int, any Storage)
      throws(PagerError) -> Bool,
    structureProblem: @escaping @Sendable (UnsafeRawBufferPointer) -> String?
  ) {
    self.extentsNamed = extentsNamed
    self.bytesAreWhole = bytesAreWhole
    self.structureProblem = structureProblem
  }
}

/// The first pass of recovery: it reads the log and changes nothing (rules E2 to E4).
struct LogScan {
  let start: LogStart
  let storage: any Storage
  let pageByteCount: Int
  let filePageCount: Int
  let fileIdentifier: (high: UInt64, low: UInt64)
  let client: LogClient

  /// The segments that were found, in order.
  private(set) var segments: [LogSegment] = []
  /// Runs that records name: not free, even where the tree no longer names them (rule A4).
  private(set) var namedExtents: [Extent] = []
  /// Behind the last record that counts.
  private(set) var end = LogSequenceNumber(0)
  private(set) var recordCount = 0

  private var largestDurable = LogSequenceNumber(0)
  /// Records that name extents: their place, to verify those that may not be whole.
  private var claims: [(lsn: LogSequenceNumber, body: [UInt8])] = []

  init(
    start: LogStart, storage: any Storage, pageByteCount: Int, filePageCount: Int,
    fileIdentifier: (high: UInt64, low: UInt64), client: LogClient
  ) throws(PagerError) {
    self.start = start
    self.storage = storage
    self.pageByteCount = pageByteCount
    self.filePageCount = filePageCount
    self.fileIdentifier = fileIdentifier
    self.client = client
    try scan()
    try verifyClaims()
  }

  private var firstSegment: LogSegment {
    LogSegment(
      extent: start.extent, sequence: start.sequence, firstLSN: start.firstLSN, salt: start.salt,
      byteCount: start.extent.pageCount * pageByteCount)
  }

  private func isInside(_ extent: Extent) -> Bool {
    extent.first.rawValue >= 4 && extent.pageCount > 0 && extent.end <= UInt64(filePageCount)
  }

  private func bytes(of segment: LogSegment) throws(PagerError) -> UnsafeMutableRawBufferPointer {
    let buffer = UnsafeMutableRawBufferPointer.allocate(
      byteCount: segment.byteCount, alignment: 4096)
    do throws(PagerError) {
      try storage.read(into: buffer, at: Int(segment.extent.first.rawValue) * pageByteCount)
    } catch {
      buffer.deallocate()
      throw error
    }
    return buffer
  }

  private mutating func scan() throws(PagerError) {
    var segment = firstSegment
    var lsn = start.replayFrom
    guard isInside(segment.extent), !(lsn < start.firstLSN),
      segment.offset(of: lsn) <= segment.byteCount
    else {
      throw PagerError(
        .corrupted, "the superblock's log lies outside the file",
        page: segment.extent.first.rawValue)
    }
    var pagesSeen = 0
    while true {
      pagesSeen += segment.extent.pageCount
      guard pagesSeen <= filePageCount else {
        throw PagerError(.corrupted, "the log is longer than the file")
      }
      let buffer = try bytes(of: segment)
      defer { buffer.deallocate() }
      let raw = UnsafeRawBufferPointer(buffer)
      guard segment.matchesHeader(raw, fileIdentifier: fileIdentifier) else {
        if segments.isEmpty {
          throw PagerError(
            .corrupted, "the log's first segment is damaged: salvage what the tree holds",
            page: segment.extent.first.rawValue)
        }
        return try endOfLog(at: lsn, in: segment, raw, from: LogSegment.recordsOffset)
      }
      segments.append(segment)
      guard try records(of: segment, raw, from: &lsn) else { return }
      if segment.hasDamagedLink(in: raw) {
        return try endAtDamagedLink(of: segment, at: lsn)
      }
      guard let next = segment.linkedSegment(in: raw, pageByteCount: pageByteCount),
        isInside(next.extent), !(next.firstLSN < lsn)
      else { return try endOfLog(at: lsn, in: segment, raw, from: raw.count) }
      segment = next
      lsn = next.firstLSN
    }
  }

  /// Follows the records of one segment.
  ///
  /// - Returns: whether the segment ends with its end record, so that the next one follows.
  private mutating func records(
    of segment: LogSegment, _ raw: UnsafeRawBufferPointer, from lsn: inout LogSequenceNumber
  ) throws(PagerError) -> Bool {
    var offset = segment.offset(of: lsn)
    while true {
      guard let record = LogRecord.body(in: raw, at: offset, salt: segment.salt, lsn: lsn) else {
        try endOfLog(at: lsn, in: segment, raw, from: offset)
        return false
      }
      largestDurable = max(largestDurable, record.durableUpTo)
      let isEnd = record.body[0] == LogRecord.endKind
      if !isEnd {
        recordCount += 1
        guard let named = client.extentsNamed(record.body, pageByteCount) else {
          throw PagerError(
            .corrupted, "a log record makes no sense: salvage what the tree holds",
            byteOffset: Int(segment.extent.first.rawValue) * pageByteCount + offset)
        }
        if !named.isEmpty { claims.append((lsn, Array(record.body))) }
      }
      offset += LogRecord.byteCount(body: record.body.count)
      lsn = segment.lsn(at: offset)
      if isEnd { return true }
    }
  }

  /// Decides at the first invalid record between a torn tail and damage (rule B3).
  private mutating func endOfLog(
    at lsn: LogSequenceNumber, in segment: LogSegment, _ raw: UnsafeRawBufferPointer,
    from offset: Int
  ) throws(PagerError) {
    end = lsn
    var durable = max(largestDurable, laterDurable(in: segment, raw, from: offset))
    if let next = segment.linkedSegment(in: raw, pageByteCount: pageByteCount),
      isInside(next.extent)
    {
      let buffer = try bytes(of: next)
      defer { buffer.deallocate() }
      let later = UnsafeRawBufferPointer(buffer)
      if next.matchesHeader(later, fileIdentifier: fileIdentifier) {
        durable = max(durable, laterDurable(in: next, later, from: LogSegment.recordsOffset))
      }
    }
    guard !(lsn < durable) else {
      throw PagerError(
        .corrupted,
        "a log record that was durable is damaged: writes after it would be lost; salvage the file",
        byteOffset: Int(segment.extent.first.rawValue) * pageByteCount + offset,
        expected: durable.rawValue, found: lsn.rawValue)
    }
  }

  /// Decides at a link that does not hold between one that was being stored through a mapping when
  /// the power went, and damage: by what the segment says that it led to, wherever that is.
  private mutating func endAtDamagedLink(
    of segment: LogSegment, at lsn: LogSequenceNumber
  ) throws(PagerError) {
    end = lsn
    for page in 4..<max(4, filePageCount) {
      guard let next = try follower(of: segment, at: page), isInside(next.extent) else { continue }
      let buffer = try bytes(of: next)
      defer { buffer.deallocate() }
      let later = UnsafeRawBufferPointer(buffer)
      if lsn < laterDurable(in: next, later, from: LogSegment.recordsOffset) {
        throw PagerError(
          .corrupted, "the link to the next log segment is damaged: salvage what the tree holds",
          page: segment.extent.first.rawValue)
      }
    }
  }

  /// The segment that begins at a page, if its header says that it follows another one.
  private func follower(of segment: LogSegment, at page: Int) throws(PagerError) -> LogSegment? {
    var sector = [UInt8](repeating: 0, count: 512)
    try storage.readBytes(into: &sector, at: page * pageByteCount)
    return sector.withUnsafeBytes { bytes in
      guard let words = LogSegment.words(of: bytes), words[0] == LogSegment.magic,
        words[3] == segment.sequence + 1, words[6] == UInt64(page), words[7] > 0,
        words[7] <= UInt64(filePageCount)
      else { return nil }
      let next = LogSegment(
        extent: Extent(first: PageID(words[6]), pageCount: Int(words[7])), sequence: words[3],
        firstLSN: LogSequenceNumber(words[4]), salt: words[5],
        byteCount: Int(words[7]) * pageByteCount)
      return next.firstLSN == segment.lsn(at: segment.byteCount + LogSegment.recordsOffset)
        && next.matchesHeader(bytes, fileIdentifier: fileIdentifier) ? next : nil
    }
  }

  /// What whole records from `offset` on say to have been durable.
  private func laterDurable(
    in segment: LogSegment, _ raw: UnsafeRawBufferPointer, from offset: Int
  ) -> LogSequenceNumber {
    var durable = LogSequenceNumber(0)
    var place = max(offset, LogSegment.recordsOffset)
    // What is hashed in vain is bounded: garbage may claim any length.
    var budget = 8 * raw.count
    while place + LogRecord.headerByteCount < raw.count, budget > 0 {
      let count = Int(raw.loadUnaligned(fromByteOffset: place + 8, as: UInt32.self))
      if count > 0, count <= raw.count - place - LogRecord.headerByteCount {
        budget -= count
        if let record = LogRecord.body(
          in: raw, at: place, salt: segment.salt, lsn: segment.lsn(at: place))
        {
          durable = max(durable, record.durableUpTo)
          place += LogRecord.byteCount(body: count)
          continue
        }
      }
      place += 8
    }
    return durable
  }

  /// Checks the bytes that records name where they may not have reached the medium; the first that
  /// are not whole end the log.
  private mutating func verifyClaims() throws(PagerError) {
    for (index, claim) in claims.enumerated() {
      // The record may have outlasted the growth of the file that made room for the bytes.
      let named = claim.body.withUnsafeBytes { client.extentsNamed($0, pageByteCount) ?? [] }
      let areInside = named.allSatisfy { isInside($0) }
      var isWhole = areInside
      if claim.lsn < largestDurable {
        guard areInside else {
          throw PagerError(
            .corrupted, "a log record names pages behind the end: salvage what the tree holds")
        }
      } else if areInside {
        var outcome: Result<Bool, PagerError> = .success(false)
        claim.body.withUnsafeBytes { body in
          do throws(PagerError) {
            outcome = .success(try client.bytesAreWhole(body, pageByteCount, storage))
          } catch {
            outcome = .failure(error)
          }
        }
        isWhole = try outcome.get()
      }
      guard isWhole else {
        end = claim.lsn
        claims.removeLast(claims.count - index)
        break
      }
    }
    for claim in claims {
      claim.body.withUnsafeBytes { body in
        namedExtents.append(contentsOf: client.extentsNamed(body, pageByteCount) ?? [])
      }
    }
  }

  /// The second pass: hands over each record that counts, in order.
  func forEachRecord(_ apply: (UnsafeRawBufferPointer) throws(PagerError) -> Void)
    throws(PagerError)
  {
    var lsn = start.replayFrom
    for segment in segments {
      let buffer = try bytes(of: segment)
      defer { buffer.deallocate() }
      let raw = UnsafeRawBufferPointer(buffer)
      if lsn < segment.firstLSN { lsn = segment.firstLSN }
      var offset = segment.offset(of: lsn)
      while lsn < end,
        let record = LogRecord.body(in: raw, at: offset, salt: segment.salt, lsn: lsn),
        record.body[0] != LogRecord.endKind
      {
        try apply(record.body)
        offset += LogRecord.byteCount(body: record.body.count)
        lsn = segment.lsn(at: offset)
      }
    }
  }
}
