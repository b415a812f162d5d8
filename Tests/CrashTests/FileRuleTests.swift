import CrashSupport
import Foundation
import Testing

@testable import BTreeKV
@testable import Pager

/// Rules about space, creation, closing and bounds.
@Suite struct FileRuleTests {
  /// rule C3, A4: a value's pages that the log still names are not reused before a checkpoint.
  @Test func namedPagesAreNotReused() throws {
    let storage = try RecordingStorage()
    let database = try Database.open(
      storage: storage, options: LogImage.options(.sync), hasBackgroundThreads: false)
    var pages: [Range<Int>] = []
    for round in 0..<6 {
      let before = storage.recorder.eventCount
      try database.insert("large", [UInt8](repeating: UInt8(round), count: 40_000))
      for event in storage.recorder.events[before...] {
        guard case .write(let offset, let bytes) = event, bytes.count == 40_000 else { continue }
        let range = offset..<offset + bytes.count
        #expect(!pages.contains { $0.overlaps(range) }, "round \(round)")
        pages.append(range)
      }
      if round % 2 == 1 { try database.remove("large") }
    }
    #expect(pages.count == 6)
    let byteCount = try storage.byteCount()
    try database.checkpoint()
    try database.checkpoint()
    for _ in 0..<6 { try database.insert("large", [UInt8](repeating: 9, count: 40_000)) }
    #expect(try storage.byteCount() == byteCount, "the pages are free after the checkpoint")
    #expect(try database.verify().problems == [])
  }

  /// rule C9: a file of zeros was never created; each opening jumps to new epochs.
  @Test func zerosAreNoFileAndEpochsJump() throws {
    for count in [0, 1, 4096, 8192, 16 * 4096] {
      let storage = try MemoryStorage(contents: [UInt8](repeating: 0, count: count))
      let database = try Database.open(
        storage: storage, options: LogImage.options(.sync), hasBackgroundThreads: false)
      #expect(database.isEmpty, "\(count) zeros")
      try database.close()
    }
    var contents: [UInt8] = []
    var last: UInt64 = 0
    var jumps = Set<UInt64>()
    for _ in 0..<5 {
      let storage = try MemoryStorage(contents: contents)
      let database = try Database.open(
        storage: storage, options: LogImage.options(.sync), hasBackgroundThreads: false)
      let epoch = database.pager.published.pointee.epoch.rawValue
      #expect(epoch > last)
      jumps.insert(epoch &- last)
      try database.insert("key", "value")
      try database.checkpoint()
      last = database.pager.published.pointee.epoch.rawValue
      contents = storage.copyOfContents()
      database.pager.abandon()
    }
    #expect(jumps.count == 5)
  }

  /// rule F6: closing after everything was removed leaves a few pages.
  @Test(arguments: Database.Durability.allCases)
  func closeCutsTheFile(durability: Database.Durability) throws {
    let storage = try MemoryStorage()
    let database = try Database.open(
      storage: storage, options: LogImage.options(durability), hasBackgroundThreads: false)
    for number in 0..<1500 {
      try database.insert(
        "key \(number)", [UInt8](repeating: 1, count: number % 50 == 0 ? 9000 : 300))
    }
    for number in 0..<1500 { try database.remove("key \(number)") }
    #expect(database.isEmpty)
    try database.close()
    let again = storage.reopen()
    #expect(try again.byteCount() <= 16 * 4096)
    let reopened = try Database.open(
      storage: again, options: LogImage.options(durability), hasBackgroundThreads: false)
    #expect(reopened.isEmpty)
    #expect(try reopened.verify().problems == [])
  }

  /// rule B8: a writer that is faster than checkpoints is held back, so the log stays bounded.
  @Test(arguments: [Database.Durability.sync, .flush])
  func logStaysBounded(durability: Database.Durability) throws {
    var options = LogImage.options(durability)
    options.checkpointThresholdByteCount = 64 << 10
    let database = try Database.open(storage: try MemoryStorage(), options: options)
    let value = [UInt8](repeating: 5, count: 700)
    var most = 0
    for number in 0..<3000 {
      try database.insert("key \(number % 1000)", value)
      if number % 20 == 0 { most = max(most, database.pager.logByteCount) }
    }
    #expect(most > 0)
    #expect(most <= 4 * (64 << 10) + 4096 + (256 << 10), "\(most) bytes of log")
    try database.close()
  }

  /// rule E1, F4: a superblock or segment with impossible numbers, correctly checksummed, is
  /// an error, not a trap.
  ///
  /// Runs in a process of its own.
  @Test(arguments: HostileField.allCases) func hostileNumbersAreErrors(field: HostileField) async {
    await #expect(processExitsWith: .success, "\(field)") { [field] in
      let extremes: [UInt64] = [.max, .max - 7, 1 << 63, (1 << 63) - 1, 1 << 47, 1 << 40, 0, 1]
      for value in extremes {
        let image = try field.image(value)
        do {
          let database = try image.open()
          _ = try database.verify()
          _ = try? database.insert("key", "value")
          _ = try? database.checkpoint()
          database.pager.abandon()
        } catch {}
      }
    }
  }
}

/// A number in the file that an attacker sets.
enum HostileField: String, CaseIterable, Codable, Sendable {
  case checkpoint, epoch, pageCount, rootPage, rootHeight, rootCount, logEnd
  case logFirst, logPages, logSequence, logFirstLSN, logReplayFrom
  case linkFirst, linkPages, linkFirstLSN, linkSequence

  func image(_ value: UInt64) throws -> LogImage {
    var image = try LogImage(.sync) { database in
      for number in 0..<20 { try database.insert("key \(number)", "value") }
    }
    if rawValue.hasPrefix("link") {
      let segment = try image.segments()[0]
      try setLink(&image, segment, value)
    } else {
      for slot in 0...1 {
        let at = slot * 4096
        var bytes = Array(image.contents[at..<at + 512])
        seal(&bytes, superblockOffset, value)
        image.contents.replaceSubrange(at..<at + 512, with: bytes)
      }
    }
    return image
  }

  private var superblockOffset: Int {
    switch self {
    case .checkpoint: 32
    case .epoch: 40
    case .pageCount: 64
    case .rootPage: 72
    case .rootHeight: 88
    case .rootCount: 96
    case .logEnd: 112
    case .logFirst: 120
    case .logPages: 128
    case .logSequence: 144
    case .logFirstLSN: 152
    case .logReplayFrom: 160
    default: 0
    }
  }

  private func setLink(_ image: inout LogImage, _ segment: LogSegment, _ value: UInt64) throws {
    var next = segment
    next.sequence += 1
    var bytes = segment.encodedLink(to: next)
    let offsets: [HostileField: Int] = [
      .linkFirst: 16, .linkPages: 24, .linkSequence: 40, .linkFirstLSN: 48,
    ]
    seal(&bytes, offsets[self] ?? 0, value)
    let at = try image.offset(of: segment) + LogSegment.linkOffset
    image.contents.replaceSubrange(at..<at + 512, with: bytes)
  }

  private func seal(_ bytes: inout [UInt8], _ offset: Int, _ value: UInt64) {
    bytes.withUnsafeMutableBytes { raw in
      raw.storeBytes(of: value.littleEndian, toByteOffset: offset, as: UInt64.self)
      let sum = checksum64(UnsafeRawBufferPointer(rebasing: raw[..<504]), seed: 0)
      raw.storeBytes(of: sum.littleEndian, toByteOffset: 504, as: UInt64.self)
    }
  }
}
