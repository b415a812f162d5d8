import BTreeKV

/// `floor`: the last entry that is not after a key.
struct Floor: EntryCommand {
  static let name = "floor"
  static let summary = "print the entry of a key, or the last one before it"
  static let operands = ["KEY"]

  private let key: [UInt8]

  init(parsing arguments: Arguments) throws(Failure) {
    key = try Literal.bytes(of: arguments.operands[0])
  }

  func find(in tree: some ReadableTree) throws(DatabaseError) -> Database.Entry? {
    try tree.floor(key)
  }
}
