@testable import BTreeKV
import Foundation
import Pager
import Regions
import TestSupport
import Testing

/// Moving what lies at the end of a file into holes, and cutting the end off.
@Suite struct CompactionTests {
  private func length(_ path: String) throws -> (byteCount: Int, allocated: Int) {
    var status = stat()
    try require(stat(path, &status) == 0, "stat")
    return (Int(status.st_size), Int(status.st_blocks) * 512)
  }

  /// A file system need not know holes.
  private func knowsHoles(_ folder: TemporaryFolder) throws -> Bool {
    let probe = try FileStorage.open(path: folder.file("probe"), access: .mustNotExist)
    defer { probe.close() }
    try probe.allocate(byteRange: 0..<65536)
    return try probe.punchHole(byteRange: 0..<65536)
  }

  /// Every second of many regions goes: length and allocation follow what is left, while the file is
  /// open, with readers and a snapshot held.
  @Test func everySecondRegionGoes() throws {
    let folder = try TemporaryFolder()
    var options = Database.Options()
    options.durability = .flush
    let database = try Database.open(folder.file(), options: options)
    let count = 200
    var random = SeededRandom(seed: 7)
    var contents: [[UInt8]] = []
    for index in 0..<count {
      contents.append(random.bytes(40_000 + index * 300))
      try database.region("region \(index)").append(contents[index])
    }
    var reader: RegionReader? = try database.region("region \(count - 1)").reader()
    for index in stride(from: 1, to: count, by: 2) {
      try require(try database.removeRegion("region \(index)"), "region \(index)")
    }
    let report = try database.compact()
    // In whole chunks.
    let live = stride(from: 0, to: count, by: 2).reduce(0) {
      $0 + (contents[$1].count + 65535) / 65536 * 65536
    }
    #expect(report.movedValueCount > 0)
    let after = try length(folder.file())
    #expect(after.byteCount == report.byteCount)
    // Chunks are whole pages, the log has a segment or two, and the removed region that is still
    // read keeps its place at the end.
    #expect(reader.map { bytes(of: $0) } == contents[count - 1])
    try check(database, contents)
    try requireSound(database, "with a reader")
    reader = nil
    let second = try database.compact()
    #expect(second.byteCount < live * 5 / 4 + (12 << 20), "\(second.byteCount) for \(live)")
    let end = try length(folder.file())
    #expect(end.allocated <= end.byteCount + (1 << 20))
    try check(database, contents)
    try database.close()
    let closed = try length(folder.file())
    #expect(closed.byteCount < live * 6 / 5 + (1 << 20), "\(closed.byteCount) for \(live)")
    let again = try Database.open(folder.file(), options: options)
    try requireSound(again, "opened again")
    try check(again, contents)
    try again.close()
  }

  /// What is free in front of a long value stays in the file's length, but not on the medium, once the
  /// file is closed.
  @Test func closingGivesBackWhatIsFree() throws {
    let folder = try TemporaryFolder()
    let path = folder.file()
    var random = SeededRandom(seed: 5)
    let kept = random.bytes(8 << 20)
    let database = try Database.open(path)
    try database.insert("gone", random.bytes(4 << 20))
    try database.insert("kept", kept)
    try database.remove("gone")
    try database.checkpoint()
    try database.checkpoint()
    // So little that a file in use keeps it.
    #expect(try length(path).allocated > 12 << 20)
    try database.close()
    let closed = try length(path)
    #expect(closed.byteCount > 12 << 20)
    if try knowsHoles(folder) { #expect(closed.allocated < 9 << 20, "\(closed)") }
    let again = try Database.open(path)
    try requireSound(again, "opened again")
    #expect(try again.lookup("kept") == kept)
    try again.insert("gone", [UInt8](repeating: 2, count: 4 << 20))
    try requireSound(again, "written again")
    #expect(try length(path).byteCount < closed.byteCount + (2 << 20))
    try again.close()
  }

  /// A compaction never makes the file longer, and one that finds nothing to do leaves all as it is: also
  /// the log, which is as long as many values and fits into the room that it left before.
  @Test(arguments: 0..<8)
  func oneAfterTheOther(seed: UInt64) throws {
    let folder = try TemporaryFolder()
    var options = Database.Options()
    options.durability = seed % 2 == 0 ? .sync : .flush
    let database = try Database.open(folder.file(), options: options)
    if seed % 4 > 1 {
      // A log of several segments, the last one long, in front of all.
      let value = [UInt8](repeating: 3, count: 900)
      for number in 0..<3000 { try database.insert("key \(number)", value, durability: .flush) }
    }
    var random = SeededRandom(seed: seed)
    let count = 60
    for index in 0..<count {
      try database.region("region \(index)").append(random.bytes(random.below(200_000)))
    }
    for index in 0..<count where random.below(2) == 0 {
      try database.removeRegion("region \(index)")
    }
    for number in 0..<random.below(1000) { try database.insert("key \(number)", "value") }
    var byteCounts = try (0..<6).map { _ in try database.compact().byteCount }
    for (before, after) in zip(byteCounts, byteCounts.dropFirst()) {
      #expect(after <= before, "\(byteCounts)")
    }
    byteCounts = byteCounts.suffix(2)
    #expect(byteCounts[0] == byteCounts[1], "\(byteCounts)")
    try requireSound(database, "compacted")
    try database.close()
  }

  /// A value for which there is no room further in front keeps no others from moving.
  @Test func aLongValueWithoutRoom() throws {
    let database = try openDatabase(
      in: try MemoryStorage(), tightOptions(), hasBackgroundThreads: false)
    let kibibyte = 1024
    let parts: [(key: String, byteCount: Int)] = [
      ("gap", 4864 * kibibyte), ("first", 1024 * kibibyte), ("hole", 4096 * kibibyte),
      ("short", 512 * kibibyte), ("long", 5120 * kibibyte),
    ]
    for (key, byteCount) in parts {
      try database.insert(key, [UInt8](repeating: UInt8(key.utf8.count), count: byteCount))
      try database.checkpoint()
    }
    try database.remove("gap")
    try database.remove("hole")
    let report = try database.compact()
    #expect(report.movedValueCount > 0)
    for (key, byteCount) in parts where key != "gap" && key != "hole" {
      let value = try database.lookup(key)
      #expect(value == [UInt8](repeating: UInt8(key.utf8.count), count: byteCount), "\(key)")
    }
    try requireSound(database, "afterwards")
    try database.close()
  }

  /// What lies in front of a region that is read goes back to the file system, and is there again when
  /// it is needed, also by a file that was opened again.
  @Test func holesInFrontOfAHeldRegion() throws {
    let folder = try TemporaryFolder()
    var options = Database.Options()
    options.durability = .flush
    var database = try Database.open(folder.file(), options: options)
    var random = SeededRandom(seed: 12)
    let content = random.bytes(300_000)
    try database.region("in front").append([UInt8](repeating: 5, count: 40 << 20))
    try database.region("held").append(content)
    var reader: RegionReader? = try database.region("held").reader()
    _ = try database.removeRegion("in front")
    _ = try database.removeRegion("held")
    try database.compact()
    let after = try length(folder.file())
    #expect(after.byteCount > 40 << 20)
    if try knowsHoles(folder) {
      #expect(after.allocated < after.byteCount - (36 << 20), "\(after)")
    }
    #expect(reader.map { bytes(of: $0) } == content)
    for round in 0..<2 {
      try database.region("new \(round)").append(content)
      try database.insert("key \(round)", content)
      try requireSound(database, "round \(round)")
      if round == 1 { break }
      reader = nil
      // As a writer that died leaves it: nothing is cut off.
      let copy = folder.file("copy")
      try FileManager.default.copyItem(atPath: folder.file(), toPath: copy)
      try database.close()
      database = try Database.open(copy, options: options)
    }
    for round in 0..<2 {
      #expect(try database.existingRegion("new \(round)")?.readAll() == content)
      #expect(try database.lookup("key \(round)") == content)
    }
    try database.close()
  }

  /// A checkpoint gives back what is free when that is more than what is in use.
  @Test func checkpointsGiveBackWhatIsFree() throws {
    let storage = try MemoryStorage()
    let database = try openDatabase(in: storage, tightOptions())
    for index in 0..<24 {
      try database.insert("value \(index)", [UInt8](repeating: UInt8(index), count: 1 << 20))
    }
    try database.checkpoint()
    let full = try storage.allocatedByteCount()
    #expect(full == (try storage.byteCount()))
    for index in 0..<20 { _ = try database.remove("value \(index)") }
    for _ in 0..<3 {
      try database.insert("a", "b")
      try database.checkpoint()
    }
    #expect(try storage.allocatedByteCount() < full - (17 << 20))
    #expect(try storage.byteCount() == full)
    for index in 0..<20 {
      try database.insert("value \(index)", [UInt8](repeating: UInt8(index), count: 1 << 20))
    }
    for index in 0..<24 {
      let value = try database.lookup("value \(index)")
      #expect(value == [UInt8](repeating: UInt8(index), count: 1 << 20))
    }
    try requireSound(database, "written again")
    try database.close()
  }

  private func bytes(of reader: RegionReader) -> [UInt8] {
    let span = reader.bytes
    return span.withUnsafeBytes { Array($0) }
  }

  private func check(_ database: Database, _ contents: [[UInt8]]) throws {
    for index in stride(from: 0, to: contents.count, by: 2) {
      let region = try database.existingRegion("region \(index)")
      try require(try region?.readAll() == contents[index], "region \(index)")
    }
  }

  /// A snapshot sees what it saw, whatever moves.
  @Test func snapshotsKeepWhatTheySee() throws {
    let database = try openDatabase(in: try MemoryStorage(), tightOptions())
    var random = SeededRandom(seed: 3)
    var values: [[UInt8]] = []
    for index in 0..<60 {
      values.append(random.bytes(random.below(90_000)))
      try database.insert("key \(index)", values[index])
    }
    let snapshot = try database.snapshot()
    for index in stride(from: 0, to: 60, by: 3) { try database.remove("key \(index)") }
    for _ in 0..<3 {
      try database.compact()
      try requireSound(database, "beside a snapshot")
      for index in 0..<60 {
        try require(try snapshot.lookup("key \(index)") == values[index], "key \(index)")
      }
    }
    snapshot.close()
    let live = values.indices.filter { $0 % 3 != 0 }.reduce(0) {
      $0 + (values[$1].count + 4095) / 4096 * 4096
    }
    try database.compact()
    let report = try database.compact()
    for index in 0..<60 where index % 3 != 0 {
      try require(try database.lookup("key \(index)") == values[index], "key \(index) at the end")
    }
    #expect(report.byteCount < live * 5 / 4 + (1 << 20), "\(report.byteCount) for \(live)")
    try requireSound(database, "at the end")
    try database.close()
  }

  /// Writers and readers beside a compaction find what they must.
  @Test func writersGoOn() throws {
    let database = try openDatabase(in: try MemoryStorage(), tightOptions())
    let regions = try (0..<4).map { try database.region("region \($0)") }
    let failures = Locked<[String]>([])
    let group = DispatchGroup()
    for (number, region) in regions.enumerated() {
      let thread = Thread {
        defer { group.leave() }
        do {
          var random = SeededRandom(seed: UInt64(number))
          var model: [UInt8] = []
          for _ in 0..<60 {
            if random.chance(20) {
              let count = random.below(model.count + 1)
              try region.truncate(to: count)
              model.removeLast(model.count - count)
            }
            let bytes = random.bytes(random.below(100_000))
            try region.append(bytes)
            model += bytes
            try require(try region.readAll() == model, "region \(number)")
          }
        } catch {
          failures.withLock { $0.append("\(error)") }
        }
      }
      group.enter()
      thread.start()
    }
    var rounds = 0
    while group.wait(timeout: .now()) == .timedOut {
      try database.compact()
      rounds += 1
    }
    #expect(failures.withLock { $0 } == [])
    #expect(rounds > 0)
    try requireSound(database, "after all")
    try database.close()
  }

  /// Who is told of the progress can end it; what was done stays.
  @Test func canBeInterrupted() throws {
    let database = try openDatabase(in: try MemoryStorage(), tightOptions())
    for index in 0..<100 {
      try database.insert("key \(index)", [UInt8](repeating: UInt8(index), count: 20_000))
    }
    for index in 0..<50 { try database.remove("key \(index)") }
    var calls = 0
    try database.compact { _ in
      calls += 1
      return false
    }
    #expect(calls <= 2)
    try requireSound(database, "given up")
    let report = try database.compact()
    #expect(report.byteCount < report.byteCountBefore)
    try database.close()
  }
}
