import BTreeKV

/// `below`: the last entry strictly before a key, which need not be there.
struct Below: EntryCommand {
  static let name = "below"
  static let summary = "print the last entry before a key"
  static let operands = ["KEY"]

  private let key: [UInt8]

  init(parsing arguments: Arguments) throws(Failure) {
    key = try Literal.bytes(of: arguments.operands[0])
  }

  func find(in tree: some ReadableTree) throws(DatabaseError) -> Database.Entry? {
    try tree.below(key)
  }
}
