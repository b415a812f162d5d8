internal import Pager

/// A value where it lies, for as long as this is held: also if the key is removed meanwhile, or gets
/// another value.
///
/// The bytes of a large value are not copied but mapped. What a mapping shows was not compared with its
/// checksums (`verify()` does that), and an error of the medium while it is read kills the process: who
/// can't accept that reads with `read(into:from:)`, which does neither. A reader keeps the file open; the
/// database must not be closed by `close()` while the bytes are in use.
///
/// Any number of threads may use one.
public final class ValueReader: Sendable {
  /// The memory that holds the value's bytes, in order.
  private struct Pieces: @unchecked Sendable {
    // Nobody writes to it: the value's pages are pinned, and the windows stay with the engine.
    var list: [UnsafeRawBufferPointer] = []
  }

  private let access: TreeAccess
  private let small: [UInt8]
  private let large: LargeValue?
  private let pieces: Pieces

  /// The number of bytes.
  public let byteCount: Int

  /// A value that lies in the tree.
  init(_ access: TreeAccess, _ bytes: [UInt8]) {
    self.access = access
    small = bytes
    large = nil
    pieces = Pieces()
    byteCount = bytes.count
  }

  /// A value in pages of its own, which the access pins.
  init(_ access: TreeAccess, _ value: LargeValue) throws(PagerError) {
    self.access = access
    small = []
    large = value
    byteCount = value.byteCount
    let pager = access.engine.pager
    var pieces = Pieces()
    var left = value.byteCount
    for extent in value.extents where left > 0 {
      guard Int(extent.end) <= pager.allocator.pageCount else {
        throw PagerError(
          .corrupted, "a value lies beyond the end of the file", page: extent.first.rawValue)
      }
      let count = min(left, extent.pageCount * pager.pageByteCount)
      pieces.list += try pager.mappedPieces(of: extent, byteCount: count)
      left -= count
    }
    self.pieces = pieces
  }

  /// Lends the bytes of a part of the value, without a copy, in one piece or a few.
  ///
  /// - Parameters:
  ///   - range: which bytes; nil means all. It must lie in the value.
  ///   - body: gets each piece, valid until it returns.
  /// - Throws: `.closed`, `.snapshotExpired`, or what `body` throws.
  /// - Complexity: O(pieces), of which a value of up to 64 MiB mostly has one.
  public func forEachPiece(
    in range: Range<Int>? = nil, _ body: (RawSpan) throws -> Void
  ) throws {
    let range = range ?? 0..<byteCount
    precondition(range.lowerBound >= 0 && range.upperBound <= byteCount, "bytes beyond the value")
    try access.read { (_) throws(PagerError) in }
    if large == nil {
      try small.withUnsafeBytes { try body(UnsafeRawBufferPointer(rebasing: $0[range]).bytes) }
      return
    }
    var start = 0
    for piece in pieces.list {
      let part = range.clamped(to: start..<start + piece.count)
      if !part.isEmpty {
        try body(
          UnsafeRawBufferPointer(
            rebasing: piece[part.lowerBound - start..<part.upperBound - start]
          ).bytes)
      }
      start += piece.count
    }
  }

  /// Copies a part of the value, each chunk of it compared with its checksum.
  ///
  /// - Parameters:
  ///   - buffer: where to; filled as far as the value goes.
  ///   - offset: the first byte to copy.
  /// - Returns: how many bytes were copied: fewer than asked only at the value's end.
  /// - Throws: `.corrupted`, `.inputOutput`, `.closed`, `.snapshotExpired`.
  /// - Complexity: O(bytes), and up to two chunks of 64 KiB that are read as a whole.
  public func read(
    into buffer: UnsafeMutableRawBufferPointer, from offset: Int
  ) throws(DatabaseError) -> Int {
    guard offset >= 0, offset < byteCount else { return 0 }
    let count = min(buffer.count, byteCount - offset)
    guard let large else {
      small.withUnsafeBytes {
        buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[offset..<offset + count]))
      }
      return count
    }
    try access.read { (_) throws(PagerError) in
      let reader = LargeValueReader(
        large, storage: access.engine.pager.storage, pageByteCount: access.tree.pageByteCount)
      var start = offset / LargeValue.chunkByteCount * LargeValue.chunkByteCount
      let first = start / LargeValue.chunkByteCount
      let last = (offset + count - 1) / LargeValue.chunkByteCount
      try reader.forEachChunk(in: first..<last + 1) { chunk in
        let part = (offset..<offset + count).clamped(to: start..<start + chunk.count)
        UnsafeMutableRawBufferPointer(
          rebasing: buffer[part.lowerBound - offset..<part.upperBound - offset]
        ).copyMemory(
          from: UnsafeRawBufferPointer(
            rebasing: chunk[part.lowerBound - start..<part.upperBound - start]))
        start += chunk.count
      }
    }
    return count
  }

  /// Compares all bytes with their checksums.
  ///
  /// - Throws: `.corrupted` when one differs, `.inputOutput`, `.closed`, `.snapshotExpired`.
  /// - Complexity: O(bytes).
  public func verify() throws(DatabaseError) {
    guard let large else { return }
    try access.read { (_) throws(PagerError) in
      let reader = LargeValueReader(
        large, storage: access.engine.pager.storage, pageByteCount: access.tree.pageByteCount)
      try reader.forEachChunk { _ in }
    }
  }
}

extension ReadableTree where Self: ~Copyable & ~Escapable {
  /// A reader of the value of a key, or nil when the key is not there.
  ///
  /// ```swift
  /// try database.insert("film", [UInt8](repeating: 7, count: 1 << 20))
  /// if let film = try database.reader(of: "film") {
  ///   try film.forEachPiece(in: 0..<100) { bytes in assert(bytes.byteCount == 100) }
  /// }
  /// ```
  ///
  /// - Parameter key: any bytes.
  /// - Returns: a reader that keeps the value: through the database or a tree, the one that is there
  ///   now. One of a transaction ends with it.
  /// - Throws: as `lookup`.
  /// - Complexity: O(log n) page visits; nothing of a large value is read.
  public func reader(
    of key: borrowing some ByteString & ~Copyable & ~Escapable
  ) throws(DatabaseError) -> ValueReader? {
    let access = access
    return try key.withBytes { (key) throws(DatabaseError) in try access.reader(of: key) }
  }
}

extension TreeAccess {
  func reader(of key: UnsafeRawBufferPointer) throws(DatabaseError) -> ValueReader? {
    let access = try converting { () throws(PagerError) in try stable() }
    return try access.read { (root) throws(PagerError) in
      var isElsewhere = false
      let bytes = try tree.withPayload(of: key, root: root) { payload, isLarge in
        isElsewhere = isLarge
        return Array(payload)
      }
      guard let bytes else { return nil }
      guard isElsewhere else { return ValueReader(access, bytes) }
      let reference = bytes.withUnsafeBytes { LargeValue($0, pageByteCount: tree.pageByteCount) }
      guard let reference else {
        throw PagerError(.corrupted, "the reference to a value's bytes makes no sense")
      }
      return try ValueReader(access, reference)
    }
  }
}
