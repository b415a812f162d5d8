import CrashSupport
import Testing

@testable import BTreeKV
@testable import Pager

/// The log's rules, one by one, on images damaged in chosen places.
@Suite struct LogRuleTests {
  private func keys(_ database: Database) throws -> Int { try ContentDigest(of: database).count }

  /// rule B1: records 10 and 12 reached the disk, 11 did not; a new 11 of the same size must
  /// not bring the stale 12 back.
  ///
  /// Salts differ, and no segment is appended to again.
  @Test func staleRecordsStayDead() throws {
    var image = try LogImage(.flush) { database in
      for number in 10..<22 { try database.insert("key \(number)", "old value") }
    }
    let old = try image.segments()[0]
    let records = try image.records()
    try #require(records.count == 12)
    for offset in records[10].range { image.contents[offset] = 0 }
    let again = try LogImage(.flush, contents: image.contents) { database in
      #expect(try keys(database) == 10)
      try database.insert("key 20", "new value")
    }
    let new = try again.segments()[0]
    #expect(new.salt != old.salt)
    #expect(!(new.firstLSN < LogSequenceNumber(old.firstLSN.rawValue + 1)))
    let database = try again.open(.flush)
    #expect(try keys(database) == 11)
    #expect(try database.lookup("key 20") == Array("new value".utf8))
    #expect(try database.lookup("key 21") == nil)
    #expect(try database.verify().problems == [])
  }

  /// rule B1: the old log is not appended to even when it lies where it was: its bytes stay as
  /// they are until its pages are reused, and the salts of all segments differ.
  @Test func saltsDiffer() throws {
    var salts = Set<UInt64>()
    var count = 0
    var contents: [UInt8] = []
    for _ in 0..<3 {
      let image = try LogImage(.sync, contents: contents) { database in
        for number in 0..<700 {
          try database.insert("key \(number)", [UInt8](repeating: 1, count: 800))
        }
      }
      let segments = try image.segments()
      #expect(segments.count >= 2)
      count += segments.count
      salts.formUnion(segments.map(\.salt))
      contents = image.contents
    }
    #expect(salts.count == count)
  }

  /// rule B3: damage to a record that was durable is an error, not the end of the log.
  @Test(arguments: [0, 1, 9, 18]) func damageInTheMiddleIsFound(index: Int) throws {
    let image = try LogImage(.sync) { database in
      for number in 0..<20 { try database.insert("key \(number)", "value") }
    }
    let records = try image.records()
    try #require(records.count == 20)
    for place in [0, 8, 12, 16, 30] {
      let damaged = image.damaged(records[index].range.lowerBound + place)
      #expect(damaged.openingError()?.code == .corrupted, "record \(index) byte \(place)")
    }
  }

  /// rule B3: what was not known to be durable is a torn tail.
  @Test func damageAtTheTailIsTorn() throws {
    let image = try LogImage(.flush) { database in
      for number in 0..<10 { try database.insert("key \(number)", "value") }
      try database.waitUntilDurable()
      for number in 10..<20 { try database.insert("key \(number)", "value") }
    }
    let records = try image.records()
    try #require(records.count == 20)
    for index in 0..<20 {
      let damaged = image.damaged(records[index].range.lowerBound + 20)
      if index < 10 {
        #expect(damaged.openingError()?.code == .corrupted, "record \(index)")
      } else {
        let database = try damaged.open()
        #expect(try keys(database) == index)
        #expect(try database.verify().problems == [])
      }
    }
  }

  private func twoSegments() throws -> LogImage {
    let image = try LogImage(.sync) { database in
      for number in 0..<400 {
        try database.insert("key \(number)", [UInt8](repeating: 1, count: 900))
      }
    }
    try #require(try image.segments().count == 2)
    return image
  }

  /// rule B3: damage near the end of a segment is found by looking into the next one.
  @Test func damageBeforeALaterSegmentIsFound() throws {
    let image = try twoSegments()
    let records = try image.records()
    let last = try #require(records.lastIndex { $0.segment == 0 })
    #expect(records[last].isEnd)
    for index in [last - 2, last - 1, last] {
      let damaged = image.damaged(records[index].range.lowerBound + 2)
      #expect(damaged.openingError()?.code == .corrupted, "record \(index) of \(last)")
    }
  }

  /// rule B3: the same for the link itself and for the header that it leads to.
  @Test(arguments: ["header", "link"]) func damagedChainIsFound(what: String) throws {
    let image = try twoSegments()
    let segments = try image.segments()
    let place =
      what == "link"
      ? try image.offset(of: segments[0]) + LogSegment.linkOffset + 20
      : try image.offset(of: segments[1]) + 20
    #expect(image.damaged(place).openingError()?.code == .corrupted, "\(what)")
  }

  /// rule B4: after a checkpoint both superblocks say the same, and rot of either harms nothing.
  @Test(arguments: [0, 4096]) func eitherSuperblockIsEnough(offset: Int) throws {
    let image = try LogImage(.sync) { database in
      for number in 0..<50 { try database.insert("key \(number)", "value") }
      try database.checkpoint()
      try database.insert("another", "value")
    }
    #expect(image.contents[0..<512] == image.contents[4096..<4608])
    let database = try image.damaged(offset + 100).open()
    #expect(try keys(database) == 51)
    #expect(try database.verify().problems == [])
    var both = image.damaged(100)
    both.damage(4196)
    #expect(both.openingError()?.code == .corrupted)
  }

  /// rule B4: between the two writes the one in force before is still sound.
  @Test(arguments: Database.Durability.allCases)
  func newerSuperblockMayRotBeforeTheOther(durability: Database.Durability) throws {
    let storage = try RecordingStorage()
    let options = LogImage.options(durability)
    let database = try Database.open(
      storage: storage, options: options, hasBackgroundThreads: false)
    var expected: [Int] = [0]
    var steps: [(step: Int, newer: Int)] = []
    for round in 0..<4 {
      for number in 0..<60 { try database.insert("key \(number)", "value \(round)") }
      try database.insert("round \(round)", "value")
      try database.checkpoint()
      expected.append(database.count)
    }
    database.pager.abandon()
    var seen = storage.recorder.events.enumerated().compactMap { index, event in
      if case .durableWrite(let offset, let bytes) = event, bytes.count == 512, offset <= 4096 {
        return (step: index + 1, newer: offset)
      }
      return nil
    }
    // Each checkpoint writes two; the first of each pair is of interest.
    while seen.count >= 2 {
      steps.append(seen[0])
      seen.removeFirst(2)
    }
    #expect(steps.count >= 4)
    var simulator = CrashSimulator(storage.recorder)
    for (step, newer) in steps {
      simulator.advance(to: step)
      var contents = simulator.poorestImage()
      contents[newer + 40] ^= 1
      let memory = try MemoryStorage(contents: contents)
      let (digest, _) = try CrashCheck.content(of: memory, options)
      #expect(digest.count <= database.count, "step \(step)")
    }
  }

  private func largeImage(isSynced: Bool) throws -> (LogImage, place: Int) {
    let value = (0..<40_000).map { UInt8(truncatingIfNeeded: $0 &* 7 ^ $0 >> 8) }
    let image = try LogImage(.flush) { database in
      try database.insert("before", "value")
      try database.insert("large", value)
      if isSynced { try database.waitUntilDurable() }
      try database.insert("after", "value")
    }
    let place = try #require(
      (16..<image.contents.count / 4096).first {
        image.contents[$0 * 4096..<$0 * 4096 + 64] == value[0..<64]
      })
    return (image, place * 4096)
  }

  /// rule B5, E4: a value at the tail whose bytes are not whole ends the log; whole, it is kept.
  @Test func unwholeValueEndsTheLog() throws {
    let (image, place) = try largeImage(isSynced: false)
    #expect(try keys(try image.open()) == 3)
    for offset in [0, 511, 20_000, 39_999] {
      let database = try image.damaged(place + offset).open()
      #expect(try keys(database) == 1, "byte \(offset)")
      #expect(try database.lookup("large") == nil)
      #expect(try database.verify().problems == [])
    }
  }

  /// rule B5: a value that was durable and is damaged later is damage of that value alone.
  @Test func rottenDurableValueIsReported() throws {
    let (image, place) = try largeImage(isSynced: true)
    let database = try image.damaged(place + 9000).open()
    #expect(database.count == 3)
    #expect(try database.lookup("after") != nil)
    #expect(throws: DatabaseError.self) { _ = try database.lookup("large") }
    #expect(try !database.verify().isSound)
  }
}
