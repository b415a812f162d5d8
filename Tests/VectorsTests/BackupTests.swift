@testable import BTreeKV
import Foundation
import Pager
import Regions
import TestSupport
import Testing
import Vectors

/// Backups: everything, of one instant, in a file that is there as a whole or not at all.
@Suite struct BackupTests {
  /// A file with something of everything.
  private func fill(_ database: Database) throws {
    var random = SeededRandom(seed: 11)
    for number in 0..<3000 {
      try database.insert("key \(number)", "value \(number)")
    }
    try database.insert("long", random.bytes(3_000_000))
    try database.tree("empty").insert("a", "b")
    try database.tree("empty").remove("a")
    let people = try database.tree("people")
    try people.insert("Ada", random.bytes(100_000))
    let ages = try database.tree("ages", of: String.self, Int.self)
    try ages.insert("Ada", 36)
    try database.region("none").append([])
    for length in [1, 5000, 65_536, 65_537, 1_000_000] {
      try database.region("region \(length)").append(random.bytes(length))
    }
    try database.removeRegion("region 5000")
    let store = try EntryStore(database, "pictures")
    for number in 0..<300 { try store.write("\(number % 200)", random.bytes(number * 7)) }
    try store.remove("7")
    let numbers = try RawVector<UInt64>.open("numbers", in: database, version: 3)
    numbers.append(contentsOf: 0..<50_000)
    try numbers.commit(stamp: 1)
    try numbers.update(at: 5, 0)
    try numbers.take(at: 9)
    try numbers.commit(stamp: 2)
    let times = try CompressedVector<Double>.open("times", in: database)
    times.append(contentsOf: (0..<70_000).map { Double($0) / 10 })
    try times.commit(stamp: 5)
    try times.truncate(to: 40_000)
    try times.write()
  }

  /// All trees as text, those of regions, entries and vectors among them: what chunks hold, not where.
  private func content(_ database: Database) throws -> [String: [[UInt8]]] {
    try database.read { snapshot in
      var found: [String: [[UInt8]]] = [:]
      for id in [TreeID.main, .regions, .entries, .entryStores, .vectors, .vectorRecords] {
        let walker = try snapshot.access(to: id).walker(.all, false, true)
        while try walker.step() {
          found["\(id)", default: []] += [Array(walker.key), Array(walker.value)]
        }
      }
      for name in try snapshot.treeNames() {
        found["tree \(name)"] = []
        for entry in try #require(try snapshot.tree(name)).range(.all) {
          found["tree \(name)"]? += [entry.key, entry.value]
        }
      }
      for name in try database.regionNames() {
        found["region \(name)"] = [try database.region(name).readAll()]
      }
      return found
    }
  }

  @Test(arguments: [4096, 16384]) func everythingIsThere(pageSize: Int) throws {
    let folder = try TemporaryFolder()
    var options = Database.Options()
    options.pageSize = pageSize
    let database = try Database.open(folder.file("a"), options: options)
    try fill(database)
    let report = try database.backUp(to: folder.file("b"))
    let copy = try Database.open(folder.file("b"), options: options)
    try requireSound(copy, "the copy")
    let (expected, found) = (try content(database), try content(copy))
    #expect(found.keys.sorted() == expected.keys.sorted())
    for (name, entries) in expected { #expect(found[name] == entries, "\(name)") }
    let attributes = try FileManager.default.attributesOfItem(atPath: folder.file("b"))
    #expect(report.entryCount > 3000 && attributes[.size] as? Int == report.byteCount)
    // What is there works as before: typed trees know their codings, vectors their stamps.
    let ages = try copy.tree("ages", of: String.self, Int.self)
    #expect(try ages.lookup("Ada") == 36)
    #expect(errorCode { _ = try copy.tree("ages", of: Int.self, Int.self) } == .typeMismatch)
    let numbers = try RawVector<UInt64>.open("numbers", in: copy, version: 3)
    try numbers.rollback()
    #expect(try Array(numbers.reader()) == Array(0..<50_000))
    try CompressedVector<Double>.open("times", in: copy).rollback(to: 5)
    #expect(try CompressedVector<Double>.open("times", in: copy).reader().count == 70_000)
    try EntryStore(copy, "pictures").verify()
    // New lists get numbers that none has.
    try copy.region("new").append([1, 2, 3])
    #expect(try copy.region("region 1").readAll().count == 1)
    try requireSound(copy, "the copy, changed")
    try copy.close()
    try database.close()
    let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
    #expect(names.sorted() == ["a", "b"])
  }

  /// Two keys always have the same value, and a region as many bytes: so must the copies.
  @Test func itIsOfOneInstant() throws {
    let folder = try TemporaryFolder()
    let database = try Database.open(folder.file("a"))
    let isDone = Locked(false)
    let writer = try BackgroundThread(name: "writer") {
      var round = 0
      while !isDone.withLock({ $0 }) {
        round += 1
        try? database.write { transaction in
          try transaction.insert("first", "\(round)")
          try transaction.insert("last", "\(round)")
          try transaction.tree("counts").insert("count", "\(round)")
          try transaction.region("bytes").append([UInt8](repeating: 1, count: 1000))
        }
      }
    }
    while try database.lookup("first") == nil { SystemCalls.yieldThread() }
    for number in 0..<10 {
      try database.backUp(to: folder.file("copy \(number)"))
      let copy = try Database.open(folder.file("copy \(number)"))
      let round = try #require(try copy.lookup("first"))
      #expect(try copy.lookup("last") == round)
      #expect(try copy.tree("counts").lookup("count") == round)
      let count = try copy.region("bytes").count
      #expect("\(count / 1000)" == String(decoding: round, as: UTF8.self))
      try requireSound(copy, "copy \(number)")
      try copy.close()
    }
    isDone.withLock { $0 = true }
    writer.join()
    try database.close()
  }

  @Test func namesThatAreTaken() throws {
    let folder = try TemporaryFolder()
    let database = try Database.open(folder.file("a"))
    try database.insert("a", "1")
    try Data("kept".utf8).write(to: URL(filePath: folder.file("b")))
    #expect(errorCode { try database.backUp(to: folder.file("b")) } == .alreadyExists)
    #expect(errorCode { try database.backUp(to: folder.file("a")) } == .alreadyExists)
    #expect(try Data(contentsOf: URL(filePath: folder.file("b"))) == Data("kept".utf8))
    #expect(errorCode { try database.backUp(to: folder.file("no/where")) } == .notFound)
    // What a crash left is replaced, but not what somebody else is writing.
    let unfinished = folder.file("c.unfinished")
    try Data("torn".utf8).write(to: URL(filePath: unfinished))
    let other = try FileStorage.open(path: unfinished, access: .mustExist)
    #expect(errorCode { try database.backUp(to: folder.file("c")) } == .busy)
    other.close()
    try database.backUp(to: folder.file("c"))
    #expect(!FileManager.default.fileExists(atPath: unfinished))
    let copy = try Database.open(folder.file("c"))
    #expect(copy.count == 1)
    try copy.close()
    try database.close()
  }

  private struct Enough: Error {}

  @Test func endingEarlyLeavesNothing() throws {
    let folder = try TemporaryFolder()
    let database = try Database.open(folder.file("a"))
    try fill(database)
    var told: [Int] = []
    #expect(throws: Enough.self) {
      try database.backUp(to: folder.file("b")) { progress in
        told.append(progress.entryCount)
        if told.count == 2 { throw Enough() }
      }
    }
    #expect(told == [1000, 2000])
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["a"])
    var last: BackupProgress?
    try database.backUp(to: folder.file("b")) { last = $0 }
    #expect(last?.entryCount == last?.totalEntryCount)
    try database.close()
  }

  /// Whichever call to the new file fails: an error, and nothing half done.
  @Test func faultsOfTheNewFile() throws {
    let database = try openDatabase(in: MemoryStorage())
    try fill(database)
    let snapshot = try database.snapshot()
    var failures = 0
    for number in [1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610] {
      for isForever in [false, true] {
        let storage = FaultyStorage(try MemoryStorage())
        storage.failAt(number, PagerError(.diskFull, "full"), forever: isForever)
        let code = errorCode { _ = try snapshot.backUp(into: storage, progress: nil) }
        if !storage.failedCalls.isEmpty {
          failures += 1
          #expect(code != nil || !isForever, "call \(number)")
        } else {
          #expect(code == nil)
        }
      }
    }
    #expect(failures > 10)
    try requireSound(database, "the source")
    snapshot.close()
    try database.close()
  }

  /// Damage is told, not copied.
  @Test func damageIsNotCopied() throws {
    let memory = try MemoryStorage()
    var options = Database.Options()
    options.pageSize = 4096
    let database = try openDatabase(in: memory, options, hasBackgroundThreads: false)
    try database.region("bytes").append([UInt8](repeating: 7, count: 300_000))
    try database.insert("long", [UInt8](repeating: 9, count: 300_000))
    try database.close()
    var noticed = 0
    let bytes = memory.copyOfContents()
    for page in 4..<bytes.count / 4096 {
      var damaged = bytes
      damaged[page * 4096 + 77] ^= 4
      guard
        let again = try? openDatabase(
          in: MemoryStorage(contents: damaged), options, hasBackgroundThreads: false)
      else { continue }
      let target = try MemoryStorage()
      let code = errorCode {
        _ = try again.read { try $0.backUp(into: target, progress: nil) }
      }
      if code == .corrupted { noticed += 1 } else { #expect(code == nil, "page \(page)") }
      again.abandon()
    }
    // The bytes of both take 74 pages each.
    #expect(noticed >= 148, "\(noticed)")
  }
}
