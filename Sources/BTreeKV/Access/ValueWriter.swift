internal import Pager

/// Takes a value in pieces, for `insert(_:writing:)`: however long it is, little of it is in memory.
///
/// It can't outlive the closure that it is lent to. Up to the end of that nobody sees the value.
public struct ValueWriter: ~Copyable {
  private let tree: Tree
  private let buffer: UnsafeMutableRawBufferPointer
  private var bufferedCount = 0
  private var writtenCount = 0
  private var extents: [Extent] = []
  private var checksums: [UInt64] = []
  private var failure: PagerError?

  /// Four chunks: a write of this size costs little more than its copy.
  private static let bufferByteCount = 4 * LargeValue.chunkByteCount

  init(_ tree: Tree) {
    self.tree = tree
    buffer = .allocate(byteCount: Self.bufferByteCount, alignment: 4096)
  }

  deinit {
    for extent in extents { tree.pager.kept.freeStaged(extent) }
    buffer.deallocate()
  }

  /// How many bytes the value has so far.
  public var byteCount: Int { writtenCount + bufferedCount }

  /// Appends bytes to the value.
  ///
  /// - Parameter bytes: any number.
  /// - Throws: `.diskFull`, `.valueTooLong`, `.inputOutput`; the value is not stored then, whatever
  ///   the closure makes of the error.
  /// - Complexity: O(bytes).
  public mutating func write(
    _ bytes: borrowing some ByteString & ~Copyable & ~Escapable
  ) throws(DatabaseError) {
    let problem: PagerError? = bytes.withBytes { bytes in
      var rest = bytes
      while !rest.isEmpty {
        let count = min(rest.count, buffer.count - bufferedCount)
        UnsafeMutableRawBufferPointer(rebasing: buffer[bufferedCount..<bufferedCount + count])
          .copyMemory(from: UnsafeRawBufferPointer(rebasing: rest[..<count]))
        bufferedCount += count
        rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        if bufferedCount == buffer.count, let problem = emptyBuffer() { return problem }
      }
      return nil
    }
    if let problem { throw DatabaseError(problem) }
  }

  /// Writes what is buffered behind what is written.
  private mutating func emptyBuffer() -> PagerError? {
    if let failure { return failure }
    do throws(PagerError) {
      let bytes = UnsafeRawBufferPointer(rebasing: buffer[..<bufferedCount])
      for start in stride(from: 0, to: bytes.count, by: LargeValue.chunkByteCount) {
        let end = min(bytes.count, start + LargeValue.chunkByteCount)
        checksums.append(
          checksum64(
            UnsafeRawBufferPointer(rebasing: bytes[start..<end]), seed: UInt64(checksums.count)))
      }
      try put(bytes, at: writtenCount)
      writtenCount += bufferedCount
      bufferedCount = 0
      return nil
    } catch {
      failure = error
      return error
    }
  }

  /// Writes bytes into the value's pages, of which more are taken as needed.
  private mutating func put(
    _ bytes: UnsafeRawBufferPointer, at position: Int
  ) throws(PagerError) {
    while extents.reduce(0, { $0 + $1.pageCount }) * tree.pageByteCount < position + bytes.count {
      guard extents.count < LargeValue.extentLimit else {
        throw PagerError(
          .valueTooLong, "a value is longer than values can be",
          expected: UInt64(position), found: UInt64(position + bytes.count))
      }
      let missing = (bytes.count + tree.pageByteCount - 1) / tree.pageByteCount
      let wish = (extents.last?.pageCount ?? missing / 2) * 2
      let pageCount = max(missing, min(wish, tree.longestRun))
      extents.append(try tree.pager.kept.stage(pageCount: pageCount))
    }
    try tree.write(bytes, at: position, extents)
  }

  /// The value so far, if all of it is still in the buffer.
  var inlineBytes: UnsafeRawBufferPointer? {
    writtenCount == 0 && failure == nil
      ? UnsafeRawBufferPointer(rebasing: buffer[..<bufferedCount]) : nil
  }

  /// Ends the value: writes what is left and the table of checksums, and gives back the pages too many.
  mutating func finish(inTransaction: Bool) throws(PagerError) -> LargeValue {
    if let problem = failure ?? emptyBuffer() { throw problem }
    let byteCount = writtenCount
    let sums = checksums
    if sums.count > 1 {
      try sums.span.bytes.withUnsafeBytes { (table) throws(PagerError) in
        try put(table, at: LargeValue.tableOffset(byteCount))
      }
    }
    let needed =
      (LargeValue.storedByteCount(byteCount) + tree.pageByteCount - 1) / tree.pageByteCount
    var excess = extents.reduce(0) { $0 + $1.pageCount } - needed
    while excess > 0, let last = extents.popLast() {
      let kept = max(0, last.pageCount - excess)
      if kept > 0 { extents.append(Extent(first: last.first, pageCount: kept)) }
      tree.pager.kept.shortenStaged(last, to: kept)
      excess -= last.pageCount - kept
    }
    try tree.makeDurable(valueOf: byteCount, inTransaction: inTransaction)
    var value = LargeValue(
      byteCount: byteCount, checksum: sums.withUnsafeBytes { checksum64($0, seed: 0) },
      birth: Epoch(0), extents: extents)
    value.birth = tree.pager.publishLatch.withLock { tree.pager.published.pointee.epoch }
    // Whoever inserts the value owns its pages now.
    extents = []
    return value
  }
}

extension WritableTree where Self: ~Copyable & ~Escapable {
  /// Stores a value that comes in pieces under a key, in place of the one that was there.
  ///
  /// ```swift
  /// try database.insert("film") { writer in
  ///   for frame in 0..<100 { try writer.write([UInt8](repeating: UInt8(frame), count: 40_000)) }
  /// }
  /// ```
  ///
  /// - Parameters:
  ///   - key: as for `insert`.
  ///   - durability: as for `insert`.
  ///   - writing: writes the value's bytes. It holds up nobody, unless in a transaction. When it
  ///     throws, nothing is stored.
  /// - Returns: whether the key was not there before.
  /// - Throws: what `writing` throws, or as `insert`.
  /// - Complexity: O(bytes); a quarter of a mebibyte of memory.
  @discardableResult
  public func insert(
    _ key: borrowing some ByteString & ~Copyable & ~Escapable,
    durability: Database.Durability? = nil, writing: (inout ValueWriter) throws -> Void
  ) throws -> Bool {
    let access = access
    let key = key.withBytes { Array($0) }
    return try access.insert(key, durability, writing)
  }
}

extension TreeAccess {
  func insert(
    _ key: [UInt8], _ durability: Database.Durability?,
    _ writing: (inout ValueWriter) throws -> Void
  ) throws -> Bool {
    var isInTransaction = false
    try converting { () throws(PagerError) in
      try key.withBytes { (key) throws(PagerError) in try checkLength(key) }
      try engine.pager.checkWritable()
      if case .transaction(let transaction) = mode {
        try transaction.check()
        isInTransaction = true
      } else {
        try engine.pager.checkNotInTransaction()
      }
    }
    var writer = ValueWriter(tree)
    try writing(&writer)
    return try converting { () throws(PagerError) in
      if let bytes = writer.inlineBytes, tree.isInline(key: key.count, value: bytes.count) {
        return try key.withBytes { (key) throws(PagerError) in
          try change(durability) { () throws(PagerError) in
            try !tree.mutate(Tree.Mutation(key: key, payload: bytes)).wasThere
          }
        }
      }
      let value = try writer.finish(inTransaction: isInTransaction)
      return try key.withBytes { (key) throws(PagerError) in
        try insert(key, value, durability)
      }
    }
  }
}
