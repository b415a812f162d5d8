package import Pager

// What the layers above reach of the engine: trees of the library's own, which have no names.

extension Database {
  /// A tree of the library's own, as it is now.
  package func access(to id: TreeID) -> TreeAccess {
    TreeAccess(file, engine.tree(of: id), .live)
  }

  /// The list of a number.
  package func chunkList(_ id: UInt64) -> ChunkList { engine.chunkList(id) }
}

extension Transaction {
  /// A tree of the library's own, as the transaction sees it.
  package func access(to id: TreeID) -> TreeAccess {
    TreeAccess(state.file, state.engine.tree(of: id), .transaction(state))
  }

  /// The list of a number.
  package func chunkList(_ id: UInt64) -> ChunkList { state.engine.chunkList(id) }

  /// Traps when a handle is one to another database, whose lists have other numbers.
  package func checkIsOfSameDatabase(_ access: TreeAccess) {
    precondition(access.engine === state.engine, "the transaction is of another database")
  }
}

extension Transaction {
  /// A list that is not there yet.
  package func newChunkList() throws(PagerError) -> ChunkList {
    try state.check()
    return state.engine.chunkList(try state.engine.newChunkListID())
  }
}

extension Snapshot {
  /// A tree of the library's own, at the snapshot's instant.
  package func access(to id: TreeID) throws(DatabaseError) -> TreeAccess {
    let engine = database.engine
    let tree = engine.tree(of: id)
    let root = try converting { () throws(PagerError) in try pin.root(of: tree) }
    return TreeAccess(database.file, tree, .snapshot(root, pin))
  }

  /// The list of a number.
  package func chunkList(_ id: UInt64) -> ChunkList { database.engine.chunkList(id) }
}

extension TreeAccess {
  /// This handle, or one to what it shows now, when that may change under a reader.
  package func kept() throws(DatabaseError) -> TreeAccess {
    try converting { () throws(PagerError) in try stable() }
  }

  /// Another tree of the library's own, at the same instant.
  package func sibling(_ id: TreeID) throws(DatabaseError) -> TreeAccess {
    let other = engine.tree(of: id)
    switch mode {
    case .live:
      return TreeAccess(file, other, .live)
    case .snapshot(_, let pin):
      let root = try converting { () throws(PagerError) in try pin.root(of: other) }
      return TreeAccess(file, other, .snapshot(root, pin))
    case .transaction(let state):
      return TreeAccess(file, other, .transaction(state))
    }
  }
}
