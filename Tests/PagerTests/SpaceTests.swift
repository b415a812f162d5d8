import Testing

@testable import Pager

/// Bitmap, allocator and free map against naive models.
@Suite struct SpaceTests {
  /// rule A3: the bitmap's searches and counts agree with an array of flags.
  @Test(arguments: 1...30 as ClosedRange<UInt64>) func bitmap(seed: UInt64) {
    var random = PagerRandom(seed: seed)
    let size = 1 + random.below(300)
    var bitmap = PageBitmap()
    bitmap.grow(toPageCount: size)
    var model = [Bool](repeating: false, count: size)
    for step in 0..<300 {
      let low = random.below(size)
      let range = low..<min(size, low + 1 + random.below([1, 5, 130][random.below(3)]))
      let used = random.below(2) == 0
      let changed = bitmap.set(used, range)
      #expect(changed == range.count { model[$0] != used }, "seed \(seed) step \(step)")
      for page in range { model[page] = used }
      #expect(
        bitmap.firstUnused(in: range.lowerBound..<size)
          == (range.lowerBound..<size).first { !model[$0] })
      #expect(
        bitmap.firstUsed(in: range.lowerBound..<size)
          == (range.lowerBound..<size).first { model[$0] })
      let end = random.below(size + 1)
      #expect(
        bitmap.lastUsed(below: end) == (0..<end).last { model[$0] }, "seed \(seed) step \(step)")
      #expect(
        bitmap.usedCount(below: end) == (0..<end).count { model[$0] }, "seed \(seed) step \(step)")
      let run = 1 + random.below(12)
      let naive =
        size < low + run
        ? nil
        : (low...size - run).first { start in
          !(start..<start + run).contains { model[$0] }
        }
      #expect(bitmap.firstUnusedRun(of: run, in: low..<size) == naive, "seed \(seed) step \(step)")
    }
  }

  private func makeAllocator(
    _ storage: any Storage, busy: @escaping @Sendable (UInt64) -> Bool = { _ in false }
  ) -> (PageAllocator, FreeMapLayout) {
    let layout = FreeMapLayout(pageByteCount: 4096)
    var used = PageBitmap()
    used.grow(toPageCount: 16)
    used.set(true, 0..<4)
    let allocator = PageAllocator(
      storage: storage, layout: layout, allocatedPageCount: 16, used: used,
      pageLimit: 1 << 28, isBeingWritten: busy)
    return (allocator, layout)
  }

  /// rule C5, C7, A3: nothing is given out twice, nor outside the file, nor on the map's slots.
  @Test(arguments: 1...12 as ClosedRange<UInt64>) func allocator(seed: UInt64) throws {
    var random = PagerRandom(seed: seed)
    let storage = try MemoryStorage()
    try storage.allocate(byteRange: 0..<16 * 4096)
    let (allocator, layout) = makeAllocator(storage)
    var owned: [Extent] = []
    var used = Set<UInt64>(0..<4)
    for step in 0..<600 {
      if random.below(5) < 3 {
        let count = random.below(4) == 0 ? 1 + random.below(3000) : 1
        let extent =
          count == 1
          ? Extent(first: try allocator.allocatePage(), pageCount: 1)
          : try allocator.allocateExtent(pageCount: count)
        #expect(extent.pageCount == count)
        for page in extent.first.rawValue..<extent.end {
          #expect(used.insert(page).inserted, "page \(page) twice, seed \(seed) step \(step)")
        }
        #expect(Int(extent.end) * 4096 <= (try storage.byteCount()), "seed \(seed) step \(step)")
        let slots = layout.slotPages(in: Int(extent.first.rawValue)..<Int(extent.end))
        #expect(slots.isEmpty, "seed \(seed) step \(step)")
        // Stops the program when the page is still a hole.
        for page in [extent.first.rawValue, extent.end - 1] {
          try storage.write([1], at: Int(page) * 4096 + 9)
        }
        owned.append(extent)
      } else if step % 11 == 0 {
        _ = try allocator.punchHoles(minimumPageCount: 1 + random.below(20))
        #expect(allocator.invariantViolations() == [], "seed \(seed) step \(step)")
      } else if !owned.isEmpty {
        let extent = owned.remove(at: random.below(owned.count))
        try allocator.free(extent)
        for page in extent.first.rawValue..<extent.end { used.remove(page) }
      }
      if step == 300 { allocator.preferLowPages() }
    }
    let slotCount = layout.slotPages(in: 4..<allocator.pageCount).count
    #expect(allocator.freePageCount == allocator.pageCount - used.count - slotCount)
    for extent in owned { try allocator.free(extent) }
    try allocator.truncate(to: allocator.truncatedPageCount)
    #expect(allocator.pageCount <= 4, "seed \(seed)")
    #expect(try storage.byteCount() == allocator.pageCount * 4096)
  }

  /// rule C7: what was given back to the file system is allocated before it is given out, or not at all.
  @Test func holesAreFilledBeforeTheyAreUsed() throws {
    let storage = try MemoryStorage(capacityByteCount: 400 * 4096, reservedByteCount: 4 << 20)
    try storage.allocate(byteRange: 0..<400 * 4096)
    var used = PageBitmap()
    used.grow(toPageCount: 400)
    used.set(true, 0..<200)
    let layout = FreeMapLayout(pageByteCount: 4096)
    func make(isSparse: Bool) -> PageAllocator {
      PageAllocator(
        storage: storage, layout: layout, allocatedPageCount: 400, used: used, pageLimit: 400,
        isSparse: isSparse, isBeingWritten: { _ in false })
    }
    let allocator = make(isSparse: false)
    #expect(try allocator.punchHoles(minimumPageCount: 201) == 0)
    #expect(try allocator.punchHoles(minimumPageCount: 100, minimumShare: 101) == 0)
    #expect(try allocator.punchHoles(minimumPageCount: 100, minimumShare: 100) == 200)
    #expect(try allocator.punchHoles(minimumPageCount: 1) == 0)
    #expect(try storage.allocatedByteCount() == 200 * 4096)
    // Others have taken the space meanwhile.
    storage.capacityByteCount = 200 * 4096
    for allocator in [allocator, make(isSparse: true)] {
      func code(_ body: () throws -> Void) -> PagerError.Code? {
        do { try body() } catch { return (error as? PagerError)?.code }
        return nil
      }
      #expect(code { _ = try allocator.allocateExtent(pageCount: 11) } == .diskFull)
      #expect(code { _ = try allocator.allocatePage() } == .diskFull)
      #expect(allocator.allocateExtent(pageCount: 11, below: 400) == nil)
      #expect(allocator.allocateExtent(at: 220, pageCount: 11, multipleOf: 11) == nil)
      #expect(allocator.freePageCount == 200)
      #expect(allocator.invariantViolations() == [])
    }
    // There is room for the page that is wanted, but not for the rest of the sixteen around it.
    storage.capacityByteCount = 201 * 4096
    #expect(try allocator.allocatePage() == PageID(200))
    storage.capacityByteCount = 210 * 4096
    let extent = try allocator.allocateExtent(pageCount: 9)
    #expect(extent == Extent(first: PageID(201), pageCount: 9))
    #expect(try storage.allocatedByteCount() == 210 * 4096)
    storage.capacityByteCount = 400 * 4096
    // Sixteen at a time.
    #expect(try allocator.allocatePage() == PageID(210))
    #expect(try storage.allocatedByteCount() == 224 * 4096)
  }

  /// rule C5, F4: a second free is damage, as is freeing beyond the end.
  @Test func doubleFreeIsFound() throws {
    let storage = try MemoryStorage()
    try storage.allocate(byteRange: 0..<16 * 4096)
    let (allocator, _) = makeAllocator(storage)
    let page = Extent(first: try allocator.allocatePage(), pageCount: 1)
    let run = try allocator.allocateExtent(pageCount: 5)
    try allocator.free(page)
    try allocator.free(run)
    for extent in [page, run, Extent(first: PageID(1 << 40), pageCount: 3)] {
      do {
        try allocator.free(extent)
        Issue.record("\(extent) is freed twice")
      } catch {
        #expect(error.code == .corrupted)
      }
    }
  }

  /// rule C3, C8: an id is not given out while a write of its page is under way.
  @Test func pagesUnderWriteAreNotGivenOut() throws {
    let storage = try MemoryStorage()
    try storage.allocate(byteRange: 0..<16 * 4096)
    let (allocator, _) = makeAllocator(storage, busy: { $0 % 2 == 0 })
    for _ in 0..<40 {
      let page = try allocator.allocatePage()
      #expect(page.rawValue % 2 == 1)
      try allocator.free(Extent(first: page, pageCount: 1))
    }
  }

  /// rule C5: nor is an id that was freed a moment ago, alone or in a run, until the write of its
  /// old content has ended.
  @Test func freedPagesUnderWriteAreNotGivenOut() throws {
    let storage = try MemoryStorage()
    try storage.allocate(byteRange: 0..<16 * 4096)
    let busy = Locked<Set<UInt64>>([])
    let (allocator, _) = makeAllocator(
      storage, busy: { page in busy.withLock { $0.contains(page) } })
    let page = try allocator.allocatePage()
    busy.withLock { $0 = [page.rawValue] }
    try allocator.free(Extent(first: page, pageCount: 1))
    let other = try allocator.allocatePage()
    #expect(other != page)
    for pageCount in 1...12 {
      let run = try allocator.allocateExtent(pageCount: pageCount)
      #expect(!(run.first.rawValue..<run.end).contains(page.rawValue), "\(pageCount) pages")
      try allocator.free(run)
    }
    busy.withLock { $0 = [] }
    let again = [try allocator.allocatePage(), try allocator.allocatePage()]
    #expect(again.contains(page), "free once the write has ended")
  }

  /// rule C7: a full disk leaves the allocator as it was.
  @Test func fullDiskLeavesTheAllocator() throws {
    let storage = try MemoryStorage(capacityByteCount: 40 * 4096)
    try storage.allocate(byteRange: 0..<16 * 4096)
    let (allocator, _) = makeAllocator(storage)
    var pages: [PageID] = []
    do throws(PagerError) {
      while true { pages.append(try allocator.allocatePage()) }
    } catch {
      #expect(error.code == .diskFull)
    }
    #expect(!pages.isEmpty)
    let count = allocator.pageCount
    storage.capacityByteCount = 400 * 4096
    #expect(!pages.contains(try allocator.allocatePage()))
    #expect(allocator.pageCount > count)
  }

  /// rule A3, B4: the map of each checkpoint can be loaded with its digest, and with no other;
  /// writing the next one leaves it whole until `commit`.
  @Test(arguments: 1...10 as ClosedRange<UInt64>) func freeMap(seed: UInt64) throws {
    var random = PagerRandom(seed: seed)
    let storage = try MemoryStorage()
    let layout = FreeMapLayout(pageByteCount: 4096)
    let pageCount = layout.wholeGroups(layout.pagesPerGroup + 500)
    try storage.allocate(byteRange: 0..<pageCount * 4096)
    var map = FreeMap(layout: layout, checksumSeed: seed)
    var digest: UInt64 = 0
    var bits: [UInt64] = []
    func load(_ checkpoint: UInt64, _ digest: UInt64) throws -> FreeMap {
      try FreeMap.load(
        layout: layout, checksumSeed: seed, checkpoint: checkpoint, pageCount: pageCount,
        digest: digest, from: storage)
    }
    for checkpoint in 1...30 as ClosedRange<UInt64> {
      let first = 4 + random.below(layout.pagesPerGroup - 40)
      let range = first..<first + 1 + random.below(20)
      let changes = range.map { page in
        SpaceChange(
          extent: Extent(first: PageID(UInt64(page)), pageCount: 1),
          isUsed: !map.bits.contains(page))
      }
      try map.apply(changes, pageCount: pageCount)
      let next = try map.writeChanges(checkpoint: checkpoint, to: storage)
      if checkpoint > 1 {
        #expect(try load(checkpoint - 1, digest).bits.words == bits, "seed \(seed) \(checkpoint)")
      }
      map.commit()
      digest = next
      bits = map.bits.words
      #expect(try load(checkpoint, digest).bits.words == bits, "seed \(seed) \(checkpoint)")
      #expect(throws: PagerError.self) { _ = try load(checkpoint, digest &+ 1) }
    }
  }

  /// rule B4: a checkpoint that was cut off wrote pages of the map; the next one, of the same number,
  /// changes nothing of these groups, or something else.
  ///
  /// They are not taken for its own.
  @Test(arguments: [nil, 9, 40_000]) func freeMapAfterAnUnfinishedCheckpoint(page: UInt64?) throws {
    let storage = try MemoryStorage()
    let layout = FreeMapLayout(pageByteCount: 4096)
    let pageCount = layout.wholeGroups(2 * layout.pagesPerGroup)
    try storage.allocate(byteRange: 0..<pageCount * 4096)
    func use(_ page: UInt64) -> SpaceChange {
      SpaceChange(extent: Extent(first: PageID(page), pageCount: 2), isUsed: true)
    }
    func load(_ checkpoint: UInt64, _ digest: UInt64) throws -> FreeMap {
      try FreeMap.load(
        layout: layout, checksumSeed: 7, checkpoint: checkpoint, pageCount: pageCount,
        digest: digest, from: storage)
    }
    var map = FreeMap(layout: layout, checksumSeed: 7)
    try map.apply([], pageCount: pageCount)
    let first = try map.writeChanges(checkpoint: 1, to: storage)
    map.commit()
    try map.apply([use(20), use(40_020)], pageCount: pageCount)
    _ = try map.writeChanges(checkpoint: 2, to: storage)

    var digest = first
    for checkpoint in 2...4 as ClosedRange<UInt64> {
      map = try load(checkpoint - 1, digest)
      if checkpoint == 2, let page { try map.apply([use(page)], pageCount: pageCount) }
      digest = try map.writeChanges(checkpoint: checkpoint, to: storage)
      map.commit()
      let found = try load(checkpoint, digest)
      #expect(found.bits.words == map.bits.words && !found.bits.contains(20))
    }
  }

  /// rule C5, F4: a page that comes into use twice is damage.
  @Test func freeMapFindsDoubleUse() throws {
    var map = FreeMap(layout: FreeMapLayout(pageByteCount: 4096), checksumSeed: 1)
    let change = SpaceChange(extent: Extent(first: PageID(9), pageCount: 2), isUsed: true)
    try map.apply([change], pageCount: 16)
    #expect(throws: PagerError.self) { try map.apply([change], pageCount: 16) }
  }
}
