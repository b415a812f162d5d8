internal import Pager

/// Keys with their payloads, taken out of pages and about to be put into others.
///
/// Keys are whole here (prefix, head and tail), in one growing buffer. Payloads stay where they are:
/// in pages that the writer holds, or in the caller's memory.
struct EntryList {
  struct Entry {
    var keyStart: Int
    var keyLength: Int
    var payload: UnsafeRawBufferPointer
    var isLarge: Bool
  }

  private(set) var entries: [Entry] = []
  private var keys: [UInt8] = []
  /// Child references made on the way, kept alive for their payload pointers.
  private var children: [UnsafeMutableRawBufferPointer] = []

  var count: Int { entries.count }

  mutating func removeAll() {
    entries.removeAll(keepingCapacity: true)
    keys.removeAll(keepingCapacity: true)
    for child in children { child.deallocate() }
    children.removeAll(keepingCapacity: true)
  }

  mutating func append(
    _ key: UnsafeRawBufferPointer, _ payload: UnsafeRawBufferPointer, isLarge: Bool
  ) {
    entries.append(
      Entry(keyStart: keys.count, keyLength: key.count, payload: payload, isLarge: isLarge))
    keys.append(contentsOf: key)
  }

  mutating func append(_ key: [UInt8], child: PageReference) {
    let room = UnsafeMutableRawBufferPointer.allocate(
      byteCount: Node.childByteCount, alignment: 8)
    room.storeBytes(of: child.id.rawValue, toByteOffset: 0, as: UInt64.self)
    room.storeBytes(of: child.epoch.rawValue, toByteOffset: 8, as: UInt64.self)
    children.append(room)
    key.withUnsafeBytes { append($0, UnsafeRawBufferPointer(room), isLarge: false) }
  }

  /// Appends the slots `range` of a page.
  ///
  /// - Parameter firstKey: stands for the key of slot 0 of an inner page, which has none.
  mutating func append(
    _ node: Node, _ range: Range<Int>, pageByteCount: Int, firstKey: [UInt8]? = nil
  ) {
    let isLeaf = node.level == 0
    let prefix = node.prefix(pageByteCount)
    for index in range {
      let cell = node.cell(index, isLeaf: isLeaf)
      let start = keys.count
      if index == 0, let firstKey {
        keys.append(contentsOf: firstKey)
      } else {
        keys.append(contentsOf: prefix)
        let headLength = min(4, cell.suffixLength)
        withUnsafeBytes(of: node.head(index).bigEndian) {
          keys.append(contentsOf: $0[..<headLength])
        }
        keys.append(contentsOf: cell.tail)
      }
      entries.append(
        Entry(
          keyStart: start, keyLength: keys.count - start, payload: cell.payload,
          isLarge: cell.isLarge))
    }
  }

  /// Appends another list's entries.
  mutating func append(contentsOf other: EntryList) {
    for index in 0..<other.count {
      let entry = other.entries[index]
      other.withKey(index) { append($0, entry.payload, isLarge: entry.isLarge) }
    }
  }

  func withKey<R>(_ index: Int, _ body: (UnsafeRawBufferPointer) -> R) -> R {
    keys.withUnsafeBytes {
      let entry = entries[index]
      return body(
        UnsafeRawBufferPointer(rebasing: $0[entry.keyStart..<entry.keyStart + entry.keyLength]))
    }
  }

  func key(_ index: Int) -> [UInt8] { withKey(index) { Array($0) } }

  /// The bytes that the entries `range` take with slots, and the prefix once.
  func byteCount(_ range: Range<Int>, prefix: Int, isLeaf: Bool) -> Int {
    var sum = prefix
    for index in range {
      sum += entryByteCount(index, prefix: isLeaf || index > range.lowerBound ? prefix : nil, isLeaf)
    }
    return sum
  }

  /// The bytes of one entry behind a prefix; nil stands for an inner page's first one.
  func entryByteCount(_ index: Int, prefix: Int?, _ isLeaf: Bool) -> Int {
    let entry = entries[index]
    let suffix = prefix.map { max(0, entry.keyLength - $0) } ?? 0
    return Node.slotByteCount
      + Node.cellByteCount(
        suffix: suffix, payload: entry.payload.count, isLarge: entry.isLarge, isLeaf: isLeaf)
  }

  /// Fills a page with the entries `range`.
  func build(
    _ node: Node, _ range: Range<Int>, id: PageID, epoch: Epoch, level: Int, prefix: Int,
    pageByteCount: Int
  ) {
    let isLeaf = level == 0
    keys.withUnsafeBytes { keys in
      let first = entries[isLeaf ? range.lowerBound : min(range.lowerBound + 1, entries.count - 1)]
      node.initialize(
        id: id, epoch: epoch, level: level,
        prefix: UnsafeRawBufferPointer(
          rebasing: keys[first.keyStart..<first.keyStart + prefix]),
        pageByteCount: pageByteCount)
      let count = range.count
      var place = pageByteCount - prefix
      for (slot, index) in range.enumerated() {
        let entry = entries[index]
        let skip = !isLeaf && slot == 0 ? entry.keyLength : prefix
        let suffix = UnsafeRawBufferPointer(
          rebasing: keys[entry.keyStart + skip..<entry.keyStart + entry.keyLength])
        place -= Node.cellByteCount(
          suffix: suffix.count, payload: entry.payload.count, isLarge: entry.isLarge,
          isLeaf: isLeaf)
        let written = node.writeCell(
          at: place, suffix: suffix, payload: entry.payload, isLarge: entry.isLarge,
          isLeaf: isLeaf)
        node.slots.storeBytes(of: written.word, toByteOffset: slot * 8, as: UInt64.self)
      }
      node.heapStart = place
      node.count = count
      node.refreshHints(count: count)
    }
  }
}

/// How many bytes two keys have in common at their beginning.
func commonPrefixLength(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Int {
  let limit = min(a.count, b.count)
  var length = 0
  while length < limit, a[length] == b[length] { length += 1 }
  return length
}

/// The shortest key above `low` and not above `high`, which is above `low`.
func shortestSeparator(
  above low: UnsafeRawBufferPointer, notAbove high: UnsafeRawBufferPointer
) -> [UInt8] {
  Array(high.prefix(commonPrefixLength(low, high) + 1))
}
