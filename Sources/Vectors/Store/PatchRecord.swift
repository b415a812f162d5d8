/// Some elements of a block, by their places in it.
///
/// As a value in the tree: the places, 2 bytes each and ascending, then the elements.
struct PatchRecord: Equatable {
  var offsets: [UInt16] = []
  /// The elements one behind the other.
  var values: [UInt8] = []

  init() {}

  /// Elements that lie scattered in memory.
  ///
  /// - Parameters:
  ///   - offsets: the places, ascending.
  ///   - bytes: all elements from one place to another.
  ///   - first: the place of the first of these.
  init(_ offsets: [UInt16], of bytes: UnsafeRawBufferPointer, from first: Int, stride: Int) {
    self.offsets = offsets
    guard let lowest = offsets.first, let highest = offsets.last,
      let source = bytes.baseAddress
    else { return }
    precondition(
      Int(lowest) >= first && (Int(highest) - first + 1) * stride <= bytes.count,
      "the places lie among the elements")
    values = [UInt8](unsafeUninitializedCapacity: offsets.count * stride) { room, count in
      let target = UnsafeMutableRawBufferPointer(room)
      for (index, offset) in offsets.enumerated() {
        copyElement(
          source + (Int(offset) - first) * stride, to: target, at: index * stride, stride: stride)
      }
      count = offsets.count * stride
    }
  }

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
    let byteCount = 2 * offsets.count + values.count
    return [UInt8](unsafeUninitializedCapacity: byteCount) { room, count in
      let target = UnsafeMutableRawBufferPointer(room)
      for (index, offset) in offsets.enumerated() {
        target.storeBytes(of: offset.littleEndian, toByteOffset: 2 * index, as: UInt16.self)
      }
      UnsafeMutableRawBufferPointer(rebasing: target[(2 * offsets.count)..<byteCount])
        .copyBytes(from: values)
      count = byteCount
    }
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

  /// The elements that another one does not have.
  func removing(_ other: PatchRecord, stride: Int) -> PatchRecord {
    var result = PatchRecord()
    var next = 0
    for (index, offset) in offsets.enumerated() {
      while next < other.offsets.count, other.offsets[next] < offset { next += 1 }
      if next < other.offsets.count, other.offsets[next] == offset { continue }
      result.append(Int(offset), value(index, stride: stride))
    }
    return result
  }

  /// Takes another one's elements in the places that both have.
  mutating func replaceCommon(with other: PatchRecord, stride: Int) {
    var next = 0
    for (index, offset) in offsets.enumerated() {
      while next < other.offsets.count, other.offsets[next] < offset { next += 1 }
      guard next < other.offsets.count else { return }
      if other.offsets[next] == offset {
        values.replaceSubrange(
          index * stride..<(index + 1) * stride, with: other.value(next, stride: stride))
      }
    }
  }

  /// The elements that are not the same, to the bit, as those that lie in memory.
  ///
  /// - Parameters:
  ///   - bytes: all elements from one place to another.
  ///   - first: the place of the first of these.
  func differing(
    from bytes: UnsafeRawBufferPointer, startingAt first: Int, stride: Int
  ) -> PatchRecord {
    guard let lowest = offsets.first, let highest = offsets.last else { return self }
    precondition(
      Int(lowest) >= first && (Int(highest) - first + 1) * stride <= bytes.count,
      "the places lie among the elements")
    var places: [Int] = []
    values.withUnsafeBytes { values in
      for (index, offset) in offsets.enumerated()
      where !hasEqualElements(
        values, index * stride, bytes, (Int(offset) - first) * stride, stride: stride)
      {
        places.append(index)
      }
    }
    if places.count == offsets.count { return self }
    var result = PatchRecord()
    for index in places { result.append(Int(offsets[index]), value(index, stride: stride)) }
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

/// Copies an element: with one load and one store, if it has one of the usual sizes.
///
/// - Parameters:
///   - source: as many bytes as `stride`.
///   - target: has as many from `offset` on.
@inline(__always)
func copyElement(
  _ source: UnsafeRawPointer, to target: UnsafeMutableRawBufferPointer, at offset: Int, stride: Int
) {
  switch stride {
  case 8:
    target.storeBytes(
      of: source.loadUnaligned(as: UInt64.self), toByteOffset: offset, as: UInt64.self)
  case 4:
    target.storeBytes(
      of: source.loadUnaligned(as: UInt32.self), toByteOffset: offset, as: UInt32.self)
  default:
    UnsafeMutableRawBufferPointer(rebasing: target[offset..<offset + stride])
      .copyMemory(from: UnsafeRawBufferPointer(start: source, count: stride))
  }
}

/// Whether two elements in memory have the same bits.
@inline(__always)
private func hasEqualElements(
  _ left: UnsafeRawBufferPointer, _ leftOffset: Int, _ right: UnsafeRawBufferPointer,
  _ rightOffset: Int, stride: Int
) -> Bool {
  switch stride {
  case 8:
    return left.loadUnaligned(fromByteOffset: leftOffset, as: UInt64.self)
      == right.loadUnaligned(fromByteOffset: rightOffset, as: UInt64.self)
  case 4:
    return left.loadUnaligned(fromByteOffset: leftOffset, as: UInt32.self)
      == right.loadUnaligned(fromByteOffset: rightOffset, as: UInt32.self)
  default:
    return left[leftOffset..<leftOffset + stride]
      .elementsEqual(right[rightOffset..<rightOffset + stride])
  }
}
