package import Pager

/// Bytes in chunks of their own that nobody sees yet, to become part of a list all at once.
///
/// They are written to pages that no tree refers to, so nothing is held up meanwhile, however slow
/// their source; a crash leaves nothing of them. What no list has taken over is given back with this.
/// It belongs to one task or thread at a time.
package final class ChunkStage {
  let list: ChunkList
  let buffer: UnsafeMutableRawBufferPointer
  var bufferedCount: Int
  /// Bytes at the start that are not of the content: as many as the list's last chunk has, so that
  /// borders of chunks are in the same places.
  let leadByteCount: Int
  var chunks: [Chunk] = []
  /// Those of which bytes have changed since their checksums were computed.
  var changedChunks: Set<Int> = []
  private var sum = Checksum64Stream(seed: 0)
  private var extents: [Extent] = []
  /// The pages of the last run that hold nothing yet.
  private var freePageCount = 0
  /// Where in the file the last bytes were written that the system was not told to sync yet.
  private var unsynced = 0..<0
  /// The chunks that a transaction has made the list's.
  private var adopted = 0..<0

  /// Four chunks: a write of this size costs little more than its copy.
  ///
  /// One in debug builds, so that tests write many.
  private static let bufferByteCount =
    (_isDebugAssertConfiguration() ? 1 : 4) * Chunk.fullByteCount

  /// So many bytes at once are to go to the medium while more are written.
  private static var synchronizedByteCount: Int { 8 << 20 }

  /// - Parameter leadByteCount: less than a chunk.
  init(_ list: ChunkList, leadByteCount: Int = 0) {
    self.list = list
    self.leadByteCount = leadByteCount
    buffer = .allocate(byteCount: Self.bufferByteCount, alignment: 4096)
    buffer.baseAddress?.initializeMemory(as: UInt8.self, repeating: 0, count: leadByteCount)
    bufferedCount = leadByteCount
  }

  deinit {
    // What became of the transaction, the tree knows: its pages are free now if it was rolled back.
    list.pager.kept.release(adopted.lazy.compactMap { [chunks] in chunks[$0].extent })
    dropChunks(adopted.upperBound..<chunks.count)
    dropChunks(0..<adopted.lowerBound)
    giveBackRest()
    buffer.deallocate()
  }

  private func giveBackRest() {
    let full = Chunk.fullPageCount(list.pageByteCount)
    while freePageCount > 0, let last = extents.last {
      list.pager.kept.freeStaged(
        Extent(first: PageID(last.end - UInt64(freePageCount)), pageCount: full))
      freePageCount -= full
    }
  }

  /// Gives back pages of chunks that no list has.
  private func dropChunks(_ range: Range<Int>) {
    for chunk in chunks[range] {
      if let extent = chunk.extent { list.pager.kept.freeStaged(extent) }
    }
  }

  /// Drops the last chunks.
  func dropChunks(from index: Int) {
    dropChunks(index..<chunks.count)
    chunks.removeSubrange(index...)
    changedChunks = changedChunks.filter { $0 < index }
  }

  /// How many bytes there are so far.
  package var byteCount: Int { (chunks.last?.end ?? 0) + bufferedCount - leadByteCount }

  /// The checksum of all bytes so far.
  package var checksum: UInt64 { sum.finish() }

  /// All bytes, as long as they are so few that nothing was written.
  package var bytesInMemory: UnsafeRawBufferPointer? {
    chunks.isEmpty ? UnsafeRawBufferPointer(rebasing: buffer[..<bufferedCount]) : nil
  }

  /// Appends bytes.
  package func append(_ bytes: UnsafeRawBufferPointer) throws(PagerError) {
    sum.update(bytes)
    try put(bytes)
  }

  /// Appends bytes that have no part in `checksum`, all or none.
  package func put(_ bytes: UnsafeRawBufferPointer) throws(PagerError) {
    var rest = bytes
    if bufferedCount + bytes.count > buffer.count {
      // What is buffered is filled up to the border of a chunk; what fills chunks behind it needs no
      // copy.
      let full = Chunk.fullByteCount
      let missing = (full - bufferedCount % full) % full
      copyToBuffer(UnsafeRawBufferPointer(rebasing: bytes[..<missing]))
      rest = UnsafeRawBufferPointer(rebasing: bytes[missing...])
      let wholeCount = rest.count / full * full
      let before = chunks.count
      do throws(PagerError) {
        try write(UnsafeRawBufferPointer(rebasing: buffer[..<(bufferedCount + missing)]))
        try write(UnsafeRawBufferPointer(rebasing: rest[..<wholeCount]))
      } catch {
        dropChunks(from: before)
        throw error
      }
      bufferedCount = 0
      rest = UnsafeRawBufferPointer(rebasing: rest[wholeCount...])
    }
    copyToBuffer(rest)
    bufferedCount += rest.count
  }

  /// Copies bytes behind those that are buffered.
  private func copyToBuffer(_ bytes: UnsafeRawBufferPointer) {
    UnsafeMutableRawBufferPointer(rebasing: buffer[bufferedCount..<bufferedCount + bytes.count])
      .copyMemory(from: bytes)
  }

  /// Appends zeros up to a multiple of a block.
  func pad() throws(PagerError) {
    let block = EntryTrailer.blockByteCount
    let count = (block - byteCount % block) % block
    try withUnsafeBytes(of: (UInt64(0), UInt64(0), UInt64(0), UInt64(0))) {
      (zeros) throws(PagerError) in
      try put(UnsafeRawBufferPointer(rebasing: zeros[..<min(32, count)]))
      try put(UnsafeRawBufferPointer(rebasing: zeros[..<max(0, count - 32)]))
    }
  }

  /// Writes bytes into chunks, of which only the last may be short.
  private func write(_ bytes: UnsafeRawBufferPointer) throws(PagerError) {
    let full = Chunk.fullPageCount(list.pageByteCount)
    var rest = bytes
    while !rest.isEmpty {
      if freePageCount < full { try takeRun() }
      guard let last = extents.last else { return }
      let count = min(rest.count, freePageCount / full * Chunk.fullByteCount)
      let first = last.end - UInt64(freePageCount)
      try list.tree.write(
        UnsafeRawBufferPointer(rebasing: rest[..<count]), at: 0,
        [Extent(first: PageID(first), pageCount: freePageCount)])
      beginSynchronizing(Int(first) * list.pageByteCount, byteCount: count)
      for offset in stride(from: 0, to: count, by: Chunk.fullByteCount) {
        let bytes = UnsafeRawBufferPointer(
          rebasing: rest[offset..<min(count, offset + Chunk.fullByteCount)])
        let extent = Extent(first: PageID(last.end - UInt64(freePageCount)), pageCount: full)
        freePageCount -= full
        chunks.append(
          Chunk(
            index: chunks.count, byteCount: bytes.count, extent: extent,
            checksum: Chunk.checksum(of: checksum64(bytes, seed: 0))))
      }
      rest = UnsafeRawBufferPointer(rebasing: rest[count...])
    }
  }

  /// Lets the system put the bytes on the medium while more come, so that `finish` has less to wait for.
  private func beginSynchronizing(_ start: Int, byteCount: Int) {
    if start != unsynced.upperBound { unsynced = start..<start }
    unsynced = unsynced.lowerBound..<start + byteCount
    guard unsynced.count >= Self.synchronizedByteCount else { return }
    list.pager.storage.beginSynchronizing(byteRange: unsynced)
    unsynced = unsynced.upperBound..<unsynced.upperBound
  }

  /// Takes more pages: behind the last ones if they are free, and ever more at once.
  private func takeRun() throws(PagerError) {
    giveBackRest()
    let full = Chunk.fullPageCount(list.pageByteCount)
    let allocator = list.pager.allocator
    let longest = list.tree.longestRun / full * full
    let wish = max(Self.bufferByteCount / list.pageByteCount, (extents.last?.pageCount ?? 0) * 2)
    let pageCount = min(max(full, wish / full * full), longest)
    let run = try list.pager.kept.stage(piecesOf: full) { () throws(PagerError) in
      if let last = extents.last,
        let next = allocator.allocateExtent(at: last.end, pageCount: pageCount, multipleOf: full)
      {
        return next
      }
      return try allocateRun(pageCount)
    }
    extents.append(run)
    freePageCount = run.pageCount
  }

  private func allocateRun(_ pageCount: Int) throws(PagerError) -> Extent {
    let full = Chunk.fullPageCount(list.pageByteCount)
    do throws(PagerError) {
      return try list.pager.allocator.allocateExtent(pageCount: pageCount)
    } catch {
      guard error.code == .diskFull, pageCount > full else { throw error }
      return try list.pager.allocator.allocateExtent(pageCount: full)
    }
  }

  /// Ends the bytes: they are written, and as durable as a log record demands that refers to them.
  func finish(inTransaction: Bool) throws(PagerError) {
    let count = byteCount
    try write(UnsafeRawBufferPointer(rebasing: buffer[..<bufferedCount]))
    bufferedCount = 0
    giveBackRest()
    try list.tree.makeDurable(valueOf: count, inTransaction: inTransaction)
  }

  /// Makes chunks the list's next ones; in a transaction, when the list ends at a chunk's border.
  ///
  /// Their pages are held, so that they can be taken back when the transaction comes to nothing.
  fileprivate func handOver(_ range: Range<Int>, from first: Int) throws(PagerError) {
    let pager = list.pager
    let birth = pager.publishLatch.withLock { pager.published.pointee.epoch }
    precondition(adopted.isEmpty, "what was handed over was not taken back")
    adopted = range.lowerBound..<range.lowerBound
    // What was taken ahead lies where the list would grow.
    giveBackRest()
    try computeChecksums()
    for index in range {
      var chunk = chunks[index]
      guard let extent = chunk.extent else { return }
      chunk.index = first + index - range.lowerBound
      chunk.birth = birth
      try list.insert(chunk, in: extent)
      pager.kept.endStaging(extent)
      pager.kept.hold(CollectionOfOne(extent))
      adopted = range.lowerBound..<index + 1
    }
  }

  /// Takes back what a transaction made the list's that was rolled back: as if it had never been.
  package func takeBack() {
    for chunk in chunks[adopted] {
      if let extent = chunk.extent { list.pager.kept.takeBack(extent) }
    }
    adopted = 0..<0
  }
}

extension ChunkList {
  /// Somewhere to put bytes that are to become part of the list.
  package func stage() -> ChunkStage { ChunkStage(self) }

  /// Makes staged bytes the list's next ones, without copying them; in a transaction.
  ///
  /// They begin at the border of a chunk: zeros fill the one before.
  ///
  /// - Returns: how many zeros.
  func adopt(_ stage: ChunkStage, _ access: TreeAccess) throws(PagerError) -> Int {
    guard stage.byteCount > 0 else { return 0 }
    let count = writerByteCount
    let gap = (Chunk.fullByteCount - count % Chunk.fullByteCount) % Chunk.fullByteCount
    if gap > 0 {
      let zeros = UnsafeMutableRawBufferPointer.allocate(byteCount: gap, alignment: 16)
      defer { zeros.deallocate() }
      zeros.initializeMemory(as: UInt8.self, repeating: 0)
      _ = try append(UnsafeRawBufferPointer(zeros), access)
    }
    try adopt(stage, 0..<stage.chunks.count)
    return gap
  }

  /// Makes staged chunks the list's next ones; in a transaction, at the border of a chunk.
  func adopt(_ stage: ChunkStage, _ range: Range<Int>) throws(PagerError) {
    let end = writerByteCount
    pager.kept.endReservation(of: self)
    defer { forget() }
    try stage.handOver(range, from: end / Chunk.fullByteCount)
  }
}
