internal import Pager

/// A view of one page of the tree: sorted slots in front, cells behind, as FILE-FORMAT.md has it.
///
///     offset 0    page header (checksum, id, epoch, kind, level): see `PageHeader`
///     offset 26   prefix length    bytes that all keys of the page begin with
///     offset 28   count            of slots
///     offset 32   heap start       where the lowest cell begins
///     offset 36   garbage          bytes of cells that no slot points to any more
///     offset 64   hints            16 heads, evenly spaced over the slots
///     offset 128  slots            8 bytes each, in the order of the keys
///     ...         free space
///     heap start  cells
///     at the end  prefix
///
/// A slot is one little-endian word: 16 bits cell offset, 8 bits key length, 8 bits value length,
/// and in the top half the *head*: the key's first four bytes after the prefix as a big-endian number,
/// padded with zeros. So words compare as heads do, and a search touches a cell only where heads are
/// equal. The key length is that after the prefix, 255 standing for one in the cell; the value length
/// (leaves only) has 254 for one in the cell and 255 for a value that lies in pages of its own.
///
/// A cell is: the lengths that the slot has no room for (2 bytes each), the key's bytes beyond prefix
/// and head, the value. An inner page's value is a child reference of 16 bytes. The head *is* the
/// key's first bytes: they are not stored again.
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
  static let slotByteCount = 8
  /// The key length of a slot that says: look into the cell.
  static let longKeyMark = 255
  /// The value length of a slot that says: look into the cell.
  static let longValueMark = 254
  /// The value length of a slot that says: the value lies in pages of its own.
  static let largeMark = 255

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
  /// Whether it is the page that a parent at the level above refers to.
  ///
  /// Reading in checks this, but for a page that another reference brought into memory: so whoever
  /// copies or changes a page checks again, since a made-up file may refer to a page at two levels,
  /// and to one that it says is free. Readers need not: their loads stay inside the pool (rule D4).
  @inline(__always) func isPage(_ reference: PageReference, level: Int) -> Bool {
    self.level == level && epoch == reference.epoch
  }

  /// What is wrong when it is not.
  @inline(never) static func mismatch(_ reference: PageReference) -> PagerError {
    PagerError(
      .corrupted, "a page is not of the level or the epoch that its parent says",
      page: reference.id.rawValue)
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

  @inline(__always) var slots: UnsafeMutableRawPointer { base + Self.slotsOffset }
  @inline(__always) func slot(_ index: Int) -> Slot {
    Slot(word: slots.load(fromByteOffset: index &* 8, as: UInt64.self))
  }
  @inline(__always) func head(_ index: Int) -> UInt32 { slot(index).head }

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

/// The word in front of a cell: see `Node`.
struct Slot {
  var word: UInt64

  @inline(__always) init(word: UInt64) { self.word = word }

  @inline(__always) init(head: UInt32, offset: Int, keyLength: Int, valueLength: Int) {
    word =
      UInt64(head) << 32 | UInt64(truncatingIfNeeded: valueLength) << 24
      | UInt64(truncatingIfNeeded: keyLength) << 16 | UInt64(truncatingIfNeeded: offset)
  }

  @inline(__always) var head: UInt32 { UInt32(truncatingIfNeeded: word >> 32) }
  @inline(__always) var offset: Int { Int(word & 0xFFFF) }
  @inline(__always) var keyLength: Int { Int(word >> 16 & 0xFF) }
  @inline(__always) var valueLength: Int { Int(word >> 24 & 0xFF) }
  @inline(__always) func at(offset: Int) -> Slot { Slot(word: word & ~0xFFFF | UInt64(offset)) }
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
  /// The cell of a slot.
  @inline(__always) func cell(_ index: Int, isLeaf: Bool) -> Cell {
    cell(of: slot(index), isLeaf: isLeaf)
  }

  /// The cell that a slot of this page points to.
  @inline(__always)
  func cell(of slot: Slot, isLeaf: Bool) -> Cell {
    let start = UnsafeRawPointer(base + slot.offset)
    var inFront = 0
    var suffixLength = slot.keyLength
    if suffixLength == Self.longKeyMark {
      suffixLength = Int(start.loadUnaligned(as: UInt16.self))
      inFront = 2
    }
    let tailLength = max(0, suffixLength &- 4)
    var payloadLength = Self.childByteCount
    var isLarge = false
    if isLeaf {
      payloadLength = slot.valueLength
      if payloadLength >= Self.longValueMark {
        if payloadLength == Self.largeMark {
          isLarge = true
          payloadLength = LargeValue.byteCount(at: start + (inFront &+ tailLength))
        } else {
          payloadLength = Int(start.loadUnaligned(fromByteOffset: inFront, as: UInt16.self))
          inFront &+= 2
        }
      }
    }
    return Cell(
      tail: UnsafeRawBufferPointer(start: start + inFront, count: tailLength),
      suffixLength: suffixLength,
      payload: UnsafeRawBufferPointer(
        start: start + (inFront &+ tailLength), count: payloadLength),
      isLarge: isLarge, byteCount: inFront &+ tailLength &+ payloadLength)
  }

  /// The child reference of a slot of an inner page.
  @inline(__always) func child(_ index: Int) -> PageReference {
    Self.child(in: cell(index, isLeaf: false).payload)
  }

  @inline(__always) static func child(in payload: UnsafeRawBufferPointer) -> PageReference {
    let word = payload.loadUnaligned(fromByteOffset: 0, as: UInt64.self)
    return PageReference(
      id: PageID(word & 0xFFFF_FFFF_FFFF),
      epoch: Epoch(payload.loadUnaligned(fromByteOffset: 8, as: UInt64.self)))
  }

  /// The bytes that a cell with such a key and payload takes.
  @inline(__always)
  static func cellByteCount(suffix: Int, payload: Int, isLarge: Bool, isLeaf: Bool) -> Int {
    (suffix >= longKeyMark ? 2 : 0) &+ max(0, suffix &- 4) &+ payload
      &+ (isLeaf && !isLarge && payload >= longValueMark ? 2 : 0)
  }

  /// Writes a cell and returns the slot for it.
  ///
  /// - Parameter start: the cell's offset in the page.
  @inline(__always)
  func writeCell(
    at start: Int, suffix: UnsafeRawBufferPointer, payload: UnsafeRawBufferPointer, isLarge: Bool,
    isLeaf: Bool
  ) -> Slot {
    var place = base + start
    var keyLength = suffix.count
    if keyLength >= Self.longKeyMark {
      place.storeBytes(of: UInt16(truncatingIfNeeded: keyLength), as: UInt16.self)
      place += 2
      keyLength = Self.longKeyMark
    }
    var valueLength = 0
    if isLeaf {
      valueLength = isLarge ? Self.largeMark : payload.count
      if !isLarge, valueLength >= Self.longValueMark {
        place.storeBytes(of: UInt16(truncatingIfNeeded: valueLength), as: UInt16.self)
        place += 2
        valueLength = Self.longValueMark
      }
    }
    if suffix.count > 4, let key = suffix.baseAddress {
      Self.copyBytes(key + 4, suffix.count &- 4, to: place)
      place += suffix.count &- 4
    }
    if let bytes = payload.baseAddress { Self.copyBytes(bytes, payload.count, to: place) }
    return Slot(
      head: Self.head(of: suffix, from: 0), offset: start, keyLength: keyLength,
      valueLength: valueLength)
  }

  /// Copies a few bytes: most tails and values are too short for a call to be worth it.
  @inline(__always)
  static func copyBytes(
    _ from: UnsafeRawPointer, _ count: Int, to: UnsafeMutableRawPointer
  ) {
    if count == 8 {
      to.storeBytes(of: from.loadUnaligned(as: UInt64.self), as: UInt64.self)
    } else if count < 8 {
      var index = 0
      while index < count {
        to.storeBytes(
          of: from.load(fromByteOffset: index, as: UInt8.self), toByteOffset: index,
          as: UInt8.self)
        index &+= 1
      }
    } else {
      to.copyMemory(from: from, byteCount: count)
    }
  }
}
