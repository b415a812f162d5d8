@testable import BTreeKV
import Pager
import Regions
import TestSupport
import Testing

/// Single rules of regions.
@Suite struct RegionRuleTests {
  private func code(_ body: () throws -> Void) -> DatabaseError.Code? {
    do { try body() } catch { return (error as? DatabaseError)?.code }
    return nil
  }

  /// A number is not used again, also when the highest one is removed before any other is made: the
  /// handle of the removed region would lead to the new one.
  @Test func handleOfARemovedRegionStaysOne() throws {
    let storage = try MemoryStorage()
    let first = try openDatabase(in: storage.reopen())
    try first.region("old").append([1, 2, 3])
    try first.close()
    let database = try openDatabase(in: storage.reopen())
    let old = try #require(try database.existingRegion("old"))
    try database.removeRegion("old")
    try database.region("new").append([4])
    #expect(code { _ = try old.readAll() } == .notFound)
    #expect(code { try old.append([5]) } == .notFound)
    #expect(try database.region("new").readAll() == [4])
    try database.close()
  }

  /// The largest and the smallest numbers are no places in a region.
  @Test func absurdOffsetsAreRefused() throws {
    let database = try openDatabase(in: try MemoryStorage())
    let region = try database.region("a")
    try region.append([1, 2, 3])
    for offset in [Int.max, Int.max - 1, 4, -1, Int.min] {
      #expect(code { try region.write([9, 9], at: offset) } == .invalidArgument)
      #expect(code { try region.write([(offset, [9, 9])]) } == .invalidArgument)
      #expect(code { try region.truncate(to: offset) } == .invalidArgument)
    }
    try region.reserve(Int.min)
    #expect(code { try region.reserve(Int.max) } == .invalidArgument)
    #expect(try region.readAll() == [1, 2, 3])
    try database.close()
  }

  /// What is reserved is given back when the region is truncated, removed, or used by nobody; a
  /// transaction that comes to nothing leaves no pages behind.
  @Test func reservationsAreGivenBack() throws {
    let storage = try MemoryStorage()
    let database = try openDatabase(in: storage.reopen())
    let region = try database.region("a")
    func reserved() -> Int { database.pager.kept.pageCounts.reserved }
    try region.append([UInt8](repeating: 1, count: 70_000))
    try region.reserve(1 << 20)
    #expect(reserved() > 200 && region.reservedCount == reserved() * 4096)
    try region.truncate(to: 69_000)
    #expect(reserved() == 0)
    struct Refusal: Error {}
    do {
      try database.write { transaction in
        try region.access(in: transaction).append([UInt8](repeating: 2, count: 400_000))
        throw Refusal()
      }
    } catch is Refusal {}
    try requireSound(database, "after the rollback")
    try region.reserve(1 << 20)
    try database.removeRegion("a")
    #expect(reserved() == 0)
    try database.region("b").reserve(1 << 20)
    #expect(reserved() == 0, "nobody has a handle")
    let last = try database.region("b")
    try last.reserve(1 << 20)
    #expect(reserved() > 0)
    try requireSound(database, "with a reservation")
    try database.close()
    #expect(reserved() == 0)
    let bytes = storage.reopen().copyOfContents().count
    #expect(bytes < 1 << 20, "\(bytes) bytes are left of almost nothing")
  }

  /// rule C1: readers that come after bytes in force got other places see the new ones, also where one
  /// mapping serves many readers; those from before see the old ones.
  @Test func readersBeforeAndAfterAChange() throws {
    struct Refusal: Error {}
    let folder = try TemporaryFolder()
    let database = try Database.open(folder.file())
    let region = try database.region("region")
    var bytes = [UInt8](repeating: 1, count: 200_000)
    try region.append(bytes)
    var readers: [(reader: RegionReader, bytes: [UInt8])] = []
    func compare(_ what: String) throws {
      readers.append((try region.reader(), bytes))
      for (index, (reader, bytes)) in readers.enumerated() {
        let span = reader.bytes
        let found = span.withUnsafeBytes { Array($0) }
        #expect(equalBytes(found, bytes), "\(what): reader \(index)")
      }
    }
    try compare("at first")
    try region.append([UInt8](repeating: 2, count: 1000))
    bytes += [UInt8](repeating: 2, count: 1000)
    try compare("appended")
    try region.write([UInt8](repeating: 3, count: 500), at: 70_000)
    bytes.replaceSubrange(70_000..<70_500, with: [UInt8](repeating: 3, count: 500))
    try compare("written over")
    try? database.write { transaction in
      try region.access(in: transaction).write([4], at: 70_000)
      throw Refusal()
    }
    try compare("undone")
    try region.truncate(to: 100_000, andAppend: [UInt8](repeating: 5, count: 90_000))
    bytes = bytes.prefix(100_000) + [UInt8](repeating: 5, count: 90_000)
    try compare("cut")
    readers = []
    try requireSound(database, "afterwards")
    try database.close()
  }
}
