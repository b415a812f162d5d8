internal import Pager

// Values in pages of their own: written once, before anything refers to them; read in pieces.

extension LargeValue {
  /// What recovery asks about log records.
  static var logClient: LogClient {
    LogClient(
      extentsNamed: { body, pageByteCount in
        var extents: [Extent] = []
        let makesSense = forEachEntry(in: body) { entry in
          guard entry.key.count <= pageByteCount / 4 + 1 else { return false }
          guard entry.kind == .insertLarge else { return true }
          guard let value = LargeValue(entry.value, pageByteCount: pageByteCount) else {
            return false
          }
          extents.append(contentsOf: value.extents)
          return true
        }
        return makesSense ? extents : nil
      },
      bytesAreWhole: { (body, pageByteCount, storage) throws(PagerError) in
        try LogEntry.forEach(in: body) { (entry) throws(PagerError) in
          guard entry.kind == .insertLarge else { return true }
          guard let value = LargeValue(entry.value, pageByteCount: pageByteCount) else {
            return false
          }
          let reader = LargeValueReader(value, storage: storage, pageByteCount: pageByteCount)
          do throws(PagerError) {
            try reader.forEachChunk { _ in }
            return true
          } catch {
            if error.code == .corrupted { return false }
            throw error
          }
        }
      },
      structureProblem: { Node.structureProblem($0) })
  }
}

/// `LogEntry.forEach` for bodies that do not throw.
private func forEachEntry(
  in body: UnsafeRawBufferPointer, _ visit: (LogEntry) -> Bool
) -> Bool {
  let outcome = try? LogEntry.forEach(in: body) { (entry) throws(PagerError) in visit(entry) }
  return outcome ?? false
}

/// Reads a large value chunk by chunk and checks each against its checksum.
struct LargeValueReader {
  let value: LargeValue
  let storage: any Storage
  let pageByteCount: Int

  init(_ value: LargeValue, storage: any Storage, pageByteCount: Int) {
    self.value = value
    self.storage = storage
    self.pageByteCount = pageByteCount
  }

  /// Reads the stored bytes from `position` on, over the borders of runs.
  private func read(
    into buffer: UnsafeMutableRawBufferPointer, at position: Int
  ) throws(PagerError) {
    var position = position
    var rest = buffer
    for extent in value.extents where !rest.isEmpty {
      let byteCount = extent.pageCount * pageByteCount
      if position < byteCount {
        let count = min(rest.count, byteCount - position)
        try storage.read(
          into: UnsafeMutableRawBufferPointer(rebasing: rest[..<count]),
          at: Int(extent.first.rawValue) * pageByteCount + position)
        rest = UnsafeMutableRawBufferPointer(rebasing: rest[count...])
        position = byteCount
      }
      position -= byteCount
    }
  }

  private var damage: PagerError {
    PagerError(
      .corrupted, "the bytes of a value do not match their checksum",
      page: value.extents.first?.first.rawValue)
  }

  /// Reads the checksums of the chunks.
  private func readChecksums() throws(PagerError) -> [UInt64] {
    let chunkCount = LargeValue.chunkCount(value.byteCount)
    // A value of one chunk has no table: its reference has the sum of the chunk's sum.
    guard chunkCount > 1 else { return [] }
    var failure: PagerError?
    let sums = [UInt64](unsafeUninitializedCapacity: chunkCount) { room, count in
      do throws(PagerError) {
        try read(
          into: UnsafeMutableRawBufferPointer(room), at: LargeValue.tableOffset(value.byteCount))
        count = chunkCount
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    guard sums.withUnsafeBytes({ checksum64($0, seed: 0) }) == value.checksum else { throw damage }
    return sums
  }

  private func check(
    _ chunk: UnsafeRawBufferPointer, _ index: Int, _ sums: [UInt64]
  ) throws(PagerError) {
    let sum = checksum64(chunk, seed: UInt64(index))
    let isRight =
      sums.isEmpty
      ? withUnsafeBytes(of: sum) { checksum64($0, seed: 0) } == value.checksum
      : sums[index] == sum
    if !isRight { throw damage }
  }

  /// Reads the whole value, each chunk verified.
  func readAll(into room: UnsafeMutableRawBufferPointer) throws(PagerError) {
    let sums = try readChecksums()
    try read(into: room, at: 0)
    for (index, start) in stride(from: 0, to: value.byteCount, by: LargeValue.chunkByteCount)
      .enumerated()
    {
      let end = min(value.byteCount, start + LargeValue.chunkByteCount)
      try check(UnsafeRawBufferPointer(rebasing: room[start..<end]), index, sums)
    }
  }

  /// Hands over the value's chunks, or some of them, in order, each verified.
  func forEachChunk(
    in range: Range<Int>? = nil,
    _ body: (UnsafeRawBufferPointer) throws(PagerError) -> Void
  ) throws(PagerError) {
    let sums = try readChecksums()
    let room = UnsafeMutableRawBufferPointer.allocate(
      byteCount: min(value.byteCount, LargeValue.chunkByteCount), alignment: 8)
    defer { room.deallocate() }
    for index in range ?? 0..<LargeValue.chunkCount(value.byteCount) {
      let start = index * LargeValue.chunkByteCount
      let count = min(LargeValue.chunkByteCount, value.byteCount - start)
      let chunk = UnsafeMutableRawBufferPointer(rebasing: room[..<count])
      try read(into: chunk, at: start)
      try check(UnsafeRawBufferPointer(chunk), index, sums)
      try body(UnsafeRawBufferPointer(chunk))
    }
  }
}

extension Tree {
  /// Writes a value's bytes into runs of pages that nothing refers to yet.
  ///
  /// Holds nothing, or the writer mutex in a transaction, whose commit then syncs for all its values.
  func store(
    _ bytes: UnsafeRawBufferPointer, inTransaction: Bool
  ) throws(PagerError) -> LargeValue {
    let stored = LargeValue.storedByteCount(bytes.count)
    let pageCount = (stored + pageByteCount - 1) / pageByteCount
    let extents = try allocate(pageCount: pageCount)
    var value = LargeValue(byteCount: bytes.count, checksum: 0, birth: Epoch(0), extents: extents)
    do throws(PagerError) {
      value.checksum = try write(bytes, to: extents)
      try makeDurable(valueOf: bytes.count, inTransaction: inTransaction)
    } catch {
      discard(value)
      throw error
    }
    value.birth = pager.publishLatch.withLock { pager.published.pointee.epoch }
    return value
  }

  /// Syncs the bytes of a value before the log names them, if that is needed, or else notes them.
  ///
  /// Called behind their last write and in front of the record that names them: a sync in between takes
  /// both the note and the bytes along. What a transaction wrote is noted when it is committed.
  ///
  /// A value beyond 1 MiB must be on the medium by then, or else a restart would have to read it all
  /// to know whether it is whole (rule B5). Others go with the sync of the record.
  func makeDurable(valueOf byteCount: Int, inTransaction: Bool) throws(PagerError) {
    guard let log = pager.log else { return }
    if inTransaction {
      pager.noteUnsyncedValues(byteCount)
    } else if byteCount <= Pager.unsyncedLimit {
      log.noteUnsyncedValues()
    } else {
      try pager.poisoning { () throws(PagerError) in try pager.storage.synchronize() }
    }
  }

  /// Gives back bytes that nothing came to refer to.
  func discard(_ value: LargeValue) {
    for extent in value.extents { pager.kept.freeStaged(extent) }
  }

  /// Notes that a tree refers to bytes that were stored; where the writer is.
  func adopt(_ value: LargeValue) {
    for extent in value.extents { pager.kept.endStaging(extent) }
  }

  /// The longest run of pages that there can be: it does not reach over the slots of the free map.
  var longestRun: Int { max(64, (pageByteCount - 64) * 8 - 64) }

  private func allocate(pageCount: Int) throws(PagerError) -> [Extent] {
    let longest = longestRun
    let runLength = max(min(longest, (64 << 20) / pageByteCount), (pageCount + 31) / 32)
    guard runLength <= longest else {
      throw PagerError(
        .valueTooLong, "a value is longer than values can be",
        expected: UInt64(longest * LargeValue.extentLimit * pageByteCount),
        found: UInt64(pageCount * pageByteCount))
    }
    var extents: [Extent] = []
    var left = pageCount
    do throws(PagerError) {
      while left > 0 {
        extents.append(try pager.kept.stage(pageCount: min(left, runLength)))
        left -= min(left, runLength)
      }
    } catch {
      for extent in extents { pager.kept.freeStaged(extent) }
      throw error
    }
    return extents
  }

  /// Writes the bytes and, behind them, the table of their checksums.
  ///
  /// - Returns: the checksum over that table.
  private func write(
    _ bytes: UnsafeRawBufferPointer, to extents: [Extent]
  ) throws(PagerError) -> UInt64 {
    let chunkCount = LargeValue.chunkCount(bytes.count)
    var table = [UInt64](repeating: 0, count: chunkCount)
    for index in 0..<chunkCount {
      let start = index * LargeValue.chunkByteCount
      let chunk = UnsafeRawBufferPointer(
        rebasing: bytes[start..<min(bytes.count, start + LargeValue.chunkByteCount)])
      table[index] = checksum64(chunk, seed: UInt64(index))
    }
    try write(bytes, at: 0, extents)
    if chunkCount > 1 {
      let span = table.span.bytes
      try span.withUnsafeBytes { (raw) throws(PagerError) in
        try write(raw, at: LargeValue.tableOffset(bytes.count), extents)
      }
    }
    return table.withUnsafeBytes { checksum64($0, seed: 0) }
  }

  func write(
    _ bytes: UnsafeRawBufferPointer, at position: Int, _ extents: [Extent]
  ) throws(PagerError) {
    var position = position
    var rest = bytes
    for extent in extents where !rest.isEmpty {
      let byteCount = extent.pageCount * pageByteCount
      if position < byteCount {
        let end = min(rest.count, byteCount - position)
        try writePieces(
          UnsafeRawBufferPointer(rebasing: rest[..<end]),
          at: Int(extent.first.rawValue) * pageByteCount + position)
        rest = UnsafeRawBufferPointer(rebasing: rest[end...])
        position = byteCount
      }
      position -= byteCount
    }
  }

  /// Pieces of a size that the system copies well and that other writers get in between.
  private func writePieces(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(PagerError) {
    var start = 0
    while start < bytes.count {
      let end = min(bytes.count, start + (4 << 20))
      do throws(PagerError) {
        try pager.storage.write(
          UnsafeRawBufferPointer(rebasing: bytes[start..<end]), at: offset + start)
      } catch {
        pager.noteFailedWrite(error)
        throw error
      }
      start = end
    }
  }

  /// All bytes of a large value; the caller pins it.
  func load(_ value: LargeValue) throws(PagerError) -> [UInt8] {
    let reader = LargeValueReader(value, storage: pager.storage, pageByteCount: pageByteCount)
    // The length was checked against the pages that the reference names, and these against the file.
    let filePageCount = pager.allocator.pageCount
    for extent in value.extents where extent.end > UInt64(filePageCount) {
      throw PagerError(
        .corrupted, "a value lies beyond the end of the file", page: extent.first.rawValue)
    }
    guard value.extents.reduce(0, { $0 + $1.pageCount }) <= filePageCount else {
      throw PagerError(
        .corrupted, "a value has more pages than the file", page: value.extents[0].first.rawValue)
    }
    var failure: PagerError?
    let bytes = [UInt8](unsafeUninitializedCapacity: value.byteCount) { room, count in
      do throws(PagerError) {
        try reader.readAll(into: UnsafeMutableRawBufferPointer(room))
        count = value.byteCount
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    return bytes
  }
}
