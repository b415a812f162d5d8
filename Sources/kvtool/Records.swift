/// How keys and values are shown.
enum OutputFormat: Equatable, Sendable {
  /// Text where it is printable UTF-8, `X'…'` else.
  case text
  /// Hexadecimal digits, lower-case, nothing around them.
  case hex
  /// The bytes as they are.
  case raw
  /// One JSON object a line; `allHex` shows text as digits too.
  case json(allHex: Bool)

  var isJSON: Bool {
    if case .json = self { true } else { false }
  }
}

/// Writes keys, values and entries in the format that was asked for.
///
/// Every record ends its line, except with `--raw`: there a newline stands only *between*
/// records, so that `lookup --raw` gives a value exactly, to the last byte. At the prompt, where
/// more follows, it ends every record.
struct RecordWriter {
  private let output: Output
  private let format: OutputFormat
  private let endsEveryRecord: Bool
  private var count = 0

  init(output: Output, format: OutputFormat, isPrompt: Bool) {
    self.output = output
    self.format = format
    endsEveryRecord = isPrompt || format != .raw
  }

  mutating func write(key: RawSpan) {
    begin()
    switch format {
    case .json:
      output.write("{\"key\":")
      writeBytes(key)
      output.write("}")
    default:
      writeBytes(key)
    }
    end()
  }

  mutating func write(key: RawSpan, value: RawSpan) {
    begin()
    switch format {
    case .json:
      output.write("{\"key\":")
      writeBytes(key)
      output.write(",\"value\":")
      writeBytes(value)
      output.write("}")
    default:
      writeBytes(key)
      output.write("\t")
      writeBytes(value)
    }
    end()
  }

  /// Writes what a lookup found: the value alone, as the user has the key; JSON has both.
  mutating func write(value: RawSpan, of key: RawSpan) {
    if format.isJSON { return write(key: key, value: value) }
    begin()
    writeBytes(value)
    end()
  }

  /// Writes a key and what is to be said of it; not for JSON, which has names for it.
  mutating func write(key: RawSpan, note: String) {
    begin()
    writeBytes(key)
    output.write("\t" + note)
    end()
  }

  private mutating func begin() {
    if !endsEveryRecord && count > 0 { output.write("\n") }
    count += 1
  }

  private func end() {
    if endsEveryRecord { output.write("\n") }
  }

  private func writeBytes(_ span: RawSpan) {
    span.withUnsafeBytes { bytes in
      switch format {
      case .text: output.writeText(bytes)
      case .hex: output.writeHex(bytes)
      case .raw: output.write(bytes)
      case .json(let allHex): output.writeJSON(bytes, allHex: allHex)
      }
    }
  }
}

extension Output {
  /// Writes bytes so that `Literal.bytes(of:)` would read them back.
  func writeText(_ bytes: UnsafeRawBufferPointer) {
    if !isPrintableText(bytes) {
      write("X'")
      writeHex(bytes)
      write("'")
    } else if Literal.looksLikeLiteral(bytes) {
      write(Literal.textPrefix)
      for part in bytes.split(separator: UInt8(ascii: "'"), omittingEmptySubsequences: false)
        .enumerated()
      {
        if part.offset > 0 { write("''") }
        write(UnsafeRawBufferPointer(rebasing: part.element))
      }
      write("'")
    } else {
      write(bytes)
    }
  }

  /// Writes a JSON string where the bytes are printable text, `{"hex":"…"}` else.
  func writeJSON(_ bytes: UnsafeRawBufferPointer, allHex: Bool) {
    if allHex || !isPrintableText(bytes) {
      write("{\"hex\":\"")
      writeHex(bytes)
      write("\"}")
    } else {
      writeJSONString(bytes)
    }
  }

  /// Writes a JSON string; quotes, backslashes and control characters escaped.
  func writeJSON(_ text: String) {
    var text = text
    text.withUTF8 { writeJSONString(UnsafeRawBufferPointer($0)) }
  }

  /// Writes valid UTF-8 as a JSON string.
  private func writeJSONString(_ bytes: UnsafeRawBufferPointer) {
    write("\"")
    var start = 0
    for index in bytes.indices {
      let byte = bytes[index]
      guard byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") else {
        continue
      }
      write(UnsafeRawBufferPointer(rebasing: bytes[start..<index]))
      if byte < 0x20 {
        write("\\u00")
        writeHex(UnsafeRawBufferPointer(rebasing: bytes[index...index]))
      } else {
        write("\\")
        write(UnsafeRawBufferPointer(rebasing: bytes[index...index]))
      }
      start = index + 1
    }
    write(UnsafeRawBufferPointer(rebasing: bytes[start...]))
    write("\"")
  }
}

/// Whether the bytes are UTF-8 without anything that a terminal would not show.
func isPrintableText(_ bytes: UnsafeRawBufferPointer) -> Bool {
  // Most are ASCII; only the rest is worth making a string.
  if bytes.allSatisfy({ 0x20...0x7e ~= $0 }) { return true }
  if bytes.contains(where: { $0 < 0x20 || $0 == 0x7f }) { return false }
  guard let text = String(validating: bytes, as: UTF8.self) else { return false }
  return text.unicodeScalars.allSatisfy(\.isPrintable)
}

/// One JSON object on one line, field by field.
struct JSONLine {
  private let output: Output
  private var isEmpty = true

  init(_ output: Output) {
    self.output = output
    output.write("{")
  }

  mutating func add(_ name: String, _ number: Int) {
    begin(name)
    output.write(String(number))
  }

  mutating func add(_ name: String, _ flag: Bool) {
    begin(name)
    output.write(flag ? "true" : "false")
  }

  /// Adds a number; JSON has no word for what is not finite but `null`.
  mutating func add(_ name: String, _ number: Double) {
    begin(name)
    output.write(number.isFinite ? number.description : "null")
  }

  /// Adds what is written in JSON already.
  mutating func add(_ name: String, literal: String) {
    begin(name)
    output.write(literal)
  }

  /// Adds a number or truth value with all its digits; as text where JSON has no word for it, and null
  /// where there is none.
  mutating func add(_ name: String, number: String?) {
    guard let number else { return add(name, literal: "null") }
    let isWord = number.hasSuffix("nan") || number.hasSuffix("inf")
    if isWord { add(name, number) } else { add(name, literal: number) }
  }

  mutating func add(_ name: String, _ text: String) {
    begin(name)
    output.writeJSON(text)
  }

  /// Adds texts; nil is written as `null`.
  mutating func add(_ name: String, _ texts: [String?]) {
    begin(name)
    output.write("[")
    for (index, text) in texts.enumerated() {
      if index > 0 { output.write(",") }
      if let text { output.writeJSON(text) } else { output.write("null") }
    }
    output.write("]")
  }

  /// Adds a key or a value, shown as in records.
  mutating func add(_ name: String, bytes: [UInt8], allHex: Bool) {
    begin(name)
    bytes.withUnsafeBytes { output.writeJSON($0, allHex: allHex) }
  }

  func end() {
    output.write("}\n")
  }

  private mutating func begin(_ name: String) {
    if !isEmpty { output.write(",") }
    isEmpty = false
    output.writeJSON(name)
    output.write(":")
  }
}
