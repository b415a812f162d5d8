@testable import BTreeKV
@testable import Pager

extension FuzzTarget {
  /// A log of two segments with right checksums but hostile records and links: the scan, the entries
  /// of each record, and references to large values.
  static let log = FuzzTarget(
    run: { bytes in
      var input = FuzzInput(bytes)
      let image = LogSketch(&input)
      guard let storage = memoryStorage(of: image.file) else {
        return require(false, "the storage takes no bytes")
      }
      scan(storage, image)
    },
    seeds: {
      // Without edits; each body behind its length and lag.
      let front: [UInt8] = [0, 0]
      let records = LogSketch.sampleBodies.map { body -> [UInt8] in
        [UInt8(body.count), 0, 0] + body
      }
      let all = Array(records.joined())
      let end: [UInt8] = [1, 0, 0, LogRecord.endKind]
      return records.map { record -> [UInt8] in front + record } + [front + all + end + all]
    })
}

@inline(never) private func scan(_ storage: MemoryStorage, _ image: LogSketch) {
  do throws(PagerError) {
    let scan = try LogScan(
      start: image.start, storage: storage, pageByteCount: 4096,
      filePageCount: LogSketch.pageCount, fileIdentifier: LogSketch.identifier,
      client: LargeValue.logClient)
    var records = 0
    try scan.forEachRecord { (body) throws(PagerError) in
      records += 1
      // On the heap by itself, so that the sanitizer sees a load behind the end.
      try Array(body).withBytes { (copy) throws(PagerError) in
        _ = try LogEntry.forEach(in: copy) { (entry) throws(PagerError) in
          var sum: UInt8 = 0
          for byte in entry.key { sum &+= byte }
          for byte in entry.value { sum &+= byte }
          if entry.kind == .insertLarge { _ = LargeValue(entry.value, pageByteCount: 4096) }
          return sum <= 255
        }
      }
    }
    require(records <= scan.recordCount, "\(records) records of \(scan.recordCount)")
    for extent in scan.namedExtents + scan.segments.map(\.extent) {
      require(extent.end <= UInt64(LogSketch.pageCount), "the log names \(extent)")
    }
  } catch {
    require(error.code == .corrupted, "\(error)")
  }
}

/// A file of 16 pages: a log segment at page 4 and one at page 8, each of 2 pages.
private struct LogSketch {
  static let pageCount = 16
  static let identifier: (high: UInt64, low: UInt64) = (0x0123, 0x4567)

  var file = [UInt8](repeating: 0, count: pageCount * 4096)
  var start: LogStart

  @inline(never) init(_ input: inout FuzzInput) {
    let how = input.byte()
    let edits = Int(input.byte()) % 4
    var segments = [4, 8].map { page in
      LogSegment(
        extent: Extent(first: PageID(UInt64(page)), pageCount: 2),
        sequence: UInt64(page) / 4, firstLSN: LogSequenceNumber(UInt64(page) * 2048), salt: 77,
        byteCount: 8192)
    }
    if how & 1 != 0 { segments[1].firstLSN = LogSequenceNumber(input.long()) }
    if how & 2 != 0 {
      segments[1].extent = Extent(
        first: PageID(UInt64(input.word())), pageCount: input.word())
    }
    var from = segments[0].firstLSN
    if how & 4 != 0 { from = LogSequenceNumber(input.long() >> 2) }
    start = LogStart(
      extent: segments[0].extent, salt: segments[0].salt, sequence: segments[0].sequence,
      firstLSN: segments[0].firstLSN, replayFrom: from)
    file.replaceSubrange(
      16384..<16896, with: segments[0].encodedHeader(fileIdentifier: Self.identifier))
    file.replaceSubrange(16896..<17408, with: segments[0].encodedLink(to: segments[1]))
    file.replaceSubrange(
      32768..<33280, with: segments[1].encodedHeader(fileIdentifier: Self.identifier))
    // The last segment leads back to the first, or nowhere.
    if how & 8 != 0 {
      file.replaceSubrange(33280..<33792, with: segments[1].encodedLink(to: segments[0]))
    }
    var edited = FuzzInput(UnsafeRawBufferPointer(start: nil, count: 0))
    if edits > 0 {
      let script = input.bytes(edits * 6)
      script.withUnsafeBytes { raw in
        edited = FuzzInput(raw)
        for _ in 0..<edits { file.edit(&edited, in: 16384..<17408) }
      }
      file.sealSector(at: 16384)
      file.sealSector(at: 16896)
    }
    writeRecords(&input, segments)
  }

  /// The rest of the input is records: 1 byte length, 2 bytes lag, the body; one of kind 255 goes on
  /// in the second segment.
  private mutating func writeRecords(_ input: inout FuzzInput, _ segments: [LogSegment]) {
    var index = 0
    var offset = LogSegment.recordsOffset
    while !input.isEmpty {
      let count = max(1, Int(input.byte()))
      let lag = input.word()
      var body = input.bytes(count)
      if body.isEmpty { body = [1] }
      let start = (index == 0 ? 4 : 8) * 4096
      guard offset + 16 + body.count <= 8192 else { return }
      let lsn = LogSequenceNumber(
        segments[index].firstLSN.rawValue &+ UInt64(offset - LogSegment.recordsOffset))
      file.withUnsafeMutableBytes { raw in
        guard let place = raw.baseAddress.map({ $0 + (start + offset) }) else { return }
        (place + 16).copyMemory(from: body, byteCount: body.count)
        LogRecord.seal(
          place, body: body.count, durableLag: lag == 0 ? .max : UInt32(lag),
          salt: segments[index].salt, lsn: lsn)
      }
      offset += LogRecord.byteCount(body: body.count)
      if body[0] == LogRecord.endKind {
        guard index == 0 else { return }
        index = 1
        offset = LogSegment.recordsOffset
      }
    }
  }

  /// A body of each kind.
  static var sampleBodies: [[UInt8]] {
    let large = LargeValue(
      byteCount: 5000, checksum: 1, birth: Epoch(1),
      extents: [Extent(first: PageID(12), pageCount: 2)])
    let kinds: [(LogEntry.Kind, [UInt8], LogEntry.Flags, TreeID)] = [
      (.insert, [1, 2, 3], [], .main), (.remove, [], [], TreeID(17)),
      (.insertLarge, large.encoded, [], TreeID(16)),
      (.removeRange, [9], [.lowerBound, .upperBound], .main), (.dropTree, [], [], TreeID(16)),
    ]
    return kinds.map { kind, value, flags, tree in
      Array("key".utf8).withUnsafeBytes { key in
        value.withUnsafeBytes { value in
          let entry = LogEntry(kind: kind, tree: tree, key: key, value: value, flags: flags)
          var body = [UInt8](repeating: 0, count: entry.byteCount)
          body.withUnsafeMutableBytes { if let base = $0.baseAddress { entry.write(to: base) } }
          return body
        }
      }
    }
  }
}
