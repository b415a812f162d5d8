import BTreeKV

/// `rename-tree`: gives a named tree another name.
struct RenameTree: Command {
  static let name = "rename-tree"
  static let summary = "give a named tree another name, which must be free"
  static let operands = ["NAME", "NEW-NAME"]

  private let tree: String
  private let newName: String

  init(parsing arguments: Arguments) throws(Failure) {
    tree = try Literal.name(of: arguments.operands[0])
    newName = try Literal.name(of: arguments.operands[1])
  }

  func run(in session: Session) throws(Failure) -> ExitStatus {
    let database = try session.database(for: .write)
    do {
      try database.renameTree(tree, to: newName)
    } catch  where error.code == .notFound {
      return session.treeNotFound(tree)
    } catch {
      throw Failure(error)
    }
    if session.settings.format.isJSON {
      var line = JSONLine(session.output)
      line.add("renamed", tree)
      line.add("name", newName)
      line.end()
    }
    session.confirm("renamed")
    return .done
  }
}
