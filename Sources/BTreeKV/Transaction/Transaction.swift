internal import Pager

/// Changes that are published and durable together, or not at all.
///
/// `Database.write` lends one to its closure, which it can't outlive. Its own methods read and change
/// the tree without a name; `tree(_:)` gives the others. It sees its own changes; nobody else does
/// before its commit.
///
/// ```swift
/// try database.write { transaction in
///   try transaction.insert("alice", "70")
///   try transaction.insert("bob", "130")
/// }
/// ```
public struct Transaction: ~Copyable, WritableTree {
  /// The tree without a name, as the transaction sees it.
  public let access: TreeAccess
  let state: TransactionState

  init(_ state: TransactionState) {
    self.state = state
    access = TreeAccess(state.file, state.engine.mainTree, .transaction(state))
  }

  /// Runs changes that can be undone alone: when `body` throws, what it did is undone, and the
  /// transaction is as it was before.
  ///
  /// Savepoints may be nested.
  ///
  /// ```swift
  /// struct Refusal: Error {}
  /// try database.write { transaction in
  ///   try transaction.insert("kept", "yes")
  ///   try? transaction.savepoint {
  ///     try transaction.insert("undone", "yes")
  ///     throw Refusal()
  ///   }
  /// }
  /// ```
  ///
  /// - Parameter body: changes and reads through the transaction.
  /// - Returns: what `body` returns.
  /// - Throws: what `body` throws, what a sequence in it ended with early, and `.transactionEnded`.
  /// - Complexity: O(1), and each page that the body changes is copied once.
  public func savepoint<R>(_ body: () throws -> R) throws -> R {
    try converting { () throws(PagerError) in try state.check() }
    let pager = state.engine.pager
    let failureCount = state.failures.count
    pager.beginSavepoint()
    let result: R
    do {
      result = try body()
      try state.failures.check(from: failureCount)
    } catch {
      state.rollBackSavepoint()
      throw error
    }
    pager.endSavepoint()
    return result
  }

  /// The tree of a name, which is created if there is none.
  ///
  /// - Parameter name: any text but the empty one, at most 255 bytes.
  /// - Returns: the tree as the transaction sees it.
  /// - Throws: `.invalidArgument`, or as `insert`.
  @_lifetime(borrow self)
  public func tree(_ name: String) throws(DatabaseError) -> TransactionTree {
    let id = try converting { () throws(PagerError) in
      try state.engine.findOrCreateTree(name, in: state)
    }
    return TransactionTree(state, id)
  }

  /// The tree of a name, or nil when there is none.
  ///
  /// - Parameter name: any text.
  /// - Returns: the tree as the transaction sees it.
  /// - Throws: as `lookup`.
  @_lifetime(borrow self)
  public func existingTree(_ name: String) throws(DatabaseError) -> TransactionTree? {
    let id = try converting { () throws(PagerError) in
      try state.check()
      return try state.engine.findTree(name, root: state.engine.catalogue.descriptor.writerRoot)
    }
    guard let id else { return nil }
    return TransactionTree(state, id)
  }

  /// The names of all trees, in order.
  ///
  /// - Throws: as `lookup`.
  public func treeNames() throws(DatabaseError) -> [String] {
    let engine = state.engine
    return try TreeAccess(state.file, engine.catalogue, .transaction(state)).names()
  }

  /// Gives a tree another name; handles to it stay good.
  ///
  /// - Parameters:
  ///   - name: what it is called now.
  ///   - newName: what it is to be called.
  /// - Throws: `.notFound`, `.alreadyExists`, `.invalidArgument`, or as `insert`.
  public func renameTree(_ name: String, to newName: String) throws(DatabaseError) {
    try converting { () throws(PagerError) in
      try state.inSavepoint { () throws(PagerError) in
        try state.engine.renameTree(name, to: newName, in: state)
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
      try state.inSavepoint { () throws(PagerError) in
        try state.engine.dropTree(name, in: state)
      }
    }
  }
}

/// A named tree as a transaction sees it; it can't outlive the transaction.
public struct TransactionTree: ~Escapable, WritableTree {
  /// The tree, as the transaction sees it.
  public let access: TreeAccess

  @_lifetime(immortal)
  init(_ state: TransactionState, _ id: TreeID) {
    access = TreeAccess(state.file, state.engine.tree(of: id), .transaction(state))
  }
}

extension Database {
  /// Runs a transaction: all of its changes are published and as durable as was asked when this
  /// returns, or none.
  ///
  /// Other writers wait until it has ended; readers do not wait, and see what was there before until
  /// the commit. A transaction may be larger than memory. Up to 4 MiB of changes are one log record;
  /// a larger one is committed by a checkpoint.
  ///
  /// ```swift
  /// let total = try database.write { transaction in
  ///   try transaction.insert("alice", "70")
  ///   try transaction.insert("bob", "130")
  ///   return transaction.count
  /// }
  /// ```
  ///
  /// - Parameters:
  ///   - durability: what to wait for; nil means what the database was opened with.
  ///   - body: reads and changes through the transaction. When it throws, everything is undone.
  /// - Returns: what `body` returns.
  /// - Throws: what `body` throws, or what a sequence in it ended with early: both undo everything;
  ///   `.nestedTransaction` inside another transaction of this database;
  ///   else as `insert`.
  /// - Complexity: O(1) to begin, to commit O(pages changed); each page is copied at its first change.
  @discardableResult
  public func write<R>(
    durability: Durability? = nil, _ body: (borrowing Transaction) throws -> R
  ) throws -> R {
    var failure: (any Error)?
    do {
      return try converting { () throws(PagerError) in
        try engine.changeAtOnce(durability) { () throws(PagerError) in
          let state = TransactionState(file)
          defer { state.end() }
          do {
            let result = try body(Transaction(state))
            try state.failures.check()
            return result
          } catch {
            failure = error
            throw PagerError(.transactionEnded, "the transaction's closure threw")
          }
        }
      }
    } catch {
      throw failure ?? error
    }
  }
}
