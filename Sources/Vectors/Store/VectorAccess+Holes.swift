internal import BTreeKV
internal import Pager

// Holes: places without an element, as a bitmap for each 1,024 places that have some.

/// The holes among 1,024 places.
struct HoleBlock: Equatable {
  static let count = VectorAccess.holeBlockCount

  /// One bit a place, the first one lowest.
  private(set) var words = [UInt64](repeating: 0, count: count / 64)

  init() {}

  init?(_ bytes: [UInt8]) {
    guard bytes.count == Self.count / 8 else { return nil }
    for (index, byte) in bytes.enumerated() {
      words[index / 8] |= UInt64(byte) << UInt64(8 * (index % 8))
    }
  }

  var encoded: [UInt8] {
    words.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64(8 * $0)) } }
  }

  var isEmpty: Bool { words.allSatisfy { $0 == 0 } }

  subscript(offset: Int) -> Bool {
    get { words[offset / 64] >> UInt64(offset % 64) & 1 != 0 }
    set {
      let bit = UInt64(1) << UInt64(offset % 64)
      if newValue { words[offset / 64] |= bit } else { words[offset / 64] &= ~bit }
    }
  }

  /// The places of the holes, ascending.
  var offsets: [Int] {
    var found: [Int] = []
    for (place, word) in words.enumerated() {
      var rest = word
      while rest != 0 {
        found.append(64 * place + rest.trailingZeroBitCount)
        rest &= rest - 1
      }
    }
    return found
  }

  /// The first place that is a hole in one of two blocks only.
  func firstDifference(from other: HoleBlock) -> Int? {
    guard let word = words.indices.first(where: { words[$0] != other.words[$0] }) else {
      return nil
    }
    return 64 * word + (words[word] ^ other.words[word]).trailingZeroBitCount
  }

  /// Drops the holes from a place on.
  mutating func truncate(to offset: Int) {
    for place in Swift.max(0, offset)..<Swift.max(Self.count, offset) { self[place] = false }
  }
}

extension VectorAccess {
  /// The holes of a block, or nil when it has none.
  private func holeBlock(_ key: [UInt8]) throws(DatabaseError) -> HoleBlock? {
    guard let bytes = try records.lookup(key) else { return nil }
    guard let block = HoleBlock(bytes) else { throw damage("holes") }
    return block
  }

  private func store(_ block: HoleBlock, under key: [UInt8]) throws(DatabaseError) {
    if block.isEmpty { try records.remove(key) } else { try records.insert(key, block.encoded) }
  }

  func isHole(_ index: Int) throws(DatabaseError) -> Bool {
    let key = VectorKey.make(list.id, .holes, index / Self.holeBlockCount)
    return try holeBlock(key)?[index % Self.holeBlockCount] ?? false
  }

  /// Hands over the blocks that have holes, ascending, from a block on; until `body` returns false.
  func forEachHoleBlock(
    from first: Int = 0, _ body: (Int, HoleBlock) throws(DatabaseError) -> Bool
  ) throws(DatabaseError) {
    let cursor = try records.cursor(in: VectorKey.range(list.id, .holes, first..<1 << 46))
    while let entry = try cursor.next() {
      guard let number = VectorKey.lastNumber(entry.key), let block = HoleBlock(entry.value) else {
        throw damage("holes")
      }
      guard try body(number, block) else { return }
    }
  }

  /// The places of all holes, ascending.
  func holes() throws(DatabaseError) -> [Int] {
    var found: [Int] = []
    try forEachHoleBlock { (number, block) throws(DatabaseError) in
      found += block.offsets.map { number * Self.holeBlockCount + $0 }
      return true
    }
    return found
  }

  /// The first hole's place, or nil.
  func firstHole() throws(DatabaseError) -> Int? {
    var found: Int?
    try forEachHoleBlock { (number, block) throws(DatabaseError) in
      found = block.offsets.first.map { number * Self.holeBlockCount + $0 }
      return found == nil
    }
    return found
  }

  /// Makes places holes, or takes them for such no longer; in a transaction.
  ///
  /// - Parameter indices: ascending, and below `count`.
  func setHoles(_ indices: some Sequence<Int>, _ isHole: Bool) throws(DatabaseError) {
    let period = try period()
    var number = -1
    var block: HoleBlock?
    var isNoted = false
    for index in indices {
      if index / Self.holeBlockCount != number {
        if let block { try setHoleBlock(number, block, period, &isNoted) }
        number = index / Self.holeBlockCount
        block = try holeBlock(VectorKey.make(list.id, .holes, number))
        // Where there are no holes, none can be filled.
        if block == nil, isHole { block = HoleBlock() }
      }
      block?[index % Self.holeBlockCount] = isHole
    }
    if let block { try setHoleBlock(number, block, period, &isNoted) }
  }

  /// - Parameter isNoted: whether an earlier block's change is noted.
  private func setHoleBlock(
    _ number: Int, _ block: HoleBlock, _ period: Period, _ isNoted: inout Bool
  ) throws(DatabaseError) {
    let key = VectorKey.make(list.id, .holes, number)
    let old = try holeBlock(key)
    guard let offset = block.firstDifference(from: old ?? HoleBlock()) else { return }
    if !isNoted { try noteChange(from: number * Self.holeBlockCount + offset) }
    isNoted = true
    try keepOldHoles(old ?? HoleBlock(), number, period)
    try store(block, under: key)
  }

  /// Keeps a block's holes as they were at the last stamp, unless they are kept already.
  private func keepOldHoles(
    _ block: HoleBlock, _ number: Int, _ period: Period
  ) throws(DatabaseError) {
    let start = number * Self.holeBlockCount
    guard start < period.count else { return }
    let key = VectorKey.make(list.id, .oldHoles, period.number, number)
    guard try records.lookup(key) == nil else { return }
    var block = block
    block.truncate(to: period.count - start)
    try records.insert(key, block.encoded)
  }

  /// Forgets that elements which were just stored were holes.
  func clearHoles(_ indices: [Int]) throws(DatabaseError) {
    guard try firstHole() != nil else { return }
    try setHoles(indices, false)
  }

  /// Drops the holes from a place on; in a transaction.
  ///
  /// - Parameter period: nil when nothing is to be kept.
  func truncateHoles(to count: Int, _ period: Period?) throws(DatabaseError) {
    let first = count / Self.holeBlockCount
    var cut: [(number: Int, block: HoleBlock)] = []
    try forEachHoleBlock(from: first) { (number, block) throws(DatabaseError) in
      cut.append((number, block))
      return true
    }
    for (number, old) in cut {
      if let period { try keepOldHoles(old, number, period) }
      var block = old
      block.truncate(to: count - number * Self.holeBlockCount)
      try store(block, under: VectorKey.make(list.id, .holes, number))
    }
  }

  /// Makes the holes of all blocks what they were at a stamp; in a transaction.
  func restoreHoles(of period: Int) throws(DatabaseError) {
    let range = VectorKey.range(list.id, .oldHoles, period..<period + 1)
    var kept: [(number: Int, block: HoleBlock)] = []
    let cursor = try records.cursor(in: range)
    while let entry = try cursor.next() {
      guard let number = VectorKey.lastNumber(entry.key), let block = HoleBlock(entry.value) else {
        throw damage("holes")
      }
      kept.append((number, block))
    }
    var isNoted = false
    for (number, block) in kept {
      let key = VectorKey.make(list.id, .holes, number)
      guard let offset = block.firstDifference(from: try holeBlock(key) ?? HoleBlock()) else {
        continue
      }
      if !isNoted { try noteChange(from: number * Self.holeBlockCount + offset) }
      isNoted = true
      try store(block, under: key)
    }
    try records.removeRange(range)
  }
}
