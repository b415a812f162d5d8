internal import Pager
internal import Synchronization

/// The B+tree: how pages make an ordered map.
///
/// Every mutation has one shape. *Prepare* finds the leaf and builds whatever new pages are needed
/// off to the side; it may read pages, allocate, and throw. *Publish*, under the publish latch,
/// appends the log record and makes one change in place to one page, or replaces the root; it cannot
/// fail. So no error leaves half a change, and a reader sees the tree before or after, never between.
///
/// Why `@unchecked Sendable`: `writer`, `path`, `scratch`, `entries` and `finger` belong to whoever holds the
/// pager's writer mutex; everything else is constant.
final class Tree: @unchecked Sendable {
  let pager: Pager
  let descriptor: TreeDescriptor
  /// The descriptor's, at hand: going through the object would count references.
  let state: UnsafeMutablePointer<TreeDescriptor.State>
  let pool: PagePool
  let pageByteCount: Int
  let maximumKeyByteCount: Int

  /// Where the writer works, for all trees of the file.
  let workspace: Workspace
  let writer: UnsafeMutablePointer<Workspace.State>
  /// The pages from the root to a leaf, as the writer came down.
  let path: UnsafeMutablePointer<PathElement>
  /// A page's worth of memory for compaction.
  let scratch: UnsafeMutableRawPointer
  let entries: EntryList
  /// Where the writer was last in this tree.
  let finger: UnsafeMutablePointer<Finger>

  var pathCount: Int {
    get { writer.pointee.pathCount }
    set { writer.pointee.pathCount = newValue }
  }
  @inline(__always) var isUnlogged: Bool { writer.pointee.isUnlogged }

  /// One page of a path.
  struct PathElement {
    var page: PageReference
    var version: PagePool.Version
    /// The child that was taken.
    var index: Int
    var level: Int
    /// Whether the page is held shared by `holdPath`.
    var isHeld: Bool
  }

  init(pager: Pager, descriptor: TreeDescriptor, workspace: Workspace) {
    self.pager = pager
    self.descriptor = descriptor
    state = descriptor.state
    self.workspace = workspace
    pool = pager.pool
    pageByteCount = pager.pageByteCount
    maximumKeyByteCount = pageByteCount / 4
    writer = workspace.state
    path = workspace.path
    scratch = workspace.scratch
    entries = workspace.entries
    finger = .allocate(capacity: 1)
    finger.initialize(to: Finger())
  }

  deinit {
    finger.pointee.deallocate()
    finger.deallocate()
  }

  /// What the writer goes down from: nil for the tree as it is now, or its transaction's root.
  @inline(__always) var writerRoot: TreeRoot? {
    state.pointee.isTouched ? state.pointee.working : nil
  }

  /// Whether a transaction is under way that has changed the tree, or will.
  @inline(__always) var isInTransaction: Bool { state.pointee.isTouched }

  @inline(__always) func node(_ id: PageID) -> Node { Node(pool.address(id)) }
  var capacity: Int { Node.capacity(pageByteCount) }

  /// The largest cell: two of them, with their slots and a prefix, always fit a page.
  var maximumCellByteCount: Int { capacity / 2 - Node.slotByteCount - 8 }

  /// Whether a value may lie in the leaf beside its key.
  func isInline(key: Int, value: Int) -> Bool {
    value <= pageByteCount / 4 && key + value + 4 <= maximumCellByteCount
  }
}

/// A leaf that a reader came to, to be given back with `endRead`.
struct LeafVisit {
  var page: PageReference
  var version: PagePool.Version
  /// Whether there is no page above it.
  var isRoot: Bool
}

extension Tree {
  /// Goes down to the leaf that is responsible for a key.
  ///
  /// - Parameters:
  ///   - root: of a snapshot; nil for the tree as it is now.
  ///   - choose: the child to take in an inner page.
  ///   - visit: told of each inner page, its version, the child taken and the level.
  /// - Returns: nil when the tree is empty.
  @inline(__always)
  func descend(
    root snapshot: TreeRoot?, to key: UnsafeRawBufferPointer,
    choose: (Node, UnsafeRawBufferPointer) -> Int,
    visit: (PageReference, PagePool.Version, Int, Int) -> Void
  ) throws(PagerError) -> LeafVisit? {
    restart: while true {
      let word = descriptor.liveRootWord
      let (rootPage, rootHeight) = descriptor.liveRoot(word)
      var page = snapshot?.page ?? rootPage
      let height = snapshot?.height ?? rootHeight
      if height == 0 { return nil }
      var version: PagePool.Version
      do throws(PagerError) {
        version = try pool.beginRead(page, level: height - 1)
      } catch {
        if snapshot == nil, isStale(page, height: height) { continue restart }
        throw error
      }
      if snapshot == nil, descriptor.liveRootWord != word {
        pool.endRead(page.id, version)
        continue restart
      }
      var level = height - 1
      while level > 0 {
        let node = node(page.id)
        let index = choose(node, key)
        let child = node.child(index)
        guard pool.validate(page.id, version) else {
          pool.endRead(page.id, version)
          continue restart
        }
        let childVersion: PagePool.Version
        do throws(PagerError) {
          childVersion = try pool.beginRead(child, level: level - 1)
        } catch {
          // An error met on a page that is no longer the child is nobody's error (rule D3).
          if pool.endRead(page.id, version) { throw error }
          continue restart
        }
        visit(page, version, index, level)
        guard pool.endRead(page.id, version) else {
          pool.endRead(child.id, childVersion)
          continue restart
        }
        page = child
        version = childVersion
        level -= 1
      }
      return LeafVisit(page: page, version: version, isRoot: height == 1)
    }
  }

  /// Whether something else is the root by now, or about to become it (rule D3).
  @inline(never) func isStale(_ page: PageReference, height: Int) -> Bool {
    let now = pager.publishedRoot(of: descriptor)
    return now.page != page || now.height != height
  }

  /// Goes down to the leaf that would hold `key`.
  @inline(__always)
  func leaf(for key: UnsafeRawBufferPointer, root: TreeRoot?) throws(PagerError) -> LeafVisit? {
    try descend(root: root, to: key) { node, key in
      node.childIndex(for: key, pageByteCount: pageByteCount)
    } visit: { _, _, _, _ in
    }
  }

  /// Looks a key up and hands its value's bytes to `body`, which only copies them: it may be run on
  /// garbage, and again.
  ///
  /// - Returns: what `body` returned, or nil when there is no such key.
  @inline(__always)
  func withPayload<R>(
    of key: UnsafeRawBufferPointer, root: TreeRoot?, _ body: (UnsafeRawBufferPointer, Bool) -> R
  ) throws(PagerError) -> R? {
    try withPayload(of: key, body) { () throws(PagerError) in try leaf(for: key, root: root) }
  }

  /// Looks a key up in the leaf that `findLeaf` comes to.
  @inline(__always)
  func withPayload<R>(
    of key: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer, Bool) -> R,
    in findLeaf: () throws(PagerError) -> LeafVisit?
  ) throws(PagerError) -> R? {
    while true {
      guard let visit = try findLeaf() else { return nil }
      let node = node(visit.page.id)
      let (index, isFound) = node.lowerBound(of: key, isLeaf: true, pageByteCount: pageByteCount)
      if !isFound {
        if pool.endRead(visit.page.id, visit.version) { return nil }
        continue
      }
      let cell = node.cell(index, isLeaf: true)
      let length = min(cell.payload.count, pageByteCount)
      let result = body(
        UnsafeRawBufferPointer(start: cell.payload.baseAddress, count: length), cell.isLarge)
      if pool.endRead(visit.page.id, visit.version) { return result }
    }
  }
}
