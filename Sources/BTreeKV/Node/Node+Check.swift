internal import Pager

extension Node {
  /// What is structurally wrong with a page that was read from the file, or nil.
  ///
  /// After this, every offset and length of the page lies inside it, and cells don't overlap: so
  /// the hot path needs no bounds checks (rule F4).
  ///
  /// - Parameter looksAtContent: whether the keys must be in order and no child be there twice, which
  ///   a page made of two pages of a made-up file need not be.
  static func structureProblem(
    _ page: UnsafeRawBufferPointer, looksAtContent: Bool = true
  ) -> String? {
    guard let start = page.baseAddress else { return "an empty page" }
    let pageByteCount = page.count
    let node = Node(UnsafeMutableRawPointer(mutating: start))
    let count = node.count
    let prefixLength = node.prefixLength
    let heapStart = node.heapStart
    let isLeaf = node.level == 0
    guard prefixLength <= pageByteCount / 4,
      heapStart <= pageByteCount - prefixLength,
      slotsOffset + count * slotByteCount <= heapStart
    else { return "the counts in a page's header do not fit the page" }
    guard count > 0 else { return "a page of the tree is empty" }
    let heapEnd = pageByteCount - prefixLength
    guard node.garbage <= heapEnd - heapStart else {
      return "a page's header claims more garbage than it has cells"
    }
    let cellProblem = node.cellProblem(
      page, count: count, heapEnd: heapEnd, isLeaf: isLeaf, looksAtOrder: looksAtContent)
    if let cellProblem { return cellProblem }
    if count > hintCount {
      let distance = count / (hintCount + 1)
      for index in 0..<hintCount
      where page.loadUnaligned(fromByteOffset: hintsOffset + index * 4, as: UInt32.self)
        != node.head(distance * (index + 1))
      {
        return "a hint of a page is not the head that it stands for"
      }
    }
    guard looksAtContent else { return nil }
    if !isLeaf, node.hasChildTwice(count: count) {
      return "a page is twice a child of another"
    }
    return node.orderProblem(count: count, isLeaf: isLeaf)
  }

  /// Whether two slots of an inner page name the same child: merging neighbours would then take a
  /// page that it holds already.
  private func hasChildTwice(count: Int) -> Bool {
    withUnsafeTemporaryAllocation(of: UInt64.self, capacity: count) { room in
      var ids = room
      for index in 0..<count { ids.initializeElement(at: index, to: child(index).id.rawValue) }
      ids.sort()
      return (1..<count).contains { ids[$0] == ids[$0 - 1] }
    }
  }

  /// Whether each cell lies in the heap, none overlap, and they and the garbage fill it.
  private func cellProblem(
    _ page: UnsafeRawBufferPointer, count: Int, heapEnd: Int, isLeaf: Bool, looksAtOrder: Bool
  ) -> String? {
    // A bit for each byte that a cell has taken.
    withUnsafeTemporaryAllocation(of: UInt64.self, capacity: page.count / 64 + 1) { bits in
      bits.initialize(repeating: 0)
      var taken = 0
      var previous: UInt32 = 0
      for index in 0..<count {
        let slot = slot(index)
        // A short key with an empty value has a cell of no bytes: where that is says nothing.
        guard slot.offset <= heapEnd,
          let (suffixLength, size) = Self.checkedCell(page, slot, heapEnd: heapEnd, isLeaf: isLeaf),
          size == 0 || slot.offset >= heapStart
        else { return "a cell of a page lies outside it" }
        guard suffixLength >= 4 || UInt64(slot.head) << UInt64(32 + 8 * suffixLength) == 0 else {
          return "a head of a page does not belong to its key"
        }
        guard Self.take(slot.offset, size, in: bits) else { return "two cells of a page overlap" }
        taken += size
        guard previous <= slot.head || !looksAtOrder else {
          return "the heads of a page are out of order"
        }
        previous = slot.head
      }
      guard taken + garbage == heapEnd - heapStart else {
        return "the cells and the garbage of a page do not add up"
      }
      return nil
    }
  }

  /// Sets the bits of a run of bytes; false when any of them is set.
  private static func take(
    _ start: Int, _ byteCount: Int, in bits: UnsafeMutableBufferPointer<UInt64>
  ) -> Bool {
    var place = start
    let end = start + byteCount
    while place < end {
      let bit = place & 63
      let count = min(64 - bit, end - place)
      let mask = (UInt64.max >> UInt64(64 - count)) << UInt64(bit)
      if bits[place >> 6] & mask != 0 { return false }
      bits[place >> 6] |= mask
      place += count
    }
    return true
  }

  /// The length of the key after the prefix and the size of a slot's cell, or nil when the cell
  /// does not end inside the heap.
  private static func checkedCell(
    _ page: UnsafeRawBufferPointer, _ slot: Slot, heapEnd: Int, isLeaf: Bool
  ) -> (suffixLength: Int, byteCount: Int)? {
    var place = slot.offset
    func length() -> Int? {
      guard place + 2 <= heapEnd else { return nil }
      place += 2
      return Int(page.loadUnaligned(fromByteOffset: place - 2, as: UInt16.self))
    }
    var suffix = slot.keyLength
    if suffix == longKeyMark {
      guard let long = length(), long >= longKeyMark else { return nil }
      suffix = long
    }
    var payload = childByteCount
    if isLeaf {
      payload = slot.valueLength
      if payload == longValueMark {
        guard let long = length(), long >= longValueMark else { return nil }
        payload = long
      }
    }
    place += max(0, suffix - 4)
    guard place <= heapEnd else { return nil }
    if isLeaf, slot.valueLength == largeMark {
      guard place + LargeValue.headerByteCount <= heapEnd else { return nil }
      let count = Int(page.loadUnaligned(fromByteOffset: place + 24, as: UInt16.self))
      guard (1...LargeValue.extentLimit).contains(count) else { return nil }
      payload = LargeValue.headerByteCount + count * LargeValue.extentByteCount
    }
    place += payload
    return place <= heapEnd ? (suffix, place - slot.offset) : nil
  }

  /// Whether keys of equal heads are in order.
  private func orderProblem(count: Int, isLeaf: Bool) -> String? {
    for index in 1..<max(1, count) where head(index) == head(index - 1) {
      let a = cell(index - 1, isLeaf: isLeaf)
      let b = cell(index, isLeaf: isLeaf)
      var order = Self.compare(a.tail, b.tail)
      if order == 0 { order = a.suffixLength - b.suffixLength }
      if order >= 0 { return "the keys of a page are out of order" }
    }
    return nil
  }
}
