package import BTreeKV

/// One step of a workload, as a value: a list of them can be replayed, shortened and printed.
///
/// Trees are numbers (0 has no name, see `OperationDriver.names`), and so are keys. What does not
/// apply, such as renaming a tree that is not there, does nothing; so any part of a list is a list.
package enum CrashOperation: Sendable, Equatable {
  case insert(tree: Int, key: Int, size: Int)
  /// Asks for `.sync`, whatever the database was opened with.
  case insertDurably(tree: Int, key: Int, size: Int)
  case remove(tree: Int, key: Int)
  case update(tree: Int, key: Int, size: Int)
  case compareAndSwap(tree: Int, key: Int, size: Int, isExpected: Bool)
  /// So many keys from one on.
  case insertMany(tree: Int, key: Int, count: Int, size: Int)
  case removeRange(tree: Int, from: Int, to: Int)
  case removeAll(tree: Int)
  /// A bulk load, if the tree is empty.
  case load(tree: Int, count: Int, size: Int)
  case createTree(Int)
  case dropTree(Int)
  case renameTree(Int, to: Int)
  /// A change of a region; outside of transactions one that is not there is made, and no more.
  case region(Int, RegionChange)
  /// A change of an entry store; outside of transactions one that is not there is made, and no more.
  case entries(Int, EntryChange)
  /// A change of a vector; outside of transactions one that is not there is made, and no more.
  case vector(Int, VectorChange)
  /// A savepoint inside a transaction.
  case savepoint([CrashOperation], isKept: Bool)
  case transaction([CrashOperation], isKept: Bool)
  case takeSnapshot
  /// Compares all snapshots with what they should show, and lets them go.
  case releaseSnapshots
  case checkpoint
  /// Moves everything down in the file and cuts the end off.
  case compact
  case waitUntilDurable
  /// Closes the database and opens it again.
  case reopen(Database.Durability)
  /// The process dies, and the database is opened again.
  case kill(Database.Durability)

  /// The operations in a transaction or a savepoint.
  package var parts: [CrashOperation]? {
    switch self {
    case .savepoint(let parts, _), .transaction(let parts, _): parts
    default: nil
    }
  }

  /// The same with other operations in it.
  package func with(parts: [CrashOperation]) -> CrashOperation {
    switch self {
    case .savepoint(_, let isKept): .savepoint(parts, isKept: isKept)
    case .transaction(_, let isKept): .transaction(parts, isKept: isKept)
    default: self
    }
  }
}

/// As it is written in Swift, for a regression test.
extension CrashOperation: CustomStringConvertible {
  package var description: String {
    switch self {
    case .insert(let tree, let key, let size):
      ".insert(tree: \(tree), key: \(key), size: \(size))"
    case .insertDurably(let tree, let key, let size):
      ".insertDurably(tree: \(tree), key: \(key), size: \(size))"
    case .remove(let tree, let key): ".remove(tree: \(tree), key: \(key))"
    case .update(let tree, let key, let size):
      ".update(tree: \(tree), key: \(key), size: \(size))"
    case .compareAndSwap(let tree, let key, let size, let isExpected):
      ".compareAndSwap(tree: \(tree), key: \(key), size: \(size), isExpected: \(isExpected))"
    case .insertMany(let tree, let key, let count, let size):
      ".insertMany(tree: \(tree), key: \(key), count: \(count), size: \(size))"
    case .removeRange(let tree, let from, let to):
      ".removeRange(tree: \(tree), from: \(from), to: \(to))"
    case .removeAll(let tree): ".removeAll(tree: \(tree))"
    case .load(let tree, let count, let size):
      ".load(tree: \(tree), count: \(count), size: \(size))"
    case .createTree(let tree): ".createTree(\(tree))"
    case .dropTree(let tree): ".dropTree(\(tree))"
    case .renameTree(let tree, let other): ".renameTree(\(tree), to: \(other))"
    case .region(let region, let change): ".region(\(region), \(change))"
    case .entries(let store, let change): ".entries(\(store), \(change))"
    case .vector(let vector, let change): ".vector(\(vector), \(change))"
    case .savepoint(let parts, let isKept): ".savepoint(\(Self.list(parts)), isKept: \(isKept))"
    case .transaction(let parts, let isKept):
      ".transaction(\(Self.list(parts)), isKept: \(isKept))"
    case .takeSnapshot: ".takeSnapshot"
    case .releaseSnapshots: ".releaseSnapshots"
    case .checkpoint: ".checkpoint"
    case .compact: ".compact"
    case .waitUntilDurable: ".waitUntilDurable"
    case .reopen(let durability): ".reopen(.\(durability))"
    case .kill(let durability): ".kill(.\(durability))"
    }
  }

  private static func list(_ parts: [CrashOperation]) -> String {
    "[" + parts.map(\.description).joined(separator: ", ") + "]"
  }
}
