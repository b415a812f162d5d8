import BTreeKV

/// A command of the tool and of its prompt.
///
/// Help, usage lines and the checks of operands and options all come from what a command says of
/// itself here; `Kvtool.commands` is the table.
protocol Command: SendableMetatype {
  static var name: String { get }
  /// One line for the list of commands.
  static var summary: String { get }
  /// The operands in order; one in brackets may be left out, and there may be many of the last one if
  /// it says `…`.
  static var operands: [String] { get }
  static var options: [OptionRule] { get }
  /// Whether the command is about one tree, so that `--tree` makes sense.
  static var isOfTree: Bool { get }
  /// What `help COMMAND` says beyond summary and options; whole lines, or nothing.
  static var notes: String { get }

  /// Makes the command from operands and options that are known to fit the lists above.
  init(parsing arguments: Arguments) throws(Failure)

  func run(in session: Session) throws(Failure) -> ExitStatus
}

extension Command {
  static var operands: [String] { [] }
  static var options: [OptionRule] { [] }
  static var isOfTree: Bool { false }
  static var notes: String { "" }

  /// The command as one would type it at the prompt.
  static var usage: String {
    ([name] + operands + options.map { "[\($0.usage)]" }).joined(separator: " ")
  }

  /// Makes the command after checking the number of operands and whose the options are.
  static func make(from arguments: Arguments) throws(Failure) -> Self {
    let least = operands.count { !$0.hasPrefix("[") }
    let given = arguments.operands.count
    if given < least {
      throw .usage("\(name) needs \(operands[given])", command: self)
    }
    if given > operands.count, operands.last?.contains("…") != true {
      let word = Literal.quoted(arguments.operands[operands.count])
      throw .usage("\(name): \(word) is one argument too many", command: self)
    }
    var known = Set((options + Settings.rules).map(\.name))
    if !isOfTree { known.remove(Settings.treeOption) }
    if let stranger = arguments.options.keys.sorted().first(where: { !known.contains($0) }) {
      throw .usage("\(name) has no option \(stranger)", command: self)
    }
    do {
      return try Self(parsing: arguments)
    } catch {
      guard case .usage(let message, nil) = error else { throw error }
      throw .usage(message, command: self)
    }
  }
}

/// A command that shows one entry: the first on some side of a key, or at an end.
protocol EntryCommand: Command {
  func find(in tree: some ReadableTree) throws(DatabaseError) -> Database.Entry?
}

extension EntryCommand {
  static var isOfTree: Bool { true }

  func run(in session: Session) throws(Failure) -> ExitStatus {
    guard let tree = try session.tree() else { return session.treeNotFound() }
    let found: Database.Entry?
    do { found = try find(in: tree) } catch { throw Failure(error) }
    guard let found else { return session.notFound() }
    var records = session.records()
    records.write(key: found.key.span.bytes, value: found.value.span.bytes)
    return .done
  }
}
