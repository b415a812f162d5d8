internal import Pager

/// What all handles of one open file share: the pages, the trees, the snapshots.
final class Engine: Sendable {
  let pager: Pager
  let path: String
  let durability: Database.Durability
  let workspace: Workspace
  let snapshots: SnapshotRegistry
  let mainTree: Tree
  let catalogue: Tree
  /// The chunks of all regions.
  let chunkTree: Tree
  let chunkLists = Locked<[UInt64: WeakChunkList]>([:])
  private let trees = Locked<[TreeID: Tree]>([:])
  /// The one that `compactInBackground` began last.
  let backgroundCompaction = Locked<BackgroundCompaction?>(nil)
  /// The type tags of typed trees whose codings were checked, by the handles' types.
  let typeTags = Locked<[ObjectIdentifier: String]>([:])

  init(pager: Pager, path: String, options: Database.Options) {
    self.pager = pager
    self.path = path
    durability = options.durability
    workspace = Workspace(pageByteCount: pager.pageByteCount)
    snapshots = SnapshotRegistry(pager: pager, ageLimitSeconds: options.snapshotAgeLimitSeconds)
    mainTree = Tree(pager: pager, descriptor: pager.mainTree, workspace: workspace)
    catalogue = Tree(
      pager: pager, descriptor: pager.descriptor(of: .catalogue), workspace: workspace)
    chunkTree = Tree(
      pager: pager, descriptor: pager.descriptor(of: .chunks), workspace: workspace)
  }

  /// The tree of a number; made if it is not known yet, and then empty.
  func tree(of id: TreeID) -> Tree {
    if id == .main { return mainTree }
    if id == .catalogue { return catalogue }
    if id == .chunks { return chunkTree }
    return trees.withLock { trees in
      if let known = trees[id] { return known }
      let new = Tree(pager: pager, descriptor: pager.descriptor(of: id), workspace: workspace)
      trees[id] = new
      return new
    }
  }

  /// Every tree of the file that is known.
  var allTrees: [Tree] { pager.allDescriptors.map { tree(of: $0.id) } }

  // MARK: The writer

  /// Runs a change as the only writer, and waits until it is as durable as was asked.
  @inline(__always)
  func change<R>(
    _ durability: Database.Durability?, _ body: () throws(PagerError) -> R
  ) throws(PagerError) -> R {
    // Before the change: an error must mean that nothing has changed.
    try pager.checkNotInTransaction()
    try pager.throttleIfNeeded()
    let result: R
    pager.writerMutex.lock()
    do throws(PagerError) {
      try pager.checkWritable()
      try pager.startLogIfNeeded()
      try pager.payCheckpoint()
      result = try body()
      assert(holdsInvariants())
      pager.writerMutex.unlock()
    } catch {
      pager.writerMutex.unlock()
      throw error
    }
    try waitAsAsked(durability)
    return result
  }

  /// Runs several changes as one: all of them are published and logged in one step, or none.
  func changeAtOnce<R>(
    _ durability: Database.Durability?, _ body: () throws(PagerError) -> R
  ) throws(PagerError) -> R {
    try change(durability) { () throws(PagerError) in try atOnce(body) }
  }

  /// Runs several changes as one.
  ///
  /// Writer mutex held, and the log started.
  func atOnce<R>(_ body: () throws(PagerError) -> R) throws(PagerError) -> R {
    defer { endLayoutChanges() }
    pager.beginTransaction()
    do throws(PagerError) {
      let result = try body()
      try pager.commitTransaction()
      return result
    } catch {
      if pager.isInTransaction { pager.rollBackTransaction() }
      workspace.state.pointee.rollbackCount &+= 1
      throw error
    }
  }

  @inline(__always)
  func waitAsAsked(_ durability: Database.Durability?) throws(PagerError) {
    if self.durability == .sync || durability == .sync
      || durability == .flush && self.durability == .none
    {
      try waitForPublished()
    }
  }

  /// Waits until a change is durable that is published.
  ///
  /// - Throws: `.outcomeUnknown` and nothing else, since every other error says that nothing has changed.
  private func waitForPublished() throws(PagerError) {
    do throws(PagerError) {
      try waitUntilDurable()
    } catch {
      if error.code == .outcomeUnknown { throw error }
      throw PagerError(
        .outcomeUnknown,
        "a change is visible, but not durable, since a checkpoint failed (\(error.message))",
        path: path, systemError: error.systemError)
    }
  }

  func waitUntilDurable() throws(PagerError) {
    if pager.isCheckpointOwed {
      try pager.checkpoint()
    } else if let log = pager.log {
      try log.waitUntilDurable(log.endLSN)
    } else {
      try pager.checkpoint()
    }
  }
}
