public import Synchronization

/// The log: what makes a mutation outlast the process before any page is written.
///
/// Appending is a memory copy into the current segment: under `.flush` that memory is a shared
/// mapping of the file, so that the copy survives the death of the process; under `.sync` it is a
/// buffer, which whoever waits for durability writes out for all who wait (group commit).
///
/// Who may touch what: `cursor` is written with the publish latch held (and, since only the writer
/// advances it, may be read by the writer without); the segment list is behind `segmentLock`;
/// syncing is behind `syncLock`. That is the proof behind `@unchecked Sendable`.
public final class Log: @unchecked Sendable {
  /// Where the next record goes.
  @usableFromInline struct Cursor {
    @usableFromInline var base: UnsafeMutableRawPointer
    @usableFromInline var offset: Int
    @usableFromInline var limit: Int
    /// What an offset needs to be an LSN.
    @usableFromInline var bias: UInt64
    @usableFromInline var salt: UInt64
  }

  /// A segment that is part of the log, or prepared to become so.
  struct Live {
    var segment: LogSegment
    var memory: UnsafeMutableRawPointer?
    /// Where its records end, once the next segment has taken over.
    var finishedAt: Int?
  }

  @usableFromInline let cursor: UnsafeMutablePointer<Cursor>
  @usableFromInline let end: Atomic<UInt64>
  @usableFromInline let durable: Atomic<UInt64>
  /// Mapped segments (`.flush`) or buffered ones (`.sync`).
  let isMapped: Bool
  let storage: any Storage
  let allocator: PageAllocator
  let pageByteCount: Int
  let fileIdentifier: (high: UInt64, low: UInt64)

  let segmentLock = ConditionLock()
  var live: [Live] = []
  var next: Live?
  var isPreparing = false
  var toUnmap: [Live] = []
  /// Whether segments are to be as short as those of a new log; guarded as `live` is.
  var startsSmall = false
  var spares: [Extent] = []
  var isStopping = false
  /// The first segment that the last cut still needed.
  var firstStaying: UInt64 = 0
  /// Whether the keeper is to prepare the next segment: once for each that was taken, whatever comes of it.
  var keeperMayTry = true

  let syncLock = ConditionLock()
  var isSyncing = false
  let syncError = Locked<PagerError?>(nil)
  let failureCell: FailureCell
  /// Whether value bytes were written, but not synced, that a record names or will.
  let hasUnsyncedValues = Atomic<Bool>(false)
  /// How many threads wait for a sync: the checkpoint then writes in small pieces.
  let waiterCount = Atomic<Int>(0)

  static let firstSegmentByteCount = 256 << 10
  static let largestSegmentByteCount = 8 << 20
  /// Room kept at a segment's end for the record that ends it.
  @usableFromInline static var endRecordByteCount: Int { 24 }

  /// A log whose first record will have the position `start`.
  init(
    storage: any Storage, allocator: PageAllocator, pageByteCount: Int,
    fileIdentifier: (high: UInt64, low: UInt64), isMapped: Bool, start: LogSequenceNumber,
    failureCell: FailureCell
  ) {
    self.failureCell = failureCell
    self.storage = storage
    self.allocator = allocator
    self.pageByteCount = pageByteCount
    self.fileIdentifier = fileIdentifier
    self.isMapped = isMapped
    end = Atomic(start.rawValue)
    durable = Atomic(start.rawValue)
    cursor = .allocate(capacity: 1)
    // No room at all: the first reservation starts the first segment.
    cursor.initialize(
      to: Cursor(
        base: UnsafeMutableRawPointer(cursor), offset: 0, limit: 0, bias: start.rawValue, salt: 0))
  }

  deinit {
    for item in live + toUnmap + (next.map { [$0] } ?? []) { release(memoryOf: item) }
    cursor.deallocate()
  }

  /// The position behind the last published record.
  public var endLSN: LogSequenceNumber { LogSequenceNumber(end.load(ordering: .acquiring)) }
  /// The position up to which the log is on the medium.
  public var durableLSN: LogSequenceNumber { LogSequenceNumber(durable.load(ordering: .acquiring)) }

  /// Whether a record with such a body fits into the current segment.
  @inlinable public func hasRoom(body: Int) -> Bool {
    cursor.pointee.offset + LogRecord.byteCount(body: body) + Self.endRecordByteCount
      <= cursor.pointee.limit
  }

  /// Where to write the body of the next record, for which there is room.
  ///
  /// Publish latch held.
  @inlinable public func beginRecord() -> UnsafeMutableRawPointer {
    cursor.pointee.base + (cursor.pointee.offset + LogRecord.headerByteCount)
  }

  /// Appends the record whose body of `count` bytes is in place.
  ///
  /// Publish latch held.
  ///
  /// - Returns: the position to wait for, to know it durable.
  @inlinable @discardableResult
  public func endRecord(body count: Int) -> LogSequenceNumber {
    let offset = cursor.pointee.offset
    let lsn = cursor.pointee.bias &+ UInt64(truncatingIfNeeded: offset)
    let lag = lsn &- durable.load(ordering: .relaxed)
    LogRecord.seal(
      cursor.pointee.base + offset, body: count,
      durableLag: UInt32(truncatingIfNeeded: Swift.min(lag, UInt64(UInt32.max))),
      salt: cursor.pointee.salt, lsn: LogSequenceNumber(lsn))
    let taken = LogRecord.byteCount(body: count)
    cursor.pointee.offset = offset &+ taken
    let newEnd = lsn &+ UInt64(truncatingIfNeeded: taken)
    end.store(newEnd, ordering: .releasing)
    return LogSequenceNumber(newEnd)
  }

  /// Where replay would begin if the log were cut here.
  ///
  /// Publish latch held.
  func cut() -> LogStart? {
    segmentLock.withLock {
      guard let current = live.last else { return nil }
      return LogStart(
        extent: current.segment.extent, salt: current.segment.salt,
        sequence: current.segment.sequence, firstLSN: current.segment.firstLSN,
        replayFrom: endLSN)
    }
  }
}
