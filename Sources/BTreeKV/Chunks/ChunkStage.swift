package import Pager

/// Bytes in chunks of their own that nobody sees yet, to become part of a list all at once.
///
/// They are written to pages that no tree refers to, so nothing is held up meanwhile, however slow
/// their source; a crash leaves nothing of them. What no list has taken over is given back with this.
/// It belongs to one task or thread at a time.
package final class ChunkStage {
  private let list: ChunkList
  private let buffer: UnsafeMutableRawBufferPointer
  private var bufferedCount = 0
  private var writtenCount = 0
  private var sum = Checksum64Stream(seed: 0)
  private var extents: [Extent] = []
  /// The pages of the last run that hold nothing yet.
  private var freePageCount = 0
  private var chunks: [Chunk] = []
  private var adoptedCount = 0

  /// Four chunks: a write of this size costs little more than its copy.
  private static let bufferByteCount = 4 * Chunk.fullByteCount

  init(_ list: ChunkList) {
    self.list = list
    buffer = .allocate(byteCount: Self.bufferByteCount, alignment: 4096)
  }

  deinit {
    for chunk in chunks[adoptedCount...] {
      if let extent = chunk.extent { try? list.pager.allocator.free(extent) }
    }
    giveBackRest()
    buffer.deallocate()
  }

  private func giveBackRest() {
    guard freePageCount > 0, let last = extents.last else { return }
    let rest = Extent(
      first: PageID(last.end - UInt64(freePageCount)), pageCount: freePageCount)
    try? list.pager.allocator.free(rest)
    freePageCount = 0
  }

  /// How many bytes there are so far.
  package var byteCount: Int { writtenCount + bufferedCount }

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

  /// Appends bytes that have no part in `checksum`.
  func put(_ bytes: UnsafeRawBufferPointer) throws(PagerError) {
    var rest = bytes
    while !rest.isEmpty {
      if bufferedCount == buffer.count { try emptyBuffer() }
      let count = min(rest.count, buffer.count - bufferedCount)
      UnsafeMutableRawBufferPointer(rebasing: buffer[bufferedCount..<bufferedCount + count])
        .copyMemory(from: UnsafeRawBufferPointer(rebasing: rest[..<count]))
      bufferedCount += count
      rest = UnsafeRawBufferPointer(rebasing: rest[count...])
    }
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

  /// Writes what is buffered into chunks, of which only the last may be short.
  private func emptyBuffer() throws(PagerError) {
    let full = Chunk.fullPageCount(list.pageByteCount)
    var start = 0
    while start < bufferedCount {
      if freePageCount < full { try takeRun() }
      guard let last = extents.last else { return }
      let count = min(bufferedCount - start, freePageCount / full * Chunk.fullByteCount)
      let first = last.end - UInt64(freePageCount)
      try list.tree.write(
        UnsafeRawBufferPointer(rebasing: buffer[start..<start + count]), at: 0,
        [Extent(first: PageID(first), pageCount: freePageCount)])
      for offset in stride(from: 0, to: count, by: Chunk.fullByteCount) {
        let bytes = UnsafeRawBufferPointer(
          rebasing: buffer[start + offset..<start + min(count, offset + Chunk.fullByteCount)])
        let extent = Extent(first: PageID(last.end - UInt64(freePageCount)), pageCount: full)
        freePageCount -= full
        chunks.append(
          Chunk(
            index: chunks.count, byteCount: bytes.count, extent: extent,
            checksum: Chunk.checksum(of: checksum64(bytes, seed: 0))))
      }
      start += count
    }
    writtenCount += bufferedCount
    bufferedCount = 0
  }

  /// Takes more pages: behind the last ones if they are free, and ever more at once.
  private func takeRun() throws(PagerError) {
    giveBackRest()
    let full = Chunk.fullPageCount(list.pageByteCount)
    let allocator = list.pager.allocator
    let longest = list.tree.longestRun / full * full
    let wish = max(Self.bufferByteCount / list.pageByteCount, (extents.last?.pageCount ?? 0) * 2)
    let pageCount = min(max(full, wish / full * full), longest)
    var run: Extent?
    if let last = extents.last {
      run = allocator.allocateExtent(at: last.end, pageCount: pageCount, multipleOf: full)
    }
    if run == nil { run = try allocateRun(pageCount) }
    guard let run else { return }
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
    try emptyBuffer()
    giveBackRest()
    try list.tree.makeDurable(valueOf: count, inTransaction: inTransaction)
  }

  /// Makes the chunks the list's next ones; in a transaction, when the list ends at a chunk's border.
  fileprivate func handOver(from first: Int) throws(PagerError) {
    let birth = list.pager.publishLatch.withLock { list.pager.published.pointee.epoch }
    while adoptedCount < chunks.count {
      var chunk = chunks[adoptedCount]
      guard let extent = chunk.extent else { return }
      chunk.index = first + adoptedCount
      chunk.birth = birth
      try list.insert(chunk, in: extent)
      adoptedCount += 1
    }
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
    pager.kept.endReservation(of: self)
    defer { forget() }
    try stage.handOver(from: (count + gap) / Chunk.fullByteCount)
    return gap
  }
}
