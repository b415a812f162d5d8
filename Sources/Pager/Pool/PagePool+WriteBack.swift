import Synchronization

// Writing pages to their places in the file: the checkpoint's writes and early ones before
// eviction. Both write from a copy taken under a shared latch, so that the page may change while
// the write is under way.

extension PagePool {
  /// Writes those of `pages` (sorted) that are dirty; neighbours go in one write.
  ///
  /// - Parameters:
  ///   - waiting: whether to wait for a write of the same page that somebody else has under way, and for
  ///     who changes it (the checkpoint, which must know that its pages are written), or to skip the page:
  ///     whoever needs memory may hold a page that the writer waits for.
  ///   - limitBytes: the largest single write.
  ///   - durably: whether each write is to be on the medium when it returns.
  /// - Returns: how many pages were written.
  @discardableResult
  package func writeBack(
    _ pages: some Collection<PageID>, waiting: Bool, limitBytes: Int, durably: Bool = false
  ) throws(PagerError) -> Int {
    let batchPages = max(1, min(limitBytes, 128 << 10) / pageByteCount)
    let copies = UnsafeMutableRawBufferPointer.allocate(
      byteCount: batchPages * pageByteCount, alignment: 4096)
    defer { copies.deallocate() }
    var batch: [PageID] = []
    var written = 0
    for id in pages {
      if let last = batch.last,
        batch.count == batchPages || id.rawValue != last.rawValue + 1
      {
        try write(batch, from: copies, durably: durably)
        written += batch.count
        batch.removeAll(keepingCapacity: true)
      }
      let room = UnsafeMutableRawBufferPointer(
        rebasing: copies[batch.count * pageByteCount..<(batch.count + 1) * pageByteCount])
      if copyForWriting(id, into: room, waiting: waiting) { batch.append(id) }
    }
    if !batch.isEmpty {
      try write(batch, from: copies, durably: durably)
      written += batch.count
    }
    return written
  }

  /// Copies a dirty page, marks it as being written and clean, and seals the copy.
  private func copyForWriting(
    _ id: PageID, into room: UnsafeMutableRawBufferPointer, waiting: Bool
  ) -> Bool {
    let index = Int(id.rawValue)
    while true {
      guard tryLockShared(id, waiting: waiting) else {
        // Evicted, so it was clean, but the write that cleaned it must have ended.
        if waiting, flags[index].load(ordering: .acquiring) & Self.writing != 0 {
          SystemCalls.sleep(nanoseconds: 20_000)
          continue
        }
        return false
      }
      let flag = flags[index].load(ordering: .acquiring)
      if flag & Self.writing != 0 {
        unlockShared(id)
        guard waiting else { return false }
        SystemCalls.sleep(nanoseconds: 20_000)
        continue
      }
      guard flag & Self.dirty != 0,
        flags[index].compareExchange(
          expected: flag, desired: Self.writing, ordering: .acquiringAndReleasing
        ).exchanged
      else {
        unlockShared(id)
        if flag & Self.dirty == 0 { return false }
        continue
      }
      room.copyMemory(from: UnsafeRawBufferPointer(buffer(id)))
      unlockShared(id)
      PageHeader.seal(room, seed: checksumSeed)
      return true
    }
  }

  private func write(
    _ batch: [PageID], from copies: UnsafeMutableRawBufferPointer, durably: Bool
  ) throws(PagerError) {
    let bytes = UnsafeRawBufferPointer(rebasing: copies[..<(batch.count * pageByteCount)])
    let offset = Int(batch[0].rawValue) * pageByteCount
    do throws(PagerError) {
      if durably {
        try storage.writeDurably(bytes, at: offset)
      } else {
        try storage.write(bytes, at: offset)
      }
    } catch {
      for id in batch {
        // What was given up meanwhile must not be written later, over what its id is then.
        changeFlags(id) { flag in
          flag & Self.dropped != 0 ? 0 : flag & ~Self.writing | Self.dirty
        }
      }
      writeFailed(error)
      throw error
    }
    writeCount.add(batch.count, ordering: .relaxed)
    for id in batch {
      flags[Int(id.rawValue)].bitwiseAnd(~(Self.writing | Self.dropped), ordering: .releasing)
    }
  }

  /// Changes a page's flags in one step.
  func changeFlags(_ id: PageID, _ change: (UInt8) -> UInt8) {
    let index = Int(id.rawValue)
    var flag = flags[index].load(ordering: .acquiring)
    while true {
      let (isDone, now) = flags[index].compareExchange(
        expected: flag, desired: change(flag), ordering: .acquiringAndReleasing)
      if isDone { return }
      flag = now
    }
  }
}
