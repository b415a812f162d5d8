internal import BTreeKV
internal import Pager

// Changing elements that are there; all of it in a transaction.

/// Elements to be stored in places that are there, ascending and none twice.
struct VectorUpdates {
  var indices: [Int] = []
  /// The elements one behind the other.
  var values: [UInt8] = []
}

extension VectorAccess {
  /// Stores elements in place of others.
  func update(_ updates: borrowing VectorUpdates) throws(DatabaseError) {
    guard let last = updates.indices.last else { return }
    guard last < (try count), updates.indices[0] >= 0 else {
      throw Self.unusable("only an element that is there can be updated")
    }
    try noteChange(from: updates.indices[0])
    let period = try period()
    var folding = Folding(self)
    var start = 0
    while start < updates.indices.count {
      let block = updates.indices[start] / blockCount
      var end = start
      while end < updates.indices.count, updates.indices[end] < (block + 1) * blockCount {
        end += 1
      }
      var record = PatchRecord()
      record.offsets = updates.indices[start..<end].map { UInt16($0 - block * blockCount) }
      record.values = Array(updates.values[start * stride..<end * stride])
      start = end
      let old = try changes(of: block)
      try keepOld(record.offsets, of: block, in: period, old)
      try setChanges(old?.merged(with: record, stride: stride) ?? record, of: block, &folding)
    }
    try folding.finish()
    try clearHoles(updates.indices)
  }

  /// Notes what has changed of a block, or writes the block anew if that is much.
  private func setChanges(
    _ record: PatchRecord, of block: Int, _ folding: inout Folding
  ) throws(DatabaseError) {
    let key = VectorKey.make(list.id, .changes, block)
    if record.isEmpty {
      try records.remove(key)
    } else if record.values.count > blockCount * stride / Self.foldShare {
      try folding.add(record, block)
    } else {
      try records.insert(key, record.encoded)
    }
  }

  /// Keeps the elements that are to be changed as they were at the last stamp, unless they are kept
  /// already or came later.
  ///
  /// - Parameter changes: the block's changes so far.
  func keepOld(
    _ offsets: [UInt16], of block: Int, in period: Period, _ changes: PatchRecord?
  ) throws(DatabaseError) {
    let start = block * blockCount
    guard start < period.count else { return }
    let key = VectorKey.make(list.id, .oldElements, period.number, block)
    let known = try patches(key)
    var missing = offsets
    missing.removeAll { offset in
      start + Int(offset) >= period.count || known?.index(of: Int(offset)) != nil
    }
    guard let first = missing.first, let last = missing.last else { return }
    var record = try withUnchanged(start + Int(first)..<start + Int(last) + 1) { bytes in
      PatchRecord(missing, of: bytes, from: Int(first), stride: stride)
    }
    if let changes { record.replaceCommon(with: changes, stride: stride) }
    try records.insert(key, (known?.merged(with: record, stride: stride) ?? record).encoded)
  }

  /// Makes elements of a block what they were; what lies in the list so needs no change.
  func restore(
    _ record: PatchRecord, of block: Int, _ folding: inout Folding
  ) throws(DatabaseError) {
    guard let first = record.offsets.first, let last = record.offsets.last else { return }
    // Other changes stay; of these elements, those that differ from the list's are changes.
    let others = try changes(of: block)?.removing(record, stride: stride) ?? PatchRecord()
    let start = block * blockCount
    let differing = try withUnchanged(start + Int(first)..<start + Int(last) + 1) { bytes in
      record.differing(from: bytes, startingAt: Int(first), stride: stride)
    }
    try setChanges(others.merged(with: differing, stride: stride), of: block, &folding)
  }

  // MARK: Folding

  /// Writes all changed elements to their places in the list.
  func fold() throws(DatabaseError) {
    var folding = Folding(self)
    let cursor = try records.cursor(in: VectorKey.range(list.id, .changes, 0..<1 << 46))
    while let entry = try cursor.next() {
      guard let block = VectorKey.lastNumber(entry.key),
        let record = PatchRecord(entry.value, stride: stride, limit: blockCount)
      else { throw damage("changed elements") }
      try folding.add(record, block)
    }
    try folding.finish()
  }

  /// Blocks that are to be written anew, some at once, so that chunks with several are written once.
  struct Folding {
    private let access: VectorAccess
    private var writes: [(offset: Int, bytes: [UInt8])] = []
    private var keys: [[UInt8]] = []
    private var byteCount = 0

    fileprivate init(_ access: VectorAccess) { self.access = access }

    fileprivate mutating func add(_ record: PatchRecord, _ block: Int) throws(DatabaseError) {
      let start = block * access.blockCount
      let end = min(start + access.blockCount, try access.count)
      guard let last = record.offsets.last, start + Int(last) < end else {
        throw access.damage("changed elements")
      }
      var bytes = try access.withUnchanged(start..<end) { Array($0) }
      bytes.withUnsafeMutableBytes { record.apply(to: $0, from: 0, stride: access.stride) }
      byteCount += bytes.count
      writes.append((start * access.stride, bytes))
      keys.append(VectorKey.make(access.list.id, .changes, block))
      if byteCount >= 16 << 20 { try finish() }
    }

    mutating func finish() throws(DatabaseError) {
      guard !writes.isEmpty else { return }
      try access.overwrite(writes)
      for key in keys { try access.records.remove(key) }
      writes.removeAll()
      keys.removeAll()
      byteCount = 0
    }
  }

  func folding() -> Folding { Folding(self) }
}
