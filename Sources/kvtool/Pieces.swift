/// Where the bytes of a command come from.
enum ByteSource {
  case bytes([UInt8])
  case file(String)
  case standardInput

  /// A value as it is written for `insert`: `-` is standard input.
  init(value word: Word) throws(Failure) {
    self = Self.isInput(word) ? .standardInput : .bytes(try Literal.bytes(of: word))
  }

  /// The name of a file; `-` is standard input.
  init(file word: Word) throws(Failure) {
    if Self.isInput(word) {
      self = .standardInput
      return
    }
    guard let path = String(validating: word.bytes, as: UTF8.self), !path.isEmpty else {
      throw .usage("the name of the file is empty or not UTF-8: \(Literal.quoted(word))")
    }
    self = .file(path)
  }

  private static func isInput(_ word: Word) -> Bool {
    !word.isQuoted && word.bytes == [UInt8(ascii: "-")]
  }

  /// Refuses standard input at the prompt, where it holds the commands.
  func check(for command: any Command.Type, in session: Session) throws(Failure) {
    if case .standardInput = self, session.isPrompt {
      throw .usage("standard input holds the commands, not bytes", command: command)
    }
  }
}

/// The bytes of a source in pieces.
///
/// The first is read at once, before the database is opened: a missing file makes none, and a
/// command at the other end of the pipe may still be using it.
struct Pieces {
  /// How many bytes are in memory at once.
  static let byteCount = 1 << 20

  private let source: ByteSource
  private var descriptor: Int32
  private var first: [UInt8]?

  init(_ source: ByteSource) throws(Failure) {
    self.source = source
    switch source {
    case .bytes(let bytes):
      descriptor = -1
      first = bytes
      return
    case .standardInput: descriptor = System.standardInput
    case .file(let path):
      let (opened, errorNumber) = System.openForReading(path)
      guard errorNumber == 0 else {
        throw .system(what: singleLine(path), errorNumber: errorNumber)
      }
      descriptor = opened
    }
    do {
      first = try read()
    } catch {
      close()
      throw error
    }
  }

  /// The next piece; nil at the end.
  mutating func next() throws(Failure) -> [UInt8]? {
    let piece: [UInt8]
    if let first {
      piece = first
      self.first = nil
    } else {
      piece = try read()
    }
    return piece.isEmpty ? nil : piece
  }

  func close() {
    if case .file = source { System.close(descriptor) }
  }

  private func read() throws(Failure) -> [UInt8] {
    var bytes: [UInt8] = []
    guard descriptor >= 0 else { return bytes }
    while bytes.count < Self.byteCount {
      let (byteCount, errorNumber) = System.read(
        from: descriptor, into: &bytes, atMost: Self.byteCount - bytes.count)
      if errorNumber == System.interrupted { continue }
      guard errorNumber == 0 else { throw .system(what: place, errorNumber: errorNumber) }
      if byteCount == 0 { break }
    }
    return bytes
  }

  private var place: String {
    if case .file(let path) = source { singleLine(path) } else { "standard input" }
  }
}
