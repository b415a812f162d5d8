@testable import BTreeKV
@testable import Pager

/// A file with a log in it, taken apart so that tests can damage it in chosen places.
struct LogImage {
  var contents: [UInt8]

  /// One record: where it is in the file.
  struct Record {
    var segment: Int
    var range: Range<Int>
    var isEnd: Bool
  }

  /// What a database leaves when its process dies after `body`.
  init(
    _ durability: Database.Durability, pageSize: Int = 4096, contents: [UInt8] = [],
    _ body: (Database) throws -> Void
  ) throws {
    let storage = try MemoryStorage(contents: contents)
    let database = try Database.open(
      storage: storage, options: Self.options(durability, pageSize: pageSize),
      hasBackgroundThreads: false)
    try body(database)
    self.contents = storage.copyOfContents()
    database.pager.abandon()
  }

  static func options(
    _ durability: Database.Durability, pageSize: Int = 4096
  ) -> Database.Options {
    var options = Database.Options()
    options.durability = durability
    options.pageSize = pageSize
    return options
  }

  /// Opens a copy; recovery runs.
  func open(_ durability: Database.Durability = .sync) throws -> Database {
    try Database.open(
      storage: try MemoryStorage(contents: contents), options: Self.options(durability),
      hasBackgroundThreads: false)
  }

  /// What opening throws.
  func openingError(_ durability: Database.Durability = .sync) -> PagerError? {
    do {
      _ = try open(durability)
      return nil
    } catch {
      return error as? PagerError
    }
  }

  var superblock: Superblock {
    get throws { try Pager.readSuperblock(from: try MemoryStorage(contents: contents)) }
  }

  /// The log's segments, by their links.
  func segments() throws -> [LogSegment] {
    let block = try superblock
    guard let start = block.log else { return [] }
    var segments = [
      LogSegment(
        extent: start.extent, sequence: start.sequence, firstLSN: start.firstLSN, salt: start.salt,
        byteCount: start.extent.pageCount * block.pageByteCount)
    ]
    while let next = withBytes(
      of: segments[segments.count - 1], block.pageByteCount,
      {
        segments[segments.count - 1].linkedSegment(in: $0, pageByteCount: block.pageByteCount)
      })
    {
      segments.append(next)
    }
    return segments
  }

  func offset(of segment: LogSegment) throws -> Int {
    Int(segment.extent.first.rawValue) * (try superblock.pageByteCount)
  }

  private func withBytes<R>(
    of segment: LogSegment, _ pageByteCount: Int, _ body: (UnsafeRawBufferPointer) -> R
  ) -> R {
    let start = Int(segment.extent.first.rawValue) * pageByteCount
    return contents.withUnsafeBytes {
      body(UnsafeRawBufferPointer(rebasing: $0[start..<start + segment.byteCount]))
    }
  }

  /// All whole records from the cut on.
  func records() throws -> [Record] {
    let block = try superblock
    guard let start = block.log else { return [] }
    var records: [Record] = []
    for (index, segment) in try segments().enumerated() {
      let base = try offset(of: segment)
      withBytes(of: segment, block.pageByteCount) { bytes in
        var place = segment.offset(of: max(start.replayFrom, segment.firstLSN))
        while let record = LogRecord.body(
          in: bytes, at: place, salt: segment.salt, lsn: segment.lsn(at: place))
        {
          let count = LogRecord.byteCount(body: record.body.count)
          records.append(
            Record(
              segment: index, range: base + place..<base + place + count,
              isEnd: record.body[0] == LogRecord.endKind))
          place += count
        }
      }
    }
    return records
  }

  /// Changes a byte.
  mutating func damage(_ offset: Int) { contents[offset] ^= 0x5A }

  /// The same with a byte changed.
  func damaged(_ offset: Int) -> LogImage {
    var copy = self
    copy.damage(offset)
    return copy
  }
}
