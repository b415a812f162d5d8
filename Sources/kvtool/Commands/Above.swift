import BTreeKV

/// `above`: the first entry strictly after a key, which need not be there.
struct Above: EntryCommand {
  static let name = "above"
  static let summary = "print the first entry after a key"
  static let operands = ["KEY"]

  private let key: [UInt8]

  init(parsing arguments: Arguments) throws(Failure) {
    key = try Literal.bytes(of: arguments.operands[0])
  }

  func find(in tree: some ReadableTree) throws(DatabaseError) -> Database.Entry? {
    try tree.above(key)
  }
}
