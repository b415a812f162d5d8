import BTreeKV
import Vectors

/// `vector`: shows or changes one vector.
struct VectorCommand: Command {
  static let name = "vector"
  static let summary =
    "print, check or fill a vector: head, tail, slice, stats, histogram, export, import, verify"
  static let operands = ["NAME", "ACTION", "[OPERAND…]"]
  static let options = [
    OptionRule(name: "--bins", placeholder: "N", summary: "histogram: of so many bins, not 10"),
    OptionRule(
      name: "--format", placeholder: formatNames,
      summary: "export, import: the format of the other side, not csv"),
    OptionRule(
      name: "--column", placeholder: "NAME",
      summary: "export, import: what the column is called there, not as the vector"),
    OptionRule(
      name: "--type", placeholder: "TYPE", summary: "import: the type, such as u64, of a new vector"
    ),
    OptionRule(name: "--compressed", summary: "import: a new vector is compressed, not raw"),
    OptionRule(name: "--replace", summary: "import: remove the elements that are there"),
  ]
  static let notes = """
    actions:
      NAME head [COUNT]        print the first elements, 10 without COUNT: index, tab, element
      NAME tail [COUNT]        print the last ones
      NAME slice START END     print those from START, from 0, to in front of END
      NAME stats               print how many there are, the least, the greatest, sum and mean; of a
                               computed column its rule, its sources, and whether it is up to date
      NAME histogram           print a line for each bin: from, tab, to, tab, how many elements;
                               the last bin has its end; what is not finite is in none
      NAME export              write the elements to standard output
      NAME import [FILE|-]     append those of a file or, without one, of standard input
      NAME verify              compare all elements with their checksums; a computed column is sound
                               also if it is not up to date, which is told

    Types are u8 to u128, i8 to i128, f16, f32, f64 and bool; of others only verify is possible.
    Holes are printed as nothing, exported as empty fields or null (npy: as what was there before),
    and not counted. The sum of integers is exact. import makes the vector if it is missing and
    --type says its type, raw or --compressed, and does all or nothing; it holds 1 MiB in memory, whatever the length.
    npy is what NumPy loads and saves.

    """

  static let formatNames = "csv|ndjson|json|npy"

  /// What is on the other side of an export or import.
  enum Format {
    case table(TableFormat)
    case numPy
  }

  /// What is to be done with a vector.
  enum Action {
    case head(Int)
    case tail(Int)
    case slice(Int, Int)
    case statistics
    case histogram(binCount: Int)
    case export(Format, column: String)
    case load(Load)
    case verify
  }

  /// An import.
  struct Load {
    let source: ByteSource
    let format: Format
    let column: String
    /// The tag of the type of a new vector.
    let type: String?
    /// Whether a new vector is to be compressed.
    let isCompressed: Bool
    let isReplacing: Bool
  }

  let vector: String
  let action: Action

  init(parsing arguments: Arguments) throws(Failure) {
    vector = try Literal.name(of: arguments.operands[0], what: "vector")
    action = try Self.action(arguments, vector)
  }

  private static func action(_ arguments: Arguments, _ name: String) throws(Failure) -> Action {
    let verb = arguments.operands[1]
    let operands = Array(arguments.operands[2...])
    /// As many operands as the action has.
    func check(_ names: [String], options: Set<String> = []) throws(Failure) {
      let given = Self.options.map(\.name).filter(arguments.has)
      if let stranger = given.first(where: { !options.contains($0) }) {
        throw .usage("vector \(verb.text) has no option \(stranger)")
      }
      if operands.count < names.count, !names[operands.count].hasPrefix("[") {
        throw .usage("vector \(verb.text) needs \(names[operands.count])")
      }
      if operands.count > names.count {
        let word = Literal.quoted(operands[names.count])
        throw .usage("vector \(verb.text): \(word) is one argument too many")
      }
    }
    func number(_ place: Int) throws(Failure) -> Int? {
      guard place < operands.count else { return nil }
      return try Arguments.number(operands[place], of: "vector \(verb.text)", in: 0...Int.max)
    }
    func column() throws(Failure) -> String {
      guard let word = arguments.options["--column"] else { return name }
      return try Literal.name(of: word, what: "column")
    }
    switch verb.text {
    case "head", "tail":
      try check(["[COUNT]"])
      let count = try number(0) ?? 10
      return verb.text == "head" ? .head(count) : .tail(count)
    case "slice":
      try check(["START", "END"])
      return .slice(try number(0) ?? 0, try number(1) ?? Int.max)
    case "stats":
      try check([])
      return .statistics
    case "histogram":
      try check([], options: ["--bins"])
      return .histogram(binCount: try arguments.number("--bins", in: 1...10_000) ?? 10)
    case "export":
      try check([], options: ["--format", "--column"])
      return .export(try format(arguments), column: try column())
    case "import":
      try check(
        ["[FILE]"], options: ["--format", "--column", "--type", "--compressed", "--replace"])
      return .load(
        Load(
          source: try operands.first.map(ByteSource.init(file:)) ?? .standardInput,
          format: try format(arguments), column: try column(), type: try type(arguments),
          isCompressed: arguments.has("--compressed"), isReplacing: arguments.has("--replace")))
    case "verify":
      try check([])
      return .verify
    default: throw .usage("vector has no action \(Literal.quoted(verb))")
    }
  }

  private static func format(_ arguments: Arguments) throws(Failure) -> Format {
    guard let word = arguments.options["--format"] else { return .table(.csv) }
    if word.text == "npy" { return .numPy }
    guard let format = TableFormat(rawValue: word.text) else {
      throw .usage("--format takes \(formatNames), not \(Literal.quoted(word))")
    }
    return .table(format)
  }

  private static func type(_ arguments: Arguments) throws(Failure) -> String? {
    guard let word = arguments.options["--type"] else { return nil }
    guard ToolElements.tags.contains(word.text) else {
      let tags = ToolElements.tags.joined(separator: ", ")
      throw .usage("--type takes one of \(tags), not \(Literal.quoted(word))")
    }
    return word.text
  }
}
