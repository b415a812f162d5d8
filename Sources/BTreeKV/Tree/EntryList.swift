internal import Pager

/// Keys with their payloads, taken out of pages and about to be put into others.
///
/// Keys are whole here (prefix, head and tail), in one growing buffer. Payloads stay where they are:
/// in pages that the writer holds, or in the caller's memory. One list serves all splits, so that
/// they allocate nothing.
final class EntryList {
  struct Entry {
    var keyStart: Int
    var keyLength: Int
    var payload: UnsafeRawBufferPointer
    var isLarge: Bool
  }

  /// Behind a pointer, since the runtime would check each access to a class's variables.
  private struct State {
    var entries = UnsafeMutablePointer<Entry>.allocate(capacity: 1024)
    var count = 0
    var entryCapacity = 1024
    var keys = UnsafeMutableRawPointer.allocate(byteCount: 1 << 16, alignment: 8)
    var keysEnd = 0
    var keyCapacity = 1 << 16
    /// Child references made on the way, kept alive for their payload pointers.
    var children: [UnsafeMutableRawBufferPointer] = []
  }

  private let state = UnsafeMutablePointer<State>.allocate(capacity: 1)

  init() { state.initialize(to: State()) }

  deinit {
    removeAll()
    state.pointee.entries.deallocate()
    state.pointee.keys.deallocate()
    state.deinitialize(count: 1)
    state.deallocate()
  }

  var count: Int { state.pointee.count }
  @inline(__always) var entries: UnsafeMutablePointer<Entry> { state.pointee.entries }
  @inline(__always) private var keys: UnsafeMutableRawPointer { state.pointee.keys }

  func removeAll() {
    state.pointee.count = 0
    state.pointee.keysEnd = 0
    if state.pointee.children.isEmpty { return }
    for child in state.pointee.children { child.deallocate() }
    state.pointee.children.removeAll(keepingCapacity: true)
  }

  /// Makes room for one more entry with so many key bytes and returns where these go.
  @inline(__always)
  private func room(_ byteCount: Int) -> UnsafeMutableRawPointer {
    if state.pointee.keysEnd &+ byteCount > state.pointee.keyCapacity
      || state.pointee.count == state.pointee.entryCapacity
    {
      grow(byteCount)
    }
    return state.pointee.keys + state.pointee.keysEnd
  }

  @inline(never) private func grow(_ byteCount: Int) {
    let keyCapacity = 2 * (state.pointee.keyCapacity + byteCount)
    let keys = UnsafeMutableRawPointer.allocate(byteCount: keyCapacity, alignment: 8)
    keys.copyMemory(from: state.pointee.keys, byteCount: state.pointee.keysEnd)
    state.pointee.keys.deallocate()
    state.pointee.keys = keys
    state.pointee.keyCapacity = keyCapacity
    let entryCapacity = 2 * state.pointee.entryCapacity
    let entries = UnsafeMutablePointer<Entry>.allocate(capacity: entryCapacity)
    entries.update(from: state.pointee.entries, count: state.pointee.count)
    state.pointee.entries.deallocate()
    state.pointee.entries = entries
    state.pointee.entryCapacity = entryCapacity
  }

  /// Adds the entry whose key bytes are in place.
  @inline(__always)
  private func add(_ keyLength: Int, _ payload: UnsafeRawBufferPointer, _ isLarge: Bool) {
    state.pointee.entries[state.pointee.count] = Entry(
      keyStart: state.pointee.keysEnd, keyLength: keyLength, payload: payload, isLarge: isLarge)
    state.pointee.count &+= 1
    state.pointee.keysEnd &+= keyLength
  }

  func append(
    _ key: UnsafeRawBufferPointer, _ payload: UnsafeRawBufferPointer, isLarge: Bool
  ) {
    let place = room(key.count)
    if let from = key.baseAddress { place.copyMemory(from: from, byteCount: key.count) }
    add(key.count, payload, isLarge)
  }

  func append(_ key: [UInt8], child: PageReference) {
    let room = UnsafeMutableRawBufferPointer.allocate(
      byteCount: Node.childByteCount, alignment: 8)
    room.storeBytes(of: child.id.rawValue, toByteOffset: 0, as: UInt64.self)
    room.storeBytes(of: child.epoch.rawValue, toByteOffset: 8, as: UInt64.self)
    state.pointee.children.append(room)
    key.withUnsafeBytes { append($0, UnsafeRawBufferPointer(room), isLarge: false) }
  }

  /// Appends the slots `range` of a page.
  ///
  /// - Parameter firstKey: stands for the key of slot 0 of an inner page, which has none.
  func append(_ node: Node, _ range: Range<Int>, pageByteCount: Int, firstKey: [UInt8]? = nil) {
    let isLeaf = node.level == 0
    let prefix = node.prefix(pageByteCount)
    for index in range {
      let slot = node.slot(index)
      let cell = node.cell(of: slot, isLeaf: isLeaf)
      if index == 0, let firstKey {
        firstKey.withUnsafeBytes { append($0, cell.payload, isLarge: false) }
        continue
      }
      let place = room(prefix.count &+ cell.suffixLength &+ 4)
      if prefix.count > 0, let from = prefix.baseAddress {
        Node.copyBytes(from, prefix.count, to: place)
      }
      // A shorter suffix leaves zeros behind, which the next key overwrites.
      (place + prefix.count).storeBytes(of: slot.head.bigEndian, as: UInt32.self)
      if cell.tail.count > 0, let from = cell.tail.baseAddress {
        Node.copyBytes(from, cell.tail.count, to: place + (prefix.count &+ 4))
      }
      add(prefix.count &+ cell.suffixLength, cell.payload, cell.isLarge)
    }
  }

  @inline(__always)
  func withKey<R>(_ index: Int, _ body: (UnsafeRawBufferPointer) -> R) -> R {
    let entry = entries[index]
    return body(
      UnsafeRawBufferPointer(start: keys + entry.keyStart, count: entry.keyLength))
  }

  func key(_ index: Int) -> [UInt8] { withKey(index) { Array($0) } }

  /// The bytes that the entries `range` take with slots, and the prefix once.
  func byteCount(_ range: Range<Int>, prefix: Int, isLeaf: Bool) -> Int {
    var sum = prefix
    for index in range {
      sum += entryByteCount(
        index, prefix: isLeaf || index > range.lowerBound ? prefix : nil, isLeaf)
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

  /// Whether a page can be made of the entries `range`: they fit it, and begin with its prefix.
  ///
  /// Always, unless they come from pages that hang in the wrong place: what such pages hold is looked
  /// at when they are read in, but not whether that lies in the range that their parents give them.
  func fit(_ range: Range<Int>, level: Int, prefix: Int, capacity: Int) -> Bool {
    let isLeaf = level == 0
    let model = entries[modelIndex(range, isLeaf: isLeaf)]
    guard model.keyLength >= prefix,
      byteCount(range, prefix: prefix, isLeaf: isLeaf) <= capacity
    else { return false }
    let wanted = UnsafeRawBufferPointer(start: keys + model.keyStart, count: prefix)
    return (isLeaf ? range : range.dropFirst()).allSatisfy { index in
      let entry = entries[index]
      let found = UnsafeRawBufferPointer(start: keys + entry.keyStart, count: prefix)
      return entry.keyLength >= prefix && Node.compare(found, wanted) == 0
    }
  }

  /// The entry that a page takes its prefix from.
  private func modelIndex(_ range: Range<Int>, isLeaf: Bool) -> Int {
    isLeaf ? range.lowerBound : min(range.lowerBound + 1, count - 1)
  }

  /// Fills a page with the entries `range`, which fit it.
  func build(
    _ node: Node, _ range: Range<Int>, id: PageID, epoch: Epoch, level: Int, prefix: Int,
    pageByteCount: Int
  ) {
    let isLeaf = level == 0
    let first = entries[modelIndex(range, isLeaf: isLeaf)]
    node.initialize(
      id: id, epoch: epoch, level: level,
      prefix: UnsafeRawBufferPointer(start: keys + first.keyStart, count: prefix),
      pageByteCount: pageByteCount)
    var place = pageByteCount - prefix
    for index in range {
      let entry = entries[index]
      let skip = !isLeaf && index == range.lowerBound ? entry.keyLength : prefix
      let suffix = UnsafeRawBufferPointer(
        start: keys + (entry.keyStart &+ skip), count: entry.keyLength &- skip)
      place &-= Node.cellByteCount(
        suffix: suffix.count, payload: entry.payload.count, isLarge: entry.isLarge,
        isLeaf: isLeaf)
      let slot = node.writeCell(
        at: place, suffix: suffix, payload: entry.payload, isLarge: entry.isLarge,
        isLeaf: isLeaf)
      node.slots.storeBytes(
        of: slot.word, toByteOffset: (index &- range.lowerBound) &* 8, as: UInt64.self)
    }
    node.heapStart = place
    node.count = range.count
    node.refreshHints(count: range.count)
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
