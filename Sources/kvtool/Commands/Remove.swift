import BTreeKV

/// `remove`: deletes a key and its value.
struct Remove: Command {
  static let name = "remove"
  static let summary = "delete a key and its value"
  static let isOfTree = true
  static let operands = ["KEY"]

  private let key: [UInt8]

  init(parsing arguments: Arguments) throws(Failure) {
    key = try Literal.bytes(of: arguments.operands[0])
  }

  func run(in session: Session) throws(Failure) -> ExitStatus {
    guard let tree = try session.writableTree(isCreated: false) else {
      return session.treeNotFound()
    }
    let wasThere: Bool
    do {
      wasThere = try tree.remove(key, durability: session.settings.durability)
    } catch {
      throw Failure(error)
    }
    guard wasThere else { return session.notFound() }
    if case .json(let allHex) = session.settings.format {
      var line = JSONLine(session.output)
      line.add("key", bytes: key, allHex: allHex)
      line.add("removed", true)
      line.end()
    }
    session.confirm("removed")
    return .done
  }
}
