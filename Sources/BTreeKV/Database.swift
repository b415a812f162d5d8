package import Pager

/// An ordered map from byte strings to byte strings, in one file.
///
/// Any number of threads may use one `Database`. Reads run beside each other and beside the writer
/// without waiting; writes are done one after the other, and those that wait for the medium share
/// its syncs. Another process, or a second `Database` in this one, can't open the file for writing at
/// the same time.
///
/// The file is open until `close()`, or for as long as the database, or a tree, region, store, vector,
/// snapshot, cursor or reader of it, is held: the last of them closes it.
///
/// ```swift
/// let database = try Database.open("fruit.btreekv")
/// try database.insert("apple", "red")
/// let color = try database.lookup("apple")
/// try database.close()
/// ```
public final class Database: WritableTree, Sendable {
  let file: OpenFile
  /// The tree without a name, as it is now.
  public let access: TreeAccess

  var engine: Engine { file.engine }
  var pager: Pager { engine.pager }
  var workspace: Workspace { engine.workspace }
  var path: String { engine.path }
  func tree(of id: TreeID) -> Tree { engine.tree(of: id) }

  private init(pager: Pager, path: String, options: Options) {
    file = OpenFile(Engine(pager: pager, path: path, options: options))
    access = TreeAccess(file, file.engine.mainTree, .live)
  }

  /// Opens or creates a database.
  ///
  /// After a crash this recovers what was promised, within a few seconds. Otherwise it takes
  /// milliseconds, however large the file.
  ///
  /// - Parameters:
  ///   - path: of the file. There is never a second file beside it.
  ///   - options: what is expected to be there, and how to work with it.
  /// - Returns: the open database, to be closed with `close()`.
  /// - Throws: `.notFound`, `.alreadyExists`, `.notADatabase`, `.unsupportedVersion`, `.busy`,
  ///   `.permissionDenied`, `.readOnly`, `.corrupted`, `.needsRecovery`, `.invalidArgument`,
  ///   `.diskFull`, `.inputOutput`.
  public static func open(
    _ path: String, options: Options = Options()
  ) throws(DatabaseError) -> Database {
    try converting { () throws(PagerError) in
      let access: FileStorage.Access =
        switch options.mode {
        case .createIfMissing: .createIfMissing
        case .mustExist: .mustExist
        case .mustNotExist: .mustNotExist
        case .readOnly: .readOnly
        }
      let storage = try FileStorage.open(path: path, access: access)
      do throws(PagerError) {
        return try open(storage: storage, options: options)
      } catch {
        storage.removeIfCreated()
        storage.close()
        throw error
      }
    }
  }

  /// Opens or creates a database in any storage.
  package static func open(
    storage: any Storage, options: Options, hasBackgroundThreads: Bool = true
  ) throws(PagerError) -> Database {
    guard options.cacheByteCount >= 0, options.flushIntervalMilliseconds > 0,
      options.checkpointThresholdByteCount > 0, options.snapshotAgeLimitSeconds ?? 1 > 0
    else {
      throw PagerError(
        .invalidArgument, "cache, interval, threshold and age limit must be positive")
    }
    var pagerOptions = PagerOptions()
    pagerOptions.pageByteCount = options.pageSize
    pagerOptions.cacheByteCount = options.cacheByteCount
    pagerOptions.flushIntervalMilliseconds = options.flushIntervalMilliseconds
    pagerOptions.checkpointThresholdByteCount = options.checkpointThresholdByteCount
    pagerOptions.transactionLogLimitByteCount = options.transactionLogLimitByteCount
    pagerOptions.hasBackgroundThreads = hasBackgroundThreads
    pagerOptions.mayCreate = options.mode == .createIfMissing || options.mode == .mustNotExist
    pagerOptions.durability =
      switch options.durability {
      case .sync: .sync
      case .flush: .flush
      case .none: .none
      }
    let pager = try Pager.open(
      storage: storage, options: pagerOptions, client: LargeValue.logClient)
    let database = Database(pager: pager, path: storage.path, options: options)
    do throws(PagerError) {
      if pager.hasReplay { try database.replay() }
      try pager.finishOpening()
      try database.startExpiringSnapshots(options)
    } catch {
      // Closing would write a checkpoint of what was replayed so far, and with it forget the rest of
      // the log. The next opening begins anew (rule E).
      pager.abandon()
      throw error
    }
    return database
  }

  private func startExpiringSnapshots(_ options: Options) throws(PagerError) {
    guard let limit = options.snapshotAgeLimitSeconds else { return }
    let snapshots = engine.snapshots
    try pager.repeatInBackground(
      "kv-snapshots", everyMilliseconds: Int(Swift.max(5, Swift.min(1000, limit * 1000 / 8)))
    ) { snapshots.expire() }
  }

  /// Writes all changes to their places in the file and makes them durable; the log before is no
  /// longer needed.
  ///
  /// Reads and writes go on meanwhile. Checkpoints also happen by themselves. Costs O(changed pages).
  ///
  /// - Throws: `.diskFull` (try again when there is room), `.poisoned`, `.inputOutput`, `.closed`.
  public func checkpoint() throws(DatabaseError) {
    try converting { () throws(PagerError) in
      try pager.checkWritable()
      try pager.checkpoint()
    }
  }

  /// Waits until every change made so far is on the medium.
  ///
  /// Under `.sync` it already is when its call has returned. Costs one sync at most under `.flush`,
  /// a checkpoint under `.none`.
  ///
  /// - Throws: `.outcomeUnknown` when syncing failed, `.closed`.
  public func waitUntilDurable() throws(DatabaseError) {
    try converting { () throws(PagerError) in
      try pager.checkWritable()
      try engine.waitUntilDurable()
    }
  }

  /// Closes the database, whoever else uses it: everything is made durable, the file is cut to its size,
  /// and what is free inside goes back to the file system (on Linux, in runs of a mebibyte or more, where
  /// these are a tenth of what is in use).
  ///
  /// Calls from then on throw `.closed`, but for further calls of this, which do nothing. A cursor
  /// that is under way may go on with what it has in memory, or throw `.closed`.
  ///
  /// - Throws: `.poisoned` and `.inputOutput` when the last changes could not be written; the next
  ///   `open` recovers what was promised.
  public func close() throws(DatabaseError) {
    try converting { () throws(PagerError) in try file.close() }
  }

  /// Lets go of the file as a crash would: nothing more is written.
  ///
  /// For tests.
  package func abandon() {
    engine.endBackgroundCompaction()
    pager.abandon()
  }
}
