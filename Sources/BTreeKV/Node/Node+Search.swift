internal import Pager
internal import Synchronization

#if canImport(Darwin)
  internal import Darwin
#elseif canImport(Musl)
  internal import Musl
#else
  internal import Glibc
#endif

extension Node {
  /// The first four bytes of a key from `offset` on, as a number that orders as they do.
  @inline(__always)
  static func head(of key: UnsafeRawBufferPointer, from offset: Int) -> UInt32 {
    let left = key.count &- offset
    if left >= 4 {
      return UInt32(bigEndian: key.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }
    var head: UInt32 = 0
    var index = 0
    while index < left {
      head |= UInt32(key[offset &+ index]) << UInt32(24 &- 8 &* index)
      index &+= 1
    }
    return head
  }

  /// Compares byte strings: below, at or above zero.
  @inline(__always)
  static func compare(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Int {
    let common = min(a.count, b.count)
    // Short ones are the rule: comparing them as numbers spares a call.
    if common < 8 {
      let x = Self.word(a, common)
      let y = Self.word(b, common)
      if x != y { return x < y ? -1 : 1 }
    } else if common <= 16 {
      // The first eight bytes, and the last eight, which may overlap them.
      var (x, y) = (Self.word(a, at: 0), Self.word(b, at: 0))
      if x == y { (x, y) = (Self.word(a, at: common &- 8), Self.word(b, at: common &- 8)) }
      if x != y { return x < y ? -1 : 1 }
    } else if let first = a.baseAddress, let second = b.baseAddress {
      let order = memcmp(first, second, common)
      if order != 0 { return Int(order) }
    }
    return a.count &- b.count
  }

  @inline(__always)
  private static func word(_ bytes: UnsafeRawBufferPointer, _ count: Int) -> UInt64 {
    var word: UInt64 = 0
    var index = 0
    while index < count {
      word = word << 8 | UInt64(bytes[index])
      index &+= 1
    }
    return word
  }

  @inline(__always)
  private static func word(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> UInt64 {
    UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
  }

  /// The first slot whose key is not below `key`, and whether it is equal.
  @inline(__always)
  func lowerBound(
    of key: UnsafeRawBufferPointer, isLeaf: Bool, pageByteCount: Int
  ) -> (index: Int, isFound: Bool) {
    let limit = (pageByteCount - Self.slotsOffset) / Self.slotByteCount
    let count = min(self.count, limit)
    let prefixLength = min(self.prefixLength, pageByteCount - Self.slotsOffset)
    if prefixLength > 0 {
      let prefix = UnsafeRawBufferPointer(
        start: base + (pageByteCount - prefixLength), count: prefixLength)
      let order = Self.comparePrefix(key, prefix)
      if order != 0 { return (order < 0 ? 0 : count, false) }
    }
    return search(key, from: prefixLength, count: count, isLeaf: isLeaf)
  }

  /// As `lowerBound` in a leaf that nobody changes, if the key is at a slot or right behind it.
  ///
  /// - Parameter slot: any number.
  /// - Returns: nil when the key lies elsewhere, or may.
  @inline(__always)
  func lowerBound(
    of key: UnsafeRawBufferPointer, near slot: Int, pageByteCount: Int
  ) -> (index: Int, isFound: Bool)? {
    let prefixLength = self.prefixLength
    guard slot >= 0, slot < count else { return nil }
    if prefixLength > 0, Self.comparePrefix(key, prefix(pageByteCount)) != 0 { return nil }
    let target = Self.head(of: key, from: prefixLength)
    var order = 0
    if head(slot) == target {
      let cell = cell(slot, isLeaf: true)
      let suffixLength = key.count &- prefixLength
      let tailLength = max(0, suffixLength &- 4)
      order = Self.compare(
        cell.tail,
        UnsafeRawBufferPointer(
          start: key.baseAddress.map { $0 + (key.count &- tailLength) }, count: tailLength))
      if order == 0 { order = cell.suffixLength &- suffixLength }
      if order == 0 { return (slot, true) }
    } else {
      order = head(slot) < target ? -1 : 1
    }
    guard order < 0, slot &+ 1 == count || head(slot &+ 1) > target else { return nil }
    return (slot &+ 1, false)
  }

  /// Whether the key begins with the prefix (0), or lies before or behind all that do.
  @inline(__always)
  static func comparePrefix(
    _ key: UnsafeRawBufferPointer, _ prefix: UnsafeRawBufferPointer
  ) -> Int {
    let common = min(key.count, prefix.count)
    let order = compare(
      UnsafeRawBufferPointer(start: key.baseAddress, count: common),
      UnsafeRawBufferPointer(start: prefix.baseAddress, count: common))
    if order != 0 { return order }
    return key.count < prefix.count ? -1 : 0
  }

  @inline(__always)
  private func search(
    _ key: UnsafeRawBufferPointer, from prefixLength: Int, count: Int, isLeaf: Bool
  ) -> (index: Int, isFound: Bool) {
    let target = Self.head(of: key, from: prefixLength)
    var low = 0
    var high = count
    if count > Self.hintCount {
      // The hints say between which sixteenths the head lies.
      let distance = count / (Self.hintCount + 1)
      // Written as plain sums: the optimizer makes vector code of these, not of SIMD types.
      let hints = (base + Self.hintsOffset).assumingMemoryBound(to: UInt32.self)
      var lowerCount: UInt32 = 0
      var upToCount: UInt32 = 0
      for index in 0..<Self.hintCount {
        lowerCount &+= hints[index] < target ? 1 : 0
        upToCount &+= hints[index] <= target ? 1 : 0
      }
      let below = Int(lowerCount)
      let notAbove = Int(upToCount)
      low = below &* distance
      if notAbove < Self.hintCount { high = min(high, (notAbove &+ 1) &* distance) }
      low = min(low, high)
    }
    // The first head that is not below: halve what is long, count in what is short. A slot's head
    // is the top half of its word, so whole words compare.
    let slots = slots.assumingMemoryBound(to: UInt64.self)
    let bound = UInt64(target) << 32
    var first = low
    var end = high
    while end &- first > 16 {
      let middle = (first &+ end) >> 1
      if slots[middle] < bound { first = middle &+ 1 } else { end = middle }
    }
    var index = first
    while index < end {
      first &+= slots[index] < bound ? 1 : 0
      index &+= 1
    }
    guard first < high, head(first) == target else { return (first, false) }
    return searchRun(
      key, from: prefixLength, first: first, high: high, target: target, isLeaf: isLeaf)
  }

  /// Searches among slots of equal heads: never by walking, since dense keys make all heads equal.
  @inline(__always)
  private func searchRun(
    _ key: UnsafeRawBufferPointer, from prefixLength: Int, first: Int, high: Int, target: UInt32,
    isLeaf: Bool
  ) -> (index: Int, isFound: Bool) {
    let suffixLength = key.count &- prefixLength
    let tailLength = max(0, suffixLength &- 4)
    let tail = UnsafeRawBufferPointer(
      start: key.baseAddress.map { $0 + (key.count &- tailLength) }, count: tailLength)
    var low = first
    var end = high
    // Heads from `first` on are not below the target: those above it count as above.
    while low < end {
      let middle =
        first == low && low &+ 1 < end && head(low &+ 1) != target
        ? low : (low &+ end) >> 1
      if head(middle) != target {
        end = middle
        continue
      }
      let cell = cell(middle, isLeaf: isLeaf)
      var order = Self.compare(cell.tail, tail)
      if order == 0 { order = cell.suffixLength &- suffixLength }
      if order == 0 { return (middle, true) }
      if order < 0 { low = middle &+ 1 } else { end = middle }
    }
    return (low, false)
  }

  /// The slot of the child that is responsible for a key: the last whose separator is not above.
  @inline(__always)
  func childIndex(for key: UnsafeRawBufferPointer, pageByteCount: Int) -> Int {
    let (index, isFound) = lowerBound(of: key, isLeaf: false, pageByteCount: pageByteCount)
    return isFound ? index : max(0, index &- 1)
  }

  /// Fills all hints.
  @inline(__always)
  func refreshHints(count: Int) {
    fillHints(from: 0, count: count)
  }

  /// Brings the hints up to date after a slot was inserted or removed at `index`.
  ///
  /// Only those behind it have moved, unless the distance between them has changed: the slots in
  /// front are not touched, which would cost a cache miss each.
  @inline(__always)
  func refreshHints(behind index: Int, oldCount: Int, count: Int) {
    let divisor = Self.hintCount + 1
    let distance = count / divisor
    let isSame = distance == oldCount / divisor && distance > 0
    // The first hint whose slot, distance × (hint + 1), is not in front of the change.
    fillHints(from: isSame ? max(0, (index &+ distance &- 1) / distance &- 1) : 0, count: count)
  }

  @inline(__always)
  private func fillHints(from first: Int, count: Int) {
    guard count > Self.hintCount else { return }
    let distance = count / (Self.hintCount + 1)
    let hints = base + Self.hintsOffset
    var hint = first
    while hint < Self.hintCount {
      hints.storeBytes(
        of: head(distance &* (hint &+ 1)), toByteOffset: hint &* 4, as: UInt32.self)
      hint &+= 1
    }
  }
}
