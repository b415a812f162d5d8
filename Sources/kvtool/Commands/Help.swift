/// `help`: explains the tool or one command.
struct Help: Command {
  static let name = "help"
  static let summary = "explain the tool, or a command"
  static let operands = ["[COMMAND]"]

  private let topic: (any Command.Type)?

  init(topic: (any Command.Type)?) {
    self.topic = topic
  }

  init(parsing arguments: Arguments) throws(Failure) {
    topic = try arguments.operands.first.map(Kvtool.command(named:))
  }

  func run(in session: Session) throws(Failure) -> ExitStatus {
    write(to: session.output)
  }

  func write(to output: Output) -> ExitStatus {
    output.write(topic.map(Help.text(of:)) ?? Help.overview)
    return .done
  }

  private static func text(of command: any Command.Type) -> String {
    var text = "usage: kvtool FILE \(command.usage)\n\n\(command.name): \(command.summary)\n"
    let options =
      command.options
      + Settings.rules.filter { command.isOfTree && $0.name == Settings.treeOption }
    if !options.isEmpty { text += "\n" + table(options.map { ($0.usage, $0.summary) }) }
    if !command.notes.isEmpty { text += "\n" + command.notes }
    return text
  }

  private static var overview: String {
    let commands = Kvtool.commands.map {
      (([$0.name] + $0.operands).joined(separator: " "), $0.summary)
    }
    return """
      kvtool looks into a BTreeKV database and changes it.

      usage: kvtool FILE COMMAND [ARGUMENTS]
             kvtool FILE                        a prompt for the same commands; also in pipes

      commands (kvtool help COMMAND explains one and its options):
      \(table(commands))
      options, anywhere on the line:
      \(table(Settings.rules.map { ($0.usage, $0.summary) }))
      \(manual)
      """
  }

  /// What the tables do not say.
  private static let manual = """
    keys and values:
      text                 as it is
      X'00cafe', 0x00cafe  bytes in hexadecimal; X64'00cafe' too
      T'0x12'              text that would be taken for something else; '' is a quote in it
      -                    as the value of insert: all of standard input
      After the word -- nothing is an option: kvtool FILE lookup -- --json

      They are printed as text where they are printable UTF-8 and as X'…' else; text that looks
      like a literal as T'…'. Entries are key, tab, value. --raw ends nothing with a newline and
      puts one between the entries of a scan.

    trees:
      Commands about entries, and info, are about the tree without a name unless --tree names
      another one; insert makes it if it is missing. Names are text, written like keys.

    regions:
      Bytes under a name, of any number: regions lists them, region shows or changes one.

    entry stores:
      Bytes of any length under keys: entries lists the stores, entries NAME ACTION is about one.

    vectors:
      Columns of elements of one type: vectors lists them, vector NAME ACTION is about one. They
      come and go as CSV, JSON, NDJSON and NumPy's .npy.

    prompt:
      Blanks separate words; 'a b' and "a b" are text with a doubled quote for a quote. quit, exit
      or the end of the input end it; Ctrl-C stops a scan. In a pipe, a failing command does not
      stop the rest. --tree before the prompt holds for all lines; --tree '' on a line
      is the tree without a name.

    exit status:
      0  done, or found      1  not found
      2  bad usage           3  an error of the database
      At the end of a pipe into the prompt: the highest of all its commands.

    """

  /// Two columns, indented.
  private static func table(_ rows: [(String, String)]) -> String {
    let width = rows.reduce(0) { max($0, $1.0.count) }
    return rows.reduce(into: "") { text, row in
      let gap = String(repeating: " ", count: width + 2 - row.0.count)
      text += "  " + row.0 + gap + row.1 + "\n"
    }
  }
}
