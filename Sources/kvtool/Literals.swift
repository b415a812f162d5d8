/// A word of the command line or of a line at the prompt.
struct Word: Equatable, Sendable {
  var bytes: [UInt8]
  /// Whether it stood in quotes at the prompt: then it is text, whatever it looks like.
  ///
  /// On the command line the shell has taken the quotes away, hence the literal `T'…'`.
  var isQuoted = false

  /// The word for messages and for names, which are text.
  var text: String { String(decoding: bytes, as: UTF8.self) }
}

/// The literals in which keys and values are written: `X'…'`, `X64'…'`, `0x…`, `T'…'`, and text.
enum Literal {
  /// The bytes that a word stands for.
  ///
  /// | written | means |
  /// | --- | --- |
  /// | `X'00cafe'`, `x'00cafe'` | bytes, two hexadecimal digits each |
  /// | `X64'00cafe'` | the same, as yakvdb's plan writes it |
  /// | `0x00cafe` | the same; at least one byte |
  /// | `T'0x12'` | text as it is, with `''` for a quote |
  /// | anything else | its own bytes |
  static func bytes(of word: Word) throws(Failure) -> [UInt8] {
    let bytes = word.bytes
    if word.isQuoted { return bytes }
    for prefix in quotedHexPrefixes where bytes.starts(with: prefix.utf8) {
      return try hexDigits(inQuotes: bytes.dropFirst(prefix.utf8.count), of: word)
    }
    if hasBarePrefix(bytes) {
      guard bytes.count > 2 else { throw .usage("\(quoted(word)) has no hexadecimal digits") }
      return try hexBytes(bytes.dropFirst(2), of: word)
    }
    if bytes.starts(with: textPrefix.utf8) {
      return try text(inQuotes: bytes.dropFirst(textPrefix.utf8.count), of: word)
    }
    return bytes
  }

  /// The name of a tree or of a region, which is text.
  static func name(of word: Word, what: String = "tree") throws(Failure) -> String {
    guard let name = String(validating: try bytes(of: word), as: UTF8.self), !name.isEmpty else {
      throw .usage("the name of a \(what) is some text in UTF-8; \(quoted(word)) is not")
    }
    return name
  }

  /// The path of a file to be made.
  static func path(of word: Word) throws(Failure) -> String {
    guard let path = String(validating: word.bytes, as: UTF8.self), !path.isEmpty else {
      throw .usage("the name of the new file is empty or not UTF-8: \(quoted(word))")
    }
    return path
  }

  /// Whether these bytes, given as a word, would be taken for a literal.
  ///
  /// Such text is printed as `T'…'`, so that what the tool prints it also reads.
  static func looksLikeLiteral(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard let first = bytes.first, bytes.count >= 2 else { return false }
    switch first {
    case UInt8(ascii: "0"):
      return hasBarePrefix(bytes)
    case UInt8(ascii: "X"), UInt8(ascii: "x"):
      return quotedHexPrefixes.contains { bytes.starts(with: $0.utf8) }
    case UInt8(ascii: "T"):
      return bytes.starts(with: textPrefix.utf8)
    default:
      return false
    }
  }

  /// What a word may start with to be a literal in single quotes; the prompt must not split it.
  static let quotedPrefixes = quotedHexPrefixes + [textPrefix]

  static let textPrefix = "T'"
  private static let quotedHexPrefixes = ["X'", "x'", "X64'", "x64'"]

  private static func hasBarePrefix(_ bytes: some Sequence<UInt8>) -> Bool {
    bytes.starts(with: "0x".utf8) || bytes.starts(with: "0X".utf8)
  }

  private static func hexDigits(
    inQuotes rest: ArraySlice<UInt8>, of word: Word
  ) throws(Failure) -> [UInt8] {
    guard rest.last == quote else { throw .usage("\(quoted(word)) has no closing quote") }
    return try hexBytes(rest.dropLast(), of: word)
  }

  private static func hexBytes(
    _ digits: ArraySlice<UInt8>, of word: Word
  ) throws(Failure) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(digits.count / 2)
    var high: UInt8?
    for digit in digits {
      guard let value = hexValue(digit) else {
        throw .usage("\(quoted(word)) holds something that is not a hexadecimal digit")
      }
      if let first = high {
        bytes.append(first << 4 | value)
        high = nil
      } else {
        high = value
      }
    }
    guard high == nil else {
      throw .usage("\(quoted(word)) has an odd number of hexadecimal digits")
    }
    return bytes
  }

  private static func hexValue(_ digit: UInt8) -> UInt8? {
    switch digit {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
    default: nil
    }
  }

  private static func text(
    inQuotes rest: ArraySlice<UInt8>, of word: Word
  ) throws(Failure) -> [UInt8] {
    guard rest.last == quote else { throw .usage("\(quoted(word)) has no closing quote") }
    var bytes: [UInt8] = []
    var isSecondQuote = false
    for byte in rest.dropLast() {
      if isSecondQuote && byte != quote { break }
      isSecondQuote = byte == quote && !isSecondQuote
      if !isSecondQuote { bytes.append(byte) }
    }
    guard !isSecondQuote else {
      throw .usage("\(quoted(word)): a quote inside T'…' is written twice")
    }
    return bytes
  }

  private static let quote = UInt8(ascii: "'")

  /// The word for a message: printable, and short however long it is.
  static func quoted(_ word: Word) -> String {
    let text = singleLine(word.text)
    return "“" + (text.count > 40 ? text.prefix(40) + "…" : text) + "”"
  }
}

extension Unicode.Scalar {
  /// Whether a terminal shows the character without being steered by it.
  ///
  /// Besides the control characters that leaves out line and paragraph separators, which would
  /// break a record in two, and the controls of writing direction, which make a text look like
  /// another.
  var isPrintable: Bool {
    switch value {
    case 0x20...0x7e: return true
    case 0x202a...0x202e, 0x2066...0x2069: return false
    default: break
    }
    switch properties.generalCategory {
    case .control, .lineSeparator, .paragraphSeparator: return false
    default: return true
    }
  }
}
