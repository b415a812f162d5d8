import BTreeKV
import Pager
import TestSupport
import Testing

/// Ranges of typed keys hold exactly the keys that they should, seen through a database.
@Suite struct TypedRangeTests {
  private typealias Triple = CompositeKey<UInt8, String, Int16>

  private static let firsts: [UInt8] = [0, 1, 7, 0xFE, 0xFF]
  private static let seconds = ["", "\0", "\0\0", "a", "a\0", "a\u{1}", "ab", "b", "\u{10FFFF}"]
  private static let thirds: [Int16] = [.min, -1, 0, 1, 255, .max]

  /// A database in memory with all combinations as keys.
  private func withTriples(_ body: (Database) throws -> Void) throws {
    let database = try openDatabase(in: MemoryStorage())
    for first in Self.firsts {
      for second in Self.seconds {
        for third in Self.thirds {
          try Triple(first, second, third).withEncodedKey { (key) throws(DatabaseError) in
            _ = try database.insert(key, [])
          }
        }
      }
    }
    try body(database)
    try database.close()
  }

  /// Expects of the range exactly the keys of which `belongs` says so, in order.
  private func expect(
    _ range: KeyRange, in database: Database, _ name: String,
    _ belongs: (UInt8, String, Int16) -> Bool
  ) throws {
    var found: [Triple] = []
    var problem: DatabaseError?
    try database.forEach(in: range) { key, _ in
      do throws(DatabaseError) {
        found.append(try Triple(encodedKey: key))
        return .next
      } catch {
        problem = error
        return .stop
      }
    }
    #expect(problem == nil)
    var wanted: [Triple] = []
    for first in Self.firsts {
      for second in Self.seconds {
        for third in Self.thirds where belongs(first, second, third) {
          wanted.append(Triple(first, second, third))
        }
      }
    }
    // The samples stand in their order.
    #expect(found == wanted, "\(name)")
  }

  @Test func prefixesHoldWhatBeginsWithThem() throws {
    try withTriples { database in
      try expect(Triple.prefixRange(), in: database, "all") { _, _, _ in true }
      for a in Self.firsts {
        try expect(Triple.prefixRange(a), in: database, "\(a)") { x, _, _ in x == a }
        for b in Self.seconds {
          try expect(Triple.prefixRange(a, b), in: database, "\(a), \(b)") { x, y, _ in
            x == a && y == b
          }
          try expect(Triple.prefixRange(leading: a, b), in: database, "leading \(a), \(b)") {
            x, y, _ in
            x == a && y == b
          }
          try expect(Triple.prefixRange(a, b, 255), in: database, "\(a), \(b), 255") { x, y, z in
            x == a && y == b && z == 255
          }
        }
      }
      // Literals take the components' types.
      try expect(Triple.prefixRange(7, "a"), in: database, "literals") { x, y, _ in
        x == 7 && y == "a"
      }
    }
  }

  @Test func rangesBehindAPrefix() throws {
    try withTriples { database in
      for a in Self.firsts {
        try expect(Triple.prefixRange(a, "\0"..<"ab"), in: database, "\(a) half-open") {
          x, y, _ in
          x == a && y.isAtLeast("\0") && !y.isAtLeast("ab")
        }
        try expect(Triple.prefixRange(a, "\0"..."ab"), in: database, "\(a) closed") { x, y, _ in
          x == a && y.isAtLeast("\0") && !y.isAtLeast("b")
        }
        try expect(Triple.prefixRange(a, "a\0"...), in: database, "\(a) from") { x, y, _ in
          x == a && y.isAtLeast("a\0")
        }
        try expect(Triple.prefixRange(a, ..<"a"), in: database, "\(a) up to") { x, y, _ in
          x == a && !y.isAtLeast("a")
        }
        try expect(Triple.prefixRange(a, ..."a"), in: database, "\(a) through") { x, y, _ in
          x == a && !y.isAtLeast("a\0")
        }
        for b in Self.seconds {
          try expect(Triple.prefixRange(a, b, -1...255), in: database, "\(a) \(b) -1...255") {
            x, y, z in
            x == a && y == b && (-1...255).contains(z)
          }
          try expect(Triple.prefixRange(a, b, 0...), in: database, "\(a) \(b) 0...") { x, y, z in
            x == a && y == b && z >= 0
          }
          try expect(Triple.prefixRange(a, b, 0..<0), in: database, "empty") { _, _, _ in false }
        }
      }
    }
  }

  @Test func rangesOfWholeKeys() throws {
    try withTriples { database in
      let (low, high) = (Triple(1, "a", 0), Triple(0xFE, "a\0", -1))
      typealias Check = (Triple) -> Bool
      let cases: [(KeyRange, Check)] = [
        (KeyRange(low..<high), { low <= $0 && $0 < high }),
        (KeyRange(low...high), { low <= $0 && $0 <= high }),
        (KeyRange(low...), { low <= $0 }),
        (KeyRange(..<high), { $0 < high }),
        (KeyRange(...high), { $0 <= high }),
      ]
      for (index, (range, check)) in cases.enumerated() {
        try expect(range, in: database, "case \(index)") { check(Triple($0, $1, $2)) }
      }
    }
  }

  @Test func rangesOfNumbersAndTexts() throws {
    #expect(try numbers(in: KeyRange(-3..<2)) == [-3, -2, -1, 0, 1])
    #expect(try numbers(in: KeyRange(-3...2)) == [-3, -2, -1, 0, 1, 2])
    #expect(try numbers(in: KeyRange(3...)) == [3, 4, 5])
    #expect(try numbers(in: KeyRange(..<(-4))) == [-5])
    #expect(try numbers(in: KeyRange(...(-4))) == [-5, -4])

    let database = try openDatabase(in: MemoryStorage())
    for number in [-Double.nan, -.infinity, -1, -0.0, 0.0, 1, .infinity, .nan] {
      try database.insert(number.encodedKey, [])
    }
    #expect(try count(database, KeyRange(-0.0...0.0)) == 2)
    // A range whose end comes first in the tree: Swift takes it, since 0 == -0.
    #expect(try count(database, KeyRange(0.0...(-0.0))) == 0)
    #expect(try count(database, KeyRange((-Double.infinity)...(.infinity))) == 6)
    #expect(try count(database, KeyRange(0.0...)) == 4)
    #expect(try count(database, KeyRange(..<0.0)) == 4)
    try database.close()

    let texts = try openDatabase(in: MemoryStorage())
    for text in ["", "a", "a\0", "ab", "b"] { try texts.insert(text.encodedKey, []) }
    #expect(try count(texts, KeyRange("a"..."a")) == 1)
    #expect(try count(texts, KeyRange("a"..<"b")) == 3)
    #expect(try count(texts, KeyRange(...("ab" as String))) == 4)
    // For Swift this "é" is behind "z", by its first scalar it belongs behind "e": so the end comes
    // first, with many pages between.
    for number in 0..<3000 { try texts.insert("f\(number)".encodedKey, [0]) }
    #expect(try count(texts, KeyRange("z"..<"e\u{301}")) == 0)
    #expect(try count(texts, KeyRange("z"..."e\u{301}")) == 0)
    try texts.forEach(in: KeyRange("z"..<"e\u{301}"), reversed: true) { _, _ in
      Issue.record("a key in a range of none")
      return .stop
    }
    try texts.close()
  }

  private func numbers(in range: KeyRange) throws -> [Int] {
    let database = try openDatabase(in: MemoryStorage())
    for number in -5...5 { try database.insert(number.encodedKey, []) }
    var found: [Int] = []
    try database.forEach(in: range) { key, _ in
      if let number = try? Int(encodedKey: key) { found.append(number) }
      return .next
    }
    try database.close()
    return found
  }

  private func count(_ database: Database, _ range: KeyRange) throws -> Int {
    var count = 0
    try database.forEach(in: range) { _, _ in
      count += 1
      return .next
    }
    return count
  }
}

extension String {
  /// By the order of keys.
  fileprivate func isAtLeast(_ other: String) -> Bool {
    !unicodeScalars.lexicographicallyPrecedes(other.unicodeScalars)
  }
}
