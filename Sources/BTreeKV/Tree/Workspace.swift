internal import Pager

/// The memory that changing trees needs: there is one writer at a time, so one of these will do for
/// all trees of a file.
///
/// Why `@unchecked Sendable`: all of it belongs to whoever holds the pager's writer mutex.
final class Workspace: @unchecked Sendable {
  /// Behind a pointer, since the runtime would check each access to a class's variables.
  struct State {
    var pathCount = 0
    /// Where the last insert went: the next one right behind it is a sign of ascending keys.
    var lastInsert = (page: PageID.none, index: -1)
    /// Whether changes are not logged: while the log is replayed, and where one entry stands for many.
    var isUnlogged = false
    /// Counts what the transaction under way changed, so that its cursors notice.
    var changeCount: UInt64 = 0
    /// Counts what was undone, so that nobody believes what they knew before.
    var rollbackCount: UInt64 = 0
    /// The number of the next new list of chunks; 0: not known yet.
    var nextListID: UInt64 = 0
  }

  let state: UnsafeMutablePointer<State>
  let path: UnsafeMutablePointer<Tree.PathElement>
  let scratch: UnsafeMutableRawPointer
  let entries = EntryList()
  /// The lists of which chunks in force got other places in the change under way.
  var changedLists: [ChunkList] = []

  static let pathLimit = 64

  init(pageByteCount: Int) {
    state = .allocate(capacity: 1)
    state.initialize(to: State())
    path = .allocate(capacity: Self.pathLimit)
    scratch = .allocate(byteCount: pageByteCount, alignment: 4096)
  }

  deinit {
    state.deallocate()
    path.deallocate()
    scratch.deallocate()
  }
}
