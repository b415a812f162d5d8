@testable import BTreeKV
import Foundation
import Pager
import Regions
import TestSupport
import Testing

/// Databases whose files are entries or regions of others, opened where they lie.
@Suite struct NestedDatabaseTests {
  /// How a file's bytes come to be in another database.
  enum Place: String, CaseIterable, CustomTestStringConvertible {
    /// At a multiple of 64 bytes that is none of a page.
    case entry
    /// In chunks of its own.
    case streamedEntry
    case region

    var testDescription: String { rawValue }
  }

  private func open(_ folder: TemporaryFolder, _ name: String) throws -> Database {
    var options = Database.Options()
    options.durability = .flush
    return try Database.open(folder.file(name), options: options)
  }

  private func contents(_ folder: TemporaryFolder, _ name: String) throws -> [UInt8] {
    [UInt8](try Data(contentsOf: URL(fileURLWithPath: folder.file(name))))
  }

  /// Stores a file in a database, and opens it there.
  private func nest(
    _ file: [UInt8], in database: Database, _ place: Place, as key: String = "file"
  ) throws -> Database {
    if place == .region {
      let region = try database.region(key)
      try region.append(file)
      return try Database.open(in: try region.reader())
    }
    let store = try EntryStore(database, "files")
    try store.write("before \(key)", [1, 2, 3])
    if place == .entry {
      try store.write(key, file)
    } else {
      let pieces = stride(from: 0, to: file.count, by: 50_000).map {
        Array(file[$0..<min(file.count, $0 + 50_000)])
      }
      try store.write(key, from: pieces)
    }
    return try Database.open(in: try #require(try store.read(key)))
  }

  private func bytes(of reader: RegionReader) -> [UInt8] {
    reader.bytes.withUnsafeBytes { Array($0) }
  }

  private func sampleFile(
    _ folder: TemporaryFolder, _ sample: NestedSample, isMixed: Bool = false
  ) throws -> [UInt8] {
    let database = try open(folder, "inner")
    try sample.fill(database, isMixed: isMixed)
    try database.close()
    return try contents(folder, "inner")
  }

  // MARK: Reading

  @Test(arguments: Place.allCases, [0, 1])
  func contentReadsRight(_ place: Place, scale: Int) throws {
    let folder = try TemporaryFolder()
    let sample = NestedSample(seed: 11, scale: scale)
    let file = try sampleFile(folder, sample)
    try require(scale == 0 || file.count > 20 << 16, "only \(file.count) bytes")
    let outer = try open(folder, "outer")
    let nested = try nest(file, in: outer, place)
    try sample.check(nested)
    #expect(try nested.statistics().fileByteCount == file.count)
    try nested.close()
    #expect(errorCode { _ = try nested.lookup("key 00000") } == .closed)
    try requireSound(outer, "the outer file")
    try outer.close()
    // From the file alone, opened for reading.
    var options = Database.Options()
    options.mode = .readOnly
    let again = try Database.open(folder.file("outer"), options: options)
    let found =
      place == .region
      ? try Database.open(in: try #require(try again.existingRegion("file")).reader())
      : try Database.open(
        in: try #require(try again.existingEntryStore("files")?.read("file")))
    try sample.check(found)
    try found.close()
    try again.close()
  }

  /// Bytes of regions and entries of a nested file are the outer entry's own.
  @Test func nothingIsCopiedWhereChunksLieSideBySide() throws {
    let folder = try TemporaryFolder()
    let sample = NestedSample(seed: 5, scale: 1)
    let outer = try open(folder, "outer")
    _ = try nest(try sampleFile(folder, sample), in: outer, .entry)
    let entry = try #require(try EntryStore(outer, "files").read("file"))
    let nested = try Database.open(in: entry)
    let store = try #require(try nested.existingEntryStore("store"))
    for key in ["entry 00003", "entry 00007", "entry 00299"] {
      let inner = try #require(try store.read(key))
      let isInside = entry.bytes.withUnsafeBytes { outside in
        inner.bytes.withUnsafeBytes { inside in
          guard let start = outside.baseAddress, let place = inside.baseAddress else {
            return false
          }
          return place >= start && place + inside.count <= start + outside.count
        }
      }
      #expect(isInside, "\(key) is a copy")
    }
    let reader = try #require(try nested.existingRegion("region")).reader()
    #expect(!reader.isCopy)
    #expect(bytes(of: reader) == sample.region)
    // A file that is only read needs no addresses to grow into.
    #expect(nested.pager.pool.pageCountLimit << 12 == 1 << 30)
  }

  @Test(arguments: Place.allCases)
  func chunksHereAndThereReadRight(_ place: Place) throws {
    let folder = try TemporaryFolder()
    let sample = NestedSample(seed: 6, scale: 1)
    let outer = try open(folder, "outer")
    let nested = try nest(try sampleFile(folder, sample, isMixed: true), in: outer, place)
    let reader = try #require(try nested.existingRegion("region")).reader()
    try require(reader.isCopy, "the chunks lie side by side: this tests nothing")
    #expect(bytes(of: reader) == sample.region)
    try sample.check(nested)
    let store = try #require(try nested.existingEntryStore("store"))
    #expect(try store.lastEntry?.key == Array("entry 00299".utf8))
  }

  @Test func twoDeep() throws {
    let folder = try TemporaryFolder()
    let sample = NestedSample(seed: 7, scale: 1)
    let innermost = try sampleFile(folder, sample)
    for (number, (first, second)) in [
      (Place.entry, Place.streamedEntry), (.streamedEntry, .region), (.region, .entry),
    ].enumerated() {
      let middle = try open(folder, "middle \(number)")
      try middle.insert("level", "middle")
      _ = try nest(innermost, in: middle, first)
      try middle.close()
      let outer = try open(folder, "outer \(number)")
      let nested = try nest(try contents(folder, "middle \(number)"), in: outer, second)
      #expect(try nested.lookup("level") == Array("middle".utf8))
      let deepest =
        first == .region
        ? try Database.open(in: try #require(try nested.existingRegion("file")).reader())
        : try Database.open(
          in: try #require(try nested.existingEntryStore("files")?.read("file")))
      // What is read from keeps all that it lies in.
      try nested.close()
      try sample.check(deepest)
      try deepest.close()
      try outer.close()
    }
  }

  // MARK: Writing

  @Test(arguments: [Place.entry, .region])
  func changesAreRefused(_ place: Place) throws {
    let folder = try TemporaryFolder()
    let sample = NestedSample(seed: 8, scale: 0)
    let file = try sampleFile(folder, sample)
    let outer = try open(folder, "outer")
    let nested = try nest(file, in: outer, place)
    let region = try #require(try nested.existingRegion("region"))
    let store = try #require(try nested.existingEntryStore("store"))
    let changes: [(String, () throws -> Void)] = [
      ("insert", { try nested.insert("key", "value") }),
      ("remove", { try nested.remove("key 00000") }),
      ("write", { _ = try nested.write { try $0.insert("key", "value") } }),
      ("append", { try region.append([1]) }),
      ("truncate", { try region.truncate(to: 0) }),
      ("remove region", { try nested.removeRegion("region") }),
      ("new store", { _ = try EntryStore(nested, "new") }),
      ("write entry", { try store.write("key", "value") }),
      ("write long entry", { try store.write("key", [UInt8](repeating: 1, count: 500_000)) }),
      ("stream", { try store.write("key") { try $0.write([1]) } }),
      ("remove entry", { try store.remove("entry 00001") }),
      ("compact store", { try store.compact() }),
      ("checkpoint", { try nested.checkpoint() }),
      ("compact", { try nested.compact() }),
    ]
    for (what, change) in changes { #expect(errorCode(change) == .readOnly, "\(what)") }
    #expect(errorCode { _ = try nested.tree("new") } == .notFound)
    #expect(errorCode { _ = try nested.region("new") } == .readOnly)
    try sample.check(nested)
    try nested.close()
    let stored =
      place == .region
      ? try outer.existingRegion("file")?.readAll()
      : try outer.existingEntryStore("files")?.read("file")?.array
    #expect(stored == file)
    // The mode that was asked for does not matter.
    var options = Database.Options()
    options.mode = .mustNotExist
    if place == .region {
      let reader = try #require(try outer.existingRegion("file")).reader()
      try sample.check(try Database.open(in: reader, options: options))
    }
  }

  // MARK: Files that can't be opened

  /// What opening some bytes in an entry and in a region throws; the same for both.
  private func failure(_ file: [UInt8]) throws -> DatabaseError? {
    let outer = try openDatabase(in: try MemoryStorage())
    var errors: [DatabaseError] = []
    for place in [Place.entry, .streamedEntry, .region] {
      do {
        _ = try nest(file, in: outer, place)
      } catch let error as DatabaseError {
        errors.append(error)
      }
    }
    try require(errors.count % 3 == 0, "only some places fail: \(errors)")
    try require(Set(errors.map(\.code)).count <= 1, "the places differ: \(errors)")
    return errors.first
  }

  @Test func aFileThatWasNotClosed() throws {
    let folder = try TemporaryFolder()
    let database = try open(folder, "inner")
    try database.insert("key", "value")
    database.abandon()
    let file = try contents(folder, "inner")
    let error = try #require(try failure(file))
    #expect(error.code == .needsRecovery)
    #expect(error.message.contains("not closed the nested file"), "\(error)")
    #expect(error.path == "entry \"file\"")
    // As it says: open it, close it, store it.
    try open(folder, "inner").close()
    #expect(try failure(try contents(folder, "inner")) == nil)
  }

  @Test func bytesThatAreNoDatabase() throws {
    var random = SeededRandom(seed: 9)
    for count in [0, 1, 511, 4096, 200_000] {
      #expect(try failure(random.bytes(count))?.code == .notADatabase, "\(count) bytes")
      let zeros = [UInt8](repeating: 0, count: count)
      #expect(try failure(zeros)?.code == .notADatabase, "\(count) zeros")
    }
  }

  @Test func filesThatWereCutOff() throws {
    let folder = try TemporaryFolder()
    let file = try sampleFile(folder, NestedSample(seed: 10, scale: 1))
    for count in [file.count - 1, file.count / 2, 8192, 4096 + 512, 512] {
      let error = try #require(try failure(Array(file[..<count])))
      #expect(error.code == .corrupted, "\(count) bytes: \(error)")
    }
  }

  /// Damage of each page of a small file is an error of opening, reading or verifying, or has no
  /// effect; and the outer file stays well.
  @Test func damagedFiles() throws {
    let folder = try TemporaryFolder()
    let sample = NestedSample(seed: 12, scale: 0)
    let file = try sampleFile(folder, sample)
    let outer = try openDatabase(in: try MemoryStorage())
    var foundCount = 0
    for page in 0..<file.count / 4096 {
      var damaged = file
      damaged[page * 4096 + 100] ^= 0x40
      do {
        let nested = try nest(damaged, in: outer, .entry, as: "page \(page)")
        if try !nested.verify().isSound { foundCount += 1 }
        try nested.close()
      } catch let error as DatabaseError {
        try require(error.code == .corrupted, "page \(page): \(error)")
        foundCount += 1
      }
    }
    // The superblocks, a leaf each of keys, catalogue, names, chunks, places, and more.
    #expect(foundCount >= 7)
    var damaged = file
    for offset in [100, 4096 + 100] { damaged[offset] ^= 1 }
    #expect(try failure(damaged)?.code == .corrupted)
    try requireSound(outer, "the outer file")
  }

  // MARK: Holding on

  /// What the nested file lies in is removed, its store compacted and removed, its pages wanted for
  /// other things, and the file shortened: none of this touches what is held.
  @Test(arguments: Place.allCases)
  func aNestedFileOutlivesItsEntry(_ place: Place) throws {
    let folder = try TemporaryFolder()
    let sample = NestedSample(seed: 13, scale: 1)
    let file = try sampleFile(folder, sample)
    let outer = try open(folder, "outer")
    let nested = try nest(file, in: outer, place)
    let store = try EntryStore(outer, "files")
    try store.write("other", [9])
    if place == .region { try outer.removeRegion("file") }
    try store.remove("file")
    if place != .region { #expect(try store.compact() > file.count / 2) }
    var random = SeededRandom(seed: 14)
    for round in 0..<3 {
      try outer.checkpoint()
      try store.write("round \(round)", random.bytes(file.count))
      try outer.region("round \(round)").append(random.bytes(file.count))
      try sample.check(nested)
    }
    try outer.compact()
    try sample.check(nested)
    try outer.removeEntryStore("files")
    try outer.checkpoint()
    try outer.insert("long", random.bytes(file.count))
    try sample.check(nested)
    #expect(try outer.statistics().mappedPageCount > 0)
    try nested.close()
    try requireSound(outer, "the outer file")
    try outer.close()
  }

  /// Once nothing is read from a nested file any more, its pages can be used again.
  @Test func pagesAreGivenBack() throws {
    let folder = try TemporaryFolder()
    let file = try sampleFile(folder, NestedSample(seed: 15, scale: 1))
    let outer = try open(folder, "outer")
    var nested: Database? = try nest(file, in: outer, .region)
    var entry = try nested?.existingEntryStore("store")?.read("entry 00007")
    try outer.removeRegion("file")
    // What the removal freed is free once no log names it.
    for round in 0..<2 {
      try outer.insert("round", "\(round)")
      try outer.checkpoint()
    }
    try nested?.close()
    nested = nil
    // An entry of the nested file is still there, and with it the file.
    #expect(entry?.count == 400_000)
    try #require(entry).verify()
    #expect(try outer.statistics().mappedPageCount > 0)
    entry = nil
    #expect(try outer.statistics().mappedPageCount == 0)
    try outer.close()
  }

  /// Many threads read while the outer file is written and compacted.
  @Test func readersBesideAnOuterWriter() throws {
    let folder = try TemporaryFolder()
    let sample = NestedSample(seed: 16, scale: 0)
    let file = try sampleFile(folder, sample)
    let outer = try open(folder, "outer")
    let nested = try nest(file, in: outer, .streamedEntry)
    let store = try EntryStore(outer, "files")
    let failures = Locked<[String]>([])
    let threads = try (0..<3).map { number in
      try BackgroundThread(name: "reader \(number)") {
        do {
          for _ in 0..<10 { try sample.check(nested) }
        } catch {
          failures.withLock { $0.append("\(error)") }
        }
      }
    }
    try store.remove("file")
    for round in 0..<20 {
      try store.write("round", [UInt8](repeating: UInt8(round), count: 100_000))
      try store.compact()
      try outer.checkpoint()
    }
    for thread in threads { thread.join() }
    #expect(failures.withLock { $0 } == [])
    try outer.close()
  }

  /// In a transaction an entry is a copy, and so is what is opened in it.
  @Test func inATransaction() throws {
    let folder = try TemporaryFolder()
    let sample = NestedSample(seed: 17, scale: 0)
    let file = try sampleFile(folder, sample)
    let outer = try open(folder, "outer")
    var nested: Database?
    try outer.write { transaction in
      let store = try transaction.entryStore("files")
      try store.write("file", file)
      nested = try Database.open(in: try #require(try store.read("file")))
      try store.remove("file")
    }
    try sample.check(try #require(nested))
    try outer.close()
  }
}
