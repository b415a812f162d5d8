public import Synchronization

/// How far a mutation has gone when its call returns.
public enum DurabilityMode: Sendable {
  /// On the medium.
  case sync
  /// In the operating system's hands: it outlasts the process, not the machine.
  case flush
  /// Nowhere but in memory: only checkpoints make it durable.
  case none
}

/// How a file is opened.
package struct PagerOptions: Sendable {
  /// For a new file; nil takes the larger of 4096 and the system's page.
  package var pageByteCount: Int?
  package var cacheByteCount = 256 << 20
  package var durability = DurabilityMode.sync
  package var flushIntervalMilliseconds = 100
  package var checkpointThresholdByteCount = 64 << 20
  /// The longest log record of a transaction; a larger one is committed by a checkpoint.
  package var transactionLogLimitByteCount = 4 << 20
  package var mayCreate = true
  /// Whether checkpoints and syncs also happen by themselves (off in tests that count calls).
  package var hasBackgroundThreads = true

  package init() {}
}

/// What readers and the writer share, changed only with the publish latch held.
public struct PublishedState {
  /// Pages made now are born in this epoch.
  public var epoch: Epoch
  /// A page is changed in place if and only if it was born after this (rule C1).
  public var youngestPin: Epoch
  /// Whether anything was published since the youngest pin was taken.
  public var isChangedSincePin: Bool
  /// Mutations since the last cut.
  public var mutationCount: Int

  var pins = PinTable()
  var spaceChanges: [SpaceChange] = []
  var dirtyPages: [PageID] = []
  /// Freed runs of value bytes that a record after the last cut may name.
  var valuesToFree: [Extent] = []
  var isChangedSinceCheckpoint = false
  /// How many cuts there were.
  var cutCount = 0
  /// Whether a named tree was changed since the last cut.
  var hasChangedTrees = false
  /// The pin that the transaction under way holds: the last committed epoch.
  var committedPin: Epoch?
}

/// One file of pages: superblocks, page pool, free space, log and checkpoints.
///
/// It knows nothing of keys. A layer above keeps trees of pages in it, tells it of each change
/// between `publishLatch.lock()` and `unlock()`, and replays what the log gives back.
///
/// Lock order: file lock, writer mutex, page latches, allocator, publish latch, segment list.
/// Checkpoints are serialised by `checkpointMutex`, which is taken with at most the writer mutex
/// held, and never the other way round.
///
/// Why `@unchecked Sendable`: `published` and what `PublishedState` holds is touched with the publish
/// latch held; `superblock`, `freeMap` and `durablePin` with the checkpoint mutex; the rest is
/// constant, atomic or has its own lock.
public final class Pager: @unchecked Sendable {
  /// The pages in memory.
  public let pool: PagePool
  /// Held by whoever changes the tree.
  package let writerMutex = ConditionLock()
  /// Held while one mutation is logged, applied and published, and while a pin is taken.
  public let publishLatch = SpinLatch()
  /// What the publish latch guards.
  public let published: UnsafeMutablePointer<PublishedState>
  /// The log; nil under `.none` and for readers.
  public let log: Log?
  package let allocator: PageAllocator
  /// Pages that are reserved or still mapped.
  package let kept: KeptExtents
  package let storage: any Storage
  package let options: PagerOptions
  package let isReadOnly: Bool

  /// The tree without a name.
  public let mainTree: TreeDescriptor
  let trees: Locked<TreeList>
  /// The transaction under way; it belongs to whoever holds the writer mutex.
  let transaction: UnsafeMutablePointer<OpenTransaction>
  /// The thread of the transaction under way, or 0.
  let transactionThread = Atomic<UInt>(0)
  /// Whether a commit by checkpoint found no room: nothing may be logged on top of it before a
  /// checkpoint has succeeded.
  let owesCheckpoint = Atomic<Bool>(false)
  /// When the log or the number of mutations passes this, somebody must look (rule B8).
  @usableFromInline let logLimit = Atomic<UInt64>(.max)

  /// The mutations since the last cut, for a glance without the latch.
  @usableFromInline let mutationHint = Atomic<Int>(0)

  @usableFromInline let hasStartedLog = Atomic<Bool>(false)
  let checkpointMutex = ConditionLock()
  var superblock: Superblock
  var freeMap: FreeMap
  var durablePin: Epoch
  let checkpointAtOpen: UInt64
  let isClosed = Atomic<Bool>(false)
  let orphansWait = Atomic<Bool>(false)
  /// How often debug builds were to look at the invariants.
  let invariantLooks = Atomic<Int>(0)
  let failureCell: FailureCell
  let background = BackgroundWork()
  let windows: MappedWindows
  let writableWindows: MappedWindows
  var replay: LogScan?

  init(
    storage: any Storage, options: PagerOptions, superblock: Superblock, freeMap: FreeMap,
    allocator: PageAllocator, pool: PagePool, log: Log?, failureCell: FailureCell,
    epoch: Epoch, table: TreeTable
  ) {
    self.storage = storage
    windows = MappedWindows(storage: storage, writable: false)
    writableWindows = MappedWindows(storage: storage, writable: true)
    self.options = options
    self.superblock = superblock
    self.freeMap = freeMap
    self.allocator = allocator
    kept = KeptExtents(allocator: allocator)
    self.pool = pool
    self.log = log
    self.failureCell = failureCell
    isReadOnly = storage.isReadOnly
    durablePin = superblock.epoch
    checkpointAtOpen = superblock.checkpoint
    var state = PublishedState(
      epoch: epoch, youngestPin: superblock.epoch, isChangedSincePin: false, mutationCount: 0)
    state.pins.add(superblock.epoch)
    published = .allocate(capacity: 1)
    published.initialize(to: state)
    mainTree = TreeDescriptor(id: .main, root: superblock.root, changed: superblock.epoch)
    var list = TreeList()
    list.nextID = table.nextID
    for (id, root) in table.trees {
      list.descriptors[id] = TreeDescriptor(id: id, root: root, changed: superblock.epoch)
    }
    trees = Locked(list)
    transaction = .allocate(capacity: 1)
    transaction.initialize(
      to: OpenTransaction(logLimit: options.transactionLogLimitByteCount))
  }

  deinit {
    background.stop(log: log)
    storage.close()
    published.deinitialize(count: 1)
    published.deallocate()
    transaction.pointee.log.deallocate()
    transaction.deinitialize(count: 1)
    transaction.deallocate()
  }

  /// The size of a page.
  public var pageByteCount: Int { pool.pageByteCount }
  /// The version of the file format.
  package var formatVersion: Int { Int(Superblock.formatVersion) }
  /// The file's identifier, as 32 hexadecimal digits.
  package var fileIdentifier: String {
    let id = superblock.fileIdentifier
    return [id.high, id.low].map { word in
      let digits = String(word, radix: 16)
      return String(repeating: "0", count: 16 - digits.count) + digits
    }.joined()
  }
  /// The number of the last durable checkpoint.
  package var checkpointNumber: UInt64 { checkpointMutex.withLock { superblock.checkpoint } }
  /// How many bytes of log a restart would replay.
  package var logByteCount: Int {
    checkpointMutex.withLock {
      guard let log, let start = superblock.log else { return 0 }
      return Int(log.endLSN.rawValue &- start.replayFrom.rawValue)
    }
  }
}

/// The first failure after which nothing may be promised any more ("poisoned").
final class FailureCell: Sendable {
  private let isSet = Atomic<Bool>(false)
  private let error = Locked<PagerError?>(nil)

  /// A full disk is no reason: the next write may find room.
  func set(_ failure: PagerError) {
    if failure.code != .diskFull { setWhatever(failure) }
  }

  /// For syncs and superblocks: what they left on the medium is unknown, for want of room too.
  func setWhatever(_ failure: PagerError) {
    error.withLock { if $0 == nil { $0 = failure } }
    isSet.store(true, ordering: .releasing)
  }

  func check() throws(PagerError) {
    guard isSet.load(ordering: .acquiring) else { return }
    let cause = error.withLock { $0 }
    throw PagerError(
      .poisoned,
      "an earlier write or sync failed (\(cause?.message ?? "unknown")), so writes are refused; "
        + "reads go on; close and reopen the file",
      systemError: cause?.systemError)
  }
}
