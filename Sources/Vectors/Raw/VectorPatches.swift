internal import BTreeKV
internal import Pager

/// What has changed of elements that a reader shows, beside the list's bytes.
///
/// Why `@unchecked Sendable`: nothing is changed once it is made, but `whole`, which has a lock.
@usableFromInline
final class VectorPatches: @unchecked Sendable {
  /// Memory of this object's own.
  private struct Copy: @unchecked Sendable {
    var bytes: UnsafeMutableRawBufferPointer?
  }

  private let stride: Int
  private let blockCount: Int
  /// Where each block's changes begin, and behind the last one's.
  private let starts: [Int]
  private let offsets: [UInt16]
  private let values: UnsafeMutableRawBufferPointer
  /// All elements with what has changed, once somebody has asked for them.
  private let whole = Locked(Copy())

  /// Reads all changes of a vector; nil when there are none.
  init?(_ vector: VectorAccess, count: Int) throws(DatabaseError) {
    (stride, blockCount) = (vector.stride, vector.blockCount)
    var starts = [0]
    var offsets: [UInt16] = []
    var values: [UInt8] = []
    let cursor = try vector.records.cursor(
      in: VectorKey.range(vector.list.id, .changes, 0..<1 << 46))
    while let entry = try cursor.next() {
      guard let block = VectorKey.lastNumber(entry.key), block * blockCount < count,
        block + 1 >= starts.count,
        let record = PatchRecord(entry.value, stride: stride, limit: blockCount),
        let last = record.offsets.last, block * blockCount + Int(last) < count
      else { throw vector.damage("changed elements") }
      while starts.count <= block { starts.append(offsets.count) }
      offsets += record.offsets
      values += record.values
      starts.append(offsets.count)
    }
    self.starts = starts
    self.offsets = offsets
    self.values = .allocate(byteCount: values.count, alignment: 64)
    values.withUnsafeBytes { self.values.copyMemory(from: $0) }
    if offsets.isEmpty { return nil }
  }

  deinit {
    values.deallocate()
    whole.withLock { $0.bytes?.deallocate() }
  }

  /// Where the changes of a block are.
  private func changes(of block: Int) -> Range<Int> {
    block + 1 < starts.count ? starts[block]..<starts[block + 1] : 0..<0
  }

  /// The new bytes of an element, or nil when it has not changed.
  @usableFromInline @inline(never)
  func value(of index: Int) -> UnsafeRawPointer? {
    let block = index / blockCount
    let offset = index - block * blockCount
    var range = changes(of: block)
    let end = range.upperBound
    while !range.isEmpty {
      let middle = range.lowerBound + range.count / 2
      if Int(offsets[middle]) < offset {
        range = middle + 1..<range.upperBound
      } else {
        range = range.lowerBound..<middle
      }
    }
    guard range.lowerBound < end, Int(offsets[range.lowerBound]) == offset,
      let base = values.baseAddress
    else { return nil }
    return UnsafeRawPointer(base + range.lowerBound * stride)
  }

  /// The longest run of blocks from a place on that have no changes, or else the rest of its block.
  @usableFromInline
  func run(from index: Int, to end: Int) -> (end: Int, hasChanges: Bool) {
    var block = index / blockCount
    if !changes(of: block).isEmpty { return (min(end, (block + 1) * blockCount), true) }
    while block * blockCount < end, changes(of: block).isEmpty { block += 1 }
    return (min(end, block * blockCount), false)
  }

  /// Copies elements with what has changed of them.
  ///
  /// - Parameter bytes: those of all elements.
  @usableFromInline
  func copy(
    _ range: Range<Int>, of bytes: UnsafeRawBufferPointer, to target: UnsafeMutableRawBufferPointer
  ) {
    target.copyMemory(
      from: UnsafeRawBufferPointer(
        rebasing: bytes[range.lowerBound * stride..<range.upperBound * stride]))
    guard !range.isEmpty else { return }
    for block in range.lowerBound / blockCount...(range.upperBound - 1) / blockCount {
      for place in changes(of: block) {
        let index = block * blockCount + Int(offsets[place])
        guard range.contains(index) else { continue }
        let at = (index - range.lowerBound) * stride
        UnsafeMutableRawBufferPointer(rebasing: target[at..<at + stride]).copyMemory(
          from: UnsafeRawBufferPointer(rebasing: values[place * stride..<(place + 1) * stride]))
      }
    }
  }

  /// All elements with what has changed of them, copied when they are first asked for.
  @usableFromInline
  func whole(of bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
    whole.withLock { whole in
      if let known = whole.bytes { return UnsafeRawBufferPointer(known) }
      let new = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 4096)
      copy(0..<bytes.count / stride, of: bytes, to: new)
      whole.bytes = new
      return UnsafeRawBufferPointer(new)
    }
  }
}
