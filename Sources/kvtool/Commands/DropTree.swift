import BTreeKV

/// `drop-tree`: deletes a named tree.
struct DropTree: Command {
  static let name = "drop-tree"
  static let summary = "delete a named tree with all its entries"
  static let operands = ["NAME"]

  private let tree: String

  init(parsing arguments: Arguments) throws(Failure) {
    tree = try Literal.name(of: arguments.operands[0])
  }

  func run(in session: Session) throws(Failure) -> ExitStatus {
    let database = try session.database(for: .write)
    let wasThere: Bool
    do { wasThere = try database.dropTree(tree) } catch { throw Failure(error) }
    guard wasThere else { return session.treeNotFound(tree) }
    if session.settings.format.isJSON {
      var line = JSONLine(session.output)
      line.add("dropped", tree)
      line.end()
    }
    session.confirm("dropped")
    return .done
  }
}
