internal import Synchronization

// The trees of the file, and the table in which a checkpoint keeps where they begin.

/// The trees that are known, and the next number to give.
struct TreeList: Sendable {
  var descriptors: [TreeID: TreeDescriptor] = [:]
  var nextID = TreeID.firstNamed
}

extension Pager {
  /// The descriptor of a tree, made if the tree has none yet: then it is empty.
  package func descriptor(of id: TreeID) -> TreeDescriptor {
    if id == .main { return mainTree }
    return trees.withLock { list in
      if let known = list.descriptors[id] { return known }
      let new = TreeDescriptor(id: id, root: .empty, changed: Epoch(0))
      list.descriptors[id] = new
      return new
    }
  }

  /// Every tree that is known, the main one first.
  package var allDescriptors: [TreeDescriptor] {
    [mainTree] + trees.withLock { $0.descriptors.values.sorted { $0.id < $1.id } }
  }

  /// Gives out a number for a new tree.
  package func newTreeID() throws(PagerError) -> TreeID {
    let id = trees.withLock { list in
      defer { if list.nextID < .end { list.nextID.rawValue += 1 } }
      return list.nextID
    }
    guard id < .end else {
      throw PagerError(
        .invalidArgument, "the file has had as many trees as there are numbers for",
        path: storage.path)
    }
    return id
  }

  /// Notes a number that the log gave to a tree.
  package func noteTreeID(_ id: TreeID) {
    trees.withLock { list in
      if !(id < list.nextID) { list.nextID = TreeID(id.rawValue &+ 1) }
    }
  }

  /// A tree as a pinned epoch sees it.
  package func root(of tree: TreeDescriptor, at epoch: Epoch) -> TreeRoot {
    publishLatch.withLock { tree.root(at: epoch) }
  }

  /// The root as it was published last.
  package func publishedRoot(of tree: TreeDescriptor) -> TreeRoot {
    publishLatch.withLock { tree.state.pointee.root }
  }

  // MARK: The table

  /// Where the named trees begin at the cut of a checkpoint: bytes of `TreeTable`, or nil when there
  /// are none.
  func treeTable(at epoch: Epoch) -> [UInt8]? {
    let (descriptors, nextID) = trees.withLock { list in
      (list.descriptors.values.sorted { $0.id < $1.id }, list.nextID)
    }
    let table = TreeTable(
      nextID: nextID,
      trees: descriptors.compactMap { tree in
        let root = root(of: tree, at: epoch)
        return root.height == 0 ? nil : (tree.id, root)
      })
    return table.trees.isEmpty ? nil : table.encoded
  }

  /// Writes the table of a cut into pages of its own.
  ///
  /// Checkpoint mutex held.
  func writeTreeTable(at epoch: Epoch) throws(PagerError) -> TreeTable.Location? {
    guard let bytes = treeTable(at: epoch) else { return nil }
    let pageCount = (bytes.count + pageByteCount - 1) / pageByteCount
    let extent = try allocateExtentForCut(pageCount: pageCount)
    do throws(PagerError) {
      try storage.writeBytes(bytes, at: Int(extent.first.rawValue) * pageByteCount)
    } catch {
      try allocator.free(extent)
      throw error
    }
    return TreeTable.Location(
      extent: extent, byteCount: bytes.count,
      checksum: bytes.withUnsafeBytes { checksum64($0, seed: superblock.checksumSeed) })
  }

  /// Allocates pages for what belongs to a cut although it is written after it.
  ///
  /// A page may have come into use and gone out of it again since the cut. The free map hears of
  /// that with the next cut, and would take it for news of this extent: so it must be of pages of
  /// which nothing is waiting to be told (rule A3). Nothing more can come: what is free in the
  /// allocator was noted before, and what is allocated is nobody else's.
  ///
  /// Checkpoint mutex held.
  func allocateExtentForCut(pageCount: Int) throws(PagerError) -> Extent {
    var unfit: [Extent] = []
    var found: Extent?
    var failure: PagerError?
    do throws(PagerError) {
      while found == nil {
        let extent = try allocator.allocateExtent(pageCount: pageCount)
        let isMentioned = publishLatch.withLock {
          published.pointee.spaceChanges.contains { $0.extent.overlaps(extent) }
        }
        if isMentioned { unfit.append(extent) } else { found = extent }
      }
    } catch {
      failure = error
    }
    for extent in unfit { try allocator.free(extent) }
    if let failure { throw failure }
    guard let found else { preconditionFailure("the search ends with an extent or an error") }
    return found
  }

  /// Reads the table that a superblock names.
  static func readTreeTable(
    _ superblock: Superblock, from storage: any Storage
  ) throws(PagerError) -> TreeTable {
    guard let location = superblock.treeTable else {
      return TreeTable(nextID: .firstNamed, trees: [])
    }
    let damage = PagerError(
      .corrupted, "the table of named trees is damaged: salvage the file", path: storage.path,
      page: location.extent.first.rawValue)
    guard location.extent.first.rawValue >= 4,
      location.extent.end <= UInt64(superblock.pageCount),
      location.byteCount <= location.extent.pageCount * superblock.pageByteCount
    else { throw damage }
    var bytes = [UInt8](repeating: 0, count: location.byteCount)
    try storage.readBytes(
      into: &bytes, at: Int(location.extent.first.rawValue) * superblock.pageByteCount)
    let sum = bytes.withUnsafeBytes { checksum64($0, seed: superblock.checksumSeed) }
    guard sum == location.checksum, let table = TreeTable(bytes),
      table.trees.allSatisfy({ $0.root.page.id.rawValue < UInt64(superblock.pageCount) })
    else { throw damage }
    return table
  }
}
