import BTreeKV

/// `ceiling`: the first entry that is not before a key.
struct Ceiling: EntryCommand {
  static let name = "ceiling"
  static let summary = "print the entry of a key, or the first one after it"
  static let operands = ["KEY"]

  private let key: [UInt8]

  init(parsing arguments: Arguments) throws(Failure) {
    key = try Literal.bytes(of: arguments.operands[0])
  }

  func find(in tree: some ReadableTree) throws(DatabaseError) -> Database.Entry? {
    try tree.ceiling(key)
  }
}
