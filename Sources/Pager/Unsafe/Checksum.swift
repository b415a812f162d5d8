// XXH64 by Yann Collet: https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md
// Four independent lanes of 64 bits keep the multiplier busy; about 9 GB/s on pages of 4 KiB.
// Not a defence against malice: it finds damage, not forgery.

/// The constants and steps of XXH64.
@usableFromInline
enum XXH64 {
  @inlinable static var prime1: UInt64 { 0x9E37_79B1_85EB_CA87 }
  @inlinable static var prime2: UInt64 { 0xC2B2_AE3D_27D4_EB4F }
  @inlinable static var prime3: UInt64 { 0x1656_67B1_9E37_79F9 }
  @inlinable static var prime4: UInt64 { 0x85EB_CA77_C2B2_AE63 }
  @inlinable static var prime5: UInt64 { 0x27D4_EB2F_1656_67C5 }

  @inlinable @inline(__always)
  static func rotate(_ value: UInt64, _ bitCount: UInt64) -> UInt64 {
    (value &<< bitCount) | (value &>> (64 &- bitCount))
  }

  @inlinable @inline(__always)
  static func round(_ lane: UInt64, _ word: UInt64) -> UInt64 {
    rotate(lane &+ word &* prime2, 31) &* prime1
  }

  @inlinable @inline(__always)
  static func load64(_ base: UnsafeRawPointer, _ offset: Int) -> UInt64 {
    UInt64(littleEndian: base.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
  }

  @inlinable @inline(__always)
  static func load32(_ base: UnsafeRawPointer, _ offset: Int) -> UInt64 {
    UInt64(UInt32(littleEndian: base.loadUnaligned(fromByteOffset: offset, as: UInt32.self)))
  }

  /// Mixes the fewer than 32 bytes that no stripe took into the hash, and scatters its bits.
  @inlinable @inline(__always)
  static func finish(_ start: UInt64, _ base: UnsafeRawPointer, _ byteCount: Int) -> UInt64 {
    var hash = start
    var offset = 0
    while offset &+ 8 <= byteCount {
      hash ^= round(0, load64(base, offset))
      hash = rotate(hash, 27) &* prime1 &+ prime4
      offset &+= 8
    }
    if offset &+ 4 <= byteCount {
      hash ^= load32(base, offset) &* prime1
      hash = rotate(hash, 23) &* prime2 &+ prime3
      offset &+= 4
    }
    while offset < byteCount {
      hash ^= UInt64(base.load(fromByteOffset: offset, as: UInt8.self)) &* prime5
      hash = rotate(hash, 11) &* prime1
      offset &+= 1
    }
    hash ^= hash &>> 33
    hash = hash &* prime2
    hash ^= hash &>> 29
    hash = hash &* prime3
    hash ^= hash &>> 32
    return hash
  }
}

/// The four running sums of XXH64.
@usableFromInline
struct XXH64Lanes: Sendable {
  @usableFromInline var first: UInt64
  @usableFromInline var second: UInt64
  @usableFromInline var third: UInt64
  @usableFromInline var fourth: UInt64

  @inlinable @inline(__always)
  init(seed: UInt64) {
    first = seed &+ XXH64.prime1 &+ XXH64.prime2
    second = seed &+ XXH64.prime2
    third = seed
    fourth = seed &- XXH64.prime1
  }

  /// Takes in the 32 bytes at the offset.
  @inlinable @inline(__always)
  mutating func absorb(_ base: UnsafeRawPointer, _ offset: Int) {
    first = XXH64.round(first, XXH64.load64(base, offset))
    second = XXH64.round(second, XXH64.load64(base, offset &+ 8))
    third = XXH64.round(third, XXH64.load64(base, offset &+ 16))
    fourth = XXH64.round(fourth, XXH64.load64(base, offset &+ 24))
  }

  /// The four sums as one.
  @inlinable @inline(__always)
  var merged: UInt64 {
    var hash =
      XXH64.rotate(first, 1) &+ XXH64.rotate(second, 7) &+ XXH64.rotate(third, 12)
      &+ XXH64.rotate(fourth, 18)
    hash = (hash ^ XXH64.round(0, first)) &* XXH64.prime1 &+ XXH64.prime4
    hash = (hash ^ XXH64.round(0, second)) &* XXH64.prime1 &+ XXH64.prime4
    hash = (hash ^ XXH64.round(0, third)) &* XXH64.prime1 &+ XXH64.prime4
    hash = (hash ^ XXH64.round(0, fourth)) &* XXH64.prime1 &+ XXH64.prime4
    return hash
  }
}

/// The XXH64 checksum of the bytes.
///
/// - Parameters:
///   - bytes: What to sum; may be empty and need not be aligned.
///   - seed: Distinguishes equal bytes in different places; any value.
/// - Returns: The same 64 bits on every platform.
/// - Complexity: O(`bytes.count`), about 0.1 ns a byte.
@inlinable
public func checksum64(_ bytes: UnsafeRawBufferPointer, seed: UInt64) -> UInt64 {
  let byteCount = bytes.count
  guard let base = bytes.baseAddress else {
    return withUnsafeBytes(of: UInt8(0)) { empty in
      checksum64(UnsafeRawBufferPointer(rebasing: empty[..<0]), seed: seed)
    }
  }
  var hash: UInt64
  var offset = 0
  if byteCount >= 32 {
    var lanes = XXH64Lanes(seed: seed)
    let stripesEnd = byteCount & ~31
    while offset < stripesEnd {
      lanes.absorb(base, offset)
      offset &+= 32
    }
    hash = lanes.merged
  } else {
    hash = seed &+ XXH64.prime5
  }
  hash = hash &+ UInt64(truncatingIfNeeded: byteCount)
  return XXH64.finish(hash, base + offset, byteCount &- offset)
}

/// The XXH64 checksum of bytes that come in pieces.
///
/// Equal to `checksum64(_:seed:)` of all pieces one behind the other, wherever they are cut.
public struct Checksum64Stream: Sendable {
  private var lanes: XXH64Lanes
  private let seed: UInt64
  private var totalByteCount: UInt64 = 0
  /// The up to 31 bytes that do not fill a stripe yet.
  private var pending: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
  private var pendingByteCount = 0

  /// Begins a checksum.
  ///
  /// - Parameter seed: The same as for `checksum64(_:seed:)`.
  public init(seed: UInt64) {
    self.seed = seed
    lanes = XXH64Lanes(seed: seed)
  }

  /// Takes in the next piece.
  ///
  /// - Parameter bytes: The piece; may be empty.
  /// - Complexity: O(`bytes.count`).
  public mutating func update(_ bytes: UnsafeRawBufferPointer) {
    guard let base = bytes.baseAddress else { return }
    let byteCount = bytes.count
    totalByteCount &+= UInt64(truncatingIfNeeded: byteCount)
    var offset = 0
    if pendingByteCount > 0 {
      offset = min(32 - pendingByteCount, byteCount)
      append(base, offset)
      guard pendingByteCount == 32 else { return }
      withUnsafeBytes(of: &pending) { stripe in
        if let stripeBase = stripe.baseAddress { lanes.absorb(stripeBase, 0) }
      }
      pendingByteCount = 0
    }
    var running = lanes
    while offset &+ 32 <= byteCount {
      running.absorb(base, offset)
      offset &+= 32
    }
    lanes = running
    append(base + offset, byteCount - offset)
  }

  /// The checksum of all pieces so far; more may follow.
  ///
  /// - Returns: What `checksum64(_:seed:)` gives for the pieces' concatenation.
  public func finish() -> UInt64 {
    let start = totalByteCount >= 32 ? lanes.merged : seed &+ XXH64.prime5
    return withUnsafeBytes(of: pending) { bytes in
      guard let base = bytes.baseAddress else { return 0 }
      return XXH64.finish(start &+ totalByteCount, base, pendingByteCount)
    }
  }

  private mutating func append(_ base: UnsafeRawPointer, _ byteCount: Int) {
    let start = pendingByteCount
    withUnsafeMutableBytes(of: &pending) { bytes in
      let free = UnsafeMutableRawBufferPointer(rebasing: bytes[start...])
      free.copyMemory(from: UnsafeRawBufferPointer(start: base, count: byteCount))
    }
    pendingByteCount = start + byteCount
  }
}
