package import Pager

// Changing bytes that are in force: always into new pages, so that a crash, a snapshot or a reader
// finds the old ones or the new ones, never a mix.

extension ChunkList {
  /// Writes bytes over those from an offset on, and appends what goes beyond the end; all or none.
  package func write(
    _ bytes: UnsafeRawBufferPointer, at offset: Int, _ access: TreeAccess,
    _ durability: Database.Durability?
  ) throws(PagerError) {
    try changeAtOnce(access, durability) { () throws(PagerError) in
      try write(bytes, at: offset, access)
    }
  }

  /// Makes the list shorter, or leaves it as it is, and then appends.
  package func truncate(
    to byteCount: Int, thenAppend bytes: UnsafeRawBufferPointer?, _ access: TreeAccess,
    _ durability: Database.Durability?
  ) throws(PagerError) {
    try changeAtOnce(access, durability) { () throws(PagerError) in
      try truncate(to: byteCount)
      if let bytes { _ = try append(bytes, access) }
    }
  }

  /// Runs several changes of the list as one.
  package func changeAtOnce<R>(
    _ access: TreeAccess, _ durability: Database.Durability?, _ body: () throws(PagerError) -> R
  ) throws(PagerError) -> R {
    try access.changeAtOnce(durability) { () throws(PagerError) in
      try know()
      do throws(PagerError) {
        return try body()
      } catch {
        forget()
        throw error
      }
    }
  }

  // MARK: Where the writer is already, in a transaction

  package func write(
    _ bytes: UnsafeRawBufferPointer, at offset: Int, _ access: TreeAccess
  ) throws(PagerError) {
    let count = writerByteCount
    guard offset >= 0, offset <= count else {
      throw PagerError(
        .invalidArgument, "byte \(offset) lies behind the region's end; write from there on",
        path: engine.path, expected: UInt64(count), found: UInt64(max(0, offset)))
    }
    let inside = min(bytes.count, count - offset)
    if inside > 0 {
      try overwrite(UnsafeRawBufferPointer(rebasing: bytes[..<inside]), at: offset)
    }
    if inside < bytes.count {
      _ = try append(UnsafeRawBufferPointer(rebasing: bytes[inside...]), access)
    }
  }

  private func overwrite(
    _ bytes: UnsafeRawBufferPointer, at offset: Int
  ) throws(PagerError) {
    var edits = ChunkEdits()
    edits.append(bytes, at: offset)
    try overwrite(edits)
  }

  /// Writes bytes over those that are there; each chunk that is touched is written anew, once.
  func overwrite(_ edits: consuming ChunkEdits) throws(PagerError) {
    beginLayoutChange()
    var pages = NewPages(self)
    defer { pages.giveBack() }
    let room = UnsafeMutableRawBufferPointer.allocate(
      byteCount: Chunk.fullByteCount, alignment: 4096)
    defer { room.deallocate() }
    try edits.forEachChunk { (index, pieces, chunksLeft) throws(PagerError) in
      let isTail = index == writer.pointee.tail.index
      var chunk = Chunk(
        index: index, byteCount: isTail ? writer.pointee.tail.byteCount : Chunk.fullByteCount)
      let content: UnsafeRawBufferPointer
      if pieces.count == 1, let only = pieces.first, only.bytes.count == chunk.byteCount {
        // A chunk in whole, the most frequent case of long writes, needs no copy.
        content = only.bytes
      } else {
        let target = UnsafeMutableRawBufferPointer(rebasing: room[..<chunk.byteCount])
        try copyOut(index, to: target)
        for piece in pieces {
          UnsafeMutableRawBufferPointer(
            rebasing: target[piece.offset..<piece.offset + piece.bytes.count]
          ).copyMemory(from: piece.bytes)
        }
        content = UnsafeRawBufferPointer(target)
      }
      if isTail, writer.pointee.tail.extent == nil {
        try insert(inline: content, index: index)
      } else {
        try put(content, as: &chunk, &pages, chunksLeft: chunksLeft)
      }
      if isTail { try setTail(chunk, content) }
    }
  }

  /// Writes a chunk's bytes into new pages and makes the tree refer to them.
  private func put(
    _ content: UnsafeRawBufferPointer, as chunk: inout Chunk, _ pages: inout NewPages,
    chunksLeft: Int
  ) throws(PagerError) {
    let old = chunk.index == writer.pointee.tail.index ? writer.pointee.tail.extent : nil
    let pageCount = old?.pageCount ?? Chunk.fullPageCount(pageByteCount)
    let extent = try pages.take(pageCount, chunksLeft: chunksLeft)
    do throws(PagerError) {
      try tree.write(content, at: 0, [extent])
      try tree.makeDurable(valueOf: content.count, inTransaction: true)
      chunk.birth = pager.publishLatch.withLock { pager.published.pointee.epoch }
      chunk.checksum = Chunk.checksum(of: checksum64(content, seed: 0))
      chunk.extent = extent
      try insert(chunk, in: extent)
    } catch {
      try? pager.allocator.free(extent)
      throw error
    }
  }

  private func copyOut(
    _ index: Int, to target: UnsafeMutableRawBufferPointer
  ) throws(PagerError) {
    try tree.forEachChunk(of: id, index..<index + 1, root: tree.descriptor.writerRoot) {
      (chunk, inline) throws(PagerError) in
      guard chunk.byteCount == target.count else { throw wrongLength }
      try withBytes(of: chunk, inline) { target.copyMemory(from: $0) }
    }
  }

  private var wrongLength: PagerError {
    PagerError(
      .corrupted, "a chunk of region \(id) has another length than it may have", path: engine.path)
  }

  /// Notes a new last chunk.
  private func setTail(_ chunk: Chunk, _ content: UnsafeRawBufferPointer) throws(PagerError) {
    writer.pointee.tail = chunk
    writer.pointee.sum = Checksum64Stream(seed: 0)
    writer.pointee.sum.update(content)
    try mapTail()
  }

  package func truncate(to byteCount: Int) throws(PagerError) {
    let count = writerByteCount
    guard byteCount >= 0, byteCount <= count else {
      throw PagerError(
        .invalidArgument, "a region can't be truncated to more bytes than it has",
        path: engine.path, expected: UInt64(count), found: UInt64(max(0, byteCount)))
    }
    guard byteCount < count else { return }
    beginLayoutChange()
    pager.kept.endReservation(of: self)
    let last = max(0, byteCount - 1) / Chunk.fullByteCount
    let left = byteCount - last * Chunk.fullByteCount
    _ = try tree.removeRange(ChunkKey.range(id, from: left == 0 ? last : last + 1))
    var tail = Chunk(index: last, byteCount: left)
    if left == 0 { return try setTail(tail, UnsafeRawBufferPointer(start: nil, count: 0)) }
    // The bytes that are cut off may still be in force for a snapshot or after a crash, so what is
    // appended next must not take their place: what is left moves to new pages.
    let room = UnsafeMutableRawBufferPointer.allocate(byteCount: left, alignment: 4096)
    defer { room.deallocate() }
    var old: Chunk?
    try tree.forEachChunk(of: id, last..<last + 1, root: tree.descriptor.writerRoot) {
      (chunk, inline) throws(PagerError) in
      old = chunk
      guard chunk.byteCount >= left else { throw wrongLength }
      try withBytes(of: chunk, inline) { bytes in
        room.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<left]))
      }
    }
    if let old, old.byteCount == left {
      return try setTail(old, UnsafeRawBufferPointer(room))
    }
    let content = UnsafeRawBufferPointer(room)
    if last == 0, tree.isInline(key: ChunkKey.byteCount, value: left) {
      try insert(inline: content, index: 0)
    } else {
      var pages = NewPages(self)
      defer { pages.giveBack() }
      // Any chunk but the first has room for a whole one.
      writer.pointee.tail = Chunk(
        index: last, byteCount: left, extent: last == 0 ? old?.extent : nil)
      try put(content, as: &tail, &pages, chunksLeft: 1)
    }
    try setTail(tail, content)
  }
}

/// Pages for new chunks, taken in runs so that these lie side by side.
private struct NewPages {
  private let list: ChunkList
  private var rest: Extent?

  init(_ list: ChunkList) { self.list = list }

  /// Takes the pages of one chunk.
  ///
  /// - Parameter chunksLeft: how many are to come, with this one.
  mutating func take(_ pageCount: Int, chunksLeft: Int) throws(PagerError) -> Extent {
    if rest == nil {
      let most = max(1, list.tree.longestRun / pageCount)
      let allocator = list.pager.allocator
      do throws(PagerError) {
        rest = try allocator.allocateExtent(pageCount: min(chunksLeft, most) * pageCount)
      } catch {
        guard error.code == .diskFull, chunksLeft > 1 else { throw error }
        rest = try allocator.allocateExtent(pageCount: pageCount)
      }
    }
    guard let run = rest, run.pageCount >= pageCount else {
      giveBack()
      return try take(pageCount, chunksLeft: chunksLeft)
    }
    let left = run.pageCount - pageCount
    rest =
      left > 0
      ? Extent(first: PageID(run.first.rawValue + UInt64(pageCount)), pageCount: left) : nil
    return Extent(first: run.first, pageCount: pageCount)
  }

  /// Gives back what was not taken.
  mutating func giveBack() {
    if let rest { try? list.pager.allocator.free(rest) }
    rest = nil
  }
}

// MARK: Making and removing lists

extension ChunkList {
  /// Makes the tree say that the list is there; in a transaction.
  package func create(_ access: TreeAccess) throws(PagerError) {
    try access.change(nil) { () throws(PagerError) in
      _ = try ChunkKey.head(id).span.bytes.withUnsafeBytes { (key) throws(PagerError) in
        try tree.mutate(
          Tree.Mutation(key: key, payload: UnsafeRawBufferPointer(start: nil, count: 0)))
      }
    }
  }

  /// Removes the list with all its bytes; in a transaction.
  package func remove(_ access: TreeAccess) throws(PagerError) {
    try access.change(nil) { () throws(PagerError) in
      // The number must not be used again, also if it is the highest one.
      try engine.knowChunkListIDs()
      beginLayoutChange()
      pager.kept.endReservation(of: self)
      forget()
      _ = try tree.removeRange(ChunkKey.range(id, from: nil))
    }
  }
}
