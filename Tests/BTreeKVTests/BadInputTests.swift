import BTreeKV
import Foundation
import Pager
import TestSupport
import Testing

/// Calls that ask for what can't be had, sizes at the edges, and a disk that fills up.
@Suite struct BadInputTests {
  private func options(_ mode: Database.OpenMode) -> Database.Options {
    var options = tightOptions()
    options.mode = mode
    return options
  }

  /// PROTOCOL E3: one writer, or readers.
  @Test func secondOpenerIsBusy() throws {
    let folder = try TemporaryFolder()
    let path = folder.file()
    let database = try Database.open(path, options: tightOptions())
    try database.insert("key", "value")
    for mode in [Database.OpenMode.createIfMissing, .mustExist, .readOnly] {
      #expect(errorCode { _ = try Database.open(path, options: options(mode)) } == .busy, "\(mode)")
    }
    #expect(
      errorCode { _ = try Database.open(path, options: options(.mustNotExist)) } == .alreadyExists)
    #expect(try database.lookup("key") == Array("value".utf8))
    try database.close()
    let reader = try Database.open(path, options: options(.readOnly))
    let other = try Database.open(path, options: options(.readOnly))
    #expect(errorCode { _ = try Database.open(path, options: options(.mustExist)) } == .busy)
    #expect(try other.lookup("key") == Array("value".utf8))
    try reader.close()
    try other.close()
    try Database.open(path, options: options(.mustExist)).close()
  }

  @Test func pathsThatLeadNowhere() throws {
    let folder = try TemporaryFolder()
    for mode in [Database.OpenMode.createIfMissing, .mustExist, .readOnly] {
      let found = errorCode { _ = try Database.open(folder.path, options: options(mode)) }
      #expect(found == .notADatabase, "a directory, \(mode)")
    }
    let modes = [Database.OpenMode.createIfMissing, .mustExist, .mustNotExist, .readOnly]
    for mode in modes {
      let path = folder.file("missing/test.btreekv")
      let found = errorCode { _ = try Database.open(path, options: options(mode)) }
      #expect(found == .notFound, "a missing parent, \(mode)")
    }
    for mode in [Database.OpenMode.mustExist, .readOnly] {
      let path = folder.file()
      #expect(errorCode { _ = try Database.open(path, options: options(mode)) } == .notFound)
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
  }

  @Test func readOnlyHandleRefusesChanges() throws {
    let folder = try TemporaryFolder()
    let path = folder.file()
    let writer = try Database.open(path, options: tightOptions())
    try writer.insert("key", "value")
    try writer.close()
    let before = try Data(contentsOf: URL(filePath: path))
    let reader = try Database.open(path, options: options(.readOnly))
    let large = [UInt8](repeating: 1, count: 100_000)
    #expect(errorCode { try reader.insert("key", "other") } == .readOnly)
    #expect(errorCode { try reader.insert("new", large) } == .readOnly)
    #expect(errorCode { try reader.remove("key") } == .readOnly)
    #expect(errorCode { try reader.checkpoint() } == .readOnly)
    #expect(try reader.lookup("key") == Array("value".utf8))
    #expect(reader.count == 1)
    try requireSound(reader, "no seed, read-only")
    try reader.close()
    #expect(try Data(contentsOf: URL(filePath: path)) == before)
  }

  @Test func closedHandleAnswersNothing() throws {
    let database = try openDatabase(in: MemoryStorage())
    try database.insert("key", "value")
    try database.close()
    try database.close()
    let large = [UInt8](repeating: 1, count: 100_000)
    #expect(errorCode { try database.insert("key", "value") } == .closed)
    #expect(errorCode { try database.insert("key", large) } == .closed)
    #expect(errorCode { try database.remove("key") } == .closed)
    #expect(errorCode { _ = try database.lookup("key") } == .closed)
    #expect(errorCode { _ = try database.contains("key") } == .closed)
    #expect(errorCode { _ = try database.withValue(of: "key") { _ in 0 } } == .closed)
    #expect(errorCode { _ = try database.min() } == .closed)
    #expect(errorCode { _ = try database.max() } == .closed)
    #expect(errorCode { _ = try database.above("a") } == .closed)
    #expect(errorCode { _ = try database.floor("z") } == .closed)
    #expect(errorCode { try database.forEach { _, _ in .next } } == .closed)
    #expect(errorCode { _ = try database.cursor() } == .closed)
    #expect(errorCode { try database.checkpoint() } == .closed)
    #expect(errorCode { try database.waitUntilDurable() } == .closed)
    #expect(errorCode { _ = try database.verify() } == .closed)
    #expect(errorCode { _ = try database.statistics() } == .closed)
  }

  /// A cursor made before may show what is still in memory, but nothing else than was there.
  @Test(arguments: [false, true]) func cursorOutlivesClosing(isReversed: Bool) throws {
    let storage = try MemoryStorage()
    let database = try openDatabase(in: storage)
    var model = Model()
    for number in 0..<3000 {
      let value = [UInt8](repeating: UInt8(number % 251), count: number % 500 == 7 ? 9000 : 100)
      try database.insert("key \(number)", value)
      model.insert(Array("key \(number)".utf8), value)
    }
    let cursor = try database.cursor(reversed: isReversed)
    for number in 0..<3000 where number % 3 > 0 { try database.remove("key \(number)") }
    try database.close()
    // Who opens next reuses the pages that the cursor's snapshot needs.
    let next = try openDatabase(in: storage.reopen())
    for number in 0..<2000 { try next.insert("other \(number)", "\(number)") }
    try next.close()
    var index = 0
    do throws(DatabaseError) {
      while let (key, value) = try cursor.next() {
        let expected = model.entry(isReversed ? model.count - 1 - index : index)
        #expect(equalBytes(key, expected?.key) && equalBytes(value, expected?.value))
        index += 1
      }
      #expect(index == model.count)
    } catch {
      #expect(error.code == .closed, "\(error)")
    }
  }

  @Test(arguments: [4096, 8192, 65536]) func longestKey(pageSize: Int) throws {
    let storage = try MemoryStorage()
    var database = try openDatabase(in: storage, tightOptions(pageSize: pageSize))
    let limit = database.maximumKeyByteCount
    #expect(limit == pageSize / 4)
    let long = [UInt8](repeating: 0x6B, count: limit + 1)
    #expect(errorCode { try database.insert(long, "value") } == .keyTooLong)
    #expect(errorCode { try database.insert(long, "") } == .keyTooLong)
    #expect(database.isEmpty)
    #expect(try database.lookup(long) == nil)
    #expect(try !database.contains(long))
    #expect(try !database.remove(long))
    #expect(try database.above(long) == nil)
    var model = Model()
    for number in 0..<200 {
      // Differing at the end, so that pages have the longest prefixes.
      var key = [UInt8](repeating: 0x6B, count: limit)
      key[limit - 1] = UInt8(number)
      try database.insert(key, [UInt8](repeating: 5, count: number))
      model.insert(key, [UInt8](repeating: 5, count: number))
    }
    try database.insert("", "the empty key")
    model.insert([], Array("the empty key".utf8))
    #expect(try database.below(long)?.key == model.below(long)?.key)
    try requireEqual(database, model, "no seed, page size \(pageSize)")
    try database.close()
    database = try openDatabase(in: storage.reopen())
    try requireEqual(database, model, "no seed, page size \(pageSize), reopened")
    try requireSound(database, "no seed, page size \(pageSize), reopened")
    try database.close()
  }

  @Test(arguments: [4096, 65536]) func valueSizes(pageSize: Int) throws {
    var random = SeededRandom(seed: runSeed)
    let storage = try MemoryStorage()
    var database = try openDatabase(in: storage, tightOptions(pageSize: pageSize))
    var model = Model()
    func store(_ key: [UInt8], _ count: Int) throws {
      let value = random.bytes(count)
      try database.insert(key, value)
      model.insert(key, value)
    }
    let inline = pageSize / 4
    let chunk = 64 << 10
    let sizes =
      [0, 1, 253, 254, 255, 256, inline - 1, inline, inline + 1, pageSize - 1, pageSize]
      + [pageSize + 1, chunk - 8, chunk - 1, chunk, chunk + 1, 2 * chunk, 2 * chunk + 1]
      + [1 << 20, 1 << 20 + 1, (1 << 20) + 4096]
    for size in sizes { try store(Array("size \(size)".utf8), size) }
    // With the longest keys, cells are limited before values are.
    for size in stride(from: inline - 160, to: inline + 20, by: 3) {
      var key = [UInt8](repeating: 7, count: inline)
      key[0] = UInt8(truncatingIfNeeded: size)
      key[1] = UInt8(truncatingIfNeeded: size >> 8)
      try store(key, size)
    }
    // One key's value through all sizes, up and down.
    for size in sizes + sizes.reversed() { try store(Array("one".utf8), size) }
    for (key, value) in zip(model.keys, model.values) {
      #expect(equalBytes(try database.lookup(key), value), "\(hex(key)), \(value.count) bytes")
    }
    try requireSound(database, "seed \(runSeed)")
    try database.close()
    database = try openDatabase(in: storage.reopen())
    try requireEqual(database, model, "seed \(runSeed), page size \(pageSize)")
    try requireSound(database, "seed \(runSeed), reopened")
    for key in model.keys { #expect(try database.remove(key)) }
    #expect(database.isEmpty)
    try requireSound(database, "seed \(runSeed), emptied")
    try database.close()
  }
}

/// A disk that fills up: PROTOCOL C7.
@Suite struct BadInputFullDiskTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var durability: Database.Durability
    var hasThreads: Bool
    var seed: UInt64
    var testDescription: String {
      "\(durability), \(hasThreads ? "with" : "without") threads, seed \(seed)"
    }
  }

  static let cases: [Case] = [Database.Durability.flush, .sync].flatMap { durability in
    [false, true].flatMap { hasThreads in
      (0..<3 as Range<UInt64>).map {
        Case(durability: durability, hasThreads: hasThreads, seed: runSeed &+ $0)
      }
    }
  }

  private struct Writer {
    let database: Database
    var random: SeededRandom
    var model = Model()

    /// Makes a change; returns what it was refused with.
    mutating func change(_ count: Int) -> DatabaseError? {
      let key = Array("key \(random.below(3000))".utf8)
      do throws(DatabaseError) {
        if random.chance(15) {
          try database.remove(key)
          model.remove(key)
        } else {
          let value = random.bytes(random.chance(5) ? 5000 + random.below(count) : 900)
          try database.insert(key, value)
          model.insert(key, value)
        }
        return nil
      } catch {
        return error
      }
    }
  }

  /// Everything acknowledged is there when the disk is full, when it no longer is, after the death
  /// of a process and after closing.
  @Test(arguments: cases) func nothingIsLost(_ test: Case) throws {
    let storage = try MemoryStorage(capacityByteCount: 1 << 20 + Int(test.seed % 7) << 12)
    let options = tightOptions(durability: test.durability)
    var database = try openDatabase(
      in: storage, options, hasBackgroundThreads: test.hasThreads)
    var writer = Writer(database: database, random: SeededRandom(seed: test.seed))
    for round in 0..<3 {
      let context = "\(test.testDescription), round \(round)"
      var refusal: DatabaseError?
      for _ in 0..<20_000 where refusal == nil { refusal = writer.change(60_000) }
      #expect(refusal?.code == .diskFull, "\(context): \(String(describing: refusal))")
      // Insisting changes nothing.
      for _ in 0..<50 {
        if let error = writer.change(200) { #expect(error.code == .diskFull, "\(context)") }
      }
      try requireEqual(database, writer.model, "\(context), full")
      try requireSound(database, "\(context), full")
      if !test.hasThreads {
        let image = try MemoryStorage(contents: storage.copyOfContents())
        let recovered = try openDatabase(in: image, options, hasBackgroundThreads: false)
        try requireEqual(recovered, writer.model, "\(context), recovered")
        try requireSound(recovered, "\(context), recovered")
        try recovered.close()
      }
      storage.capacityByteCount += 2 << 20
      for number in 0..<100 {
        let error = writer.change(2000)
        try require(error == nil, "\(context), with room, \(number): \(String(describing: error))")
      }
      try requireEqual(database, writer.model, "\(context), with room")
      try requireSound(database, "\(context), with room")
    }
    storage.capacityByteCount = 64 << 20
    try database.close()
    database = try openDatabase(in: storage.reopen(), options)
    try requireEqual(database, writer.model, "\(test.testDescription), reopened")
    try requireSound(database, "\(test.testDescription), reopened")
    try database.close()
  }
}
