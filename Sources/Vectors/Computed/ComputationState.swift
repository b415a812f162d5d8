internal import BTreeKV
internal import Pager

/// What a stored column was computed from, and how far; kept beside its elements and changed in the same
/// commits as these.
///
///     rule's version (4 bytes), number of sources (4), computed elements (8), the vector's own history's
///     tag (8) and last change (8); of each source its list (8), its history's tag (8) and last change
///     (8), and its version (4); the rule's name
struct ComputationState: Equatable {
  /// A vector as it was when something was computed from it, or into it.
  struct Origin: Equatable {
    var list: UInt64
    var historyTag: UInt64
    var lastChange: UInt64
    var version: UInt32
  }

  private static let headerByteCount = 32
  private static let originByteCount = 28

  /// The rule's name, with what it was given.
  var rule: String
  /// What the user gave the rule.
  var version: UInt32
  /// How many elements have been computed.
  var count: Int
  /// The history of the vector that has the elements.
  var historyTag: UInt64
  var lastChange: UInt64
  var sources: [Origin]

  /// Whether elements were computed in the same way, from the same vectors.
  func hasSameOrigin(as other: ComputationState) -> Bool {
    rule == other.rule && version == other.version && historyTag == other.historyTag
      && sources.elementsEqual(other.sources) {
        $0.list == $1.list && $0.historyTag == $1.historyTag && $0.version == $1.version
      }
  }

  /// How many of the computed elements, at most so many, are what would be computed now.
  ///
  /// - Parameters:
  ///   - history: that of the vector that has the elements, now.
  ///   - histories: those of the sources, now.
  func rightCount(
    of limit: Int, _ history: ChangeHistory, _ histories: [ChangeHistory]
  ) -> Int {
    var right = history.unchangedCount(of: min(count, limit), since: lastChange)
    for (source, history) in zip(sources, histories) {
      right = history.unchangedCount(of: right, since: source.lastChange)
    }
    return right
  }

  var encoded: [UInt8] {
    var bytes: [UInt8] = []
    bytes.append(littleEndian: version)
    bytes.append(littleEndian: UInt32(sources.count))
    bytes.append(littleEndian: UInt64(count))
    bytes.append(littleEndian: historyTag)
    bytes.append(littleEndian: lastChange)
    for source in sources {
      bytes.append(littleEndian: source.list)
      bytes.append(littleEndian: source.historyTag)
      bytes.append(littleEndian: source.lastChange)
      bytes.append(littleEndian: source.version)
    }
    bytes.append(contentsOf: rule.utf8)
    return bytes
  }
}

extension ComputationState {
  /// Reads a value; nil when it makes no sense.
  init?(_ bytes: [UInt8]) {
    guard bytes.count >= Self.headerByteCount else { return nil }
    var reader = RecordReader(bytes)
    version = reader.number(as: UInt32.self)
    let sourceCount = Int(reader.number(as: UInt32.self))
    guard (1...2).contains(sourceCount),
      bytes.count >= Self.headerByteCount + sourceCount * Self.originByteCount
    else { return nil }
    let computed = reader.number()
    guard computed < 1 << 46 else { return nil }
    count = Int(computed)
    historyTag = reader.number()
    lastChange = reader.number()
    sources = (0..<sourceCount).map { _ in
      Origin(
        list: reader.number(), historyTag: reader.number(), lastChange: reader.number(),
        version: reader.number(as: UInt32.self))
    }
    rule = String(decoding: reader.rest, as: UTF8.self)
  }
}

extension VectorAccess {
  private var computationKey: [UInt8] { VectorKey.make(list.id, .computation, 0) }

  /// What the vector was computed from; nil when it was not, or is to be computed anew.
  func computationState() throws(DatabaseError) -> ComputationState? {
    guard let bytes = try records.lookup(computationKey) else { return nil }
    guard let state = ComputationState(bytes) else {
      throw damage("what a vector was computed from")
    }
    return state
  }

  func setComputationState(_ state: ComputationState) throws(DatabaseError) {
    try records.insert(computationKey, state.encoded)
  }

  /// The places of the holes in a range, ascending.
  func holes(in range: Range<Int>) throws(DatabaseError) -> [Int] {
    var found: [Int] = []
    guard !range.isEmpty else { return [] }
    let last = (range.upperBound - 1) / Self.holeBlockCount
    try forEachHoleBlock(from: range.lowerBound / Self.holeBlockCount) {
      (number, block) throws(DatabaseError) in
      guard number <= last else { return false }
      for offset in block.offsets where range.contains(number * Self.holeBlockCount + offset) {
        found.append(number * Self.holeBlockCount + offset)
      }
      return number < last
    }
    return found
  }

  /// Elements, nil at holes; of an instant or in a transaction.
  ///
  /// - Parameter range: must be there.
  func presentElements<Element: VectorElement>(
    in range: Range<Int>, as type: Element.Type = Element.self
  ) throws(DatabaseError) -> [Element?] {
    var found: [Element?] = []
    found.reserveCapacity(range.count)
    var next = range.lowerBound
    while next < range.upperBound {
      let block = next / blockCount
      let end = min(range.upperBound, (block + 1) * blockCount)
      let bytes = try elements(next..<end, of: block)
      let stored = [Element.Stored](unsafeUninitializedCapacity: end - next) { room, count in
        bytes.withUnsafeBytes { UnsafeMutableRawBufferPointer(room).copyMemory(from: $0) }
        count = end - next
      }
      for element in stored { found.append(Element(stored: element)) }
      next = end
    }
    for hole in try holes(in: range) { found[hole - range.lowerBound] = nil }
    return found
  }
}
