import BTreeKV

/// `scan`: shows the entries of a range in order.
struct Scan: Command {
  static let name = "scan"
  static let summary = "print entries in the order of their keys"
  static let isOfTree = true
  static let options =
    Bounds.options + [
      OptionRule(name: "--limit", placeholder: "N", summary: "print at most so many entries"),
      OptionRule(name: "--reverse", summary: "last key first"),
      OptionRule(name: "--keys-only", summary: "leave the values out"),
    ]
  static let notes = """
    An entry is its key, a tab and its value. --from, --to and --prefix may be combined; they
    mean the same with --reverse.

    """

  private let bounds: Bounds
  private let limit: Int
  private let isReversed: Bool
  private let showsValues: Bool

  init(parsing arguments: Arguments) throws(Failure) {
    bounds = try Bounds(parsing: arguments)
    limit = try arguments.number("--limit", in: 0...Int.max) ?? Int.max
    isReversed = arguments.has("--reverse")
    showsValues = !arguments.has("--keys-only")
  }

  func run(in session: Session) throws(Failure) -> ExitStatus {
    guard let tree = try session.tree() else { return session.treeNotFound() }
    guard limit > 0 else { return .done }
    var records = session.records()
    let output = session.output
    var rest = limit
    do {
      try tree.forEach(in: bounds.range, reversed: isReversed) { key, value in
        if showsValues {
          records.write(key: key, value: value)
        } else {
          records.write(key: key)
        }
        rest -= 1
        return rest == 0 || !output.isOpen || Interrupt.isPending ? .stop : .next
      }
    } catch {
      throw Failure(error)
    }
    return .done
  }
}
