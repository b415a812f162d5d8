import BTreeKV

/// `trees`: which named trees there are.
struct Trees: Command {
  static let name = "trees"
  static let summary = "list the named trees with their numbers of entries"
  static let notes = """
    A line is the name, a tab and the number; for a typed tree a tab and the codings of its keys
    and values besides. The tree without a name is not among them.

    """

  init(parsing arguments: Arguments) {}

  func run(in session: Session) throws(Failure) -> ExitStatus {
    let database = try session.database(for: .read)
    do {
      try database.read { snapshot in
        for name in try snapshot.treeNames() {
          guard let tree = try snapshot.tree(name) else { continue }
          write(name, tree.count, try snapshot.treeCodings(name), to: session)
        }
      }
    } catch {
      throw Failure(error)
    }
    return .done
  }

  private func write(_ name: String, _ count: Int, _ codings: String?, to session: Session) {
    let output = session.output
    guard !session.settings.format.isJSON else {
      var line = JSONLine(output)
      line.add("name", name)
      line.add("count", count)
      if let codings { line.add("codings", codings) }
      line.end()
      return
    }
    var text = name
    text.withUTF8 { output.writeText(UnsafeRawBufferPointer($0)) }
    output.write("\t\(count)" + (codings.map { "\t" + singleLine($0) } ?? "") + "\n")
  }
}
