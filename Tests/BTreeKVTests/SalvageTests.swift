import Foundation
import TestSupport
import Testing

@testable import BTreeKV
@testable import Pager

/// What is left of damaged files.
@Suite struct SalvageTests {
  private func expectWhole(_ salvaged: Salvaged, _ expected: SalvageImage.Content) {
    #expect(salvaged.report.losses == [])
    var expected = expected
    expected["empty"] = [:]
    #expect(Set(salvaged.content.keys) == Set(expected.keys))
    for (name, pairs) in expected {
      let isEqual = salvaged.content[name] == pairs
      #expect(isEqual, "the tree \(name) differs")
    }
  }

  @Test func undamagedFileIsWhole() throws {
    for isClosed in [false, true] {
      let image = try SalvageImage(seed: runSeed, isClosed: isClosed)
      let salvaged = try Salvaged(image.bytes)
      expectWhole(salvaged, image.final)
      #expect(salvaged.codings["typed"] == "u64→text")
      #expect(salvaged.report.notes == [])
      #expect(salvaged.report.logRecordCount == (isClosed ? 0 : 301))
      #expect(salvaged.report.salvagedTree == nil)
      #expect(salvaged.report.fileIdentifier == image.identifier)
    }
  }

  @Test func oneSuperblockIsEnough() throws {
    let image = try SalvageImage(seed: runSeed)
    for page in [0, 1] {
      var damaged = image
      damaged.bytes[page * 4096 + 100] ^= 1
      let salvaged = try Salvaged(damaged.bytes)
      expectWhole(salvaged, image.final)
      #expect(salvaged.report.notes.count == 1)
    }
  }

  @Test func freeMapIsNotNeeded() throws {
    let image = try SalvageImage(seed: runSeed)
    var damaged = image
    for index in 2 * 4096..<4 * 4096 { damaged.bytes[index] = 0xAA }
    expectWhole(try Salvaged(damaged.bytes), image.final)
  }

  @Test(arguments: 1...4 as ClosedRange<UInt64>)
  func damagedPages(seed: UInt64) throws {
    var random = SeededRandom(seed: seed &* 31 &+ runSeed)
    let image = try SalvageImage(seed: seed)
    for round in 0..<8 * lengthFactor {
      var damaged = image
      var pages: Set<Int> = []
      for _ in 0..<1 + random.below(4) {
        let roots = image.leaves.map { $0.path[0] }
        let page =
          switch random.below(8) {
          case 0: roots[random.below(roots.count)]
          case 1: image.extents[random.below(image.extents.count)]
          case 2: 2 + random.below(image.pageCount - 2)
          default: image.treePages[random.below(image.treePages.count)]
          }
        pages.insert(page)
        damaged.damage(page: page, &random)
      }
      let context = "seed \(seed) round \(round) pages \(pages.sorted())"
      let salvaged = try Salvaged(damaged.bytes, context)
      let hasTable = !pages.contains(image.extents[0])
      try image.requireSalvaged(salvaged, pages, hasLog: true, isKnown: hasTable, context)
      let isHarmed = !pages.isDisjoint(with: image.treePages)
      #expect(!isHarmed || !salvaged.report.isComplete, "\(context)")
    }
  }

  @Test func bothSuperblocksAreGone() throws {
    var image = try SalvageImage(seed: runSeed)
    for index in 0..<2 * 4096 { image.bytes[index] = 0 }
    let salvaged = try Salvaged(image.bytes)
    #expect(!salvaged.report.isComplete)
    #expect(salvaged.report.fileIdentifier == image.identifier)
    #expect(salvaged.report.salvagedTree == "salvaged")
    // From the segment's beginning: where the checkpoint's cut was is not known.
    #expect(salvaged.report.logRecordCount >= 301)
    try image.requireSalvaged(salvaged, [], hasLog: true, isKnown: false, "no seed")
  }

  @Test func identifierIsNeeded() throws {
    var image = try SalvageImage(seed: runSeed, isClosed: true)
    for offset in stride(from: 0, to: image.bytes.count, by: 4096) {
      let isHeader = image.bytes[offset..<offset + 8].elementsEqual("10GESGOL".utf8)
      if offset < 2 * 4096 || isHeader {
        for index in offset..<offset + 512 { image.bytes[index] = 0 }
      }
    }
    for wrong in [nil, String(repeating: "0a", count: 16)] {
      #expect(errorCode { _ = try Salvaged(image.bytes, identifier: wrong) } == .corrupted)
    }
    let salvaged = try Salvaged(image.bytes, identifier: image.identifier)
    #expect(salvaged.report.pageSize == 4096)
    try image.requireSalvaged(salvaged, [], hasLog: false, isKnown: false, "no seed")
  }

  @Test func damagedLog() throws {
    let image = try SalvageImage(seed: runSeed)
    let block = try Pager.readSuperblock(from: MemoryStorage(contents: image.bytes))
    let log = try #require(block.log)
    let start =
      Int(log.extent.first.rawValue) * 4096 + 1024
      + Int(log.replayFrom.rawValue - log.firstLSN.rawValue)
    var damaged = image
    damaged.bytes[start + 40] ^= 1
    let salvaged = try Salvaged(damaged.bytes)
    #expect(salvaged.report.logRecordCount == 300)
    #expect(salvaged.report.lossCount == 1)
    try image.requireSalvaged(salvaged, [], hasLog: true, "no seed")
    // The header is not needed where the superblock tells of the segment.
    damaged = image
    damaged.bytes[Int(log.extent.first.rawValue) * 4096 + 9] ^= 1
    expectWhole(try Salvaged(damaged.bytes), image.final)
  }

  @Test func cutFile() throws {
    let image = try SalvageImage(seed: runSeed)
    for part in [9, 7, 4, 1] {
      let count = image.bytes.count * part / 10
      let salvaged = try Salvaged(Array(image.bytes[..<count]), "cut to \(count)")
      let gone = Set(count / 4096..<image.pageCount)
      // The end may be log that was not written yet.
      let isHarmed = image.treePages.contains { gone.contains($0) }
      #expect(!isHarmed || !salvaged.report.isComplete)
      try image.requireSalvaged(salvaged, gone, hasLog: true, isKnown: false, "cut to \(count)")
    }
  }

  /// Checksums put right over nonsense: an end without a trap, and a sound new file.
  @Test(arguments: 1...4 as ClosedRange<UInt64>)
  func forgedPages(seed: UInt64) throws {
    var random = SeededRandom(seed: seed &+ runSeed)
    let image = try SalvageImage(seed: seed)
    let pageSeed = try #require(FileIdentifier(image.identifier)).seed
    for round in 0..<10 * lengthFactor {
      var forged = image
      for _ in 0..<1 + random.below(3) {
        let page = random.chance(30) ? 0 : image.treePages[random.below(image.treePages.count)]
        for _ in 0..<1 + random.below(6) {
          let offset = page == 0 ? 24 + random.below(200) : 16 + random.below(600)
          forged.bytes[page * 4096 + offset] = random.chance(50) ? 255 : UInt8(random.below(256))
        }
        forged.bytes.withUnsafeMutableBytes { bytes in
          let start = page * 4096
          if page == 0 {
            let sum = checksum64(UnsafeRawBufferPointer(rebasing: bytes[..<504]), seed: 0)
            bytes.storeBytes(of: sum, toByteOffset: 504, as: UInt64.self)
          } else {
            PageHeader.seal(
              UnsafeMutableRawBufferPointer(rebasing: bytes[start..<start + 4096]), seed: pageSeed)
          }
        }
        if page == 0 { for index in 4096..<8192 { forged.bytes[index] = 0 } }
      }
      do {
        _ = try Salvaged(forged.bytes, "seed \(seed) round \(round)")
      } catch let error as DatabaseError {
        let isExpected = [.corrupted, .unsupportedVersion, .notADatabase].contains(error.code)
        #expect(isExpected, "seed \(seed) round \(round): \(error)")
      }
    }
  }

  @Test func files() throws {
    let folder = try TemporaryFolder()
    let (path, new) = (folder.file("old"), folder.file("new"))
    let salvage = { (identifier: String?) in
      try Database.salvage(from: path, to: new, identifier: identifier)
    }
    #expect(errorCode { _ = try salvage(nil) } == .notFound)
    let others: [[UInt8]] = [
      [], [1], [UInt8](repeating: 0, count: 70_000),
      Array(String(repeating: "text ", count: 9999).utf8),
    ]
    for other in others {
      try Data(other).write(to: URL(filePath: path))
      #expect(errorCode { _ = try salvage(nil) } == .notADatabase, "\(other.count)")
      #expect(errorCode { _ = try salvage("7") } == .invalidArgument)
      #expect(!FileManager.default.fileExists(atPath: new))
    }
    let image = try SalvageImage(seed: runSeed, isClosed: true)
    try Data(image.bytes).write(to: URL(filePath: path))
    var last = SalvageProgress()
    let report = try Database.salvage(from: path, to: new) { last = $0 }
    #expect(report.isComplete)
    #expect(last.pagesRead == last.pagesTotal && last.pagesTotal == image.pageCount)
    #expect(try Data(contentsOf: URL(filePath: path)) == Data(image.bytes))
    #expect(errorCode { _ = try salvage(nil) } == .alreadyExists)
    let database = try Database.open(new)
    try requireSound(database, "no seed")
    #expect(errorCode { _ = try Database.salvage(from: new, to: path + "2") } == .busy)
    try database.close()
  }
}
