import BTreeKV
import Foundation
import Pager
import Testing
import Vectors

// Vectors, read from the trees by the tables alone.

extension FormatTests {
  /// A number that is stored with its highest byte first.
  private func bigEndian(_ name: String, of section: String, in bytes: [UInt8]) throws -> Int {
    let field = try #require(document.sections[section]?[name])
    let byteCount = try #require(field.byteCount)
    return bytes[field.offset..<field.offset + byteCount].reduce(0) { $0 << 8 | Int($1) }
  }

  @Test func vectors() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.appending(path: "vectors.btreekv").path
    let database = try Database.open(path)
    let vector = try RawVector<UInt16>.open("v", in: database, version: 7)
    vector.append(contentsOf: (0..<40_000).map { UInt16($0) })
    try vector.take(at: 1027)
    try vector.commit(stamp: 99)
    try vector.update(at: 32_770, 0xABCD)
    try vector.update(at: 32_774, 1)
    try vector.take(at: 1030)
    vector.append(5)
    try vector.write()
    let list = try expectRecord(database)

    let entries = try entries(of: 7, in: database)
    let kinds = try entries.map { try bigEndian("record kind", of: "vector key", in: $0.key) }
    #expect(kinds == [1, 2, 3, 4, 5])
    for (key, _) in entries {
      #expect(try bigEndian("vector", of: "vector key", in: key) == list)
    }
    let numbers = try entries.map { try bigEndian("first number", of: "vector key", in: $0.key) }
    #expect(numbers == [1, 1, 1, 1, 1])
    let second = try entries[3...].map {
      try bigEndian("second number", of: "vector key", in: $0.key)
    }
    // Blocks of 65,536 / 2 elements, and of 1,024 places.
    #expect(second == [1, 1])
    #expect(entries[0].value == [2, 0, 6, 0, 0xCD, 0xAB, 1, 0])
    #expect(entries[1].value == [0b0100_1000] + [UInt8](repeating: 0, count: 127))
    #expect(try document.number("stamp", of: "stamp", in: entries[2].value) == 99)
    #expect(try document.number("element count", of: "stamp", in: entries[2].value) == 40_000)
    #expect(entries[2].value.count == 16)
    #expect(entries[3].value == [2, 0, 6, 0, 0x02, 0x80, 0x06, 0x80])
    #expect(entries[4].value == [0b0000_1000] + [UInt8](repeating: 0, count: 127))
    try database.close()
  }

  private func expectRecord(_ database: Database) throws -> Int {
    let names = try entries(of: 6, in: database)
    try #require(names.map(\.key) == [Array("v".utf8)])
    let record = names[0].value
    let section = "vector record"
    #expect(try document.number("version", of: section, in: record) == 7)
    #expect(try document.number("element size", of: section, in: record) == 2)
    #expect(
      try document.number("format", of: section, in: record)
        == document.constant("format", of: section))
    let tag = try #require(document.sections[section]?["element tag"]?.offset)
    #expect(String(decoding: record[tag...], as: UTF8.self) == "u16")
    #expect(try document.number("pages", of: section, in: record) == 0)
    let list = try document.number("list number", of: section, in: record)
    let bytes = try database.chunkList(UInt64(list)).read(0..<4, database.access(to: .chunks))
    #expect(bytes == [0, 0, 1, 0])
    return list
  }

  @Test func computedVectors() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.appending(path: "computed.btreekv").path
    let database = try Database.open(path)
    let source = try RawVector<UInt16>.open("a", in: database, version: 7)
    try source.write(appending: [1, 2, 3])
    let sums = ComputedVector(
      try RawVector<UInt32>.open("b", in: database), from: source, source,
      by: .combine { UInt32($0) + UInt32($1) }, version: 5)
    try sums.update()
    try source.update(at: 2, 9)
    try source.write()
    try sums.update()
    try source.update(at: 1, 9)
    try source.write()

    let entries = try entries(of: 7, in: database)
    let kinds = try entries.map { try bigEndian("record kind", of: "vector key", in: $0.key) }
    let lists = try entries.map { try bigEndian("vector", of: "vector key", in: $0.key) }
    let numbers = try entries.map { try bigEndian("first number", of: "vector key", in: $0.key) }
    #expect(kinds == [1, 8, 8, 9] && numbers == [0, 0, 0, 0])
    #expect(lists == [lists[0], lists[0], lists[2], lists[2]] && lists[0] != lists[2])
    let (history, own, state) = (entries[1].value, entries[2].value, entries[3].value)
    // The change at 1 makes that at 2 needless. The column was cut off at 2.
    #expect(history[8...] == [2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0])
    #expect(own[8...] == [1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0])
    let (section, part) = ("computation state", "computation source")
    #expect(try document.number("rule version", of: section, in: state) == 5)
    #expect(try document.number("source count", of: section, in: state) == 2)
    #expect(try document.number("computed count", of: section, in: state) == 3)
    #expect(Array(state[16..<24]) == Array(own[..<8]))
    #expect(try document.number("own change", of: section, in: state) == 1)
    let start = try #require(document.sections[section]?["sources"]?.offset)
    for place in 0..<2 {
      let origin = Array(state[(start + 28 * place)..<(start + 28 * (place + 1))])
      #expect(try document.number("source list", of: part, in: origin) == lists[0])
      #expect(Array(origin[8..<16]) == Array(history[..<8]))
      #expect(try document.number("source change", of: part, in: origin) == 1)
      #expect(try document.number("source version", of: part, in: origin) == 7)
    }
    #expect(String(decoding: state[(start + 56)...], as: UTF8.self) == "combine")
    try database.close()
  }

  /// Pages are those of chunks that the codec reads when they get a header.
  @Test func compressedVectors() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.appending(path: "compressed.btreekv").path
    let database = try Database.open(path)
    let options = CompressionOptions(pageElementCount: 512)
    let vector = try CompressedVector<Float>.open("v", in: database, options: options)
    let numbers = (0..<1100).map { $0 == 700 ? .nan : Float($0) / 4 - 3 }
    vector.append(contentsOf: numbers)
    try vector.write()
    let record = try #require(try entries(of: 6, in: database).first?.value)
    #expect(try document.number("format", of: "vector record", in: record) == 2)
    let pages = try document.number("pages", of: "vector record", in: record)
    #expect(pages == 1 * 16 + 5)
    let list = UInt64(try document.number("list number", of: "vector record", in: record))
    let tail = try database.chunkList(list).read(0..<304, database.access(to: .chunks))
    #expect(tail == numbers[1024...].flatMap { withUnsafeBytes(of: $0.bitPattern) { Array($0) } })

    let entries = try entries(of: 7, in: database)
    let kinds = try entries.map { try bigEndian("record kind", of: "vector key", in: $0.key) }
    #expect(kinds == [6, 6, 7, 7])
    let places = try entries.map { try bigEndian("first number", of: "vector key", in: $0.key) }
    #expect(places == [0, 1, 0, 1])
    for page in 0..<2 {
      let expected = numbers[page * 512..<(page + 1) * 512]
      let bytes = entries[2 + page].value
      #expect(bytes[0] == 4)
      let header: [UInt8] = Array("pco!".utf8) + [3, 0, 0, 4, 1, 5, 0xFF, 0x01, 0]
      let found: [Float] = try Pco.decompress(header + bytes[1...] + [0])
      #expect(found.map(\.bitPattern) == expected.map(\.bitPattern))
      let statistics = entries[page].value
      let (section, present) = ("page statistics", expected.filter { !$0.isNaN })
      let least = try document.number("least", of: section, in: statistics)
      let greatest = try document.number("greatest", of: section, in: statistics)
      #expect(present.min().map { Int($0.bitPattern) } == least)
      #expect(present.max().map { Int($0.bitPattern) } == greatest)
      let notNumbers = try document.number("not numbers", of: section, in: statistics)
      #expect(notNumbers == 512 - present.count)
      let offset = try #require(document.sections[section]?["sum"]?.offset)
      let sum = statistics[offset..<offset + 8].reversed().reduce(0) { $0 << 8 | UInt64($1) }
      #expect(sum == expected.reduce(0.0) { $0 + Double($1) }.bitPattern)
      #expect(statistics[offset + 8..<offset + 16].allSatisfy { $0 == 0 })
      #expect(statistics.count == 36)
    }
    try database.close()
  }

  /// The entries of a tree of the library's own.
  private func entries(
    of tree: UInt32, in database: Database
  ) throws -> [(key: [UInt8], value: [UInt8])] {
    struct Tree: ReadableTree {
      let access: TreeAccess
    }
    let cursor = try Tree(access: database.access(to: TreeID(tree))).cursor()
    var found: [(key: [UInt8], value: [UInt8])] = []
    while let entry = try cursor.next() { found.append(entry) }
    return found
  }
}
