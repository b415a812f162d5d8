import BTreeKV

/// `len`: how many entries there are.
struct Len: Command {
  static let name = "len"
  static let summary = "print the number of entries"
  static let isOfTree = true

  init(parsing arguments: Arguments) {}

  func run(in session: Session) throws(Failure) -> ExitStatus {
    guard let tree = try session.tree() else { return session.treeNotFound() }
    session.write("count", tree.count)
    return .done
  }
}
