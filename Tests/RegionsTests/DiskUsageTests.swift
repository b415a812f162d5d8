import BTreeKV
import Pager
import Regions
import TestSupport
import Testing

/// What the statistics say of the room that regions take.
@Suite struct DiskUsageTests {
  @Test func reservedPages() throws {
    let folder = try TemporaryFolder()
    let database = try Database.open(folder.file())
    let region = try database.region("log")
    try region.append([UInt8](repeating: 1, count: 1 << 20))
    try region.reserve(8 << 20)
    let usage = try database.diskUsage
    let statistics = try database.statistics()
    #expect(statistics.regionCount == 1)
    #expect(usage.reservedByteCount == region.reservedCount)
    #expect(usage.reservedByteCount == statistics.reservedPageCount * statistics.pageSize)
    #expect(usage.reservedByteCount >= 7 << 20)
    #expect(usage.freeByteCount == statistics.freePageCount * statistics.pageSize)
    #expect(usage.logicalByteCount == statistics.fileByteCount)
    #expect(
      usage.logicalByteCount >= (1 << 20) + usage.reservedByteCount + usage.freeByteCount)
    // Space is really allocated before anything is written to it.
    #expect(usage.allocatedByteCount >= usage.logicalByteCount)
    try region.truncate(to: 0)
    #expect(try database.diskUsage.reservedByteCount == 0)
    #expect(try database.statistics().reservedPageCount == 0)
    try database.close()
    #expect(errorCode { _ = try database.diskUsage } == .closed)
  }

  @Test func pagesThatAreStillMapped() throws {
    let folder = try TemporaryFolder()
    let database = try Database.open(folder.file())
    let count = 1 << 20
    try database.region("log").append([UInt8](repeating: 1, count: count))
    var reader: RegionReader? = try database.existingRegion("log")?.reader()
    #expect(reader?.isCopy == false)
    try database.removeRegion("log")
    try database.checkpoint()
    try database.checkpoint()
    let statistics = try database.statistics()
    #expect(statistics.regionCount == 0)
    #expect(statistics.mappedPageCount * statistics.pageSize == count)
    #expect(reader?.count == count)
    reader = nil
    #expect(try database.statistics().mappedPageCount == 0)
    try database.close()
  }
}
