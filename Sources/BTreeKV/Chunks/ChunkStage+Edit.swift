package import Pager

// Bytes that are staged and may still change: read, written over and cut off before a list has them.

extension ChunkStage {
  /// Copies bytes out.
  ///
  /// - Parameter offset: they must be there.
  package func read(
    into room: UnsafeMutableRawBufferPointer, at offset: Int
  ) throws(PagerError) {
    try forEachPlace(offset..<offset + room.count) { (place, part) throws(PagerError) in
      let target = UnsafeMutableRawBufferPointer(rebasing: room[part])
      switch place {
      case .buffer(let start):
        target.copyMemory(
          from: UnsafeRawBufferPointer(rebasing: buffer[start..<start + part.count]))
      case .file(_, let start):
        try list.pager.storage.read(into: target, at: start)
      }
    }
  }

  /// Writes bytes over others.
  ///
  /// - Parameter offset: those must be there.
  package func overwrite(
    _ bytes: UnsafeRawBufferPointer, at offset: Int
  ) throws(PagerError) {
    try forEachPlace(offset..<offset + bytes.count) { (place, part) throws(PagerError) in
      let source = UnsafeRawBufferPointer(rebasing: bytes[part])
      switch place {
      case .buffer(let start):
        UnsafeMutableRawBufferPointer(rebasing: buffer[start..<start + part.count])
          .copyMemory(from: source)
      case .file(let index, let start):
        changedChunks.insert(index)
        do throws(PagerError) {
          try list.pager.storage.write(source, at: start)
        } catch {
          list.pager.noteFailedWrite(error)
          throw error
        }
      }
    }
  }

  /// Drops the bytes from a place on.
  ///
  /// - Parameter byteCount: how many are left, at most those that there are.
  package func truncate(to byteCount: Int) throws(PagerError) {
    let end = leadByteCount + byteCount
    let index = end / Chunk.fullByteCount
    if index < chunks.count {
      // What is left of the chunk that is cut is buffered again.
      let rest = UnsafeMutableRawBufferPointer.allocate(
        byteCount: end % Chunk.fullByteCount, alignment: 4096)
      defer { rest.deallocate() }
      if let extent = chunks[index].extent, !rest.isEmpty {
        try list.pager.storage.read(
          into: rest, at: Int(extent.first.rawValue) * list.pageByteCount)
      }
      dropChunks(from: index)
      buffer.copyMemory(from: UnsafeRawBufferPointer(rest))
      bufferedCount = rest.count
    } else {
      bufferedCount = end - chunks.count * Chunk.fullByteCount
    }
  }

  /// Where a byte is.
  private enum Place {
    /// At an offset of the buffer.
    case buffer(Int)
    /// In a chunk, at an offset of the file.
    case file(chunk: Int, Int)
  }

  /// - Parameter body: gets a place and which of the bytes lie from there on.
  private func forEachPlace(
    _ range: Range<Int>, _ body: (Place, Range<Int>) throws(PagerError) -> Void
  ) throws(PagerError) {
    precondition(range.upperBound <= byteCount, "there are not so many bytes")
    let full = Chunk.fullByteCount
    let end = leadByteCount + range.upperBound
    let start = leadByteCount + range.lowerBound
    var next = start
    while next < end {
      let index = next / full
      let place: Place
      var count = end - next
      if index < chunks.count, let extent = chunks[index].extent {
        let offset = next - index * full
        place = .file(chunk: index, Int(extent.first.rawValue) * list.pageByteCount + offset)
        count = min(count, full - offset)
      } else {
        place = .buffer(next - chunks.count * full)
      }
      try body(place, next - start..<next - start + count)
      next += count
    }
  }

  /// Computes the checksums of the chunks that have changed since they were written.
  func computeChecksums() throws(PagerError) {
    guard !changedChunks.isEmpty else { return }
    let room = UnsafeMutableRawBufferPointer.allocate(
      byteCount: Chunk.fullByteCount, alignment: 4096)
    defer { room.deallocate() }
    for index in changedChunks {
      guard let extent = chunks[index].extent else { continue }
      try list.pager.storage.read(into: room, at: Int(extent.first.rawValue) * list.pageByteCount)
      chunks[index].checksum = Chunk.checksum(of: checksum64(UnsafeRawBufferPointer(room), seed: 0))
    }
    changedChunks = []
  }
}

extension ChunkList {
  /// Somewhere to put bytes that are to be appended to a list of so many bytes.
  package func stage(behind byteCount: Int) throws(PagerError) -> ChunkStage {
    try pager.checkWritable()
    return ChunkStage(self, leadByteCount: byteCount % Chunk.fullByteCount)
  }

  /// Appends what is staged; in a transaction.
  ///
  /// Without copying it, if the borders of chunks are where they were expected, and nobody has appended
  /// meanwhile. When the transaction comes to nothing, the stage is as before once it has taken its
  /// bytes back.
  package func append(_ stage: ChunkStage, _ access: TreeAccess) throws(PagerError) {
    try changeAtOnce(access, nil) { () throws(PagerError) in
      let full = Chunk.fullByteCount
      var copied = 0
      if writerByteCount % full == stage.leadByteCount {
        let first = stage.leadByteCount > 0 ? 1 : 0
        if stage.chunks.count > first {
          try append(stage, 0..<first * (full - stage.leadByteCount), access)
          try adopt(stage, first..<stage.chunks.count)
          try know()
          copied = stage.chunks.count * full - stage.leadByteCount
          try tree.makeDurable(valueOf: copied, inTransaction: true)
        }
      }
      try append(stage, copied..<stage.byteCount, access)
    }
  }

  /// Appends copies of staged bytes.
  private func append(
    _ stage: ChunkStage, _ range: Range<Int>, _ access: TreeAccess
  ) throws(PagerError) {
    guard !range.isEmpty else { return }
    let room = UnsafeMutableRawBufferPointer.allocate(
      byteCount: min(range.count, 1 << 20), alignment: 4096)
    defer { room.deallocate() }
    for start in stride(from: range.lowerBound, to: range.upperBound, by: room.count) {
      let part = UnsafeMutableRawBufferPointer(
        rebasing: room[..<min(room.count, range.upperBound - start)])
      try stage.read(into: part, at: start)
      _ = try append(UnsafeRawBufferPointer(part), access)
    }
  }
}
