internal import BTreeKV
internal import Pager

/// Changes of a vector that are not written.
@usableFromInline
struct PendingChanges<Stored> {
  /// What is to be appended.
  @usableFromInline var appended: AppendedElements<Stored>
  /// How many elements the vector had when this began to matter.
  @usableFromInline var baseCount: Int?
  /// How many of these are to be left.
  @usableFromInline var keptCount = 0
  /// New elements for those that are left, also for some that were cut off later.
  @usableFromInline var updates = UpdateLog<Stored>()
  /// Places that are to be holes, also among what is to be appended.
  @usableFromInline var holes: Set<Int> = []
  /// Where in `updates` the last one of a place is, of the first `foundCount`.
  private var found: [Int: Int] = [:]
  private var foundCount = 0

  init(to vector: VectorAccess) {
    appended = AppendedElements(vector.pages == nil ? vector : nil)
  }

  /// Whether nothing but appending is to be done.
  var isAppending: Bool { updates.isEmpty && holes.isEmpty && keptCount == baseCount ?? 0 }

  var isEmpty: Bool { appended.isEmpty && isAppending }

  /// The buffered element of a place below `keptCount`, or nil when it is not changed.
  mutating func update(of index: Int) -> Stored? {
    while foundCount < updates.indices.count {
      found[updates.indices[foundCount]] = foundCount
      foundCount += 1
    }
    return found[index].map { updates.values[$0] }
  }

  /// Carries out the changes; in a transaction.
  func apply(to access: VectorAccess) throws(DatabaseError) {
    if let baseCount, !isAppending {
      let count = try access.count
      guard count == baseCount else {
        throw VectorAccess.unusable(
          "somebody else has changed the vector's length from \(baseCount) to \(count)")
      }
      if keptCount < count { try access.truncate(to: keptCount) }
      try access.update(updates.sorted(below: keptCount))
    }
    try appended.append(to: access)
    if !holes.isEmpty { try access.setHoles(holes.sorted(), true) }
  }
}

/// Lends the bytes of elements as they are stored.
func withStoredBytes<Stored, R>(
  _ elements: ContiguousArray<Stored>,
  _ body: (UnsafeRawBufferPointer) throws(DatabaseError) -> R
) throws(DatabaseError) -> R {
  let result = elements.withUnsafeBytes { bytes -> Result<R, DatabaseError> in
    do throws(DatabaseError) {
      return .success(try body(bytes))
    } catch {
      return .failure(error)
    }
  }
  return try result.get()
}
