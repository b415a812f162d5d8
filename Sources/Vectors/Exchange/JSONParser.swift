/// Rows of JSON: an array of them, or one after the other.
///
/// A row is an object of scalars, or a scalar if there is one column.
struct JSONParser: FieldParser {
  /// What comes next.
  private enum State {
    case arrayStart
    /// A row, or the end of the array, or of the text.
    case rowOrEnd
    /// A row, after a comma.
    case row
    /// A comma or the end of the array.
    case rowEnd
    case nameOrEnd
    case name
    case colon
    case value
    case valueEnd
    /// The text, since the array has ended.
    case end
  }

  /// A part of the text that is under way.
  private enum Token {
    case none
    case string
    case escape
    case unicode(digits: Int, value: UInt16)
    case literal
  }

  var place = TextPlace()
  private(set) var rows: RowReceiver
  private let isArray: Bool
  private var state: State
  private var token = Token.none
  private var bytes: [UInt8] = []
  private var tokenPlace = TextPlace()
  /// The first half of a character beyond 16 bits.
  private var surrogate: UInt16?
  /// The column that a value belongs to; nil when nobody wants it.
  private var column: Int?

  init(rows: RowReceiver, isArray: Bool) {
    self.rows = rows
    self.isArray = isArray
    state = isArray ? .arrayStart : .rowOrEnd
  }

  mutating func read(_ byte: UInt8) throws {
    switch token {
    case .none: try begin(byte)
    case .string: try readString(byte)
    case .escape: try readEscape(byte)
    case .unicode(let digits, let value):
      guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
        throw place.error("\\u has four hexadecimal digits")
      }
      try readUnicode(digits + 1, value << 4 | UInt16(digit))
    case .literal:
      if Self.isDelimiter(byte) {
        try endLiteral()
        try begin(byte)
      } else {
        try append(byte)
      }
    }
  }

  mutating func finish() throws {
    if case .literal = token { try endLiteral() }
    guard case .none = token, state == .end || state == .rowOrEnd && !isArray else {
      throw place.error("the text ends too early")
    }
  }

  private static func isDelimiter(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x20, 0x09, 0x0A, 0x0D, UInt8(ascii: ","), UInt8(ascii: ":"), UInt8(ascii: "{"),
      UInt8(ascii: "}"), UInt8(ascii: "["), UInt8(ascii: "]"), UInt8(ascii: "\""):
      true
    default: false
    }
  }

  private mutating func append(_ byte: UInt8) throws {
    guard bytes.count < maximumFieldByteCount else {
      throw tokenPlace.error("the field is too long")
    }
    bytes.append(byte)
  }

  private mutating func begin(_ byte: UInt8) throws {
    switch (byte, state) {
    case (0x20, _), (0x09, _), (0x0A, _), (0x0D, _): break
    case (UInt8(ascii: "["), .arrayStart): state = .rowOrEnd
    case (UInt8(ascii: "]"), .rowOrEnd) where isArray, (UInt8(ascii: "]"), .rowEnd): state = .end
    case (UInt8(ascii: ","), .rowEnd): state = .row
    case (UInt8(ascii: "{"), .row), (UInt8(ascii: "{"), .rowOrEnd): state = .nameOrEnd
    case (UInt8(ascii: "}"), .nameOrEnd), (UInt8(ascii: "}"), .valueEnd): try endRow()
    case (UInt8(ascii: ","), .valueEnd): state = .name
    case (UInt8(ascii: ":"), .colon): state = .value
    default:
      guard byte == 0x22 || !Self.isDelimiter(byte), takesScalar(isString: byte == 0x22) else {
        throw place.error("\"\(Character(Unicode.Scalar(byte)))\" can't stand here")
      }
      tokenPlace = place
      bytes.removeAll(keepingCapacity: true)
      token = byte == 0x22 ? .string : .literal
      if byte != 0x22 { try append(byte) }
    }
  }

  private func takesScalar(isString: Bool) -> Bool {
    switch state {
    case .value: true
    case .nameOrEnd, .name: isString
    case .row, .rowOrEnd: rows.onlyColumn != nil
    default: false
    }
  }

  private mutating func endRow() throws {
    try rows.endRow(at: place)
    state = isArray ? .rowEnd : .rowOrEnd
  }

  private mutating func endLiteral() throws {
    token = .none
    let text = String(decoding: bytes, as: UTF8.self)
    guard text == "null" || JSONScalar.isBare(bytes) else {
      throw tokenPlace.error("\"\(text.prefix(40))\" is no value of JSON")
    }
    try endScalar(text == "null" ? nil : text)
  }

  private mutating func endScalar(_ text: String?) throws {
    switch state {
    case .nameOrEnd, .name:
      column = rows.column(text ?? "")
      state = .colon
    case .value:
      if let column { try rows.take(text, column, at: tokenPlace) }
      state = .valueEnd
    default:
      try rows.take(text, 0, at: tokenPlace)
      try endRow()
    }
  }

  // MARK: Strings

  private mutating func readString(_ byte: UInt8) throws {
    if surrogate != nil, byte != 0x5C { throw place.error("half of a character") }
    switch byte {
    case 0x22:
      token = .none
      guard let text = String(validating: bytes, as: UTF8.self) else {
        throw tokenPlace.error("the text is not UTF-8")
      }
      try endScalar(text)
    case 0x5C: token = .escape
    case 0..<0x20: throw place.error("a control character within a text")
    default: try append(byte)
    }
  }

  private mutating func readEscape(_ byte: UInt8) throws {
    if surrogate != nil, byte != UInt8(ascii: "u") { throw place.error("half of a character") }
    token = .string
    switch byte {
    case 0x22, 0x5C, UInt8(ascii: "/"): try append(byte)
    case UInt8(ascii: "b"): try append(0x08)
    case UInt8(ascii: "f"): try append(0x0C)
    case UInt8(ascii: "n"): try append(0x0A)
    case UInt8(ascii: "r"): try append(0x0D)
    case UInt8(ascii: "t"): try append(0x09)
    case UInt8(ascii: "u"): token = .unicode(digits: 0, value: 0)
    default: throw place.error("an unknown escape")
    }
  }

  private mutating func readUnicode(_ digits: Int, _ value: UInt16) throws {
    guard digits == 4 else {
      token = .unicode(digits: digits, value: value)
      return
    }
    token = .string
    let scalar: Unicode.Scalar?
    if let high = surrogate {
      surrogate = nil
      guard 0xDC00...0xDFFF ~= value else { throw place.error("half of a character") }
      scalar = Unicode.Scalar(0x10000 + UInt32(high - 0xD800) << 10 + UInt32(value - 0xDC00))
    } else if 0xD800...0xDBFF ~= value {
      surrogate = value
      return
    } else {
      scalar = Unicode.Scalar(value)
    }
    guard let scalar else { throw place.error("half of a character") }
    for byte in UTF8.encode(scalar).map(Array.init) ?? [] { try append(byte) }
  }
}
