import Synchronization

// Segments come and go: prepared ahead by the keeper thread, taken over by the writer, retired by
// the checkpoint that no longer needs them.

extension Log {
  /// Whether a segment is in use, so that records can be appended.
  package var isStarted: Bool { segmentLock.withLock { !live.isEmpty } }

  /// Makes room for a record by going on to the next segment.
  ///
  /// Writer mutex held, no latch.
  ///
  /// - Parameters:
  ///   - body: the bytes of the record to come.
  ///   - latch: the publish latch.
  ///   - linked: told, under that latch, that the extent is now part of the log.
  package func advance(
    body: Int, latch: SpinLatch, linked: (Extent) -> Void
  ) throws(PagerError) {
    let taken = try takeNext(atLeast: LogRecord.byteCount(body: body))
    let old: Live? = segmentLock.withLock { live.last }
    if let old {
      let link = old.segment.encodedLink(to: taken.segment)
      do throws(PagerError) {
        try store(link, in: old, at: LogSegment.linkOffset)
      } catch {
        fail(error)
        throw error
      }
    }
    latch.withLock {
      if let old { finish(old) }
      segmentLock.withLock {
        if !live.isEmpty { live[live.count - 1].finishedAt = cursor.pointee.offset }
        live.append(taken)
        next = nil
        keeperMayTry = true
        segmentLock.broadcast()
      }
      if let base = taken.memory {
        cursor.pointee = Cursor(
          base: base, offset: LogSegment.recordsOffset, limit: taken.segment.byteCount,
          bias: taken.segment.firstLSN.rawValue - UInt64(LogSegment.recordsOffset),
          salt: taken.segment.salt)
      }
      end.store(taken.segment.firstLSN.rawValue, ordering: .releasing)
      linked(taken.segment.extent)
    }
    if old == nil { durable.store(taken.segment.firstLSN.rawValue, ordering: .releasing) }
  }

  /// Appends the record that ends a segment.
  ///
  /// Publish latch held.
  private func finish(_ old: Live) {
    let body = beginRecord()
    body.storeBytes(of: LogRecord.endKind, as: UInt8.self)
    endRecord(body: 1)
  }

  /// Writes a sector of a segment: into its mapping, or durably into the file.
  private func store(_ bytes: [UInt8], in live: Live, at offset: Int) throws(PagerError) {
    if isMapped, let memory = live.memory {
      UnsafeMutableRawBufferPointer(start: memory + offset, count: bytes.count).copyBytes(
        from: bytes)
      return
    }
    let place = Int(live.segment.extent.first.rawValue) * pageByteCount + offset
    let failure: PagerError? = bytes.withUnsafeBytes { raw in
      do throws(PagerError) {
        try storage.writeDurably(raw, at: place)
        return nil
      } catch {
        return error
      }
    }
    if let failure { throw failure }
  }

  /// The prepared segment, waiting for the keeper or preparing it here when there is none.
  private func takeNext(atLeast byteCount: Int) throws(PagerError) -> Live {
    segmentLock.lock()
    while isPreparing { segmentLock.wait() }
    if let ready = next, ready.segment.byteCount - LogSegment.recordsOffset >= byteCount + 64 {
      segmentLock.unlock()
      return ready
    }
    let unfit = next
    next = nil
    isPreparing = true
    segmentLock.unlock()
    if let unfit { discard(unfit) }
    var prepared: Live?
    defer {
      // It counts as prepared until it is live: the keeper must not prepare another one meanwhile,
      // which nobody would take nor give back.
      segmentLock.withLock {
        next = prepared
        isPreparing = false
        segmentLock.broadcast()
      }
    }
    let segment = try prepare(atLeast: byteCount)
    prepared = segment
    return segment
  }

  /// Whether the next segment, prepared if it is not, lies in front of the one in use or is shorter.
  ///
  /// Writer mutex held.
  ///
  /// - Throws: `.diskFull` when there is no room for one, which is not needed then.
  func nextMovesForwards() throws(PagerError) -> Bool {
    let next = try takeNext(atLeast: 0).segment
    guard let last = segmentLock.withLock({ live.last?.segment }) else { return true }
    return next.extent.first < last.extent.first || next.byteCount < last.byteCount
  }

  /// Prepares the next segment ahead of need, once for each that was taken.
  ///
  /// Called by the keeper thread.
  func prepareAhead() {
    segmentLock.lock()
    guard keeperMayTry, next == nil, !isPreparing, !live.isEmpty, !isStopping else {
      segmentLock.unlock()
      return
    }
    keeperMayTry = false
    isPreparing = true
    segmentLock.unlock()
    var prepared: Live?
    do throws(PagerError) {
      prepared = try prepare(atLeast: 0)
    } catch {
      // The writer meets the same error when it needs the segment, and throws it then.
      prepared = nil
    }
    segmentLock.withLock {
      next = prepared
      isPreparing = false
      segmentLock.broadcast()
    }
  }

  /// Allocates, initialises and maps a segment that follows the last live one.
  private func prepare(atLeast byteCount: Int) throws(PagerError) -> Live {
    let last: LogSegment? = segmentLock.withLock { live.last?.segment }
    var wish = min(Self.largestSegmentByteCount, (last?.byteCount ?? 0) * 2)
    if segmentLock.withLock({ startsSmall }) { wish = 0 }
    wish = max(wish, Self.firstSegmentByteCount, byteCount + LogSegment.recordsOffset + 64)
    let pageCount = (wish + pageByteCount - 1) / pageByteCount
    let recycled: Extent? = segmentLock.withLock {
      spares.firstIndex { $0.pageCount == pageCount }.map { spares.remove(at: $0) }
    }
    let extent: Extent
    if let recycled {
      extent = recycled
    } else {
      extent = try allocator.allocateExtent(pageCount: pageCount)
    }
    var random = SystemRandomNumberGenerator()
    let segment = LogSegment(
      extent: extent, sequence: (last?.sequence ?? 0) + 1,
      firstLSN: LogSequenceNumber(
        last.map { $0.firstLSN.rawValue + UInt64($0.byteCount) } ?? ((endLSN.rawValue + 7) & ~7)),
      salt: random.next(), byteCount: pageCount * pageByteCount)
    do throws(PagerError) {
      return try initialize(segment, isRecycled: recycled != nil)
    } catch {
      try? allocator.free(extent)
      throw error
    }
  }

  private func initialize(_ segment: LogSegment, isRecycled: Bool) throws(PagerError) -> Live {
    let item = Live(segment: segment, memory: try memory(for: segment), finishedAt: nil)
    do throws(PagerError) {
      if !isMapped, !isRecycled, let zeros = item.memory {
        let start = Int(segment.extent.first.rawValue) * pageByteCount
        try writeZeros(start..<start + segment.byteCount, from: zeros)
      }
      try store(segment.encodedHeader(fileIdentifier: fileIdentifier), in: item, at: 0)
      // The link sector of an earlier use must not survive either.
      try store([UInt8](repeating: 0, count: 512), in: item, at: LogSegment.linkOffset)
    } catch {
      release(memoryOf: item)
      throw error
    }
    return item
  }

  /// Zeroed memory for a segment: a mapping of its pages, or a buffer.
  private func memory(for segment: LogSegment) throws(PagerError) -> UnsafeMutableRawPointer {
    guard isMapped else {
      guard let base = SystemCalls.reserveMemory(byteCount: segment.byteCount) else {
        throw PagerError(.outOfAddressSpace, "the system refuses memory for the log's buffer")
      }
      SystemCalls.prefault(base, byteCount: segment.byteCount)
      return base
    }
    let start = Int(segment.extent.first.rawValue) * pageByteCount
    let base = try storage.map(byteRange: start..<start + segment.byteCount, writable: true)
    storage.prefault(base, byteCount: segment.byteCount)
    // What an earlier owner left here must not look like records: their salts differ, but a
    // scan for records behind damage is quick only over zeros.
    base.initializeMemory(as: UInt8.self, repeating: 0, count: segment.byteCount)
    storage.noteWritten(base, byteCount: segment.byteCount)
    return base
  }

  /// Overwriting is cheaper to sync than filling allocated space (rule B6).
  private func writeZeros(_ range: Range<Int>, from zeros: UnsafeMutableRawPointer)
    throws(PagerError)
  {
    var offset = range.lowerBound
    while offset < range.upperBound {
      let count = min(128 << 10, range.upperBound - offset)
      try storage.writeDurably(UnsafeRawBufferPointer(start: zeros, count: count), at: offset)
      offset += count
    }
  }

  /// The extents that leave the log with a cut whose replay begins at `start`, told once each.
  func segmentsLeaving(before start: LogStart) -> [Extent] {
    segmentLock.withLock {
      let leaving = live.filter {
        $0.segment.sequence < start.sequence && $0.segment.sequence >= firstStaying
      }
      firstStaying = start.sequence
      return leaving.map(\.segment.extent)
    }
  }

  /// The segments that a log starting at `start` does not need; they are no longer live.
  func retire(before start: LogStart) -> [Extent] {
    segmentLock.withLock {
      let gone = live.filter { $0.segment.sequence < start.sequence }
      live.removeAll { $0.segment.sequence < start.sequence }
      toUnmap.append(contentsOf: gone.filter { $0.memory != nil })
      segmentLock.broadcast()
      return gone.map(\.segment.extent)
    }
  }

  /// Keeps the extent of a retired segment for the next one, or gives it back.
  func recycle(_ extent: Extent) throws(PagerError) {
    let keeps = segmentLock.withLock {
      guard spares.count < 2, !isStopping,
        extent.pageCount * pageByteCount == Self.largestSegmentByteCount
      else { return false }
      spares.append(extent)
      return true
    }
    if !keeps { try allocator.free(extent) }
  }

  /// Gives up memory that is no longer appended to nor to be written out.
  func unmapFinished() {
    let gone: [Live] = segmentLock.withLock {
      var gone = toUnmap
      toUnmap = []
      let durableUpTo = durableLSN
      for index in live.indices.dropLast() {
        guard live[index].memory != nil, let finishedAt = live[index].finishedAt,
          isMapped || !(durableUpTo < live[index].segment.lsn(at: finishedAt))
        else { continue }
        gone.append(live[index])
        live[index].memory = nil
      }
      return gone
    }
    for item in gone { release(memoryOf: item) }
  }

  func release(memoryOf item: Live) {
    guard let memory = item.memory else { return }
    if isMapped {
      storage.unmap(memory, byteCount: item.segment.byteCount)
    } else {
      SystemCalls.unmap(memory, byteCount: item.segment.byteCount)
    }
  }

  /// Gives back what was prepared or kept for segments to come; the keeper prepares none until the next
  /// one is taken.
  ///
  /// Writer mutex held: a segment that is being taken over still counts as prepared.
  ///
  /// - Parameter startsSmall: whether the next ones are to be as short as those of a new log, which
  ///   find a place further in front.
  func dropPrepared(startsSmall: Bool) {
    segmentLock.lock()
    self.startsSmall = startsSmall
    keeperMayTry = false
    while isPreparing { segmentLock.wait() }
    let prepared = next
    let unneeded = spares
    next = nil
    spares = []
    segmentLock.unlock()
    if let prepared { discard(prepared) }
    // What is nobody's can't fail to be given back.
    for extent in unneeded { try? allocator.free(extent) }
  }

  private func discard(_ item: Live) {
    release(memoryOf: item)
    try? allocator.free(item.segment.extent)
  }

  /// Undoes the start of the log, which no superblock names yet.
  ///
  /// - Returns: the extents to give back.
  func abandonStart() -> [Extent] {
    let gone: [Live] = segmentLock.withLock {
      let gone = live
      toUnmap.append(contentsOf: live)
      live = []
      return gone
    }
    cursor.pointee.limit = 0
    cursor.pointee.offset = 0
    cursor.pointee.bias = endLSN.rawValue
    unmapFinished()
    return gone.map(\.segment.extent)
  }

  /// Ends the log: nothing is appended any more; spare and prepared extents are given back.
  ///
  /// - Returns: the live segments, to be freed once no superblock names them.
  func stop() -> EndedLog {
    segmentLock.lock()
    isStopping = true
    while isPreparing { segmentLock.wait() }
    let prepared = next
    let unneeded = spares
    next = nil
    spares = []
    let ended = EndedLog(
      all: live.map(\.segment.extent),
      inMap: live.filter { $0.segment.sequence >= firstStaying }.map(\.segment.extent))
    toUnmap.append(contentsOf: live)
    live = []
    segmentLock.broadcast()
    segmentLock.unlock()
    cursor.pointee.limit = 0
    cursor.pointee.offset = 0
    if let prepared { discard(prepared) }
    for extent in unneeded { try? allocator.free(extent) }
    return ended
  }
}

/// The extents of a log that ended.
struct EndedLog {
  /// All of them.
  var all: [Extent]
  /// Those that the free map still counts as used.
  var inMap: [Extent]
}
