import BTreeKV

/// `remove-range`: deletes all keys of a range at once.
struct RemoveRange: Command {
  static let name = "remove-range"
  static let summary = "delete the keys of a range, all or none, and print how many there were"
  static let isOfTree = true
  static let options =
    Bounds.options + [
      OptionRule(name: "--all", summary: "every key, which must be said and not forgotten")
    ]

  private let bounds: Bounds

  init(parsing arguments: Arguments) throws(Failure) {
    bounds = try Bounds(parsing: arguments)
    guard bounds.isGiven != arguments.has("--all") else {
      throw .usage("remove-range needs either a range or --all")
    }
  }

  func run(in session: Session) throws(Failure) -> ExitStatus {
    guard let tree = try session.writableTree(isCreated: false) else {
      return session.treeNotFound()
    }
    do {
      session.write(
        "removed", try tree.removeRange(bounds.range, durability: session.settings.durability))
    } catch {
      throw Failure(error)
    }
    return .done
  }
}
