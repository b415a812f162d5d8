package import Pager

/// What went wrong, where, and what to do about it.
public struct DatabaseError: Error, Sendable, CustomStringConvertible {
  /// The kind of an error.
  ///
  /// More kinds may come with later versions.
  public struct Code: Hashable, Sendable, CustomStringConvertible {
    /// The name of the kind, as in the source.
    public let name: String

    /// The name of the kind.
    public var description: String { name }

    /// There is no such file or directory.
    public static let notFound = Code(name: "notFound")
    /// There is such a file already.
    public static let alreadyExists = Code(name: "alreadyExists")
    /// The file is something else.
    public static let notADatabase = Code(name: "notADatabase")
    /// The file is of a format version that this library does not know.
    public static let unsupportedVersion = Code(name: "unsupportedVersion")
    /// The file is damaged.
    public static let corrupted = Code(name: "corrupted")
    /// Another process or handle has the file open.
    public static let busy = Code(name: "busy")
    /// The file, or this handle, is for reading only.
    public static let readOnly = Code(name: "readOnly")
    /// The system does not allow it.
    public static let permissionDenied = Code(name: "permissionDenied")
    /// There is no room; the call works again when there is.
    public static let diskFull = Code(name: "diskFull")
    /// The system reports that reading or writing failed.
    public static let inputOutput = Code(name: "inputOutput")
    /// An earlier write or sync failed: writes are refused until the file is opened again.
    public static let poisoned = Code(name: "poisoned")
    /// The database is closed.
    public static let closed = Code(name: "closed")
    /// The key is longer than a quarter of a page.
    public static let keyTooLong = Code(name: "keyTooLong")
    /// The value is longer than any value may be.
    public static let valueTooLong = Code(name: "valueTooLong")
    /// An argument or option makes no sense.
    public static let invalidArgument = Code(name: "invalidArgument")
    /// The change may or may not be durable; only opening the file again tells.
    public static let outcomeUnknown = Code(name: "outcomeUnknown")
    /// A transaction of the same thread is under way: waiting for it would never end.
    public static let nestedTransaction = Code(name: "nestedTransaction")
    /// The transaction has ended, or the cursor's has.
    public static let transactionEnded = Code(name: "transactionEnded")
    /// The snapshot is older than the options allow, and was let go.
    public static let snapshotExpired = Code(name: "snapshotExpired")
    /// What is stored is of another type than was asked for.
    public static let typeMismatch = Code(name: "typeMismatch")
    /// The last writer did not close the file; a reader can't recover it.
    public static let needsRecovery = Code(name: "needsRecovery")
    /// The process has no room for the addresses that are needed.
    public static let outOfAddressSpace = Code(name: "outOfAddressSpace")
  }

  package let cause: PagerError

  package init(_ cause: PagerError) { self.cause = cause }

  /// The kind of error.
  public var code: Code { Code(name: cause.code.name) }
  /// What happened and what to do, without the place.
  public var message: String { cause.message }
  /// The file.
  public var path: String? { cause.path }
  /// The page of the file, if one is to blame.
  public var page: UInt64? { cause.page }
  /// The system's error number, if the system reported one.
  public var systemError: Int32? { cause.systemError }
  /// One line: what, where, and what to do.
  public var description: String { cause.description }
}

/// Runs a piece of the engine and turns its errors into public ones.
@inline(__always)
package func converting<R>(_ body: () throws(PagerError) -> R) throws(DatabaseError) -> R {
  do throws(PagerError) {
    return try body()
  } catch {
    throw DatabaseError(error)
  }
}
