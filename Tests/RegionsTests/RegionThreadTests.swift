@testable import BTreeKV
import Pager
import Regions
import Synchronization
import TestSupport
import Testing

/// Readers beside writers of the same regions: every word that is shown says whose it is, where it
/// belongs, and of which version it is, and all words of a region are of one version at any instant.
@Suite(.serialized) struct RegionThreadTests {
  @Test(arguments: Database.Durability.allCases)
  func readersBesideWriters(durability: Database.Durability) throws {
    let seed = runSeed &* 311 &+ UInt64(durability.rawValue.utf8.count)
    let options = tightOptions(
      durability: durability, checkpointThresholdByteCount: 256 << 10)
    let storage = try MemoryStorage()
    let database = try openDatabase(in: storage.reopen(), options)
    let race = RegionRace(database, seed: seed)
    do {
      try race.run(stepCount: (isUnderThreadSanitizer ? 100 : 250) * lengthFactor)
    } catch {
      throw TestFailure("seed \(seed): \(error)")
    }
    #expect(race.checkCount > 200, "seed \(seed): too little was read")
    try requireSound(database, "afterwards")
    #expect(database.pager.kept.pageCounts == (0, 0))
    try database.close()
    try openDatabase(in: storage.reopen()).close()
  }
}

/// Two writers with regions of their own, and three readers of all of them.
private final class RegionRace: Sendable {
  private static let regionsOfAWriter = 3
  private static let writerCount = 2

  private let database: Database
  private let seed: UInt64
  private let threads = TestThreads()
  private let writers = TestThreads()
  private let checks = Atomic(0)
  /// The versions that a region may have: up to `begun`, from `done` on.
  private struct Known: ~Copyable {
    let begun = Atomic<UInt64>(0)
    let done = Atomic<UInt64>(0)
  }
  private final class Versions: Sendable {
    let known = Known()
  }
  private let versions = (0..<regionsOfAWriter * writerCount).map { _ in Versions() }

  init(_ database: Database, seed: UInt64) {
    self.database = database
    self.seed = seed
  }

  var checkCount: Int { checks.load(ordering: .relaxed) }

  func run(stepCount: Int) throws {
    for writer in 0..<Self.writerCount {
      writers.start { try self.write(writer, stepCount) }
    }
    for reader in 0..<3 { threads.start { try self.read(reader) } }
    threads.start {
      while !self.threads.mustEnd { try self.database.checkpoint() }
    }
    let result = Result { try writers.wait() }
    threads.end()
    try threads.wait()
    try result.get()
  }

  private static func name(_ region: Int) -> String { "region \(region)" }

  private static func word(_ region: Int, _ index: Int, _ version: UInt64) -> UInt64 {
    UInt64(region + 1) << 56 | UInt64(index) << 32 | version
  }

  private static func bytes(_ region: Int, _ range: Range<Int>, _ version: UInt64) -> [UInt8] {
    let words = range.map { word(region, $0, version).littleEndian }
    return words.withUnsafeBytes { Array($0) }
  }

  // MARK: Writers

  private func write(_ writer: Int, _ stepCount: Int) throws {
    var random = SeededRandom(seed: seed &+ UInt64(writer))
    var counts = [Int](repeating: 0, count: Self.regionsOfAWriter)
    for _ in 0..<stepCount where !threads.mustEnd {
      let place = random.below(Self.regionsOfAWriter)
      let region = writer * Self.regionsOfAWriter + place
      counts[place] = try change(region, counts[place], &random)
    }
  }

  /// One change of a region.
  ///
  /// - Returns: how many words it has then.
  private func change(
    _ number: Int, _ count: Int, _ random: inout SeededRandom
  ) throws -> Int {
    let known = versions[number]
    let version = known.known.done.load(ordering: .relaxed)
    let next = version + 1
    func renewing(_ body: () throws -> Void) throws {
      known.known.begun.store(next, ordering: .releasing)
      try body()
      known.known.done.store(next, ordering: .releasing)
    }
    let region = try database.region(Self.name(number))
    let added = random.chance(15) ? random.below(12_000) : random.below(600)
    switch random.below(10) {
    case 0:
      try renewing { try region.write(Self.bytes(number, 0..<count, next), at: 0) }
      return count
    case 1:
      try renewing {
        try region.write((0..<count).map { ($0 * 8, Self.bytes(number, $0..<$0 + 1, next)) })
      }
      return count
    case 2:
      let left = random.below(count + 1)
      try region.truncate(to: left * 8)
      return left
    case 3:
      let left = random.below(count + 1)
      try region.truncate(
        to: left * 8, andAppend: Self.bytes(number, left..<left + added, version))
      return left + added
    case 4:
      try renewing {
        try database.write { transaction in
          try transaction.removeRegion(Self.name(number))
          try transaction.region(Self.name(number)).append(Self.bytes(number, 0..<added, next))
        }
      }
      return added
    case 5:
      try undone(number, count)
      return count
    default:
      try region.append(Self.bytes(number, count..<count + added, version))
      return count + added
    }
  }

  /// A transaction that comes to nothing: nobody may see what it wrote.
  private func undone(_ number: Int, _ count: Int) throws {
    struct Refusal: Error {}
    do {
      try database.write { transaction in
        let region = try transaction.region(Self.name(number))
        try region.append([UInt8](repeating: 0xEE, count: 3000))
        try region.write([UInt8](repeating: 0xDD, count: min(count * 8, 500)), at: 0)
        throw Refusal()
      }
    } catch is Refusal {}
  }

  // MARK: Readers

  /// A reader, or nil when the region is gone, also between the two calls.
  private func takeReader(of number: Int, _ reading: RegionReading) throws -> RegionReader? {
    guard let region = try database.existingRegion(Self.name(number)) else { return nil }
    do {
      return try region.reader(reading)
    } catch {
      if error.code == .notFound { return nil }
      throw error
    }
  }

  private func read(_ reader: Int) throws {
    struct Held {
      var reader: RegionReader
      var region: Int
      var version: UInt64
    }
    var random = SeededRandom(seed: seed &+ 100 &+ UInt64(reader))
    var held: [Held] = []
    while !threads.mustEnd {
      let number = random.below(versions.count)
      let known = versions[number]
      let least = known.known.done.load(ordering: .acquiring)
      let isMapped = random.chance(90)
      guard let reader = try takeReader(of: number, isMapped ? .mapped : .copying) else { continue }
      let most = known.known.begun.load(ordering: .acquiring)
      let version = try check(reader, number) ?? least
      try require(
        (least...most).contains(version),
        "region \(number) shows version \(version), not \(least) to \(most)")
      held.append(Held(reader: reader, region: number, version: version))
      let index = random.below(held.count)
      let other = held[index]
      if let again = try check(other.reader, other.region) {
        try require(again == other.version, "a held reader of region \(other.region) changed")
      }
      if held.count > 5 { held.remove(at: index) }
      checks.add(1, ordering: .relaxed)
    }
  }

  /// Checks each word.
  ///
  /// - Returns: the version that all words have; nil when there are none.
  private func check(_ reader: RegionReader, _ region: Int) throws -> UInt64? {
    try require(reader.count % 8 == 0, "half a word of region \(region)")
    let words = reader.values(of: UInt64.self)
    guard words.count > 0 else { return nil }
    let version = UInt64(littleEndian: words[0]) & 0xFFFF_FFFF
    for index in words.indices {
      let word = UInt64(littleEndian: words[index])
      guard word == Self.word(region, index, version) else {
        throw TestFailure(
          "word \(index) of \(words.count) of region \(region) is "
            + "\(String(word, radix: 16)), version \(version)")
      }
    }
    return version
  }
}
