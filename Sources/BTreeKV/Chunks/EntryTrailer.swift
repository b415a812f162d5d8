internal import Pager

/// What lies behind the bytes of an entry: the key, and then these bytes, at which the entry ends.
///
/// They lie behind the payload and not in front of it so that an entry of few bytes has its payload, its
/// key and these in one cache line and takes 64 bytes in all, so that the last ones of a store tell what
/// is to be known of it as a whole, and so that a store can be read from its newest entry backwards.
///
///     offset 0    magic, 0xE7        1 byte
///     offset 1    kind               1 byte
///     offset 2    key length         2 bytes
///     offset 4    gap                2 bytes: zeros between the entry before and the payload
///     offset 6    payload length     6 bytes
///     offset 12   sequence number    6 bytes
///     offset 18   live entries       6 bytes: of the store once this is written
///     offset 24   live blocks        6 bytes: of 64 bytes each, that they take
///     offset 30   payload checksum   8 bytes: XXH64, seed 0
///     offset 38   checksum           4 bytes: the low half of XXH64, seed 0, of the key and of 0 ..< 38
struct EntryTrailer: Equatable {
  static let byteCount = 42
  static let magic: UInt8 = 0xE7
  static let blockByteCount = 64
  /// No position, length or count is as large.
  static let limit = 1 << 47

  enum Kind: UInt8 {
    /// A payload under a key.
    case value = 1
    /// The key is removed.
    case tombstone = 2
    /// Nothing but numbers: what a compaction left of entries that are gone.
    case mark = 3
  }

  var kind = Kind.mark
  var keyByteCount = 0
  var gap = 0
  var payloadByteCount = 0
  var sequence = 0
  var liveCount = 0
  var liveBlockCount = 0
  var payloadChecksum: UInt64 = 0

  init() {}

  /// The entry's bytes behind the gap.
  var entryByteCount: Int { payloadByteCount + keyByteCount + Self.byteCount }

  /// How many blocks an entry takes.
  static func blockCount(payload: Int, key: Int) -> Int {
    (payload + key + byteCount + blockByteCount - 1) / blockByteCount
  }

  /// Reads one, without looking at the checksum; nil when it makes no sense.
  @inline(__always)
  init?(_ bytes: UnsafeRawPointer) {
    guard bytes.load(as: UInt8.self) == Self.magic,
      let kind = Kind(rawValue: bytes.load(fromByteOffset: 1, as: UInt8.self))
    else { return nil }
    self.kind = kind
    keyByteCount = Int(bytes.loadUnaligned(fromByteOffset: 2, as: UInt16.self))
    gap = Int(bytes.loadUnaligned(fromByteOffset: 4, as: UInt16.self))
    payloadByteCount = Self.load(bytes, 6)
    sequence = Self.load(bytes, 12)
    liveCount = Self.load(bytes, 18)
    liveBlockCount = Self.load(bytes, 24)
    payloadChecksum = bytes.loadUnaligned(fromByteOffset: 30, as: UInt64.self)
    guard payloadByteCount < Self.limit, sequence < Self.limit, liveCount < Self.limit,
      liveBlockCount < Self.limit
    else { return nil }
  }

  @inline(__always) private static func load(_ bytes: UnsafeRawPointer, _ offset: Int) -> Int {
    Int(bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self) & 0xFFFF_FFFF_FFFF)
  }

  /// Writes it behind the key, which lies there already.
  @inline(__always)
  func write(to bytes: UnsafeMutableRawPointer) {
    bytes.storeBytes(of: Self.magic, as: UInt8.self)
    bytes.storeBytes(of: kind.rawValue, toByteOffset: 1, as: UInt8.self)
    bytes.storeBytes(of: UInt16(keyByteCount), toByteOffset: 2, as: UInt16.self)
    bytes.storeBytes(of: UInt16(gap), toByteOffset: 4, as: UInt16.self)
    // In this order: each is stored with two bytes too many, which the next one takes.
    bytes.storeBytes(of: UInt64(payloadByteCount), toByteOffset: 6, as: UInt64.self)
    bytes.storeBytes(of: UInt64(sequence), toByteOffset: 12, as: UInt64.self)
    bytes.storeBytes(of: UInt64(liveCount), toByteOffset: 18, as: UInt64.self)
    bytes.storeBytes(of: UInt64(liveBlockCount), toByteOffset: 24, as: UInt64.self)
    bytes.storeBytes(of: payloadChecksum, toByteOffset: 30, as: UInt64.self)
    bytes.storeBytes(of: checksum(bytes), toByteOffset: 38, as: UInt32.self)
  }

  /// The checksum of what lies there, with the key in front of it.
  private func checksum(_ bytes: UnsafeRawPointer) -> UInt32 {
    UInt32(
      truncatingIfNeeded: checksum64(
        UnsafeRawBufferPointer(start: bytes - keyByteCount, count: keyByteCount + 38), seed: 0))
  }

  /// Whether the checksum is right; the key lies in front of the bytes.
  func isWhole(_ bytes: UnsafeRawPointer) -> Bool {
    bytes.loadUnaligned(fromByteOffset: 38, as: UInt32.self) == checksum(bytes)
  }
}

/// Where an entry's payload lies in its store.
package struct EntryPlace: Equatable, Sendable {
  /// The payload's first byte: a multiple of 64.
  package var position: Int
  package var byteCount: Int

  init(position: Int, byteCount: Int) {
    self.position = position
    self.byteCount = byteCount
  }

  /// Where the entry ends.
  func end(keyByteCount: Int) -> Int {
    position + byteCount + keyByteCount + EntryTrailer.byteCount
  }

  // MARK: As a value of the tree of entries

  static let maximumByteCount = 14

  /// Reads a place: position / 64 and length, each in groups of seven bits, the lowest first; nil when
  /// it makes no sense.
  @inline(__always)
  init?(_ bytes: UnsafeRawBufferPointer) {
    var index = 0
    guard let blocks = Self.number(bytes, &index), let length = Self.number(bytes, &index),
      index == bytes.count, blocks < EntryTrailer.limit / EntryTrailer.blockByteCount
    else { return nil }
    position = blocks * EntryTrailer.blockByteCount
    byteCount = length
  }

  @inline(__always)
  private static func number(_ bytes: UnsafeRawBufferPointer, _ index: inout Int) -> Int? {
    var number = 0
    var shift = 0
    while index < bytes.count, shift < 49 {
      let byte = Int(bytes[index])
      index += 1
      number |= (byte & 0x7F) << shift
      if byte < 0x80 { return number < EntryTrailer.limit ? number : nil }
      shift += 7
    }
    return nil
  }

  /// Lends the bytes.
  @inline(__always)
  func withEncoded<R>(
    _ body: (UnsafeRawBufferPointer) throws(PagerError) -> R
  ) throws(PagerError) -> R {
    var room: (UInt64, UInt64) = (0, 0)
    return try withUnsafeMutableBytes(of: &room) { (room) throws(PagerError) in
      var count = 0
      Self.put(position / EntryTrailer.blockByteCount, room, &count)
      Self.put(byteCount, room, &count)
      return try body(UnsafeRawBufferPointer(rebasing: room[..<count]))
    }
  }

  @inline(__always)
  private static func put(
    _ number: Int, _ room: UnsafeMutableRawBufferPointer, _ count: inout Int
  ) {
    var rest = number
    while rest >= 0x80 {
      room[count] = UInt8(truncatingIfNeeded: rest) | 0x80
      count += 1
      rest >>= 7
    }
    room[count] = UInt8(rest)
    count += 1
  }
}
