internal import Pager

/// The database as it was at one instant, for as long as this is held.
///
/// Taking one costs well under a microsecond and holds no lock; what changes afterwards is written
/// to other places while it lives. It ends with its last reference. (Internal still: cursors and
/// iteration stand on it.)
final class Snapshot: Sendable {
  let tree: Tree
  let epoch: Epoch
  let root: TreeRoot

  init(_ tree: Tree) throws(PagerError) {
    try tree.pager.checkOpen()
    self.tree = tree
    (epoch, root) = tree.pager.takePin()
  }

  deinit { tree.pager.releasePin(epoch) }
}
