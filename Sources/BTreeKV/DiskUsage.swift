internal import Pager

/// What a file takes on the disk, in bytes.
public struct DiskUsage: Equatable, Sendable {
  /// How long the file is.
  public var logicalByteCount = 0
  /// How much the file system has given it.
  ///
  /// Less than its length where it has holes, such as after a copy, or where much was free when it was closed.
  public var allocatedByteCount = 0
  /// How much of its length nobody uses.
  public var freeByteCount = 0
  /// How much of its length is reserved for regions to grow into, or holds what is written ahead of its
  /// commit; a restart frees it.
  public var reservedByteCount = 0
}

extension Database {
  /// What the file takes on the disk at this moment.
  ///
  /// - Throws: `.closed`, `.inputOutput`.
  /// - Complexity: O(1); no page is visited.
  public var diskUsage: DiskUsage {
    get throws(DatabaseError) {
      try converting { () throws(PagerError) in
        try pager.checkOpen()
        let page = pager.pageByteCount
        return DiskUsage(
          logicalByteCount: try pager.storage.byteCount(),
          allocatedByteCount: try pager.storage.allocatedByteCount(),
          freeByteCount: pager.allocator.freePageCount * page,
          reservedByteCount: pager.kept.pageCounts.reserved * page)
      }
    }
  }
}
