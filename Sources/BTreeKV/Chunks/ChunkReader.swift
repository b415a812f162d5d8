internal import Pager

/// How a reader gets a region's bytes.
package enum ChunkReading: Sendable {
  /// Mapped: no copy; the checksums are not looked at.
  case mapped
  /// Read and compared with their checksums.
  case copied
}

/// A list's bytes as they were at one instant, side by side in memory, for as long as this is held.
///
/// Why `@unchecked Sendable`: nobody writes to what `bytes` shows.
package final class ChunkReader: @unchecked Sendable {
  /// Where the bytes come from, and the file, which stays open while its pages are shown: so nobody
  /// else can change them.
  private enum Source {
    case mapping(ChunkMapping, OpenFile)
    /// A single chunk in a window on the file.
    case window(Pager, Extent, OpenFile)
    case memory
    /// A file that is in memory anyhow.
    case storage(any Storage)
  }

  /// All bytes.
  package let bytes: UnsafeRawBufferPointer
  /// Whether they are a copy.
  package let isCopy: Bool
  private let source: Source

  fileprivate init(_ mapping: ChunkMapping, byteCount: Int, of file: OpenFile) {
    bytes = UnsafeRawBufferPointer(start: mapping.base, count: byteCount)
    source = .mapping(mapping, file)
    isCopy = false
  }

  /// - Parameter extent: held already.
  fileprivate init(
    _ pager: Pager, _ extent: Extent, _ bytes: UnsafeRawBufferPointer, of file: OpenFile
  ) {
    self.bytes = bytes
    source = .window(pager, extent, file)
    isCopy = false
  }

  fileprivate init(_ bytes: UnsafeRawBufferPointer, of storage: any Storage) {
    self.bytes = bytes
    source = .storage(storage)
    isCopy = false
  }

  /// - Parameter bytes: becomes this object's own.
  fileprivate init(_ bytes: UnsafeMutableRawBufferPointer) {
    self.bytes = UnsafeRawBufferPointer(bytes)
    source = .memory
    isCopy = true
  }

  deinit {
    switch source {
    case .mapping, .storage: break
    case .window(let pager, let extent, _): pager.kept.release(CollectionOfOne(extent))
    case .memory: bytes.deallocate()
    }
  }
}

extension ChunkList {
  /// How many bytes a handle sees.
  package func byteCount(_ access: TreeAccess) throws(DatabaseError) -> Int {
    try access.read { (root) throws(PagerError) in
      if let last = try tree.lastChunk(of: id, root: root) { return last.end }
      let isThere = try ChunkKey.head(id).span.bytes.withUnsafeBytes { (key) throws(PagerError) in
        try tree.withPayload(of: key, root: root) { _, _ in true }
      }
      guard isThere != nil else {
        throw PagerError(.notFound, "the region was removed", path: engine.path)
      }
      return 0
    }
  }

  /// What a handle sees at one instant.
  private struct Instant {
    var root: TreeRoot?
    var byteCount: Int
    /// The layout's version then, if it is still in force.
    var version: UInt64?
    var mayMap: Bool
    var file: OpenFile
  }

  /// The bytes that a handle sees now, to be read for as long as wanted.
  package func reader(
    _ access: TreeAccess, _ reading: ChunkReading
  ) throws(DatabaseError) -> ChunkReader {
    try readerAndView(access, reading).reader
  }

  /// The bytes that a handle sees now, and a handle to the instant at which they are what they are.
  package func readerAndView(
    _ access: TreeAccess, _ reading: ChunkReading
  ) throws(DatabaseError) -> (reader: ChunkReader, view: TreeAccess) {
    try withInstant(access) { (instant) throws(PagerError) in
      if reading == .mapped, let reader = try map(instant) { return reader }
      return try copy(instant.byteCount, instant.root)
    }
  }

  /// The bytes that a handle sees now where that takes no copy; nil otherwise.
  package func mappedReader(_ access: TreeAccess) throws(DatabaseError) -> ChunkReader? {
    try withInstant(access) { (instant) throws(PagerError) in try map(instant) }.reader
  }

  private func withInstant<R>(
    _ access: TreeAccess, _ body: (Instant) throws(PagerError) -> R
  ) throws(DatabaseError) -> (reader: R, view: TreeAccess) {
    let before = layout.version
    let stable = try converting { () throws(PagerError) in try access.stable() }
    var isCurrent = before & 1 == 0 && layout.version == before
    var mayMap = true
    switch access.mode {
    case .live: break
    case .snapshot: isCurrent = false
    // What a transaction has made may be gone, and in other hands, before the reader is.
    case .transaction: mayMap = false
    }
    let count = try byteCount(stable)
    let result = try stable.read { (root) throws(PagerError) in
      try body(
        Instant(
          root: root, byteCount: count, version: isCurrent ? before : nil, mayMap: mayMap,
          file: access.file))
    }
    return (result, stable)
  }

  /// A reader without a copy, where that is possible.
  private func map(_ instant: Instant) throws(PagerError) -> ChunkReader? {
    let (count, root) = (instant.byteCount, instant.root)
    guard instant.mayMap, count > 0 else { return nil }
    if pager.storage.unchangingBytes != nil {
      return try inPlace(0..<count, root).map { ChunkReader($0, of: pager.storage) }
    }
    let chunkCount = (count + Chunk.fullByteCount - 1) / Chunk.fullByteCount
    if chunkCount == 1 { return try mapSingle(instant) }
    if let version = instant.version {
      let known = layout.mapping()
      if known.version == version, let mapping = known.mapping,
        try mapping.extend(to: chunkCount, of: self, root: root)
      {
        return ChunkReader(mapping, byteCount: count, of: instant.file)
      }
    }
    guard let new = ChunkMapping(pager, byteCount: count),
      try new.extend(to: chunkCount, of: self, root: root)
    else { return nil }
    if let version = instant.version { layout.keep(new, of: version) }
    return ChunkReader(new, byteCount: count, of: instant.file)
  }

  /// Bytes where they lie in a file that is in memory anyhow and never changes; nil for other files, and
  /// when they don't lie side by side.
  ///
  /// - Parameter range: not empty.
  private func inPlace(
    _ range: Range<Int>, _ root: TreeRoot?
  ) throws(PagerError) -> UnsafeRawBufferPointer? {
    guard let memory = pager.storage.unchangingBytes else { return nil }
    let first = range.lowerBound / Chunk.fullByteCount
    let last = (range.upperBound - 1) / Chunk.fullByteCount
    /// Of the range, as far as it was found side by side.
    var start: Int?
    var end = 0
    var isSideBySide = true
    try tree.forEachChunk(of: id, first..<last + 1, root: root) { (chunk, _) throws(PagerError) in
      guard let extent = chunk.extent,
        // So that no place overflows.
        Int(extent.end) <= pager.allocator.pageCount,
        chunk.end >= min(range.upperBound, (chunk.index + 1) * Chunk.fullByteCount)
      else {
        isSideBySide = false
        return
      }
      let place = Int(extent.first.rawValue) * pager.pageByteCount
      if start == nil {
        start = place + range.lowerBound - chunk.start
      } else if place != end {
        isSideBySide = false
      }
      end = place + chunk.byteCount
    }
    guard isSideBySide, let start, start + range.count <= min(end, memory.count) else { return nil }
    return UnsafeRawBufferPointer(rebasing: memory[start..<start + range.count])
  }

  /// As `inPlace`, and who keeps the bytes.
  func bytesInPlace(
    _ range: Range<Int>, _ access: TreeAccess
  ) throws(DatabaseError) -> (bytes: UnsafeRawBufferPointer, owner: any Storage)? {
    guard pager.storage.unchangingBytes != nil else { return nil }
    return try access.read { (root) throws(PagerError) in
      try inPlace(range, root).map { ($0, pager.storage) }
    }
  }

  private func mapSingle(_ instant: Instant) throws(PagerError) -> ChunkReader? {
    var found: Extent?
    try tree.forEachChunk(of: id, 0..<1, root: instant.root) { chunk, _ in
      found = chunk.extent
    }
    guard let extent = found else { return nil }
    guard Int(extent.end) <= pager.allocator.pageCount else {
      throw PagerError(
        .corrupted, "a region lies beyond the end of the file", page: extent.first.rawValue)
    }
    let pieces = try pager.mappedPieces(of: extent, byteCount: instant.byteCount)
    guard pieces.count == 1 else { return nil }
    pager.kept.hold(CollectionOfOne(extent))
    return ChunkReader(pager, extent, pieces[0], of: instant.file)
  }

  private func copy(_ count: Int, _ root: TreeRoot?) throws(PagerError) -> ChunkReader {
    let room = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 4096)
    do throws(PagerError) {
      try read(0..<count, root: root, into: room)
      return ChunkReader(room)
    } catch {
      room.deallocate()
      throw error
    }
  }

  /// Copies bytes out, each chunk compared with its checksum.
  ///
  /// - Parameter range: must lie in the list.
  private func read(
    _ range: Range<Int>, root: TreeRoot?, into room: UnsafeMutableRawBufferPointer
  ) throws(PagerError) {
    guard !range.isEmpty else { return }
    let first = range.lowerBound / Chunk.fullByteCount
    let last = (range.upperBound - 1) / Chunk.fullByteCount
    try tree.forEachChunk(of: id, first..<last + 1, root: root) {
      (chunk, inline) throws(PagerError) in
      let part = (chunk.start..<chunk.end).clamped(to: range)
      let length = min(range.upperBound, chunk.start + Chunk.fullByteCount) - part.lowerBound
      guard part.count == length else {
        throw PagerError(.corrupted, "chunk \(chunk.index) of region \(id) is too short")
      }
      try withBytes(of: chunk, inline) { bytes in
        UnsafeMutableRawBufferPointer(
          rebasing: room[part.lowerBound - range.lowerBound..<part.upperBound - range.lowerBound]
        ).copyMemory(
          from: UnsafeRawBufferPointer(
            rebasing: bytes[part.lowerBound - chunk.start..<part.upperBound - chunk.start]))
      }
    }
  }

  /// Lends bytes as they lie in the file's mapping where they do so in one piece, otherwise copied;
  /// without looking at checksums.
  ///
  /// - Parameters:
  ///   - range: must lie in the list.
  ///   - access: to an instant or in a transaction, so that nobody reuses the pages meanwhile.
  package func withMappedBytes<R>(
    _ range: Range<Int>, _ access: TreeAccess,
    _ body: (UnsafeRawBufferPointer) -> R
  ) throws(DatabaseError) -> R {
    try access.read { (root) throws(PagerError) in
      var pieces: [UnsafeRawBufferPointer] = []
      var copies: [UnsafeMutableRawBufferPointer] = []
      defer { for copy in copies { copy.deallocate() } }
      func keep(_ bytes: UnsafeRawBufferPointer) {
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 16)
        copy.copyMemory(from: bytes)
        copies.append(copy)
        pieces.append(UnsafeRawBufferPointer(copy))
      }
      if !range.isEmpty {
        let first = range.lowerBound / Chunk.fullByteCount
        let last = (range.upperBound - 1) / Chunk.fullByteCount
        try tree.forEachChunk(of: id, first..<last + 1, root: root) {
          (chunk, inline) throws(PagerError) in
          let part = (chunk.start..<chunk.end).clamped(to: range)
          guard part.upperBound == min(range.upperBound, chunk.start + Chunk.fullByteCount) else {
            throw PagerError(.corrupted, "chunk \(chunk.index) of region \(id) is too short")
          }
          let wanted = part.lowerBound - chunk.start..<part.upperBound - chunk.start
          guard let extent = chunk.extent else {
            // The leaf is a copy that the next step overwrites.
            return keep(UnsafeRawBufferPointer(rebasing: inline[wanted]))
          }
          pieces += try mappedPieces(of: extent, wanted)
        }
      }
      if pieces.count > 1 {
        let whole = UnsafeMutableRawBufferPointer.allocate(
          byteCount: range.count, alignment: 16)
        copies.append(whole)
        var end = 0
        for piece in pieces {
          UnsafeMutableRawBufferPointer(rebasing: whole[end...]).copyMemory(from: piece)
          end += piece.count
        }
        return body(UnsafeRawBufferPointer(whole))
      }
      return body(pieces.first ?? UnsafeRawBufferPointer(start: nil, count: 0))
    }
  }

  private func mappedPieces(
    of extent: Extent, _ range: Range<Int>
  ) throws(PagerError) -> [UnsafeRawBufferPointer] {
    guard Int(extent.end) <= pager.allocator.pageCount else {
      throw PagerError(
        .corrupted, "a region lies beyond the end of the file", page: extent.first.rawValue)
    }
    let whole = try pager.mappedPieces(of: extent, byteCount: range.upperBound)
    var skipped = range.lowerBound
    var pieces: [UnsafeRawBufferPointer] = []
    for piece in whole {
      if skipped < piece.count {
        pieces.append(UnsafeRawBufferPointer(rebasing: piece[skipped...]))
      }
      skipped = max(0, skipped - piece.count)
    }
    return pieces
  }

  /// Copies bytes out, each chunk compared with its checksum.
  ///
  /// - Returns: as many bytes as there are in the range.
  package func read(
    _ range: Range<Int>, _ access: TreeAccess
  ) throws(DatabaseError) -> [UInt8] {
    let stable = try converting { () throws(PagerError) in try access.stable() }
    let range = range.clamped(to: 0..<(try byteCount(stable)))
    return try stable.read { (root) throws(PagerError) in
      var failure: PagerError?
      let bytes = [UInt8](unsafeUninitializedCapacity: range.count) { room, count in
        do throws(PagerError) {
          try read(range, root: root, into: UnsafeMutableRawBufferPointer(room))
          count = range.count
        } catch {
          failure = error
        }
      }
      if let failure { throw failure }
      return bytes
    }
  }

  /// Compares all bytes with their checksums.
  package func verify(_ access: TreeAccess) throws(DatabaseError) {
    let stable = try converting { () throws(PagerError) in try access.stable() }
    let count = try byteCount(stable)
    guard count > 0 else { return }
    try stable.read { (root) throws(PagerError) in
      let chunkCount = (count + Chunk.fullByteCount - 1) / Chunk.fullByteCount
      try tree.forEachChunk(of: id, 0..<chunkCount, root: root) {
        (chunk, inline) throws(PagerError) in
        guard chunk.byteCount == Chunk.fullByteCount || chunk.index == chunkCount - 1 else {
          throw PagerError(.corrupted, "chunk \(chunk.index) of region \(id) is too short")
        }
        try withBytes(of: chunk, inline) { _ in }
      }
    }
  }
}
