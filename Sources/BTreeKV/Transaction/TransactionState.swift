internal import Pager
internal import Synchronization

/// One transaction under way; its handles ask it whether it still is.
///
/// What it has done is with the pager. All of it happens in the thread that holds the writer mutex.
final class TransactionState: Sendable {
  let file: OpenFile
  let engine: Engine
  /// Where sequences note that they ended early.
  let failures = SequenceFailures()
  private let isOpen = Atomic<Bool>(true)

  init(_ file: OpenFile) {
    self.file = file
    engine = file.engine
  }

  /// Throws when the transaction has ended.
  @inline(__always) func check() throws(PagerError) {
    guard isOpen.load(ordering: .relaxed) else {
      throw PagerError(
        .transactionEnded, "the transaction has ended; nothing can be read or changed through it",
        path: engine.path)
    }
  }

  func end() { isOpen.store(false, ordering: .relaxed) }

  /// Runs changes so that either all of them become part of the transaction or none.
  func inSavepoint<R>(_ body: () throws(PagerError) -> R) throws(PagerError) -> R {
    try check()
    engine.pager.beginSavepoint()
    let result: R
    do throws(PagerError) {
      result = try body()
    } catch {
      rollBackSavepoint()
      throw error
    }
    engine.pager.endSavepoint()
    return result
  }

  func rollBackSavepoint() {
    engine.pager.rollBackSavepoint()
    // Cursors must look again.
    engine.workspace.state.pointee.changeCount &+= 1
    engine.workspace.state.pointee.rollbackCount &+= 1
  }
}
