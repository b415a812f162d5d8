/// Some elements of a block, by their places in it.
///
/// As a value in the tree: the places, 2 bytes each and ascending, then the elements.
struct PatchRecord: Equatable {
  var offsets: [UInt16] = []
  /// The elements one behind the other.
  var values: [UInt8] = []

  init() {}

  var isEmpty: Bool { offsets.isEmpty }

  /// Reads a value; nil when it makes no sense.
  init?(_ bytes: [UInt8], stride: Int, limit: Int) {
    guard !bytes.isEmpty, bytes.count % (2 + stride) == 0 else { return nil }
    let count = bytes.count / (2 + stride)
    offsets.reserveCapacity(count)
    var next = 0
    for index in 0..<count {
      let offset = Int(bytes[2 * index]) | Int(bytes[2 * index + 1]) << 8
      guard offset >= next, offset < limit else { return nil }
      offsets.append(UInt16(offset))
      next = offset + 1
    }
    values = Array(bytes[(2 * count)...])
  }

  var encoded: [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(2 * offsets.count + values.count)
    for offset in offsets {
      bytes.append(UInt8(truncatingIfNeeded: offset))
      bytes.append(UInt8(truncatingIfNeeded: offset >> 8))
    }
    bytes.append(contentsOf: values)
    return bytes
  }

  /// Adds an element behind all others.
  mutating func append(_ offset: Int, _ value: some Collection<UInt8>) {
    offsets.append(UInt16(truncatingIfNeeded: offset))
    values.append(contentsOf: value)
  }

  /// Where an element is, or nil.
  func index(of offset: Int) -> Int? {
    let index = lowerBound(offset)
    return index < offsets.count && Int(offsets[index]) == offset ? index : nil
  }

  /// How many elements come before a place.
  func lowerBound(_ offset: Int) -> Int {
    var (low, high) = (0, offsets.count)
    while low < high {
      let middle = (low + high) / 2
      if Int(offsets[middle]) < offset { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// The bytes of an element.
  func value(_ index: Int, stride: Int) -> ArraySlice<UInt8> {
    values[index * stride..<(index + 1) * stride]
  }

  /// The elements of both; where both have one, the other's.
  func merged(with other: PatchRecord, stride: Int) -> PatchRecord {
    if isEmpty { return other }
    var result = PatchRecord()
    result.offsets.reserveCapacity(offsets.count + other.offsets.count)
    result.values.reserveCapacity(values.count + other.values.count)
    var (a, b) = (0, 0)
    while a < offsets.count || b < other.offsets.count {
      let left = a < offsets.count ? Int(offsets[a]) : .max
      let right = b < other.offsets.count ? Int(other.offsets[b]) : .max
      if left < right {
        result.append(left, value(a, stride: stride))
      } else {
        result.append(right, other.value(b, stride: stride))
        b += 1
      }
      if left <= right { a += 1 }
    }
    return result
  }

  /// Drops the elements from a place on.
  mutating func truncate(to offset: Int, stride: Int) {
    let count = lowerBound(offset)
    offsets.removeSubrange(count...)
    values.removeSubrange((count * stride)...)
  }

  /// Writes the elements of some places over others.
  ///
  /// - Parameters:
  ///   - target: the elements from `start` on.
  ///   - start: the place of the first.
  func apply(to target: UnsafeMutableRawBufferPointer, from start: Int, stride: Int) {
    values.span.bytes.withUnsafeBytes { bytes in
      for index in lowerBound(start)..<offsets.count {
        let at = (Int(offsets[index]) - start) * stride
        guard at + stride <= target.count else { return }
        UnsafeMutableRawBufferPointer(rebasing: target[at..<at + stride]).copyMemory(
          from: UnsafeRawBufferPointer(rebasing: bytes[index * stride..<(index + 1) * stride]))
      }
    }
  }
}
