import BTreeKV

/// What the options of the tool itself, as opposed to a command's, say.
struct Settings: Sendable {
  var format = OutputFormat.text
  /// nil: the database's default.
  var durability: Database.Durability?
  var cacheByteCount: Int?
  /// The named tree that commands are about; nil for the one without a name.
  var tree: String?

  static let rules = [
    OptionRule(name: "--hex", summary: "show keys and values as hexadecimal digits, nothing else"),
    OptionRule(
      name: "--raw", summary: "write keys and values as they are; a newline only between records"),
    OptionRule(
      name: "--json", summary: "write one JSON object a line; bytes that are no text as {\"hex\":…}"
    ),
    OptionRule(
      name: "--durability", placeholder: durabilityNames,
      summary: "when a change counts as made (sync: it is on the disk)"),
    OptionRule(
      name: "--cache-mib", placeholder: "N", summary: "memory for pages of the file, in MiB"),
    OptionRule(
      name: treeOption, placeholder: "NAME",
      summary: "the tree of this name, in place of the one without a name"),
    OptionRule(name: "--help", summary: "explain the tool, or the command"),
    OptionRule(name: "--version", summary: "print the version"),
  ]

  static let treeOption = "--tree"

  private static let durabilityNames =
    Database.Durability.allCases.map(\.rawValue).joined(separator: "|")

  /// These settings, changed by the options of one line.
  ///
  /// - Parameters:
  ///   - arguments: the words of the line; options of commands are left alone.
  ///   - isOpen: whether the database is open already, so that its cache is what it is.
  /// - Returns: what holds for that line.
  /// - Throws: a usage failure for values that make no sense, and for options at odds.
  func applying(_ arguments: Arguments, isOpen: Bool) throws(Failure) -> Settings {
    var settings = self
    let hex = arguments.has("--hex")
    let raw = arguments.has("--raw")
    let json = arguments.has("--json")
    guard !raw || !(hex || json) else {
      throw .usage("--raw does not go with --hex or --json")
    }
    if raw {
      settings.format = .raw
    } else if json || hex {
      // At the prompt a line adds to what the command line said.
      let allHex = hex || format == .hex || format == .json(allHex: true)
      settings.format = json || format.isJSON ? .json(allHex: allHex) : .hex
    }
    if let word = arguments.options["--durability"] {
      guard let durability = Database.Durability(rawValue: word.text) else {
        throw .usage("--durability takes \(Settings.durabilityNames), not \(Literal.quoted(word))")
      }
      settings.durability = durability
    }
    if let word = arguments.options[Settings.treeOption] {
      settings.tree = word.bytes.isEmpty ? nil : try Literal.name(of: word)
    }
    if let count = try arguments.number("--cache-mib", in: 1...(1 << 24)) {
      guard !isOpen else { throw .usage("--cache-mib belongs on the command line") }
      settings.cacheByteCount = count << 20
    }
    return settings
  }
}
