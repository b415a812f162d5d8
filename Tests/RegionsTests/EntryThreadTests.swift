@testable import BTreeKV
import Pager
import Regions
import Synchronization
import TestSupport
import Testing

/// Readers of entries beside writers, deletions and compactions of the same store: every word of an entry
/// says whose it is and of which version, no version is older than one that was there before the read
/// began, and an entry that is held stays as it is.
@Suite(.serialized) struct EntryThreadTests {
  @Test(arguments: Database.Durability.allCases)
  func readersBesideWriters(durability: Database.Durability) throws {
    let seed = runSeed &* 613 &+ UInt64(durability.rawValue.utf8.count)
    let options = tightOptions(durability: durability, checkpointThresholdByteCount: 256 << 10)
    let storage = try MemoryStorage()
    let database = try openDatabase(in: storage.reopen(), options)
    let race = try EntryRace(database, seed: seed)
    do {
      try race.run(stepCount: (isUnderThreadSanitizer ? 150 : 400) * lengthFactor)
    } catch {
      throw TestFailure("seed \(seed): \(error)")
    }
    #expect(race.checkCount > 200, "seed \(seed): too little was read")
    try requireSound(database, "afterwards")
    try EntryStore(database, "store").verify()
    // The store's handle keeps a reservation; what was freed under readers is free now.
    #expect(database.pager.kept.pageCounts.deferred == 0)
    try database.close()
    try openDatabase(in: storage.reopen()).close()
  }
}

/// Two writers with keys of their own in one store, and three readers of all keys.
private final class EntryRace: Sendable {
  private static let keysOfAWriter = 20
  private static let writerCount = 2
  private static let keyCount = keysOfAWriter * writerCount

  private let database: Database
  private let store: EntryStore
  private let seed: UInt64
  private let threads = TestThreads()
  private let writers = TestThreads()
  private let checks = Atomic(0)
  /// The versions that a key's entry may have: up to `begun`, from `done` on.
  private struct Known: ~Copyable {
    let begun = Atomic<UInt64>(0)
    let done = Atomic<UInt64>(0)
  }
  private final class Versions: Sendable {
    let known = Known()
  }
  private let versions = (0..<keyCount).map { _ in Versions() }

  init(_ database: Database, seed: UInt64) throws {
    self.database = database
    self.seed = seed
    store = try EntryStore(database, "store")
  }

  var checkCount: Int { checks.load(ordering: .relaxed) }

  func run(stepCount: Int) throws {
    for writer in 0..<Self.writerCount {
      writers.start { try self.write(writer, stepCount) }
    }
    for reader in 0..<3 { threads.start { try self.read(reader) } }
    threads.start {
      while !self.threads.mustEnd {
        try self.database.checkpoint()
        try self.store.compact()
      }
    }
    let result = Result { try writers.wait() }
    threads.end()
    try threads.wait()
    try result.get()
  }

  private static func key(_ number: Int) -> String { "key \(number)" }

  private static func bytes(_ number: Int, _ version: UInt64, _ count: Int) -> [UInt8] {
    let word = (UInt64(number + 1) << 40 | version).littleEndian
    return [UInt64](repeating: word, count: count).withUnsafeBytes { Array($0) }
  }

  // MARK: Writers

  private func write(_ writer: Int, _ stepCount: Int) throws {
    struct Refusal: Error {}
    var random = SeededRandom(seed: seed &+ UInt64(writer))
    // Handles of their own, beside that of the readers.
    let store = try EntryStore(database, "store")
    for _ in 0..<stepCount where !threads.mustEnd {
      let number = writer * Self.keysOfAWriter + random.below(Self.keysOfAWriter)
      let key = Self.key(number)
      let known = versions[number]
      let next = known.known.done.load(ordering: .relaxed) + 1
      let bytes = Self.bytes(number, next, 1 + random.below(random.chance(10) ? 20_000 : 40))
      known.known.begun.store(next, ordering: .releasing)
      switch random.below(8) {
      case 0: _ = try store.remove(key)
      case 1:
        try database.write { transaction in
          let store = try transaction.entryStore("store")
          _ = try store.remove(key)
          try store.write(key, bytes)
          try transaction.insert(key, "beside it")
        }
      case 2:
        do {
          try database.write { transaction in
            try transaction.entryStore("store").write(key, [UInt8](repeating: 0xEE, count: 999))
            throw Refusal()
          }
        } catch is Refusal {}
        continue
      case 3:
        try store.write(key) { writer in
          for start in stride(from: 0, to: bytes.count, by: 1000) {
            try writer.write(Array(bytes[start..<min(bytes.count, start + 1000)]))
          }
        }
      default: try store.write(key, bytes)
      }
      known.known.done.store(next, ordering: .releasing)
    }
  }

  // MARK: Readers

  private struct Held {
    var entry: Entry
    var number: Int
    var version: UInt64
  }

  private func read(_ reader: Int) throws {
    var random = SeededRandom(seed: seed &+ 100 &+ UInt64(reader))
    var held: [Held] = []
    while !threads.mustEnd {
      let number = random.below(Self.keyCount)
      let known = versions[number]
      let least = known.known.done.load(ordering: .acquiring)
      let key = Self.key(number)
      let entry =
        try random.chance(80)
        ? store.read(key) : database.read { try $0.entryStore("store")?.read(key) }
      let most = known.known.begun.load(ordering: .acquiring)
      if let entry {
        let version = try check(entry, number)
        try require(
          (least...most).contains(version),
          "\(key) shows version \(version), not \(least) to \(most)")
        held.append(Held(entry: entry, number: number, version: version))
      }
      if !held.isEmpty {
        let index = random.below(held.count)
        let again = try check(held[index].entry, held[index].number)
        try require(again == held[index].version, "a held entry changed")
        if held.count > 5 { held.remove(at: index) }
      }
      checks.add(1, ordering: .relaxed)
    }
  }

  /// All words of an entry are those of one version.
  ///
  /// - Returns: the version.
  private func check(_ entry: Entry, _ number: Int) throws -> UInt64 {
    try entry.verify()
    try require(entry.key == Array(Self.key(number).utf8), "an entry of another key")
    return try entry.bytes.withUnsafeBytes { bytes in
      try require(bytes.count >= 8 && bytes.count % 8 == 0, "an entry of \(bytes.count) bytes")
      let first = UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
      for place in stride(from: 8, to: bytes.count, by: 8) {
        let word = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: place, as: UInt64.self))
        try require(word == first, "an entry of two versions")
      }
      try require(first >> 40 == UInt64(number + 1), "bytes of another key")
      return first & ((1 << 40) - 1)
    }
  }
}
