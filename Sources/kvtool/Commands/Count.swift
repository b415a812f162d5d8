import BTreeKV

/// `count`: how many entries a range has.
struct Count: Command {
  static let name = "count"
  static let summary = "print the number of entries of a range"
  static let isOfTree = true
  static let options =
    Bounds.options + [
      OptionRule(name: "--estimate", summary: "about how many, from the range's ends alone")
    ]

  private let bounds: Bounds
  private let isEstimated: Bool

  init(parsing arguments: Arguments) throws(Failure) {
    bounds = try Bounds(parsing: arguments)
    isEstimated = arguments.has("--estimate")
  }

  func run(in session: Session) throws(Failure) -> ExitStatus {
    guard let tree = try session.tree() else { return session.treeNotFound() }
    do {
      if isEstimated {
        session.write("estimate", try tree.estimatedCount(in: bounds.range))
      } else {
        session.write("count", try tree.count(in: bounds.range))
      }
    } catch {
      throw Failure(error)
    }
    return .done
  }
}
