import BTreeKV
import Pager
import TestSupport
import Testing
import Vectors

/// Vectors as text, and text as vectors.
@Suite struct TableTests {
  private let database: Database

  init() throws { database = try openDatabase(in: try MemoryStorage()) }

  private func reader<Element: VectorElement>(
    _ name: String, _ elements: [Element], holes: [Int] = []
  ) throws -> RawVectorReader<Element> {
    let vector = try RawVector<Element>.open(name, in: database)
    vector.append(contentsOf: elements)
    for hole in holes { try vector.take(at: hole) }
    try vector.write()
    return try vector.reader()
  }

  private func text(
    _ format: TableFormat, _ columns: [ColumnSource], in range: Range<Int>? = nil
  ) throws -> String {
    var text: [UInt8] = []
    try TableWriter(format, columns).write(in: range) { text += $0 }
    return String(decoding: text, as: UTF8.self)
  }

  /// Reads one column, in pieces of some size.
  private func elements<Element: LosslessStringConvertible>(
    _ format: TableFormat, _ name: String, _ text: String, of type: Element.Type,
    pieceCount: Int = 7
  ) throws -> [Element?] {
    var found: [Element?] = []
    var reader = TableReader(format, [ColumnSink(name, of: type) { found.append($0) }])
    let bytes = Array(text.utf8)
    for start in stride(from: 0, to: bytes.count, by: pieceCount) {
      try reader.read(Array(bytes[start..<min(bytes.count, start + pieceCount)]))
    }
    try reader.finish()
    #expect(reader.rowCount == found.count)
    return found
  }

  private func checkRoundTrip<Number: VectorNumber>(_ numbers: [Number]) throws {
    let name = Number.elementTag
    let column = ColumnSource(name, try reader(name, numbers))
    for format in TableFormat.allCases {
      let text = try text(format, [column])
      for pieceCount in [1, 5, 4096] {
        let found = try elements(format, name, text, of: Number.self, pieceCount: pieceCount)
        #expect(found.count == numbers.count)
        for (one, other) in zip(found, numbers) {
          // The text of a number is the shortest that no other one has; all NaNs have the same.
          #expect(one?.description == other.description, "\(format) \(Number.self)")
          #expect(one == other || other != other)
        }
      }
    }
  }

  @Test func edgeValuesComeBack() throws {
    try checkRoundTrip([UInt64.max, 0, 1, 1 << 63, (1 << 53) + 1])
    try checkRoundTrip([Int64.min, .max, -1])
    try checkRoundTrip([UInt128.max, 0])
    try checkRoundTrip([Int8.min, .max, 0])
    try checkRoundTrip(
      [
        0.0, -0.0, .infinity, -.infinity, .nan, .leastNonzeroMagnitude, .greatestFiniteMagnitude,
        0.1,
      ])
    try checkRoundTrip([Float.pi, -0.0, .infinity, .nan, .leastNonzeroMagnitude, 1e20])
    try checkRoundTrip([UInt16]())
    try checkRoundTrip((0..<5000).map { Int32(truncatingIfNeeded: $0 &* 77_777) })
  }

  @Test func textIsAsDocumented() throws {
    let heights = ColumnSource("height", try reader("heights", [171, 181, 165] as [UInt32]))
    let prices = ColumnSource("a \"price\"", try reader("p", [1.5, -.infinity], holes: [0]))
    #expect(try text(.csv, [heights]) == "height\n171\n181\n165\n")
    #expect(try text(.ndjson, [heights], in: 1..<2) == "{\"height\":181}\n")
    #expect(try text(.json, [heights]) == "[171,\n181,\n165]\n")
    #expect(
      try text(.csv, [heights, prices]) == "height,\"a \"\"price\"\"\"\n171,\n181,-inf\n165,\n")
    #expect(
      try text(.json, [heights, prices], in: 1..<3)
        == "[{\"height\":181,\"a \\\"price\\\"\":\"-inf\"},\n"
        + "{\"height\":165,\"a \\\"price\\\"\":null}]\n")
    let flags = ColumnSource("flag", try reader("flags", [true, false]))
    #expect(try text(.json, [flags]) == "[true,\nfalse]\n")
    let none = ColumnSource("none", try reader("none", [UInt8]()))
    #expect(try text(.json, [none]) == "[]\n" && text(.csv, [none]) == "none\n")
  }

  @Test func severalColumnsAreRead() throws {
    var (names, heights): ([String?], [UInt32?]) = ([], [])
    func sinks() -> [ColumnSink] {
      [
        ColumnSink("height", of: UInt32.self) { heights.append($0) },
        ColumnSink("name", of: String.self) { names.append($0) },
      ]
    }
    let texts: [(TableFormat, String)] = [
      (.csv, "name,age,height\r\nada,7,171\r\n\"b,\"\"o\nb\",,\r\n\"\",1,3"),
      (
        .ndjson,
        """
        {"name":"ada","x":[1,{"y":2}],"height":171}
        """
      ),
      (
        .json,
        """
        [ {"height": 171, "age": 1e3, "name": "ada"},
          {"name": "b,\\"o\\nb", "height": null} , {"height":3,"name":""} ]
        """
      ),
      (
        .ndjson,
        """
        {"name":"\\u0061d\\u0061","height":171}
        {"height":null,"name":"b,\\"o\\nb"}{"height":"3","name":""}
        """
      ),
    ]
    for (place, (format, text)) in texts.enumerated() {
      (names, heights) = ([], [])
      var reader = TableReader(format, sinks())
      if place == 1 {
        // Nested values are none of a column's.
        #expect(throws: ExchangeError.self) { try reader.read(Array(text.utf8)) }
        continue
      }
      try reader.read(Array(text.utf8))
      try reader.finish()
      #expect(names == ["ada", "b,\"o\nb", ""], "\(format)")
      #expect(heights == [171, nil, 3], "\(format)")
    }
    #expect(
      try elements(.json, "x", "[\"\\ud83d\\ude00\\t\\/\"]", of: String.self) == ["😀\t/"])
  }

  @Test func errorsSayWhere() throws {
    let cases: [(TableFormat, String, Int, Int, String)] = [
      (.csv, "a,x\n1,2\n3,4.5\n", 3, 3, "\"4.5\" is no UInt8"),
      (.csv, "x\n256\n", 2, 1, "\"256\" is no UInt8"),
      (.csv, "x\n\"\"\n", 2, 1, "\"\" is no UInt8"),
      (.csv, "a,b\n", 1, 4, "no column \"x\""),
      (.csv, "x,x\n", 1, 3, "twice"),
      (.csv, "", 1, 1, "names is missing"),
      (.csv, "x,y\n1\n", 2, 2, "1 fields, the first one 2"),
      (.csv, "x\n1,2\n", 2, 3, "more fields"),
      (.csv, "x\n\"1", 2, 1, "don't end"),
      (.csv, "x\n1\"2\n", 2, 2, "quotes"),
      (.csv, "x\n1\r2\n", 2, 3, "line feed"),
      (.csv, "x\n" + String(repeating: "1", count: 5000), 2, 1, "too long"),
      (.json, "[1,\n 2,\n 300]", 3, 2, "\"300\" is no UInt8"),
      (.json, "[1,2", 1, 5, "ends too early"),
      (.json, "[1 2]", 1, 4, "can't stand here"),
      (.json, "[1,]", 1, 4, "can't stand here"),
      (.json, "[01]", 1, 2, "no value of JSON"),
      (.json, "[nan]", 1, 2, "no value of JSON"),
      (.json, "{}", 1, 1, "can't stand here"),
      (.json, "[{\"x\":1,\"x\":2}]", 1, 13, "twice"),
      (.json, "[{\"y\":1}]", 1, 8, "\"x\" is missing"),
      (.json, "[\"\\ud83d\"]", 1, 9, "half of a character"),
      (.json, "[\"\\q\"]", 1, 4, "escape"),
      (.ndjson, "{\"x\":1}\n{\"x\":-1}\n", 2, 6, "\"-1\" is no UInt8"),
      (.ndjson, "{\"x\":1}]", 1, 8, "can't stand here"),
      (.ndjson, "{\"x\":1", 1, 7, "ends too early"),
    ]
    for (format, text, line, column, message) in cases {
      do {
        let found = try elements(format, "x", text, of: UInt8.self)
        Issue.record("\(format) \(text.prefix(40)): \(found)")
      } catch let error as ExchangeError {
        #expect(error.line == line && error.column == column, "\(text.prefix(40)): \(error)")
        #expect(error.message.contains(message), "\(text.prefix(40)): \(error)")
      }
    }
  }

  /// Some programs put a mark in front of UTF-8.
  @Test(arguments: [TableFormat.csv, .ndjson, .json]) func marksAreNoText(format: TableFormat)
    throws
  {
    let text =
      switch format {
      case .csv: "\"n\"\n1\n\n"
      case .ndjson: "{\"n\":1}\n{\"n\":null}\n"
      case .json: "[1,null]"
      }
    for cut in 0...4 {
      var found: [UInt8?] = []
      var reader = TableReader(format, [ColumnSink("n", of: UInt8.self) { found.append($0) }])
      let bytes = [0xEF, 0xBB, 0xBF] + Array(text.utf8)
      try reader.read(Array(bytes[..<cut]))
      try reader.read(Array(bytes[cut...]))
      try reader.finish()
      #expect(found == [1, nil], "\(format), cut at \(cut)")
    }
  }

  @Test func numbersThatAreTooLarge() throws {
    func read(_ text: String) throws -> [Float?] {
      var found: [Float?] = []
      var reader = TableReader(.csv, [ColumnSink("n", of: Float.self) { found.append($0) }])
      try reader.read(Array("n\n\(text)\n".utf8))
      try reader.finish()
      return found
    }
    #expect(try read("inf") == [.infinity] && read("-inf") == [-.infinity])
    #expect(try read("3.4e38") == [3.4e38])
    for text in ["3.5e38", "-1e400"] {
      #expect(throws: ExchangeError.self, "\(text)") { try read(text) }
    }
  }
}
