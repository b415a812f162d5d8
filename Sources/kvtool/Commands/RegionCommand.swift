import BTreeKV

/// `region`: shows or changes one region.
struct RegionCommand: Command {
  static let name = "region"
  static let summary = "print or change a region: cat, put, append, truncate, rm, mv, stat"
  static let operands = ["ACTION", "NAME", "[OPERAND]"]
  static let options = [
    OptionRule(name: "--from", placeholder: "N", summary: "cat: begin with this byte, from 0"),
    OptionRule(name: "--count", placeholder: "N", summary: "cat: print at most so many bytes"),
  ]
  static let notes = """
    actions:
      cat NAME             print the bytes as they are; with --hex or --json as these show values
      put NAME [FILE|-]    make them those of a file or, without one, of standard input
      append NAME VALUE    add a value behind them, written as for insert; - is standard input
      truncate NAME COUNT  leave the first COUNT bytes
      rm NAME              remove the region
      mv NAME NEW-NAME     give it another name, which must be free
      stat NAME            print how many bytes it has and in how many chunks

    put and append make the region if it is missing, and do all or nothing. They hold 1 MiB in
    memory, whatever the length. cat shows one instant and compares checksums.

    """

  /// What is to be done with a region.
  enum Action {
    case cat(from: Int, count: Int)
    case put(ByteSource)
    case append(ByteSource)
    case truncate(to: Int)
    case remove
    case rename(to: String)
    case stat
  }

  let region: String
  let action: Action

  init(parsing arguments: Arguments) throws(Failure) {
    let verb = arguments.operands[0]
    region = try Literal.name(of: arguments.operands[1], what: "region")
    let operand = arguments.operands.count > 2 ? arguments.operands[2] : nil
    func needed(_ what: String) throws(Failure) -> Word {
      guard let operand else { throw .usage("region \(verb.text) needs \(what)") }
      return operand
    }
    if verb.text != "cat", let option = ["--from", "--count"].first(where: arguments.has) {
      throw .usage("region \(Literal.quoted(verb)) has no option \(option)")
    }
    switch verb.text {
    case "cat":
      action = .cat(
        from: try arguments.number("--from", in: 0...Int.max) ?? 0,
        count: try arguments.number("--count", in: 0...Int.max) ?? Int.max)
    case "put": action = .put(try operand.map(ByteSource.init(file:)) ?? .standardInput)
    case "append": action = .append(try ByteSource(value: try needed("VALUE")))
    case "truncate":
      action = .truncate(
        to: try Arguments.number(try needed("COUNT"), of: "region truncate", in: 0...Int.max))
    case "rm": action = .remove
    case "mv": action = .rename(to: try Literal.name(of: try needed("NEW-NAME"), what: "region"))
    case "stat": action = .stat
    default: throw .usage("region has no action \(Literal.quoted(verb))")
    }
    if let operand, ["cat", "rm", "stat"].contains(verb.text) {
      throw .usage("region \(verb.text): \(Literal.quoted(operand)) is one argument too many")
    }
  }
}
