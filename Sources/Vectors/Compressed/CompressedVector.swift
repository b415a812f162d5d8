public import BTreeKV
internal import Pager

/// How a compressed vector is made and written.
public struct CompressionOptions: Sendable {
  /// How much effort goes into small pages, from 0 to 12, as in `PcoOptions`; it may be another one
  /// at each opening.
  public var level: Int

  /// How many elements a page has: a power of two from 256 to 65,536.
  ///
  /// A page is what is compressed and decompressed at once: larger ones get smaller, smaller ones are
  /// read faster at random. It counts when the vector is made; later it stays what it was.
  public var pageElementCount: Int

  /// Makes options.
  ///
  /// - Parameters:
  ///   - level: how much effort goes into small pages, from 0 to 12.
  ///   - pageElementCount: a power of two from 256 to 65,536.
  public init(level: Int = 8, pageElementCount: Int = 16384) {
    self.level = level
    self.pageElementCount = pageElementCount
  }

  func layout(_ type: PcoNumberType) throws(DatabaseError) -> PageLayout {
    guard (0...12).contains(level) else {
      throw VectorAccess.unusable("the level is \(level), not 0 to 12")
    }
    guard pageElementCount > 0, pageElementCount.nonzeroBitCount == 1,
      PageLayout.countLogs.contains(pageElementCount.trailingZeroBitCount)
    else {
      throw VectorAccess.unusable(
        "a page has a power of two from 256 to 65,536 elements, not \(pageElementCount)")
    }
    return PageLayout(type, countLog: pageElementCount.trailingZeroBitCount)
  }
}

/// A column of numbers, or of what is stored as numbers, compressed in pages in the Pcodec format.
///
/// It is used as a `RawVector` is, and everything said there of buffering, threads, holes and stamps
/// holds. The elements behind the last full page lie as they are until they fill one. Changed elements
/// are kept beside their page until there are many; then it is compressed anew.
///
/// ```swift
/// let times = try CompressedVector<UInt64>.open("times", in: database)
/// times.append(contentsOf: (0..<100_000).map { 1_700_000_000 + 60 * $0 })
/// try times.write()
/// let reader = try times.reader()
/// let last = try reader.element(at: 99_999)
/// let matches = try reader.indices(where: 1_700_000_060...1_700_000_180)
/// assert(last == 1_705_999_940 && matches == [1, 2, 3])
/// ```
public final class CompressedVector<Element: VectorElement>: BufferedVector<Element>
where Element.Stored: PcoNumber {
  /// Opens the vector of a name, which is made if there is none.
  ///
  /// - Parameters:
  ///   - name: any text but the empty one, at most 255 bytes.
  ///   - database: where it is.
  ///   - version: any number: a vector that was made with another one is refused.
  ///   - stampLimit: how many stamps can be gone back to from the last one.
  ///   - options: how it is compressed.
  /// - Returns: a handle to it.
  /// - Throws: `.typeMismatch` when it is of another type, format or version; `.invalidArgument`; else
  ///   as `insert`.
  public static func open(
    _ name: String, in database: Database, version: UInt32 = 0, stampLimit: Int = 16,
    options: CompressionOptions = CompressionOptions()
  ) throws(DatabaseError) -> CompressedVector {
    let wanted = try VectorRecord(of: Element.self, version: version, options)
    return try open(name, database, wanted, stampLimit, options, isForced: false)
  }

  /// Opens the vector of a name as `open` does; one that is of another type, format or version is
  /// removed with all its elements, and made anew.
  ///
  /// - Parameters:
  ///   - name: as for `open`.
  ///   - database: where it is.
  ///   - version: any number.
  ///   - stampLimit: as for `open`.
  ///   - options: as for `open`.
  /// - Returns: a handle to it.
  /// - Throws: `.invalidArgument`, or as `insert`.
  public static func forcedOpen(
    _ name: String, in database: Database, version: UInt32 = 0, stampLimit: Int = 16,
    options: CompressionOptions = CompressionOptions()
  ) throws(DatabaseError) -> CompressedVector {
    let wanted = try VectorRecord(of: Element.self, version: version, options)
    return try open(name, database, wanted, stampLimit, options, isForced: true)
  }

  private static func open(
    _ name: String, _ database: Database, _ wanted: VectorRecord, _ stampLimit: Int,
    _ options: CompressionOptions, isForced: Bool
  ) throws(DatabaseError) -> CompressedVector {
    let record = try database.openVector(name, wanted, isForced: isForced)
    let options = AccessOptions(stampLimit: max(0, stampLimit), level: options.level)
    return CompressedVector(database, database.vectorAccess(record, options))
  }

  /// The vector as a transaction of its database sees it; what is buffered here has no part in that.
  ///
  /// - Parameter transaction: one of the same `Database` that is under way; of another one it is a
  ///   programming error and traps.
  @_lifetime(borrow transaction)
  public func access(
    in transaction: borrowing Transaction
  ) -> TransactionCompressedVector<Element> {
    TransactionCompressedVector(access.in(transaction))
  }

  /// The elements that are written, as they are now, for as long as this is held.
  ///
  /// What is buffered is not among them.
  ///
  /// - Parameter cacheByteCount: how much memory decompressed pages may take; there is room for two
  ///   of them at least.
  /// - Throws: `.notFound` when the vector was removed, `.corrupted`, `.inputOutput`, `.closed`.
  /// - Complexity: O(log n) page visits, and O(holes).
  public func reader(
    cacheByteCount: Int = 8 << 20
  ) throws(DatabaseError) -> CompressedVectorReader<Element> {
    try CompressedVectorReader(access.kept(), cacheByteCount: cacheByteCount)
  }
}

/// A compressed vector as a transaction sees it, which can't outlive the transaction.
///
/// Its changes are published and durable with the transaction's other ones; each of them is done as a
/// whole or not at all.
public struct TransactionCompressedVector<Element: VectorElement>: ~Escapable, WritableVector
where Element.Stored: PcoNumber {
  /// How the handle reaches the vector.
  public let access: VectorAccess

  @_lifetime(immortal)
  init(_ access: VectorAccess) { self.access = access }

  /// Elements, holes as what was there before.
  ///
  /// - Parameter range: must lie in the vector.
  /// - Throws: `.invalidArgument`, or as `count`.
  /// - Complexity: O(n), and O(log n) page visits for each compressed page.
  public func elements(in range: Range<Int>) throws(DatabaseError) -> [Element] {
    try CompressedVectorReader(access, cacheByteCount: 0).elements(in: range)
  }
}

/// A compressed vector at a snapshot's instant.
public struct SnapshotCompressedVector<Element: VectorElement>: ReadableVector, Sendable
where Element.Stored: PcoNumber {
  /// How the handle reaches the vector.
  public let access: VectorAccess
  private let snapshot: Snapshot

  init(_ snapshot: Snapshot, _ access: VectorAccess) {
    self.snapshot = snapshot
    self.access = access
  }

  /// The elements, to be read for as long as this is held.
  ///
  /// - Parameter cacheByteCount: how much memory decompressed pages may take; there is room for two
  ///   of them at least.
  /// - Throws: as `count`.
  /// - Complexity: O(log n) page visits, and O(holes).
  public func reader(
    cacheByteCount: Int = 8 << 20
  ) throws(DatabaseError) -> CompressedVectorReader<Element> {
    try CompressedVectorReader(access, cacheByteCount: cacheByteCount)
  }
}

extension Transaction {
  /// The compressed vector of a name, which is made if there is none.
  ///
  /// - Parameters:
  ///   - name: any text but the empty one, at most 255 bytes.
  ///   - type: the type of its elements.
  ///   - version: any number: a vector that was made with another one is refused.
  ///   - stampLimit: how many stamps can be gone back to from the last one.
  ///   - options: how it is compressed.
  /// - Returns: the vector as the transaction sees it.
  /// - Throws: `.typeMismatch` when it is of another type, format or version; `.invalidArgument`, or as
  ///   `insert`.
  @_lifetime(borrow self)
  public func compressedVector<Element: VectorElement>(
    _ name: String, of type: Element.Type, version: UInt32 = 0, stampLimit: Int = 16,
    options: CompressionOptions = CompressionOptions()
  ) throws(DatabaseError) -> TransactionCompressedVector<Element> where Element.Stored: PcoNumber {
    let wanted = try VectorRecord(of: type, version: version, options)
    let record = try openVector(name, wanted, isForced: false)
    return TransactionCompressedVector(
      vectorAccess(
        record, AccessOptions(stampLimit: Swift.max(0, stampLimit), level: options.level)))
  }
}

extension Snapshot {
  /// A compressed vector at the snapshot's instant, or nil when there was none of that name.
  ///
  /// - Parameters:
  ///   - name: any text.
  ///   - type: the type of its elements.
  ///   - version: that with which it was made.
  /// - Throws: `.typeMismatch` when it is of another type, format or version; else as `lookup`.
  public func compressedVector<Element: VectorElement>(
    _ name: String, of type: Element.Type, version: UInt32 = 0
  ) throws(DatabaseError) -> SnapshotCompressedVector<Element>? where Element.Stored: PcoNumber {
    let wanted = try VectorRecord(of: type, version: version, CompressionOptions())
    guard let record = try VectorCatalogue(try access(to: .vectors)).find(name) else { return nil }
    try record.check(wanted, name)
    return SnapshotCompressedVector(self, try vectorAccess(record))
  }
}

extension VectorRecord {
  /// What is to be checked and stored of a compressed vector.
  init<Element: VectorElement>(
    of type: Element.Type, version: UInt32, _ options: CompressionOptions
  ) throws(DatabaseError) where Element.Stored: PcoNumber {
    try self.init(of: type, .compressed, version: version)
    pages = try options.layout(Element.Stored.pcoNumberType)
  }
}
