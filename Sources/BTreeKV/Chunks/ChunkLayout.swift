internal import Pager

/// How a list's chunks lie in the file, for readers that come one after the other.
///
/// The version is odd while chunks that are in force get other places, which appending never does.
/// Who takes a snapshot and finds the same even version before and after knows that the snapshot has
/// the layout of that version; so one mapping serves many readers.
struct ChunkLayout {
  var version: UInt64 = 0
  /// The mapping of this version, if somebody has made one.
  var mapping: ChunkMapping?
}

/// A list's bytes in memory, side by side, in the order in which they are in the list.
///
/// Addresses are reserved at first, with room to grow; chunks are mapped over them one behind the
/// other. What is mapped once stays, so a pointer into it stays good while this lives, and its pages
/// are not given to anybody else.
///
/// Why `@unchecked Sendable`: what is behind `base` is only read; the rest has its own lock.
final class ChunkMapping: @unchecked Sendable {
  private struct State {
    var chunkCount = 0
    var extents: [Extent] = []
  }

  let base: UnsafeMutableRawPointer
  private let byteCount: Int
  private let pager: Pager
  private let state = Locked(State())

  /// Reserves addresses for so many bytes and some growth; nil when the system refuses.
  init?(_ pager: Pager, byteCount: Int) {
    self.pager = pager
    self.byteCount = max(16 << 20, (byteCount + (1 << 20)) & ~((1 << 20) - 1)) &* 4
    guard let base = try? SystemCalls.reserveAddresses(byteCount: self.byteCount) else {
      return nil
    }
    self.base = base
  }

  deinit {
    SystemCalls.unmap(base, byteCount: byteCount)
    pager.kept.release(state.withLock { $0.extents })
  }

  /// How many bytes from the first one on are mapped.
  var mappedByteCount: Int { state.withLock { $0.chunkCount } * Chunk.fullByteCount }

  /// Makes sure that the first `count` chunks are mapped, as a snapshot has them.
  ///
  /// The caller keeps that snapshot meanwhile.
  ///
  /// - Returns: false when there is no room, or the storage can't do that.
  func extend(
    to count: Int, of list: ChunkList, root: TreeRoot?
  ) throws(PagerError) -> Bool {
    try state.withLock { (state) throws(PagerError) in
      guard count * Chunk.fullByteCount <= byteCount else { return false }
      guard state.chunkCount < count else { return true }
      var extents: [Extent] = []
      let end = pager.allocator.pageCount
      try list.tree.forEachChunk(of: list.id, state.chunkCount..<count, root: root) {
        (chunk, _) throws(PagerError) in
        let isLast = chunk.index == count - 1
        guard let extent = chunk.extent, Int(extent.end) <= end,
          isLast || chunk.byteCount == Chunk.fullByteCount,
          extent.pageCount == Chunk.fullPageCount(pager.pageByteCount)
        else {
          throw PagerError(
            .corrupted, "chunk \(chunk.index) of region \(list.id) is not what it must be")
        }
        extents.append(extent)
      }
      pager.kept.hold(extents)
      guard try map(extents, from: state.chunkCount) else {
        pager.kept.release(extents)
        return false
      }
      state.extents += extents
      state.chunkCount = count
      return true
    }
  }

  /// Maps chunks one behind the other; neighbours in one piece.
  private func map(_ extents: [Extent], from first: Int) throws(PagerError) -> Bool {
    var start = 0
    while start < extents.count {
      var end = start + 1
      while end < extents.count, extents[end].first.rawValue == extents[end - 1].end { end += 1 }
      let pages = Int(extents[start].first.rawValue)..<Int(extents[end - 1].end)
      let range = pages.lowerBound * pager.pageByteCount..<pages.upperBound * pager.pageByteCount
      do throws(PagerError) {
        let address = base + (first + start) * Chunk.fullByteCount
        guard try pager.storage.map(byteRange: range, over: address) else { return false }
      } catch {
        // There are too many mappings: readers copy.
        if error.code == .closed { throw error }
        return false
      }
      start = end
    }
    return true
  }
}

extension ChunkList {
  /// Notes that chunks in force get other places, until the change is committed or undone.
  ///
  /// Writer mutex held.
  func beginLayoutChange() {
    let old: ChunkMapping? = layout.withLock { layout in
      guard layout.version & 1 == 0 else { return nil }
      layout.version += 1
      defer { layout.mapping = nil }
      engine.workspace.changedLists.append(self)
      return layout.mapping
    }
    // Its pages are given back here, if nobody reads it, and not with the lock held.
    _ = old
  }
}

extension Engine {
  /// Notes that the layouts which were changing are what they are to be, or what they were.
  ///
  /// Writer mutex held, after a commit or a rollback.
  func endLayoutChanges() {
    guard !workspace.changedLists.isEmpty else { return }
    for list in workspace.changedLists { list.layout.withLock { $0.version += 1 } }
    workspace.changedLists.removeAll()
  }
}
