import BTreeKV
import Foundation
import Pager
import TestSupport
import Testing

/// Files that are none, are cut off, or were damaged.
@Suite struct BadInputFileTests {
  private static func options(_ mode: Database.OpenMode) -> Database.Options {
    var options = tightOptions()
    options.mode = mode
    return options
  }

  /// The error of opening a file of these bytes; nil when it opens.
  private func refusal(
    _ bytes: [UInt8], _ mode: Database.OpenMode = .mustExist
  ) throws -> DatabaseError? {
    let folder = try TemporaryFolder()
    let path = folder.file()
    try Data(bytes).write(to: URL(filePath: path))
    do throws(DatabaseError) {
      try Database.open(path, options: Self.options(mode)).close()
      return nil
    } catch {
      #expect(!error.message.isEmpty)
      #expect(error.path == path)
      let after = try Data(contentsOf: URL(filePath: path))
      #expect(Array(after) == bytes, "what is refused is not changed")
      return error
    }
  }

  /// The bytes of a closed file, and what it holds.
  private static func closedFile(
    entryCount: Int, largeByteCounts: [Int] = [6001], seed: UInt64 = runSeed
  ) throws -> (bytes: [UInt8], model: Model) {
    var random = SeededRandom(seed: seed)
    var model = Model()
    for number in 0..<entryCount {
      model.insert(Array("key \(number * 7919 % 10_007)".utf8), random.bytes(random.below(80)))
    }
    for count in largeByteCounts {
      model.insert(Array("large \(count)".utf8), random.bytes(count))
    }
    let storage = try MemoryStorage()
    var options = tightOptions(durability: .none)
    options.cacheByteCount = 4 << 20
    let database = try openDatabase(in: storage, options, hasBackgroundThreads: false)
    for (key, value) in zip(model.keys, model.values) { try database.insert(key, value) }
    try database.close()
    return (storage.reopen().copyOfContents(), model)
  }

  @Test func emptyFile() throws {
    for mode in [Database.OpenMode.mustExist, .readOnly] {
      #expect(try refusal([], mode)?.code == .notADatabase, "\(mode)")
    }
    #expect(try refusal([], .mustNotExist)?.code == .alreadyExists)
    let folder = try TemporaryFolder()
    let path = folder.file()
    try Data().write(to: URL(filePath: path))
    var database = try Database.open(path, options: Self.options(.createIfMissing))
    #expect(database.isEmpty)
    try database.insert("key", "value")
    try database.close()
    database = try Database.open(path, options: Self.options(.mustExist))
    #expect(try database.lookup("key") == Array("value".utf8))
    try requireSound(database, "no seed")
    try database.close()
  }

  @Test func otherFiles() throws {
    let line = "A letter to somebody about something else altogether.\n"
    let text = Array(String(repeating: line, count: 5000).utf8)
    for count in [1, 2, 15, 16, 17, 511, 512, 513, 4095, 4096, 5000, 70_000, text.count] {
      for mode in [Database.OpenMode.mustExist, .createIfMissing, .readOnly] {
        let error = try refusal(Array(text[..<count]), mode)
        #expect(error?.code == .notADatabase, "\(count) bytes of text, \(mode)")
      }
    }
  }

  @Test func shortFile() throws {
    let (bytes, _) = try Self.closedFile(entryCount: 50)
    for count in [1, 15, 16, 100, 503, 511] {
      #expect(try refusal(Array(bytes[..<count])) != nil, "\(count) bytes")
      #expect(try refusal(Array(bytes[..<count]), .createIfMissing) != nil, "\(count) bytes")
    }
    for count in [512, 513, 4095, 4097, 4608, bytes.count - 1] {
      #expect(try refusal(Array(bytes[..<count]))?.code == .corrupted, "\(count) bytes")
    }
  }

  @Test func cutOffAtEachPage() throws {
    let (bytes, _) = try Self.closedFile(entryCount: 300)
    #expect(bytes.count % 4096 == 0)
    for page in 1..<bytes.count / 4096 {
      for mode in [Database.OpenMode.mustExist, .createIfMissing] {
        let error = try refusal(Array(bytes[..<(page * 4096)]), mode)
        #expect(error?.code == .corrupted, "\(page) pages, \(mode)")
      }
    }
    #expect(try refusal(bytes) == nil)
  }

  /// Changes both superblocks, and gives them the right checksum if asked to.
  private func edited(_ bytes: [UInt8], sealed: Bool, _ edit: (inout [UInt8]) -> Void) -> [UInt8] {
    var bytes = bytes
    for offset in [0, 4096] {
      var block = Array(bytes[offset..<offset + 512])
      edit(&block)
      if sealed {
        block.withUnsafeMutableBytes { raw in
          let sum = checksum64(UnsafeRawBufferPointer(rebasing: raw[..<504]), seed: 0)
          raw.storeBytes(of: sum.littleEndian, toByteOffset: 504, as: UInt64.self)
        }
      }
      bytes.replaceSubrange(offset..<offset + 512, with: block)
    }
    return bytes
  }

  @Test func editedSuperblocks() throws {
    let (bytes, _) = try Self.closedFile(entryCount: 50)
    #expect(edited(bytes, sealed: true) { _ in } == bytes, "the checksum is understood")
    for sealed in [false, true] {
      let wrongMagic = edited(bytes, sealed: sealed) { $0[3] ^= 0x20 }
      #expect(try refusal(wrongMagic)?.code == .notADatabase)
      #expect(try refusal(wrongMagic, .createIfMissing)?.code == .notADatabase)
    }
    for version in [0, 1, 3, 255] as [UInt8] {
      for mode in [Database.OpenMode.mustExist, .createIfMissing, .readOnly] {
        let newer = edited(bytes, sealed: true) { $0[16] = version }
        #expect(try refusal(newer, mode)?.code == .unsupportedVersion, "version \(version)")
      }
    }
    let features = edited(bytes, sealed: true) { $0[24] = 1 }
    #expect(try refusal(features)?.code == .unsupportedVersion)
    let compatible = edited(bytes, sealed: true) { $0[20] = 1 }
    #expect(try refusal(compatible) == nil)
    for offset in 16..<512 {
      let damaged = edited(bytes, sealed: false) { $0[offset] ^= 0x10 }
      #expect(try refusal(damaged)?.code == .corrupted, "byte \(offset) of both")
    }
  }

  /// Whichever byte of one superblock rots, the other one serves, and heals it.
  @Test(arguments: [0, 4096]) func oneDamagedSuperblock(at start: Int) throws {
    var random = SeededRandom(seed: runSeed)
    let (bytes, model) = try Self.closedFile(entryCount: 100)
    for offset in 0..<512 {
      var damaged = bytes
      damaged[start + offset] ^= UInt8(1 + random.below(255))
      let storage = try MemoryStorage(contents: damaged)
      let context = "seed \(runSeed), byte \(start + offset)"
      let database = try openDatabase(
        in: storage, Self.options(.mustExist), hasBackgroundThreads: false)
      try requireEqual(database, model, context)
      if offset % 16 == 0 { try requireSound(database, context) }
      let healed = storage.copyOfContents()
      #expect(Array(healed[0..<512]) == Array(healed[4096..<4608]), "\(context)")
      try database.close()
    }
  }

  /// PROTOCOL F4: one byte changed anywhere ends in the right answer or in a `DatabaseError`.
  @Test(arguments: 0..<6) func oneChangedByte(part: Int) throws {
    let (bytes, model) = try Self.closedFile(
      entryCount: 2000, largeByteCounts: [60_001, 140_003])
    for number in 0..<50 * lengthFactor {
      let seed = runSeed &+ UInt64(part * 50 * lengthFactor + number)
      var random = SeededRandom(seed: seed)
      let offset = random.below(bytes.count)
      var damaged = bytes
      damaged[offset] ^= UInt8(1 + random.below(255))
      let context = "seed \(seed), byte \(offset) (page \(offset / 4096) + \(offset % 4096))"
      let storage = try MemoryStorage(contents: damaged)
      let database: Database
      do {
        database = try openDatabase(
          in: storage, Self.options(.mustExist), hasBackgroundThreads: false)
      } catch {
        try require(error.code == .corrupted, "\(context): \(error)")
        continue
      }
      try checkAnswers(database, model, context)
      try? database.close()
    }
  }

  private func checkAnswers(_ database: Database, _ model: Model, _ context: String) throws {
    var problems: [String] = []
    for (key, value) in zip(model.keys, model.values) {
      do {
        let found = try database.lookup(key)
        try require(
          equalBytes(found, value),
          "\(context): lookup of \(hex(key)) gave \(hex(found)), expected \(hex(value))")
      } catch let error as DatabaseError {
        try require(error.code == .corrupted, "\(context): \(error)")
        problems.append("\(error)")
      }
    }
    var index = 0
    do {
      try database.forEach { key, value in
        let key = key.withUnsafeBytes { Array($0) }
        let value = value.withUnsafeBytes { Array($0) }
        let expected = model.entry(index)
        try require(
          equalBytes(key, expected?.key) && equalBytes(value, expected?.value),
          "\(context): entry \(index) is \(hex(key)) = \(hex(value))")
        index += 1
        return .next
      }
      try require(index == model.count, "\(context): only \(index) entries, and no error")
    } catch let error as DatabaseError {
      try require(error.code == .corrupted, "\(context): \(error)")
      problems.append("\(error)")
    }
    // A lazy sequence comes to the end, or says why not.
    for entries in [database.range(), database.range().reversed()] {
      var index = 0
      for (key, value) in entries {
        try require(
          equalBytes(value, model.lookup(key)), "\(context): \(hex(key)) in a sequence")
        index += 1
      }
      let failure = entries.failure
      try require(
        index == model.count && failure == nil || failure?.code == .corrupted,
        "\(context): a sequence of \(index) entries, and \(String(describing: failure))")
    }
    do {
      let report = try database.verify()
      try require(
        !report.isSound || problems.isEmpty && database.count == model.count,
        "\(context): verify is content, but \(problems.prefix(3).joined(separator: "; "))")
    } catch let error as DatabaseError {
      try require(error.code == .corrupted, "\(context): verify: \(error)")
    }
  }
}
