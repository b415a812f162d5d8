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
  func copy(from other: Node, id: PageID, epoch: Epoch, pageByteCount: Int) {
    base.copyMemory(from: other.base, byteCount: pageByteCount)
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
    let tailLength = max(0, suffix.count &- 4)
    let size = Self.cellByteCount(
      suffix: suffix.count, payload: payload.count, isLarge: isLarge, isLeaf: isLeaf)
    let start = heapStart &- size
    heapStart = start
    var place = base + start
    place += Self.storeLength(suffix.count, place)
    if isLeaf { place += Self.storeLength(isLarge ? Self.largeMark : payload.count, place) }
    if tailLength > 0, let key = suffix.baseAddress {
      place.copyMemory(from: key + 4, byteCount: tailLength)
      place += tailLength
    }
    if let bytes = payload.baseAddress { place.copyMemory(from: bytes, byteCount: payload.count) }

    // Offsets behind the slot move by a slot; those in front of it only by a head.
    let offsets = cellOffsets(count)
    let behind = (count &- index) &* 2
    (offsets + (index &* 2 &+ 6)).copyMemory(from: offsets + index &* 2, byteCount: behind)
    (offsets + 4).copyMemory(from: offsets, byteCount: index &* 2)
    (heads + (index &+ 1) &* 4).copyMemory(
      from: heads + index &* 4, byteCount: (count &- index) &* 4)
    heads.storeBytes(
      of: Self.head(of: suffix, from: 0), toByteOffset: index &* 4, as: UInt32.self)
    (offsets + 4).storeBytes(
      of: UInt16(truncatingIfNeeded: start), toByteOffset: index &* 2, as: UInt16.self)
    self.count = count &+ 1
    refreshHints(count: count &+ 1)
  }

  /// Removes slot `index`; its cell becomes garbage.
  @inline(__always)
  func remove(at index: Int, isLeaf: Bool) {
    let count = self.count
    let offset = cellOffset(index, count: count)
    let size = cell(at: offset, isLeaf: isLeaf).byteCount
    if offset == heapStart {
      heapStart = offset &+ size
    } else {
      garbage = garbage &+ size
    }
    (heads + index &* 4).copyMemory(
      from: heads + (index &+ 1) &* 4, byteCount: (count &- index &- 1) &* 4)
    let offsets = cellOffsets(count)
    (offsets - 4).copyMemory(from: offsets, byteCount: index &* 2)
    (offsets + (index &* 2 &- 4)).copyMemory(
      from: offsets + (index &+ 1) &* 2, byteCount: (count &- index &- 1) &* 2)
    self.count = count &- 1
    refreshHints(count: count &- 1)
  }

  /// Overwrites the payload of a slot with one of the same length.
  @inline(__always)
  func overwritePayload(at index: Int, with payload: UnsafeRawBufferPointer, isLeaf: Bool) {
    let old = cell(index, count: count, isLeaf: isLeaf).payload
    if let to = UnsafeMutableRawPointer(mutating: old.baseAddress), let from = payload.baseAddress {
      to.copyMemory(from: from, byteCount: payload.count)
    }
  }

  /// Moves all cells together, so that garbage becomes room.
  func compact(scratch: UnsafeMutableRawPointer, pageByteCount: Int) {
    let count = self.count
    let isLeaf = level == 0
    var place = pageByteCount - prefixLength
    let offsets = cellOffsets(count)
    for index in 0..<count {
      let offset = cellOffset(index, count: count)
      let size = cell(at: offset, isLeaf: isLeaf).byteCount
      place -= size
      (scratch + place).copyMemory(from: base + offset, byteCount: size)
      offsets.storeBytes(
        of: UInt16(truncatingIfNeeded: place), toByteOffset: index * 2, as: UInt16.self)
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
