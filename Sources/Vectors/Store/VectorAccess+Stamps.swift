internal import BTreeKV
internal import Pager

// Stamps: what has changed since the last one is kept as it was, so that the vector can go back.
//
// Stamps are numbered in order, from 1. Since stamp n was made, period n has been going on, until the
// next one: the first time in a period that an element in front of the stamp's count is changed or cut
// off, or a block of holes, what it was is kept under the period's number. Going back to stamp n is
// putting that back, and cutting off what came behind. So it costs what has changed.

/// What came since the last stamp.
struct Period {
  /// The stamp's number in order; 0 when there is none: then nothing is kept.
  var number = 0
  /// What the caller called it.
  var stamp: UInt64 = 0
  /// How many elements there were.
  var count = 0
}

extension VectorAccess {
  /// The stamp of a number in order, or the last one.
  private func period(_ range: KeyRange) throws(DatabaseError) -> Period? {
    let cursor = try records.cursor(in: range, reversed: true)
    guard let entry = try cursor.next() else { return nil }
    guard let number = VectorKey.lastNumber(entry.key), number > 0, entry.value.count == 16 else {
      throw damage("a stamp")
    }
    let (stamp, count) = entry.value.withUnsafeBytes { bytes in
      (
        bytes.loadUnaligned(as: UInt64.self),
        bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
      )
    }
    guard count < 1 << 46 else { throw damage("a stamp") }
    return Period(number: number, stamp: stamp, count: Int(count))
  }

  private var allStamps: KeyRange { VectorKey.range(list.id, .stamp, 0..<1 << 46) }

  /// What came since the last stamp.
  func period() throws(DatabaseError) -> Period { try period(allStamps) ?? Period() }

  /// The stamps that can be gone back to, oldest first; the last one is the newest.
  func stamps() throws(DatabaseError) -> [Period] {
    var found: [Period] = []
    var end = 1 << 46
    while let next = try period(VectorKey.range(list.id, .stamp, 0..<end)) {
      found.append(next)
      end = next.number
    }
    return found.reversed()
  }

  /// Makes a stamp of what is there; in a transaction.
  func commit(stamp: UInt64) throws(DatabaseError) {
    let last = try period()
    guard last.number == 0 || stamp > last.stamp else {
      throw Self.unusable("a stamp must be greater than the one before, which is \(last.stamp)")
    }
    let number = last.number + 1
    var value = withUnsafeBytes(of: stamp.littleEndian) { Array($0) }
    withUnsafeBytes(of: UInt64(try count).littleEndian) { value.append(contentsOf: $0) }
    try records.insert(VectorKey.make(list.id, .stamp, number), value)
    let oldest = max(0, number - stampLimit)
    for kind in [VectorKey.Kind.stamp, .oldElements, .oldHoles] {
      try records.removeRange(VectorKey.range(list.id, kind, 0..<oldest))
    }
  }

  /// Goes back to a stamp that is kept; in a transaction.
  ///
  /// - Parameter isTarget: says of each stamp, newest first, whether it is the one.
  /// - Returns: the stamp.
  func rollBack(to isTarget: (Period) -> Bool) throws(DatabaseError) -> Period {
    let kept = try stamps()
    guard let target = kept.last(where: isTarget) else {
      throw DatabaseError(
        PagerError(.notFound, "the vector has no such stamp, or it is not kept any more"))
    }
    for period in kept.reversed() where period.number >= target.number {
      try undo(period)
      if period.number > target.number {
        try records.remove(VectorKey.make(list.id, .stamp, period.number))
      }
    }
    return target
  }

  /// Undoes what came since a stamp, the newest one.
  private func undo(_ period: Period) throws(DatabaseError) {
    if try count > period.count { try cut(to: period.count, nil) }
    let start = try count
    let range = VectorKey.range(list.id, .oldElements, period.number..<period.number + 1)
    // Elements that were cut off are appended again, the others put back.
    var tail: [UInt8] = []
    var next = start
    var isNoted = false
    var folding = folding()
    let cursor = try records.cursor(in: range)
    var entries = EntriesAhead(cursor)
    while let entry = try entries.next() {
      guard let block = VectorKey.lastNumber(entry.key),
        var record = PatchRecord(entry.value, stride: stride, limit: blockCount)
      else { throw damage("what the elements were") }
      let first = record.lowerBound(start - block * blockCount)
      for index in first..<record.offsets.count {
        guard block * blockCount + Int(record.offsets[index]) == next, next < period.count else {
          throw damage("what the elements were")
        }
        tail.append(contentsOf: record.value(index, stride: stride))
        next += 1
      }
      record.truncate(to: max(0, start - block * blockCount), stride: stride)
      if !isNoted, let offset = record.offsets.first {
        try noteChange(from: block * blockCount + Int(offset))
        isNoted = true
      }
      try restore(record, of: block, &folding)
      if tail.count >= 1 << 20 {
        // The last block may be part of a page from then on.
        try folding.finish()
        try append(&tail)
      }
    }
    guard next == period.count else { throw damage("what the elements were") }
    try folding.finish()
    try append(&tail)
    try records.removeRange(range)
    try restoreHoles(of: period.number)
  }

  /// A cursor's entries, some read at once: it needs to look for its place after each change of its
  /// tree.
  private struct EntriesAhead {
    private let cursor: Cursor
    private var entries: [Database.Entry] = []
    private var position = 0

    init(_ cursor: Cursor) { self.cursor = cursor }

    mutating func next() throws(DatabaseError) -> Database.Entry? {
      if position == entries.count {
        entries.removeAll(keepingCapacity: true)
        position = 0
        var byteCount = 0
        while byteCount < 256 << 10, let entry = try cursor.next() {
          entries.append(entry)
          byteCount += entry.value.count
        }
      }
      guard position < entries.count else { return nil }
      position += 1
      return entries[position - 1]
    }
  }

  private func append(_ bytes: inout [UInt8]) throws(DatabaseError) {
    try bytes.span.bytes.withUnsafeBytes { (bytes) throws(DatabaseError) in
      _ = try append(bytes, nil)
    }
    bytes.removeAll(keepingCapacity: true)
  }

  /// Makes the vector shorter; in a transaction.
  func truncate(to count: Int) throws(DatabaseError) {
    guard count >= 0, count <= (try self.count) else {
      throw Self.unusable("a vector can't be truncated to more elements than it has")
    }
    try cut(to: count, try period())
  }

  /// - Parameter period: nil when nothing is to be kept.
  private func cut(to count: Int, _ period: Period?) throws(DatabaseError) {
    let old = try self.count
    guard count < old else { return }
    try noteChange(from: count)
    if let period { try keepTail(count..<max(count, min(old, period.count)), period) }
    try cutUnchanged(to: count)
    let first = (count + blockCount - 1) / blockCount
    try records.removeRange(VectorKey.range(list.id, .changes, first..<1 << 46))
    if count % blockCount != 0, var record = try changes(of: count / blockCount) {
      record.truncate(to: count % blockCount, stride: stride)
      let key = VectorKey.make(list.id, .changes, count / blockCount)
      if record.isEmpty {
        try records.remove(key)
      } else {
        try records.insert(key, record.encoded)
      }
    }
    try truncateHoles(to: count, period)
  }

  /// Keeps elements that are to be cut off.
  private func keepTail(_ range: Range<Int>, _ period: Period) throws(DatabaseError) {
    var next = range.lowerBound
    while next < range.upperBound {
      let block = next / blockCount
      let end = min(range.upperBound, (block + 1) * blockCount)
      let offsets = (next..<end).map { UInt16($0 - block * blockCount) }
      try keepOld(offsets, of: block, in: period, try changes(of: block))
      next = end
    }
  }
}
