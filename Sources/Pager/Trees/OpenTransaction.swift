/// What the transaction under way has done so far, none of which anybody else sees.
///
/// It belongs to whoever holds the writer mutex.
struct OpenTransaction {
  /// The transaction itself, or a savepoint in it.
  struct Level {
    /// The epoch that it can go back to.
    var pin: Epoch
    /// Pages that it made, some of which may be gone again or be here twice: `owned` tells.
    var made: [PageID] = []
    /// Runs of value bytes that it made.
    var madeValues: [Extent] = []
    /// What the transaction had come to when the level began.
    var unlinkedCount = 0
    var logByteCount = 0
    var operationCount = 0
    var droppedCount = 0
    var roots: [TreeRoot] = []
  }

  var isOpen = false
  /// The epoch in which its new pages are born: nobody moves it on but its own savepoints, since
  /// whoever pins meanwhile shares the transaction's pin.
  var birth = Epoch(0)
  /// How many pages were dirty when it began, and after how many cuts.
  var dirtyPageCount = 0
  var cutCount = 0
  var levels: [Level] = []
  /// The pages that the transaction made and that are still there.
  var owned = PageBitmap()
  /// The trees that it has changed; their state's `working` is in force.
  var touched: [TreeDescriptor] = []
  /// What it no longer refers to but a pin, a savepoint or the log may.
  var unlinked: [Unlinked] = []
  /// Trees that are gone once it is committed.
  var dropped: [TreeDescriptor] = []
  var log: TransactionLog
  /// How many mutations it holds.
  var operationCount = 0
  /// How many value bytes it wrote that are not synced.
  var unsyncedByteCount = 0

  init(logLimit: Int) { log = TransactionLog(limit: logLimit) }

  /// Notes a page that the transaction made.
  mutating func link(_ page: PageID) {
    let index = Int(page.rawValue)
    owned.grow(toPageCount: index + 1)
    owned.set(true, index..<index + 1)
    levels[levels.count - 1].made.append(page)
  }

  /// Notes a page that the transaction no longer refers to.
  ///
  /// - Returns: whether it is free at once, since nobody else ever saw it.
  mutating func unlink(_ entry: Unlinked) -> Bool {
    let index = Int(entry.extent.first.rawValue)
    // A made-up file may speak of pages that are younger than they can be: only `owned` is to be
    // trusted, and the epoch only tells which level it was.
    if levels[levels.count - 1].pin < entry.birth, owned.contains(index) {
      owned.set(false, index..<index + 1)
      return true
    }
    unlinked.append(entry)
    return false
  }

  /// The pages that a level made and that are still there, each once; they are disowned.
  mutating func takeOwned(_ made: [PageID]) -> [PageID] {
    made.filter { page in
      let index = Int(page.rawValue)
      return owned.set(false, index..<index + 1) == 1
    }
  }
}

/// The log entries of a transaction, gathered for one record.
///
/// A transaction whose entries are longer than a record may be is not logged but committed by a
/// checkpoint (rule B7): then nothing is gathered any more.
struct TransactionLog {
  /// The longest record body that a transaction may have.
  let limit: Int

  private(set) var bytes: UnsafeMutableRawBufferPointer = .init(start: nil, count: 0)
  private(set) var byteCount = 0
  /// Whether the entries are more than one record can hold.
  private(set) var isTooLong = false

  init(limit: Int) { self.limit = limit }

  /// Gathers no more.
  mutating func giveUp() { isTooLong = true }

  /// Makes room for an entry of so many bytes, or gives up gathering.
  mutating func reserve(_ count: Int) {
    if byteCount + count > limit {
      isTooLong = true
    } else if byteCount + count > bytes.count {
      grow(count)
    }
  }

  /// Room for an entry of so many bytes, which was reserved; nil when none are gathered any more.
  mutating func room(_ count: Int) -> UnsafeMutableRawPointer? {
    if isTooLong { return nil }
    defer { byteCount += count }
    return bytes.baseAddress.map { $0 + byteCount }
  }

  private mutating func grow(_ count: Int) {
    let new = UnsafeMutableRawBufferPointer.allocate(
      byteCount: max(4096, 2 * (byteCount + count)), alignment: 16)
    new.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<byteCount]))
    bytes.deallocate()
    bytes = new
  }

  /// The entries so far.
  var body: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: bytes[..<byteCount]) }

  /// Forgets what came after a savepoint.
  ///
  /// When entries were given up since, they stay given up: the commit is by checkpoint.
  mutating func truncate(to count: Int) { byteCount = min(byteCount, count) }

  mutating func removeAll() {
    byteCount = 0
    isTooLong = false
    // A buffer of usual size serves the next transaction too.
    if bytes.count > 1 << 20 {
      bytes.deallocate()
      bytes = .init(start: nil, count: 0)
    }
  }

  func deallocate() { bytes.deallocate() }
}
