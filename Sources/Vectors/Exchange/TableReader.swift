/// Where the elements of a column go that is read.
public struct ColumnSink {
  /// What the column is called.
  public let name: String
  /// What an element is called in messages.
  let typeName: String
  /// Takes an element's text, nil at a hole; false when it is no element.
  let receive: (String?) throws -> Bool

  /// The column of elements of a type.
  ///
  /// - Parameters:
  ///   - name: what it is called.
  ///   - type: that of its elements.
  ///   - receive: gets one element after the other; nil is a hole.
  public init<Element: LosslessStringConvertible>(
    _ name: String, of type: Element.Type, _ receive: @escaping (Element?) throws -> Void
  ) {
    self.name = name
    typeName = "\(type)"
    let isFloat = type is any FloatingPoint.Type
    self.receive = { text in
      guard let text else {
        try receive(nil)
        return true
      }
      guard let element = Element(text), !(isFloat && Self.hasOverflown(element, text)) else {
        return false
      }
      try receive(element)
      return true
    }
  }

  /// Whether digits stand for more than the type has.
  private static func hasOverflown<Element>(_ element: Element, _ text: String) -> Bool {
    guard let number = element as? any FloatingPoint, number.isInfinite else { return false }
    return text.contains(where: \.isNumber)
  }
}

/// Reads the columns of a table from pieces of its text.
///
/// Columns are found by their names, in any order; those that nobody wants are left out. A table of JSON
/// values that are no objects is that of its only column. Memory is that of a row, of which no field may
/// have more than 4 KiB.
///
/// ```swift
/// var heights: [UInt32?] = []
/// let sink = ColumnSink("height", of: UInt32.self) { heights.append($0) }
/// var reader = TableReader(.csv, [sink])
/// try reader.read(Array("name,height\nada,171\nbob,\n".utf8))
/// try reader.finish()
/// ```
public struct TableReader {
  /// How a text becomes fields.
  private var parser: any FieldParser
  /// How many rows were read.
  public var rowCount: Int { parser.rows.count }

  /// A reader of some columns.
  ///
  /// - Parameters:
  ///   - format: how they are written.
  ///   - columns: those that are wanted, at least one; each must be there.
  public init(_ format: TableFormat, _ columns: [ColumnSink]) {
    precondition(!columns.isEmpty, "a table has a column")
    switch format {
    case .csv: parser = CSVParser(rows: RowReceiver(columns))
    case .ndjson: parser = JSONParser(rows: RowReceiver(columns), isArray: false)
    case .json: parser = JSONParser(rows: RowReceiver(columns), isArray: true)
    }
  }

  /// Reads the next piece of the text.
  ///
  /// - Parameter bytes: UTF-8, cut anywhere.
  /// - Throws: `ExchangeError` where the text is wrong, and what a column's closure throws. Nothing more
  ///   can be read then.
  public mutating func read(_ bytes: [UInt8]) throws {
    try parser.read(bytes)
  }

  /// Says that there is no more.
  ///
  /// - Throws: as `read`, also when the text ends too early.
  public mutating func finish() throws { try parser.finish() }
}

/// A place in a text.
struct TextPlace: Equatable {
  var line = 1
  var column = 1
  /// How many bytes of a mark that says UTF-8, as some programs put it in front of a text, were met.
  private var markCount: Int? = 0

  private static let mark: [UInt8] = [0xEF, 0xBB, 0xBF]

  /// Whether a byte is part of the mark in front of the text.
  mutating func isInMark(_ byte: UInt8) -> Bool {
    guard let count = markCount else { return false }
    guard count < Self.mark.count, byte == Self.mark[count] else {
      markCount = nil
      return false
    }
    markCount = count + 1
    return true
  }

  mutating func advance(_ byte: UInt8) {
    if byte == UInt8(ascii: "\n") {
      line += 1
      column = 1
    } else {
      column += 1
    }
  }

  func error(_ message: String) -> ExchangeError {
    ExchangeError(message, line: line, column: column)
  }
}

/// Takes a text byte by byte and hands over its fields.
protocol FieldParser {
  var place: TextPlace { get set }
  var rows: RowReceiver { get }
  mutating func read(_ byte: UInt8) throws
  mutating func finish() throws
}

extension FieldParser {
  mutating func read(_ bytes: [UInt8]) throws {
    for byte in bytes {
      if place.isInMark(byte) { continue }
      try read(byte)
      place.advance(byte)
    }
  }
}

/// The most bytes that a field may have.
let maximumFieldByteCount = 4096

/// Hands fields to columns.
struct RowReceiver {
  private let columns: [ColumnSink]
  private let numbers: [String: Int]
  /// The row's field of each column, and where it began; nil before it has come.
  private var fields: [(text: String?, place: TextPlace)?]
  private(set) var count = 0

  init(_ columns: [ColumnSink]) {
    self.columns = columns
    numbers = Dictionary(columns.enumerated().map { ($1.name, $0) }) { first, _ in first }
    fields = Array(repeating: nil, count: columns.count)
  }

  /// The only column, if there is one.
  var onlyColumn: Int? { columns.count == 1 ? 0 : nil }

  /// The number of a column; nil when nobody wants it.
  func column(_ name: String) -> Int? { numbers[name] }

  func name(_ column: Int) -> String { columns[column].name }

  func missing(in header: [Int?]) -> String? {
    columns.indices.first { !header.contains($0) }.map { columns[$0].name }
  }

  mutating func take(_ text: String?, _ column: Int, at place: TextPlace) throws {
    guard fields[column] == nil else {
      throw place.error("the column \"\(columns[column].name)\" comes twice")
    }
    fields[column] = (text, place)
  }

  mutating func endRow(at place: TextPlace) throws {
    for (column, field) in zip(columns, fields) {
      guard let field else { throw place.error("the column \"\(column.name)\" is missing") }
      guard try column.receive(field.text) else {
        throw field.place.error("\"\((field.text ?? "").prefix(40))\" is no \(column.typeName)")
      }
    }
    for index in fields.indices { fields[index] = nil }
    count += 1
  }
}
