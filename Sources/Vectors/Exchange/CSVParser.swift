/// Fields of RFC 4180, of which the first line has the names; lines may end with or without a carriage
/// return.
struct CSVParser: FieldParser {
  private enum State {
    /// At the beginning of a field.
    case start
    case plain
    case quoted
    /// After a quote within quotes: the end, or half of a quote.
    case quote
    /// After a carriage return.
    case lineEnd
  }

  var place = TextPlace()
  private(set) var rows: RowReceiver
  private var state = State.start
  private var field: [UInt8] = []
  private var isQuoted = false
  private var fieldPlace = TextPlace()
  /// Which column each field of a line belongs to; nil before the first line.
  private var header: [Int?]?
  private var names: [Int?] = []
  /// How many fields of the line have ended.
  private var number = 0

  init(rows: RowReceiver) { self.rows = rows }

  mutating func read(_ byte: UInt8) throws {
    if state == .quoted {
      if byte == 0x22 { state = .quote } else { try append(byte) }
      return
    }
    if state == .start { fieldPlace = place }
    switch byte {
    case 0x22 where state == .start:
      (state, isQuoted) = (.quoted, true)
    case 0x22 where state == .quote:
      state = .quoted
      try append(byte)
    case 0x2C where state != .lineEnd: try endField()
    case 0x0A: try endLine()
    case 0x0D where state != .lineEnd: state = .lineEnd
    default:
      guard state == .start || state == .plain, byte != 0x22 else {
        throw place.error(
          state == .lineEnd
            ? "a carriage return must be followed by a line feed"
            : "a field's quotes are at its ends")
      }
      state = .plain
      try append(byte)
    }
  }

  mutating func finish() throws {
    if state == .quoted { throw fieldPlace.error("the quotes of this field don't end") }
    if state != .start || number > 0 { try endLine() }
    if header == nil { throw place.error("the line of names is missing") }
  }

  private mutating func append(_ byte: UInt8) throws {
    guard field.count < maximumFieldByteCount else {
      throw fieldPlace.error("the field is too long")
    }
    field.append(byte)
  }

  private mutating func endField() throws {
    guard let text = String(validating: field, as: UTF8.self) else {
      throw fieldPlace.error("the field is not UTF-8")
    }
    if let header {
      guard number < header.count else {
        throw fieldPlace.error("the line has more fields than the first one, \(header.count)")
      }
      if let column = header[number] {
        try rows.take(text.isEmpty && !isQuoted ? nil : text, column, at: fieldPlace)
      }
    } else {
      let column = rows.column(text)
      if let column, names.contains(column) {
        throw fieldPlace.error("the column \"\(text)\" comes twice")
      }
      names.append(column)
    }
    number += 1
    field.removeAll(keepingCapacity: true)
    (state, isQuoted) = (.start, false)
  }

  private mutating func endLine() throws {
    try endField()
    if let header {
      guard number == header.count else {
        throw place.error("the line has \(number) fields, the first one \(header.count)")
      }
      try rows.endRow(at: place)
    } else {
      if let missing = rows.missing(in: names) {
        throw place.error("there is no column \"\(missing)\"")
      }
      header = names
    }
    number = 0
  }
}
