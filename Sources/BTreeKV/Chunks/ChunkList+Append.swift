package import Pager

// Appending: bytes first, in place behind those that are in force, then the reference that counts them.

extension ChunkList {
  /// From how many bytes on a copy by the system is cheaper than one into mapped pages.
  private static var mappedLimit: Int { 16 << 10 }

  /// Appends bytes, all or none.
  ///
  /// - Returns: how many bytes were there before.
  package func append(
    _ bytes: UnsafeRawBufferPointer, _ access: TreeAccess, _ durability: Database.Durability?
  ) throws(PagerError) -> Int {
    try access.change(durability) { () throws(PagerError) in
      try know()
      return try append(bytes, access)
    }
  }

  /// Appends bytes where the writer is already.
  func append(
    _ bytes: UnsafeRawBufferPointer, _ access: TreeAccess
  ) throws(PagerError) -> Int {
    let start = writerByteCount
    if bytes.isEmpty { return start }
    do throws(PagerError) {
      if let extent = writer.pointee.tail.extent,
        writer.pointee.tail.byteCount + bytes.count
          <= min(Chunk.fullByteCount, extent.pageCount * pageByteCount)
      {
        try extendTail(bytes, in: extent)
      } else if writer.pointee.tail.index == 0, writer.pointee.tail.extent == nil,
        tree.isInline(
          key: ChunkKey.byteCount, value: writer.pointee.tail.byteCount + bytes.count)
      {
        try extendInLeaf(bytes)
      } else {
        try access.atOnce { () throws(PagerError) in try extend(bytes) }
      }
      return start
    } catch {
      forget()
      throw error
    }
  }

  /// Appends bytes over the borders of chunks, in a transaction.
  private func extend(_ bytes: UnsafeRawBufferPointer) throws(PagerError) {
    var rest = bytes
    while !rest.isEmpty {
      if writer.pointee.tail.byteCount == Chunk.fullByteCount {
        if writer.pointee.isShort, let memory = writer.pointee.memory {
          pager.storage.noteWritten(memory, byteCount: Chunk.fullByteCount)
        }
        writer.pointee.tail = Chunk(index: writer.pointee.tail.index + 1, byteCount: 0)
        writer.pointee.sum = Checksum64Stream(seed: 0)
      }
      if writer.pointee.tail.byteCount == 0, rest.count >= 2 * Chunk.fullByteCount {
        let count = try extendByRun(rest)
        rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        continue
      }
      let count = min(rest.count, Chunk.fullByteCount - writer.pointee.tail.byteCount)
      let extent = try roomInTail(for: count, rest: rest.count, whole: bytes.count)
      do throws(PagerError) {
        try extendTail(UnsafeRawBufferPointer(rebasing: rest[..<count]), in: extent)
      } catch {
        // What the tree does not refer to, no rollback gives back.
        if writer.pointee.tail.extent != extent { try? pager.allocator.free(extent) }
        throw error
      }
      rest = UnsafeRawBufferPointer(rebasing: rest[count...])
    }
  }

  /// The most bytes that are written at once: so many are still in the processor's cache for their
  /// checksums.
  private static var runByteCount: Int { 1 << 20 }

  /// Appends whole chunks that lie side by side, with one write; in a transaction, in place of an empty
  /// tail.
  ///
  /// - Parameter bytes: all that are to be appended.
  /// - Returns: how many were.
  private func extendByRun(_ bytes: UnsafeRawBufferPointer) throws(PagerError) -> Int {
    let full = Chunk.fullPageCount(pageByteCount)
    if pager.kept.reservation(of: self)?.pageCount ?? 0 < full {
      try reserveMore(forBytes: bytes.count)
    }
    let most = min(bytes.count, Self.runByteCount) / Chunk.fullByteCount
    let there = (pager.kept.reservation(of: self)?.pageCount ?? 0) / full
    guard let run = pager.kept.takeReserved(min(most, there) * full, of: self) else { throw noRoom }
    var chunk = writer.pointee.tail
    var used = 0
    do throws(PagerError) {
      let count = run.pageCount / full * Chunk.fullByteCount
      try tree.write(UnsafeRawBufferPointer(rebasing: bytes[..<count]), at: 0, [run])
      try tree.makeDurable(valueOf: count, inTransaction: true)
      chunk.birth = pager.publishLatch.withLock { pager.published.pointee.epoch }
      chunk.byteCount = Chunk.fullByteCount
      while used < run.pageCount {
        let start = used / full * Chunk.fullByteCount
        writer.pointee.sum = Checksum64Stream(seed: 0)
        writer.pointee.sum.update(
          UnsafeRawBufferPointer(rebasing: bytes[start..<start + Chunk.fullByteCount]))
        chunk.checksum = Chunk.checksum(of: writer.pointee.sum.finish())
        let extent = Extent(first: PageID(run.first.rawValue + UInt64(used)), pageCount: full)
        if used > 0 { chunk.index += 1 }
        try insert(chunk, in: extent)
        chunk.extent = extent
        used += full
      }
      writer.pointee.tail = chunk
      writer.pointee.memory = nil
      return count
    } catch {
      // What the tree does not refer to, no rollback gives back.
      try? pager.allocator.free(
        Extent(
          first: PageID(run.first.rawValue + UInt64(used)), pageCount: run.pageCount - used))
      throw error
    }
  }

  /// Appends to a list that is short enough for a leaf.
  private func extendInLeaf(_ bytes: UnsafeRawBufferPointer) throws(PagerError) {
    var all: [UInt8] = []
    all.reserveCapacity(writer.pointee.tail.byteCount + bytes.count)
    if writer.pointee.tail.byteCount > 0 {
      try withBytes(of: 0, root: tree.descriptor.writerRoot) { all.append(contentsOf: $0) }
    }
    all.append(contentsOf: bytes)
    try all.span.bytes.withUnsafeBytes { (all) throws(PagerError) in
      try insert(inline: all, index: 0)
    }
    writer.pointee.tail.byteCount = all.count
    writer.pointee.sum.update(bytes)
  }

  func insert(inline bytes: UnsafeRawBufferPointer, index: Int) throws(PagerError) {
    _ = try ChunkKey.with(id, index) { (key) throws(PagerError) in
      try tree.mutate(Tree.Mutation(key: key, payload: bytes))
    }
  }

  func insert(_ chunk: Chunk, in extent: Extent) throws(PagerError) {
    _ = try ChunkKey.with(id, chunk.index) { (key) throws(PagerError) in
      try chunk.withReference(to: extent) { (payload) throws(PagerError) in
        try tree.mutate(Tree.Mutation(key: key, payload: payload, isLarge: true))
      }
    }
  }

  /// Writes bytes behind the tail's and makes the tree count them.
  private func extendTail(
    _ bytes: UnsafeRawBufferPointer, in extent: Extent
  ) throws(PagerError) {
    var tail = writer.pointee.tail
    try put(bytes, at: tail.byteCount, in: extent)
    try tree.makeDurable(valueOf: bytes.count, inTransaction: tree.isInTransaction)
    writer.pointee.sum.update(bytes)
    tail.byteCount += bytes.count
    tail.checksum = Chunk.checksum(of: writer.pointee.sum.finish())
    try insert(tail, in: extent)
    tail.extent = extent
    writer.pointee.tail = tail
  }

  /// Writes bytes into pages that the tree does not refer to so far.
  private func put(
    _ bytes: UnsafeRawBufferPointer, at offset: Int, in extent: Extent
  ) throws(PagerError) {
    if bytes.count <= Self.mappedLimit, writer.pointee.isShort, let memory = writer.pointee.memory,
      let from = bytes.baseAddress
    {
      (memory + offset).copyMemory(from: from, byteCount: bytes.count)
    } else {
      try tree.write(bytes, at: offset, [extent])
    }
  }

  // MARK: Room

  /// The pages for the tail with `count` more bytes: its own, or new ones into which it is copied.
  ///
  /// - Parameters:
  ///   - rest: how many bytes are to be appended from here on.
  ///   - whole: how many are appended altogether.
  private func roomInTail(for count: Int, rest: Int, whole: Int) throws(PagerError) -> Extent {
    let tail = writer.pointee.tail
    let needed = tail.byteCount + count
    if let extent = tail.extent, needed <= extent.pageCount * pageByteCount { return extent }
    let full = Chunk.fullPageCount(pageByteCount)
    let extent: Extent
    if tail.index == 0, rest + tail.byteCount < Chunk.fullByteCount,
      pager.kept.reservation(of: self) == nil
    {
      var pageCount = 1
      while pageCount * pageByteCount < needed { pageCount *= 2 }
      extent = try pager.allocator.allocateExtent(pageCount: min(pageCount, full))
    } else {
      extent = try takeChunk(forBytes: rest)
    }
    do throws(PagerError) {
      if tail.byteCount > 0 {
        try withBytes(of: tail.index, root: tree.descriptor.writerRoot) {
          (bytes) throws(PagerError) in
          try tree.write(bytes, at: 0, [extent])
        }
      }
      writer.pointee.tail.birth = pager.publishLatch.withLock { pager.published.pointee.epoch }
      writer.pointee.memory = try pager.writableMemory(of: extent)
      writer.pointee.isShort = whole <= Self.mappedLimit
      if writer.pointee.isShort, let memory = writer.pointee.memory {
        pager.storage.prefault(memory, byteCount: extent.pageCount * pageByteCount)
      }
      return extent
    } catch {
      try? pager.allocator.free(extent)
      throw error
    }
  }

  /// The pages of a new chunk, side by side with the one before as far as possible.
  private func takeChunk(forBytes byteCount: Int) throws(PagerError) -> Extent {
    let full = Chunk.fullPageCount(pageByteCount)
    if let next = pager.kept.takeReserved(full, of: self) { return next }
    try reserveMore(forBytes: byteCount)
    guard let next = pager.kept.takeReserved(full, of: self) else { throw noRoom }
    return next
  }

  private var noRoom: PagerError {
    PagerError(.diskFull, "there is no room for a chunk of 64 KiB", path: engine.path)
  }

  /// Reserves pages for more bytes, and more of them the longer the list is.
  private func reserveMore(forBytes byteCount: Int) throws(PagerError) {
    let start = writer.pointee.tail.start
    try reserve(byteCount: start == 0 ? byteCount : max(byteCount, min(start / 4, 64 << 20)))
  }

  /// Reserves a run of pages for more chunks, behind the last one if it is free there.
  private func reserve(byteCount: Int) throws(PagerError) {
    let full = Chunk.fullPageCount(pageByteCount)
    let chunkCount = (byteCount + Chunk.fullByteCount - 1) / Chunk.fullByteCount
    let pageCount = max(1, min(chunkCount, tree.longestRun / full)) * full
    pager.kept.endReservation(of: self)
    if let last = writer.pointee.tail.extent ?? previousExtent(),
      let extent = pager.allocator.allocateExtent(
        at: last.end, pageCount: pageCount, multipleOf: full)
    {
      return pager.kept.setReservation(extent, of: self)
    }
    do throws(PagerError) {
      let extent = try pager.allocator.allocateExtent(pageCount: pageCount)
      pager.kept.setReservation(extent, of: self)
    } catch {
      guard error.code == .diskFull, pageCount > full else { throw error }
      let extent = try pager.allocator.allocateExtent(pageCount: full)
      pager.kept.setReservation(extent, of: self)
    }
  }

  /// Where the chunk before a new tail lies.
  private func previousExtent() -> Extent? {
    guard writer.pointee.tail.index > 0 else { return nil }
    var found: Extent?
    let index = writer.pointee.tail.index - 1
    try? tree.forEachChunk(of: id, index..<index + 1, root: tree.descriptor.writerRoot) {
      chunk, _ in
      found = chunk.extent
    }
    return found
  }

  /// Reserves room for so many bytes in all, for as long as the file is open.
  package func reserve(
    _ byteCount: Int, _ access: TreeAccess
  ) throws(PagerError) {
    try access.change(nil) { () throws(PagerError) in
      try know()
      let full = Chunk.fullPageCount(pageByteCount)
      let tail = writer.pointee.tail
      let last = tail.extent ?? previousExtent()
      // Chunks that have all their pages; the first one may have fewer.
      let there = tail.index + (tail.extent?.pageCount == full ? 1 : 0)
      let chunkCount = (max(0, byteCount) - 1) / Chunk.fullByteCount + 1 - there
      let old = pager.kept.reservation(of: self)
      guard byteCount > 0, chunkCount * full > old?.pageCount ?? 0 else { return }
      guard chunkCount <= tree.longestRun / full else {
        throw PagerError(
          .invalidArgument, "so many bytes can't be reserved in one piece", path: engine.path,
          expected: UInt64((tree.longestRun / full + there) * Chunk.fullByteCount),
          found: UInt64(byteCount))
      }
      let new = try run(of: chunkCount * full, from: old, behind: last)
      pager.kept.setReservation(new, of: self)
    }
  }

  /// A run of so many pages: what is reserved and more behind it, or else one behind the last chunk, or
  /// anywhere.
  ///
  /// What was reserved is part of it or given back.
  private func run(
    of pageCount: Int, from old: Extent?, behind last: Extent?
  ) throws(PagerError) -> Extent {
    let allocator = pager.allocator
    if let old {
      let more = pageCount - old.pageCount
      if allocator.allocateExtent(at: old.end, pageCount: more, multipleOf: more) != nil {
        return Extent(first: old.first, pageCount: pageCount)
      }
    } else if let last,
      let new = allocator.allocateExtent(
        at: last.end, pageCount: pageCount, multipleOf: pageCount)
    {
      return new
    }
    let new = try allocator.allocateExtent(pageCount: pageCount)
    pager.kept.endReservation(of: self)
    return new
  }

  /// How many bytes the list can have without more room.
  package var reservedByteCount: Int {
    (pager.kept.reservation(of: self)?.pageCount ?? 0) * pageByteCount
  }
}
