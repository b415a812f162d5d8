public import Synchronization

/// The number of a tree in the file.
@frozen
public struct TreeID: Hashable, Comparable, Sendable {
  /// The number itself.
  public var rawValue: UInt32

  /// The tree of this number.
  @inlinable public init(_ rawValue: UInt32) { self.rawValue = rawValue }

  /// The tree that has no name.
  @inlinable public static var main: TreeID { TreeID(0) }
  /// The tree that tells the numbers of those that have one.
  @inlinable public static var catalogue: TreeID { TreeID(1) }
  /// The tree of the chunks of all regions.
  @inlinable public static var chunks: TreeID { TreeID(2) }
  /// The tree that tells the numbers of regions by their names.
  @inlinable public static var regions: TreeID { TreeID(3) }
  /// The tree that tells where the entries of entry stores lie, by their keys.
  @inlinable public static var entries: TreeID { TreeID(4) }
  /// The tree that tells the numbers of entry stores by their names.
  @inlinable public static var entryStores: TreeID { TreeID(5) }
  /// The tree that tells of vectors by their names.
  @inlinable public static var vectors: TreeID { TreeID(6) }
  /// The tree of what vectors have beside their elements: changes of these, holes, stamps.
  @inlinable public static var vectorRecords: TreeID { TreeID(7) }
  /// The first number that a named tree can have; those below are kept for the library's own.
  @inlinable public static var firstNamed: TreeID { TreeID(16) }

  /// No tree has this number or a larger one.
  static var end: TreeID { TreeID(1 << 31) }

  /// Orders by number.
  @inlinable public static func < (a: TreeID, b: TreeID) -> Bool { a.rawValue < b.rawValue }
}

/// Where one tree begins and how many entries it has: now, at each pinned epoch, and in the
/// transaction under way (rule F1).
///
/// Why `@unchecked Sendable`: `state` is touched with the publish latch held, but for `working`,
/// `isTouched` and `isGone`, which belong to the writer; the rest is constant or atomic.
public final class TreeDescriptor: @unchecked Sendable {
  /// What is known of the tree; behind a pointer, since the runtime would check each access to a
  /// class's variables.
  public struct State {
    /// The tree as the last commit left it.
    public var root: TreeRoot
    /// The epoch in which it became so.
    public var changed: Epoch
    /// What it was before, as far as a pin may see it; oldest first.
    var history: [(changed: Epoch, root: TreeRoot)] = []
    /// The tree as the transaction under way sees it, if that has touched the tree.
    public var working = TreeRoot.empty
    /// Whether `working` is in force.
    public var isTouched = false
    /// Whether the tree was dropped, perhaps by the transaction under way; for the writer.
    public var isGone = false
  }

  /// The tree's number.
  public let id: TreeID
  /// What is known of the tree.
  public let state: UnsafeMutablePointer<State>
  @usableFromInline let rootWord: Atomic<UInt64>
  @usableFromInline let rootEpoch: Atomic<UInt64>
  @usableFromInline let entryCount: Atomic<Int>
  private let dropped = Atomic<Bool>(false)

  init(id: TreeID, root: TreeRoot, changed: Epoch) {
    self.id = id
    state = .allocate(capacity: 1)
    state.initialize(to: State(root: root, changed: changed))
    rootWord = Atomic(Self.word(root))
    rootEpoch = Atomic(root.page.epoch.rawValue)
    entryCount = Atomic(root.count)
  }

  deinit {
    state.deinitialize(count: 1)
    state.deallocate()
  }

  @usableFromInline static func word(_ root: TreeRoot) -> UInt64 {
    root.page.id.rawValue | UInt64(truncatingIfNeeded: root.height) << 48
  }

  /// The live root as one consistent word, to be checked again after the page's version is read.
  @inlinable public var liveRootWord: UInt64 { rootWord.load(ordering: .acquiring) }
  /// The page and height in a root word; the epoch is right, or that of the root after it.
  @inlinable public func liveRoot(_ word: UInt64) -> (page: PageReference, height: Int) {
    (
      PageReference(
        id: PageID(word & 0xFFFF_FFFF_FFFF), epoch: Epoch(rootEpoch.load(ordering: .relaxed))),
      Int(truncatingIfNeeded: word >> 48)
    )
  }
  /// The number of entries now.
  @inlinable public var liveCount: Int { entryCount.load(ordering: .relaxed) }

  /// Whether the tree was dropped, for all to see.
  package var isDropped: Bool {
    get { dropped.load(ordering: .acquiring) }
    set { dropped.store(newValue, ordering: .releasing) }
  }

  /// The tree as the writer sees it: with what its transaction has done.
  @inlinable public var writerRoot: TreeRoot {
    state.pointee.isTouched ? state.pointee.working : state.pointee.root
  }

  /// The tree as a pinned epoch sees it.
  ///
  /// Publish latch held.
  func root(at epoch: Epoch) -> TreeRoot {
    if !(epoch < state.pointee.changed) { return state.pointee.root }
    return state.pointee.history.last { !(epoch < $0.changed) }?.root ?? .empty
  }

  /// Keeps what the tree was before its first change in an epoch, if a pin sees it.
  ///
  /// Publish latch held.
  @inline(never)
  @usableFromInline func keepHistory(_ published: UnsafeMutablePointer<PublishedState>) {
    let changed = state.pointee.changed
    state.pointee.changed = published.pointee.epoch
    published.pointee.hasChangedTrees = published.pointee.hasChangedTrees || id != .main
    let pins = published.pointee.pins
    if state.pointee.history.count > 2 * pins.count + 8 {
      var next = changed
      for index in state.pointee.history.indices.reversed() {
        let from = state.pointee.history[index].changed
        if !pins.hasPin(from: from, before: next) { state.pointee.history.remove(at: index) }
        next = from
      }
    }
    if !(published.pointee.youngestPin < changed) {
      state.pointee.history.append((changed, state.pointee.root))
    }
  }
}
