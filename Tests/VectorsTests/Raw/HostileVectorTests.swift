@testable import BTreeKV
import Pager
import TestSupport
import Testing

@testable import Vectors

/// Records that no vector makes, in files whose checksums are right: errors, never crashes.
@Suite struct HostileVectorTests {
  private let database: Database
  private let vector: RawVector<UInt64>

  init() throws {
    database = try openDatabase(in: MemoryStorage())
    vector = try RawVector.open("v", in: database)
    vector.append(contentsOf: 0..<10_000)
    try vector.take(at: 5)
    try vector.commit(stamp: 1)
    try vector.update(at: 7, 70)
    try vector.truncate(to: 9990)
    try vector.write()
  }

  /// A stamp under a key of two numbers, which names the same stamp again and again.
  @Test func stampsOfTwoNumbers() throws {
    try records.insert(
      key(.stamp, 1, 5), [UInt8](repeating: 1, count: 8) + [0, 0, 0, 0, 0, 0, 0, 0])
    #expect(errorCode { _ = try vector.stamps } == .corrupted)
    #expect(errorCode { try vector.verify() } == .corrupted)
    #expect(errorCode { _ = try vector.rollback(before: 1) } == .corrupted)
  }

  private struct Tree: WritableTree {
    let access: TreeAccess
  }

  private var records: Tree { Tree(access: database.access(to: .vectorRecords)) }
  private var names: Tree { Tree(access: database.access(to: .vectors)) }

  private func key(_ kind: VectorKey.Kind, _ numbers: Int...) -> [UInt8] {
    var key = VectorKey.make(vector.access.list.id, kind)
    for number in numbers { withUnsafeBytes(of: UInt64(number).bigEndian) { key += $0 } }
    return key
  }

  /// Uses the vector in every way; each call throws `.corrupted` or does what it can.
  private func use() throws -> Set<String> {
    var codes: Set<String> = []
    func attempt(_ body: () throws -> Void) {
      if let code = errorCode(body) { codes.insert(code.name) }
    }
    attempt { _ = try vector.reader().map { $0 } }
    attempt { _ = storedBytes(try vector.reader()) }
    attempt { _ = try vector.holes }
    attempt { _ = try vector.stamps }
    attempt { _ = try database.vectors() }
    for index in [0, 5, 7, 9989] { attempt { _ = try vector.element(at: index) } }
    attempt {
      try vector.update(at: 7, 1)
      try vector.update(at: 9000, 1)
      try vector.write()
    }
    attempt {
      try vector.fillFirstHole(orAppend: 1)
      try vector.write()
    }
    vector.discard()
    attempt { try vector.fold() }
    attempt { try vector.commit(stamp: 100) }
    attempt { try vector.rollback() }
    attempt { try vector.rollback(to: 1) }
    attempt {
      try vector.truncate(to: 3)
      try vector.write()
    }
    vector.discard()
    attempt { try database.removeVector("v") }
    return codes
  }

  /// Records with their keys' kinds and numbers.
  static let damages: [(name: String, kind: VectorKey.Kind, numbers: [Int], value: [UInt8])] = [
    ("changes of nothing", .changes, [0], []),
    ("changes that end early", .changes, [0], [1, 0, 9, 9]),
    ("changes in no order", .changes, [0], [2, 0, 1, 0] + [UInt8](repeating: 7, count: 16)),
    ("a place twice", .changes, [0], [2, 0, 2, 0] + [UInt8](repeating: 7, count: 16)),
    ("a place behind the block", .changes, [0], [0, 32] + [UInt8](repeating: 7, count: 8)),
    ("a place behind the end", .changes, [1], [0, 15] + [UInt8](repeating: 7, count: 8)),
    ("a block behind the end", .changes, [3], [0, 0] + [UInt8](repeating: 7, count: 8)),
    ("a block far away", .changes, [1 << 45], [0, 0] + [UInt8](repeating: 7, count: 8)),
    ("holes that end early", .holes, [0], [1, 2, 3]),
    ("a short stamp", .stamp, [1], [1, 2, 3]),
    ("a stamp of no elements", .stamp, [1], [UInt8](repeating: 0, count: 16)),
    ("a stamp of too many elements", .stamp, [1], [UInt8](repeating: 255, count: 16)),
    (
      "a stamp of more than are kept", .stamp, [1],
      [1] + [UInt8](repeating: 0, count: 8)
        + [1] + [UInt8](repeating: 0, count: 6)
    ),
    ("a stamp without a number", .stamp, [0], [UInt8](repeating: 255, count: 16)),
    ("kept elements that end early", .oldElements, [1, 0], [1]),
    (
      "kept elements of a block far away", .oldElements, [1, 1 << 45],
      [0, 0] + [UInt8](repeating: 7, count: 8)
    ),
    ("kept elements with a gap", .oldElements, [1, 1], [0, 15] + [UInt8](repeating: 7, count: 8)),
    ("kept holes that end early", .oldHoles, [1, 0], [1]),
  ]

  @Test(arguments: damages.indices) func records(index: Int) throws {
    let damage = Self.damages[index]
    var key = key(damage.kind)
    for number in damage.numbers { withUnsafeBytes(of: UInt64(number).bigEndian) { key += $0 } }
    try vector.verify()
    try records.insert(key, damage.value)
    let isFound = errorCode { try vector.verify() } == .corrupted
    // What is kept is not compared with the elements, so what merely does not fit shows when used.
    let isHidden = [
      "a stamp of no elements", "a stamp of more than are kept", "kept elements with a gap",
      "kept elements of a block far away",
    ].contains(damage.name)
    #expect(isFound != isHidden, "\(damage.name)")
    let codes = try use()
    if damage.name != "a stamp of no elements", damage.name != "a stamp without a number" {
      #expect(codes.contains("corrupted"), "\(damage.name): \(codes)")
    }
    #expect(
      codes.isSubset(of: ["corrupted", "invalidArgument", "notFound"]), "\(damage.name): \(codes)")
    try database.close()
  }

  /// Keys of other lengths than any record has.
  @Test func keys() throws {
    for kind: VectorKey.Kind in [.changes, .holes, .stamp, .oldElements, .oldHoles] {
      try records.insert(key(kind, 0) + [1], [1, 2, 3])
      try records.insert(key(kind, 1, 2, 3), [1, 2, 3])
    }
    #expect(try use().contains("corrupted"))
    try database.close()
  }

  @Test func catalogue() throws {
    let record = try #require(try names.lookup("v"))
    for length in 0...record.count {
      var short = Array(record[..<length])
      try names.insert("v", short)
      // Without its last letters the tag is another type's.
      let code = errorCode { _ = try RawVector<UInt64>.open("v", in: database) }
      let expected: PagerError.Code =
        length <= VectorRecord.headerByteCount ? .corrupted : .typeMismatch
      #expect(length == record.count || code == expected, "\(length) bytes")
      guard length > VectorRecord.headerByteCount else { continue }
      short[14] = 9
      try names.insert("v", short)
      #expect(errorCode { _ = try database.vectors() } == .corrupted)
    }
    for (offset, bytes) in [(0, [UInt8](repeating: 255, count: 8)), (0, [0]), (12, [0, 0])] {
      var wrong = record
      wrong.replaceSubrange(offset..<offset + bytes.count, with: bytes)
      try names.insert("v", wrong)
      let code = errorCode { _ = try RawVector<UInt64>.open("v", in: database) }
      #expect(code == .corrupted, "\(bytes) at \(offset)")
    }
    // A list that is not there.
    var wrong = record
    wrong[0] = 200
    try names.insert("v", wrong)
    let other = try RawVector<UInt64>.open("v", in: database)
    #expect(errorCode { _ = try other.count } == .notFound)
    #expect(try !database.verify().isSound)
    try names.insert("v", record)
    try names.insert("w", record)
    #expect(try !database.verify().isSound)
    try database.close()
  }

  @Test func recordOfNoVector() throws {
    try requireSound(database, "before")
    try records.insert(VectorKey.make(77, .holes, 0), [1])
    #expect(try !database.verify().isSound)
    try records.remove(VectorKey.make(77, .holes, 0))
    try requireSound(database, "without it")
    try records.insert([1, 2, 3], [1])
    #expect(try !database.verify().isSound)
    try database.close()
  }

  /// A list that ends in the middle of an element: what is whole of it is there.
  @Test func halfAnElement() throws {
    let list = vector.access.list
    _ = try [UInt8](repeating: 1, count: 3).withBytes { (bytes) throws(PagerError) in
      try list.append(bytes, database.access(to: .chunks), nil)
    }
    #expect(try vector.reader().count == 9990)
    #expect(errorCode { try vector.verify() } == .corrupted)
    try database.close()
  }
}
