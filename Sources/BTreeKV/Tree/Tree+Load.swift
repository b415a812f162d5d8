internal import Pager

// Building a tree from the bottom up, from entries that come in order. In a transaction.

extension Tree {
  /// Fills the tree, which is empty, with entries that come in ascending order of their keys.
  ///
  /// - Parameter feed: hands over the entries, one after the other.
  /// - Returns: how many there were.
  func load(
    _ feed: (UnsafeMutablePointer<TreeLoader>) throws(DatabaseError) -> Void
  ) throws(DatabaseError) -> Int {
    // Behind a pointer: a captured variable would be checked at each access.
    let loader = UnsafeMutablePointer<TreeLoader>.allocate(capacity: 1)
    loader.initialize(to: TreeLoader(self))
    defer {
      loader.pointee.deallocate()
      loader.deinitialize(count: 1)
      loader.deallocate()
    }
    try feed(loader)
    return try converting { () throws(PagerError) in
      let root = try loader.pointee.finish()
      // The sequence is the caller's code, and may have changed the tree through the transaction.
      guard descriptor.writerRoot.height == 0, !state.pointee.isGone else {
        throw PagerError(
          .invalidArgument, "the tree was changed while it was loaded", path: pager.storage.path)
      }
      guard root.count > 0 else { return 0 }
      pager.publishLatch.withLock { pager.publish(descriptor, root: root) }
      _ = pager.noteInTransaction(entryByteCount: 0)
      writer.pointee.changeCount &+= 1
      return root.count
    }
  }
}

/// Gathers entries until they fill a page, and pages until they fill one above.
@usableFromInline
struct TreeLoader {
  private let tree: Tree
  private var count = 0

  /// The keys and payloads of the leaf to come, one behind the other.
  private var arena: UnsafeMutableRawBufferPointer
  private var arenaEnd = 0
  private struct Pair {
    var key: Range<Int>
    var payload: Range<Int>
    var isLarge: Bool
  }
  private var pairs: [Pair] = []
  /// What these take in a page with the prefix below.
  private var byteCount = 0
  private var prefixLength = 0

  /// A level of inner pages: the children of the page to come.
  private struct Level {
    var children: [(key: [UInt8], child: PageReference)] = []
    /// The separator in front of the page to come, nil at the tree's beginning.
    var lower: [UInt8]?
  }
  private var levels: [Level] = []
  /// The separator in front of the leaf to come.
  private var lower: [UInt8]?

  init(_ tree: Tree) {
    self.tree = tree
    arena = .allocate(byteCount: 4 * tree.pageByteCount, alignment: 16)
  }

  func deallocate() { arena.deallocate() }

  // MARK: Leaves

  mutating func append(
    _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer
  ) throws(PagerError) {
    guard key.count <= tree.maximumKeyByteCount else {
      throw PagerError(
        .keyTooLong, "a key is longer than a quarter of a page",
        expected: UInt64(tree.maximumKeyByteCount), found: UInt64(key.count))
    }
    if let last = pairs.last, Node.compare(bytes(last.key), key) >= 0 {
      throw PagerError(.invalidArgument, "the keys to load do not ascend at number \(count)")
    }
    if tree.isInline(key: key.count, value: value.count) {
      try add(key, value, isLarge: false)
    } else {
      let large = try tree.store(value, inTransaction: true)
      for extent in large.extents { tree.pager.publishLatch.withLock { tree.pager.link(extent) } }
      tree.adopt(large)
      let reference = large.encoded
      try reference.span.bytes.withUnsafeBytes { (payload) throws(PagerError) in
        try add(key, payload, isLarge: true)
      }
    }
    count += 1
  }

  private mutating func add(
    _ key: UnsafeRawBufferPointer, _ payload: UnsafeRawBufferPointer, isLarge: Bool
  ) throws(PagerError) {
    while !pairs.isEmpty, !hasRoom(key, payload, isLarge) { try closeLeaf(before: key) }
    if pairs.isEmpty {
      arenaEnd = 0
      prefixLength = commonPrefixLength(of: key)
      byteCount = prefixLength + size(key.count, payload.count, isLarge)
    }
    let start = arenaEnd
    arenaEnd += key.count + payload.count
    if let base = arena.baseAddress {
      if let from = key.baseAddress { (base + start).copyMemory(from: from, byteCount: key.count) }
      if let from = payload.baseAddress {
        (base + start + key.count).copyMemory(from: from, byteCount: payload.count)
      }
    }
    pairs.append(
      Pair(
        key: start..<start + key.count, payload: start + key.count..<arenaEnd, isLarge: isLarge))
  }

  /// Whether the leaf can take the entry; counts it if so.
  private mutating func hasRoom(
    _ key: UnsafeRawBufferPointer, _ payload: UnsafeRawBufferPointer, _ isLarge: Bool
  ) -> Bool {
    let common = min(prefixLength, commonPrefixLength(of: key))
    var total = byteCount
    if common < prefixLength {
      let before = prefixLength
      prefixLength = common
      total = common + pairs.reduce(0) { $0 + size($1.key.count, $1.payload.count, $1.isLarge) }
      if total + size(key.count, payload.count, isLarge) > tree.capacity {
        prefixLength = before
        return false
      }
    }
    total += size(key.count, payload.count, isLarge)
    guard total <= tree.capacity else { return false }
    byteCount = total
    return true
  }

  /// What an entry takes behind the prefix.
  private func size(_ key: Int, _ payload: Int, _ isLarge: Bool) -> Int {
    Node.slotByteCount
      + Node.cellByteCount(
        suffix: key - prefixLength, payload: payload, isLarge: isLarge, isLeaf: true)
  }

  /// What a key has in common with all of the leaf, which begins with the separator before it.
  private func commonPrefixLength(of key: UnsafeRawBufferPointer) -> Int {
    if let lower { return lower.withUnsafeBytes { BTreeKV.commonPrefixLength($0, key) } }
    guard let first = pairs.first else { return key.count }
    return BTreeKV.commonPrefixLength(bytes(first.key), key)
  }

  private func bytes(_ range: Range<Int>) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: arena[range])
  }

  /// Builds a leaf of the entries so far, or of as many as fit with the prefix that the next key
  /// leaves them.
  private mutating func closeLeaf(before next: UnsafeRawBufferPointer?) throws(PagerError) {
    let entries = tree.entries
    entries.removeAll()
    for pair in pairs {
      entries.append(bytes(pair.key), bytes(pair.payload), isLarge: pair.isLarge)
    }
    var taken = pairs.count
    var upper: [UInt8]?
    var prefix = 0
    while true {
      if taken < pairs.count {
        upper = tree.separator(between: taken - 1, taken)
      } else {
        upper = next.map { shortestSeparator(above: bytes(pairs[taken - 1].key), notAbove: $0) }
      }
      prefix = tree.leafPrefix(0..<taken, lower, upper)
      if entries.byteCount(0..<taken, prefix: prefix, isLeaf: true) <= tree.capacity { break }
      taken -= 1
    }
    try addChild(try makePage(0..<taken, level: 0, prefix: prefix), key: lower ?? [], level: 0)
    lower = upper
    keep(from: taken)
  }

  /// Makes the entries from `first` on the beginning of the next leaf.
  private mutating func keep(from first: Int) {
    byteCount = 0
    if first == pairs.count {
      pairs.removeAll(keepingCapacity: true)
      return
    }
    let rest = pairs[first...]
    pairs = []
    guard let start = rest.first?.key.lowerBound, let base = arena.baseAddress else { return }
    base.copyMemory(from: base + start, byteCount: arenaEnd - start)
    arenaEnd -= start
    pairs = rest.map { pair in
      Pair(
        key: pair.key.lowerBound - start..<pair.key.upperBound - start,
        payload: pair.payload.lowerBound - start..<pair.payload.upperBound - start,
        isLarge: pair.isLarge)
    }
    prefixLength = pairs.reduce(Int.max) { min($0, commonPrefixLength(of: bytes($1.key))) }
    byteCount =
      prefixLength
      + pairs.reduce(0) {
        $0 + size($1.key.count, $1.payload.count, $1.isLarge)
      }
  }

  private func makePage(_ range: Range<Int>, level: Int, prefix: Int) throws(PagerError)
    -> PageReference
  {
    var work = tree.startRestructuring()
    let page = try tree.makePage(&work, range, level: level, prefix: prefix)
    tree.pool.settle(relocated: page.id)
    tree.pager.publishLatch.withLock { tree.pager.link(relocated: page.id) }
    return page
  }

  // MARK: Inner pages

  private mutating func addChild(_ child: PageReference, key: [UInt8], level: Int)
    throws(PagerError)
  {
    if level == levels.count { levels.append(Level()) }
    levels[level].children.append((key, child))
    // Two children are kept back, so that the last page has them at least.
    if levels[level].children.count > 3, !fits(levels[level].children.dropLast(2), level) {
      let count = levels[level].children.count
      try closePage(level, count - 3)
    }
  }

  private func fill(_ children: some Sequence<(key: [UInt8], child: PageReference)>) {
    tree.entries.removeAll()
    for (key, child) in children { tree.entries.append(key, child: child) }
  }

  private func fits(
    _ children: ArraySlice<(key: [UInt8], child: PageReference)>, _ level: Int
  ) -> Bool {
    fill(children)
    let all = 0..<children.count
    let prefix = tree.prefixLength(
      all, level: level + 1, levels[level].lower,
      levels[level].children[children.endIndex].key)
    return tree.entries.byteCount(all, prefix: prefix, isLeaf: false) <= tree.capacity - 16
  }

  /// Builds an inner page of the first children of a level.
  private mutating func closePage(_ level: Int, _ count: Int) throws(PagerError) {
    let children = levels[level].children
    let upper = count < children.count ? children[count].key : nil
    fill(children[..<count])
    let prefix = tree.prefixLength(0..<count, level: level + 1, levels[level].lower, upper)
    let page = try makePage(0..<count, level: level + 1, prefix: prefix)
    let key = children[0].key
    levels[level].children.removeFirst(count)
    levels[level].lower = upper
    try addChild(page, key: key, level: level + 1)
  }

  /// Builds the pages that are not full.
  mutating func finish() throws(PagerError) -> TreeRoot {
    if count == 0 { return .empty }
    while !pairs.isEmpty { try closeLeaf(before: nil) }
    var level = 0
    while levels[level].children.count > 1 || level + 1 < levels.count {
      var rest = levels[level].children.count
      while rest > 0 {
        // What was kept back may be more than one page holds.
        var taken = rest
        while taken > 2, !fitsAtEnd(level, taken) || rest - taken == 1 { taken -= 1 }
        try closePage(level, taken)
        rest = levels[level].children.count
      }
      level += 1
    }
    return TreeRoot(page: levels[level].children[0].child, height: level + 1, count: count)
  }

  private func fitsAtEnd(_ level: Int, _ count: Int) -> Bool {
    fill(levels[level].children[..<count])
    // The page may be the tree's last, which has no prefix.
    return tree.entries.byteCount(0..<count, prefix: 0, isLeaf: false) <= tree.capacity - 16
  }
}
