/// Standard input: the value of `insert KEY -`, or the lines of the prompt.
struct Input {
  private var buffer: [UInt8] = []
  private var start = 0
  private var isAtEnd = false

  /// What asking for a line gives.
  enum Line: Equatable {
    case line([UInt8])
    case end
    /// Ctrl-C was pressed while waiting.
    case interrupted
  }

  /// All of standard input, byte for byte.
  static func readAll() throws(Failure) -> [UInt8] {
    var bytes: [UInt8] = []
    while true {
      let (byteCount, errorNumber) = System.read(
        from: System.standardInput, into: &bytes, atMost: 1 << 20)
      if errorNumber == System.interrupted { continue }
      guard errorNumber == 0 else {
        throw .system(what: "standard input", errorNumber: errorNumber)
      }
      if byteCount == 0 { return bytes }
    }
  }

  /// The next line without its newline; the last one may lack it.
  mutating func nextLine() throws(Failure) -> Line {
    // Bytes before this were searched already: a long line in a pipe comes in many pieces.
    var searched = start
    while true {
      if let end = buffer[searched...].firstIndex(of: UInt8(ascii: "\n")) {
        defer { start = end + 1 }
        return .line([UInt8](buffer[start..<end]))
      }
      if isAtEnd { return takeRest() }
      buffer.removeSubrange(..<start)
      start = 0
      searched = buffer.count
      let (byteCount, errorNumber) = System.read(from: System.standardInput, into: &buffer)
      if errorNumber == System.interrupted {
        buffer.removeAll()
        return .interrupted
      }
      guard errorNumber == 0 else {
        throw .system(what: "standard input", errorNumber: errorNumber)
      }
      isAtEnd = byteCount == 0
    }
  }

  private mutating func takeRest() -> Line {
    guard start < buffer.count else { return .end }
    defer { start = buffer.count }
    return .line([UInt8](buffer[start...]))
  }
}
