import BTreeKV

/// `min`: the first entry.
struct Min: EntryCommand {
  static let name = "min"
  static let summary = "print the first entry"

  init(parsing arguments: Arguments) {}

  func find(in tree: some ReadableTree) throws(DatabaseError) -> Database.Entry? {
    try tree.min()
  }
}
