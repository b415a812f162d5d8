internal import Pager

/// What a database is made of at one moment.
public struct Statistics: Sendable {
  /// The file's path as it was given.
  public var path = ""
  /// The size of a page in bytes.
  public var pageSize = 0
  /// The size of the file in bytes.
  public var fileByteCount = 0
  /// The version of the file format.
  public var formatVersion = 0
  /// The file's identifier: 32 hexadecimal digits, given at creation.
  public var fileIdentifier = ""
  /// How many entries the tree without a name has.
  public var entryCount = 0
  /// How many named trees there are.
  public var treeCount = 0
  /// How many regions there are.
  public var regionCount = 0
  /// How many levels of pages the highest tree has.
  public var height = 0
  /// How many pages hold entries.
  public var leafPageCount = 0
  /// How many pages hold references to pages.
  public var innerPageCount = 0
  /// How full the tree's pages are, 0 to 1.
  public var fill = 0.0
  /// How many pages hold the bytes of large values.
  public var valueExtentPageCount = 0
  /// How many pages of the file nobody uses.
  public var freePageCount = 0
  /// How many pages are reserved for regions to grow into, or hold what is written ahead of its commit;
  /// a restart frees them.
  public var reservedPageCount = 0
  /// How many pages belong to nothing any more and are kept only because a reader of a region still
  /// shows them.
  public var mappedPageCount = 0
  /// The budget for pages in memory, in bytes.
  public var cacheByteCount = 0
  /// How many pages are in memory.
  public var residentPageCount = 0
  /// The number of the last checkpoint.
  public var checkpointNumber = 0
  /// How many bytes of log a restart would replay.
  public var logByteCount = 0
  /// How many distinct moments somebody looks at, the last checkpoint among them.
  public var livePinCount = 0
  /// How many pages are kept only for those.
  public var heldPageCount = 0
  /// Pages read from the file since it was opened.
  public var pageReadCount = 0
  /// Pages written to the file since it was opened.
  public var pageWriteCount = 0
  /// What mutations wait for.
  public var durability = Database.Durability.sync
  /// The snapshots that somebody holds, cursors' among them, oldest first.
  public var snapshots: [SnapshotStatistics] = []
}

/// What one tree is made of at one moment.
public struct TreeStatistics: Sendable {
  /// How many entries it has.
  public var entryCount = 0
  /// How many levels of pages it has.
  public var height = 0
  /// How many pages hold entries.
  public var leafPageCount = 0
  /// How many pages hold references to pages.
  public var innerPageCount = 0
  /// How full its pages are, 0 to 1.
  public var fill = 0.0
  /// How many pages hold the bytes of large values.
  public var valueExtentPageCount = 0
  /// The codings of its keys and values, such as `"u64→text"`; nil for plain bytes.
  public var codings: String?
  /// How many bytes of its pages are in use.
  fileprivate var usedByteCount = 0

  /// Counts a page.
  fileprivate mutating func count(_ node: Node, level: Int, pageByteCount: Int) {
    usedByteCount += node.usedByteCount(pageByteCount)
    if level > 0 {
      innerPageCount += 1
      return
    }
    leafPageCount += 1
    let count = node.count
    for index in 0..<count {
      let cell = node.cell(index, isLeaf: true)
      guard cell.isLarge, let value = LargeValue(cell.payload, pageByteCount: pageByteCount) else {
        continue
      }
      valueExtentPageCount += value.extents.reduce(0) { $0 + $1.pageCount }
    }
  }
}

/// A snapshot that somebody holds.
public struct SnapshotStatistics: Sendable {
  /// For how long it has been held, in seconds.
  public var ageSeconds: Double
  /// How many pages are kept for it and no younger one.
  public var heldPageCount: Int
}

extension Database {
  /// Counts what the database is made of.
  ///
  /// Visits every page of the tree: O(pages). Reads and writes go on meanwhile.
  ///
  /// - Throws: `.corrupted`, `.inputOutput`, `.closed`.
  public func statistics() throws(DatabaseError) -> Statistics {
    try converting { () throws(PagerError) in
      let snapshot = try engine.snapshots.take()
      var statistics = Statistics()
      var used = 0
      var budget = PageBudget(pager)
      for tree in engine.allTrees {
        let root = pager.root(of: tree.descriptor, at: snapshot.epoch)
        let part = try tree.statistics(of: root, &budget)
        statistics.height = Swift.max(statistics.height, part.height)
        statistics.leafPageCount += part.leafPageCount
        statistics.innerPageCount += part.innerPageCount
        statistics.valueExtentPageCount += part.valueExtentPageCount
        used += part.usedByteCount
      }
      let pageCount = statistics.innerPageCount + statistics.leafPageCount
      let room = Double(pageCount * engine.mainTree.capacity)
      statistics.fill = pageCount == 0 ? 0 : Double(used) / room
      statistics.entryCount = pager.root(of: pager.mainTree, at: snapshot.epoch).count
      let catalogue = pager.root(of: engine.catalogue.descriptor, at: snapshot.epoch)
      statistics.treeCount = catalogue.count
      let regions = engine.tree(of: .regions).descriptor
      statistics.regionCount = pager.root(of: regions, at: snapshot.epoch).count
      fillIn(&statistics)
      statistics.snapshots = engine.snapshots.ages.compactMap { epoch, seconds in
        epoch == snapshot.epoch && seconds < 0.001
          ? nil
          : SnapshotStatistics(ageSeconds: seconds, heldPageCount: pager.heldPageCount(of: epoch))
      }
      statistics.fileByteCount = try pager.storage.byteCount()
      return statistics
    }
  }

  private func fillIn(_ statistics: inout Statistics) {
    statistics.path = path
    statistics.pageSize = pager.pageByteCount
    statistics.formatVersion = pager.formatVersion
    statistics.fileIdentifier = pager.fileIdentifier
    statistics.freePageCount = pager.allocator.freePageCount
    let kept = pager.kept.pageCounts
    (statistics.reservedPageCount, statistics.mappedPageCount) = (kept.reserved, kept.deferred)
    statistics.cacheByteCount = pager.options.cacheByteCount
    statistics.residentPageCount = pager.pool.residentPageCount
    statistics.checkpointNumber = Int(pager.checkpointNumber)
    statistics.logByteCount = pager.logByteCount
    (statistics.livePinCount, statistics.heldPageCount) = pager.pinStatistics
    (statistics.pageReadCount, statistics.pageWriteCount, _) = pager.pool.traffic
    statistics.durability = engine.durability
  }
}

extension Snapshot {
  /// Counts what a named tree was made of at the snapshot's instant.
  ///
  /// ```swift
  /// try database.tree("users").insert("1", "Ada")
  /// let statistics = try database.read { snapshot in try snapshot.statistics(ofTree: "users") }
  /// assert(statistics?.entryCount == 1)
  /// ```
  ///
  /// Visits every page of the tree: O(pages).
  ///
  /// - Parameter name: any text.
  /// - Returns: nil when there was no such tree.
  /// - Throws: as `lookup`.
  public func statistics(ofTree name: String) throws(DatabaseError) -> TreeStatistics? {
    guard let access = try tree(name)?.access else { return nil }
    var budget = PageBudget(access.engine.pager)
    var statistics = try access.read { (root) throws(PagerError) in
      try root.map { (root) throws(PagerError) in
        try access.tree.statistics(of: root, &budget)
      }
    }
    statistics?.codings = try treeCodings(name)
    return statistics
  }
}

extension Tree {
  /// Counts a pinned tree's pages.
  fileprivate func statistics(
    of root: TreeRoot, _ budget: inout PageBudget
  ) throws(PagerError) -> TreeStatistics {
    var statistics = TreeStatistics()
    statistics.entryCount = root.count
    statistics.height = root.height
    try forEachPage(of: root, &budget) { node, level in
      statistics.count(node, level: level, pageByteCount: pageByteCount)
    }
    let pageCount = statistics.innerPageCount + statistics.leafPageCount
    if pageCount > 0 {
      statistics.fill = Double(statistics.usedByteCount) / Double(pageCount * capacity)
    }
    return statistics
  }

  /// Visits a copy of each page of a pinned tree, parents before children.
  func forEachPage(
    of root: TreeRoot, _ budget: inout PageBudget,
    _ body: (Node, Int) throws(PagerError) -> Void
  ) throws(PagerError) {
    guard root.height > 0 else { return }
    try visitPages(root.page, level: root.height - 1, &budget, body)
  }

  private func visitPages(
    _ page: PageReference, level: Int, _ budget: inout PageBudget,
    _ body: (Node, Int) throws(PagerError) -> Void
  ) throws(PagerError) {
    try budget.spend(page)
    let copy = UnsafeMutableRawPointer.allocate(byteCount: pageByteCount, alignment: 8)
    defer { copy.deallocate() }
    while true {
      let version = try pool.beginRead(page, level: level)
      copy.copyMemory(from: pool.address(page.id), byteCount: pageByteCount)
      if pool.endRead(page.id, version) { break }
    }
    let node = Node(copy)
    guard node.isPage(page, level: level) else { throw Node.mismatch(page) }
    try body(node, level)
    guard level > 0 else { return }
    let count = node.count
    for index in 0..<count {
      try visitPages(node.child(index), level: level - 1, &budget, body)
    }
  }
}
