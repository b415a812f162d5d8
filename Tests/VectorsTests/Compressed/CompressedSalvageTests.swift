@testable import BTreeKV
@testable import Pager
import TestSupport
import Testing

@testable import Vectors

/// What salvage leaves of compressed vectors, and what `verify` finds wrong with them.
@Suite struct CompressedSalvageTests {
  /// 40 pages of 256 elements that compress badly, and 100 elements behind them.
  private static let expected: [UInt64] = {
    var random = SeededRandom(seed: 1)
    return (0..<40 * 256 + 100).map { _ in random.next() }
  }()

  private func makeVector(in storage: MemoryStorage) throws -> (Database, CompressedVector<UInt64>)
  {
    var options = Database.Options()
    options.pageSize = 4096
    let database = try openDatabase(in: storage, options, hasBackgroundThreads: false)
    let vector = try CompressedVector<UInt64>.open("v", in: database, options: smallPages)
    vector.append(contentsOf: Self.expected)
    try vector.commit(stamp: 1)
    for index in [3, 5000, 10_300] { try vector.update(at: index, 7) }
    try vector.take(at: 5)
    try vector.commit(stamp: 2)
    return (database, vector)
  }

  private func salvaged(_ bytes: [UInt8]) throws -> (report: SalvageReport, database: Database) {
    let new = try MemoryStorage()
    let report = try Database.salvage(from: MemoryStorage(contents: bytes), into: new)
    let database = try openDatabase(in: new.reopen(), hasBackgroundThreads: false)
    try requireSound(database, "the new file")
    return (report, database)
  }

  @Test func intactVectorsAreWhole() throws {
    let storage = try MemoryStorage()
    let (database, _) = try makeVector(in: storage)
    try database.close()
    let (report, new) = try salvaged(storage.copyOfContents())
    #expect(report.losses == [])
    let vector = try CompressedVector<UInt64>.open("v", in: new, options: smallPages)
    try vector.verify()
    var expected = Self.expected
    for index in [3, 5000, 10_300] { expected[index] = 7 }
    #expect(try vector.reader().elements() == expected)
    #expect(try vector.reader().holes == [5] && vector.stamps == [1, 2])
    try vector.rollback()
    #expect(try vector.reader().elements() == Self.expected)
    try new.close()
  }

  /// Whichever page of the file is damaged, what is left are elements from the first one on.
  @Test func damagedVectorsEnd() throws {
    let storage = try MemoryStorage()
    let (database, vector) = try makeVector(in: storage)
    try vector.rollback(to: 1)
    try database.close()
    let bytes = storage.copyOfContents()
    var lengths: Set<Int> = []
    for page in 4..<bytes.count / 4096 {
      var damaged = bytes
      damaged[page * 4096 + 200] ^= 1
      let (report, new) = try salvaged(damaged)
      guard let found = try new.vectors().first else {
        #expect(!report.isComplete)
        try new.close()
        continue
      }
      let vector = try CompressedVector<UInt64>.open(found.name, in: new, options: smallPages)
      try vector.verify()
      let elements = try vector.reader().elements()
      lengths.insert(elements.count)
      #expect(elements[...] == Self.expected.prefix(elements.count), "page \(page)")
      #expect(elements.count == Self.expected.count || !report.isComplete, "page \(page)")
      vector.append(9)
      try vector.write()
      #expect(try vector.element(at: elements.count) == 9)
      try new.close()
    }
    // Some damage is to the tail, some to pages, some to nothing that counts.
    #expect(lengths.contains(40 * 256) && lengths.contains(Self.expected.count))
    #expect(lengths.count > 10, "\(lengths.sorted())")
  }

  @Test func verifyComparesPagesWithTheirStatistics() throws {
    let (database, vector) = try makeVector(in: MemoryStorage())
    try vector.verify()
    let list = vector.access.list.id
    func attempt(_ change: (RecordTree) throws -> Void) throws {
      try database.write { transaction in
        try change(RecordTree(access: transaction.access(to: .vectorRecords)))
      }
      #expect(errorCode { try vector.verify() } == .corrupted)
      #expect(errorCode { _ = try database.read { try $0.verifyVector("v") } } == .corrupted)
    }
    let key = VectorKey.make(list, .pageStatistics, 7)
    let records = RecordTree(access: database.access(to: .vectorRecords))
    let old = try #require(try records.lookup(key))
    for place in [0, 8, 16, 32] {
      var wrong = old
      wrong[place] ^= 1
      try attempt { try $0.insert(key, wrong) }
    }
    try database.write { transaction in
      try RecordTree(access: transaction.access(to: .vectorRecords)).insert(key, old)
    }
    try vector.verify()
    let page = try #require(try records.lookup(VectorKey.make(list, .page, 3)))
    try attempt { try $0.insert(VectorKey.make(list, .page, 41), page) }
    try database.close()
  }
}
