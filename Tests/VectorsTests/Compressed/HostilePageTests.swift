@testable import BTreeKV
import Pager
import TestSupport
import Testing

@testable import Vectors

/// Pages, statistics and records that no compressed vector makes, in files whose checksums are right:
/// errors, never crashes.
@Suite struct HostilePageTests {
  private let database: Database
  private let vector: CompressedVector<UInt64>

  init() throws {
    database = try openDatabase(in: MemoryStorage())
    vector = try CompressedVector.open("v", in: database, options: smallPages)
    vector.append(contentsOf: (0..<1000).map { $0 * 3 })
    try vector.take(at: 5)
    try vector.commit(stamp: 1)
    try vector.update(at: 7, 70)
    try vector.truncate(to: 900)
    try vector.write()
  }

  private var records: RecordTree { RecordTree(access: database.access(to: .vectorRecords)) }
  private var names: RecordTree { RecordTree(access: database.access(to: .vectors)) }

  private func key(_ kind: VectorKey.Kind, _ number: Int) -> [UInt8] {
    VectorKey.make(vector.access.list.id, kind, number)
  }

  /// Uses the vector in every way; each call throws or does what it can.
  private func use() -> Set<String> {
    var codes: Set<String> = []
    func attempt(_ body: () throws -> Void) {
      if let code = errorCode(body) { codes.insert(code.name) }
    }
    attempt { _ = try vector.count }
    attempt { _ = try vector.reader().elements() }
    attempt { _ = try vector.reader(cacheByteCount: .max).sum() }
    attempt { _ = try vector.reader().min() }
    attempt { _ = try vector.reader().indices(where: 30...60) }
    attempt { _ = try database.vectors() }
    for index in [0, 7, 300, 899] {
      attempt { _ = try vector.element(at: index) }
      attempt { _ = try vector.reader().element(at: index) }
    }
    attempt {
      for index in 0..<60 { try vector.update(at: index, 1) }
      try vector.write()
    }
    vector.discard()
    attempt {
      vector.append(contentsOf: 0..<300)
      try vector.write()
    }
    vector.discard()
    attempt { try vector.fold() }
    attempt { try vector.commit(stamp: 100) }
    attempt { try vector.rollback(to: 1) }
    attempt {
      try vector.truncate(to: 3)
      try vector.write()
    }
    vector.discard()
    attempt { try database.removeVector("v") }
    return codes
  }

  private func expectErrors(_ what: String) {
    let codes = use()
    #expect(codes.contains("corrupted"), "\(what): \(codes)")
    #expect(
      codes.isSubset(of: ["corrupted", "invalidArgument", "notFound"]), "\(what): \(codes)")
  }

  static let damages: [(name: String, kind: VectorKey.Kind, number: Int, value: [UInt8]?)] = [
    ("an empty page", .page, 0, []),
    ("a page of another version", .page, 0, [9, 0, 0, 0]),
    ("a page of noise", .page, 0, [4] + [UInt8](repeating: 0xA7, count: 500)),
    ("no page", .page, 0, nil),
    ("empty statistics", .pageStatistics, 0, []),
    ("short statistics", .pageStatistics, 0, [UInt8](repeating: 0, count: 35)),
    (
      "a least number that is greater than the greatest", .pageStatistics, 0,
      [1] + [UInt8](repeating: 0, count: 35)
    ),
    (
      "more that are no numbers than numbers", .pageStatistics, 0,
      [UInt8](repeating: 0, count: 32) + [1, 1, 0, 0]
    ),
    ("no statistics", .pageStatistics, 0, nil),
    ("a page far behind the others", .pageStatistics, 1000, [UInt8](repeating: 0, count: 36)),
    ("a page beyond all", .pageStatistics, 1 << 45, [UInt8](repeating: 0, count: 36)),
    ("the last page that can be", .pageStatistics, 1 << 38 - 1, [UInt8](repeating: 0, count: 36)),
    ("changes of a place that no page has", .changes, 0, [0, 1] + [UInt8](repeating: 7, count: 8)),
  ]

  @Test(arguments: damages.indices) func records(index: Int) throws {
    let (name, kind, number, value) = Self.damages[index]
    if let value {
      try records.insert(key(kind, number), value)
    } else {
      try records.remove(key(kind, number))
    }
    expectErrors(name)
    try database.close()
  }

  /// Every page that ends early or has bytes behind it is refused.
  @Test func lengths() throws {
    let page = try #require(try records.lookup(key(.page, 0)))
    for length in 0...page.count + 3 where length != page.count {
      let more = [UInt8](repeating: 0, count: max(0, length - page.count))
      let wrong = Array(page.prefix(length)) + more
      try records.insert(key(.page, 0), wrong)
      let code = errorCode { _ = try vector.reader().elements() }
      #expect(code == .corrupted, "\(length) of \(page.count) bytes")
    }
    try database.close()
  }

  /// A page that could not be read is not taken for the one whose place it got.
  @Test func placeOfADamagedPage() throws {
    let page = try #require(try records.lookup(key(.page, 0)))
    try records.insert(key(.page, 0), page + [0])
    let reader = try vector.reader(cacheByteCount: 0)
    for _ in 0..<2 {
      #expect(try reader.element(at: 600) == 1800)
      #expect(errorCode { _ = try reader.element(at: 88) } == .corrupted)
    }
    try database.close()
  }

  /// Any bits of a page changed: numbers, or an error; never more numbers than a page has.
  @Test func flippedBits() throws {
    var random = SeededRandom(seed: runSeed)
    let page = try #require(try records.lookup(key(.page, 0)))
    let count = try vector.count
    var refusals = 0
    for _ in 0..<300 {
      var wrong = page
      for _ in 0..<random.number(in: 1...3) {
        wrong[random.below(wrong.count)] ^= 1 << UInt8(random.below(8))
      }
      try records.insert(key(.page, 0), wrong)
      do {
        let found = try vector.reader().elements()
        #expect(found.count == count)
        #expect(found[256...].elementsEqual((256..<900).map { $0 * 3 }))
      } catch {
        #expect(error.code == .corrupted, "seed \(runSeed)")
        refusals += 1
      }
    }
    #expect(refusals > 0)
    try database.close()
  }

  /// A tail that has a page's elements or ends within one, and codes of pages that there are not.
  @Test func tailsAndCodes() throws {
    let record = try #require(try names.lookup("v"))
    for code in [0x00, 0x0C, 0x0F, 0x92, 0xF2, 0x01, 0x0A] as [UInt8] {
      var wrong = record
      wrong[15] = code
      try names.insert("v", wrong)
      let found = errorCode { _ = try CompressedVector<UInt64>.open("v", in: database) }
      #expect(found == .corrupted, "code \(code)")
    }
    // Numbers of as many bytes, but of another type.
    var wrong = record
    wrong[15] = 0x04
    try names.insert("v", wrong)
    let found = errorCode { _ = try CompressedVector<UInt64>.open("v", in: database) }
    #expect(found == .typeMismatch)
    try names.insert("v", record)
    for byteCount in [3, 2048] {
      let list = vector.access.list
      _ = try [UInt8](repeating: 1, count: byteCount).withBytes { (bytes) throws(PagerError) in
        try list.append(bytes, database.access(to: .chunks), nil)
      }
      #expect(errorCode { _ = try vector.count } == .corrupted)
      #expect(errorCode { _ = try vector.reader() } == .corrupted)
    }
    expectErrors("a tail")
    try database.close()
  }
}
