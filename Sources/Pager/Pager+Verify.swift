import Synchronization

/// A set of pages, for checks.
package struct PageSet {
  var bits = PageBitmap()

  package init() {}

  /// Adds a run; false when any of it was there already.
  package mutating func insert(_ extent: Extent) -> Bool {
    guard extent.end < 1 << 40 else { return false }
    bits.grow(toPageCount: Int(extent.end))
    return bits.set(true, Int(extent.first.rawValue)..<Int(extent.end)) == extent.pageCount
  }

  /// Whether a page is in it.
  package func contains(_ page: PageID) -> Bool {
    page.rawValue < 1 << 40 && bits.contains(Int(page.rawValue))
  }
}

extension Pager {
  /// Runs `body` while nobody writes and no checkpoint is under way.
  package func withoutChanges<R>(_ body: () throws(PagerError) -> R) throws(PagerError) -> R {
    writerMutex.lock()
    defer { writerMutex.unlock() }
    checkpointMutex.lock()
    defer { checkpointMutex.unlock() }
    return try body()
  }

  /// Copies a page out, checked: from memory, and when the durable checkpoint has it also from
  /// the disk, where a page that is in memory may have rotted unseen.
  ///
  /// Changes are locked out.
  package func copyPage(
    _ page: PageReference, level: Int, into copy: UnsafeMutableRawBufferPointer
  ) throws(PagerError) {
    while true {
      let version = try pool.beginRead(page, level: level)
      copy.copyMemory(from: UnsafeRawBufferPointer(pool.buffer(page.id)))
      if pool.endRead(page.id, version) { break }
    }
    guard !(durablePin < page.epoch) else { return }
    let disk = UnsafeMutableRawBufferPointer.allocate(byteCount: pageByteCount, alignment: 8)
    defer { disk.deallocate() }
    try storage.read(into: disk, at: Int(page.id.rawValue) * pageByteCount)
    if let problem = PageHeader.problem(
      in: UnsafeRawBufferPointer(disk), id: page.id, epoch: page.epoch, kind: PageHeader.treeKind,
      seed: superblock.checksumSeed)
    {
      throw problem
    }
    guard
      SystemCalls.areEqual(
        UnsafeRawBufferPointer(rebasing: disk[8...]), UnsafeRawBufferPointer(rebasing: copy[8...]))
    else {
      throw PagerError(
        .corrupted, "a page in memory is not what it is on disk", page: page.id.rawValue)
    }
  }

  /// Whether the pages in use and the free ones cover the file exactly once.
  ///
  /// Changes are locked out.
  package func spaceProblems(treePages: PageSet) -> [String] {
    var expected = treePages
    var problems: [String] = []
    func add(_ extent: Extent, _ what: String) {
      if !expected.insert(extent) {
        problems.append("page \(extent.first): \(what) are in use for something else too")
      }
    }
    add(Extent(first: PageID(0), pageCount: 2), "the superblocks")
    let layout = freeMap.layout
    let beside = runsBeside()
    let (used, pageCount) = (beside.used, beside.pageCount)
    for slot in layout.slotPages(in: 0..<pageCount) {
      add(Extent(first: PageID(UInt64(slot)), pageCount: 1), "slots of the free map")
    }
    if let table = superblock.treeTable { add(table.extent, "the table of named trees") }
    for extent in beside.segments { add(extent, "log segments") }
    let (held, waiting) = publishLatch.withLock {
      (published.pointee.pins.held, published.pointee.valuesToFree)
    }
    for entry in held { add(entry.extent, "pages held for a pin") }
    for extent in waiting { add(extent, "value pages waiting for a checkpoint") }
    for extent in beside.reserved { add(extent, "reserved pages") }
    for extent in beside.deferred { add(extent, "value pages that are still mapped") }
    for page in 0..<pageCount where used.contains(page) != expected.bits.contains(page) {
      problems.append(
        used.contains(page)
          ? "page \(page) is marked as used but belongs to nothing"
          : "page \(page) is in use but marked as free")
      if problems.count > 20 { break }
    }
    return problems
  }

  /// The runs that come and go in other threads although changes are locked out (the log's next segment,
  /// what streams write ahead, what readers let go of), and what is marked as used, at one instant.
  private func runsBeside() -> RunsBeside {
    let allocator = allocator
    return kept.withAll { reserved, deferred in
      func runs(_ segments: [Extent]) -> RunsBeside {
        RunsBeside(
          segments: segments, reserved: reserved, deferred: deferred, used: allocator.usedBitmap,
          pageCount: allocator.pageCount)
      }
      return log?.withExtents { runs($0) } ?? runs([])
    }
  }
}

/// What `spaceProblems` looks at and is not part of a tree.
private struct RunsBeside {
  var segments: [Extent]
  var reserved: [Extent]
  var deferred: [Extent]
  var used: PageBitmap
  var pageCount: Int
}

extension Pager {
  /// What is wrong on the medium with the log, and with what the last checkpoint wrote besides the
  /// trees' pages: what only the next opening would find otherwise.
  ///
  /// Changes are locked out.
  package func durableProblems(client: LogClient) throws(PagerError) -> [String] {
    // After a failed write nobody knows what should be there.
    guard (try? failureCell.check()) != nil else { return [] }
    var problems = superblock.isNearItsEnd ? ["the superblock's counters are near their end"] : []
    let wanted = superblock.encoded()
    for (number, offset) in [0, pageByteCount].enumerated() {
      var found = [UInt8](repeating: 0, count: Superblock.byteCount)
      try storage.readBytes(into: &found, at: offset)
      if found != wanted {
        problems.append("page \(number): the superblock is not what was written")
      }
    }
    try note(&problems) { () throws(PagerError) in
      _ = try FreeMap.load(
        layout: freeMap.layout, checksumSeed: superblock.checksumSeed,
        checkpoint: superblock.checkpoint, pageCount: superblock.pageCount,
        digest: superblock.mapDigest, from: storage)
    }
    try note(&problems) { () throws(PagerError) in
      _ = try Self.readTreeTable(superblock, from: storage)
    }
    if let start = superblock.log, let log {
      let durable = log.durableLSN
      try note(&problems) { () throws(PagerError) in
        let scan = try LogScan(
          start: start, storage: storage, pageByteCount: pageByteCount,
          filePageCount: try storage.byteCount() / pageByteCount,
          fileIdentifier: superblock.fileIdentifier, client: client)
        if scan.end < durable {
          throw PagerError(
            .corrupted, "the log on the medium ends before what was made durable",
            page: start.extent.first.rawValue, expected: durable.rawValue,
            found: scan.end.rawValue)
        }
      }
    }
    return problems
  }

  /// Runs a check whose damage is a problem, not an error.
  private func note(
    _ problems: inout [String], _ check: () throws(PagerError) -> Void
  ) throws(PagerError) {
    do throws(PagerError) {
      try check()
    } catch {
      guard error.code == .corrupted else { throw error }
      problems.append("\(error)")
    }
  }
}

extension Log {
  /// Lends all runs of pages that belong to the log now or are kept for it, while none comes or goes.
  fileprivate func withExtents<R>(_ body: ([Extent]) -> R) -> R {
    segmentLock.withLock {
      while isPreparing { segmentLock.wait() }
      return body(
        live.map(\.segment.extent) + (next.map { [$0.segment.extent] } ?? []) + spares)
    }
  }
}
