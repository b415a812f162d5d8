import Foundation
import TestSupport
import Testing

@testable import BTreeKV
@testable import Pager
@testable import Regions

/// What salvage leaves of regions.
@Suite struct RegionSalvageTests {
  private static let chunk = 64 << 10
  private static let page = 4096

  /// A file with regions, and where they lie in it.
  private struct Image {
    var bytes: [UInt8] = []
    var model: [String: [UInt8]] = [:]
    var ids: [String: UInt64] = [:]
    /// Where the chunks of a region lie; nil: in the leaf.
    var chunks: [String: [Extent?]] = [:]
    /// The leaf of names.
    var nameLeaf = 0
    /// All pages of the tree of chunks.
    var chunkTreePages: [Int] = []

    /// - Parameter isClosed: whether there is no log.
    init(seed: UInt64, isClosed: Bool) throws {
      var random = SeededRandom(seed: seed)
      let storage = try MemoryStorage()
      var options = Database.Options()
      options.pageSize = RegionSalvageTests.page
      let database = try openDatabase(in: storage, options, hasBackgroundThreads: false)
      try database.insert("other", "value")
      for (name, count) in [
        ("empty", 0), ("few", 7), ("inline", 700), ("pages", 30_000), ("one", 65_536),
        ("many", 400_000), ("more", 65_536 * 3),
      ] {
        model[name] = random.bytes(count)
        try database.region(name).append(model[name] ?? [])
      }
      try database.region("gone").append(random.bytes(200_000))
      try database.checkpoint()
      // What only the log has, if the file is not closed.
      for round in 0..<300 {
        let name = ["few", "pages", "many"][round % 3]
        let bytes = random.bytes(random.below(300))
        try database.region(name).append(bytes)
        model[name, default: []] += bytes
      }
      try database.region("more").truncate(to: 100_000)
      model["more"]?.removeLast(65_536 * 3 - 100_000)
      try database.region("late").append(random.bytes(0) + Array("late".utf8))
      model["late"] = Array("late".utf8)
      try database.region("one").write([1, 2, 3], at: 9)
      model["one"]?.replaceSubrange(9..<12, with: [1, 2, 3])
      try database.removeRegion("gone")
      try find(database)
      if isClosed {
        try database.close()
        bytes = storage.copyOfContents()
        let again = try openDatabase(
          in: MemoryStorage(contents: bytes), hasBackgroundThreads: false)
        try find(again)
        again.pager.abandon()
      } else {
        bytes = storage.copyOfContents()
        database.pager.abandon()
      }
    }

    private mutating func find(_ database: Database) throws {
      chunkTreePages = []
      var budget = PageBudget(database.pager)
      for id in [TreeID.chunks, .regions] {
        let tree = database.engine.tree(of: id)
        let root = tree.descriptor.writerRoot
        if id == .regions { nameLeaf = Int(root.page.id.rawValue) }
        guard id == .chunks else { continue }
        try tree.forEachPage(of: root, &budget) { node, level in
          if level == 0 { chunkTreePages.append(Int(node.id.rawValue)) }
        }
      }
      for (name, content) in model {
        let region = try #require(try database.existingRegion(name))
        let list = region.access.list
        ids[name] = list.id
        let count = (content.count + RegionSalvageTests.chunk - 1) / RegionSalvageTests.chunk
        var extents: [Extent?] = []
        try list.tree.forEachChunk(of: list.id, 0..<count, root: list.tree.descriptor.writerRoot) {
          chunk, _ in extents.append(chunk.extent)
        }
        chunks[name] = extents
      }
    }

    mutating func damage(page: Int) {
      let start = page * RegionSalvageTests.page
      for index in start..<start + 64 { bytes[index] ^= 0x55 }
    }
  }

  /// Salvages, and gives the regions of the new file.
  private func salvaged(
    _ bytes: [UInt8], _ context: String
  ) throws -> (report: SalvageReport, regions: [String: [UInt8]]) {
    let new = try MemoryStorage()
    let report = try Database.salvage(from: MemoryStorage(contents: bytes), into: new)
    let database = try openDatabase(in: new.reopen(), hasBackgroundThreads: false)
    try requireSound(database, context)
    var regions: [String: [UInt8]] = [:]
    for name in try database.regionNames() {
      regions[name] = try database.existingRegion(name)?.readAll()
    }
    try require(report.regionCount == regions.count, "\(context): wrong number of regions")
    let byteCount = regions.values.reduce(0) { $0 + $1.count }
    try require(report.regionByteCount == byteCount, "\(context): wrong number of bytes")
    // They grow as regions do.
    for name in regions.keys.prefix(1) { try database.region(name).append("more") }
    try database.close()
    return (report, regions)
  }

  @Test(arguments: [false, true]) func intactRegionsAreWhole(isClosed: Bool) throws {
    let image = try Image(seed: runSeed, isClosed: isClosed)
    let (report, regions) = try salvaged(image.bytes, "seed \(runSeed)")
    #expect(report.losses == [])
    #expect(report.entryCount == 1 && report.treeCount == 0)
    #expect(Set(regions.keys) == Set(image.model.keys))
    for (name, bytes) in image.model {
      let isEqual = regions[name] == bytes
      #expect(isEqual, "seed \(runSeed): region \(name)")
    }
  }

  @Test(arguments: [false, true]) func whatFollowsDamageIsKept(isClosed: Bool) throws {
    let image = try Image(seed: runSeed, isClosed: isClosed)
    let content = try #require(image.model["many"])
    let extents = try #require(image.chunks["many"])
    for (index, extent) in extents.enumerated() {
      var damaged = image
      damaged.damage(page: Int(try #require(extent).first.rawValue))
      let (report, regions) = try salvaged(damaged.bytes, "seed \(runSeed), chunk \(index)")
      #expect(report.damagedValueCount == 1 && report.lossCount == 1)
      #expect(report.losses.first?.contains("\"many\"") == true, "\(report.losses)")
      let start = index * Self.chunk
      let next = min(content.count, start + Self.chunk)
      #expect(regions["many"] == Array(content[..<start]))
      #expect(regions["many~\(next)"] == (next < content.count ? Array(content[next...]) : nil))
      #expect(regions.count == image.model.count + (next < content.count ? 1 : 0))
      for (name, bytes) in image.model where name != "many" { #expect(regions[name] == bytes) }
    }
  }

  @Test func namesThatAreLost() throws {
    var image = try Image(seed: runSeed, isClosed: true)
    image.damage(page: image.nameLeaf)
    let (report, regions) = try salvaged(image.bytes, "seed \(runSeed)")
    // The page, and each name.
    #expect(report.lossCount == 1 + image.model.count)
    for (name, bytes) in image.model {
      let id = try #require(image.ids[name])
      #expect(regions["salvaged-region-\(id)"] == bytes, "\(name)")
    }
    #expect(regions.count == image.model.count)
  }

  @Test func namesThatAreTaken() throws {
    let storage = try MemoryStorage()
    var options = Database.Options()
    options.pageSize = Self.page
    let database = try openDatabase(in: storage, options, hasBackgroundThreads: false)
    let long = String(repeating: "é", count: 127)
    let content = [UInt8](repeating: 3, count: 3 * Self.chunk)
    var damaged: [Int] = []
    for name in ["a", long] {
      let region = try database.region(name)
      try region.append(content)
      let list = region.access.list
      try list.tree.forEachChunk(of: list.id, 1..<2, root: nil) { chunk, _ in
        damaged.append(Int(chunk.extent?.first.rawValue ?? 0))
      }
    }
    try database.region("a~131072").append("taken")
    try database.close()
    var bytes = storage.copyOfContents()
    for page in damaged { bytes[page * Self.page] ^= 1 }
    let (report, regions) = try salvaged(bytes, "names")
    let part = Array(content[(2 * Self.chunk)...])
    #expect(regions["a"] == Array(content[..<Self.chunk]))
    #expect(regions["a~131072"] == Array("taken".utf8))
    #expect(regions["a~131072-2"] == part)
    #expect(regions[long] == Array(content[..<Self.chunk]))
    #expect(regions.count == 5)
    #expect(regions.keys.allSatisfy { $0.utf8.count <= 255 })
    // Two chunks, and two names that could not be had.
    #expect(report.lossCount == 4, "\(report.losses)")
  }

  /// Where the root of the tree of chunks is gone, its leaves are known by what they hold.
  @Test func leavesWithoutARoot() throws {
    var random = SeededRandom(seed: runSeed)
    let storage = try MemoryStorage()
    var options = Database.Options()
    options.pageSize = Self.page
    let database = try openDatabase(in: storage, options, hasBackgroundThreads: false)
    // Keys and values that are like those of chunks, of a region that is not there.
    let pairs = try database.tree("pairs", of: CompositeKey<UInt64, UInt64>.self, [UInt8].self)
    for index in 0..<200 as Range<UInt64> {
      try pairs.insert(CompositeKey(1000, index), random.bytes(2000))
    }
    var model: [String: [UInt8]] = [:]
    for name in ["a", "b", "c"] {
      model[name] = random.bytes(60 * Self.chunk + random.below(1000))
      try database.region(name).append(model[name] ?? [])
    }
    try database.checkpoint()
    try database.close()
    var bytes = storage.copyOfContents()
    let file = try DamagedFile(MemoryStorage(contents: bytes), identifier: nil)
    var count = 0
    for tree in try #require(file.trees()) where tree.root.height == 2 {
      count += 1
      let start = Int(tree.root.page.id.rawValue) * Self.page
      for index in start..<start + 64 { bytes[index] ^= 0x55 }
    }
    #expect(count == 2)
    let (report, regions) = try salvaged(bytes, "seed \(runSeed)")
    #expect(report.lossCount == 2, "\(report.losses)")
    #expect(regions.count == 3)
    for (name, bytes) in model {
      let isEqual = regions[name] == bytes
      #expect(isEqual, "seed \(runSeed): region \(name)")
    }
    // The empty tree keeps its name.
    #expect(report.salvagedCount == 200 && report.entryCount == 200 && report.treeCount == 2)
  }

  /// Pages of trees and of chunks, damaged at random: every byte that is found is the right one.
  @Test(arguments: 1...6 as ClosedRange<UInt64>) func damagedPages(seed: UInt64) throws {
    var random = SeededRandom(seed: seed &* 31 &+ runSeed)
    let image = try Image(seed: seed, isClosed: seed % 2 == 0)
    let extents = image.chunks.values.flatMap { $0 }.compactMap { $0 }
    for round in 0..<4 {
      var damaged = image
      var pages: Set<Int> = []
      for _ in 0..<random.number(in: 1...3) {
        let extent = extents[random.below(extents.count)]
        let isTree = seed % 2 == 0 && random.chance(30)
        pages.insert(
          isTree
            ? image.chunkTreePages[random.below(image.chunkTreePages.count)]
            : Int(extent.first.rawValue))
      }
      for page in pages { damaged.damage(page: page) }
      let context = "seed \(seed) round \(round) pages \(pages.sorted())"
      let (report, regions) = try salvaged(damaged.bytes, context)
      #expect(!report.isComplete, "\(context)")
      for (name, bytes) in regions {
        let parts = name.split(separator: "~")
        let start = parts.count > 1 ? Int(parts[1]) ?? 0 : 0
        let whole = try #require(image.model[String(parts[0])], "\(context): region \(name)")
        let isPart = whole.dropFirst(start).starts(with: bytes)
        #expect(isPart, "\(context): region \(name)")
      }
    }
  }
}
