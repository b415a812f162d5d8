internal import Pager

// Removing ranges: what lies in the range as a whole is cut off without looking at its entries.
// Writer mutex held, in a transaction or while replaying, so that nobody sees the steps.

extension Tree {
  /// What hangs below some children.
  struct Subtrees {
    var pages: [PageReference] = []
    var values: [LargeValue] = []
    var entryCount = 0
  }

  /// Removes the keys of a range.
  ///
  /// - Returns: how many there were.
  func removeRange(_ range: KeyRange) throws(PagerError) -> Int {
    // No key is longer, so what is behind that length decides nothing.
    let lower = range.lower.map { Array($0.prefix(maximumKeyByteCount + 1)) } ?? []
    let upper = range.upper.map { Array($0.prefix(maximumKeyByteCount + 1)) }
    let count = currentRoot.count
    try withoutLog { () throws(PagerError) in
      if lower.isEmpty, upper == nil { return try cutAll() }
      var from = lower
      while let next = try removeStep(from: from, lower, upper) { from = next }
    }
    let removed = count - currentRoot.count
    if removed > 0, isInTransaction {
      try lower.span.bytes.withUnsafeBytes { (low) throws(PagerError) in
        let end = upper ?? []
        try end.span.bytes.withUnsafeBytes { (high) throws(PagerError) in
          let entry = LogEntry(
            kind: .removeRange, tree: descriptor.id, key: low, value: high,
            flags: upper == nil ? .lowerBound : [.lowerBound, .upperBound])
          try reserveLog(entry.byteCount)
          appendLog(entry)
        }
      }
    }
    return removed
  }

  /// Removes everything and logs that the tree is gone.
  func drop() throws(PagerError) {
    try withoutLog { () throws(PagerError) in try cutAll() }
    guard isInTransaction else { return }
    let none = UnsafeRawBufferPointer(start: nil, count: 0)
    let entry = LogEntry(kind: .dropTree, tree: descriptor.id, key: none, value: none)
    try reserveLog(entry.byteCount)
    appendLog(entry)
  }

  /// The tree as the writer sees it.
  private var currentRoot: TreeRoot { descriptor.writerRoot }

  /// Runs changes of which one entry will tell the log.
  private func withoutLog(_ body: () throws(PagerError) -> Void) throws(PagerError) {
    let before = writer.pointee.isUnlogged
    writer.pointee.isUnlogged = true
    defer { writer.pointee.isUnlogged = before }
    try body()
  }

  /// Removes part of the range: what of it lies in one leaf, or a run of subtrees.
  ///
  /// - Returns: from where to go on, or nil when the range is empty.
  private func removeStep(
    from key: [UInt8], _ lower: [UInt8], _ upper: [UInt8]?
  ) throws(PagerError) -> [UInt8]? {
    guard currentRoot.height > 0 else { return nil }
    let isHeld = try key.span.bytes.withUnsafeBytes { (bytes) throws(PagerError) in
      try holdPath(to: bytes)
    }
    guard isHeld else { return key }
    for position in 0..<pathCount - 1 {
      let run = wholeChildren(position, lower, upper)
      if run.isEmpty { continue }
      if run.count == node(path[position].page.id).count {
        // Everything that the tree holds: the page's own parent would have cut it off.
        releasePath()
        try cutAll()
        return nil
      }
      try cut(run, at: position)
      return key
    }
    return try removeEntries(from: key, upper)
  }

  /// Removes the entries of the range that are in the leaf of the held path, one by one.
  private func removeEntries(
    from key: [UInt8], _ upper: [UInt8]?
  ) throws(PagerError) -> [UInt8]? {
    let leaf = node(path[pathCount - 1].page.id)
    let first = key.withUnsafeBytes {
      leaf.lowerBound(of: $0, isLeaf: true, pageByteCount: pageByteCount).index
    }
    let end =
      upper.map {
        $0.withUnsafeBytes {
          leaf.lowerBound(of: $0, isLeaf: true, pageByteCount: pageByteCount).index
        }
      } ?? leaf.count
    let fence = upperFence(pathCount - 1)
    let doomed = EntryList()
    if first < end { doomed.append(leaf, first..<end, pageByteCount: pageByteCount) }
    releasePath()
    for index in 0..<doomed.count {
      let key = doomed.key(index)
      _ = try key.span.bytes.withUnsafeBytes { (key) throws(PagerError) in
        try mutate(Mutation(key: key, payload: nil))
      }
    }
    guard let fence else { return nil }
    guard let upper else { return fence }
    return isBelow(fence, upper) ? fence : nil
  }

  private func isBelow(_ a: [UInt8], _ b: [UInt8]) -> Bool {
    a.withUnsafeBytes { a in b.withUnsafeBytes { Node.compare(a, $0) < 0 } }
  }

  /// The children, from the one on the path, whose ranges lie in the given one as a whole.
  private func wholeChildren(
    _ position: Int, _ lower: [UInt8], _ upper: [UInt8]?
  ) -> Range<Int> {
    let parent = node(path[position].page.id)
    let index = path[position].index
    let low = index == 0 ? lowerFence(position) : separator(parent, index)
    // Without a fence the range begins before all keys, as an empty bound does.
    let isInside = low.map { !isBelow($0, lower) } ?? lower.isEmpty
    let first = isInside ? index : index + 1
    var end = parent.count
    if let upper {
      let fence = upperFence(position)
      if fence.map({ isBelow(upper, $0) }) ?? true {
        end = upper.withUnsafeBytes { parent.childIndex(for: $0, pageByteCount: pageByteCount) }
      }
    } else if upperFence(position) != nil {
      end = parent.count
    }
    return first..<max(first, end)
  }

  /// Cuts some, but not all, children off a page of the held path.
  private func cut(_ run: Range<Int>, at position: Int) throws(PagerError) {
    var work = startRestructuring()
    var cut = Subtrees()
    do throws(PagerError) {
      let parent = node(path[position].page.id)
      let level = path[position].level - 1
      var budget = PageBudget(pager)
      for index in run {
        try collect(parent.child(index), level: level, &budget, into: &cut)
      }
      try checkCount(removing: cut.entryCount)
      // A neighbour takes over the range; it stays as it is.
      let keeper = run.lowerBound > 0 ? run.lowerBound - 1 : run.upperBound
      try hangIn(
        &work, position,
        ChildReplacement(
          first: min(keeper, run.lowerBound), removed: run.count + 1,
          added: [([], parent.child(keeper))]),
        level: level)
    } catch {
      abandon(work)
      throw error
    }
    let isPublished = publish(
      work, nil, wasThere: false, replacedValue: nil, removedCount: cut.entryCount)
    precondition(isPublished, "a pin was taken inside a transaction")
    try free(cut)
  }

  /// Makes the tree empty.
  func cutAll() throws(PagerError) {
    let root = currentRoot
    guard root.height > 0 else { return }
    var cut = Subtrees()
    var budget = PageBudget(pager)
    try collect(root.page, level: root.height - 1, &budget, into: &cut)
    pager.publishLatch.withLock { pager.publish(descriptor, root: .empty) }
    writer.pointee.changeCount &+= 1
    try free(cut)
  }

  /// Finds everything that hangs below a page, and the page itself.
  private func collect(
    _ page: PageReference, level: Int, _ budget: inout PageBudget, into cut: inout Subtrees
  ) throws(PagerError) {
    try budget.spend(page)
    cut.pages.append(page)
    var children: [PageReference] = []
    while true {
      let version = try pool.beginRead(page, level: level)
      let node = node(page.id)
      // Nobody changes the page, since the writer is here; it may only be evicted between reads.
      let count = min(node.count, pageByteCount / Node.slotByteCount)
      var values: [LargeValue] = []
      children.removeAll(keepingCapacity: true)
      if level > 0 {
        for index in 0..<count { children.append(node.child(index)) }
      } else {
        for index in 0..<count {
          let cell = node.cell(index, isLeaf: true)
          guard cell.isLarge else { continue }
          if let value = LargeValue(cell.payload, pageByteCount: pageByteCount) {
            values.append(value)
          }
        }
      }
      let isRight = node.isPage(page, level: level)
      guard pool.endRead(page.id, version) else { continue }
      guard isRight else { throw Node.mismatch(page) }
      if level == 0 {
        cut.entryCount += count
        cut.values.append(contentsOf: values)
      }
      break
    }
    for child in children { try collect(child, level: level - 1, &budget, into: &cut) }
  }

  /// Notes what the tree no longer refers to, and frees what nobody else sees.
  private func free(_ cut: Subtrees) throws(PagerError) {
    for value in cut.values {
      pager.publishLatch.withLock {
        for extent in value.extents { pager.unlink(value: extent, birth: value.birth) }
      }
    }
    for page in cut.pages where pager.publishLatch.withLock({ pager.unlink(page) }) {
      pool.discard(page.id)
      try pager.allocator.free(Extent(first: page.id, pageCount: 1))
    }
  }
}

// MARK: Counting

extension Tree {
  /// About how large a part of all entries lies before a key, and in which leaf the key belongs.
  private func place(
    before key: UnsafeRawBufferPointer, root: TreeRoot?
  ) throws(PagerError) -> (share: Double, leaf: PageID, index: Int)? {
    while true {
      var steps: [(index: Int, count: Int)] = []
      var last = Int.max
      let visit = try descend(root: root, to: key) { node, key in
        node.childIndex(for: key, pageByteCount: pageByteCount)
      } visit: { page, _, index, level in
        // Coming to a level again means that the way down began anew.
        if level >= last { steps.removeAll() }
        last = level
        steps.append((index, self.node(page.id).count))
      }
      guard let visit else { return nil }
      let leaf = self.node(visit.page.id)
      let index = leaf.lowerBound(of: key, isLeaf: true, pageByteCount: pageByteCount).index
      let count = leaf.count
      guard pool.endRead(visit.page.id, visit.version) else { continue }
      var share = Double(index) / Double(max(1, count))
      for step in steps.reversed() {
        share = (Double(step.index) + share) / Double(max(1, step.count))
      }
      return (share, visit.page.id, index)
    }
  }

  /// About how many entries lie in a range.
  func estimatedCount(_ range: KeyRange, root: TreeRoot?) throws(PagerError) -> Int {
    let total = root?.count ?? descriptor.liveCount
    let lower = range.lower ?? []
    let low = try lower.span.bytes.withUnsafeBytes { (key) throws(PagerError) in
      try place(before: key, root: root)
    }
    guard let low else { return 0 }
    guard let upper = range.upper else {
      return max(0, Int((1 - low.share) * Double(total) + 0.5))
    }
    let high = try upper.span.bytes.withUnsafeBytes { (key) throws(PagerError) in
      try place(before: key, root: root)
    }
    guard let high else { return 0 }
    if low.leaf == high.leaf { return max(0, high.index - low.index) }
    return max(0, Int((high.share - low.share) * Double(total) + 0.5))
  }
}

extension TreeAccess {
  func estimatedCount(_ range: KeyRange) throws(DatabaseError) -> Int {
    try read { (root) throws(PagerError) in try tree.estimatedCount(range, root: root) }
  }
}
