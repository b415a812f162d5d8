@testable import BTreeKV
@testable import Pager

extension FuzzTarget {
  /// A tree page: whatever passes the structure check can be searched, copied, rebuilt and changed
  /// without an access outside of the page, which is a heap block of exactly its size.
  static let page = FuzzTarget(
    run: { bytes in
      var input = FuzzInput(bytes)
      let choice = input.byte()
      var page: [UInt8]
      if choice & 0x80 != 0 {
        page = input.all()
        page = Array((page + [UInt8](repeating: 0, count: 4096)).prefix(4096))
      } else {
        page = samplePages[Int(choice & 0x3F) % samplePages.count]
        while !input.isEmpty {
          // The header and slots, or anywhere.
          let isFront = input.byte() & 1 == 0
          page.edit(&input, in: isFront ? 24..<256 : 24..<4096)
        }
        if choice & 0x40 != 0 { page.repairPage() }
      }
      exercisePage(page)
    },
    seeds: {
      var seeds: [[UInt8]] = []
      for (number, sample) in samplePages.enumerated() {
        seeds.append([UInt8(number)])
        seeds.append([UInt8(number) | 0x40] + editSeed(number, byteCount: 8))
        seeds.append([0x80] + sample)
      }
      return seeds
    })
}

/// Copies the page to the heap and does everything with it that the engine does.
private func exercisePage(_ bytes: [UInt8]) {
  let page = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 4096)
  defer { page.deallocate() }
  page.copyBytes(from: bytes)
  guard let base = page.baseAddress, Node.structureProblem(UnsafeRawBufferPointer(page)) == nil
  else { return }
  let node = Node(base)
  let isLeaf = node.level == 0
  let list = EntryList()
  list.append(node, 0..<node.count, pageByteCount: page.count)
  require(list.count == node.count, "a copy has \(list.count) of \(node.count) entries")
  for index in 0..<node.count {
    let cell = node.cell(index, isLeaf: isLeaf)
    require(page.holds(cell.tail) && page.holds(cell.payload), "cell \(index) leaves the page")
    var sum: UInt8 = 0
    for byte in cell.tail { sum &+= byte }
    for byte in cell.payload { sum &+= byte }
    if cell.isLarge { _ = LargeValue(cell.payload, pageByteCount: page.count) }
    if !isLeaf { _ = node.child(index) }
    let key = list.key(index)
    let found = key.withUnsafeBytes {
      node.lowerBound(of: $0, isLeaf: isLeaf, pageByteCount: page.count)
    }
    require(
      found == (index, true), "key \(index) of \(node.count) is found at \(found), sum \(sum)")
    for other in [key.dropLast(), key + [0]] {
      _ = Array(other).withUnsafeBytes {
        node.lowerBound(of: $0, isLeaf: isLeaf, pageByteCount: page.count)
      }
    }
    if index > 0 {
      require(list.key(index - 1).lexicographicallyPrecedes(key), "keys are out of order")
    }
  }
  rebuild(list, like: node, pageByteCount: page.count)
  change(node, page, firstKey: list.key(0))
}

/// Builds a page of the entries, which must pass the check.
private func rebuild(_ list: EntryList, like node: Node, pageByteCount: Int) {
  let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: pageByteCount, alignment: 4096)
  defer { copy.deallocate() }
  guard let base = copy.baseAddress else { return }
  list.build(
    Node(base), 0..<list.count, id: node.id, epoch: node.epoch, level: node.level,
    prefix: node.prefixLength, pageByteCount: pageByteCount)
  guard node.level == 0 else { return }
  let problem = Node.structureProblem(UnsafeRawBufferPointer(copy))
  require(problem == nil, "a page built anew: \(problem ?? "")")
}

/// Removes, compacts, inserts and overwrites; after each the page must pass the check.
private func change(_ node: Node, _ page: UnsafeMutableRawBufferPointer, firstKey: [UInt8]) {
  let isLeaf = node.level == 0
  func check(_ what: String) {
    let problem = Node.structureProblem(UnsafeRawBufferPointer(page))
    require(problem == nil, "a page after \(what): \(problem ?? "")")
  }
  let payload = Array(node.cell(0, isLeaf: isLeaf).payload)
  payload.withUnsafeBytes { node.overwritePayload(at: 0, with: $0, isLeaf: isLeaf) }
  check("an overwritten payload")
  if node.count > 1 {
    node.remove(at: node.count / 2, isLeaf: isLeaf)
    check("a removal")
  }
  if node.count > 1 {
    node.remove(at: 0, isLeaf: isLeaf)
    check("another removal")
  }
  let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: page.count, alignment: 4096)
  defer { scratch.deallocate() }
  guard let scratchBase = scratch.baseAddress else { return }
  node.compact(scratch: scratchBase, pageByteCount: page.count)
  check("compaction")
  let suffix = Array(firstKey.dropFirst(node.prefixLength))
  let size = Node.cellByteCount(
    suffix: suffix.count, payload: Node.childByteCount, isLarge: false, isLeaf: isLeaf)
  let (index, isFound) = firstKey.withUnsafeBytes {
    node.lowerBound(of: $0, isLeaf: isLeaf, pageByteCount: page.count)
  }
  guard !isFound, node.gap >= size + Node.slotByteCount else { return }
  // A child that no other slot names.
  let id =
    isLeaf
    ? 9
    : (0...node.count).map { UInt64($0 + 9) }.first { id in
      !(0..<node.count).contains { node.child($0).id.rawValue == id }
    }
  Node.withChild(PageReference(id: PageID(id ?? 9), epoch: Epoch(9))) { child in
    suffix.withUnsafeBytes {
      node.insert(at: index, suffix: $0, payload: child, isLarge: false, isLeaf: isLeaf)
    }
  }
  check("an insertion")
}

extension UnsafeMutableRawBufferPointer {
  fileprivate func holds(_ part: UnsafeRawBufferPointer) -> Bool {
    guard let start = part.baseAddress, let base = baseAddress else { return part.isEmpty }
    return start >= base && start + part.count <= base + count
  }
}

extension [UInt8] {
  /// Makes hints and garbage what the slots say, so that edits of slots and cells get further.
  fileprivate mutating func repairPage() {
    let slots = Int(get(UInt16.self, at: Node.countOffset))
    if slots > Node.hintCount {
      for hint in 0..<Node.hintCount {
        let slot = slots / (Node.hintCount + 1) * (hint + 1)
        put(get(UInt32.self, at: 128 + slot * 8 + 4), at: Node.hintsOffset + hint * 4)
      }
    }
    var heapStart = count
    var taken = 0
    for slot in 0..<slots {
      let start = Int(get(UInt16.self, at: 128 + slot * 8))
      let size = cellByteCount(128 + slot * 8)
      if size > 0 { heapStart = Swift.min(heapStart, start) }
      taken += size
    }
    let heapEnd = count - Int(get(UInt16.self, at: Node.prefixLengthOffset))
    heapStart = Swift.min(heapStart, heapEnd)
    put(UInt32(truncatingIfNeeded: heapStart), at: Node.heapStartOffset)
    put(UInt32(truncatingIfNeeded: heapEnd - heapStart - taken), at: Node.garbageOffset)
  }

  private func cellByteCount(_ slot: Int) -> Int {
    var place = Int(get(UInt16.self, at: slot))
    let start = place
    var key = Int(get(UInt8.self, at: slot + 2))
    if key == Node.longKeyMark {
      key = Int(get(UInt16.self, at: place))
      place += 2
    }
    guard self[PageHeader.levelOffset] == 0 else {
      return place + Swift.max(0, key - 4) + Node.childByteCount - start
    }
    let length = Int(get(UInt8.self, at: slot + 3))
    if length == Node.longValueMark {
      return place + 2 + Int(get(UInt16.self, at: place)) + Swift.max(0, key - 4) - start
    }
    place += Swift.max(0, key - 4)
    guard length == Node.largeMark else { return place + length - start }
    let runs = Int(get(UInt16.self, at: place + 24))
    return place + LargeValue.headerByteCount + runs * LargeValue.extentByteCount - start
  }
}

/// Pages of all shapes: short and long keys and values, references, inner pages, garbage.
private let samplePages: [[UInt8]] = [
  samplePage(level: 0, count: 20, prefix: "key ") { ("\($0 + 100)", 10) },
  samplePage(level: 0, count: 3, prefix: "") { (String(repeating: "k", count: $0 * 290 + 2), 300) },
  samplePage(level: 0, count: 5, prefix: "same") { ("\($0)", nil) },
  samplePage(level: 1, count: 40, prefix: "p") { ("\($0 + 1000) separator", 16) },
  samplePage(level: 0, count: 4, prefix: "") { (String(repeating: "\u{0}", count: $0), 0) },
]

/// A page of made-up entries; nil as a value's length stands for a large one.
private func samplePage(
  level: Int, count: Int, prefix: String, _ entry: (Int) -> (key: String, valueByteCount: Int?)
) -> [UInt8] {
  let page = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 4096)
  defer { page.deallocate() }
  guard let base = page.baseAddress else { return [] }
  let node = Node(base)
  Array(prefix.utf8).withUnsafeBytes {
    node.initialize(id: PageID(5), epoch: Epoch(1), level: level, prefix: $0, pageByteCount: 4096)
  }
  let large = LargeValue(
    byteCount: 10_000, checksum: 0, birth: Epoch(1),
    extents: [Extent(first: PageID(9), pageCount: 2), Extent(first: PageID(14), pageCount: 1)])
  for index in 0..<count {
    let (key, length) = entry(index)
    var payload = length.map { [UInt8](repeating: 7, count: $0) } ?? large.encoded
    if level > 0 {
      Node.withChild(PageReference(id: PageID(UInt64(index + 20)), epoch: Epoch(1))) {
        payload = Array($0)
      }
    }
    Array(key.utf8).withUnsafeBytes { key in
      payload.withUnsafeBytes {
        node.insert(
          at: index, suffix: key, payload: $0, isLarge: length == nil, isLeaf: level == 0)
      }
    }
  }
  if count > 3 { node.remove(at: 2, isLeaf: level == 0) }
  return Array(page)
}
