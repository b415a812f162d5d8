import CrashSupport
import Synchronization
import TestSupport
import Testing

@testable import BTreeKV
@testable import Pager

/// rule B6: how commits and checkpoints reach the device under `.sync`.
///
/// A commit is one write through the descriptor opened `O_DSYNC` (`FileStorageTests` shows that
/// `writeDurably` is that) into space that was written before, and no sync; a checkpoint keeps to
/// small pieces while a commit waits for the device.
@Suite struct CommitRuleTests {
  private static let value = [UInt8](repeating: 3, count: 700)
  private static let pieceLimit = 128 << 10

  /// rule B6: no sync, no write that is not durable, and no byte that nobody wrote before, over
  /// several segments of the log.
  @Test func commitsOverwriteWhatIsWritten() throws {
    let storage = try RecordingStorage()
    let database = try Database.open(
      storage: storage, options: LogImage.options(.sync), hasBackgroundThreads: false)
    try database.insert("the first one", "starts the log")
    var ends = [storage.recorder.eventCount]
    for number in 0..<1500 {
      try database.insert("key \(number)", Self.value)
      ends.append(storage.recorder.eventCount)
    }
    let events = storage.recorder.events
    var written = WrittenSpace()
    for event in events[..<ends[0]] { written.note(event) }
    var singleCount = 0
    for (number, (start, end)) in zip(ends, ends.dropFirst()).enumerated() {
      let context = "insert \(number)"
      let own = events[start..<end]
      try #require(!own.contains { $0.isSync }, "\(context) syncs the file")
      try #require(!own.contains { $0.isPlainWrite }, "\(context) writes without durability")
      singleCount += own.count == 1 ? 1 : 0
      for event in own.dropLast() { written.note(event) }
      guard case .durableWrite(let offset, let bytes) = own.last else {
        throw TestFailure("\(context) ends with \(String(describing: own.last))")
      }
      try #require(written.holds(offset..<offset + bytes.count), "\(context): bytes never written")
      if let last = own.last { written.note(last) }
    }
    // The others lengthen the file, or go on to another segment of the log.
    #expect(singleCount >= 1450 && singleCount < 1500, "\(singleCount) commits of one write")
    database.pager.abandon()
  }

  private func makeDirty(_ durability: Database.Durability) throws -> (Database, FaultyStorage) {
    let storage = FaultyStorage(try MemoryStorage())
    let database = try Database.open(
      storage: storage, options: LogImage.options(durability), hasBackgroundThreads: false)
    // The checkpoint makes the second round copy each leaf, to ids one behind the other.
    for _ in 0..<2 {
      try database.checkpoint()
      for number in 0..<3000 { try database.insert("key \(number + 10_000)", Self.value) }
    }
    storage.clearCalls()
    return (database, storage)
  }

  /// rule B6: while a commit waits for the device, a checkpoint writes durably, in pieces of 128 KiB
  /// at most, each behind the one before.
  @Test func checkpointsWriteSmallPiecesBesideCommits() throws {
    let (database, storage) = try makeDirty(.sync)
    let log = try #require(database.pager.log)
    let dirtyCount = Set(database.pager.published.pointee.dirtyPages).count
    try #require(dirtyCount > 500)
    let isBlocked = Locked(false)
    let pieces = Locked<[FaultyStorage.Call]>([])
    storage.setHook { call in
      guard call.operation == .writeDurably, !isBlocked.withLock({ $0 }) else { return nil }
      // The commit's write lasts until the checkpoint has written its pages and waits as well.
      isBlocked.withLock { $0 = true }
      let end = SystemCalls.monotonicNanoseconds() + 20_000_000_000
      while log.waiterCount.load(ordering: .relaxed) < 2,
        SystemCalls.monotonicNanoseconds() < end
      {
        SystemCalls.sleep(nanoseconds: 100_000)
      }
      pieces.withLock { $0 = Array(storage.calls.dropFirst()) }
      return nil
    }
    let failure = Locked<(any Error)?>(nil)
    let isCommitted = Locked(false)
    let committer = try BackgroundThread(name: "committer") {
      do {
        try database.insert("the one that waits", "value")
      } catch {
        failure.withLock { $0 = error }
      }
      isCommitted.withLock { $0 = true }
    }
    while !isBlocked.withLock({ $0 }), !isCommitted.withLock({ $0 }) {
      SystemCalls.sleep(nanoseconds: 100_000)
    }
    try #require(isBlocked.withLock { $0 }, "a commit is a durable write")
    try database.checkpoint()
    committer.join()
    storage.setHook(nil)
    if let failure = failure.withLock({ $0 }) { throw failure }
    let calls = pieces.withLock { $0 }
    #expect(calls.allSatisfy { $0.operation == .writeDurably }, "all is durable")
    #expect(calls.allSatisfy { $0.byteCount <= Self.pieceLimit }, "no piece is long")
    #expect(calls.contains { $0.byteCount == Self.pieceLimit }, "neighbours go together")
    // Some of the list may have been given up since.
    let byteCount = calls.reduce(0) { $0 + $1.byteCount }
    #expect(byteCount >= (dirtyCount - 8) * 4096, "all pages are written")
    #expect(
      zip(calls, calls.dropFirst()).allSatisfy { $0.offset + $0.byteCount <= $1.offset }, "sorted")
    try database.close()
  }

  /// rule B6: when nobody waits, a checkpoint leaves its pages to the operating system, and one
  /// sync; what is durable by itself is the log's rest and the superblocks.
  @Test(arguments: Database.Durability.allCases)
  func idleCheckpointsSyncOnce(durability: Database.Durability) throws {
    let (database, storage) = try makeDirty(durability)
    // Under `.flush` the log needs a sync of its own, as it is mapped.
    try database.waitUntilDurable()
    if durability == .none { try database.insert("one more", Self.value) }
    storage.clearCalls()
    try database.checkpoint()
    let calls = storage.calls
    let sync = try #require(calls.firstIndex { $0.operation == .synchronize })
    #expect(calls.count { $0.operation == .synchronize } == 1)
    #expect(!calls[..<sync].contains { $0.operation == .writeDurably })
    #expect(calls[..<sync].contains { $0.operation == .write })
    #expect(
      calls[sync...].dropFirst() == [
        .init(.writeDurably, offset: calls.last?.offset == 0 ? 4096 : 0, byteCount: 512),
        .init(.writeDurably, offset: calls.last?.offset == 0 ? 0 : 4096, byteCount: 512),
      ])
    try database.close()
  }
}

/// Which sectors of a file were ever written, not merely allocated.
private struct WrittenSpace {
  private var sectors = Set<Int>()

  /// The sectors that a range touches.
  private func touched(_ range: Range<Int>) -> Range<Int> {
    range.lowerBound / 512..<(range.upperBound + 511) / 512
  }

  mutating func note(_ event: StorageEvent) {
    switch event {
    case .write(let offset, let bytes), .store(let offset, let bytes),
      .durableWrite(let offset, let bytes):
      sectors.formUnion(touched(offset..<offset + bytes.count))
    case .resize, .synchronize, .loss:
      break
    }
  }

  func holds(_ range: Range<Int>) -> Bool { touched(range).allSatisfy { sectors.contains($0) } }
}

extension StorageEvent {
  fileprivate var isSync: Bool { if case .synchronize = self { true } else { false } }
  fileprivate var isPlainWrite: Bool { if case .write = self { true } else { false } }
}
