import BTreeKV

/// `scan`: shows the entries of a range in order.
struct Scan: Command {
  static let name = "scan"
  static let summary = "print entries in the order of their keys"
  static let options = [
    OptionRule(name: "--from", placeholder: "KEY", summary: "begin with this key"),
    OptionRule(name: "--to", placeholder: "KEY", summary: "end before this key"),
    OptionRule(name: "--prefix", placeholder: "KEY", summary: "only keys that begin with this"),
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
    let from = try arguments.bytes("--from")
    var bounds = Bounds(from: from ?? [], to: try arguments.bytes("--to"))
    if let prefix = try arguments.bytes("--prefix") { bounds.clamp(toPrefix: prefix) }
    self.bounds = bounds
    limit = try arguments.number("--limit", in: 0...Int.max) ?? Int.max
    isReversed = arguments.has("--reverse")
    showsValues = !arguments.has("--keys-only")
  }

  func run(in session: Session) throws(Failure) -> ExitStatus {
    let database = try session.database(for: .read)
    guard limit > 0 && !bounds.isEmpty else { return .done }
    var records = session.records()
    let output = session.output
    var rest = limit
    do {
      try database.forEach(in: bounds.range, reversed: isReversed) { key, value in
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

/// A half-open range of keys.
struct Bounds: Equatable {
  /// The empty key is before all others, so no lower bound is needed to be nil.
  var from: [UInt8]
  /// The first key outside; nil when there is no upper bound.
  var to: [UInt8]?

  var isEmpty: Bool {
    guard let to else { return false }
    return !from.lexicographicallyPrecedes(to)
  }

  var range: KeyRange {
    if let to { .range(from, to) } else if from.isEmpty { .all } else { .from(from) }
  }

  /// Leaves only keys that begin with the prefix.
  mutating func clamp(toPrefix prefix: [UInt8]) {
    if from.lexicographicallyPrecedes(prefix) { from = prefix }
    // The first key after all that begin so: the prefix counted up, as a number whose trailing
    // 0xff digits carry. A prefix of 0xff alone has none.
    var after = prefix
    while after.last == 0xff { after.removeLast() }
    guard let last = after.popLast() else { return }
    after.append(last + 1)
    if to.map({ after.lexicographicallyPrecedes($0) }) ?? true { to = after }
  }
}
