import Synchronization
import TestSupport
import Testing

@testable import Pager

/// The invariants of the pager's structures: nothing is reported of sound ones, and each kind of
/// breach is.
@Suite struct InvariantTests {
  private func entry(_ birth: UInt64, _ death: UInt64) -> Unlinked {
    Unlinked(
      extent: Extent(first: PageID(100), pageCount: 1), birth: Epoch(birth), death: Epoch(death),
      isValue: false)
  }

  private func pin(_ epoch: UInt64, _ dead: [Unlinked] = [], holders: Int = 1) -> PinTable.Pin {
    PinTable.Pin(epoch: Epoch(epoch), holders: holders, dead: dead)
  }

  /// Whether something is reported that says so.
  private func expect(
    _ violations: [String], toSay text: String, _ place: SourceLocation = #_sourceLocation
  ) {
    #expect(violations.contains { $0.contains(text) }, "\(violations)", sourceLocation: place)
  }

  // MARK: Space

  private func makeAllocator(pageCount: Int = 16) throws -> PageAllocator {
    let storage = try MemoryStorage()
    try storage.allocate(byteRange: 0..<pageCount * 4096)
    var used = PageBitmap()
    used.grow(toPageCount: 16)
    used.set(true, 0..<4)
    return PageAllocator(
      storage: storage, layout: FreeMapLayout(pageByteCount: 4096), allocatedPageCount: pageCount,
      used: used, pageLimit: 1 << 28, isBeingWritten: { _ in false })
  }

  @Test func allocator() throws {
    let allocator = try makeAllocator()
    let extent = try allocator.allocateExtent(pageCount: 30)
    let page = try allocator.allocatePage()
    try allocator.free(extent)
    try allocator.free(Extent(first: page, pageCount: 1))
    #expect(allocator.invariantViolations() == [])

    allocator.usedPageCount += 1
    expect(allocator.invariantViolations(), toSay: "used pages, but")
    allocator.usedPageCount -= 1
    allocator.lowestUnused = Int(page.rawValue) + 5
    expect(allocator.invariantViolations(), toSay: "below all that are looked at")
    allocator.lowestUnused = 0
    allocator.used.grow(toPageCount: allocator.allocatedPageCount + 64)
    allocator.used.set(true, allocator.allocatedPageCount..<allocator.allocatedPageCount + 1)
    expect(allocator.invariantViolations(), toSay: "but the file has")
    try allocator.free(Extent(first: PageID(2), pageCount: 1))
    expect(allocator.invariantViolations(), toSay: "page 2, a superblock's or the free map's")
  }

  /// rule A3: what the durable map has must be in use.
  @Test func allocatorAndMap() throws {
    let allocator = try makeAllocator()
    let page = Extent(first: try allocator.allocatePage(), pageCount: 1)
    let map = allocator.used
    #expect(allocator.pagesMissing(from: map) == [])
    try allocator.free(page)
    #expect(allocator.pagesMissing(from: map) == [Int(page.first.rawValue)])
  }

  /// rule A3: a file that the log made longer by a group of the map, before any map had that group.
  @Test func slotsOfGroupsWithoutAMapAreUsed() throws {
    let layout = FreeMapLayout(pageByteCount: 4096)
    let allocator = try makeAllocator(pageCount: layout.pagesPerGroup + 100)
    #expect(allocator.invariantViolations() == [])
    for slot in 0...1 {
      #expect(allocator.used.contains(layout.slotPage(group: 1, slot: slot)))
    }
  }

  /// A free page that is still being written is passed over, not forgotten.
  @Test func busyPagesAreGivenOutLater() throws {
    let storage = try MemoryStorage()
    try storage.allocate(byteRange: 0..<16 * 4096)
    let isBusy = BusyFlag()
    var used = PageBitmap()
    used.grow(toPageCount: 16)
    used.set(true, 0..<4)
    let allocator = PageAllocator(
      storage: storage, layout: FreeMapLayout(pageByteCount: 4096), allocatedPageCount: 16,
      used: used, pageLimit: 1 << 28,
      isBeingWritten: { $0 == 5 && isBusy.value.load(ordering: .relaxed) })
    #expect(try allocator.allocatePage() == PageID(4))
    #expect(try allocator.allocatePage() == PageID(6))
    #expect(allocator.invariantViolations() == [])
    isBusy.value.store(false, ordering: .relaxed)
    #expect(try allocator.allocatePage() == PageID(5))
    #expect(try allocator.allocatePage() == PageID(7))
  }

  private final class BusyFlag: Sendable {
    let value = Atomic(true)
  }

  @Test func freeMap() throws {
    let storage = try MemoryStorage()
    try storage.allocate(byteRange: 0..<16 * 4096)
    var map = FreeMap(layout: FreeMapLayout(pageByteCount: 4096), checksumSeed: 3)
    try map.apply([], pageCount: 16)
    let digest = try map.writeChanges(checkpoint: 4, to: storage)
    #expect(map.invariantViolations(checkpoint: 3) == [])
    map.commit()
    #expect(map.invariantViolations(checkpoint: 4) == [])
    expect(map.invariantViolations(checkpoint: 3), toSay: "after 3")
    var broken = map
    broken.groups[0].pending = (5, 0)
    expect(broken.invariantViolations(checkpoint: 4), toSay: "pending")
    broken = map
    broken.groups[0].slot = 2
    expect(broken.invariantViolations(checkpoint: 4), toSay: "slot 2")
    _ = try FreeMap.load(
      layout: map.layout, checksumSeed: 3, checkpoint: 4, pageCount: 16, digest: digest,
      from: storage)

    // A map that gives its own pages away is refused when it is read.
    let own = Extent(first: PageID(3), pageCount: 1)
    try map.apply([SpaceChange(extent: own, isUsed: false)], pageCount: 16)
    expect(map.invariantViolations(checkpoint: 4), toSay: "page 3, a superblock's or the map's own")
    let wrong = try map.writeChanges(checkpoint: 5, to: storage)
    let code = errorCode {
      _ = try FreeMap.load(
        layout: map.layout, checksumSeed: 3, checkpoint: 5, pageCount: 16, digest: wrong,
        from: storage)
    }
    #expect(code == .corrupted)
  }

  // MARK: Pins

  @Test func pins() {
    let sound = PinTable(pins: [pin(2, [entry(1, 4)]), pin(4, [entry(3, 5)])], orphans: [])
    #expect(sound.invariantViolations() == [])
    for (dead, what) in [
      (entry(3, 4), "born after it"), (entry(1, 2), "dead before it"),
      (entry(1, 5), "for a younger one"),
    ] {
      let broken = PinTable(pins: [pin(2, [dead]), pin(4)], orphans: [])
      #expect(broken.invariantViolations().count == 1, "what waits with a pin is \(what)")
      #expect(broken.invariantViolations(limit: 0) == [])
    }
    expect(
      PinTable(pins: [pin(4), pin(2)], orphans: []).invariantViolations(), toSay: "stands before")
    expect(
      PinTable(pins: [pin(4, holders: 0)], orphans: []).invariantViolations(), toSay: "0 holders")
  }

  @Test func publishedState() {
    var state = PublishedState(
      epoch: Epoch(5), youngestPin: Epoch(4), isChangedSincePin: false, mutationCount: 0)
    expect(state.invariantViolations(), toSay: "not even the durable checkpoint")
    state.pins = PinTable(pins: [pin(2), pin(4)], orphans: [])
    #expect(state.invariantViolations() == [])
    state.youngestPin = Epoch(2)
    expect(state.invariantViolations(), toSay: "the youngest is 4, not 2")
    state.youngestPin = Epoch(4)
    state.epoch = Epoch(4)
    expect(state.invariantViolations(), toSay: "is not after the youngest")
    state.epoch = Epoch(5)
    state.committedPin = Epoch(3)
    expect(state.invariantViolations(), toSay: "what the transaction started from")
    state.committedPin = nil
    state.mutationCount = -1
    expect(state.invariantViolations(), toSay: "-1 mutations")
  }

  // MARK: Trees and transactions

  @Test func treeDescriptor() {
    let root = TreeRoot(
      page: PageReference(id: PageID(9), epoch: Epoch(3)), height: 1, count: 7)
    let tree = TreeDescriptor(id: .main, root: root, changed: Epoch(3))
    #expect(tree.invariantViolations() == [])
    tree.state.pointee.root.count = 8
    expect(tree.invariantViolations(), toSay: "readers see another root")
    tree.state.pointee.root.count = 7
    tree.state.pointee.root.page.id = PageID(10)
    expect(tree.invariantViolations(), toSay: "readers see another root")
    tree.state.pointee.root = root
    tree.state.pointee.history = [(Epoch(1), .empty), (Epoch(2), .empty)]
    #expect(tree.invariantViolations() == [])
    tree.state.pointee.history.append((Epoch(3), .empty))
    expect(tree.invariantViolations(), toSay: "its root of 3 stands before 3")
  }

  @Test func openTransaction() {
    var transaction = OpenTransaction(logLimit: 100)
    defer { transaction.log.deallocate() }
    #expect(transaction.invariantViolations() == [])
    transaction.operationCount = 1
    expect(transaction.invariantViolations(), toSay: "something is left of one")
    transaction.isOpen = true
    expect(transaction.invariantViolations(), toSay: "no level")
    transaction.levels = [
      OpenTransaction.Level(pin: Epoch(2)), OpenTransaction.Level(pin: Epoch(3), operationCount: 1),
    ]
    transaction.birth = Epoch(4)
    transaction.link(PageID(70))
    #expect(transaction.invariantViolations() == [])

    var broken = transaction
    broken.birth = Epoch(3)
    expect(broken.invariantViolations(), toSay: "are born in 3")
    broken = transaction
    broken.levels[1].pin = Epoch(2)
    expect(broken.invariantViolations(), toSay: "before the one around it")
    broken = transaction
    broken.levels[1].unlinkedCount = 1
    expect(broken.invariantViolations(), toSay: "remembers more than there is")
    broken = transaction
    broken.levels[1].made = []
    expect(broken.invariantViolations(), toSay: "page 70 is its own, but of no level")
    broken = transaction
    broken.touched = [TreeDescriptor(id: .main, root: .empty, changed: Epoch(1))]
    expect(broken.invariantViolations(), toSay: "does not know of it")
  }

  // MARK: Pool

  @Test func pool() throws {
    let storage = try MemoryStorage()
    try storage.allocate(byteRange: 0..<64 * 4096)
    let pool = try PagePool(
      storage: storage, pageByteCount: 4096, byteBudget: 0, fileByteCount: 64 * 4096,
      checksumSeed: 5, mayWrite: true, structureProblem: { _ in nil }, writeFailed: { _ in })
    for id in 4..<20 as Range<UInt64> {
      try pool.makeResident(newPage: PageID(id))
      pool.settle(relocated: PageID(id))
    }
    #expect(pool.invariantViolations(isQuiet: true) == [])
    let seven = pool.words[7].load(ordering: .relaxed)
    pool.words[7].store(LatchWord.with(state: LatchWord.exclusive, seven), ordering: .relaxed)
    #expect(pool.invariantViolations() == [])
    expect(pool.invariantViolations(isQuiet: true), toSay: "page 7 is held")
    pool.words[7].store(LatchWord.with(state: LatchWord.evicted, seven), ordering: .relaxed)
    expect(pool.invariantViolations(), toSay: "page 7 is on the ring, but not in memory")
    pool.words[7].store(seven, ordering: .relaxed)
    pool.flags[7].bitwiseOr(PagePool.writing, ordering: .relaxed)
    expect(pool.invariantViolations(isQuiet: true), toSay: "page 7 is being written")
    pool.flags[7].bitwiseAnd(~PagePool.writing, ordering: .relaxed)
    pool.residentCount.add(1, ordering: .relaxed)
    expect(pool.invariantViolations(isQuiet: true), toSay: "17 pages are counted, 16")
    pool.ring.withLock { $0.append(PageID(7)) }
    expect(pool.invariantViolations(), toSay: "on the ring twice")
    #expect(pool.ifResident(PageID(8)) { $0.count } == 4096)
    #expect(pool.ifResident(PageID(30)) { $0.count } == nil)
  }
}
