internal import Pager

// How leaves and inner pages are split, filled and merged. All of it prepares: it builds pages
// that nobody sees yet.

extension Tree {
  /// What pages are filled to at most when entries are spread over several.
  private var spreadLimit: Int { capacity - 16 }

  func restructureLeaf(
    _ work: inout Restructuring, _ mutation: Mutation, _ leaf: Node, _ index: Int, _ isFound: Bool
  ) throws(PagerError) {
    let position = pathCount - 1
    let used = leaf.usedByteCount(pageByteCount)
    guard let payload = mutation.payload else {
      let cell = leaf.cell(index, isLeaf: true)
      if leaf.count == 1, position == 0 {
        work.replaced.append(path[0].page)
        work.top = .root(.none, height: 0)
        return
      }
      if position > 0,
        leaf.count == 1 || used - cell.byteCount - Node.slotByteCount < capacity / 4
      {
        return try mergeLeaf(&work, leaf, without: index)
      }
      return try copyLeaf(&work, mutation, leaf, index, isFound)
    }
    let hasPrefix =
      isFound || Node.comparePrefix(mutation.key, leaf.prefix(pageByteCount)) == 0
    var size = 0
    if hasPrefix {
      size =
        Node.slotByteCount
        + Node.cellByteCount(
          suffix: mutation.key.count - leaf.prefixLength, payload: payload.count,
          isLarge: mutation.isLarge, isLeaf: true)
      if isFound {
        size -= leaf.cell(index, isLeaf: true).byteCount + Node.slotByteCount
      }
      if used + size <= capacity { return try copyLeaf(&work, mutation, leaf, index, isFound) }
    }
    try splitLeaf(&work, mutation, leaf, index, isFound, hasPrefix: hasPrefix)
  }

  /// The leaf in a new place, with the change made.
  private func copyLeaf(
    _ work: inout Restructuring, _ mutation: Mutation, _ leaf: Node, _ index: Int, _ isFound: Bool
  ) throws(PagerError) {
    let page = try allocatePage(&work)
    let copy = node(page.id)
    copy.copy(from: leaf, id: page.id, epoch: page.epoch, pageByteCount: pageByteCount)
    apply(mutation, to: copy, index, isFound)
    try replace(&work, pathCount - 1, by: [([], page)])
  }

  /// Replaces the page at a position of the path by others.
  private func replace(
    _ work: inout Restructuring, _ position: Int, by pages: [(key: [UInt8], child: PageReference)]
  ) throws(PagerError) {
    work.replaced.append(path[position].page)
    try hangIn(
      &work, position - 1,
      ChildReplacement(
        first: position > 0 ? path[position - 1].index : 0, removed: 1, added: pages),
      level: path[position].level)
  }

  // MARK: Splitting

  private func splitLeaf(
    _ work: inout Restructuring, _ mutation: Mutation, _ leaf: Node, _ index: Int,
    _ isFound: Bool, hasPrefix: Bool
  ) throws(PagerError) {
    let position = pathCount - 1
    let payload = mutation.payload ?? UnsafeRawBufferPointer(start: nil, count: 0)
    let lower = lowerFence(position)
    let upper = upperFence(position)
    let count = leaf.count
    let isAscending =
      !isFound && writer.pointee.lastInsert.page == path[position].page.id
      && writer.pointee.lastInsert.index == index - 1
    if hasPrefix, !isFound, index == count, count > 0, upper == nil || isAscending {
      // The usual way of ascending keys: nothing is to be known of the leaf but its last key.
      entries.removeAll()
      entries.append(leaf, count - 1..<count, pageByteCount: pageByteCount)
      entries.append(mutation.key, payload, isLarge: mutation.isLarge)
      return try setApart(&work, 1, upper: upper, lower: lower)
    }
    let appendOwn = { [self] in
      entries.append(leaf, 0..<index, pageByteCount: pageByteCount)
      entries.append(mutation.key, payload, isLarge: mutation.isLarge)
      entries.append(
        leaf, (isFound ? index + 1 : index)..<count, pageByteCount: pageByteCount)
    }
    entries.removeAll()
    appendOwn()
    let all = 0..<entries.count

    if !hasPrefix {
      // A leaf at the edge of the tree may have a longer prefix than its range demands.
      let prefix = leafPrefix(all, lower, upper)
      if entries.byteCount(all, prefix: prefix, isLeaf: true) <= spreadLimit {
        let page = try makePage(&work, all, level: 0, prefix: prefix)
        return try replace(&work, position, by: [([], page)])
      }
    }
    if !isFound, !hasPrefix, index == count || index == 0 {
      return try setApart(&work, index, upper: upper, lower: lower)
    }
    if isAscending, index > count / 2 {
      // The run goes on: what is behind it moves out of its way.
      let cut = index + 1
      if entries.byteCount(0..<cut, prefix: leaf.prefixLength, isLeaf: true) <= spreadLimit {
        let pages = try buildPages(&work, [0, cut, all.upperBound], level: 0, lower, upper)
        return try replace(&work, position, by: pages)
      }
    }
    if position > 0, try spreadOverSibling(&work, lower, upper, appendOwn) { return }
    let pages = try spread(&work, all, over: 2, level: 0, lower, upper)
    try replace(&work, position, by: pages)
  }

  /// Gives the new entry, the first or last of `entries`, a leaf of its own; the old one stays.
  private func setApart(
    _ work: inout Restructuring, _ index: Int, upper: [UInt8]?, lower: [UInt8]?
  ) throws(PagerError) {
    let position = pathCount - 1
    let old = path[position].page
    let isLast = index > 0
    let separator =
      isLast ? self.separator(between: index - 1, index) : self.separator(between: 0, 1)
    let prefix =
      isLast
      ? leafPrefix(index..<index + 1, separator, upper) : leafPrefix(0..<1, lower, separator)
    let page = try makePage(&work, index..<index + 1, level: 0, prefix: prefix)
    try hangIn(
      &work, position - 1,
      ChildReplacement(
        first: position > 0 ? path[position - 1].index : 0, removed: 1,
        added: isLast ? [([], old), (separator, page)] : [([], page), (separator, old)]),
      level: 0)
  }

  /// Spreads a full leaf's entries over it and a neighbour, or over three leaves: so that random
  /// loads fill pages well.
  ///
  /// - Returns: false when that is not possible; `entries` is as it was.
  private func spreadOverSibling(
    _ work: inout Restructuring, _ lower: [UInt8]?, _ upper: [UInt8]?, _ appendOwn: () -> Void
  ) throws(PagerError) -> Bool {
    let position = pathCount - 1
    let parent = node(path[position - 1].page.id)
    let index = path[position - 1].index
    let isRight = index + 1 < parent.count
    guard isRight || index > 0 else { return false }
    let siblingIndex = isRight ? index + 1 : index - 1
    let siblingPage = parent.child(siblingIndex)
    let sibling = try holdSibling(&work, siblingPage, level: 0)
    var low = lower
    var high = upper
    if isRight {
      entries.append(sibling, 0..<sibling.count, pageByteCount: pageByteCount)
      high = fence(ofParentAt: position - 1, slot: siblingIndex + 1)
    } else {
      entries.removeAll()
      entries.append(sibling, 0..<sibling.count, pageByteCount: pageByteCount)
      appendOwn()
      low = siblingIndex > 0 ? separator(parent, siblingIndex) : lowerFence(position - 1)
    }
    let all = 0..<entries.count
    let total = entries.byteCount(all, prefix: leafPrefix(all, low, high), isLeaf: true)
    guard total <= 3 * spreadLimit * 9 / 10 else {
      entries.removeAll()
      appendOwn()
      return false
    }
    let pageCount = total <= 2 * spreadLimit * Self.redistributionPercent / 100 ? 2 : 3
    let pages = try spread(&work, all, over: pageCount, level: 0, low, high)
    work.replaced.append(path[position].page)
    work.replaced.append(siblingPage)
    try hangIn(
      &work, position - 1,
      ChildReplacement(first: min(index, siblingIndex), removed: 2, added: pages), level: 0)
    return true
  }

  /// Two neighbours share their entries evenly while they fill less than this of both.
  static var redistributionPercent: Int { 80 }

  /// The separator at a slot of a page of the path, or the page's upper fence behind the last.
  private func fence(ofParentAt position: Int, slot: Int) -> [UInt8]? {
    let parent = node(path[position].page.id)
    return slot < parent.count ? separator(parent, slot) : upperFence(position)
  }

  // MARK: Merging

  /// Takes an entry out of a leaf that is nearly empty then, and joins it with a neighbour.
  private func mergeLeaf(
    _ work: inout Restructuring, _ leaf: Node, without index: Int
  ) throws(PagerError) {
    let position = pathCount - 1
    try joinWithSibling(&work, position) { entries, _ in
      entries.append(leaf, 0..<index, pageByteCount: pageByteCount)
      entries.append(leaf, index + 1..<leaf.count, pageByteCount: pageByteCount)
    }
  }

  /// Makes one page of a page and its neighbour, or two that are equally full.
  private func joinWithSibling(
    _ work: inout Restructuring, _ position: Int,
    _ appendOwn: (EntryList, [UInt8]) -> Void
  ) throws(PagerError) {
    let level = path[position].level
    let parent = node(path[position - 1].page.id)
    let index = path[position - 1].index
    let isRight = index + 1 < parent.count
    let siblingIndex = isRight ? index + 1 : index - 1
    let left = min(index, siblingIndex)
    let siblingPage = parent.child(siblingIndex)
    let sibling = try holdSibling(&work, siblingPage, level: level)
    let low = left > 0 ? separator(parent, left) : lowerFence(position - 1)
    let middle = separator(parent, left + 1)
    let high = fence(ofParentAt: position - 1, slot: left + 2)
    entries.removeAll()
    if isRight {
      appendOwn(entries, low ?? [])
      entries.append(
        sibling, 0..<sibling.count, pageByteCount: pageByteCount,
        firstKey: level > 0 ? middle : nil)
    } else {
      entries.append(
        sibling, 0..<sibling.count, pageByteCount: pageByteCount,
        firstKey: level > 0 ? low ?? [] : nil)
      appendOwn(entries, middle)
    }
    let all = 0..<entries.count
    let prefix = prefixLength(all, level: level, low, high)
    let total = entries.byteCount(all, prefix: prefix, isLeaf: level == 0)
    let pages: [(key: [UInt8], child: PageReference)]
    if total <= spreadLimit * 9 / 10 {
      pages = [([], try makePage(&work, all, level: level, prefix: prefix))]
    } else {
      pages = try spread(&work, all, over: 2, level: level, low, high)
    }
    work.replaced.append(path[position].page)
    work.replaced.append(siblingPage)
    try hangIn(
      &work, position - 1, ChildReplacement(first: left, removed: 2, added: pages), level: level)
  }

  // MARK: Inner pages

  /// Hangs new pages of `level` into the page at a position of the path, or makes a root of them.
  func hangIn(
    _ work: inout Restructuring, _ position: Int, _ replacement: ChildReplacement, level: Int
  ) throws(PagerError) {
    guard position >= 0 else {
      if replacement.added.count == 1 {
        work.top = .root(replacement.added[0].child, height: level + 1)
        return
      }
      entries.removeAll()
      for (key, child) in replacement.added { entries.append(key, child: child) }
      let root = try makePage(&work, 0..<entries.count, level: level + 1, prefix: 0)
      work.top = .root(root, height: level + 2)
      return
    }
    let parent = node(path[position].page.id)
    let newCount = parent.count - replacement.removed + replacement.added.count
    if position == 0, newCount == 1 {
      work.replaced.append(path[0].page)
      work.top = .root(replacement.added[0].child, height: level + 1)
      return
    }
    // A range that was cut off has made this page's range wider than its prefix.
    let hasPrefix = replacement.added.dropFirst().allSatisfy { added in
      added.key.withUnsafeBytes { Node.comparePrefix($0, parent.prefix(pageByteCount)) == 0 }
    }
    guard hasPrefix else { return try splitInner(&work, position, replacement) }
    let newUsed = usedByteCount(parent, after: replacement)
    if position > 0, newCount < 2 || newUsed < capacity / 4 {
      return try joinWithSibling(&work, position) { entries, firstKey in
        append(parent, replacement, to: entries, firstKey: firstKey)
      }
    }
    if newUsed <= capacity {
      if work.youngestPin < parent.epoch {
        work.top = .children(pathIndex: position, replacement)
        return
      }
      let page = try allocatePage(&work)
      let copy = node(page.id)
      copy.copy(from: parent, id: page.id, epoch: page.epoch, pageByteCount: pageByteCount)
      apply(replacement, to: copy)
      return try replace(&work, position, by: [([], page)])
    }
    try splitInner(&work, position, replacement)
  }

  private func splitInner(
    _ work: inout Restructuring, _ position: Int, _ replacement: ChildReplacement
  ) throws(PagerError) {
    let parent = node(path[position].page.id)
    let level = path[position].level
    let lower = lowerFence(position)
    let upper = upperFence(position)
    entries.removeAll()
    append(parent, replacement, to: entries, firstKey: lower ?? [])
    let all = 0..<entries.count
    let own = prefixLength(all, level: level, lower, upper)
    if entries.byteCount(all, prefix: own, isLeaf: false) <= spreadLimit {
      let page = try makePage(&work, all, level: level, prefix: own)
      return try replace(&work, position, by: [([], page)])
    }
    let isAtEnd = replacement.first + replacement.removed == parent.count && upper == nil
    if isAtEnd, all.count > 8 {
      let cut = all.count - 3
      let prefix = prefixLength(0..<cut, level: level, lower, entries.key(cut))
      if entries.byteCount(0..<cut, prefix: prefix, isLeaf: false) <= spreadLimit {
        let pages = try buildPages(&work, [0, cut, all.upperBound], level: level, lower, upper)
        return try replace(&work, position, by: pages)
      }
    }
    let pages = try spread(&work, all, over: 2, level: level, lower, upper)
    try replace(&work, position, by: pages)
  }

  /// The entries of an inner page as they are after a replacement.
  private func append(
    _ parent: Node, _ replacement: ChildReplacement, to entries: EntryList,
    firstKey: [UInt8]
  ) {
    let first = replacement.first
    entries.append(parent, 0..<first, pageByteCount: pageByteCount, firstKey: firstKey)
    entries.append(
      first == 0 ? firstKey : separator(parent, first), child: replacement.added[0].child)
    for (key, child) in replacement.added.dropFirst() { entries.append(key, child: child) }
    entries.append(
      parent, first + replacement.removed..<parent.count, pageByteCount: pageByteCount)
  }

  /// What an inner page uses after a replacement.
  private func usedByteCount(_ parent: Node, after replacement: ChildReplacement) -> Int {
    var used = parent.usedByteCount(pageByteCount)
    for index in replacement.first
      + 1..<max(
        replacement.first + 1, replacement.first + replacement.removed)
    {
      used -= parent.cell(index, isLeaf: false).byteCount + Node.slotByteCount
    }
    for (key, _) in replacement.added.dropFirst() {
      used +=
        Node.slotByteCount
        + Node.cellByteCount(
          suffix: key.count - parent.prefixLength, payload: Node.childByteCount, isLarge: false,
          isLeaf: false)
    }
    return used
  }

  /// Replaces children in an inner page that has room.
  ///
  /// Cannot fail.
  func apply(_ replacement: ChildReplacement, to parent: Node) {
    Node.withChild(replacement.added[0].child) {
      parent.overwritePayload(at: replacement.first, with: $0, isLeaf: false)
    }
    for _ in 1..<max(1, replacement.removed) {
      parent.remove(at: replacement.first + 1, isLeaf: false)
    }
    let prefixLength = parent.prefixLength
    for (offset, (key, child)) in replacement.added.enumerated().dropFirst() {
      key.withUnsafeBytes { key in
        let suffix = UnsafeRawBufferPointer(rebasing: key[prefixLength...])
        let size =
          Node.slotByteCount
          + Node.cellByteCount(
            suffix: suffix.count, payload: Node.childByteCount, isLarge: false, isLeaf: false)
        if size > parent.gap { parent.compact(scratch: scratch, pageByteCount: pageByteCount) }
        Node.withChild(child) {
          parent.insert(
            at: replacement.first + offset, suffix: suffix, payload: $0, isLarge: false,
            isLeaf: false)
        }
      }
    }
  }
}
