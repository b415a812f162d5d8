@testable import BTreeKV
import Pager
import TestSupport
import Testing

@testable import Vectors

/// Sums, bounds and filters by the statistics of pages.
@Suite struct PageStatisticsTests {
  private let database: Database

  init() throws { database = try openDatabase(in: MemoryStorage()) }

  /// Sums of the largest numbers don't overflow.
  @Test func integerSums() throws {
    let most = try CompressedVector<UInt64>.open("most", in: database, options: smallPages)
    most.append(contentsOf: repeatElement(.max, count: 1000))
    try most.write()
    #expect(try most.reader().sum() == Int128(UInt64.max) * 1000)
    let least = try CompressedVector<Int64>.open("least", in: database, options: smallPages)
    least.append(contentsOf: repeatElement(.min, count: 1000))
    try least.write()
    #expect(try least.reader().sum() == Int128(Int64.min) * 1000)
    let small = try CompressedVector<Int8>.open("small", in: database, options: smallPages)
    small.append(contentsOf: (0..<1000).map { Int8(truncatingIfNeeded: $0) })
    try small.write()
    let sum = (0..<1000).reduce(Int128(0)) { $0 + Int128(Int8(truncatingIfNeeded: $1)) }
    #expect(try small.reader().sum() == sum)
    #expect(try small.reader().sum(in: 100..<100) == 0)
    try database.close()
  }

  /// What has changed, or is a hole, counts as it is now.
  @Test func changesAndHoles() throws {
    let vector = try CompressedVector<Int64>.open("v", in: database, options: smallPages)
    vector.append(contentsOf: 0..<2000)
    try vector.write()
    try vector.update(at: 10, 1_000_000)
    try vector.update(at: 1999, -1_000_000)
    try vector.take(at: 600)
    try vector.take(at: 0)
    try vector.write()
    let reader = try vector.reader()
    let total: Int128 = 1999 * 2000 / 2 - 10 + 1_000_000 - 1999 - 1_000_000 - 600
    #expect(try reader.sum() == total)
    #expect(try reader.max() == 1_000_000)
    #expect(try reader.min() == -1_000_000)
    #expect(try reader.min(in: 0..<1500) == 1)
    #expect(try reader.indices(where: 1_000_000...1_000_000) == [10])
    #expect(try reader.indices(where: 599...601) == [599, 601])
    #expect(try reader.indices(where: 8...11) == [8, 9, 11])
    try vector.fold()
    #expect(try vector.reader().sum() == total)
    #expect(try vector.access.kept().changedPages().isEmpty)
    try database.close()
  }

  /// NaN is neither the least nor the greatest, and makes the sum NaN; zeros keep their signs.
  @Test func floats() throws {
    let vector = try CompressedVector<Double>.open("v", in: database, options: smallPages)
    var numbers = (0..<1000).map { Double($0) / 4 + 1 }
    numbers[0] = -0.0
    numbers[1] = 0
    numbers[600] = .infinity
    vector.append(contentsOf: numbers)
    try vector.write()
    #expect(try vector.reader().min()?.bitPattern == (-0.0).bitPattern)
    #expect(try vector.reader().max() == .infinity)
    #expect(try vector.reader().sum() == .infinity)
    #expect(try vector.reader().sum(in: 0..<512) == numbers[0..<512].reduce(0, +))
    #expect(try vector.reader().indices(where: -1...0) == [0, 1])
    for index in 0..<512 { numbers[index] = .nan }
    numbers[300] = 5
    let other = try CompressedVector<Double>.open("w", in: database, options: smallPages)
    other.append(contentsOf: numbers)
    try other.write()
    let reader = try other.reader()
    #expect(try reader.min(in: 0..<512) == 5)
    #expect(try reader.min(in: 0..<256) == nil)
    #expect(try reader.max(in: 0..<512) == 5)
    #expect(try reader.sum().isNaN)
    #expect(try reader.indices(where: -Double.infinity...5, in: 0..<512) == [300])
    try database.close()
  }

  /// Pages that a filter or a sum need not look at are not decompressed: here they can't be.
  @Test func pagesAreSkipped() throws {
    let vector = try CompressedVector<UInt64>.open("v", in: database, options: smallPages)
    vector.append(contentsOf: 0..<2560)
    try vector.write()
    let list = vector.access.list.id
    for page in 0..<10 where page != 4 {
      let tree = RecordTree(access: database.access(to: .vectorRecords))
      try tree.insert(VectorKey.make(list, .page, page), [0])
    }
    let reader = try vector.reader()
    #expect(try reader.indices(where: 1100...1102) == [1100, 1101, 1102])
    // All of the pages before the fourth lie in these bounds.
    #expect(try reader.indices(where: 0...1030) == Array(0...1030))
    #expect(try reader.indices(where: 1100..., in: 1024..<2560) == Array(1100..<2560))
    #expect(try reader.sum() == 2559 * 2560 / 2)
    #expect(try reader.sum(in: 1024..<2560) == (1024 + 2559) * 1536 / 2)
    #expect(try reader.max() == 2559)
    #expect(errorCode { _ = try reader.sum(in: 1..<2560) } == .corrupted)
    #expect(errorCode { _ = try reader.elements() } == .corrupted)
    #expect(try reader.element(at: 1200) == 1200)
    try database.close()
  }

  /// Bounds that a type of somebody else's says: everything but one number.
  private struct AllBut: RangeExpression {
    var left: Double
    func contains(_ element: Double) -> Bool { element != left }
    func relative<C: Collection>(to collection: C) -> Range<Double> where C.Index == Double {
      collection.startIndex..<collection.endIndex
    }
  }

  /// Of pages that lie in the bounds as a whole, holes, NaN and what has changed are left out.
  @Test func wholePagesHaveExceptions() throws {
    let vector = try CompressedVector<Double>.open("v", in: database, options: smallPages)
    var numbers = (0..<1024).map { Double($0) }
    numbers[300] = .nan
    vector.append(contentsOf: numbers)
    try vector.write()
    let expected = Array(0..<300) + Array(301..<1024)
    #expect(try vector.reader().indices(where: 0..<1024) == expected)
    #expect(try vector.reader().indices(where: 0...) == expected)
    #expect(try vector.reader().indices(where: ...1023) == expected)
    #expect(try vector.reader().indices(where: ..<1023) == expected.dropLast())
    let part = try vector.reader().indices(where: 0...1023, in: 250..<700)
    #expect(part == Array(expected[250..<699]))
    let allBut = AllBut(left: 600)
    #expect(
      try vector.reader().indices(where: allBut) == (0..<1024).filter { $0 != 600 })
    try vector.take(at: 10)
    try vector.update(at: 900, -1)
    try vector.write()
    #expect(
      try vector.reader().indices(where: 0...1023) == expected.filter { $0 != 10 && $0 != 900 })
    try database.close()
  }
}
