public import BTreeKV
internal import Pager

/// A column of elements of one type, each stored as it lies in memory, that grows at its end.
///
/// Changes made through this are buffered: reads through it see them, nobody else does before
/// `write()`, which makes them all visible, and as durable as was asked, in one step. Beyond a mebibyte,
/// appended elements wait in the file, not in memory. Other threads
/// open the vector for themselves, or get a `reader()`; this handle is for one thread at a time.
/// Appends of several handles come one behind the other.
///
/// ```swift
/// let heights = try RawVector<UInt32>.open("heights", in: database, version: 1)
/// heights.append(170)
/// heights.append(contentsOf: [181, 165])
/// try heights.update(at: 0, 171)
/// try heights.write()
/// let reader = try heights.reader()
/// assert(Array(reader) == [171, 181, 165])
/// ```
public final class RawVector<Element: VectorElement>: BufferedVector<Element> {
  /// Opens the vector of a name, which is made if there is none.
  ///
  /// - Parameters:
  ///   - name: any text but the empty one, at most 255 bytes.
  ///   - database: where it is.
  ///   - version: any number: a vector that was made with another one is refused.
  ///   - stampLimit: how many stamps can be gone back to from the last one.
  /// - Returns: a handle to it.
  /// - Throws: `.typeMismatch` when it is of another type, format or version; `.invalidArgument`; else
  ///   as `insert`.
  public static func open(
    _ name: String, in database: Database, version: UInt32 = 0, stampLimit: Int = 16
  ) throws(DatabaseError) -> RawVector {
    try open(name, database, version, stampLimit, isForced: false)
  }

  /// Opens the vector of a name as `open` does; one that is of another type, format or version is
  /// removed with all its elements, and made anew.
  ///
  /// - Parameters:
  ///   - name: as for `open`.
  ///   - database: where it is.
  ///   - version: any number.
  ///   - stampLimit: as for `open`.
  /// - Returns: a handle to it.
  /// - Throws: `.invalidArgument`, or as `insert`.
  public static func forcedOpen(
    _ name: String, in database: Database, version: UInt32 = 0, stampLimit: Int = 16
  ) throws(DatabaseError) -> RawVector {
    try open(name, database, version, stampLimit, isForced: true)
  }

  private static func open(
    _ name: String, _ database: Database, _ version: UInt32, _ stampLimit: Int, isForced: Bool
  ) throws(DatabaseError) -> RawVector {
    let wanted = try VectorRecord(of: Element.self, .raw, version: version)
    let record = try database.openVector(name, wanted, isForced: isForced)
    let options = AccessOptions(stampLimit: max(0, stampLimit))
    return RawVector(database, database.vectorAccess(record, options))
  }

  /// The vector as a transaction of its database sees it; what is buffered here has no part in that.
  ///
  /// - Parameter transaction: one of the same `Database` that is under way; of another one it is a
  ///   programming error and traps.
  @_lifetime(borrow transaction)
  public func access(in transaction: borrowing Transaction) -> TransactionRawVector<Element> {
    TransactionRawVector(access.in(transaction))
  }

  /// The elements that are written, to be read in place for as long as this is held.
  ///
  /// What is buffered is not among them.
  ///
  /// - Throws: `.notFound` when the vector was removed, `.corrupted`, `.inputOutput`, `.closed`.
  /// - Complexity: O(log n) page visits, O(chunks that no reader has mapped before), and O(changes that
  ///   are not folded + holes).
  public func reader() throws(DatabaseError) -> RawVectorReader<Element> {
    try RawVectorReader(access, .mapped)
  }
}
