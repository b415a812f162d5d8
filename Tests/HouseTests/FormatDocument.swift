import Foundation
import Testing

/// The byte tables of `docs/FILE-FORMAT.md`.
struct FormatDocument {
  /// A row of a table.
  struct Field {
    var offset: Int
    /// Nil when it depends on other fields.
    var byteCount: Int?
    var content: String
  }

  /// The fields by the heading of their section and by name; "reserved" ones are left out.
  private(set) var sections: [String: [String: Field]] = [:]
  /// The bytes that must be zero, by section.
  private(set) var reserved: [String: [Range<Int>]] = [:]

  init() throws {
    let url = StyleTests.root.appending(path: "docs/FILE-FORMAT.md")
    var section = ""
    for line in try String(contentsOf: url, encoding: .utf8).split(separator: "\n") {
      if line.hasPrefix("#") {
        section = line.drop { $0 == "#" || $0 == " " }.lowercased()
        continue
      }
      let cells = line.split(separator: "|", omittingEmptySubsequences: false)
        .map { $0.trimmingCharacters(in: .whitespaces) }
      guard line.hasPrefix("|"), cells.count == 6, let offset = Int(cells[1].prefix { $0 != " " })
      else { continue }
      let field = Field(offset: offset, byteCount: Int(cells[2]), content: cells[4])
      if cells[3] == "reserved" {
        let byteCount = try #require(field.byteCount)
        reserved[section, default: []].append(offset..<offset + byteCount)
      } else {
        sections[section, default: [:]][cells[3]] = field
      }
    }
  }

  /// The number that a field of one of the tables has.
  func number(_ name: String, of section: String, in bytes: [UInt8], at start: Int = 0) throws
    -> Int
  {
    let field = try #require(sections[section]?[name], "\(section): \(name)")
    let byteCount = try #require(field.byteCount)
    try #require(byteCount <= 8)
    return Int(truncatingIfNeeded: bytes.number(at: start + field.offset, byteCount))
  }

  /// The bytes that a field of one of the tables has.
  func bytes(_ name: String, of section: String, in bytes: [UInt8]) throws -> [UInt8] {
    let field = try #require(sections[section]?[name], "\(section): \(name)")
    let byteCount = try #require(field.byteCount)
    return Array(bytes[field.offset..<field.offset + byteCount])
  }

  /// The constant that a field's content begins with: decimal, or hexadecimal with 0x.
  func constant(_ name: String, of section: String) throws -> Int {
    let content = try #require(sections[section]?[name]?.content)
    let word = content.prefix { !" ;,".contains($0) }
    let value = word.hasPrefix("0x") ? Int(word.dropFirst(2), radix: 16) : Int(word)
    return try #require(value, "\(section): \(name): \(content)")
  }

  /// The bytes in hexadecimal that stand in a field's content between back quotes.
  func literal(_ name: String, of section: String) throws -> [UInt8] {
    let content = try #require(sections[section]?[name]?.content)
    return try content.split(separator: "`")[0].split(separator: " ").map {
      try #require(UInt8($0, radix: 16))
    }
  }

  /// Expects zeros where the document says so.
  func expectZeros(_ section: String, in bytes: [UInt8], at start: Int = 0) {
    for range in reserved[section] ?? [] {
      let part = bytes[start + range.lowerBound..<start + range.upperBound]
      #expect(part.allSatisfy { $0 == 0 }, "\(section): reserved bytes \(range)")
    }
  }
}

extension [UInt8] {
  /// A little-endian number.
  func number(at offset: Int, _ byteCount: Int = 8) -> UInt64 {
    self[offset..<offset + byteCount].reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }

  /// The XXH64 of a part, written from its specification alone.
  func xxh64(_ range: Range<Int>, seed: UInt64) -> UInt64 {
    let prime: [UInt64] = [
      0x9E37_79B1_85EB_CA87, 0xC2B2_AE3D_27D4_EB4F, 0x1656_67B1_9E37_79F9, 0x85EB_CA77_C2B2_AE63,
      0x27D4_EB2F_1656_67C5,
    ]
    func rotate(_ value: UInt64, _ count: UInt64) -> UInt64 {
      value << count | value >> (64 - count)
    }
    func round(_ lane: UInt64, _ input: UInt64) -> UInt64 {
      rotate(lane &+ input &* prime[1], 31) &* prime[0]
    }
    var place = range.lowerBound
    var hash = seed &+ prime[4]
    if range.count >= 32 {
      var lanes = [seed &+ prime[0] &+ prime[1], seed &+ prime[1], seed, seed &- prime[0]]
      while range.upperBound - place >= 32 {
        for lane in 0..<4 { lanes[lane] = round(lanes[lane], number(at: place + lane * 8)) }
        place += 32
      }
      hash =
        rotate(lanes[0], 1) &+ rotate(lanes[1], 7) &+ rotate(lanes[2], 12) &+ rotate(lanes[3], 18)
      for lane in lanes { hash = (hash ^ round(0, lane)) &* prime[0] &+ prime[3] }
    }
    hash &+= UInt64(range.count)
    while range.upperBound - place >= 8 {
      hash = rotate(hash ^ round(0, number(at: place)), 27) &* prime[0] &+ prime[3]
      place += 8
    }
    if range.upperBound - place >= 4 {
      hash = rotate(hash ^ number(at: place, 4) &* prime[0], 23) &* prime[1] &+ prime[2]
      place += 4
    }
    while place < range.upperBound {
      hash = rotate(hash ^ UInt64(self[place]) &* prime[4], 11) &* prime[0]
      place += 1
    }
    hash = (hash ^ hash >> 33) &* prime[1]
    hash = (hash ^ hash >> 29) &* prime[2]
    return hash ^ hash >> 32
  }
}
