import BTreeKV
import Pager
import TestSupport
import Testing

@testable import Vectors

/// Columns that are computed when they are read, against the same over arrays, through everything that
/// readers can do.
@Suite struct LazyVectorTests {
  private let database: Database
  private static let count = 17_000

  init() throws { database = try openDatabase(in: try MemoryStorage()) }

  private func numbers(_ seed: UInt64, holes: Int) -> [Int32?] {
    var random = SeededRandom(seed: seed)
    var numbers: [Int32?] = (0..<Self.count).map { _ in Int32(random.below(2001) - 1000) }
    for _ in 0..<holes { numbers[random.below(numbers.count)] = nil }
    return numbers
  }

  private func raw<Element: VectorElement>(
    _ name: String, _ numbers: [Element?], beneath: Element
  ) throws -> RawVectorReader<Element> {
    let vector = try RawVector<Element>.open(name, in: database)
    vector.append(contentsOf: numbers.map { $0 ?? beneath })
    for index in numbers.indices where numbers[index] == nil { try vector.take(at: index) }
    try vector.write()
    return try vector.reader()
  }

  private func compressed(
    _ name: String, _ numbers: [Int32?]
  ) throws -> CompressedVectorReader<Int32> {
    let vector = try CompressedVector<Int32>.open(
      name, in: database, options: CompressionOptions(level: 1, pageElementCount: 1024))
    vector.append(contentsOf: numbers.map { $0 ?? 7 })
    for index in numbers.indices where numbers[index] == nil { try vector.take(at: index) }
    try vector.write()
    return try vector.reader()
  }

  /// Reads a column in every way.
  private func check<Reader: VectorReader>(
    _ reader: Reader, _ expected: [Reader.Element?], _ what: String
  ) throws where Reader.Element: VectorNumber {
    try require(reader.count == expected.count, "\(what): \(reader.count) elements")
    var random = SeededRandom(seed: 9)
    var ranges = [0..<expected.count, 0..<0, expected.count..<expected.count]
    for edge in [8192, 16384] where edge < expected.count {
      ranges.append(edge - 1..<min(expected.count, edge + 9))
    }
    for _ in 0..<3 {
      let start = random.below(expected.count + 1)
      ranges.append(start..<start + random.below(expected.count - start + 1))
    }
    for range in ranges {
      let holes = range.filter { expected[$0] == nil }
      try require(try reader.holes(in: range) == holes, "\(what) \(range): other holes")
      var found: [Reader.Element] = []
      try reader.readSpans(in: range) { span in
        for index in span.indices { found.append(Reader.Element(stored: span[index])) }
      }
      try require(found.count == range.count, "\(what) \(range): \(found.count) elements")
      for index in range where expected[index] != nil {
        try require(
          expected[index] == found[index - range.lowerBound], "\(what): \(index) is another")
      }
      // Beneath holes lies the same, however it is read.
      for index in [range.lowerBound, range.lowerBound + range.count / 2]
      where range.contains(index) {
        try require(
          storedBytes([try reader.value(at: index)])
            == storedBytes([found[index - range.lowerBound]]), "\(what): \(index) alone")
      }
      let present = expected[range].compactMap { $0 }
      try require(try reader.min(in: range) == present.min(), "\(what) \(range): least")
      try require(
        try reader.concurrentMax(in: range, threadCount: 3) == present.max(), "\(what): greatest")
      try require(
        try reader.concurrentSum(in: range, threadCount: 2) == reader.sum(in: range),
        "\(what) \(range): sum")
      try require(try reader.presentCount(in: range) == present.count, "\(what): count")
    }
    var text: [UInt8] = []
    try TableWriter(.ndjson, [ColumnSource("a", reader)]).write(in: 0..<min(50, expected.count)) {
      text += $0
    }
    let lines = expected.prefix(50).map { "{\"a\":\($0.map { "\($0)" } ?? "null")}\n" }
    try require(
      text == Array(lines.joined().utf8),
      "\(what): exchanged as \(String(decoding: text.prefix(200), as: UTF8.self))")
  }

  @Test func mapped() throws {
    let numbers = numbers(1, holes: 300)
    let expected = numbers.map { $0.map { Int64($0) * 3 } }
    try check(try raw("a", numbers, beneath: 5).mapped { Int64($0) * 3 }, expected, "raw")
    try check(try compressed("b", numbers).mapped { Int64($0) * 3 }, expected, "compressed")
    try check(try raw("c", [Int32?](), beneath: 5).mapped { $0 }, [], "empty")
    // Over several of the blocks that threads take.
    let long = try raw("d", (0..<140_000).map { Int32($0) }, beneath: 0).mapped { Double($0) / 3 }
    #expect(long.concurrentSum(threadCount: 3) == long.sum())
  }

  @Test func zipped() throws {
    let (left, right) = (numbers(2, holes: 300), Array(numbers(3, holes: 200).dropLast(777)))
    let third = numbers(4, holes: 2)
    let pairs = zip(left, right).map { left, right in left.flatMap { a in right.map { a - $0 } } }
    let triples = zip(pairs, third).map { pair, third in pair.flatMap { a in third.map { a ^ $0 } }
    }
    let (a, b) = (try raw("a", left, beneath: 5), try compressed("b", right))
    let c = try raw("c", third, beneath: 1)
    try check(
      a.throwing(DatabaseError.self).zipped(with: b) { $0 - $1 }, pairs, "raw and compressed")
    try check(b.zipped(with: b) { $0 + $1 }, right.map { $0.map { $0 + $0 } }, "with itself")
    try check(
      a.zipped(with: c) { $0 - $1 },
      zip(left, third).map { l, r in
        l.flatMap { l in r.map { l - $0 } }
      }, "raw")
    try check(
      b.zipped(with: a.throwing(DatabaseError.self), c.throwing(DatabaseError.self)) {
        ($1 - $0) ^ $2
      }, triples, "three")
  }

  @Test(arguments: [1, 2, 60, 9000, 50_000]) func changesAndWindows(lag: Int) throws {
    let numbers = numbers(5, holes: lag > 1000 ? 2 : 100)
    let expected = changes(numbers, lag, -)
    let (a, b) = (try raw("a", numbers, beneath: 5), try compressed("b", numbers))
    try check(a.changes(over: lag), expected, "changes over \(lag)")
    try check(b.changes(over: lag) { $0 - $1 }, expected, "compressed changes over \(lag)")
    let ends = numbers.indices.map { index -> Int32? in
      let window = numbers[max(0, index - lag + 1)...index]
      guard !window.contains(nil), let first = window.first ?? nil, let last = window.last ?? nil
      else { return nil }
      return first - last
    }
    // Too much to compare for long windows in a debug build.
    guard lag < 1000 else { return }
    try check(
      a.windowed(over: lag) { $0[0] - $0[$0.count - 1] }, ends, "windows over \(lag)")
    try check(
      b.windowed(over: lag) { $0[0] - $0[$0.count - 1] }, ends, "compressed windows over \(lag)")
  }

  @Test func windowsLongerThanTheColumn() throws {
    let reader = try raw("a", [4, 9, nil, 3] as [Int16?], beneath: 5)
    let counts = reader.windowed(over: .max) { Int16($0.count) }
    try check(counts, [1, 2, nil, nil], "counts")
    try check(reader.changes(over: .max), [nil, nil, nil, nil], "changes")
    try check(
      reader.windowed(over: 2) { $0.count == 2 ? $0[0] : -1 }, [-1, 4, nil, nil], "pairs")
  }

  @Test(arguments: [false, true]) func groups(isCompressed: Bool) throws {
    let numbers = numbers(6, holes: 4000)
    var random = SeededRandom(seed: 3)
    var starts: [UInt32?] = [0]
    while let last = starts.last ?? nil, last < Self.count {
      starts.append(last + UInt32(random.below(random.chance(5) ? 3000 : 8)))
    }
    starts.append(UInt32(Self.count + 5))
    let places = starts.map { min(Int($0 ?? 0), Self.count) } + [Self.count]
    let groups = starts.indices.map { numbers[places[$0]..<places[$0 + 1]].compactMap { $0 } }
    starts[40] = nil
    func expected<Value>(_ aggregate: ([Int32]) -> Value?) -> [Value?] {
      groups.indices.map { $0 == 40 ? nil : aggregate(groups[$0]) }
    }
    let index = try raw("starts", starts, beneath: UInt32(places[40]))
    func check<Base: VectorReader>(_ column: GroupedVector<Base, some VectorReader>) throws
    where Base.Element == Int32 {
      try self.check(column.first(), expected(\.first), "first")
      try self.check(column.last(), expected(\.last), "last")
      try self.check(column.min(), expected { $0.min() }, "least")
      try self.check(column.max(), expected { $0.max() }, "greatest")
      try self.check(column.elementCounts(), expected(\.count), "count")
      try self.check(column.sum(), expected { $0.reduce(0) { $0 + Int128($1) } }, "sum")
      try self.check(
        column.mean(),
        expected { $0.isEmpty ? nil : Double($0.reduce(0) { $0 + Int($1) }) / Double($0.count) },
        "mean")
    }
    if isCompressed {
      try check(try compressed("b", numbers).grouped(by: index.throwing(DatabaseError.self)))
    } else {
      try check(try raw("a", numbers, beneath: 5).grouped(by: index))
    }
  }

  /// Places that are not in the column, or not ascending, make empty groups.
  @Test func oddIndices() throws {
    let reader = try raw("a", [1, 2, .nan, .nan, 5] as [Double?], beneath: 5)
    let index = try raw("index", [0, 2, 4, 1, -7, .max] as [Int64?], beneath: 0)
    let groups = reader.grouped(by: index)
    #expect((0..<6).map { groups.range(of: $0) } == [0..<2, 2..<4, 4..<4, 1..<1, 0..<5, 5..<5])
    let least = groups.min()
    #expect(least.value(at: 0) == 1 && least.value(at: 1).isNaN && least.value(at: 4) == 1)
    #expect(least.holes(in: 0..<6) == [2, 3, 5])
    #expect(groups.elementCounts().elements(0..<6) == [2, 2, 0, 0, 5, 0])
  }

  /// Damage of a source is an error of what is computed from it.
  @Test func errorsAreThoseOfTheSource() throws {
    let reader = try compressed("b", numbers(7, holes: 0))
    let access = reader.access
    let mapped = reader.mapped { $0 }
    try database.write { transaction in
      try access.in(transaction).records.removeRange(
        VectorKey.range(access.list.id, .page, 3..<4))
    }
    // An instant before: still whole.
    #expect(
      try mapped.presentCount() == Self.count && mapped.value(at: 4000) == reader.value(at: 4000))
    let damaged = try CompressedVector<Int32>.open("b", in: database).reader()
    #expect(throws: DatabaseError.self) {
      try damaged.zipped(with: damaged) { $0 &+ $1 }.sum()
    }
    #expect(throws: DatabaseError.self) { try damaged.windowed(over: 3) { $0[0] }.max(in: nil) }
  }
}
