import Testing

/// A reader of closed files that knows nothing but `docs/FILE-FORMAT.md`, and checks on the way
/// that the file is as that says.
struct ForeignReader {
  let document: FormatDocument
  let file: [UInt8]
  let pageSize: Int
  let pageSeed: UInt64
  private(set) var entries: [(key: [UInt8], value: [UInt8])] = []
  /// The pages that the tree and its values take.
  private(set) var pages: Set<Int> = []
  private(set) var innerPageCount = 0
  private(set) var largeValueCount = 0

  init(_ document: FormatDocument, _ file: [UInt8]) throws {
    self.document = document
    self.file = file
    pageSize = try document.number("page size", of: "superblock", in: file)
    let id = try document.bytes("file identifier", of: "superblock", in: file)
    let high = id[..<8].reduce(0) { $0 << 8 | UInt64($1) }
    let low = id[8...].reduce(0) { $0 << 8 | UInt64($1) }
    pageSeed = high ^ low.byteSwapped
  }

  func page(_ id: Int) -> [UInt8] { Array(file[id * pageSize..<(id + 1) * pageSize]) }

  /// Expects the header that every page of the tree and of the free map has.
  func expectHeader(_ page: [UInt8], id: Int, epoch: Int?, kind: UInt8, level: Int) throws {
    let section = "page header"
    #expect(
      try document.number("checksum", of: section, in: page)
        == Int(truncatingIfNeeded: page.xxh64(8..<pageSize, seed: pageSeed)), "page \(id)")
    #expect(try document.number("page id", of: section, in: page) == id)
    #expect(try document.bytes("kind", of: section, in: page) == [kind])
    #expect(try document.number("level", of: section, in: page) == level)
    if let epoch { #expect(try document.number("epoch", of: section, in: page) == epoch) }
  }

  /// Reads a page of the tree and everything below it.
  mutating func readTree(page id: Int, epoch: Int, level: Int) throws {
    #expect(pages.insert(id).inserted)
    let page = page(id)
    try expectHeader(page, id: id, epoch: epoch, kind: 1, level: level)
    let section = "tree page"
    document.expectZeros(section, in: page)
    let count = try document.number("count", of: section, in: page)
    let prefixLength = try document.number("prefix length", of: section, in: page)
    let heapStart = try document.number("heap start", of: section, in: page)
    let garbage = try document.number("garbage", of: section, in: page)
    let slots = try #require(document.sections[section]?["slots"]?.offset)
    let hints = try #require(document.sections[section]?["hints"]?.offset)
    #expect(count >= 1 && slots + 8 * count <= heapStart)
    if count > 16 {
      for hint in 0..<16 {
        let slot = slots + (count / 17) * (hint + 1) * 8
        #expect(page.number(at: hints + hint * 4, 4) == page.number(at: slot + 4, 4))
      }
    }
    if level > 0 { innerPageCount += 1 }
    let prefix = Array(page[(pageSize - prefixLength)...])
    var taken = 0
    var children: [(page: Int, epoch: Int)] = []
    for index in 0..<count {
      let slot = slots + index * 8
      let (suffix, payload, end) = try cell(page, slot: slot, isLeaf: level == 0)
      taken += end - (try document.number("cell offset", of: "slot", in: page, at: slot))
      if level == 0 {
        let isLarge = try document.number("value length", of: "slot", in: page, at: slot) == 255
        entries.append((prefix + suffix, isLarge ? try readLarge(payload) : payload))
      } else {
        document.expectZeros("child reference", in: payload)
        children.append(
          (
            try document.number("child page", of: "child reference", in: payload),
            try document.number("child epoch", of: "child reference", in: payload)
          ))
      }
    }
    #expect(taken + garbage == pageSize - prefixLength - heapStart, "page \(id)")
    for child in children { try readTree(page: child.page, epoch: child.epoch, level: level - 1) }
  }

  /// A tree as the table of trees has it.
  struct Root {
    var id: Int
    var height: Int
    var page: Int
    var epoch: Int
    var entryCount: Int
  }

  /// Reads the table of trees, its checksum compared.
  mutating func readTable() throws -> [Root] {
    func number(_ name: String) throws -> Int {
      try document.number(name, of: "superblock", in: file)
    }
    let first = try number("table page")
    for id in first..<first + (try number("table page count")) {
      #expect(pages.insert(id).inserted)
    }
    let start = first * pageSize
    let table = Array(file[start..<start + (try number("table byte count"))])
    #expect(
      try number("table checksum")
        == Int(truncatingIfNeeded: table.xxh64(0..<table.count, seed: pageSeed)))
    let section = "tree in the table"
    let trees = try #require(document.sections["table of trees"]?["trees"]?.offset)
    let count = try document.number("tree count", of: "table of trees", in: table)
    #expect(table.count == trees + 32 * count)
    #expect(try document.number("next id", of: "table of trees", in: table) == 18)
    return try (0..<count).map { index in
      let at = trees + 32 * index
      return Root(
        id: try document.number("id", of: section, in: table, at: at),
        height: try document.number("height", of: section, in: table, at: at),
        page: try document.number("root page", of: section, in: table, at: at),
        epoch: try document.number("root epoch", of: section, in: table, at: at),
        entryCount: try document.number("entry count", of: section, in: table, at: at))
    }
  }

  /// The entries of a tree that the table names.
  mutating func entries(of root: Root) throws -> [(key: [UInt8], value: [UInt8])] {
    entries = []
    try readTree(page: root.page, epoch: root.epoch, level: root.height - 1)
    #expect(entries.count == root.entryCount)
    return entries
  }

  /// The key after the prefix and the value of a slot's cell, and where the cell ends.
  private func cell(
    _ page: [UInt8], slot: Int, isLeaf: Bool
  ) throws -> (suffix: [UInt8], payload: [UInt8], end: Int) {
    var place = try document.number("cell offset", of: "slot", in: page, at: slot)
    var keyLength = try document.number("key length", of: "slot", in: page, at: slot)
    var valueLength = try document.number("value length", of: "slot", in: page, at: slot)
    let head = try document.number("head", of: "slot", in: page, at: slot)
    let isLarge = isLeaf && valueLength == 255
    if keyLength == 255 {
      keyLength = Int(page.number(at: place, 2))
      place += 2
    }
    if !isLeaf {
      #expect(valueLength == 0)
      valueLength = 16
    } else if valueLength == 254 {
      valueLength = Int(page.number(at: place, 2))
      place += 2
    }
    let headBytes = (0..<4).map { UInt8(truncatingIfNeeded: head >> (24 - 8 * $0)) }
    #expect(headBytes.dropFirst(keyLength).allSatisfy { $0 == 0 })
    let tailLength = max(0, keyLength - 4)
    let suffix = headBytes.prefix(keyLength) + page[place..<place + tailLength]
    place += tailLength
    if isLarge {
      let count = try document.number("run count", of: "large value", in: page, at: place)
      valueLength = 26 + 10 * count
    }
    return (Array(suffix), Array(page[place..<place + valueLength]), place + valueLength)
  }

  /// The bytes of a large value, its checksums compared.
  private mutating func readLarge(_ reference: [UInt8]) throws -> [UInt8] {
    largeValueCount += 1
    let section = "large value"
    let byteCount = try document.number("byte count", of: section, in: reference)
    let runCount = try document.number("run count", of: section, in: reference)
    let runs = try #require(document.sections[section]?["runs"]?.offset)
    var stored: [UInt8] = []
    for run in 0..<runCount {
      let first = Int(reference.number(at: runs + run * 10, 6))
      for id in first..<first + Int(reference.number(at: runs + run * 10 + 6, 4)) {
        #expect(pages.insert(id).inserted)
        stored += page(id)
      }
    }
    var table: [UInt8] = []
    for (index, start) in stride(from: 0, to: byteCount, by: 65536).enumerated() {
      let sum = stored.xxh64(start..<min(byteCount, start + 65536), seed: UInt64(index))
      table += (0..<8).map { UInt8(truncatingIfNeeded: sum >> (8 * UInt64($0))) }
    }
    if table.count > 8 {
      let start = (byteCount + 7) / 8 * 8
      #expect(Array(stored[start..<start + table.count]) == table)
    }
    #expect(
      try document.number("checksum", of: section, in: reference)
        == Int(truncatingIfNeeded: table.xxh64(0..<table.count, seed: 0)))
    return Array(stored[..<byteCount])
  }
}
