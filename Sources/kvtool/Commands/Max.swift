import BTreeKV

/// `max`: the last entry.
struct Max: EntryCommand {
  static let name = "max"
  static let summary = "print the last entry"

  init(parsing arguments: Arguments) {}

  func find(in tree: some ReadableTree) throws(DatabaseError) -> Database.Entry? {
    try tree.max()
  }
}
