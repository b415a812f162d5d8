/// A text format of columns.
public enum TableFormat: String, CaseIterable, Sendable {
  /// RFC 4180: a line of the names, then a line for each row; an empty field is a hole.
  case csv
  /// A JSON object for each row, on a line of its own; null is a hole.
  case ndjson
  /// A JSON array: of the elements, if there is one column, otherwise of an object for each row.
  case json
}

/// A vector as a column of a table to be written.
public struct ColumnSource {
  /// What the column is called.
  public let name: String
  let count: Int
  /// The text of an element; nil at a hole.
  let texts: (Range<Int>) throws -> [String?]

  /// The column of a vector.
  ///
  /// - Parameters:
  ///   - name: what it is to be called.
  ///   - reader: its elements.
  public init<Reader: VectorReader>(_ name: String, _ reader: Reader)
  where Reader.Element: LosslessStringConvertible {
    self.name = name
    count = reader.count
    texts = { range in try reader.read(sortedIndices: range).map { $0?.description } }
  }
}

/// Writes vectors as the columns of a table, in pieces of bounded size.
///
/// Numbers are written so that reading them gives the same bits, but for what NaNs carry. JSON has no
/// words for what is not finite: there it is text, "nan", "inf", "-inf".
///
/// ```swift
/// var text: [UInt8] = []
/// let writer = TableWriter(.csv, [ColumnSource("height", reader)])
/// try writer.write { piece in text += piece }
/// ```
public struct TableWriter {
  private let format: TableFormat
  private let columns: [ColumnSource]
  /// How many rows are made at once.
  private static let rowCount = 1024

  /// A writer of some columns.
  ///
  /// - Parameters:
  ///   - format: how they are written.
  ///   - columns: at least one; where one is shorter than others, it has holes.
  public init(_ format: TableFormat, _ columns: [ColumnSource]) {
    precondition(!columns.isEmpty, "a table has a column")
    self.format = format
    self.columns = columns
  }

  /// Writes rows.
  ///
  /// - Parameters:
  ///   - range: of which rows; nil means all.
  ///   - hasHeader: whether CSV begins with the names.
  ///   - receive: gets one piece of the text after the other.
  /// - Throws: what reading and `receive` throw.
  /// - Complexity: O(n); memory for a thousand rows.
  public func write(
    in range: Range<Int>? = nil, hasHeader: Bool = true, to receive: ([UInt8]) throws -> Void
  ) throws {
    let range = range ?? 0..<(columns.map(\.count).max() ?? 0)
    var text: [UInt8] = []
    switch format {
    case .csv where hasHeader:
      for (place, column) in columns.enumerated() {
        if place > 0 { text.append(UInt8(ascii: ",")) }
        appendField(column.name, to: &text)
      }
      text.append(UInt8(ascii: "\n"))
    case .json: text.append(UInt8(ascii: "["))
    default: break
    }
    var next = range.lowerBound
    while next < range.upperBound {
      let rows = next..<min(range.upperBound, next + Self.rowCount)
      let texts = try columns.map { column in
        let present = rows.clamped(to: 0..<max(column.count, 0))
        return try column.texts(present)
          + [String?](repeating: nil, count: rows.count - present.count)
      }
      for row in 0..<rows.count {
        if format == .json, next + row > range.lowerBound { text += ",\n".utf8 }
        appendRow(texts.map { $0[row] }, to: &text)
      }
      try receive(text)
      text.removeAll(keepingCapacity: true)
      next = rows.upperBound
    }
    if format == .json { text += "]\n".utf8 }
    if !text.isEmpty { try receive(text) }
  }

  private func appendRow(_ row: [String?], to text: inout [UInt8]) {
    guard format != .csv else {
      for (place, field) in row.enumerated() {
        if place > 0 { text.append(UInt8(ascii: ",")) }
        if let field { appendField(field, to: &text) }
      }
      text.append(UInt8(ascii: "\n"))
      return
    }
    let isObject = format == .ndjson || columns.count > 1
    if isObject { text.append(UInt8(ascii: "{")) }
    for (place, field) in row.enumerated() {
      if place > 0 { text.append(UInt8(ascii: ",")) }
      if isObject {
        appendString(columns[place].name, to: &text)
        text.append(UInt8(ascii: ":"))
      }
      appendValue(field, to: &text)
    }
    if isObject { text.append(UInt8(ascii: "}")) }
    if format == .ndjson { text.append(UInt8(ascii: "\n")) }
  }

  /// Appends a field of CSV, in quotes if it must have them: an empty one, too, since without them it is
  /// a hole.
  private func appendField(_ field: String, to text: inout [UInt8]) {
    let needsQuotes =
      field.isEmpty || field.utf8.contains { $0 == 0x22 || $0 == 0x2C || $0 == 0x0A || $0 == 0x0D }
    guard needsQuotes else {
      text += field.utf8
      return
    }
    text.append(0x22)
    for byte in field.utf8 {
      if byte == 0x22 { text.append(0x22) }
      text.append(byte)
    }
    text.append(0x22)
  }

  private func appendValue(_ field: String?, to text: inout [UInt8]) {
    guard let field else {
      text += "null".utf8
      return
    }
    if JSONScalar.isBare(field.utf8) { text += field.utf8 } else { appendString(field, to: &text) }
  }

  private func appendString(_ string: String, to text: inout [UInt8]) {
    text.append(0x22)
    for byte in string.utf8 {
      if byte < 0x20 {
        let digits = String(byte, radix: 16)
        text += "\\u00\(byte < 0x10 ? "0" : "")\(digits)".utf8
      } else {
        if byte == 0x22 || byte == 0x5C { text.append(0x5C) }
        text.append(byte)
      }
    }
    text.append(0x22)
  }
}

/// What JSON takes as it is.
enum JSONScalar {
  /// Whether a text is a number or a truth value of JSON.
  static func isBare(_ text: some Collection<UInt8>) -> Bool {
    if text.elementsEqual("true".utf8) || text.elementsEqual("false".utf8) { return true }
    var rest = text[...]
    func digits() -> Int {
      let count = rest.prefix { 0x30...0x39 ~= $0 }.count
      rest = rest.dropFirst(count)
      return count
    }
    if rest.first == UInt8(ascii: "-") { rest = rest.dropFirst() }
    let startsWithZero = rest.first == UInt8(ascii: "0")
    let count = digits()
    guard count > 0, count == 1 || !startsWithZero else { return false }
    if rest.first == UInt8(ascii: ".") {
      rest = rest.dropFirst()
      guard digits() > 0 else { return false }
    }
    if rest.first == UInt8(ascii: "e") || rest.first == UInt8(ascii: "E") {
      rest = rest.dropFirst()
      if rest.first == UInt8(ascii: "+") || rest.first == UInt8(ascii: "-") {
        rest = rest.dropFirst()
      }
      guard digits() > 0 else { return false }
    }
    return rest.isEmpty
  }
}
