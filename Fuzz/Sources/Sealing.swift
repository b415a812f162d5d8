@testable import BTreeKV
@testable import Pager

// Giving damaged parts of a file the right checksums again, from the tables of FILE-FORMAT.md.

extension [UInt8] {
  /// The checksum of bytes 0 ..< 504 of a sector at its end.
  mutating func sealSector(at offset: Int) {
    guard offset >= 0, offset + 512 <= count else { return }
    let sum = withUnsafeBytes {
      checksum64(UnsafeRawBufferPointer(rebasing: $0[offset..<offset + 504]), seed: 0)
    }
    put(sum, at: offset + 504)
  }

  mutating func sealSuperblock() { sealSector(at: 0) }

  /// The checksum of a tree page or of a page of the free map.
  mutating func sealPage(_ id: Int, pageByteCount: Int, seed: UInt64) {
    let start = id * pageByteCount
    withUnsafeMutableBytes {
      PageHeader.seal(
        UnsafeMutableRawBufferPointer(rebasing: $0[start..<start + pageByteCount]), seed: seed)
    }
  }

  /// The checksums of the records that begin at `offset` of a segment at `start`.
  mutating func sealRecords(start: Int, end: Int, offset: Int, salt: UInt64, firstLSN: UInt64) {
    var place = offset
    while start + place + 16 < end {
      let count = Int(get(UInt32.self, at: start + place + 8))
      guard count > 0, start + place + 16 + count <= end else { return }
      let seed = LogRecord.seed(
        salt: salt, lsn: LogSequenceNumber(firstLSN &+ UInt64(place - LogSegment.recordsOffset)))
      let sum = withUnsafeBytes {
        checksum64(
          UnsafeRawBufferPointer(rebasing: $0[start + place + 8..<start + place + 16 + count]),
          seed: seed)
      }
      put(sum, at: start + place)
      place += LogRecord.byteCount(body: count)
    }
  }

  /// The digest over the free map of a file with a single group, as its superblock must have it.
  func mapDigest(checkpoint: UInt64, pageByteCount: Int) -> UInt64 {
    var best: (epoch: UInt64, sum: UInt64)?
    for slot in [2, 3] {
      let start = slot * pageByteCount
      let epoch = get(UInt64.self, at: start + 16)
      guard epoch <= checkpoint, self[start + 24] == PageHeader.freeMapKind,
        get(UInt64.self, at: start + 32) == 0, epoch > best?.epoch ?? 0 || best == nil
      else { continue }
      best = (epoch, get(UInt64.self, at: start))
    }
    guard let best else { return 0 }
    var z = best.sum ^ (best.epoch &* 0x9E37_79B9_7F4A_7C15)
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}

/// An input of random edits; the generator is a constant one, so that seeds are the same each time.
func editSeed(_ number: Int, byteCount: Int) -> [UInt8] {
  var state = UInt64(number) &* 0x9E37_79B9_7F4A_7C15 | 1
  return (0..<byteCount).map { _ in
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return UInt8(truncatingIfNeeded: state >> 32)
  }
}

/// A "disk" of 8 MiB with these bytes; small, since reserving much takes time.
@inline(never) func memoryStorage(
  of bytes: [UInt8], reservedByteCount: Int = 8 << 20
) -> MemoryStorage? {
  do throws(PagerError) {
    let storage = try MemoryStorage(
      capacityByteCount: min(reservedByteCount, 32 << 20), reservedByteCount: reservedByteCount)
    try storage.allocate(byteRange: 0..<bytes.count)
    try storage.writeBytes(bytes, at: 0)
    return storage
  } catch {
    return nil
  }
}
