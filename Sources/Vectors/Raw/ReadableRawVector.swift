public import BTreeKV
internal import Pager

/// A vector at a snapshot's instant, or as a transaction sees it.
public protocol ReadableVector<Element>: ~Copyable, ~Escapable {
  /// The type of the elements.
  associatedtype Element: VectorElement
  /// How the handle reaches the vector; for the library's own use.
  var access: VectorAccess { get }
}

extension ReadableVector where Self: ~Copyable & ~Escapable {
  /// The number of elements, holes included.
  ///
  /// - Throws: `.notFound` when the vector was removed, `.corrupted`, `.inputOutput`, `.closed`,
  ///   `.snapshotExpired`, `.transactionEnded`.
  /// - Complexity: O(log n) page visits.
  public var count: Int {
    get throws(DatabaseError) { try access.count }
  }

  /// Whether there are no elements.
  ///
  /// - Throws: as `count`.
  public var isEmpty: Bool {
    get throws(DatabaseError) { try count == 0 }
  }

  /// The element at an index, or nil when there is a hole.
  ///
  /// For many elements, take a reader.
  ///
  /// - Parameter index: below `count`.
  /// - Throws: `.invalidArgument`, or as `count`.
  /// - Complexity: O(log n) page visits; a page of a compressed vector is decompressed.
  public func element(at index: Int) throws(DatabaseError) -> Element? {
    try access.element(at: index, as: Element.self)
  }

  /// The places of all holes, ascending.
  ///
  /// - Throws: as `count`.
  /// - Complexity: O(holes).
  public var holes: [Int] {
    get throws(DatabaseError) { try access.holes() }
  }

  /// The last stamp, or nil when there is none.
  ///
  /// - Throws: as `count`.
  public var stamp: UInt64? {
    get throws(DatabaseError) { try access.stamps().last?.stamp }
  }

  /// The stamps that can be gone back to, ascending; the last one is `stamp`.
  ///
  /// - Throws: as `count`.
  /// - Complexity: O(stamps that are kept).
  public var stamps: [UInt64] {
    get throws(DatabaseError) { try access.stamps().map(\.stamp) }
  }
}

/// A raw vector at a snapshot's instant, or as a transaction sees it.
public protocol ReadableRawVector<Element>: ReadableVector, ~Copyable, ~Escapable {}

extension ReadableRawVector where Self: ~Copyable & ~Escapable {
  /// The elements that are there now, to be read in place for as long as this is held.
  ///
  /// - Throws: as `count`.
  /// - Complexity: O(log n) page visits, and O(changes that are not folded + holes); in a transaction
  ///   O(n), for a copy.
  public func reader() throws(DatabaseError) -> RawVectorReader<Element> {
    try RawVectorReader(access, .mapped)
  }
}

extension VectorAccess {
  /// The element at an index, of a vector at an instant or in a transaction; nil at a hole.
  func element<Element: VectorElement>(
    at index: Int, as type: Element.Type
  ) throws(DatabaseError) -> Element? {
    try check(index, below: try count)
    return try element(index).map { Self.decode($0) }
  }

  func check(_ index: Int, below count: Int) throws(DatabaseError) {
    guard index >= 0, index < count else {
      throw Self.unusable("there is no element \(index), the vector has \(count)")
    }
  }

  /// The element of these bytes.
  static func decode<Element: VectorElement>(_ bytes: [UInt8]) -> Element {
    withUnsafeTemporaryAllocation(of: Element.Stored.self, capacity: 1) { room in
      bytes.withUnsafeBytes { UnsafeMutableRawBufferPointer(room).copyMemory(from: $0) }
      return Element(stored: room[0])
    }
  }

  /// Runs changes so that either all of them become part of the transaction or none.
  func atOnce<R>(_ body: () throws(DatabaseError) -> R) throws(DatabaseError) -> R {
    let (list, chunks) = (list, chunks)
    return try converting { () throws(PagerError) in
      try list.changeAtOnce(chunks, nil) { () throws(PagerError) in
        do throws(DatabaseError) {
          return try body()
        } catch {
          throw error.cause
        }
      }
    }
  }

  /// Appends elements that lie side by side, in one copy; to a compressed vector in a transaction.
  ///
  /// - Returns: how many elements were there before.
  @usableFromInline
  func append(
    _ bytes: UnsafeRawBufferPointer, _ durability: Database.Durability?
  ) throws(DatabaseError) -> Int {
    if pages != nil {
      return try atOnce { () throws(DatabaseError) in try appendPaged(bytes) }
    }
    let (list, chunks) = (list, chunks)
    return try converting { () throws(PagerError) in
      try list.append(bytes, chunks, durability)
    } / stride
  }
}

/// A raw vector at a snapshot's instant.
public struct SnapshotRawVector<Element: VectorElement>: ReadableRawVector, Sendable {
  /// How the handle reaches the vector.
  public let access: VectorAccess
  private let snapshot: Snapshot

  init(_ snapshot: Snapshot, _ access: VectorAccess) {
    self.snapshot = snapshot
    self.access = access
  }
}

extension Snapshot {
  /// A raw vector at the snapshot's instant, or nil when there was none of that name.
  ///
  /// - Parameters:
  ///   - name: any text.
  ///   - type: the type of its elements.
  ///   - version: that with which it was made.
  /// - Throws: `.typeMismatch` when it is of another type, format or version; else as `lookup`.
  public func rawVector<Element: VectorElement>(
    _ name: String, of type: Element.Type, version: UInt32 = 0
  ) throws(DatabaseError) -> SnapshotRawVector<Element>? {
    let wanted = try VectorRecord(of: type, .raw, version: version)
    guard let record = try VectorCatalogue(try access(to: .vectors)).find(name) else { return nil }
    try record.check(wanted, name)
    return SnapshotRawVector(self, try vectorAccess(record))
  }
}
