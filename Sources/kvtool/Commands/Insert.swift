import BTreeKV

/// `insert`: stores a value under a key.
struct Insert: Command {
  static let name = "insert"
  static let summary = "store a value under a key, in place of an earlier one"
  static let isOfTree = true
  static let operands = ["KEY", "VALUE"]
  static let notes = """
    A VALUE of - is all of standard input, byte for byte; T'-' is the text. With --tree the tree
    is made if it is missing.

    """

  private let key: [UInt8]
  /// nil: standard input.
  private let value: [UInt8]?

  init(parsing arguments: Arguments) throws(Failure) {
    key = try Literal.bytes(of: arguments.operands[0])
    let word = arguments.operands[1]
    let isInput = !word.isQuoted && word.bytes == [UInt8(ascii: "-")]
    value = isInput ? nil : try Literal.bytes(of: word)
  }

  func run(in session: Session) throws(Failure) -> ExitStatus {
    let value = if let value { value } else { try inputValue(in: session) }
    guard let tree = try session.writableTree(isCreated: true) else {
      return session.treeNotFound()
    }
    let isNew: Bool
    do {
      isNew = try tree.insert(key, value, durability: session.settings.durability)
    } catch {
      throw Failure(error)
    }
    if case .json(let allHex) = session.settings.format {
      var line = JSONLine(session.output)
      line.add("key", bytes: key, allHex: allHex)
      line.add("new", isNew)
      line.end()
    }
    session.confirm(isNew ? "inserted" : "replaced")
    return .done
  }

  /// Reads the value before the database is opened, so that the command at the other end of the
  /// pipe may still be using the file.
  private func inputValue(in session: Session) throws(Failure) -> [UInt8] {
    guard !session.isPrompt else {
      throw .usage("standard input holds the commands, not a value", command: Insert.self)
    }
    return try Input.readAll()
  }
}
