internal import Pager

#if canImport(Darwin)
  internal import Darwin
#elseif canImport(Musl)
  internal import Musl
#else
  internal import Glibc
#endif

/// Walks the leaves of a tree, one copy of a leaf at a time.
///
/// The copy is what keeps callers' code from running while a page is held, and costs a few
/// nanoseconds an entry. The next leaf is found by going down again with the separator that ended
/// this one, so pages need no links to their neighbours and can be copied freely.
///
/// Why `@unchecked Sendable` is not needed: a cursor stays in one thread.
final class LeafCursor {
  let tree: Tree
  /// Of a snapshot that the caller holds; nil for the tree as it is now.
  var root: TreeRoot?
  let pageByteCount: Int

  /// What is known of the copy; behind a pointer since the runtime would check each access to a
  /// class's variables.
  struct State {
    var count = 0
    var prefixLength = 0
    /// The copied leaf, and behind it the buffer of the current key: its prefix stays over a
    /// whole leaf.
    ///
    /// Allocated with the first leaf, so that a cursor that goes nowhere costs little.
    var memory: UnsafeMutableRawPointer
    var isAllocated = false
  }

  let state: UnsafeMutablePointer<State>
  /// The separators around the copied leaf; nil at the ends of the tree.
  private(set) var lowerFence: [UInt8]?
  private(set) var upperFence: [UInt8]?

  /// - Parameter root: of a snapshot that the caller holds; nil for the tree as it is now.
  init(tree: Tree, root: TreeRoot?) {
    self.tree = tree
    self.root = root
    pageByteCount = tree.pageByteCount
    state = .allocate(capacity: 1)
    state.initialize(to: State(memory: UnsafeMutableRawPointer(state)))
  }

  deinit {
    if state.pointee.isAllocated { state.pointee.memory.deallocate() }
    state.deallocate()
  }

  private func allocate() {
    // A suffix of fewer than four bytes is stored as a whole head, hence the slack.
    state.pointee.memory = .allocate(byteCount: pageByteCount + pageByteCount / 2, alignment: 16)
    state.pointee.isAllocated = true
  }

  @inline(__always) private var copy: UnsafeMutableRawPointer { state.pointee.memory }
  @inline(__always) private var keyBuffer: UnsafeMutableRawPointer {
    state.pointee.memory + pageByteCount
  }
  @inline(__always) var node: Node { Node(copy) }
  @inline(__always) var count: Int { state.pointee.count }
  @inline(__always) private var prefixLength: Int { state.pointee.prefixLength }

  /// Which leaf to go to.
  enum Target {
    /// The leaf whose range holds the key.
    case holding
    /// The leaf whose range ends with the key, or holds keys below it.
    case below
    /// The last leaf.
    case last
  }

  /// Copies a leaf.
  ///
  /// - Returns: false when the tree is empty.
  func load(_ key: UnsafeRawBufferPointer, _ target: Target) throws(PagerError) -> Bool {
    if !state.pointee.isAllocated { allocate() }
    while true {
      var isGood = true
      var lower: [UInt8]?
      var upper: [UInt8]?
      var lastLevel = Int.max
      let visit = try tree.descend(root: root, to: key) { node, key in
        choose(node, key, target)
      } visit: { page, version, index, level in
        if level >= lastLevel {
          lower = nil
          upper = nil
        }
        lastLevel = level
        let node = tree.node(page.id)
        let count = min(node.count, pageByteCount / Node.slotByteCount)
        let low = index > 0 ? tree.copySeparator(node, index) : nil
        let high = index + 1 < count ? tree.copySeparator(node, index + 1) : nil
        if tree.pool.validate(page.id, version) {
          if let low { lower = low }
          if let high { upper = high }
        } else {
          isGood = false
        }
      }
      guard let visit else { return false }
      copy.copyMemory(from: tree.pool.address(visit.page.id), byteCount: pageByteCount)
      guard tree.pool.endRead(visit.page.id, visit.version), isGood else { continue }
      guard node.isPage(visit.page, level: 0) else {
        // A live root's epoch may be that of the next one, which is about to be published.
        if root == nil, visit.isRoot, tree.isStale(visit.page, height: 1) { continue }
        throw Node.mismatch(visit.page)
      }
      lowerFence = lower
      upperFence = upper
      state.pointee.count = node.count
      state.pointee.prefixLength = node.prefixLength
      let prefix = node.prefix(pageByteCount)
      if let from = prefix.baseAddress {
        keyBuffer.copyMemory(from: from, byteCount: prefix.count)
      }
      try checkRange(of: visit.page.id)
      return true
    }
  }

  /// Whether all keys of the copied leaf lie between the separators around it.
  ///
  /// Only a made-up file has others. See `checkProgress`.
  private func checkRange(of page: PageID) throws(PagerError) {
    let isAbove = lowerFence.map { $0.withUnsafeBytes { lowerBound($0).index == 0 } } ?? true
    let isBelow = upperFence.map { $0.withUnsafeBytes { lowerBound($0).index == count } } ?? true
    guard isAbove, isBelow else { throw outside(page) }
  }

  private func outside(_ page: PageID) -> PagerError {
    PagerError(
      .corrupted, "a page holds keys outside of the range that its parents give it",
      page: page.rawValue)
  }

  /// Whether a walk that comes to the copied leaf from the one before is past all that it has seen.
  ///
  /// Each separator that it goes on with lies further than the one before it, and each leaf's
  /// keys, of which there is one at least, lie between two of these. So a leaf that is referred to many
  /// times passes once at most: that is what bounds a walk (rule F4).
  ///
  /// - Parameters:
  ///   - fence: which ended the leaf before.
  ///   - isReversed: whether the walk goes down.
  func checkProgress(from fence: [UInt8], isReversed: Bool) throws(PagerError) {
    let index = fence.withUnsafeBytes { lowerBound($0).index }
    guard index == (isReversed ? count : 0) else { throw outside(node.id) }
  }

  private func choose(_ node: Node, _ key: UnsafeRawBufferPointer, _ target: Target) -> Int {
    switch target {
    case .holding:
      return node.childIndex(for: key, pageByteCount: pageByteCount)
    case .below:
      let index = node.lowerBound(of: key, isLeaf: false, pageByteCount: pageByteCount).index
      return max(0, index - 1)
    case .last:
      return max(0, min(node.count, pageByteCount / Node.slotByteCount) - 1)
    }
  }

  /// The first slot of the copied leaf whose key is not below `key`, and whether it is equal.
  func lowerBound(_ key: UnsafeRawBufferPointer) -> (index: Int, isFound: Bool) {
    node.lowerBound(of: key, isLeaf: true, pageByteCount: pageByteCount)
  }

  /// The key and the payload of a slot of the copied leaf, until the next call.
  @inline(__always)
  func entry(
    _ index: Int
  ) -> (key: UnsafeRawBufferPointer, payload: UnsafeRawBufferPointer, isLarge: Bool) {
    let cell = node.cell(index, isLeaf: true)
    let suffix = keyBuffer + prefixLength
    suffix.storeBytes(of: node.head(index).bigEndian, as: UInt32.self)
    if let from = cell.tail.baseAddress, cell.tail.count > 0 {
      (suffix + 4).copyMemory(from: from, byteCount: cell.tail.count)
    }
    return (
      UnsafeRawBufferPointer(start: keyBuffer, count: prefixLength &+ cell.suffixLength),
      cell.payload, cell.isLarge
    )
  }
}

extension Tree {
  /// The key of a slot of an inner page that may be changing: the caller validates.
  func copySeparator(_ node: Node, _ index: Int) -> [UInt8] {
    let cell = node.cell(index, isLeaf: false)
    let prefix = node.prefix(pageByteCount)
    let tailLength = min(cell.tail.count, pageByteCount)
    var key: [UInt8] = []
    key.reserveCapacity(prefix.count + 4 + tailLength)
    key.append(contentsOf: prefix)
    withUnsafeBytes(of: node.head(index).bigEndian) {
      key.append(contentsOf: $0[..<min(4, max(0, cell.suffixLength))])
    }
    key.append(contentsOf: UnsafeRawBufferPointer(rebasing: cell.tail[..<tailLength]))
    return key
  }
}
