internal import BTreeKV
internal import Pager

/// From where on a vector has changed, for those who have computed something of its elements.
///
/// Each change has a number and the lowest index that it concerns: elements and holes in front of that
/// are what they were. Appending is no change. A change makes all earlier ones needless that begin where
/// it does or behind, so of those that are kept both numbers and indices ascend; of too many the two
/// oldest become one, as if both had begun where the first did.
///
///     tag (8 bytes), then each change's number (8) and index (8)
struct ChangeHistory: Equatable {
  struct Change: Equatable {
    var number: UInt64
    var index: Int
  }

  static let maximumCount = 16

  /// A random number: a vector that is made anew may get the list's number of one that is gone.
  let tag: UInt64
  private(set) var changes: [Change] = []

  init(tag: UInt64) { self.tag = tag }

  /// The last change's number; 0 when there was none.
  var last: UInt64 { changes.last?.number ?? 0 }

  mutating func note(_ index: Int) {
    let number = last &+ 1
    changes.removeAll { $0.index >= index }
    changes.append(Change(number: number, index: index))
    if changes.count > Self.maximumCount {
      changes[1].index = changes[0].index
      changes.removeFirst()
    }
  }

  /// How many elements, of so many, no change after one of a number has concerned.
  func unchangedCount(of count: Int, since number: UInt64) -> Int {
    guard number <= last else { return 0 }
    return min(count, changes.first { $0.number > number }?.index ?? count)
  }

  /// Reads a value; nil when it makes no sense.
  init?(_ bytes: [UInt8]) {
    guard bytes.count % 16 == 8, bytes.count <= 8 + 16 * Self.maximumCount else { return nil }
    var reader = RecordReader(bytes)
    tag = reader.number()
    while !reader.isAtEnd {
      let change = Change(number: reader.number(), index: Int(truncatingIfNeeded: reader.number()))
      guard change.number > last, change.index > changes.last?.index ?? -1 else { return nil }
      changes.append(change)
    }
  }

  var encoded: [UInt8] {
    var bytes: [UInt8] = []
    bytes.append(littleEndian: tag)
    for change in changes {
      bytes.append(littleEndian: change.number)
      bytes.append(littleEndian: UInt64(change.index))
    }
    return bytes
  }
}

/// Takes little-endian numbers from a record, of which it is known that they are there.
struct RecordReader {
  private let bytes: [UInt8]
  private var offset = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  var isAtEnd: Bool { offset == bytes.count }
  var rest: ArraySlice<UInt8> { bytes[offset...] }

  mutating func number<Number: FixedWidthInteger>(as type: Number.Type = UInt64.self) -> Number {
    let size = MemoryLayout<Number>.size
    let number = bytes[offset..<offset + size].reversed().reduce(Number(0)) {
      $0 << 8 | Number(truncatingIfNeeded: $1)
    }
    offset += size
    return number
  }
}

extension [UInt8] {
  mutating func append(littleEndian number: some FixedWidthInteger) {
    Swift.withUnsafeBytes(of: number.littleEndian) { append(contentsOf: $0) }
  }
}

extension VectorAccess {
  private var historyKey: [UInt8] { VectorKey.make(list.id, .changeHistory, 0) }

  /// The vector's history; nil as long as nobody has asked that there be one.
  func changeHistory() throws(DatabaseError) -> ChangeHistory? {
    guard let bytes = try records.lookup(historyKey) else { return nil }
    guard let history = ChangeHistory(bytes) else { throw damage("the changes of a vector") }
    return history
  }

  /// The vector's history, which is begun if there is none; in a transaction.
  func begunHistory() throws(DatabaseError) -> ChangeHistory {
    if let history = try changeHistory() { return history }
    let history = ChangeHistory(tag: .random(in: 0 ... .max))
    try records.insert(historyKey, history.encoded)
    return history
  }

  /// Notes that elements or holes from an index on may have changed; in a transaction.
  func noteChange(from index: Int) throws(DatabaseError) {
    guard var history = try changeHistory() else { return }
    history.note(index)
    try records.insert(historyKey, history.encoded)
  }
}
