import BTreeKV

/// `lookup`: shows the value of a key.
struct Lookup: Command {
  static let name = "lookup"
  static let summary = "print the value of a key"
  static let isOfTree = true
  static let operands = ["KEY"]

  private let key: [UInt8]

  init(parsing arguments: Arguments) throws(Failure) {
    key = try Literal.bytes(of: arguments.operands[0])
  }

  func run(in session: Session) throws(Failure) -> ExitStatus {
    guard let tree = try session.tree() else { return session.treeNotFound() }
    var records = session.records()
    let found: Void?
    do {
      found = try tree.withValue(of: key) { value in
        records.write(value: value, of: key.span.bytes)
      }
    } catch {
      throw Failure(error)
    }
    return found == nil ? session.notFound() : .done
  }
}
