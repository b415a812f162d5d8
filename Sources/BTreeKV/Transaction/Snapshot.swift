internal import Pager

/// The database as it was at one instant, for as long as this is held: all trees, unchanged.
///
/// Taking one costs well under a microsecond and holds no lock; what is changed afterwards is written
/// to other places while it lives. It ends with its last reference or with `close()`. Any number of
/// threads may use one.
///
/// ```swift
/// try database.insert("apple", "red")
/// let snapshot = try database.snapshot()
/// try database.insert("apple", "green")
/// let color = try snapshot.lookup("apple")
/// assert(color == Array("red".utf8))
/// ```
public final class Snapshot: ReadableTree, Sendable {
  /// The tree without a name, at the snapshot's instant.
  public let access: TreeAccess
  let pin: SnapshotPin
  /// Behind the pin, which is let go first.
  let database: Database
  private let failures = SequenceFailures()

  init(_ database: Database) throws(PagerError) {
    self.database = database
    let engine = database.engine
    pin = try engine.snapshots.take(failures)
    access = TreeAccess(
      database.file, engine.mainTree, .snapshot(try pin.root(of: engine.mainTree), pin))
  }

  /// Lets go of what the snapshot keeps; what reads through it from then on throws `.closed`.
  ///
  /// Its last reference does the same. Again is harmless.
  public func close() { pin.close() }

  /// Throws the error at which a sequence of this snapshot ended early, if nobody was told of it yet.
  ///
  /// For sequences that nobody keeps. `Database.read` does this at its end.
  ///
  /// ```swift
  /// let snapshot = try database.snapshot()
  /// for (key, value) in snapshot.range("a"..<"b") { print(key.count, value.count) }
  /// try snapshot.check()
  /// ```
  ///
  /// - Throws: what the sequence met: `.corrupted`, `.inputOutput`, `.closed`, `.snapshotExpired`.
  public func check() throws(DatabaseError) { try failures.check() }

  /// A named tree at the snapshot's instant, or nil when there was none of that name.
  ///
  /// - Parameter name: any text.
  /// - Throws: as `lookup`.
  public func tree(_ name: String) throws(DatabaseError) -> SnapshotTree? {
    let engine = database.engine
    let id = try catalogue().read { (root) throws(PagerError) in
      try engine.findTree(name, root: root)
    }
    guard let id else { return nil }
    let tree = engine.tree(of: id)
    let root = try converting { () throws(PagerError) in try pin.root(of: tree) }
    let access = TreeAccess(database.file, tree, .snapshot(root, pin))
    return SnapshotTree(access: access, snapshot: self)
  }

  /// The names of all trees that there were, in order.
  ///
  /// - Throws: as `lookup`.
  public func treeNames() throws(DatabaseError) -> [String] { try catalogue().names() }

  func catalogue() throws(DatabaseError) -> TreeAccess {
    let engine = database.engine
    let root = try converting { () throws(PagerError) in try pin.root(of: engine.catalogue) }
    return TreeAccess(database.file, engine.catalogue, .snapshot(root, pin))
  }
}

/// A named tree at a snapshot's instant.
public struct SnapshotTree: ReadableTree, Sendable {
  /// The tree at the snapshot's instant.
  public let access: TreeAccess
  let snapshot: Snapshot
}

extension Database {
  /// Keeps what is there now, in all trees, to be read for as long as wanted.
  ///
  /// - Throws: `.closed`.
  /// - Complexity: O(1).
  public func snapshot() throws(DatabaseError) -> Snapshot {
    try converting { () throws(PagerError) in try Snapshot(self) }
  }

  /// Runs reads that all see the same instant.
  ///
  /// ```swift
  /// let (first, last) = try database.read { snapshot in
  ///   (try snapshot.min()?.key, try snapshot.max()?.key)
  /// }
  /// ```
  ///
  /// - Parameter body: reads through the snapshot, which is closed when it returns.
  /// - Returns: what `body` returns.
  /// - Throws: what `body` throws, what a sequence in it ended with early, or `.closed`.
  public func read<R>(_ body: (Snapshot) throws -> R) throws -> R {
    let snapshot = try snapshot()
    defer { snapshot.close() }
    let result = try body(snapshot)
    try snapshot.check()
    return result
  }
}
