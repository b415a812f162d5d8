internal import Pager

/// The way to the leaf that the last change of a tree went to, so that changes in the order of keys, or of
/// one key again and again, need not come down from the root.
///
/// Nobody keeps it true. It holds while the writer begins at the same root and each inner page of the way is
/// of the version that was met: versions never come back (rule D1), whatever changes a page moves its
/// version on, and pages that are the same lead where they led.
///
/// It belongs to whoever holds the pager's writer mutex.
struct Finger {
  /// An inner page of the way, and the child that was taken.
  struct Step {
    var page: PageReference
    var version: PagePool.Version
    var index: Int
  }

  /// Trees that are higher have no finger.
  static let heightLimit = 16
  /// Nor have leaves whose keys begin or end with longer ones.
  static let keyLimit = 256

  var root = PageReference(id: .none, epoch: Epoch(0))
  /// 0: it leads nowhere.
  var height = 0
  var leaf = PageReference(id: .none, epoch: Epoch(0))
  /// Whether it is known which keys belong to the leaf: those from the first bound on, below the other.
  var isBounded = false
  /// The length of the first bound.
  var lowCount = 0
  /// The length of the second one; nil: nothing ends the leaf's keys.
  var highCount: Int?
  /// The page at each level above the leaves.
  let steps = UnsafeMutablePointer<Step>.allocate(capacity: heightLimit)
  /// Room for both bounds.
  private let keys = UnsafeMutableRawPointer.allocate(byteCount: 2 * keyLimit, alignment: 8)

  func deallocate() {
    steps.deallocate()
    keys.deallocate()
  }

  private var lowRoom: UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(start: keys, count: Self.keyLimit)
  }
  private var highRoom: UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(start: keys + Self.keyLimit, count: Self.keyLimit)
  }

  /// Whether a key belongs to the leaf, as far as is known.
  @inline(__always)
  func covers(_ key: UnsafeRawBufferPointer) -> Bool {
    guard isBounded else { return false }
    let low = UnsafeRawBufferPointer(start: keys, count: lowCount)
    guard Node.compare(low, key) <= 0 else { return false }
    guard let highCount else { return true }
    return Node.compare(key, UnsafeRawBufferPointer(start: keys + Self.keyLimit, count: highCount))
      < 0
  }

  /// Takes the bounds from the inner pages of the way, each held meanwhile: a page that is on its way out of
  /// memory still has its version, but not its bytes.
  ///
  /// - Returns: whether all pages are what they were, and the bounds not too long.
  mutating func readBounds(_ pool: PagePool, pageByteCount: Int) -> Bool {
    var low: Int?
    var high: Int?
    for level in 1..<max(1, height) {
      let (id, index) = (steps[level].page.id, steps[level].index)
      guard pool.lockShared(id, steps[level].version) else { return false }
      defer { pool.unlock(shared: id) }
      let page = Node(pool.address(id))
      if low == nil, index > 0 {
        guard let count = page.copyKey(index, to: lowRoom, pageByteCount) else { return false }
        low = count
      }
      if high == nil, index + 1 < page.count {
        guard let count = page.copyKey(index + 1, to: highRoom, pageByteCount) else { return false }
        high = count
      }
    }
    lowCount = low ?? 0
    highCount = high
    return true
  }

  /// Takes a single key for all that is known to belong to the leaf.
  mutating func bound(to key: UnsafeRawBufferPointer) {
    guard key.count < Self.keyLimit else { return }
    lowRoom.copyBytes(from: key)
    highRoom.copyBytes(from: key)
    highRoom[key.count] = 0
    lowCount = key.count
    highCount = key.count + 1
    isBounded = true
  }
}

extension Node {
  /// Copies the whole key of a slot of an inner page.
  ///
  /// - Returns: its length; nil when there is no room for it.
  fileprivate func copyKey(
    _ index: Int, to room: UnsafeMutableRawBufferPointer, _ pageByteCount: Int
  ) -> Int? {
    let prefix = prefix(pageByteCount)
    let slot = slot(index)
    let cell = cell(of: slot, isLeaf: false)
    let count = prefix.count + cell.suffixLength
    guard count + 4 <= room.count, let target = room.baseAddress else { return nil }
    if let from = prefix.baseAddress { target.copyMemory(from: from, byteCount: prefix.count) }
    // A shorter suffix leaves zeros behind.
    (target + prefix.count).storeBytes(of: slot.head.bigEndian, as: UInt32.self)
    if let from = cell.tail.baseAddress {
      (target + prefix.count + 4).copyMemory(from: from, byteCount: cell.tail.count)
    }
    return count
  }
}

extension Tree {
  /// Goes down to the leaf that would hold `key`, as the writer sees the tree, or goes there straight; then
  /// the finger tells the way.
  ///
  /// Writer mutex held.
  ///
  /// - Parameter isAgain: whether the same key is to be looked for again at once.
  /// - Returns: nil when the tree is empty.
  @inline(__always)
  func writerLeaf(
    for key: UnsafeRawBufferPointer, isAgain: Bool = false
  ) throws(PagerError) -> LeafVisit? {
    if finger.pointee.covers(key), isFingerTrue {
      let leaf = finger.pointee.leaf
      return LeafVisit(
        page: leaf, version: try pool.beginRead(leaf, level: 0),
        isRoot: finger.pointee.height == 1)
    }
    return try pointFinger(at: key, isAgain: isAgain)
  }

  /// Whether the way is still the one that the finger says.
  @inline(__always) private var isFingerTrue: Bool {
    let root = descriptor.writerRoot
    guard root.page == finger.pointee.root, root.height == finger.pointee.height else {
      return false
    }
    var level = root.height - 1
    while level > 0 {
      let step = finger.pointee.steps[level]
      guard pool.isCurrent(step.page.id, step.version) else { return false }
      level -= 1
    }
    return true
  }

  private func pointFinger(
    at key: UnsafeRawBufferPointer, isAgain: Bool
  ) throws(PagerError) -> LeafVisit? {
    let last = finger.pointee.leaf
    finger.pointee.isBounded = false
    finger.pointee.height = 0
    let steps = finger.pointee.steps
    let visit = try descend(root: writerRoot, to: key) { node, key in
      node.childIndex(for: key, pageByteCount: pageByteCount)
    } visit: { page, version, index, level in
      if level < Finger.heightLimit {
        steps[level] = Finger.Step(page: page, version: version, index: index)
      }
    }
    let root = descriptor.writerRoot
    guard let visit, root.height <= Finger.heightLimit else { return visit }
    finger.pointee.leaf = visit.page
    finger.pointee.root = root.page
    finger.pointee.height = root.height
    if visit.page == last {
      // Twice the same leaf: there may be more.
      finger.pointee.isBounded = finger.pointee.readBounds(pool, pageByteCount: pageByteCount)
    } else if isAgain {
      finger.pointee.bound(to: key)
    }
    return visit
  }

  /// Looks a key up that the writer is about to change: as `withPayload`.
  @inline(__always)
  func withWriterPayload<R>(
    of key: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer, Bool) -> R
  ) throws(PagerError) -> R? {
    try withPayload(of: key, body) { () throws(PagerError) in
      try writerLeaf(for: key, isAgain: true)
    }
  }
}
