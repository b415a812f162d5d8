@testable import BTreeKV
import Foundation
import Pager
import Regions
import TestSupport
import Testing

/// What other entry stores get wrong, and what has no other test.
@Suite struct EntryStoreTests {
  private struct Refusal: Error {}

  private func open(_ folder: TemporaryFolder) throws -> Database {
    try Database.open(folder.file(), options: quiet)
  }

  /// Nothing happens behind the test's back.
  private var quiet: Database.Options {
    var options = Database.Options()
    options.flushIntervalMilliseconds = 3_600_000
    return options
  }

  /// Where some bytes lie in a file.
  private func places(of pattern: [UInt8], in file: String) throws -> [Int] {
    let data = try Data(contentsOf: URL(fileURLWithPath: file))
    var places: [Int] = []
    var start = data.startIndex
    while let found = data.range(of: Data(pattern), in: start..<data.endIndex) {
      places.append(found.lowerBound)
      start = found.lowerBound + 1
    }
    return places
  }

  private func overwrite(_ file: String, at place: Int, with bytes: [UInt8]) throws {
    let handle = try #require(FileHandle(forUpdatingAtPath: file))
    try handle.seek(toOffset: UInt64(place))
    try handle.write(contentsOf: Data(bytes))
    try handle.close()
  }

  // MARK: What the peers lose

  @Test(arguments: [10, 5000, 100_000])
  func aTornLastEntryLosesNothingElse(byteCount: Int) throws {
    let folder = try TemporaryFolder()
    let database = try open(folder)
    let store = try EntryStore(database, "store")
    for number in 0..<100 { try store.write("key \(number)", [UInt8(number)]) }
    try database.waitUntilDurable()
    var random = SeededRandom(seed: 7)
    let last = random.bytes(byteCount)
    try store.write("last", last)
    database.pager.abandon()
    let places = try places(of: Array(last.suffix(min(byteCount, 1000))), in: folder.file())
    try require(!places.isEmpty, "the last entry's bytes are not in the file")
    for place in places { try overwrite(folder.file(), at: place, with: [last[0] ^ 0xFF, 0, 0]) }

    let again = try open(folder)
    let reopened = try EntryStore(again, "store")
    #expect(try reopened.count == 100)
    #expect(try reopened.read("last") == nil)
    for number in 0..<100 {
      #expect(try reopened.read("key \(number)")?.array == [UInt8(number)])
    }
    try reopened.write("last", last)
    #expect(try reopened.read("last")?.array == last)
    try requireSound(again, "the file")
    try again.close()
  }

  @Test func writesAfterCompactionOnAnOpenHandleStay() throws {
    let folder = try TemporaryFolder()
    let database = try open(folder)
    let store = try EntryStore(database, "store")
    let other = try EntryStore(database, "store")
    for round in 0..<10 {
      for number in 0..<1000 { try store.write("key \(number)", [UInt8(round)]) }
    }
    let held = try #require(try store.read("key 1"))
    #expect(try other.compact() > 500_000)
    try store.write("key 1", "from the old handle")
    try other.write("key 2", "from the other one")
    try store.write("new", "new")
    #expect(held.array == [9])
    #expect(try store.read("key 2")?.array == Array("from the other one".utf8))
    try database.close()
    let again = try open(folder)
    let reopened = try EntryStore(again, "store")
    #expect(try reopened.count == 1001)
    #expect(try reopened.read("key 1")?.array == Array("from the old handle".utf8))
    #expect(try reopened.read("new")?.array == Array("new".utf8))
    #expect(try reopened.read("key 3")?.array == [9])
    try again.close()
  }

  @Test func aSourceThatFailsStoresNothing() async throws {
    let database = try openDatabase(in: try MemoryStorage())
    let store = try EntryStore(database, "store")
    try store.write("key", "before")
    let before = try store.byteCount
    for count in [1, 100] {
      #expect(throws: Refusal.self) {
        try store.write("key") { writer in
          for _ in 0..<count { try writer.write([UInt8](repeating: 1, count: 10_000)) }
          throw Refusal()
        }
      }
      await #expect(throws: Refusal.self) {
        try await store.write(
          Array("key".utf8),
          from: AsyncThrowingStream<[UInt8], any Error> { continuation in
            for _ in 0..<count { continuation.yield([UInt8](repeating: 1, count: 10_000)) }
            continuation.finish(throwing: Refusal())
          })
      }
    }
    // A descriptor that is not open can't be read.
    #expect(throws: DatabaseError.self) { try store.write("key", fileDescriptor: -1) }
    #expect(try store.read("key")?.array == Array("before".utf8))
    #expect(try store.byteCount == before)
    try requireSound(database, "the file")
  }

  @Test func zerosAndNothingAreEntriesToo() throws {
    let folder = try TemporaryFolder()
    let database = try open(folder)
    let store = try EntryStore(database, "store")
    for count in [0, 1, 64, 5000, 300_000] {
      try store.write("zeros \(count)", [UInt8](repeating: 0, count: count))
    }
    try store.write("", [])
    try database.close()
    let again = try open(folder)
    let reopened = try EntryStore(again, "store")
    for count in [0, 1, 64, 5000, 300_000] {
      let entry = try #require(try reopened.read("zeros \(count)"))
      #expect(entry.array == [UInt8](repeating: 0, count: count))
      try entry.verify()
    }
    #expect(try reopened.read("")?.count == 0)
    #expect(try reopened.count == 6)
    try again.close()
  }

  /// Two texts of which XXH64 with seed 0 is the same: keys are compared as a whole, so nothing can
  /// depend on it; these would find out if it did.
  @Test func keysOfOneHashAreTwoKeys() throws {
    let pair = SameHash.pair()
    try require(pair.0 != pair.1, "the keys are the same")
    let sums = [pair.0, pair.1].map { key in
      key.withUnsafeBytes { checksum64($0, seed: 0) }
    }
    try require(sums[0] == sums[1], "the keys have two hashes: \(sums)")
    let database = try openDatabase(in: try MemoryStorage())
    let store = try EntryStore(database, "store")
    try store.write(pair.0, "first")
    try store.write(pair.1, "second")
    #expect(try store.count == 2)
    #expect(try store.read(pair.0)?.array == Array("first".utf8))
    #expect(try store.read(pair.1)?.array == Array("second".utf8))
    try store.remove(pair.0)
    #expect(try store.read(pair.1)?.array == Array("second".utf8))
  }

  @Test func theCountIsThatOfLiveKeysAfterReopening() throws {
    let folder = try TemporaryFolder()
    let database = try open(folder)
    let store = try EntryStore(database, "store")
    for number in 0..<1000 { try store.write("key \(number)", "value") }
    for number in 0..<900 { try store.write("key \(number)", "another") }
    for number in 0..<500 { try store.remove("key \(number)") }
    try store.remove("key 0")
    let sequence = try #require(try store.read("key 999")).sequence
    database.pager.abandon()
    for _ in 0..<2 {
      let again = try open(folder)
      let reopened = try EntryStore(again, "store")
      #expect(try reopened.count == 500)
      #expect(try reopened.read("key 999")?.sequence == sequence)
      try reopened.compact()
      #expect(try reopened.count == 500)
      #expect(try reopened.estimatedSavings() < 128)
      try again.close()
    }
  }

  @Test func handlesInManyThreadsOverwriteNothing() throws {
    let folder = try TemporaryFolder()
    let database = try open(folder)
    _ = try EntryStore(database, "store")
    let failures = Locked<[String]>([])
    let threads = try (0..<4).map { thread in
      try BackgroundThread(name: "writer \(thread)") {
        var what = "opening"
        do {
          let store = try EntryStore(database, "store")
          for number in 0..<500 {
            let text = "\(thread) \(number)"
            what = "writing \(text)"
            try store.write(text, text)
            what = "compacting at \(text)"
            if number % 100 == 50 { try store.compact() }
            what = "reading \(text)"
            let there = try store.read(text)?.array
            try require(there == Array(text.utf8), "it is not there at once")
          }
        } catch {
          failures.withLock { $0.append("\(what): \(error)") }
        }
      }
    }
    for thread in threads { thread.join() }
    #expect(failures.withLock { $0 } == [])
    let store = try EntryStore(database, "store")
    #expect(try store.count == 2000)
    let seen = Locked<Set<String>>([])
    try store.forEachConcurrently(threadCount: 4) { entry in
      try entry.verify()
      try require(entry.array == entry.key, "another key's bytes")
      let text = String(decoding: entry.key, as: UTF8.self)
      let isNew = seen.withLock { $0.insert(text).inserted }
      try require(isNew, "\(text) came twice")
    }
    #expect(seen.withLock { $0.count } == 2000)
    #expect(throws: Refusal.self) {
      try store.forEachConcurrently(threadCount: 3) { _ in throw Refusal() }
    }
    try database.close()
  }

  @Test func damageIsFoundWhenAskedFor() throws {
    let folder = try TemporaryFolder()
    let database = try open(folder)
    let store = try EntryStore(database, "store")
    var random = SeededRandom(seed: 3)
    let bytes = random.bytes(100_000)
    try store.write("good", random.bytes(100_000))
    try store.write("bad", bytes)
    try store.write("gone", "")
    try store.remove("gone")
    try database.close()
    let places = try places(of: Array(bytes[50_000..<50_100]), in: folder.file())
    try require(places.count == 1, "the bytes are in the file \(places.count) times")
    try overwrite(folder.file(), at: places[0], with: [bytes[50_000] ^ 1])

    let again = try open(folder)
    let damaged = try EntryStore(again, "store")
    try #require(try damaged.read("good")).verify()
    let bad = try #require(try damaged.read("bad"))
    #expect(errorCode { try bad.verify() } == .corrupted)
    #expect(errorCode { try damaged.verify() } == .corrupted)
    // A compaction would give damage a right checksum.
    #expect(errorCode { _ = try damaged.compact() } == .corrupted)
    try damaged.remove("bad")
    try damaged.compact()
    try damaged.verify()
    #expect(try damaged.count == 1)
    try again.close()
  }

  // MARK: Names and namespaces

  @Test func namespacesAreApart() throws {
    let database = try openDatabase(in: try MemoryStorage())
    let store = try EntryStore(database, "store")
    let names: [[UInt8]] = [[], [0], [0, 1], [0, 0xFF], [1], [97], [97, 0], [97, 98]]
    for (number, name) in names.enumerated() {
      for key in names { try store.namespace(name).write(key, [UInt8(number)] + key) }
    }
    #expect(try store.count == names.count * names.count)
    for (number, name) in names.enumerated() {
      let part = store.namespace(name)
      #expect(try part.count == names.count)
      for key in names { #expect(try part.read(key)?.array == [UInt8(number)] + key) }
      var keys: [[UInt8]] = []
      try part.forEach { entry in
        keys.append(entry.key)
        return .next
      }
      #expect(keys == names.sorted { $0.lexicographicallyPrecedes($1) })
    }
    #expect(try store.namespace([97]).remove([0]))
    #expect(try store.namespace([97]).read([0]) == nil)
    #expect(try store.namespace([97, 0]).count == names.count)
  }

  @Test func namesOfStoresAreTheirOwn() throws {
    let database = try openDatabase(in: try MemoryStorage())
    _ = try database.tree("name")
    let region = try database.region("name")
    try region.append("region")
    let store = try EntryStore(database, "name")
    try store.write("key", "entry")
    try database.retainRegions([])
    #expect(try store.read("key")?.array == Array("entry".utf8))
    try database.renameEntryStore("name", to: "other")
    #expect(try database.entryStoreNames() == ["other"])
    #expect(try store.read("key")?.array == Array("entry".utf8))
    let held = try #require(try store.read("key"))
    #expect(try database.removeEntryStore("other"))
    #expect(try database.removeEntryStore("other") == false)
    #expect(try store.read("key") == nil)
    #expect(errorCode { try store.write("key", "again") } == .notFound)
    #expect(errorCode { _ = try store.count } == .notFound)
    #expect(held.array == Array("entry".utf8))
    let new = try EntryStore(database, "other")
    #expect(try new.count == 0)
    #expect(try new.lastEntry == nil)
  }

  @Test func keysAreBounded() throws {
    let database = try openDatabase(in: try MemoryStorage())
    let store = try EntryStore(database, "store")
    let longest = [UInt8](repeating: 1, count: 1016)
    try store.write(longest, "longest")
    #expect(try store.read(longest)?.array == Array("longest".utf8))
    #expect(errorCode { try store.write(longest + [1], "too long") } == .keyTooLong)
    #expect(
      errorCode { try store.write([(key: longest + [1], bytes: [UInt8(1)])]) } == .keyTooLong)
    #expect(try store.read(longest + [1]) == nil)
    #expect(try store.remove(longest + [1]) == false)
    #expect(try store.count == 1)
  }

  @Test func entriesGoToAnotherFile() throws {
    let first = try openDatabase(in: try MemoryStorage())
    let second = try openDatabase(in: try MemoryStorage())
    let (source, target) = (try EntryStore(first, "s"), try EntryStore(second, "t"))
    var random = SeededRandom(seed: 1)
    let bytes = random.bytes(500_000)
    try source.write("key", bytes)
    try source.transfer("key", to: target)
    #expect(try source.read("key") == nil)
    #expect(try target.read("key")?.array == bytes)
    #expect(errorCode { try source.transfer("key", to: target) } == .notFound)
  }

  /// A store of a removed last entry does not give its number to another one.
  @Test func numbersAreNotUsedTwice() throws {
    let database = try openDatabase(in: try MemoryStorage())
    let store = try EntryStore(database, "store")
    for _ in 0..<5 {
      try store.write("key", "value")
      let sequence = try #require(try store.read("key")).sequence
      try store.remove("key")
      try store.compact()
      #expect(try store.count == 0)
      try store.write("key", "value")
      #expect(try #require(try store.read("key")).sequence > sequence + 1)
    }
  }
}

/// Two keys of 16 bytes of which XXH64 with seed 0 is the same: what the first eight bytes make of the
/// hash, the next eight can undo, since each step can be turned round.
private enum SameHash {
  private static let prime1: UInt64 = 0x9E37_79B1_85EB_CA87
  private static let prime2: UInt64 = 0xC2B2_AE3D_27D4_EB4F
  private static let prime4: UInt64 = 0x85EB_CA77_C2B2_AE63
  private static let prime5: UInt64 = 0x27D4_EB2F_1656_67C5

  private static func rotate(_ value: UInt64, _ count: UInt64) -> UInt64 {
    value << count | value >> (64 - count)
  }

  /// The number of which the product with an odd one is 1, by Newton's method.
  private static func inverse(_ odd: UInt64) -> UInt64 {
    var inverse = odd
    for _ in 0..<6 { inverse &*= 2 &- odd &* inverse }
    return inverse
  }

  private static func round(_ word: UInt64) -> UInt64 { rotate(word &* prime2, 31) &* prime1 }

  private static func word(ofRound round: UInt64) -> UInt64 {
    rotate(round &* inverse(prime1), 33) &* inverse(prime2)
  }

  private static func step(_ hash: UInt64, _ word: UInt64) -> UInt64 {
    rotate(hash ^ round(word), 27) &* prime1 &+ prime4
  }

  private static func bytes(_ first: UInt64, _ second: UInt64) -> [UInt8] {
    withUnsafeBytes(of: (first.littleEndian, second.littleEndian)) { Array($0) }
  }

  static func pair() -> ([UInt8], [UInt8]) {
    let start = prime5 &+ 16
    let (first, second, other) = (UInt64(1), UInt64(2), UInt64(3))
    let wanted = step(start, first) ^ round(second)
    return (bytes(first, second), bytes(other, word(ofRound: wanted ^ step(start, other))))
  }
}
