internal import Pager
internal import Synchronization

/// How a list's chunks lie in the file, for readers that come one after the other.
///
/// The version is odd while chunks that are in force get other places, which appending never does.
/// Who takes a snapshot and finds the same even version before and after knows that the snapshot has
/// the layout of that version; so one mapping serves many readers.
struct ChunkLayout: ~Copyable {
  private let current = Atomic<UInt64>(0)
  private let known = Locked<ChunkMapping?>(nil)

  /// The version now.
  var version: UInt64 {
    // What was read before was read under this version, if it is the same as then.
    atomicMemoryFence(ordering: .acquiring)
    return current.load(ordering: .acquiring)
  }

  /// The mapping of the version that is in force now, if there is one and somebody has mapped it.
  func mapping() -> (version: UInt64, mapping: ChunkMapping?) {
    known.withLock { (current.load(ordering: .relaxed), $0) }
  }

  /// Keeps a mapping for others, if its version is still in force.
  ///
  /// Another reader may have been quicker; both mappings are good.
  func keep(_ mapping: ChunkMapping, of version: UInt64) {
    known.withLock { known in
      if current.load(ordering: .relaxed) == version { known = mapping }
    }
  }

  /// Begins a change of the layout: the version is odd then.
  ///
  /// - Returns: the mapping of before, whose pages are given back once nobody has it; nil when a change is
  ///   under way already.
  func beginChange() -> ChunkMapping?? {
    known.withLock { known in
      guard current.load(ordering: .relaxed) & 1 == 0 else { return nil }
      current.wrappingAdd(1, ordering: .acquiringAndReleasing)
      defer { known = nil }
      return .some(known)
    }
  }

  /// Ends a change of the layout.
  func endChange() {
    known.withLock { _ in _ = current.wrappingAdd(1, ordering: .acquiringAndReleasing) }
  }
}

/// A list's bytes in memory, side by side, in the order in which they are in the list.
///
/// Addresses are reserved at first, with room to grow; chunks are mapped over them one behind the
/// other. What is mapped once stays, so a pointer into it stays good while this lives, and its pages
/// are not given to anybody else.
///
/// Why `@unchecked Sendable`: what is behind `base` is only read; the rest has its own lock.
final class ChunkMapping: @unchecked Sendable {
  let base: UnsafeMutableRawPointer
  private let byteCount: Int
  private let pager: Pager
  /// What is mapped.
  private let extents = Locked<[Extent]>([])
  private let chunkCount = Atomic(0)

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
    pager.kept.release(extents.withLock { $0 })
  }

  /// How many bytes from the first one on are mapped.
  var mappedByteCount: Int { chunkCount.load(ordering: .acquiring) * Chunk.fullByteCount }

  /// Makes sure that the first `count` chunks are mapped, as a snapshot has them.
  ///
  /// The caller keeps that snapshot meanwhile.
  ///
  /// - Returns: false when there is no room, or the storage can't do that.
  func extend(
    to count: Int, of list: ChunkList, root: TreeRoot?
  ) throws(PagerError) -> Bool {
    if mappedByteCount >= count * Chunk.fullByteCount { return true }
    return try extents.withLock { (mapped) throws(PagerError) in
      guard count * Chunk.fullByteCount <= byteCount else { return false }
      guard mapped.count < count else { return true }
      var extents: [Extent] = []
      let end = pager.allocator.pageCount
      try list.tree.forEachChunk(of: list.id, mapped.count..<count, root: root) {
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
      guard try map(extents, from: mapped.count) else {
        pager.kept.release(extents)
        return false
      }
      mapped += extents
      chunkCount.store(mapped.count, ordering: .releasing)
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
    // The old mapping's pages are given back here, if nobody reads it, and not with the lock held.
    guard layout.beginChange() != nil else { return }
    engine.workspace.changedLists.append(self)
  }
}

extension Engine {
  /// Notes that the layouts which were changing are what they are to be, or what they were.
  ///
  /// Writer mutex held, after a commit or a rollback.
  func endLayoutChanges() {
    guard !workspace.changedLists.isEmpty else { return }
    for list in workspace.changedLists { list.layout.endChange() }
    workspace.changedLists.removeAll()
  }
}
