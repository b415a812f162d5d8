import Synchronization
import TestSupport
import Testing

@testable import Pager

/// The pool alone: versions, read-in checks, writes from copies.
@Suite struct PagePoolRuleTests {
  private static let byteCount = 4096

  private func makePool(
    _ storage: any Storage, problem: String? = nil
  ) throws -> PagePool {
    try PagePool(
      storage: storage, pageByteCount: Self.byteCount, byteBudget: 0,
      fileByteCount: try storage.byteCount(), checksumSeed: 5, mayWrite: true,
      structureProblem: { _ in problem }, writeFailed: { _ in })
  }

  private func reference(_ id: UInt64, epoch: UInt64 = 7) -> PageReference {
    PageReference(id: PageID(id), epoch: Epoch(epoch))
  }

  /// Makes a page with a byte of content, and leaves it dirty and given back.
  private func make(_ pool: PagePool, _ id: UInt64, content: UInt8) throws {
    try pool.makeResident(newPage: PageID(id))
    let page = pool.buffer(PageID(id))
    page.initializeMemory(as: UInt8.self, repeating: content)
    page.storeBytes(of: id, toByteOffset: PageHeader.idOffset, as: UInt64.self)
    page.storeBytes(of: 7, toByteOffset: PageHeader.epochOffset, as: UInt64.self)
    page[PageHeader.kindOffset] = PageHeader.treeKind
    page[PageHeader.levelOffset] = 0
    pool.settle(relocated: PageID(id))
  }

  private func version(_ pool: PagePool, _ id: UInt64) -> UInt64 {
    LatchWord.version(pool.words[Int(id)].load(ordering: .acquiring))
  }

  /// rule D1: over changes, eviction, reading in, freeing and reuse a version never repeats, and
  /// an old one never validates; content survives eviction (C7, C8).
  @Test(arguments: 1...5 as ClosedRange<UInt64>) func versionsOnlyGrow(seed: UInt64) throws {
    var random = PagerRandom(seed: seed)
    let storage = try MemoryStorage()
    try storage.allocate(byteRange: 0..<600 * Self.byteCount)
    let pool = try makePool(storage)
    #expect(pool.frameCapacity < 200)
    var last: [UInt64: UInt64] = [:]
    var content: [UInt64: UInt8] = [:]
    for step in 0..<3000 {
      let id = UInt64(4 + random.below(400))
      let before = version(pool, id)
      #expect(before >= last[id] ?? 0, "seed \(seed) step \(step)")
      if let expected = content[id], random.below(8) > 0 {
        let version = try pool.beginRead(reference(id), level: 0)
        #expect(pool.buffer(PageID(id))[100] == expected, "seed \(seed) step \(step)")
        #expect(pool.endRead(PageID(id), version), "seed \(seed) step \(step)")
        if random.below(3) == 0, pool.lockExclusive(PageID(id), version) {
          content[id] = UInt8(random.below(256))
          pool.buffer(PageID(id))[100] = content[id] ?? 0
          _ = pool.markDirty(PageID(id))
          pool.unlockExclusive(PageID(id))
          #if !SHARED_LATCHES
            #expect(!pool.validate(PageID(id), version), "seed \(seed) step \(step)")
          #endif
          #expect(self.version(pool, id) > version)
        }
      } else if content[id] != nil {
        pool.discard(PageID(id))
        content[id] = nil
      } else {
        content[id] = UInt8(random.below(256))
        try make(pool, id, content: content[id] ?? 0)
        #expect(version(pool, id) > before, "seed \(seed) step \(step)")
      }
      last[id] = version(pool, id)
    }
    #expect(pool.traffic.evictions > 100)
    #expect(pool.residentPageCount <= pool.frameCapacity)
  }

  /// rule F4, D3: a page read in is checked: checksum, own id, epoch, level, structure,
  /// bounds.
  ///
  /// After an error its word is free and its version has moved on.
  @Test func readInChecks() throws {
    let storage = try MemoryStorage()
    try storage.allocate(byteRange: 0..<64 * Self.byteCount)
    let first = try makePool(storage)
    for id in [9, 10] as [UInt64] { try make(first, id, content: 3) }
    try first.writeBack([PageID(9), PageID(10)], waiting: true, limitBytes: .max)
    let pool = try makePool(storage)
    #expect(errorCode { _ = try pool.beginRead(reference(9, epoch: 8), level: 0) } == .corrupted)
    #expect(errorCode { _ = try pool.beginRead(reference(9), level: 1) } == .corrupted)
    #expect(errorCode { _ = try pool.beginRead(reference(63), level: 0) } == .corrupted)
    #expect(errorCode { _ = try pool.beginRead(reference(64), level: 0) } == .corrupted)
    for id in [0, 1, UInt64(1) << 47, .max] as [UInt64] {
      #expect(
        errorCode { _ = try pool.beginRead(reference(id), level: 0) } == .corrupted, "page \(id)")
    }
    let wordAfter = pool.words[9].load(ordering: .acquiring)
    #expect(LatchWord.state(wordAfter) == LatchWord.evicted)
    #expect(LatchWord.version(wordAfter) >= 2)
    #expect(pool.residentPageCount == 0)
    pool.endRead(PageID(9), try pool.beginRead(reference(9), level: 0))
    let choosy = try makePool(storage, problem: "not to my liking")
    #expect(errorCode { _ = try choosy.beginRead(reference(9), level: 0) } == .corrupted)
    var bytes = storage.copyOfContents()
    // A misdirected write: page 10 in the place of page 9.
    bytes.replaceSubrange(
      9 * Self.byteCount..<10 * Self.byteCount,
      with: bytes[10 * Self.byteCount..<11 * Self.byteCount])
    bytes[10 * Self.byteCount + 4000] ^= 1
    let bad = try makePool(try MemoryStorage(contents: bytes))
    #expect(errorCode { _ = try bad.beginRead(reference(9), level: 0) } == .corrupted)
    #expect(errorCode { _ = try bad.beginRead(reference(10), level: 0) } == .corrupted)
  }

  /// rule C5: a freed page's frame is never written.
  @Test func freedPagesAreNotWritten() throws {
    let storage = FaultyStorage(try MemoryStorage())
    try storage.allocate(byteRange: 0..<64 * Self.byteCount)
    let pool = try makePool(storage)
    try make(pool, 9, content: 1)
    try make(pool, 10, content: 2)
    pool.discard(PageID(9))
    storage.clearCalls()
    #expect(try pool.writeBack([PageID(9), PageID(10)], waiting: true, limitBytes: .max) == 1)
    let write = FaultyStorage.Call(.write, offset: 10 * Self.byteCount, byteCount: Self.byteCount)
    #expect(storage.calls.filter { $0.operation == .write } == [write])
  }

  /// rule C5, D1: who has looked at a page before it was freed hears that it has changed.
  @Test func freeingMovesTheVersionOn() throws {
    let storage = try MemoryStorage()
    try storage.allocate(byteRange: 0..<64 * Self.byteCount)
    let pool = try makePool(storage)
    try make(pool, 9, content: 1)
    #if !SHARED_LATCHES
      let version = try pool.beginRead(reference(9), level: 0)
      pool.discard(PageID(9))
      #expect(!pool.endRead(PageID(9), version))
    #endif
    let before = self.version(pool, 9)
    pool.discard(PageID(9))
    #expect(self.version(pool, 9) > before)
  }

  /// rule C8: a page that is changed while its write is under way is dirty again after it.
  @Test func changesDuringAWriteAreWritten() throws {
    let storage = FaultyStorage(try MemoryStorage())
    try storage.allocate(byteRange: 0..<64 * Self.byteCount)
    let pool = try makePool(storage)
    try make(pool, 9, content: 1)
    storage.setHook { [storage] call in
      guard call.operation == .write else { return nil }
      storage.setHook(nil)
      try? pool.makeResident(newPage: PageID(9))
      pool.buffer(PageID(9))[200] = 2
      pool.settle(relocated: PageID(9))
      return nil
    }
    #expect(try pool.writeBack([PageID(9)], waiting: true, limitBytes: .max) == 1)
    #expect(try pool.writeBack([PageID(9)], waiting: true, limitBytes: .max) == 1)
    var byte: [UInt8] = [0]
    try storage.readBytes(into: &byte, at: 9 * Self.byteCount + 200)
    #expect(byte == [2])
  }

  /// rule D5: who needs memory does not wait for a page that the writer changes; it may hold one itself for
  /// which the writer waits.
  @Test(.timeLimit(.minutes(1))) func makingRoomDoesNotWaitForTheWriter() throws {
    let storage = try MemoryStorage()
    try storage.allocate(byteRange: 0..<64 * Self.byteCount)
    let pool = try makePool(storage)
    for id in [9, 10] as [UInt64] { try make(pool, id, content: 3) }
    let version = try pool.beginRead(reference(9), level: 0)
    pool.endRead(PageID(9), version)
    try require(pool.lockExclusive(PageID(9), version), "the writer's hold")
    let pages = [PageID(9), PageID(10)]
    #expect(try pool.writeBack(pages, waiting: false, limitBytes: .max) == 1)
    pool.unlockExclusive(PageID(9))
    #expect(try pool.writeBack(pages, waiting: false, limitBytes: .max) == 1)
  }

  /// rule C7, C8: a page whose write failed is dirty again, and is written the next time.
  @Test func failedWritesStayDirty() throws {
    let storage = FaultyStorage(try MemoryStorage())
    try storage.allocate(byteRange: 0..<64 * Self.byteCount)
    let pool = try makePool(storage)
    try make(pool, 9, content: 1)
    storage.failAt(1, PagerError(.diskFull, "planned"), matching: [.write])
    #expect(
      errorCode { try pool.writeBack([PageID(9)], waiting: true, limitBytes: .max) } == .diskFull)
    #expect(!pool.isBeingWritten(9))
    #expect(try pool.writeBack([PageID(9)], waiting: true, limitBytes: .max) == 1)
    #expect(try pool.writeBack([PageID(9)], waiting: true, limitBytes: .max) == 0)
  }

  /// rule C5: a page that is discarded while its write is under way stays discarded when the write
  /// fails; else it would be written later over what its id belongs to by then.
  @Test func failedWritesDoNotReviveDiscardedPages() throws {
    let storage = FaultyStorage(try MemoryStorage())
    try storage.allocate(byteRange: 0..<64 * Self.byteCount)
    let pool = try makePool(storage)
    try make(pool, 9, content: 1)
    storage.setHook { call in
      guard call.operation == .write else { return nil }
      pool.discard(PageID(9))
      return PagerError(.diskFull, "planned")
    }
    #expect(
      errorCode { try pool.writeBack([PageID(9)], waiting: true, limitBytes: .max) } == .diskFull)
    storage.setHook(nil)
    #expect(!pool.isBeingWritten(9))
    #expect(try pool.writeBack([PageID(9)], waiting: true, limitBytes: .max) == 0)
  }
}
