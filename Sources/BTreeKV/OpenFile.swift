internal import Pager

/// An open file, for as long as somebody uses it: the database, a handle, a snapshot, a cursor, or a
/// reader of what is mapped.
///
/// With the last of them it is closed. What works for the file in threads of its own knows the engine
/// only, and so never is the last.
final class OpenFile: Sendable {
  let engine: Engine

  init(_ engine: Engine) { self.engine = engine }

  /// Makes everything durable and lets go of the file, whoever uses it; again is harmless.
  func close() throws(PagerError) {
    let engine = engine
    try engine.pager.checkNotInTransaction()
    engine.endBackgroundCompaction()
    try engine.pager.close { (limit) throws(PagerError) in
      var hasMoved = false
      var budget = PageBudget(engine.pager)
      for tree in engine.allTrees where try tree.relocate(pagesFrom: limit, &budget) {
        hasMoved = true
      }
      return hasMoved
    }
  }

  deinit {
    // Forgetting to close loses nothing that was promised; closing makes the next open quick.
    try? close()
  }
}
