import BTreeKV
import Foundation
import Pager
import Regions
import Testing

/// `docs/FILE-FORMAT.md` is what files are: each number of its tables is looked for in a file.
@Suite struct FormatTests {
  let document: FormatDocument
  let folder: URL

  init() throws {
    document = try FormatDocument()
    folder = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  }

  /// Every named row, so that a row which no test looks at is noticed.
  @Test func tablesAreTheOnesTested() {
    let known: [String: Set<String>] = [
      "superblock": [
        "magic", "format version", "compatible features", "incompatible features", "page size",
        "checkpoint", "epoch", "file identifier", "page count", "root page", "root epoch",
        "height", "entry count", "map digest", "log end", "log page", "log page count",
        "log salt", "log sequence", "log first LSN", "replay from", "table page",
        "table page count", "table byte count", "table checksum", "checksum",
      ],
      "table of trees": ["next id", "tree count", "trees"],
      "tree in the table": ["id", "height", "root page", "root epoch", "entry count"],
      "catalogue record": ["tree id", "type tag"],
      "region record": ["region number"],
      "chunk key": ["region", "index"],
      "page header": ["checksum", "page id", "epoch", "kind", "level"],
      "tree page": ["prefix length", "count", "heap start", "garbage", "hints", "slots"],
      "slot": ["cell offset", "key length", "value length", "head"],
      "child reference": ["child page", "child epoch"],
      "large value": ["byte count", "checksum", "epoch", "run count", "runs"],
      "free map": ["header", "group", "bits"],
      "log": ["header", "link", "records"],
      "segment header": [
        "magic", "file identifier", "sequence", "first LSN", "salt", "first page", "page count",
        "checksum",
      ],
      "segment link": [
        "magic", "salt", "next page", "next page count", "next salt", "next sequence",
        "next first LSN", "checksum",
      ],
      "entry trailer": [
        "magic", "kind", "key length", "gap", "payload length", "sequence", "live entries",
        "live blocks", "payload checksum", "checksum",
      ],
      "vector record": [
        "list number", "version", "element size", "format", "pages", "element tag",
      ],
      "vector key": ["vector", "record kind", "first number", "second number"],
      "stamp": ["stamp", "element count"],
      "page statistics": ["least", "greatest", "sum", "not numbers"],
      "change history": ["history tag", "changes"],
      "computation state": [
        "rule version", "source count", "computed count", "own history", "own change", "sources",
        "rule",
      ],
      "computation source": [
        "source list", "source history", "source change", "source version",
      ],
      "record": ["checksum", "body length", "durable lag", "body"],
      "record body": ["kind", "flags", "key length", "value length", "key", "value"],
    ]
    for (section, names) in known {
      #expect(Set(document.sections[section, default: [:]].keys) == names, "\(section)")
    }
    #expect(Set(document.sections.keys) == Set(known.keys))
  }

  /// The last 42 bytes of a short store's list, which lies in a leaf, as the table says.
  @Test func entryTrailer() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let database = try Database.open(folder.appending(path: "entries.btreekv").path)
    let store = try EntryStore(database, "store")
    try store.write("key", [1, 2, 3, 4, 5])
    try store.write("other", [UInt8](repeating: 7, count: 9))
    let list = try database.chunkList(1).read(0..<1000, database.access(to: .chunks))
    let trailer = Array(list.suffix(42))
    func number(_ name: String) throws -> Int {
      try document.number(name, of: "entry trailer", in: trailer)
    }
    #expect(try number("magic") == 0xE7)
    #expect(try number("kind") == 1)
    #expect(try number("key length") == 5)
    #expect(try number("payload length") == 9)
    #expect(try number("live entries") == 2)
    #expect(try number("live blocks") == 2)
    let start = list.count - 42 - 5 - 9
    #expect(start % 64 == 0)
    #expect(list[start..<start + 9].allSatisfy { $0 == 7 })
    #expect(Array(list[start + 9..<start + 14]) == Array("other".utf8))
    let gap = try number("gap")
    #expect(list[start - gap..<start].allSatisfy { $0 == 0 })
    #expect(try number("sequence") == 2)
    let payloadSum = list.xxh64(start..<start + 9, seed: 0)
    #expect(trailer.number(at: 30) == payloadSum)
    let sum = list.xxh64(start + 9..<list.count - 4, seed: 0)
    #expect(trailer.number(at: 38, 4) == sum & 0xFFFF_FFFF)
    try database.close()
  }

  @Test(arguments: [4096, 16384]) func closedFile(pageSize: Int) throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.appending(path: "closed.btreekv").path
    var options = Database.Options()
    options.pageSize = pageSize
    options.durability = .none
    let database = try Database.open(path, options: options)
    var content: [[UInt8]: [UInt8]] = [
      []: [], [0]: [0], [0xFF]: Array("last".utf8),
      Array("apple".utf8): Array("red".utf8),
      Array("bytes".utf8): [UInt8](repeating: 7, count: 300),
      Array("chunk".utf8): (0..<5000 + pageSize / 4).map { UInt8(truncatingIfNeeded: $0 * 7) },
      Array("chunks".utf8): (0..<200_001).map { UInt8(truncatingIfNeeded: $0 / 3) },
      [UInt8](repeating: 0x7A, count: pageSize / 4): [UInt8](repeating: 1, count: 254),
    ]
    for index in 0..<4000 {
      content[Array("key-\(index * 7919 % 4000)".utf8)] = Array("\(index)".utf8)
    }
    for (key, value) in content { try database.insert(key, value) }
    for index in stride(from: 0, to: 4000, by: 3) {
      let key = Array("key-\(index)".utf8)
      try database.remove(key)
      content[key] = nil
    }
    let users = try database.tree("users")
    for index in 0..<300 { try users.insert("user \(index)", "name \(index)") }
    _ = try database.tree("empty")
    let regions = try makeRegions(in: database)
    let identifier = try database.statistics().fileIdentifier
    try database.close()
    let file = Array(try Data(contentsOf: URL(filePath: path)))

    var reader = try ForeignReader(document, file)
    try expectSuperblocks(
      file, pageSize: pageSize, identifier: identifier, entryCount: content.count)
    #expect(try document.number("log page", of: "superblock", in: file) == 0)
    let height = try document.number("height", of: "superblock", in: file)
    try reader.readTree(
      page: try document.number("root page", of: "superblock", in: file),
      epoch: try document.number("root epoch", of: "superblock", in: file), level: height - 1)
    #expect(height > 1 && reader.innerPageCount > 0 && reader.largeValueCount == 2)
    let sorted = content.keys.sorted { $0.lexicographicallyPrecedes($1) }
    #expect(reader.entries.map(\.key) == sorted)
    #expect(reader.entries.allSatisfy { content[$0.key] == $0.value })
    let roots = try reader.readTable()
    #expect(roots.map(\.id) == [1, 2, 3, 16])
    try expectNamedTrees(&reader, catalogue: roots[0], users: roots[3])
    #expect(try reader.regions(chunks: roots[1], names: roots[2]) == regions)
    try expectFreeMap(reader)
  }

  /// Regions of all sorts: in a leaf, in a few pages, in many chunks; grown, changed and cut.
  private func makeRegions(in database: Database) throws -> [String: [UInt8]] {
    var model: [String: [UInt8]] = [:]
    for (name, count) in [
      ("empty", 0), ("leaf", 9), ("pages", 20_000), ("chunk", 65536), ("chunks", 300_001),
    ] {
      let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 13 &+ $0 >> 9) }
      let region = try database.region(name)
      for start in stride(from: 0, to: count, by: 7000) {
        try region.append(bytes[start..<min(count, start + 7000)])
      }
      model[name] = bytes
    }
    try database.region("chunks").write([1, 2, 3], at: 65535)
    model["chunks"]?.replaceSubrange(65535..<65538, with: [1, 2, 3])
    try database.region("cut").append([UInt8](repeating: 5, count: 200_000))
    try database.region("cut").truncate(to: 131_073)
    model["cut"] = [UInt8](repeating: 5, count: 131_073)
    try database.region("gone").append([UInt8](repeating: 6, count: 70_000))
    try database.removeRegion("gone")
    return model
  }

  /// The table of trees leads to the catalogue, and that to the trees.
  private func expectNamedTrees(
    _ reader: inout ForeignReader, catalogue: ForeignReader.Root, users: ForeignReader.Root
  ) throws {
    let catalogue = try reader.entries(of: catalogue)
    #expect(catalogue.map { String(decoding: $0.key, as: UTF8.self) } == ["empty", "users"])
    let ids = try catalogue.map {
      try document.number("tree id", of: "catalogue record", in: $0.value)
    }
    #expect(ids == [17, 16])
    let tag = try #require(document.sections["catalogue record"]?["type tag"]?.offset)
    #expect(catalogue.allSatisfy { $0.value.count == tag })
    let users = try reader.entries(of: users)
    #expect(users.count == 300)
    #expect(users.allSatisfy { Array("name".utf8) + $0.key.dropFirst(4) == $0.value })
  }

  private func expectSuperblocks(
    _ file: [UInt8], pageSize: Int, identifier: String, entryCount: Int
  ) throws {
    let section = "superblock"
    func number(_ name: String) throws -> Int { try document.number(name, of: section, in: file) }
    #expect(file[..<512] == file[pageSize..<pageSize + 512], "both are equal after a close")
    #expect(
      try document.bytes("magic", of: section, in: file)
        == document.literal("magic", of: section))
    #expect(try number("format version") == document.constant("format version", of: section))
    #expect(try number("compatible features") == 0)
    #expect(try number("incompatible features") == 0)
    #expect(try number("page size") == pageSize)
    #expect(try number("checkpoint") > 1)
    #expect(try number("epoch") >= number("root epoch"))
    let id = try document.bytes("file identifier", of: section, in: file)
    let digits = id.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    #expect(digits == identifier)
    #expect(try number("page count") * pageSize == file.count)
    #expect(try number("entry count") == entryCount)
    #expect(try number("log end") >= 4096)
    document.expectZeros(section, in: file)
    #expect(
      try number("checksum") == Int(truncatingIfNeeded: file.xxh64(0..<504, seed: 0)))
  }

  /// The bits are exactly the pages that were reached; the digest is as described.
  private func expectFreeMap(_ reader: ForeignReader) throws {
    let section = "free map"
    let pageCount = try document.number("page count", of: "superblock", in: reader.file)
    let checkpoint = try document.number("checkpoint", of: "superblock", in: reader.file)
    let group = 8 * (reader.pageSize - 64)
    try #require(pageCount <= group)
    let slots = [2, 3].map { (id: $0, page: reader.page($0)) }.filter {
      $0.page.number(at: 0) == $0.page.xxh64(8..<reader.pageSize, seed: reader.pageSeed)
        && $0.page.number(at: 16) <= checkpoint
    }
    let newest = try #require(slots.max { $0.page.number(at: 16) < $1.page.number(at: 16) })
    try reader.expectHeader(newest.page, id: newest.id, epoch: nil, kind: 2, level: 0)
    document.expectZeros(section, in: newest.page)
    #expect(try document.number("group", of: section, in: newest.page) == 0)
    let bits = try #require(document.sections[section]?["bits"]?.offset)
    let used = (0..<group).filter { newest.page[bits + $0 / 8] >> UInt8($0 % 8) & 1 != 0 }
    #expect(Set(used) == reader.pages.union(0..<4))

    let checksum = newest.page.number(at: 0)
    var z = (checksum ^ (newest.page.number(at: 16) &* 0x9E37_79B9_7F4A_7C15)) &+ 0
    z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
    z ^= z >> 31
    #expect(
      try document.number("map digest", of: "superblock", in: reader.file)
        == Int(truncatingIfNeeded: z))
  }

  /// The log of a file that is open: header, link, and each record in two segments or more.
  @Test(arguments: [Database.Durability.sync, .flush])
  func log(durability: Database.Durability) throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.appending(path: "open.btreekv").path
    var options = Database.Options()
    options.pageSize = 4096
    options.durability = durability
    let database = try Database.open(path, options: options)
    var expected: [(kind: UInt8, key: [UInt8], value: [UInt8]?)] = []
    for index in 0..<400 {
      let key = Array("key-\(index)".utf8)
      let value = [UInt8](repeating: UInt8(truncatingIfNeeded: index), count: 700 + index % 8)
      try database.insert(key, value)
      expected.append((1, key, value))
    }
    try database.remove("key-7")
    expected.append((2, Array("key-7".utf8), []))
    try database.insert("large", [UInt8](repeating: 9, count: 5000))
    expected.append((3, Array("large".utf8), nil))
    try database.waitUntilDurable()
    let file = Array(try Data(contentsOf: URL(filePath: path)))
    try database.close()

    document.expectZeros("superblock", in: file)
    var segment = Segment()
    func number(_ name: String) throws -> Int {
      try document.number(name, of: "superblock", in: file)
    }
    segment.page = try number("log page")
    segment.pageCount = try number("log page count")
    segment.salt = UInt64(bitPattern: Int64(try number("log salt")))
    segment.sequence = try number("log sequence")
    segment.firstLSN = try number("log first LSN")
    var lsn = try number("replay from")
    var index = 0
    var segmentCount = 0
    while true {
      segmentCount += 1
      try expectHeader(of: segment, in: file)
      let isEnd = try followRecords(of: segment, in: file, from: &lsn) { body in
        let wanted = try #require(index < expected.count ? expected[index] : nil)
        try expect(body, wanted.kind, wanted.key, wanted.value)
        index += 1
      }
      guard isEnd else { break }
      segment = try linked(from: segment, in: file)
      lsn = segment.firstLSN
    }
    #expect(index == expected.count)
    #expect(segmentCount > 1)
  }

  /// What is known of a segment.
  private struct Segment {
    var page = 0
    var pageCount = 0
    var salt: UInt64 = 0
    var sequence = 0
    var firstLSN = 0
  }

  private func expectHeader(of segment: Segment, in file: [UInt8]) throws {
    let section = "segment header"
    let sector = Array(file[segment.page * 4096..<segment.page * 4096 + 512])
    func number(_ name: String) throws -> Int { try document.number(name, of: section, in: sector) }
    #expect(try number("magic") == document.constant("magic", of: section))
    #expect(
      try document.bytes("file identifier", of: section, in: sector)
        == document.bytes("file identifier", of: "superblock", in: file))
    #expect(try number("sequence") == segment.sequence)
    #expect(try number("first LSN") == segment.firstLSN)
    #expect(try UInt64(bitPattern: Int64(number("salt"))) == segment.salt)
    #expect(try number("first page") == segment.page)
    #expect(try number("page count") == segment.pageCount)
    #expect(try number("checksum") == Int(truncatingIfNeeded: sector.xxh64(0..<504, seed: 0)))
    document.expectZeros(section, in: sector)
  }

  private func linked(from segment: Segment, in file: [UInt8]) throws -> Segment {
    let section = "segment link"
    let start = segment.page * 4096 + (try #require(document.sections["log"]?["link"]?.offset))
    let sector = Array(file[start..<start + 512])
    func number(_ name: String) throws -> Int { try document.number(name, of: section, in: sector) }
    #expect(try number("magic") == document.constant("magic", of: section))
    #expect(try UInt64(bitPattern: Int64(number("salt"))) == segment.salt)
    #expect(try number("next sequence") == segment.sequence + 1)
    #expect(try number("next first LSN") == segment.firstLSN + segment.pageCount * 4096)
    #expect(try number("checksum") == Int(truncatingIfNeeded: sector.xxh64(0..<504, seed: 0)))
    document.expectZeros(section, in: sector)
    return Segment(
      page: try number("next page"), pageCount: try number("next page count"),
      salt: UInt64(bitPattern: Int64(try number("next salt"))),
      sequence: try number("next sequence"), firstLSN: try number("next first LSN"))
  }

  /// Hands over the bodies of a segment's valid records; says whether its end record came.
  private func followRecords(
    of segment: Segment, in file: [UInt8], from lsn: inout Int, _ take: ([UInt8]) throws -> Void
  ) throws -> Bool {
    let records = try #require(document.sections["log"]?["records"]?.offset)
    while true {
      let start = segment.page * 4096 + records + lsn - segment.firstLSN
      let length = try document.number("body length", of: "record", in: file, at: start)
      let end = (segment.page + segment.pageCount) * 4096
      guard length > 0, start + 16 + length <= end else { return false }
      let seed = segment.salt &+ UInt64(lsn) &* 0x9E37_79B9_7F4A_7C15
      let sum = file.xxh64(start + 8..<start + 16 + length, seed: seed)
      guard
        try document.number("checksum", of: "record", in: file, at: start)
          == Int(truncatingIfNeeded: sum)
      else { return false }
      let lag = try document.number("durable lag", of: "record", in: file, at: start)
      #expect(lag <= lsn)
      let body = try #require(document.sections["record"]?["body"]?.offset)
      let bytes = Array(file[start + body..<start + body + length])
      lsn += (16 + length + 7) / 8 * 8
      if bytes == [255] { return true }
      try take(bytes)
    }
  }

  private func expect(_ body: [UInt8], _ kind: UInt8, _ key: [UInt8], _ value: [UInt8]?) throws {
    let section = "record body"
    #expect(try document.bytes("kind", of: section, in: body) == [kind])
    document.expectZeros(section, in: body)
    let keyLength = try document.number("key length", of: section, in: body)
    let valueLength = try document.number("value length", of: section, in: body)
    let start = try #require(document.sections[section]?["key"]?.offset)
    #expect(body.count == start + keyLength + valueLength)
    #expect(Array(body[start..<start + keyLength]) == key)
    if let value {
      #expect(Array(body[(start + keyLength)...]) == value)
    } else {
      let reference = Array(body[(start + keyLength)...])
      #expect(try document.number("byte count", of: "large value", in: reference) == 5000)
      #expect(try document.number("run count", of: "large value", in: reference) == 1)
    }
  }
}
