@testable import BTreeKV
import Foundation
import Pager
import Regions
import TestSupport
import Testing

/// What another store of regions gets wrong, a test for each fault.
@Suite struct RegionPeerTests {
  private func bytes(of reader: RegionReader) -> [UInt8] {
    reader.bytes.withUnsafeBytes { Array($0) }
  }

  private func length(_ path: String) throws -> (byteCount: Int, allocated: Int) {
    var status = stat()
    try require(stat(path, &status) == 0, "stat")
    return (Int(status.st_size), Int(status.st_blocks) * 512)
  }

  /// Space that one handle gives back while another one writes to the region goes to a third region:
  /// the writer's bytes never get there, nor are that one's read through the first.
  @Test func spaceThatIsGivenBackUnderAWriter() throws {
    let database = try openDatabase(in: try MemoryStorage(), tightOptions())
    let regions = try ["a", "b"].map { try database.region($0) }
    let (writers, others) = (TestThreads(), TestThreads())
    let rounds = isUnderThreadSanitizer ? 60 : 200
    for (number, region) in regions.enumerated() {
      // Each writes nothing but its own number.
      writers.start {
        var random = SeededRandom(seed: UInt64(number))
        for _ in 0..<rounds {
          let piece = [UInt8](repeating: UInt8(number + 1), count: 1 + random.below(150_000))
          try region.append(piece)
          // By name, as any handle would.
          let found = try #require(try database.existingRegion(["a", "b"][number])).readAll()
          try require(found.allSatisfy { $0 == UInt8(number + 1) }, "bytes of another region")
        }
      }
    }
    others.start {
      var random = SeededRandom(seed: 9)
      let handles = try ["a", "b"].map { try database.region($0) }
      while !others.mustEnd {
        try handles[random.below(2)].truncate(to: 0)
        try database.checkpoint()
      }
    }
    let result = Result { try writers.wait() }
    others.end()
    try others.wait()
    try result.get()
    try requireSound(database, "afterwards")
    try database.close()
  }

  /// What a region holds does not matter to a compaction: zeros take room that is given back, and
  /// zeros that are left are left.
  @Test func compactionOfZeros() throws {
    let folder = try TemporaryFolder()
    var options = Database.Options()
    options.durability = .flush
    let database = try Database.open(folder.file(), options: options)
    let zeros = [UInt8](repeating: 0, count: 300_000)
    for index in 0..<100 { try database.region("region \(index)").append(zeros) }
    try database.checkpoint()
    let before = try length(folder.file())
    try require(before.allocated >= 30_000_000, "\(before) for 30 MB")
    for index in stride(from: 1, to: 100, by: 2) { try database.removeRegion("region \(index)") }
    try database.compact()
    try database.compact()
    let live = 50 * 5 * 65536
    let after = try length(folder.file())
    #expect(after.byteCount < live * 5 / 4 + (12 << 20), "\(after.byteCount) for \(live)")
    #expect(after.allocated <= after.byteCount + (1 << 20))
    try database.close()
    let closed = try length(folder.file())
    #expect(closed.byteCount < live * 6 / 5 + (1 << 20), "\(closed.byteCount) for \(live)")
    #expect(closed.allocated <= closed.byteCount + (1 << 20))
    let again = try Database.open(folder.file(), options: options)
    for index in stride(from: 0, to: 100, by: 2) {
      let region = try #require(try again.existingRegion("region \(index)"))
      try require(try region.readAll() == zeros, "region \(index)")
    }
    try requireSound(again, "opened again")
    try again.close()
  }

  /// A reader shows what it showed while its region gets other places: by growing out of its first
  /// chunk, by being written over, by compaction; and while others get the places that it had.
  @Test(arguments: [100, 5000, 60_000, 400_000])
  func readersOfRegionsThatMove(byteCount: Int) throws {
    let folder = try TemporaryFolder()
    var options = Database.Options()
    options.durability = .flush
    let database = try Database.open(folder.file(), options: options)
    var random = SeededRandom(seed: UInt64(byteCount))
    for index in 0..<20 { try database.region("front \(index)").append(random.bytes(200_000)) }
    let region = try database.region("moving")
    var model = random.bytes(byteCount)
    try region.append(model)
    var held: [(reader: RegionReader, bytes: [UInt8])] = []
    func hold() throws { held.append((try region.reader(), model)) }
    func check(_ what: String) throws {
      for (number, (reader, bytes)) in held.enumerated() {
        try require(self.bytes(of: reader) == bytes, "\(what): reader \(number) shows other bytes")
      }
      try require(try region.readAll() == model, "\(what): the region")
    }
    try hold()
    for _ in 0..<4 {
      let more = random.bytes(byteCount)
      try region.append(more)
      model += more
      try hold()
      try check("grown")
    }
    let over = random.bytes(byteCount)
    try region.write(over, at: byteCount / 2)
    model.replaceSubrange(byteCount / 2..<byteCount / 2 + byteCount, with: over)
    try hold()
    for index in 0..<20 { try database.removeRegion("front \(index)") }
    let report = try database.compact()
    // The shortest one lies in a leaf.
    #expect(report.movedValueCount > 0 || byteCount == 100, "nothing has moved")
    try hold()
    try check("compacted")
    for round in 0..<3 {
      try database.region("later \(round)").append(random.bytes(2_000_000))
      try database.checkpoint()
      try check("beside others")
    }
    try database.close()
    try checkClosed(held)
  }

  /// Once the database is closed, held readers still show what they did.
  private func checkClosed(_ held: [(reader: RegionReader, bytes: [UInt8])]) throws {
    for (reader, bytes) in held { try require(self.bytes(of: reader) == bytes, "after closing") }
  }

  /// Who holds a reader, or a snapshot, may grow and cut the same region in the same thread.
  @Test func growingWhileHoldingAReader() throws {
    let folder = try TemporaryFolder()
    let database = try Database.open(folder.file())
    let region = try database.region("region")
    try region.append([1, 2, 3])
    let reader = try region.reader()
    try database.read { snapshot in
      let seen = try #require(try snapshot.region("region")).reader()
      try region.append([UInt8](repeating: 4, count: 3_000_000))
      try region.reserve(5_000_000)
      try region.write([9], at: 0)
      try database.write { transaction in
        let inside = region.access(in: transaction)
        let copy = try inside.reader()
        try inside.append([UInt8](repeating: 5, count: 200_000))
        try inside.truncate(to: 2)
        try require(copy.count == 3_000_003, "in the transaction")
      }
      try region.truncate(to: 0)
      try database.compact()
      #expect(bytes(of: seen) == [1, 2, 3])
    }
    #expect(bytes(of: reader) == [1, 2, 3])
    #expect(try region.count == 0)
    try database.close()
  }

  /// A region without bytes is there after reopening: one that never had any, one that was cut, and
  /// one that was renamed; also when the process dies.
  @Test(arguments: [true, false])
  func emptyRegionsStay(isClosed: Bool) throws {
    let folder = try TemporaryFolder()
    var options = Database.Options()
    options.durability = .flush
    let database = try Database.open(folder.file(), options: options)
    _ = try database.region("never")
    let cut = try database.region("cut")
    try cut.append([UInt8](repeating: 1, count: 200_000))
    try cut.truncate(to: 0)
    _ = try database.region("old")
    try database.renameRegion("old", to: "renamed")
    if isClosed { try database.close() } else { database.abandon() }
    for _ in 0..<2 {
      let again = try Database.open(folder.file(), options: options)
      #expect(try again.regionNames() == ["cut", "never", "renamed"])
      for name in try again.regionNames() {
        #expect(try again.existingRegion(name)?.readAll() == [])
      }
      try requireSound(again, "opened again")
      try again.close()
    }
    let last = try Database.open(folder.file(), options: options)
    try last.region("never").append([7])
    #expect(try last.region("never").readAll() == [7])
    try last.close()
  }

  /// What a truncation gives back is for others, and the closed file is as short as what it holds.
  @Test func truncationGivesRoomBack() throws {
    let folder = try TemporaryFolder()
    var options = Database.Options()
    options.durability = .flush
    let database = try Database.open(folder.file(), options: options)
    let region = try database.region("region")
    try region.append([UInt8](repeating: 1, count: 20_000_000))
    try region.reserve(40_000_000)
    try region.truncate(to: 10)
    #expect(region.reservedCount == 0)
    #expect(try database.diskUsage.reservedByteCount == 0)
    for _ in 0..<2 {
      try database.insert("key", "value")
      try database.checkpoint()
    }
    let before = try length(folder.file()).byteCount
    try database.region("other").append([UInt8](repeating: 2, count: 15_000_000))
    #expect(try length(folder.file()).byteCount <= before)
    try database.removeRegion("other")
    try database.close()
    let closed = try length(folder.file())
    #expect(closed.byteCount < 1 << 20, "\(closed.byteCount) bytes for 10")
  }
}
