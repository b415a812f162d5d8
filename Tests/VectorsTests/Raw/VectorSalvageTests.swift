@testable import BTreeKV
import Pager
import TestSupport
import Testing

@testable import Vectors

/// What salvage leaves of vectors.
@Suite struct VectorSalvageTests {
  private static let count = 50_000

  /// A file with a vector that has everything, and where its chunks lie.
  private func image(isClosed: Bool) throws -> (bytes: [UInt8], chunks: [Extent]) {
    let storage = try MemoryStorage()
    var options = Database.Options()
    options.pageSize = 4096
    let database = try openDatabase(in: storage, options, hasBackgroundThreads: false)
    try RawVector<UInt8>.open("gone", in: database).write(appending: [1, 2, 3])
    try database.removeVector("gone")
    let vector = try RawVector<UInt64>.open("v", in: database, version: 4)
    vector.append(contentsOf: 0..<UInt64(Self.count))
    try vector.commit(stamp: 1)
    try database.checkpoint()
    for index in [3, 20_000, 49_999] { try vector.update(at: index, 7) }
    try vector.take(at: 5)
    try vector.commit(stamp: 2)
    _ = try RawVector<Bool>.open("empty", in: database)
    var chunks: [Extent] = []
    let list = vector.access.list
    try list.tree.forEachChunk(of: list.id, 0..<7, root: list.tree.descriptor.writerRoot) {
      chunk, _ in
      if let extent = chunk.extent { chunks.append(extent) }
    }
    if isClosed {
      try database.close()
    } else {
      try database.waitUntilDurable()
      database.abandon()
    }
    return (storage.copyOfContents(), chunks)
  }

  private func salvaged(_ bytes: [UInt8]) throws -> (report: SalvageReport, database: Database) {
    let new = try MemoryStorage()
    let report = try Database.salvage(from: MemoryStorage(contents: bytes), into: new)
    let database = try openDatabase(in: new.reopen(), hasBackgroundThreads: false)
    try requireSound(database, "the new file")
    return (report, database)
  }

  @Test(arguments: [false, true]) func intactVectorsAreWhole(isClosed: Bool) throws {
    let (report, database) = try salvaged(image(isClosed: isClosed).bytes)
    #expect(report.losses == [] && report.regionCount == 0 && report.treeCount == 0)
    #expect(try database.vectors().map(\.name) == ["empty", "v"])
    let vector = try RawVector<UInt64>.open("v", in: database, version: 4)
    try vector.verify()
    var expected = Array(0..<UInt64(Self.count))
    for index in [3, 20_000, 49_999] { expected[index] = 7 }
    #expect(try Array(vector.reader()) == expected)
    #expect(try vector.holes == [5] && vector.stamps == [1, 2])
    try vector.rollback()
    #expect(try Array(vector.reader()) == Array(0..<UInt64(Self.count)) && vector.holes.isEmpty)
    try database.close()
  }

  @Test(arguments: [false, true]) func damagedVectorsEnd(isClosed: Bool) throws {
    let (bytes, chunks) = try image(isClosed: isClosed)
    try #require(chunks.count == 7)
    for (number, extent) in chunks.enumerated() {
      var damaged = bytes
      damaged[Int(extent.first.rawValue) * 4096 + 100] ^= 1
      let (report, database) = try salvaged(damaged)
      #expect(!report.isComplete && report.damagedValueCount == 1)
      let vector = try RawVector<UInt64>.open("v", in: database, version: 4)
      try vector.verify()
      #expect(try Array(vector.reader()) == Array(0..<UInt64(number * 8192)), "chunk \(number)")
      #expect(try vector.stamps.isEmpty && vector.holes.isEmpty)
      let rest = max(0, Self.count - (number + 1) * 8192) * 8
      #expect(report.regionByteCount == rest && report.regionCount == (rest > 0 ? 1 : 0))
      vector.append(9)
      try vector.write()
      #expect(try vector.element(at: number * 8192) == 9)
      try database.close()
    }
  }
}
