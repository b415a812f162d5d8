import Synchronization

// Creating and opening a file (rules C9 and E).

extension Pager {
  /// Opens or creates the file in `storage`.
  ///
  /// When the last writer died, `hasReplay` is true afterwards, and the layer above calls
  /// `replayLog` before anything else. `finishOpening` ends the opening.
  package static func open(
    storage: any Storage, options: PagerOptions, client: LogClient
  ) throws(PagerError) -> Pager {
    let superblock: Superblock
    if try isUnborn(storage) {
      guard options.mayCreate, !storage.isReadOnly else {
        throw PagerError(
          .notADatabase, "the file is empty; open it for creation to make a database of it",
          path: storage.path)
      }
      superblock = try create(in: storage, options: options)
    } else {
      superblock = try readSuperblock(from: storage)
      if let asked = options.pageByteCount, asked != superblock.pageByteCount,
        !Superblock.isPageSize(asked)
      {
        throw invalidPageSize(asked)
      }
    }
    if !storage.isReadOnly { try heal(superblock, in: storage) }
    return try open(storage: storage, options: options, client: client, superblock: superblock)
  }

  /// Rewrites the superblock that does not say what the one in force says: a crash came between
  /// the two, or one rotted.
  ///
  /// Before this, pages that only the older one needs must not be reused.
  private static func heal(_ superblock: Superblock, in storage: any Storage) throws(PagerError) {
    let wanted = superblock.encoded()
    for offset in [0, superblock.pageByteCount] {
      var bytes = [UInt8](repeating: 0, count: Superblock.byteCount)
      try storage.readBytes(into: &bytes, at: offset)
      if bytes != wanted {
        try storage.writeBytes(wanted, at: offset)
        try storage.synchronize()
      }
    }
  }

  private static func open(
    storage: any Storage, options: PagerOptions, client: LogClient, superblock: Superblock
  ) throws(PagerError) -> Pager {
    let pageByteCount = superblock.pageByteCount
    let fileByteCount = try storage.byteCount()
    let layout = FreeMapLayout(pageByteCount: pageByteCount)
    try checkLength(of: superblock, layout, fileByteCount, path: storage.path)
    let freeMap = try FreeMap.load(
      layout: layout, checksumSeed: superblock.checksumSeed, checkpoint: superblock.checkpoint,
      pageCount: superblock.pageCount, digest: superblock.mapDigest, from: storage)
    let table = try readTreeTable(superblock, from: storage)

    var scan: LogScan?
    if let start = superblock.log {
      scan = try LogScan(
        start: start, storage: storage, pageByteCount: pageByteCount,
        filePageCount: fileByteCount / pageByteCount, fileIdentifier: superblock.fileIdentifier,
        client: client)
      if storage.isReadOnly, let scan, scan.recordCount > 0 {
        throw PagerError(
          .needsRecovery,
          "the last writer did not close the file; open it for writing once to recover it",
          path: storage.path)
      }
    }

    let failureCell = FailureCell()
    let pool = try PagePool(
      storage: storage, pageByteCount: pageByteCount, byteBudget: options.cacheByteCount,
      fileByteCount: fileByteCount, checksumSeed: superblock.checksumSeed,
      mayWrite: !storage.isReadOnly, structureProblem: client.structureProblem,
      writeFailed: { failureCell.set($0) })
    // Space behind the recorded length may hold log segments; the rest of it is allocated anew, but for
    // readers, who must not look behind the end of the file.
    let needed = scan?.pageCountNeeded ?? 0
    let wanted = layout.wholeGroups(max(superblock.pageCount, needed))
    let allocator = PageAllocator(
      storage: storage, layout: layout,
      allocatedPageCount: storage.isReadOnly
        ? min(wanted, fileByteCount / pageByteCount) : wanted,
      used: freeMap.bits, pageLimit: pool.pageCountLimit,
      isSparse: try storage.allocatedByteCount() < fileByteCount,
      isBeingWritten: { [unowned pool] in pool.isBeingWritten($0) })
    if let scan {
      for extent in scan.segments.map(\.extent) + scan.namedExtents { allocator.reserve(extent) }
    }
    let logStart = LogSequenceNumber(
      (max(
        Self.firstLogPosition.rawValue, superblock.logEnd.rawValue, scan?.end.rawValue ?? 0) &+ 7)
        & ~7)
    let log =
      storage.isReadOnly || options.durability == .none
      ? nil
      : Log(
        storage: storage, allocator: allocator, pageByteCount: pageByteCount,
        fileIdentifier: superblock.fileIdentifier, isMapped: options.durability == .flush,
        start: logStart, failureCell: failureCell)
    // A writer that died may have written pages of any epoch after the checkpoint; a jump of random
    // length keeps them apart from ours (rule C9).
    let jump = 1 + UInt64.random(in: 0..<(1 << 36))
    let pager = Pager(
      storage: storage, options: options, superblock: superblock, freeMap: freeMap,
      allocator: allocator, pool: pool, log: log, failureCell: failureCell,
      epoch: Epoch(superblock.epoch.rawValue + jump), table: table)
    pager.replay = scan
    return pager
  }

  /// Throws unless the file may have the length of which the superblock speaks.
  private static func checkLength(
    of superblock: Superblock, _ layout: FreeMapLayout, _ fileByteCount: Int, path: String
  ) throws(PagerError) {
    let byteCount = superblock.pageCount * superblock.pageByteCount
    guard fileByteCount >= byteCount else {
      throw PagerError(
        .corrupted, "the file is shorter than it says: it was cut off", path: path,
        expected: UInt64(byteCount), found: UInt64(fileByteCount))
    }
    // Otherwise what is rounded up to whole groups would lie behind the end.
    guard layout.wholeGroups(superblock.pageCount) == superblock.pageCount else {
      throw PagerError(
        .corrupted, "the superblock makes no sense: the file ends in the slots of the free map",
        path: path, found: UInt64(superblock.pageCount))
    }
  }

  /// Whether a log was found whose records are to be replayed.
  package var hasReplay: Bool { replay.map { $0.recordCount > 0 } ?? false }

  /// How many records the log holds.
  package var replayRecordCount: Int { replay?.recordCount ?? 0 }

  /// Hands over each record of the log, in order.
  package func replayLog(_ apply: (UnsafeRawBufferPointer) throws(PagerError) -> Void)
    throws(PagerError)
  {
    try replay?.forEachRecord(apply)
  }

  /// Ends recovery with a checkpoint that needs no log, and starts the background threads.
  ///
  /// Only now may the caller change anything.
  package func finishOpening() throws(PagerError) {
    if isReadOnly {
      replay = nil
      return
    }
    if let replay {
      checkpointMutex.lock()
      defer { checkpointMutex.unlock() }
      // Value bytes that the log named were linked by replay, and freed where it unlinked them.
      let segments = replay.segments.map(\.extent)
      superblock.logEnd = max(superblock.logEnd, replay.end)
      try endRecoveredLog(segments: segments)
    }
    replay = nil
    assert(Self.areNone(invariantViolations() + allocator.invariantViolations()))
    try startBackgroundThreads()
  }

  /// The checkpoint that ends recovery (rule E7).
  ///
  /// Checkpoint mutex held.
  private func endRecoveredLog(segments: [Extent]) throws(PagerError) {
    let inMap = segments.filter { freeMap.bits.contains(Int($0.first.rawValue)) }
    publishLatch.withLock {
      for extent in inMap {
        published.pointee.spaceChanges.append(SpaceChange(extent: extent, isUsed: false))
      }
      published.pointee.isChangedSinceCheckpoint = true
    }
    // The log object is not started, so the cut names no log.
    try writeCheckpoint(endingLog: nil, truncatingTo: nil)
    for extent in segments { try allocator.free(extent) }
  }

  // MARK: Superblocks

  private static func invalidPageSize(_ byteCount: Int) -> PagerError {
    PagerError(
      .invalidArgument, "a page size is a power of two from 4096 to 65536, not \(byteCount)")
  }

  /// Whether creation never came to its end: nothing but zeros in a short file.
  private static func isUnborn(_ storage: any Storage) throws(PagerError) -> Bool {
    let byteCount = try storage.byteCount()
    guard byteCount <= initialPageCount * 65536 else { return false }
    var start = [UInt8](repeating: 0, count: min(byteCount, 16))
    try storage.readBytes(into: &start, at: 0)
    if start.contains(where: { $0 != 0 }) { return false }
    var bytes = [UInt8](repeating: 0, count: byteCount)
    try storage.readBytes(into: &bytes, at: 0)
    // The superblocks are the last thing that creation writes: without them it did not end.
    let hasSuperblock = [0, 4096, 8192, 16384, 32768, 65536].contains { offset in
      offset + 16 <= byteCount && bytes[offset..<offset + 16].contains { $0 != 0 }
    }
    if hasSuperblock { return false }
    return !bytes.contains { $0 != 0 } || bytes.isUnfinishedCreation
  }

  static let initialPageCount = 16
  /// Log positions begin here, so that a position less a segment's header is never negative.
  static let firstLogPosition = LogSequenceNumber(4096)

  private static func create(
    in storage: any Storage, options: PagerOptions
  ) throws(PagerError) -> Superblock {
    let pageByteCount = options.pageByteCount ?? max(4096, SystemCalls.pageByteCount)
    guard Superblock.isPageSize(pageByteCount) else { throw invalidPageSize(pageByteCount) }
    var random = SystemRandomNumberGenerator()
    var block = Superblock(
      pageByteCount: pageByteCount, fileIdentifier: (random.next(), random.next()),
      pageCount: initialPageCount)
    block.checkpoint = 1
    block.epoch = Epoch(1)
    block.logEnd = Self.firstLogPosition
    try storage.allocate(byteRange: 0..<initialPageCount * pageByteCount)
    var map = FreeMap(
      layout: FreeMapLayout(pageByteCount: pageByteCount), checksumSeed: block.checksumSeed)
    try map.apply([], pageCount: initialPageCount)
    block.mapDigest = try map.writeChanges(checkpoint: 1, to: storage)
    try storage.synchronize()
    let bytes = block.encoded()
    for slot in 0...1 { try storage.writeBytes(bytes, at: slot * pageByteCount) }
    try storage.synchronize()
    try storage.synchronizeDirectory()
    return block
  }

  /// The valid superblock with the higher checkpoint number, or what is wrong with the file.
  static func readSuperblock(from storage: any Storage) throws(PagerError) -> Superblock {
    let fileByteCount = try storage.byteCount()
    var best: Superblock?
    var problems: [Superblock.Problem] = []
    for offset in [0, 4096, 8192, 16384, 32768, 65536] {
      guard offset + Superblock.byteCount <= fileByteCount else { continue }
      var bytes = [UInt8](repeating: 0, count: Superblock.byteCount)
      try storage.readBytes(into: &bytes, at: offset)
      do throws(Superblock.Problem) {
        let block = try Superblock.decode(bytes)
        // A copy of a superblock in some value's bytes is none.
        guard offset == 0 || offset == block.pageByteCount else { continue }
        if best == nil || block.checkpoint > (best?.checkpoint ?? 0) { best = block }
      } catch {
        problems.append(error)
      }
    }
    if let best { return best }
    throw error(for: problems, path: storage.path)
  }

  private static func error(for problems: [Superblock.Problem], path: String) -> PagerError {
    var isDamaged = false
    for problem in problems {
      switch problem {
      case .newerVersion(let version):
        return PagerError(
          .unsupportedVersion, "the file is of another format version than this library reads",
          path: path, expected: UInt64(Superblock.formatVersion), found: UInt64(version))
      case .unknownFeatures(let features):
        return PagerError(
          .unsupportedVersion, "the file uses features that this library does not know",
          path: path, found: UInt64(features))
      case .nonsense(let what):
        return PagerError(.corrupted, "the superblock makes no sense: \(what)", path: path)
      case .checksum:
        isDamaged = true
      case .noMagic:
        break
      }
    }
    return isDamaged
      ? PagerError(.corrupted, "both superblocks are damaged; salvage the file", path: path)
      : PagerError(.notADatabase, "the file is not a BTreeKV database", path: path)
  }
}

extension [UInt8] {
  /// Whether these are the bytes of a file whose creation was cut off: free-map pages, but no
  /// superblock yet.
  fileprivate var isUnfinishedCreation: Bool {
    for pageByteCount in [4096, 8192, 16384, 32768, 65536]
    where count == Pager.initialPageCount * pageByteCount {
      let map = self[2 * pageByteCount..<4 * pageByteCount]
      let rest = self[0..<2 * pageByteCount] + self[(4 * pageByteCount)...]
      if rest.allSatisfy({ $0 == 0 }),
        [0, 1].allSatisfy({ slot in
          let kind = map[(2 + slot) * pageByteCount + PageHeader.kindOffset]
          return kind == 0 || kind == PageHeader.freeMapKind
        })
      {
        return true
      }
    }
    return false
  }
}

extension Storage {
  /// Fills an array.
  func readBytes(into bytes: inout [UInt8], at offset: Int) throws(PagerError) {
    if bytes.isEmpty { return }
    let failure: PagerError? = bytes.withUnsafeMutableBytes { raw in
      do throws(PagerError) {
        try read(into: raw, at: offset)
        return nil
      } catch {
        return error
      }
    }
    if let failure { throw failure }
  }

  /// Writes an array.
  func writeBytes(_ bytes: [UInt8], at offset: Int) throws(PagerError) {
    let failure: PagerError? = bytes.withUnsafeBytes { raw in
      do throws(PagerError) {
        try write(raw, at: offset)
        return nil
      } catch {
        return error
      }
    }
    if let failure { throw failure }
  }
}

extension LogScan {
  /// How many pages the file must count to hold all that the log names.
  var pageCountNeeded: Int {
    let ends = (segments.map(\.extent) + namedExtents).map { Int($0.end) }
    return ends.max() ?? 0
  }
}
