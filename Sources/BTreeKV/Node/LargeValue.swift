internal import Pager

#if canImport(Darwin)
  internal import Darwin
#elseif canImport(Musl)
  internal import Musl
#else
  internal import Glibc
#endif

/// What a cell holds in place of a value that lies in pages of its own.
///
///     offset 0   byte count   of the value
///     offset 8   checksum     XXH64 over the checksums of the value's 64 KiB chunks
///     offset 16  epoch        of birth
///     offset 24  run count    1 ... 32
///     offset 26  runs         6 bytes first page, 4 bytes page count, each
struct LargeValue {
  var byteCount: Int
  var checksum: UInt64
  var birth: Epoch
  var extents: [Extent]

  static let headerByteCount = 26
  /// Of the run count and the runs.
  static let runsOffset = 24
  static let extentByteCount = 10
  static let extentLimit = 32
  static let chunkByteCount = 64 << 10

  /// The bytes that the reference at `start` takes; never more than any page has.
  @inline(never) static func byteCount(at start: UnsafeRawPointer) -> Int {
    let count = Int(start.loadUnaligned(fromByteOffset: 24, as: UInt16.self))
    return headerByteCount + min(count, extentLimit) * extentByteCount
  }

  /// The reference's bytes.
  var encoded: [UInt8] {
    var bytes = [UInt8](
      repeating: 0, count: Self.headerByteCount + extents.count * Self.extentByteCount)
    bytes.withUnsafeMutableBytes { bytes in
      bytes.storeBytes(of: UInt64(byteCount), toByteOffset: 0, as: UInt64.self)
      bytes.storeBytes(of: checksum, toByteOffset: 8, as: UInt64.self)
      bytes.storeBytes(of: birth.rawValue, toByteOffset: 16, as: UInt64.self)
      bytes.storeBytes(of: UInt16(extents.count), toByteOffset: 24, as: UInt16.self)
      for (index, extent) in extents.enumerated() {
        let at = Self.headerByteCount + index * Self.extentByteCount
        bytes.storeBytes(
          of: UInt32(truncatingIfNeeded: extent.first.rawValue), toByteOffset: at, as: UInt32.self)
        bytes.storeBytes(
          of: UInt16(truncatingIfNeeded: extent.first.rawValue >> 32), toByteOffset: at + 4,
          as: UInt16.self)
        bytes.storeBytes(of: UInt32(extent.pageCount), toByteOffset: at + 6, as: UInt32.self)
      }
    }
    return bytes
  }

  /// Reads a reference; nil when it makes no sense.
  init?(_ bytes: UnsafeRawBufferPointer, pageByteCount: Int) {
    guard bytes.count >= Self.headerByteCount else { return nil }
    let count = Int(bytes.loadUnaligned(fromByteOffset: 24, as: UInt16.self))
    let length = bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self)
    guard (1...Self.extentLimit).contains(count), length < 1 << 47,
      bytes.count == Self.headerByteCount + count * Self.extentByteCount
    else { return nil }
    byteCount = Int(length)
    checksum = bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
    birth = Epoch(bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self))
    extents = []
    var pageCount = 0
    for index in 0..<count {
      let at = Self.headerByteCount + index * Self.extentByteCount
      let low = UInt64(bytes.loadUnaligned(fromByteOffset: at, as: UInt32.self))
      let high = UInt64(bytes.loadUnaligned(fromByteOffset: at + 4, as: UInt16.self))
      let pages = Int(bytes.loadUnaligned(fromByteOffset: at + 6, as: UInt32.self))
      guard pages > 0, high << 32 | low > 3 else { return nil }
      pageCount += pages
      extents.append(Extent(first: PageID(high << 32 | low), pageCount: pages))
    }
    let roomByteCount = pageCount * pageByteCount
    guard Self.storedByteCount(byteCount) <= roomByteCount else { return nil }
    // One chunk may have room to grow; longer values have no page that they do not need.
    let mayGrow = count == 1 && roomByteCount <= max(Self.chunkByteCount, pageByteCount)
    guard
      mayGrow
        || Self.storedByteCount(byteCount) > roomByteCount - (extents.count + 1) * pageByteCount
    else { return nil }
  }

  /// Whether two references name the same pages: where one takes the other's place, no page comes
  /// into use or goes out of it.
  static func sharePages(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Bool {
    guard a.count == b.count, a.count > headerByteCount, let left = a.baseAddress,
      let right = b.baseAddress
    else { return false }
    return memcmp(left + runsOffset, right + runsOffset, a.count - runsOffset) == 0
  }

  init(byteCount: Int, checksum: UInt64, birth: Epoch, extents: [Extent]) {
    self.byteCount = byteCount
    self.checksum = checksum
    self.birth = birth
    self.extents = extents
  }

  /// How many 64 KiB chunks a value has.
  static func chunkCount(_ byteCount: Int) -> Int {
    (byteCount + chunkByteCount - 1) / chunkByteCount
  }

  /// Where the table of checksums is: behind the value, at a multiple of 8.
  static func tableOffset(_ byteCount: Int) -> Int { (byteCount + 7) & ~7 }

  /// The bytes in the file: the value, and behind it (at a multiple of 8) the table of its chunks'
  /// checksums when there is more than one chunk.
  static func storedByteCount(_ byteCount: Int) -> Int {
    let chunks = chunkCount(byteCount)
    return chunks > 1 ? tableOffset(byteCount) + chunks * 8 : byteCount
  }
}
