import TestSupport
import Testing

@testable import BTreeKV
@testable import Pager
@testable import Regions

/// Names and chunks that no region has: errors, without a trap and without all memory.
@Suite struct HostileRegionTests {
  private func bigEndian(_ number: UInt64) -> [UInt8] {
    withUnsafeBytes(of: number.bigEndian) { Array($0) }
  }

  private func open() throws -> Database {
    try openDatabase(in: MemoryStorage(), hasBackgroundThreads: false)
  }

  private func insert(
    _ key: [UInt8], _ value: [UInt8], into tree: TreeID, of database: Database
  ) throws {
    try key.withBytes { (key) throws(DatabaseError) in
      try value.withBytes { (value) throws(DatabaseError) in
        _ = try database.access(to: tree).insert(key, value, nil)
      }
    }
  }

  /// rule F4.
  @Test(arguments: [
    [], [1], [1, 0, 0, 0, 0, 0, 0], [UInt8](repeating: 0, count: 8),
    [UInt8](repeating: 0xFF, count: 8), [0, 0, 0, 0, 0, 0, 0, 0x40], [1, 0, 0, 0, 0, 0, 0, 0, 0],
  ])
  func numbersThatMakeNoSense(_ record: [UInt8]) throws {
    let database = try open()
    try database.region("good").append("bytes")
    try insert(Array("bad".utf8), record, into: .regions, of: database)
    #expect(errorCode { _ = try database.existingRegion("bad") } == .corrupted)
    #expect(errorCode { _ = try database.region("bad") } == .corrupted)
    #expect(errorCode { _ = try database.removeRegion("bad") } == .corrupted)
    #expect(errorCode { _ = try database.regionNames() } == .corrupted)
    #expect(try database.region("good").readAll() == Array("bytes".utf8))
    let problems = try database.verify().problems
    #expect(problems == ["what the file says of the region \"bad\" makes no sense"])
    try database.close()
  }

  /// rule F4.
  @Test(arguments: [1, 1 << 20, 1 << 45, 1 << 46, 1 << 47, UInt64.max] as [UInt64])
  func chunksThatMakeNoSense(index: UInt64) throws {
    let database = try open()
    let region = try database.region("bad")
    try region.append("bytes")
    let key = bigEndian(region.access.list.id) + bigEndian(index)
    try insert(key, Array("more".utf8), into: .chunks, of: database)
    // What the writer knows is not what is there now.
    try database.write { transaction in
      try? transaction.savepoint {
        try transaction.insert("undone", "")
        throw TestFailure("undone")
      }
    }
    #expect(errorCode { _ = try region.readAll() } == .corrupted)
    #expect(errorCode { _ = try region.reader() } == .corrupted)
    #expect(errorCode { _ = try region.reader(.copying) } == .corrupted)
    #expect(errorCode { _ = try region.verify() } == .corrupted)
    if index > 1 {
      #expect(errorCode { _ = try region.count } == .corrupted)
      #expect(errorCode { _ = try region.append("x") } == .corrupted)
      #expect(errorCode { _ = try region.truncate(to: 0) } == .corrupted)
    }
    #expect(try !database.verify().isSound)
    #expect(try database.removeRegion("bad"))
    try database.region("bad").append("anew")
    #expect(try database.region("bad").readAll() == Array("anew".utf8))
    try requireSound(database, "afterwards")
    try database.close()
  }

  /// rule F4.
  @Test(arguments: [1, 4, 7] as [Int]) func keysThatMakeNoSense(byteCount: Int) throws {
    let database = try open()
    let region = try database.region("bad")
    let key = bigEndian(region.access.list.id) + [UInt8](repeating: 0, count: byteCount)
    try insert(key, [1], into: .chunks, of: database)
    #expect(errorCode { _ = try region.count } == .corrupted)
    #expect(errorCode { _ = try region.readAll() } == .corrupted)
    #expect(try database.verify().problems == ["a key in the tree of chunks makes no sense"])
    #expect(try database.removeRegion("bad"))
    try database.close()
  }

  @Test func verifyFindsWhatIsMissing() throws {
    let database = try open()
    for name in ["a", "b", "c"] {
      try database.region(name).append([UInt8](repeating: 1, count: 200_000))
    }
    try requireSound(database, "before")
    let ids = try ["a", "b", "c"].map {
      try #require(try database.existingRegion($0)).access.list.id
    }
    func remove(_ key: [UInt8], from tree: TreeID) throws {
      try key.withBytes { (key) throws(DatabaseError) in
        _ = try database.access(to: tree).remove(key, nil)
      }
    }
    try remove(bigEndian(ids[0]) + bigEndian(1), from: .chunks)
    #expect(
      try database.verify().problems == [
        "bytes are missing in front of chunk 2 of region \(ids[0])"
      ])
    #expect(try database.removeRegion("a"))
    try requireSound(database, "without a")
    try remove(Array("b".utf8), from: .regions)
    #expect(try database.verify().problems == ["region \(ids[1]) has no name"])
    let record = withUnsafeBytes(of: ids[2].littleEndian) { Array($0) }
    try insert(Array("d".utf8), record, into: .regions, of: database)
    #expect(
      try database.verify().problems == [
        "region \(ids[2]) has two names, \"d\" is one", "region \(ids[1]) has no name",
      ])
    try remove(Array("c".utf8), from: .regions)
    try remove(bigEndian(ids[2]), from: .chunks)
    let problems = try database.verify().problems
    #expect(problems.contains("region \(ids[2]) has chunks but no head"))
    #expect(problems.contains("region \(ids[2]), \"d\", is not in the tree of chunks"))
    try database.close()
  }
}
