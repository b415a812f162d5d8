@testable import BTreeKV
import Pager
import TestSupport
import Testing

@testable import Vectors

/// Compressed vectors, one behaviour each.
@Suite struct CompressedVectorTests {
  private let storage: MemoryStorage
  private let database: Database

  init() throws {
    storage = try MemoryStorage()
    database = try openDatabase(in: storage)
  }

  /// Appends numbers of each kind and reads them after reopening, bit by bit.
  private func roundTrip<Number: SampleNumber & VectorElement>(_ type: Number.Type) throws
  where Number.Stored == Number {
    var random = SeededRandom(seed: runSeed)
    var contents: [(name: String, content: ColumnContent<Number>)] = []
    for count in [0, 1, 2, 255, 256, 257, 511, 512, 513, 1023, 1024, 1025] {
      let name = "\(type) \(count)"
      let kind = SampleKind.allCases[random.below(SampleKind.allCases.count)]
      let numbers = kind.numbers(type, count: count, random: &random)
      let vector = try CompressedVector<Number>.open(name, in: database, options: smallPages)
      vector.append(contentsOf: numbers)
      try vector.write()
      contents.append((name, ColumnContent(elements: numbers)))
    }
    var all = ColumnContent<Number>()
    let vector = try CompressedVector<Number>.open("\(type)", in: database, options: smallPages)
    for kind in SampleKind.allCases {
      let numbers = kind.numbers(type, count: 300, random: &random)
      vector.append(contentsOf: numbers)
      try vector.write()
      all.elements += numbers
    }
    contents.append(("\(type)", all))
    try database.close()
    let again = try openDatabase(in: storage.reopen())
    for (name, content) in contents {
      let vector = try CompressedVector<Number>.open(name, in: again)
      try content.expect(vector.reader(), &random, name)
    }
    try requireSound(again, "\(type)")
    try again.close()
  }

  @Test func unsigned8() throws { try roundTrip(UInt8.self) }
  @Test func unsigned16() throws { try roundTrip(UInt16.self) }
  @Test func unsigned32() throws { try roundTrip(UInt32.self) }
  @Test func unsigned64() throws { try roundTrip(UInt64.self) }
  @Test func signed8() throws { try roundTrip(Int8.self) }
  @Test func signed16() throws { try roundTrip(Int16.self) }
  @Test func signed32() throws { try roundTrip(Int32.self) }
  @Test func signed64() throws { try roundTrip(Int64.self) }
  @Test func float() throws { try roundTrip(Float.self) }
  @Test func double() throws { try roundTrip(Double.self) }
  #if !(os(macOS) && arch(x86_64))
    @Test func float16() throws { try roundTrip(Float16.self) }
  #endif

  /// The words of the machine are the numbers that are as wide; wrappers are what they wrap.
  @Test func wordsAndWrappers() throws {
    let numbers = (0..<600).map { $0 * 7 - 1000 }
    let words = try CompressedVector<Int>.open("words", in: database, options: smallPages)
    words.append(contentsOf: numbers)
    try words.write()
    let same = try CompressedVector<Int64>.open("words", in: database)
    #expect(try same.reader().elements() == numbers.map { Int64($0) })

    let heights = try CompressedVector<Height>.open("heights", in: database, options: smallPages)
    heights.append(contentsOf: (0..<600).map { Height(rawValue: $0) })
    try heights.write()
    let raw = try CompressedVector<UInt32>.open("heights", in: database)
    #expect(try raw.reader().elements() == Array(0..<600))
    #expect(try heights.reader().max() == Height(rawValue: 599))

    let flags = try CompressedVector<Bool>.open("flags", in: database, options: smallPages)
    flags.append(contentsOf: (0..<600).map { $0 % 3 == 0 })
    try flags.write()
    #expect(try flags.reader().indices(where: 1...1).count == 200)
    try database.close()
  }

  /// A vector of another type, format or version is refused, and what is asked for anew is empty.
  @Test func mismatches() throws {
    let vector = try CompressedVector<UInt32>.open("v", in: database, version: 2)
    vector.append(contentsOf: 0..<10)
    try vector.write()
    _ = try RawVector<UInt32>.open("raw", in: database)
    let codes = [
      errorCode { _ = try CompressedVector<Int32>.open("v", in: database, version: 2) },
      errorCode { _ = try CompressedVector<UInt32>.open("v", in: database, version: 3) },
      errorCode { _ = try RawVector<UInt32>.open("v", in: database, version: 2) },
      errorCode { _ = try CompressedVector<UInt32>.open("raw", in: database) },
      errorCode {
        _ = try database.snapshot().compressedVector("raw", of: UInt32.self)
      },
    ]
    #expect(codes == Array(repeating: .typeMismatch, count: 5))
    for options in [
      CompressionOptions(level: 13), CompressionOptions(level: -1),
      CompressionOptions(pageElementCount: 128), CompressionOptions(pageElementCount: 1000),
      CompressionOptions(pageElementCount: 1 << 17), CompressionOptions(pageElementCount: .min),
    ] {
      let code = errorCode {
        _ = try CompressedVector<UInt32>.open("other", in: database, options: options)
      }
      #expect(code == .invalidArgument)
    }
    // The size of pages is the vector's own.
    let other = try CompressedVector<UInt32>.open(
      "v", in: database, version: 2, options: smallPages)
    #expect(other.access.blockCount == 16384)
    #expect(try other.reader().elements() == Array(0..<10))
    let description = try #require(try database.vectors().last)
    #expect(description.format == .compressed && description.count == 10)
    let new = try CompressedVector<Int8>.forcedOpen("v", in: database)
    #expect(try new.count == 0)
    try database.close()
  }

  /// Numbers that are alike take a small part of their size.
  @Test func pagesAreSmall() throws {
    let vector = try CompressedVector<UInt64>.open("v", in: database)
    vector.append(contentsOf: (0..<40_000).map { 1_700_000_000 + 12 * $0 })
    try vector.write()
    #expect(try vector.access.kept().pageCount() == 2)
    let statistics = try database.statistics()
    let byteCount = statistics.valueExtentPageCount * statistics.pageSize
    // The tail of 7,232 lies as it is.
    #expect(byteCount < 7232 * 8 + 16384)
    try database.close()
  }

  /// Readers and snapshots show what was there, whatever comes later.
  @Test func readersAreStable() throws {
    var random = SeededRandom(seed: runSeed)
    var content = ColumnContent<UInt64>(elements: (0..<1000).map { $0 * $0 })
    let vector = try CompressedVector<UInt64>.open("v", in: database, options: smallPages)
    vector.append(contentsOf: content.elements)
    try vector.take(at: 300)
    content.holes = [300]
    try vector.write()
    let (reader, snapshot) = (try vector.reader(cacheByteCount: 0), try database.snapshot())
    for index in 0..<1000 { try vector.update(at: index, 1) }
    try vector.truncate(to: 700)
    try vector.write()
    vector.append(contentsOf: 0..<5000)
    try vector.write()
    try database.checkpoint()
    try content.expect(reader, &random, "the reader")
    let seen = try #require(try snapshot.compressedVector("v", of: UInt64.self))
    #expect(try seen.count == 1000)
    try content.expect(seen.reader(), &random, "the snapshot")
    #expect(try vector.reader().elements() == Array(repeating: 1, count: 700) + Array(0..<5000))
    try database.close()
  }

  /// However many pages are read, those that are kept have no more memory than was given.
  @Test func cacheIsBounded() throws {
    let vector = try CompressedVector<UInt64>.open("v", in: database, options: smallPages)
    vector.append(contentsOf: 0..<(256 * 40 + 7))
    try vector.write()
    // From 41 pages on there is room for all, the tail included, so each has a place.
    for (byteCount, slotCount, usedCount) in [
      (0, 2, 2), (2048 * 5, 4, 4), (2048 * 8, 8, 8), (2048 * 41 - 1, 32, 32), (2048 * 41, 64, 41),
      (.max, 64, 41),
    ] {
      let reader = try vector.reader(cacheByteCount: byteCount)
      for index in [10_246] + stride(from: 0, to: reader.count, by: 100) {
        #expect(try reader.element(at: index) == UInt64(index))
      }
      #expect(reader.slots.count == slotCount)
      #expect(reader.slots.filter { $0.elements != nil }.count == usedCount)
    }
    try database.close()
  }

  /// A body may read through the reader whose elements it gets.
  @Test func readingWithinRuns() throws {
    let vector = try CompressedVector<UInt64>.open("v", in: database, options: smallPages)
    vector.append(contentsOf: 0..<1000)
    try vector.write()
    let reader = try vector.reader(cacheByteCount: 0)
    var found: [UInt64] = []
    try reader.forEachSpan(in: 100..<900) { span in
      for other in [10, 300, 600, 990] { _ = try? reader.element(at: other) }
      for index in span.indices { found.append(span[index]) }
    }
    #expect(found == Array(100..<900))
    for index in [-1, 1000, Int.max, Int.min] {
      #expect(errorCode { _ = try reader.element(at: index) } == .invalidArgument)
    }
    #expect(errorCode { _ = try reader.elements(in: 0..<1001) } == .invalidArgument)
    #expect(errorCode { _ = try reader.sum(in: -1..<5) } == .invalidArgument)
    try database.close()
  }

  /// Elements, keys and another vector change in one commit, or not at all.
  @Test func transactions() throws {
    struct Refusal: Error {}
    for fails in [true, false] {
      do {
        try database.write { transaction in
          let column = try transaction.compressedVector(
            "v", of: Int16.self, options: smallPages)
          try column.append(contentsOf: 0..<600)
          try column.update([(5, -5), (590, -9)])
          try column.truncate(to: 595)
          try column.fill(to: 800, with: 3)
          #expect(try column.elements(in: 589..<597) == [589, -9, 591, 592, 593, 594, 3, 3])
          #expect(try column.element(at: 5) == -5)
          try transaction.insert("key", "value")
          if fails { throw Refusal() }
        }
      } catch is Refusal {
      }
      #expect(try (database.lookup("key") == nil) == fails)
      #expect(try database.vectors().count == (fails ? 0 : 1))
    }
    let reader = try CompressedVector<Int16>.open("v", in: database).reader()
    #expect(try reader.elements(in: 0..<7) == [0, 1, 2, 3, 4, -5, 6])
    #expect(reader.count == 800)
    try database.close()
  }

  /// Readers in other threads see what some commit left, whole, while pages fill up, are cut and are
  /// compressed anew.
  @Test func readersBesideAWriter() throws {
    let vector = try CompressedVector<UInt64>.open("v", in: database, options: smallPages)
    vector.append(contentsOf: repeatElement(0, count: 310))
    try vector.write()
    let (writers, readers) = (TestThreads(), TestThreads())
    let database = database
    writers.start { try Self.write(database) }
    readers.start {
      // Pages and tail are counted at one instant.
      let mine = try CompressedVector<UInt64>.open("v", in: database)
      repeat {
        let count = try mine.count
        try require(count == 310 || count == 810, "\(count) elements")
      } while !readers.mustEnd
    }
    readers.start {
      let mine = try CompressedVector<UInt64>.open("v", in: database)
      var last: UInt64 = 0
      repeat {
        let reader = try mine.reader(cacheByteCount: 0)
        let numbers = Set(try reader.elements())
        try require(numbers.count == 1, "a mixture of commits: \(numbers)")
        let number = numbers.first ?? 0
        try require(number >= last, "\(number) after \(last)")
        try require(try reader.sum() == Int128(number) * Int128(reader.count), "the sum")
        last = number
      } while !readers.mustEnd
    }
    let result = Result { try writers.wait() }
    readers.end()
    try readers.wait()
    try result.get()
    try requireSound(database, "afterwards")
    try database.close()
  }

  /// Each commit makes all elements its number; every other one changes how many there are.
  private static func write(_ database: Database) throws {
    for number in 1...100 as ClosedRange<UInt64> {
      try database.write { transaction in
        let inside = try transaction.compressedVector("v", of: UInt64.self)
        if number % 2 == 0 {
          try inside.truncate(to: 10)
          try inside.append(contentsOf: repeatElement(number, count: number % 4 == 0 ? 300 : 800))
        }
        let count = try inside.count
        try inside.update((0..<count).map { ($0, number) })
      }
    }
  }

  /// Going back over more than is appended at once: the block that was cut is written before its page
  /// is full.
  @Test func longRollback() throws {
    let options = CompressionOptions(level: 0, pageElementCount: 4096)
    let vector = try CompressedVector<UInt64>.open("v", in: database, options: options)
    let numbers = (0..<140_000).map { UInt64($0) }
    vector.append(contentsOf: numbers)
    try vector.commit(stamp: 1)
    for index in 0..<1500 { try vector.update(at: index, 1) }
    try vector.write()
    try vector.truncate(to: 2000)
    try vector.write()
    try vector.rollback(to: 1)
    #expect(try vector.reader().elements() == numbers)
    try database.close()
  }

  /// Removing a vector leaves no page of it.
  @Test func removal() throws {
    let vector = try CompressedVector<UInt64>.open("v", in: database, options: smallPages)
    vector.append(contentsOf: 0..<5000)
    try vector.commit(stamp: 1)
    try vector.update(at: 7, 1)
    try vector.write()
    #expect(try database.removeVector("v"))
    #expect(database.access(to: .vectorRecords).count == 0)
    #expect(try vectorIsGone(vector))
    try database.close()
  }

  private func vectorIsGone(_ vector: CompressedVector<UInt64>) throws -> Bool {
    errorCode { _ = try vector.count } == .notFound
  }
}
