internal import Pager

// Changing a page. Whoever calls these holds the page exclusively and has made sure of the room.

extension Node {
  /// Makes an empty page of these bytes.
  func initialize(
    id: PageID, epoch: Epoch, level: Int, prefix: UnsafeRawBufferPointer, pageByteCount: Int
  ) {
    base.initializeMemory(as: UInt8.self, repeating: 0, count: pageByteCount)
    base.storeBytes(of: id.rawValue, toByteOffset: PageHeader.idOffset, as: UInt64.self)
    base.storeBytes(of: epoch.rawValue, toByteOffset: PageHeader.epochOffset, as: UInt64.self)
    base.storeBytes(of: PageHeader.treeKind, toByteOffset: PageHeader.kindOffset, as: UInt8.self)
    base.storeBytes(of: UInt8(level), toByteOffset: PageHeader.levelOffset, as: UInt8.self)
    prefixLength = prefix.count
    heapStart = pageByteCount - prefix.count
    if let source = prefix.baseAddress {
      (base + heapStart).copyMemory(from: source, byteCount: prefix.count)
    }
  }

  /// Makes this page a copy of another, under its own id and a new epoch.
  ///
  /// The gap between slots and cells is not copied.
  func copy(from other: Node, id: PageID, epoch: Epoch, pageByteCount: Int) {
    let slotsEnd = Self.slotsOffset + other.count * Self.slotByteCount
    let heapStart = other.heapStart
    base.copyMemory(from: other.base, byteCount: slotsEnd)
    (base + heapStart).copyMemory(
      from: other.base + heapStart, byteCount: pageByteCount - heapStart)
    base.storeBytes(of: id.rawValue, toByteOffset: PageHeader.idOffset, as: UInt64.self)
    base.storeBytes(of: epoch.rawValue, toByteOffset: PageHeader.epochOffset, as: UInt64.self)
  }

  /// Inserts a cell as slot `index`; the gap has room for it.
  ///
  /// - Parameter suffix: the key after the page's prefix.
  @inline(__always)
  func insert(
    at index: Int, suffix: UnsafeRawBufferPointer, payload: UnsafeRawBufferPointer, isLarge: Bool,
    isLeaf: Bool
  ) {
    let count = self.count
    let start =
      heapStart
      &- Self.cellByteCount(
        suffix: suffix.count, payload: payload.count, isLarge: isLarge, isLeaf: isLeaf)
    heapStart = start
    let slot = writeCell(
      at: start, suffix: suffix, payload: payload, isLarge: isLarge, isLeaf: isLeaf)
    let place = slots + index &* 8
    (place + 8).copyMemory(from: place, byteCount: (count &- index) &* 8)
    place.storeBytes(of: slot.word, as: UInt64.self)
    self.count = count &+ 1
    refreshHints(behind: index, oldCount: count, count: count &+ 1)
  }

  /// Removes slot `index`; its cell becomes garbage.
  @inline(__always)
  func remove(at index: Int, isLeaf: Bool) {
    let count = self.count
    let slot = slot(index)
    let size = cell(of: slot, isLeaf: isLeaf).byteCount
    if slot.offset == heapStart {
      heapStart = slot.offset &+ size
    } else {
      garbage = garbage &+ size
    }
    let place = slots + index &* 8
    place.copyMemory(from: place + 8, byteCount: (count &- index &- 1) &* 8)
    self.count = count &- 1
    refreshHints(behind: index, oldCount: count, count: count &- 1)
  }

  /// Overwrites the payload of a slot with one of the same length.
  @inline(__always)
  func overwritePayload(at index: Int, with payload: UnsafeRawBufferPointer, isLeaf: Bool) {
    let old = cell(index, isLeaf: isLeaf).payload
    if let to = UnsafeMutableRawPointer(mutating: old.baseAddress), let from = payload.baseAddress {
      to.copyMemory(from: from, byteCount: payload.count)
    }
  }

  /// Moves all cells together, so that garbage becomes room.
  func compact(scratch: UnsafeMutableRawPointer, pageByteCount: Int) {
    let count = self.count
    let isLeaf = level == 0
    var place = pageByteCount - prefixLength
    for index in 0..<count {
      let slot = slot(index)
      let size = cell(of: slot, isLeaf: isLeaf).byteCount
      place -= size
      (scratch + place).copyMemory(from: base + slot.offset, byteCount: size)
      slots.storeBytes(
        of: slot.at(offset: place).word, toByteOffset: index * 8, as: UInt64.self)
    }
    (base + place).copyMemory(
      from: scratch + place, byteCount: pageByteCount - prefixLength - place)
    heapStart = place
    garbage = 0
  }

  /// A child reference as a payload.
  @inline(__always)
  static func withChild<R>(
    _ reference: PageReference, _ body: (UnsafeRawBufferPointer) -> R
  ) -> R {
    var words = (reference.id.rawValue, reference.epoch.rawValue)
    return withUnsafeBytes(of: &words) { body($0) }
  }
}
