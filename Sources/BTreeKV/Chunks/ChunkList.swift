internal import Pager

/// Bytes that grow at their end, of any number, in chunks of 64 KiB: what a region is made of.
///
/// The chunks are values of a tree, so commits, snapshots, recovery, checksums, salvage and free space
/// are those of all values. What is added here is that bytes are appended in place, behind those that
/// are in force, and that a list's chunks are allocated side by side, so that readers can map it as a
/// whole.
///
/// There is one object for each list in use. Why `@unchecked Sendable`: `writer` belongs to whoever
/// holds the pager's writer mutex; the rest is constant or has its own lock.
package final class ChunkList: @unchecked Sendable {
  /// What the writer knows of the list's end.
  struct Writer {
    /// What the last rollback was when the rest was true; another one since makes it unknown.
    var rollbackCount: UInt64 = 0
    var isKnown = false
    /// The last chunk; an empty one in the leaf when there is none.
    var tail = Chunk(index: 0, byteCount: 0)
    /// The checksum of the tail's bytes.
    var sum = Checksum64Stream(seed: 0)
    /// The tail's pages, mapped for writing.
    var memory: UnsafeMutableRawPointer?
    /// Whether the tail was begun by an append of few bytes, so that more of these will come, or nobody
    /// knows.
    ///
    /// These are cheapest to write through the mapping. Behind long ones that would be dearer: each page
    /// that was written so costs a fault now and an interrupt of the other processors with the next sync.
    var isShort = true
  }

  /// The number of the list; never used again.
  package let id: UInt64
  let engine: Engine
  let tree: Tree
  let writer: UnsafeMutablePointer<Writer>
  let layout = ChunkLayout()

  var pager: Pager { engine.pager }
  var pageByteCount: Int { tree.pageByteCount }

  init(_ engine: Engine, id: UInt64) {
    self.engine = engine
    self.id = id
    tree = engine.chunkTree
    writer = .allocate(capacity: 1)
    writer.initialize(to: Writer())
  }

  deinit {
    pager.kept.endReservation(of: self)
    writer.deinitialize(count: 1)
    writer.deallocate()
  }

  // MARK: What the writer knows

  /// The list as the writer sees it: with what its transaction has done.
  ///
  /// Writer mutex held.
  var writerByteCount: Int { writer.pointee.tail.end }

  /// Makes sure that the writer knows the list's end.
  ///
  /// - Throws: `.notFound` when the list is gone.
  func know() throws(PagerError) {
    let rollbackCount = engine.workspace.state.pointee.rollbackCount
    if writer.pointee.isKnown, writer.pointee.rollbackCount == rollbackCount { return }
    let root = tree.descriptor.writerRoot
    let isThere = try ChunkKey.head(id).span.bytes.withUnsafeBytes { (key) throws(PagerError) in
      try tree.withPayload(of: key, root: root) { _, _ in true }
    }
    guard isThere != nil else { throw gone }
    writer.pointee.tail = Chunk(index: 0, byteCount: 0)
    writer.pointee.sum = Checksum64Stream(seed: 0)
    writer.pointee.memory = nil
    writer.pointee.isShort = true
    if let last = try tree.lastChunk(of: id, root: root) {
      writer.pointee.tail = last
      try withBytes(of: last.index, root: root) { writer.pointee.sum.update($0) }
      if let extent = last.extent { try pager.allocator.secure(extent) }
      try mapTail()
    }
    writer.pointee.rollbackCount = rollbackCount
    writer.pointee.isKnown = true
  }

  /// Forgets what the writer knows, after an error or when the list is removed.
  func forget() { writer.pointee.isKnown = false }

  private var gone: PagerError {
    PagerError(.notFound, "the region was removed", path: engine.path)
  }

  /// Maps the tail's pages for writing, if that is possible.
  func mapTail() throws(PagerError) {
    writer.pointee.memory = nil
    guard let extent = writer.pointee.tail.extent else { return }
    writer.pointee.memory = try pager.writableMemory(of: extent)
  }

  /// Lends the bytes of a chunk, compared with their checksum.
  func withBytes(
    of index: Int, root: TreeRoot?, _ body: (UnsafeRawBufferPointer) throws(PagerError) -> Void
  ) throws(PagerError) {
    try tree.forEachChunk(of: id, index..<index + 1, root: root) {
      (chunk, bytes) throws(PagerError) in
      try withBytes(of: chunk, bytes, body)
    }
  }

  func withBytes(
    of chunk: Chunk, _ inlineBytes: UnsafeRawBufferPointer,
    _ body: (UnsafeRawBufferPointer) throws(PagerError) -> Void
  ) throws(PagerError) {
    guard let extent = chunk.extent else { return try body(inlineBytes) }
    guard Int(extent.end) <= pager.allocator.pageCount else {
      throw PagerError(
        .corrupted, "a region lies beyond the end of the file", page: extent.first.rawValue)
    }
    let reader = LargeValueReader(
      chunk.value(in: extent), storage: pager.storage, pageByteCount: pageByteCount)
    try reader.forEachChunk { (bytes) throws(PagerError) in try body(bytes) }
  }
}

extension Engine {
  /// A number that no list has had since the file was opened, nor has now.
  ///
  /// Writer mutex held.
  func newChunkListID() throws(PagerError) -> UInt64 {
    try knowChunkListIDs()
    defer { workspace.state.pointee.nextListID += 1 }
    return workspace.state.pointee.nextListID
  }

  /// Looks which numbers are in use, before any list is made or removed.
  ///
  /// In the published tree: what the transaction under way has removed may come back. Writer mutex
  /// held.
  func knowChunkListIDs() throws(PagerError) {
    guard workspace.state.pointee.nextListID == 0 else { return }
    let cursor = LeafCursor(tree: chunkTree, root: nil)
    var last: UInt64 = 0
    let isThere = try cursor.load(UnsafeRawBufferPointer(start: nil, count: 0), .last)
    if isThere, cursor.count > 0 {
      let key = cursor.entry(cursor.count - 1).key
      guard key.count >= 8 else {
        throw PagerError(.corrupted, "a key in the tree of chunks makes no sense", path: path)
      }
      last = UInt64(bigEndian: key.loadUnaligned(as: UInt64.self))
    }
    guard last < UInt64.max, ChunkKey.isList(last + 1) else {
      throw PagerError(.corrupted, "a key in the tree of chunks makes no sense", path: path)
    }
    workspace.state.pointee.nextListID = last + 1
  }

  /// The list of a number, the same object for all who use it.
  func chunkList(_ id: UInt64) -> ChunkList {
    chunkLists.withLock { lists in
      if let known = lists[id]?.list { return known }
      // What nobody uses any more need not be remembered.
      if lists.count > 64, lists.count & (lists.count - 1) == 0 {
        lists = lists.filter { $0.value.list != nil }
      }
      let new = ChunkList(self, id: id)
      lists[id] = WeakChunkList(new)
      return new
    }
  }
}

/// A list that somebody may still use.
struct WeakChunkList: Sendable {
  private(set) weak var list: ChunkList?
  init(_ list: ChunkList) { self.list = list }
}
