@testable import BTreeKV
import Pager
import TestSupport
import Testing
import Vectors

/// Stamps, and going back to them.
@Suite struct VectorStampTests {
  private let storage: MemoryStorage
  private let database: Database

  init() throws {
    storage = try MemoryStorage()
    database = try openDatabase(in: storage)
  }

  private func content(_ vector: RawVector<UInt64>) throws -> [UInt64] {
    Array(try vector.reader())
  }

  /// The pages of all trees and of what they refer to.
  private func pageCount() throws -> Int {
    let statistics = try database.statistics()
    return statistics.leafPageCount + statistics.innerPageCount + statistics.valueExtentPageCount
  }

  private func recordCount() -> Int { database.access(to: .vectorRecords).count }

  /// Going back twice brings back what was at the first stamp: in VecDB the 10 values become 15.
  @Test func rollingBackTwice() throws {
    let vector = try RawVector<UInt64>.open("v", in: database)
    vector.append(contentsOf: 0..<10)
    try vector.commit(stamp: 1)
    for stamp in 2...3 {
      vector.append(contentsOf: [100, 101, 102, 103, 104])
      try vector.update(at: stamp, 7)
      try vector.commit(stamp: UInt64(stamp))
    }
    #expect(try vector.count == 20)
    #expect(try vector.rollback() == 2)
    #expect(try vector.count == 15)
    #expect(try vector.rollback() == 1)
    #expect(try content(vector) == Array(0..<10))
    #expect(try vector.stamps == [1])
    #expect(errorCode { try vector.rollback() } == .notFound)
    #expect(try content(vector) == Array(0..<10))
    try database.close()
    let again = try openDatabase(in: storage.reopen())
    let found = try RawVector<UInt64>.open("v", in: again)
    #expect(try Array(found.reader()) == Array(0..<10))
    try again.close()
  }

  /// A cycle of stamp and rollback leaves nothing that the next one had to carry: VecDB's get slower.
  @Test func cyclesLeaveNothing() throws {
    var random = SeededRandom(seed: runSeed)
    let vector = try RawVector<UInt64>.open("v", in: database)
    let numbers = (0..<50_000).map { _ in random.next() }
    vector.append(contentsOf: numbers)
    try vector.commit(stamp: 1)
    let (records, pages) = (recordCount(), try pageCount())
    #expect(records == 1 && pages > 100)
    for cycle in 0..<10 {
      for _ in 0..<500 { try vector.update(at: random.below(numbers.count), random.next()) }
      try vector.truncate(to: 49_000)
      vector.append(contentsOf: [1, 2, 3])
      try vector.take(at: random.below(49_000))
      try vector.commit(stamp: 2)
      #expect(try vector.rollback() == 1)
      // Three elements had others in their places, so that the list's block differs from the vector's.
      #expect(recordCount() == records + 1, "seed \(runSeed), cycle \(cycle)")
      #expect(try pageCount() <= pages + 4, "seed \(runSeed), cycle \(cycle)")
      #expect(try content(vector) == numbers && vector.holes.isEmpty, "seed \(runSeed)")
    }
    try requireSound(database, "after cycles")
    try database.close()
  }

  /// What is kept is what has changed since the stamp, however often, not the vector.
  @Test func onlyChangesAreKept() throws {
    let vector = try RawVector<UInt64>.open("v", in: database)
    vector.append(contentsOf: 0..<200_000)
    try vector.commit(stamp: 1)
    let records = recordCount()
    for round in 0..<20 {
      for index in [5, 100_000] { try vector.update(at: index, UInt64(round)) }
      vector.append(contentsOf: 0..<100)
      try vector.write()
    }
    // Two blocks, each with its changes and with what was there.
    #expect(recordCount() == records + 4)
    try vector.rollback(to: 1)
    #expect(recordCount() == records)
    #expect(try content(vector) == Array(0..<200_000))
    try database.close()
  }

  @Test func stampsBeyondTheLimitAreForgotten() throws {
    let vector = try RawVector<UInt64>.open("v", in: database, stampLimit: 2)
    for stamp in 1...6 {
      vector.append(UInt64(stamp))
      if stamp > 1 { try vector.update(at: 0, UInt64(stamp)) }
      try vector.commit(stamp: UInt64(stamp) * 10)
    }
    #expect(try vector.stamps == [40, 50, 60] && vector.stamp == 60)
    #expect(errorCode { try vector.rollback(to: 30) } == .notFound)
    #expect(errorCode { try vector.rollback(before: 40) } == .notFound)
    #expect(errorCode { try vector.commit(stamp: 60) } == .invalidArgument)
    #expect(try vector.rollback(before: 55) == 50)
    #expect(try content(vector) == [5, 2, 3, 4, 5])
    #expect(try vector.rollback() == 40)
    #expect(try content(vector) == [4, 2, 3, 4])
    // The stamps that were rolled back may come again.
    try vector.commit(stamp: 41)
    #expect(try vector.stamps == [40, 41])
    try database.close()
  }

  /// Folding moves changes into the list; what was there before comes back all the same.
  @Test func foldingBetweenStamps() throws {
    let vector = try RawVector<UInt64>.open("v", in: database)
    vector.append(contentsOf: 0..<20_000)
    try vector.commit(stamp: 1)
    for index in 0..<3000 { try vector.update(at: index * 2, 1) }
    try vector.commit(stamp: 2)
    try vector.update(at: 9, 5)
    try vector.fold()
    try vector.truncate(to: 4)
    try vector.write()
    #expect(try vector.rollback() == 1)
    #expect(try content(vector) == Array(0..<20_000))
    try vector.fold()
    #expect(try content(vector) == Array(0..<20_000))
    try requireSound(database, "after folding")
    try database.close()
  }

  @Test func holesComeBack() throws {
    let vector = try RawVector<UInt64>.open("v", in: database)
    vector.append(contentsOf: 0..<5000)
    try vector.take(at: 10)
    try vector.take(at: 4999)
    try vector.commit(stamp: 1)
    try vector.update(at: 10, 1)
    try vector.take(at: 11)
    try vector.truncate(to: 3000)
    vector.append(contentsOf: 0..<3000)
    try vector.take(at: 4998)
    try vector.take(at: 5500)
    try vector.write()
    #expect(try vector.holes == [11, 4998, 5500])
    try vector.rollback(to: 1)
    #expect(try vector.holes == [10, 4999] && content(vector) == Array(0..<5000))
    try database.close()
  }

  @Test func stampsInTransactions() throws {
    try database.write { transaction in
      let vector = try transaction.rawVector("v", of: UInt64.self)
      try vector.append(contentsOf: 0..<10)
      try vector.commit(stamp: 1)
      try vector.update(at: 3, 0)
      try transaction.insert("height", "1")
    }
    let vector = try RawVector<UInt64>.open("v", in: database)
    let before = try database.snapshot()
    try database.write { transaction in
      let inside = vector.access(in: transaction)
      #expect(try inside.rollback { $0 < 5 } == 1)
      #expect(try inside.element(at: 3) == 3)
      try transaction.remove("height")
    }
    #expect(try content(vector) == Array(0..<10))
    let old = try #require(try before.rawVector("v", of: UInt64.self))
    #expect(try old.element(at: 3) == 0 && old.stamp == 1)
    try database.close()
  }
}
