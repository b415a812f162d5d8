internal import Pager

/// A tree of a name, as it is at each call.
///
/// It has keys and a count of its own, and shares the file, its transactions and its snapshots with
/// all others. It stays the same tree when it is renamed; once it is dropped, it is empty and can't be
/// changed.
///
/// ```swift
/// let users = try database.tree("users")
/// try users.insert("1", "Ada")
/// ```
public struct NamedTree: WritableTree, Sendable {
  /// The tree as it is now.
  public let access: TreeAccess
  // Keeps the file open.
  let database: Database
  var id: TreeID { access.tree.descriptor.id }

  init(_ database: Database, _ id: TreeID) {
    self.database = database
    access = TreeAccess(database.file, database.engine.tree(of: id), .live)
  }

  /// Whether the tree was dropped.
  public var isDropped: Bool { access.tree.descriptor.isDropped }

  /// The tree as a transaction of its database sees it.
  ///
  /// - Parameter transaction: one of the same `Database` that is under way; of another one, whose
  ///   trees have other numbers, it is a programming error and traps.
  @_lifetime(borrow transaction)
  public func access(in transaction: borrowing Transaction) -> TransactionTree {
    precondition(
      transaction.state.engine === database.engine, "the transaction is of another database")
    return TransactionTree(transaction.state, id)
  }
}

extension Database {
  /// The tree of a name, which is created if there is none.
  ///
  /// - Parameter name: any text but the empty one, at most 255 bytes.
  /// - Throws: `.invalidArgument`; `.notFound` when the file is open for reading and has no such
  ///   tree; else as `insert`.
  public func tree(_ name: String) throws(DatabaseError) -> NamedTree {
    if let known = try existingTree(name) { return known }
    return try converting { () throws(PagerError) in
      if pager.isReadOnly {
        throw PagerError(
          .notFound, "there is no tree named \"\(name)\", and the file is open for reading only",
          path: path)
      }
      let id = try engine.changeAtOnce(nil) { () throws(PagerError) in
        let state = TransactionState(file)
        defer { state.end() }
        return try engine.findOrCreateTree(name, in: state)
      }
      return NamedTree(self, id)
    }
  }

  /// The tree of a name, or nil when there is none.
  ///
  /// - Parameter name: any text.
  /// - Throws: as `lookup`.
  public func existingTree(_ name: String) throws(DatabaseError) -> NamedTree? {
    let access = TreeAccess(file, engine.catalogue, .live)
    let id = try access.read { (root) throws(PagerError) in
      try engine.findTree(name, root: root)
    }
    return id.map { NamedTree(self, $0) }
  }

  /// The names of all trees, in order.
  ///
  /// - Throws: as `lookup`.
  public func treeNames() throws(DatabaseError) -> [String] {
    try TreeAccess(file, engine.catalogue, .live).names()
  }

  /// Gives a tree another name; handles to it stay good.
  ///
  /// - Parameters:
  ///   - name: what it is called now.
  ///   - newName: what it is to be called.
  /// - Throws: `.notFound`, `.alreadyExists`, `.invalidArgument`, or as `insert`.
  public func renameTree(_ name: String, to newName: String) throws(DatabaseError) {
    try converting { () throws(PagerError) in
      try engine.changeAtOnce(nil) { () throws(PagerError) in
        let state = TransactionState(file)
        defer { state.end() }
        try engine.renameTree(name, to: newName, in: state)
      }
    }
  }

  /// Removes a tree and all its entries.
  ///
  /// - Parameter name: what it is called.
  /// - Returns: whether there was such a tree.
  /// - Throws: as `insert`.
  /// - Complexity: O(pages of the tree).
  @discardableResult
  public func dropTree(_ name: String) throws(DatabaseError) -> Bool {
    try converting { () throws(PagerError) in
      try engine.changeAtOnce(nil) { () throws(PagerError) in
        let state = TransactionState(file)
        defer { state.end() }
        return try engine.dropTree(name, in: state)
      }
    }
  }
}
