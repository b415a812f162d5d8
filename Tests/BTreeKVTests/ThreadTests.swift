import BTreeKV
import Foundation
import Pager
import Synchronization
import TestSupport
import Testing

/// Readers beside writers on the same keys, while pages split, merge, are evicted and
/// checkpointed.
///
/// D1-D5, C1, C5 and C8 of docs/ARCHITECTURE.md. Also for ThreadSanitizer, with shared latches and
/// `BTREEKV_TSAN=1`. Each value says whose it is and which version; a version never goes back for
/// one reader.
@Suite(.serialized) struct ThreadTests {
  private final class Shared: Sendable {
    let failure = Locked<(any Error)?>(nil)
    let isDone = Atomic(false)

    /// Runs a body in a thread of its own; its first error ends everything.
    func thread(_ group: DispatchGroup, _ body: @escaping @Sendable () throws -> Void) {
      group.enter()
      let thread = Thread {
        do {
          try body()
        } catch {
          self.failure.withLock { if $0 == nil { $0 = error } }
          self.isDone.store(true, ordering: .releasing)
        }
        group.leave()
      }
      thread.stackSize = 1 << 20
      thread.start()
    }
  }

  private static let keyCount = isUnderThreadSanitizer ? 1500 : 2000

  private static func key(_ number: Int) -> [UInt8] {
    KeySource.bigEndian(UInt64(number)) + [UInt8](repeating: 0x61, count: number % 300)
  }

  /// Number, version and filler of a length that the version decides.
  private static func value(_ number: Int, _ version: Int) -> [UInt8] {
    let length = version % 97 == 0 ? 5000 : version * 7 % 200
    return KeySource.bigEndian(UInt64(number)) + KeySource.bigEndian(UInt64(version))
      + [UInt8](repeating: UInt8(truncatingIfNeeded: version), count: length)
  }

  private static func word(_ bytes: ArraySlice<UInt8>) -> Int {
    bytes.reduce(0) { $0 << 8 | Int($1) }
  }

  /// The key's number and the value's version, once both are seen to belong together.
  private static func decode(
    _ key: [UInt8], _ value: [UInt8], _ context: String
  ) throws -> (number: Int, version: Int) {
    try require(key.count >= 8 && value.count >= 16, "\(context): \(hex(key)) = \(hex(value))")
    let number = word(key.prefix(8))
    let version = word(value[8..<16])
    try require(
      equalBytes(key, Self.key(number)) && equalBytes(value, Self.value(number, version)),
      "\(context): torn: \(hex(key)) = \(hex(value))")
    return (number, version)
  }

  private static func write(
    _ database: Database, _ seed: UInt64, _ writer: Int, _ writerCount: Int, _ steps: Int,
    _ shared: Shared
  ) throws {
    var random = SeededRandom(seed: seed &+ UInt64(writer))
    // Each writer has its own keys among the others' neighbours, so that versions only grow.
    for version in 1...steps where !shared.isDone.load(ordering: .acquiring) {
      let number = random.below(keyCount / writerCount) * writerCount + writer
      // Times of much removal let pages merge.
      if random.chance(version / 1000 % 2 == 0 ? 20 : 70) {
        try database.remove(key(number))
      } else {
        try database.insert(key(number), value(number, version))
      }
      if random.below(500) == 0 { try database.checkpoint() }
    }
  }

  private static func read(_ database: Database, _ seed: UInt64, _ shared: Shared) throws {
    var random = SeededRandom(seed: seed)
    let context = "seed \(seed)"
    var versions = [Int](repeating: 0, count: keyCount)
    func note(_ number: Int, _ version: Int) throws {
      try require(
        version >= versions[number],
        "\(context): key \(number) went from version \(versions[number]) to \(version)")
      versions[number] = version
    }
    while !shared.isDone.load(ordering: .acquiring) {
      let key = key(random.below(keyCount))
      switch random.below(20) {
      case 0..<12:
        guard let value = try database.lookup(key) else { continue }
        let (number, version) = try decode(key, value, context)
        try note(number, version)
      case 12..<17:
        guard let entry = try database.above(key) else { continue }
        try require(compareBytes(entry.key, key) > 0, "\(context): above goes down")
        let (number, version) = try decode(entry.key, entry.value, context)
        try note(number, version)
      default:
        let isReversed = random.chance(50)
        var previous: [UInt8]?
        var left = 200
        try database.forEach(
          in: isReversed ? .upTo(key) : .from(key), reversed: isReversed
        ) { key, value in
          let key = key.withUnsafeBytes { Array($0) }
          let (number, version) = try decode(key, value.withUnsafeBytes { Array($0) }, context)
          try note(number, version)
          if let previous {
            let order = compareBytes(previous, key)
            try require(isReversed ? order > 0 : order < 0, "\(context): keys out of order")
          }
          previous = key
          left -= 1
          return left > 0 ? .next : .stop
        }
      }
    }
  }

  /// Walks with cursors that live while everything changes; each shows one instant, in order.
  private static func walk(_ database: Database, _ seed: UInt64, _ shared: Shared) throws {
    var random = SeededRandom(seed: seed)
    let context = "seed \(seed), cursor"
    while !shared.isDone.load(ordering: .acquiring) {
      let isReversed = random.chance(50)
      let from = key(random.below(keyCount))
      let cursor = try database.cursor(
        in: isReversed ? .upTo(from) : .from(from), reversed: isReversed)
      var previous: [UInt8]?
      for _ in 0..<random.below(keyCount) {
        guard let entry = try cursor.next() else { break }
        _ = try decode(entry.key, entry.value, context)
        if let previous {
          let order = compareBytes(previous, entry.key)
          try require(isReversed ? order > 0 : order < 0, "\(context): keys out of order")
        }
        previous = entry.key
        if shared.isDone.load(ordering: .acquiring) { return }
      }
    }
  }

  /// What is asked of a database from time to time: checkpoints, counts, all keys.
  private static func administer(_ database: Database, _ seed: UInt64, _ shared: Shared) throws {
    var random = SeededRandom(seed: seed)
    while !shared.isDone.load(ordering: .acquiring) {
      switch random.below(4) {
      case 0:
        try database.checkpoint()
      case 1:
        try database.waitUntilDurable()
      case 2:
        let statistics = try database.statistics()
        try require(statistics.heldPageCount >= 0, "seed \(seed): fewer than no pages are held")
      default:
        var count = 0
        try database.forEachKey { _ in
          count += 1
          return shared.isDone.load(ordering: .relaxed) ? .stop : .next
        }
        try require(count <= keyCount, "seed \(seed): \(count) keys of \(keyCount)")
      }
    }
  }

  /// Eight threads at once: cursors and whole walks beside writers, while somebody else takes
  /// checkpoints and the cache is far too small.
  @Test(arguments: [Database.Durability.sync, .flush])
  func eightThreads(durability: Database.Durability) throws {
    let seed = runSeed &* 103 + 7
    let steps = (isUnderThreadSanitizer ? 800 : 1200) * lengthFactor
    let storage = try MemoryStorage()
    let database = try openDatabase(in: storage.reopen(), tightOptions(durability: durability))
    for number in 0..<Self.keyCount { try database.insert(Self.key(number), Self.value(number, 1)) }
    let shared = Shared()
    let writers = DispatchGroup()
    let others = DispatchGroup()
    for writer in 0..<3 {
      shared.thread(writers) { try Self.write(database, seed, writer, 3, steps, shared) }
    }
    for other in 0..<2 as Range<UInt64> {
      shared.thread(others) { try Self.read(database, seed &+ 10 &+ other, shared) }
      shared.thread(others) { try Self.walk(database, seed &+ 20 &+ other, shared) }
    }
    shared.thread(others) { try Self.administer(database, seed &+ 30, shared) }
    writers.wait()
    shared.isDone.store(true, ordering: .releasing)
    others.wait()
    if let failure = shared.failure.withLock({ $0 }) { throw failure }
    let statistics = try database.statistics()
    // All was written here, so what is read in was evicted before.
    #expect(statistics.pageReadCount > 100, "seed \(seed): too little was evicted")
    #expect(statistics.checkpointNumber > 5, "seed \(seed): too few checkpoints")
    try requireSound(database, "seed \(seed), .\(durability), eight threads")
    try database.close()
    let reopened = try openDatabase(in: storage.reopen())
    try requireSound(reopened, "seed \(seed), .\(durability), reopened")
    try reopened.close()
  }

  @Test(arguments: [1, 2], [Database.Durability.flush, .none])
  func readersBesideWriters(writerCount: Int, durability: Database.Durability) throws {
    let seed = runSeed &* 101 + UInt64(writerCount)
    let steps = (isUnderThreadSanitizer ? 1500 : 8000) * lengthFactor / writerCount
    let storage = try MemoryStorage()
    let database = try openDatabase(in: storage.reopen(), tightOptions(durability: durability))
    let shared = Shared()
    let writers = DispatchGroup()
    let readers = DispatchGroup()
    for writer in 0..<writerCount {
      shared.thread(writers) {
        try Self.write(database, seed, writer, writerCount, steps, shared)
      }
    }
    for reader in 0..<3 {
      shared.thread(readers) {
        try Self.read(database, seed &+ 1000 &+ UInt64(reader), shared)
      }
    }
    writers.wait()
    shared.isDone.store(true, ordering: .releasing)
    readers.wait()
    if let failure = shared.failure.withLock({ $0 }) { throw failure }
    try requireSound(database, "seed \(seed), .\(durability), \(writerCount) writers")
    try database.close()
    let reopened = try openDatabase(in: storage.reopen())
    try requireSound(reopened, "seed \(seed), .\(durability), reopened")
    try reopened.close()
  }
}
