/// The tool: from the words of the command line to an exit status.
enum Kvtool {
  static let version = "0.1.0"

  /// Every command, in the order in which help lists them.
  static let commands: [any Command.Type] = [
    Create.self, Lookup.self, Insert.self, Remove.self, Above.self, Below.self, Floor.self,
    Ceiling.self, Min.self, Max.self, Len.self, Count.self, Scan.self, RemoveRange.self,
    Trees.self, DropTree.self, RenameTree.self, ListRegions.self, RegionCommand.self,
    EntriesCommand.self, ListVectors.self, VectorCommand.self, Info.self, Verify.self,
    Compact.self, Backup.self, Salvage.self, Help.self,
  ]

  /// The options of the tool and of all commands.
  ///
  /// Sorting words from operands needs to know which options take a value before the command is
  /// known; no two commands give one name different shapes.
  static let allRules = Settings.rules + commands.flatMap { $0.options }

  static func command(named word: Word) throws(Failure) -> any Command.Type {
    guard let command = commands.first(where: { $0.name == word.text }) else {
      throw .usage("unknown command \(Literal.quoted(word))")
    }
    return command
  }

  /// Runs the command, or the prompt, and says on standard error what went wrong.
  static func run(_ words: [Word]) -> ExitStatus {
    System.ignoreBrokenPipes()
    let output = Output(descriptor: System.standardOutput)
    var path: String?
    do {
      let status = try run(words, output: output, path: &path)
      try output.flush()
      return status
    } catch {
      // What was written before the failure is true and comes first; its own failure to be
      // written is the lesser news.
      try? output.flush()
      report(error, path: path)
      return error.status
    }
  }

  /// Writes a failure to standard error.
  ///
  /// - Parameters:
  ///   - failure: what to tell.
  ///   - path: the file it happened to, if that is known.
  ///   - line: where in the prompt's input it happened.
  ///   - isPrompt: whether advice is for the prompt.
  static func report(_ failure: Failure, path: String?, line: Int? = nil, isPrompt: Bool = false) {
    let place = line.map { "line \($0): " } ?? ""
    let message = failure.message(path: path, isPrompt: isPrompt)
    Diagnostics.write("kvtool: " + place + message + "\n")
  }

  private static func run(
    _ words: [Word], output: Output, path: inout String?
  ) throws(Failure) -> ExitStatus {
    var arguments = try Arguments(sorting: words, rules: allRules)
    if arguments.has("--version") {
      output.write("kvtool \(version)\n")
      return .done
    }
    let first = arguments.operands.first
    if first?.text == Help.name || first?.text == "-h" {
      arguments.operands.removeFirst()
      return try Help.make(from: arguments).write(to: output)
    }
    if arguments.has("--help") {
      // Of two names the second is the command; of one, the file may have been forgotten.
      let topics = arguments.operands.prefix(2).compactMap { try? Kvtool.command(named: $0) }
      return Help(topic: topics.last).write(to: output)
    }
    guard let first else { throw .usage("which file?") }
    guard let file = String(validating: first.bytes, as: UTF8.self) else {
      throw .usage("the name of the file is not UTF-8: \(Literal.quoted(first))")
    }
    path = file
    let settings = try Settings().applying(arguments, isOpen: false)
    arguments.operands.removeFirst()
    if arguments.operands.isEmpty {
      return try prompt(file, settings, arguments, output)
    }
    let name = arguments.operands.removeFirst()
    let command = try Kvtool.command(named: name).make(from: arguments)
    let session = Session(path: file, settings: settings, output: output, isPrompt: false)
    return try runAndClose(command, in: session)
  }

  private static func runAndClose(
    _ command: any Command, in session: Session
  ) throws(Failure) -> ExitStatus {
    let status: ExitStatus
    do {
      status = try command.run(in: session)
    } catch {
      // The command's own failure is the one to tell of.
      try? session.close()
      throw error
    }
    try session.close()
    return status
  }

  private static func prompt(
    _ path: String, _ settings: Settings, _ arguments: Arguments, _ output: Output
  ) throws(Failure) -> ExitStatus {
    let known = Set(Settings.rules.map(\.name))
    if let stranger = arguments.options.keys.sorted().first(where: { !known.contains($0) }) {
      throw .usage("\(stranger) needs a command")
    }
    let session = Session(
      path: path, settings: settings, output: output, isPrompt: true,
      isInteractive: System.isTerminal(System.standardInput))
    return try Prompt(session: session).run()
  }
}
