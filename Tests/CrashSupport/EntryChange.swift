/// A change of one entry store, or of which ones there are.
///
/// Keys are numbers. What does not apply, such as a copy of what is not there, does nothing.
package enum EntryChange: Sendable, Equatable {
  case write(key: Int, size: Int)
  /// Asks for `.sync`, whatever the database was opened with.
  case writeDurably(key: Int, size: Int)
  /// So many keys from one on, all or none.
  case writeMany(key: Int, count: Int, size: Int)
  /// In pieces of up to 50,000 bytes. When it is not kept, the source fails at its end.
  case stream(key: Int, size: Int, isKept: Bool)
  case delete(key: Int)
  case deleteMany(key: Int, count: Int)
  case deleteAll
  case copy(key: Int, to: Int)
  case rename(key: Int, to: Int)
  /// Moves an entry to another store.
  case transfer(key: Int, to: Int)
  /// Outside of transactions only.
  case compact
  case removeStore
  case renameStore(to: Int)
}

/// As it is written in Swift, for a regression test.
extension EntryChange: CustomStringConvertible {
  package var description: String {
    switch self {
    case .write(let key, let size): ".write(key: \(key), size: \(size))"
    case .writeDurably(let key, let size): ".writeDurably(key: \(key), size: \(size))"
    case .writeMany(let key, let count, let size):
      ".writeMany(key: \(key), count: \(count), size: \(size))"
    case .stream(let key, let size, let isKept):
      ".stream(key: \(key), size: \(size), isKept: \(isKept))"
    case .delete(let key): ".delete(key: \(key))"
    case .deleteMany(let key, let count): ".deleteMany(key: \(key), count: \(count))"
    case .deleteAll: ".deleteAll"
    case .copy(let key, let other): ".copy(key: \(key), to: \(other))"
    case .rename(let key, let other): ".rename(key: \(key), to: \(other))"
    case .transfer(let key, let other): ".transfer(key: \(key), to: \(other))"
    case .compact: ".compact"
    case .removeStore: ".removeStore"
    case .renameStore(let other): ".renameStore(to: \(other))"
    }
  }
}
