import BTreeKV
import Pager
import TestSupport
import Testing

@testable import Vectors

/// What the file says of computed columns, whoever asks.
@Suite struct ComputationDescriptionTests {
  private let database: Database

  init() throws { database = try openDatabase(in: try MemoryStorage()) }

  private func vector(_ name: String) throws -> RawVector<Int32> {
    try RawVector<Int32>.open(name, in: database)
  }

  private func told(_ name: String) throws -> ComputationDescription? {
    try told(name, try database.vectors())
  }

  private func told(
    _ name: String, _ vectors: [VectorDescription]
  ) throws -> ComputationDescription? {
    try #require(vectors.first { $0.name == name }).computation
  }

  private func sum(version: UInt32 = 0) throws -> ComputedVector<Int32, RawVector<Int32>> {
    ComputedVector(
      try vector("sum"), from: try vector("a"), try vector("b"), by: .addition, version: version)
  }

  @Test func itFollowsTheSources() throws {
    try vector("a").write(appending: [1, 2, 3])
    try vector("b").write(appending: [10, 20, 30, 40])
    let sum = try sum(version: 4)
    #expect(try told("sum") == nil && told("a") == nil)
    try sum.update()
    let first = try #require(try told("sum"))
    #expect(first.rule == sum.rule && first.version == 4 && first.sources == ["a", "b"])
    #expect(first.isUpToDate && first.rightCount == 3)
    #expect(try told("a") == nil && told("b") == nil)
    // Longer where that does not count, and where it does.
    try vector("b").write(appending: [50])
    #expect(try told("sum") == first)
    try vector("a").write(appending: [4])
    #expect(try told("sum")?.isUpToDate == false)
    #expect(try told("sum")?.rightCount == 3)
    try sum.update()
    let snapshot = try database.snapshot()
    let b = try vector("b")
    try b.update(at: 1, 0)
    try b.write()
    #expect(try told("sum")?.rightCount == 1)
    #expect(try told("sum", snapshot.vectors())?.rightCount == 4)
    #expect(try told("sum", snapshot.vectors())?.isUpToDate == true)
    try database.write { transaction in
      #expect(try told("sum", transaction.vectors())?.isUpToDate == false)
      try sum.update(in: transaction)
      #expect(try told("sum", transaction.vectors())?.isUpToDate == true)
    }
    // What somebody else writes to the column was not computed.
    let elements = try vector("sum")
    try elements.update(at: 2, 7)
    try elements.write()
    #expect(try told("sum")?.rightCount == 2)
    try sum.update()
    try elements.write(appending: [7])
    #expect(try told("sum")?.isUpToDate == false)
    #expect(try told("sum")?.rightCount == 4)
    try sum.update()
    #expect(try told("sum")?.isUpToDate == true)
    try database.close()
  }

  @Test func sourcesAreCalledWhatTheyAreCalledNow() throws {
    try vector("a").write(appending: [1, 2])
    try vector("b").write(appending: [3, 4])
    try sum().update()
    try database.renameVector("a", to: "z")
    try database.renameVector("sum", to: "total")
    let renamed = try #require(try told("total"))
    #expect(renamed.sources == ["z", "b"] && renamed.isUpToDate)
    // One that has the name later is another one.
    try database.removeVector("b")
    try vector("b").write(appending: [3, 4])
    let gone = try #require(try told("total"))
    #expect(gone.sources == ["z", nil] && !gone.isUpToDate && gone.rightCount == 0)
    #expect(gone.rule == renamed.rule)
    try database.close()
  }
}
