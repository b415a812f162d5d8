internal import Pager

/// A view of one page of the tree: sorted slots in front, cells behind, as FILE-FORMAT.md has it.
///
///     offset 0    page header (checksum, id, epoch, kind, level): see `PageHeader`
///     offset 26   prefix length    bytes that all keys of the page begin with
///     offset 28   count            of slots
///     offset 32   heap start       where the lowest cell begins
///     offset 36   garbage          bytes of cells that no slot points to any more
///     offset 64   hints            16 heads, evenly spaced over the slots
///     offset 128  heads            4 bytes a slot: the key's first bytes after the prefix, as a
///                                  big-endian number, padded with zeros
///     then        cell offsets     2 bytes a slot
///     ...         free space
///     heap start  cells
///     at the end  prefix
///
/// A cell is: length of the key after the prefix (1 or 2 bytes), length of the value (1 or 2
/// bytes; leaves only), the key's bytes beyond prefix and head, the value. An inner page's value
/// is a child reference of 16 bytes. The head *is* the key's first bytes: they are not stored again.
///
/// A reader may look at a page while it changes: then every number here may be garbage, and all
/// that is promised is that loads stay inside the pool's addresses. So nothing in here traps.
struct Node {
  let base: UnsafeMutableRawPointer

  static let prefixLengthOffset = 26
  static let countOffset = 28
  static let heapStartOffset = 32
  static let garbageOffset = 36
  static let hintsOffset = 64
  static let slotsOffset = 128
  static let hintCount = 16
  /// A child reference: 48 bits page id, 16 bits flags, 64 bits epoch.
  static let childByteCount = 16
  /// The bytes of a slot: head and cell offset.
  static let slotByteCount = 6

  @inline(__always) init(_ base: UnsafeMutableRawPointer) { self.base = base }

  @inline(__always) var id: PageID {
    PageID(base.load(fromByteOffset: PageHeader.idOffset, as: UInt64.self))
  }
  @inline(__always) var epoch: Epoch {
    Epoch(base.load(fromByteOffset: PageHeader.epochOffset, as: UInt64.self))
  }
  @inline(__always) var reference: PageReference { PageReference(id: id, epoch: epoch) }
  @inline(__always) var level: Int {
    Int(base.load(fromByteOffset: PageHeader.levelOffset, as: UInt8.self))
  }
  @inline(__always) var prefixLength: Int {
    get { Int(base.load(fromByteOffset: Self.prefixLengthOffset, as: UInt16.self)) }
    nonmutating set {
      base.storeBytes(
        of: UInt16(truncatingIfNeeded: newValue), toByteOffset: Self.prefixLengthOffset,
        as: UInt16.self)
    }
  }
  @inline(__always) var count: Int {
    get { Int(base.load(fromByteOffset: Self.countOffset, as: UInt16.self)) }
    nonmutating set {
      base.storeBytes(
        of: UInt16(truncatingIfNeeded: newValue), toByteOffset: Self.countOffset, as: UInt16.self)
    }
  }
  @inline(__always) var heapStart: Int {
    get { Int(base.load(fromByteOffset: Self.heapStartOffset, as: UInt32.self)) }
    nonmutating set {
      base.storeBytes(
        of: UInt32(truncatingIfNeeded: newValue), toByteOffset: Self.heapStartOffset,
        as: UInt32.self)
    }
  }
  @inline(__always) var garbage: Int {
    get { Int(base.load(fromByteOffset: Self.garbageOffset, as: UInt32.self)) }
    nonmutating set {
      base.storeBytes(
        of: UInt32(truncatingIfNeeded: newValue), toByteOffset: Self.garbageOffset, as: UInt32.self)
    }
  }

  @inline(__always) var heads: UnsafeMutableRawPointer { base + Self.slotsOffset }
  @inline(__always) func head(_ index: Int) -> UInt32 {
    heads.load(fromByteOffset: index &* 4, as: UInt32.self)
  }
  /// Where the cell offsets begin, for a page of `count` slots.
  @inline(__always) func cellOffsets(_ count: Int) -> UnsafeMutableRawPointer {
    heads + count &* 4
  }
  @inline(__always) func cellOffset(_ index: Int, count: Int) -> Int {
    Int(cellOffsets(count).load(fromByteOffset: index &* 2, as: UInt16.self))
  }

  /// The bytes that all keys begin with, for a page of this size.
  @inline(__always) func prefix(_ pageByteCount: Int) -> UnsafeRawBufferPointer {
    let length = min(prefixLength, pageByteCount)
    return UnsafeRawBufferPointer(start: base + (pageByteCount - length), count: length)
  }

  /// The bytes between slots and cells.
  @inline(__always) var gap: Int { heapStart - Self.slotsOffset - count * Self.slotByteCount }

  /// The bytes that a page of this size has for slots, cells and prefix.
  static func capacity(_ pageByteCount: Int) -> Int { pageByteCount - slotsOffset }

  /// The bytes that slots, live cells and prefix take.
  func usedByteCount(_ pageByteCount: Int) -> Int {
    count * Self.slotByteCount + (pageByteCount - heapStart) - garbage
  }
}

/// What a cell holds, decoded.
struct Cell {
  /// The key after prefix and head.
  var tail: UnsafeRawBufferPointer
  /// The length of the key after the prefix.
  var suffixLength: Int
  /// The value, child reference or reference to value bytes elsewhere.
  var payload: UnsafeRawBufferPointer
  /// Whether the payload refers to bytes elsewhere.
  var isLarge: Bool
  /// The bytes of the whole cell.
  var byteCount: Int
}

extension Node {
  /// Lengths below 128 take a byte; others two, the first with its top bit set.
  @inline(__always) static func lengthByteCount(_ length: Int) -> Int { length < 128 ? 1 : 2 }

  @inline(__always)
  static func loadLength(_ from: UnsafeRawPointer) -> (length: Int, byteCount: Int) {
    let first = Int(from.load(as: UInt8.self))
    if first < 128 { return (first, 1) }
    return ((first & 0x7F) << 8 | Int(from.load(fromByteOffset: 1, as: UInt8.self)), 2)
  }

  @inline(__always)
  static func storeLength(_ length: Int, _ to: UnsafeMutableRawPointer) -> Int {
    if length < 128 {
      to.storeBytes(of: UInt8(truncatingIfNeeded: length), as: UInt8.self)
      return 1
    }
    to.storeBytes(of: UInt8(truncatingIfNeeded: length >> 8 | 0x80), as: UInt8.self)
    to.storeBytes(of: UInt8(truncatingIfNeeded: length), toByteOffset: 1, as: UInt8.self)
    return 2
  }

  /// The value length that says: the payload is a reference to bytes elsewhere.
  static let largeMark = 0x7FFF

  /// The cell at an offset of a page of this level.
  @inline(__always)
  func cell(at offset: Int, isLeaf: Bool) -> Cell {
    let start = UnsafeRawPointer(base + offset)
    let (suffixLength, keyBytes) = Self.loadLength(start)
    let tailLength = max(0, suffixLength &- 4)
    guard isLeaf else {
      let tail = UnsafeRawBufferPointer(start: start + keyBytes, count: tailLength)
      return Cell(
        tail: tail, suffixLength: suffixLength,
        payload: UnsafeRawBufferPointer(
          start: start + (keyBytes + tailLength), count: Self.childByteCount),
        isLarge: false, byteCount: keyBytes + tailLength + Self.childByteCount)
    }
    let (valueCode, valueBytes) = Self.loadLength(start + keyBytes)
    let inFront = keyBytes + valueBytes
    let isLarge = valueCode == Self.largeMark
    let body = start + (inFront + tailLength)
    let valueLength = isLarge ? LargeValue.byteCount(at: body) : valueCode
    return Cell(
      tail: UnsafeRawBufferPointer(start: start + inFront, count: tailLength),
      suffixLength: suffixLength,
      payload: UnsafeRawBufferPointer(start: body, count: valueLength), isLarge: isLarge,
      byteCount: inFront + tailLength + valueLength)
  }

  /// The cell of a slot.
  @inline(__always) func cell(_ index: Int, count: Int, isLeaf: Bool) -> Cell {
    cell(at: cellOffset(index, count: count), isLeaf: isLeaf)
  }

  /// The child reference of a slot of an inner page.
  @inline(__always) func child(_ index: Int, count: Int) -> PageReference {
    Self.child(in: cell(index, count: count, isLeaf: false).payload)
  }

  @inline(__always) static func child(in payload: UnsafeRawBufferPointer) -> PageReference {
    let word = payload.loadUnaligned(fromByteOffset: 0, as: UInt64.self)
    return PageReference(
      id: PageID(word & 0xFFFF_FFFF_FFFF),
      epoch: Epoch(payload.loadUnaligned(fromByteOffset: 8, as: UInt64.self)))
  }

  /// The bytes that a cell with such a key and payload takes.
  static func cellByteCount(suffix: Int, payload: Int, isLarge: Bool, isLeaf: Bool) -> Int {
    lengthByteCount(suffix) + max(0, suffix - 4) + payload
      + (isLeaf ? (isLarge ? 2 : lengthByteCount(payload)) : 0)
  }
}
