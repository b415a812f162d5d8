// The pairs of the demo, computed from the seed and an index whenever they are needed.
//
// key    random:    BitMix of the index in big-endian order, at most 8 bytes, then filler
//        ascending: the index in big-endian order, zeros before it
// value  40 bits that follow from the index, 24 bits of generation (0 when loaded, more when a
//        writer thread has replaced it), in big-endian order and cut to length, then filler

struct Workload: Sendable {
  enum Keys: String, Sendable, CaseIterable {
    case random, ascending
  }

  static let generationMask: UInt64 = 0xFF_FFFF

  let count: UInt64
  let keyByteCount: Int
  let valueByteCount: Int
  let seed: UInt64
  let keys: Keys
  private let keyMix: BitMix
  private let keySalt: UInt64
  private let valueSalt: UInt64
  private let keyBitCount: Int

  init(count: UInt64, keyByteCount: Int, valueByteCount: Int, seed: UInt64, keys: Keys) {
    self.count = count
    self.keyByteCount = keyByteCount
    self.valueByteCount = valueByteCount
    self.seed = seed
    self.keys = keys
    keyBitCount = min(8, keyByteCount) * 8
    keyMix = BitMix(bitCount: keyBitCount, key: seed)
    keySalt = scramble(seed ^ 0x6B65_7900)
    valueSalt = scramble(seed ^ 0x7661_6C00)
  }

  /// How many distinct keys of a length there are, up to `UInt64.max`.
  static func keySpace(keyByteCount: Int) -> UInt64 {
    keyByteCount >= 8 ? .max : 1 << UInt64(8 * keyByteCount)
  }

  /// The order in which a phase visits the pairs; every purpose has another one.
  func order(_ purpose: UInt64) -> Permutation {
    Permutation(count: count, key: seed &+ purpose &* 0x1000_0001)
  }

  // MARK: - Keys

  /// The key's meaning as a number: words are ordered as their keys are.
  @inline(__always)
  func keyWord(_ index: UInt64) -> UInt64 {
    keys == .random ? keyMix.forward(index) : index
  }

  @inline(__always)
  func index(ofKeyWord word: UInt64) -> UInt64 {
    keys == .random ? keyMix.backward(word) : word
  }

  /// Writes the key of an index over the whole buffer, which has `keyByteCount` bytes.
  @inline(__always)
  func writeKey(_ index: UInt64, to buffer: UnsafeMutableRawBufferPointer) {
    writeKey(word: keyWord(index), to: buffer)
  }

  @inline(__always)
  func writeKey(word: UInt64, to buffer: UnsafeMutableRawBufferPointer) {
    if keyByteCount == 8 {
      buffer.storeBytes(of: word.bigEndian, as: UInt64.self)
    } else {
      writeOddKey(word, to: buffer)
    }
  }

  @inline(never)
  private func writeOddKey(_ word: UInt64, to buffer: UnsafeMutableRawBufferPointer) {
    if keyByteCount < 8 {
      storeHead(word &<< UInt64(64 - keyBitCount), to: buffer)
    } else if keys == .random {
      storeHead(word, to: buffer)
      storeFiller(word ^ keySalt, to: buffer)
    } else {
      let prefixByteCount = keyByteCount - 8
      buffer[..<prefixByteCount].initializeMemory(as: UInt8.self, repeating: 0)
      storeHead(word, to: UnsafeMutableRawBufferPointer(rebasing: buffer[prefixByteCount...]))
    }
  }

  /// The word of a key that is one of this workload's (of any index), nil if it is none.
  @inline(__always)
  func keyWord(of key: RawSpan) -> UInt64? {
    guard key.byteCount == keyByteCount else { return nil }
    if keyByteCount == 8 {
      return UInt64(bigEndian: key.unsafeLoadUnaligned(as: UInt64.self))
    }
    return key.withUnsafeBytes { oddKeyWord(of: $0) }
  }

  @inline(never)
  private func oddKeyWord(of key: UnsafeRawBufferPointer) -> UInt64? {
    if keyByteCount < 8 { return loadHead(key) &>> UInt64(64 - keyBitCount) }
    if keys == .random {
      let word = loadHead(key)
      return fillerMatches(word ^ keySalt, key) ? word : nil
    }
    let prefixByteCount = keyByteCount - 8
    guard key[..<prefixByteCount].allSatisfy({ $0 == 0 }) else { return nil }
    return loadHead(UnsafeRawBufferPointer(rebasing: key[prefixByteCount...]))
  }

  // MARK: - Values

  @inline(__always)
  private func valueWord(_ index: UInt64, generation: UInt64) -> UInt64 {
    let bits = ((index &+ valueSalt) ^ (index &>> 32)) &* 0x94D0_49BB_1331_11EB
    let mixed = (bits ^ (bits &>> 29)) &* 0xD6E8_FEB8_6659_FD93
    return (mixed & ~Workload.generationMask) | (generation & Workload.generationMask)
  }

  /// Writes the value of an index over the whole buffer, which has `valueByteCount` bytes.
  @inline(__always)
  func writeValue(
    _ index: UInt64, generation: UInt64 = 0, to buffer: UnsafeMutableRawBufferPointer
  ) {
    let word = valueWord(index, generation: generation)
    if valueByteCount == 8 {
      buffer.storeBytes(of: word.bigEndian, as: UInt64.self)
    } else {
      storeHead(word, to: buffer)
      storeFiller(word ^ valueSalt, to: buffer)
    }
  }

  /// Whether these are the bytes of the index's value of a generation, or of any if that is nil.
  @inline(__always)
  func valueMatches(_ index: UInt64, _ value: RawSpan, generation: UInt64?) -> Bool {
    guard value.byteCount == valueByteCount else { return false }
    if valueByteCount == 8 {
      let found = UInt64(bigEndian: value.unsafeLoadUnaligned(as: UInt64.self))
      return found == valueWord(index, generation: generation ?? found)
    }
    return value.withUnsafeBytes { oddValueMatches(index, $0, generation: generation) }
  }

  @inline(never)
  private func oddValueMatches(
    _ index: UInt64, _ value: UnsafeRawBufferPointer, generation: UInt64?
  ) -> Bool {
    let found = loadHead(value)
    let word = valueWord(index, generation: generation ?? found)
    let headByteCount = min(8, value.count)
    guard headByteCount > 0 else { return true }
    let keptBits = UInt64.max &<< UInt64(64 - 8 * headByteCount)
    return found == word & keptBits && fillerMatches(word ^ valueSalt, value)
  }
}

// MARK: - Bytes

/// Stores as many of the word's upper bytes as there is room for.
@inline(__always)
private func storeHead(_ word: UInt64, to buffer: UnsafeMutableRawBufferPointer) {
  withUnsafeBytes(of: word.bigEndian) { head in
    buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: head[..<min(8, buffer.count)]))
  }
}

/// The first eight bytes as a word, zeros in place of those that are not there.
@inline(__always)
private func loadHead(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
  if bytes.count >= 8 { return UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self)) }
  var word: UInt64 = 0
  for (position, byte) in bytes.enumerated() {
    word |= UInt64(byte) << UInt64(56 - 8 * position)
  }
  return word
}

/// Fills what comes after the first eight bytes with noise that follows from a salt.
private func storeFiller(_ salt: UInt64, to buffer: UnsafeMutableRawBufferPointer) {
  var offset = 8
  while offset < buffer.count {
    let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[offset...])
    storeHead(scramble(salt &+ UInt64(offset)), to: rest)
    offset += 8
  }
}

private func fillerMatches(_ salt: UInt64, _ bytes: UnsafeRawBufferPointer) -> Bool {
  var offset = 8
  while offset < bytes.count {
    let rest = UnsafeRawBufferPointer(rebasing: bytes[offset...])
    let keptBits = UInt64.max &<< UInt64(64 - 8 * min(8, rest.count))
    guard loadHead(rest) == scramble(salt &+ UInt64(offset)) & keptBits else { return false }
    offset += 8
  }
  return true
}
