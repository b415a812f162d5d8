import BTreeKV

/// `entries`: lists the entry stores, or shows or changes one.
struct EntriesCommand: Command {
  static let name = "entries"
  static let summary =
    "list the entry stores; or list, read, write, delete, clear, namespaces, stats, compact in one"
  static let operands = ["[NAME]", "[ACTION]", "[OPERAND…]"]
  static let options = [
    OptionRule(name: "--newest", summary: "list: what was written last first, not in key order"),
    OptionRule(name: "--limit", placeholder: "N", summary: "list: print at most so many entries"),
    OptionRule(name: "--from", placeholder: "N", summary: "read: begin with this byte, from 0"),
    OptionRule(name: "--count", placeholder: "N", summary: "read: print at most so many bytes"),
    OptionRule(
      name: "--namespace", placeholder: "NAME",
      summary: "list, read, write, delete, clear, namespaces: of this namespace of the store"),
    OptionRule(name: "--dry-run", summary: "compact: only print about how much it would save"),
  ]
  static let notes = """
    Without a NAME: a line for each store, its name, a tab and its number of entries.

    actions:
      NAME list               print keys and numbers of bytes; with --json sequence and checksum
      NAME read KEY           print the bytes as they are; with --hex or --json as these show values
      NAME write KEY VALUE    store a value, written as for insert; - is standard input
      NAME delete KEY…        delete the keys, all in one step; their bytes stay until compact
      NAME clear              delete all keys, all in one step
      NAME namespaces         print the names of the namespaces, and how many keys each has
      NAME stats              print how many entries and bytes there are, and how many are dead
      NAME compact            leave out what is dead, and print how many bytes that saves

    write makes the store if it is missing, and does all or nothing. It holds 1 MiB in memory,
    whatever the length. read compares the checksum before it prints anything. list, namespaces and
    stats look at one instant. Without --namespace keys are those of the whole store, which begin with
    the namespaces' names: clear deletes them all.

    """

  /// What is to be done with a store.
  enum Action {
    case list(newestFirst: Bool, limit: Int)
    case read([UInt8], from: Int, count: Int)
    case write([UInt8], ByteSource)
    case delete([[UInt8]])
    case clear
    case namespaces
    case stats
    case compact(isDry: Bool)
  }

  /// The store and what is to be done with it; nil: the stores are to be listed.
  let task: (store: String, action: Action)?
  /// The part of the store that it is done with; nil: all of it.
  let namespace: [UInt8]?

  init(parsing arguments: Arguments) throws(Failure) {
    if let word = arguments.options["--namespace"] {
      namespace = try Literal.bytes(of: word)
    } else {
      namespace = nil
    }
    guard let name = arguments.operands.first else {
      try Self.check(arguments, of: "without a NAME", allowed: [])
      task = nil
      return
    }
    let store = try Literal.name(of: name, what: "store")
    guard arguments.operands.count > 1 else { throw .usage("entries NAME needs ACTION") }
    task = (store, try Self.action(arguments))
  }

  private static func action(_ arguments: Arguments) throws(Failure) -> Action {
    let verb = arguments.operands[1]
    let operands = arguments.operands[2...]
    /// As many operands as the action has.
    func taking(_ names: [String], options: Set<String> = []) throws(Failure) -> [Word] {
      try check(arguments, of: verb.text, allowed: options)
      if operands.count < names.count {
        throw .usage("entries \(verb.text) needs \(names[operands.count])")
      }
      if operands.count > names.count, names.last != "KEY…" {
        let word = Literal.quoted(operands[operands.startIndex + names.count])
        throw .usage("entries \(verb.text): \(word) is one argument too many")
      }
      return Array(operands)
    }
    switch verb.text {
    case "list":
      _ = try taking([], options: ["--newest", "--limit", "--namespace"])
      return .list(
        newestFirst: arguments.has("--newest"),
        limit: try arguments.number("--limit", in: 0...Int.max) ?? Int.max)
    case "read":
      let words = try taking(["KEY"], options: ["--from", "--count", "--namespace"])
      return .read(
        try Literal.bytes(of: words[0]),
        from: try arguments.number("--from", in: 0...Int.max) ?? 0,
        count: try arguments.number("--count", in: 0...Int.max) ?? Int.max)
    case "write":
      let words = try taking(["KEY", "VALUE"], options: ["--namespace"])
      return .write(try Literal.bytes(of: words[0]), try ByteSource(value: words[1]))
    case "delete":
      var keys: [[UInt8]] = []
      for word in try taking(["KEY…"], options: ["--namespace"]) {
        keys.append(try Literal.bytes(of: word))
      }
      return .delete(keys)
    case "clear":
      _ = try taking([], options: ["--namespace"])
      return .clear
    case "namespaces":
      _ = try taking([], options: ["--namespace"])
      return .namespaces
    case "stats":
      _ = try taking([])
      return .stats
    case "compact":
      _ = try taking([], options: ["--dry-run"])
      return .compact(isDry: arguments.has("--dry-run"))
    default: throw .usage("entries has no action \(Literal.quoted(verb))")
    }
  }

  /// Refuses options that are another action's.
  private static func check(
    _ arguments: Arguments, of what: String, allowed: Set<String>
  ) throws(Failure) {
    let given = options.map(\.name).filter(arguments.has)
    if let stranger = given.first(where: { !allowed.contains($0) }) {
      throw .usage("entries \(what) has no option \(stranger)")
    }
  }
}
