extension Database {
  /// How long a mutation's call takes, and what survives what.
  public enum Durability: String, Sendable, CaseIterable {
    /// Each call returns when its change is on the medium: it survives power loss.
    case sync
    /// Each call returns when its change is in the operating system's hands: it survives the death of
    /// the process, and power loss up to the last background sync.
    case flush
    /// Changes stay in memory until `checkpoint()` or `close()`. After a crash the file is at the last
    /// checkpoint, whole. For bulk loads.
    case none
  }

  /// What `open` expects to find.
  public enum OpenMode: Sendable {
    /// Opens the file, or creates it when there is none.
    case createIfMissing
    /// Opens the file; it is an error when there is none.
    case mustExist
    /// Creates the file; it is an error when there is one.
    case mustNotExist
    /// Opens the file for reading. Other readers may have it open too, a writer may not.
    case readOnly
  }
}

extension Database {
  /// How a database is opened.
  public struct Options: Sendable {
    /// What is expected to be there.
    public var mode = OpenMode.createIfMissing
    /// The page size of a new file in bytes, a power of two from 4096 to 65536; nil takes the
    /// larger of 4096 and the system's page.
    ///
    /// A file that is there keeps its own.
    public var pageSize: Int?
    /// The budget for pages in memory, in bytes.
    ///
    /// The file may be much larger.
    public var cacheByteCount = 256 << 20
    /// What each mutation waits for.
    public var durability = Durability.sync
    /// How often `.flush` syncs in the background, in milliseconds.
    public var flushIntervalMilliseconds = 100
    /// How much log, in bytes, starts a checkpoint.
    ///
    /// Four times as much is replayed at most.
    public var checkpointThresholdByteCount = 64 << 20
    /// How long a snapshot may be held, in seconds; nil means as long as wanted.
    ///
    /// A snapshot keeps what it shows from being used anew, so that a forgotten one makes the file
    /// grow. One that is older is let go; what reads through it then throws `.snapshotExpired`.
    public var snapshotAgeLimitSeconds: Double?
    /// From how many bytes on a transaction is committed by a checkpoint; smaller in tests.
    package var transactionLogLimitByteCount = 4 << 20

    /// The defaults.
    public init() {}
  }
}
