public import BTreeKV
internal import Pager

/// An entry store that can be read: as it is at each call, at a snapshot's instant, or in a
/// transaction.
public protocol ReadableEntryStore: ~Copyable, ~Escapable {
  /// How the handle reaches the store; for the library's own use.
  var access: EntryAccess { get }
}

/// In which order entries come.
public enum EntryOrder: Sendable {
  /// In the order of their keys' bytes.
  case byKey
  /// The one that was written last first.
  case newestFirst
}

extension ReadableEntryStore where Self: ~Copyable & ~Escapable {
  /// The newest entry of a key, or nil when there is none.
  ///
  /// - Parameters:
  ///   - key: any bytes.
  ///   - reading: `.mapped` gives the entry in place; an error of the medium while it is looked at
  ///     kills the process. `.copying` reads it at once, and compares it with checksums. In a transaction
  ///     both copy.
  /// - Throws: `.corrupted`, `.inputOutput`, `.closed`, and through a snapshot `.snapshotExpired`.
  /// - Complexity: O(log n) page visits, without a copy and without waiting for writers; `.copying`:
  ///   and O(bytes), whole chunks of 64 KiB are read.
  @inlinable
  public func read(
    _ key: borrowing some ByteString & ~Copyable & ~Escapable, _ reading: RegionReading = .mapped
  ) throws(DatabaseError) -> Entry? {
    let access = access
    return try key.withBytes { (key) throws(DatabaseError) in try access.read(key, reading) }
  }

  /// The newest entries of many keys.
  ///
  /// - Parameter keys: any bytes. Through the store itself each is looked up on its own; a snapshot
  ///   shows all at one instant.
  /// - Returns: an entry for each key, or nil, in the order of the keys.
  /// - Throws: as `read`.
  /// - Complexity: O(keys × log n).
  @inlinable
  public func read(_ keys: some Sequence<some ByteString>) throws(DatabaseError) -> [Entry?] {
    var entries: [Entry?] = []
    for key in keys { entries.append(try read(key)) }
    return entries
  }

  /// Whether a key is there.
  ///
  /// - Parameter key: any bytes.
  /// - Throws: as `read`.
  /// - Complexity: O(log n) page visits.
  @inlinable
  public func contains(
    _ key: borrowing some ByteString & ~Copyable & ~Escapable
  ) throws(DatabaseError) -> Bool {
    let access = access
    return try key.withBytes { (key) throws(DatabaseError) in try access.contains(key) }
  }

  /// What is known of a key's newest entry besides its bytes, or nil when there is none.
  ///
  /// - Parameter key: any bytes.
  /// - Throws: as `read`.
  /// - Complexity: as `read`.
  @inlinable
  public func metadata(
    of key: borrowing some ByteString & ~Copyable & ~Escapable
  ) throws(DatabaseError) -> EntryMetadata? {
    try read(key)?.metadata
  }

  /// The entry that was written last of those that are there, or nil.
  ///
  /// - Throws: as `read`.
  /// - Complexity: O(entries written or removed since × log n).
  public var lastEntry: Entry? {
    get throws {
      var last: Entry?
      try forEach(.newestFirst) { entry in
        last = entry
        return .stop
      }
      return last
    }
  }

  /// The number of keys.
  ///
  /// - Throws: as `read`; `.notFound` when the store was removed.
  /// - Complexity: O(log n) page visits, and one chunk of 64 KiB is compared with its checksum; for a
  ///   namespace O(pages of its keys).
  public var count: Int {
    get throws(DatabaseError) {
      let access = access
      if access.prefix.isEmpty { return try access.log.summary().count }
      return try access.log.count(prefix: access.prefix)
    }
  }

  /// The names of the namespaces in the store that have keys, or of those in the namespace, in order.
  ///
  /// Namespaces in these are not among them. A namespace is there as long as it has a key: so one comes
  /// with its first `write`, and goes with `removeAll()`.
  ///
  /// ```swift
  /// let store = try EntryStore(database, "pictures")
  /// try store.namespace("cats").write("tom", [1])
  /// for name in try store.namespaceNames() {
  ///   print(String(decoding: name, as: UTF8.self), try store.namespace(name).count)
  /// }
  /// ```
  ///
  /// - Returns: what `namespace` was given, in the order of the bytes.
  /// - Throws: as `read`.
  /// - Complexity: O(log n) page visits for each namespace, and O(keys that are in none).
  public func namespaceNames() throws(DatabaseError) -> [[UInt8]] {
    let access = access
    var names: [[UInt8]] = []
    try access.log.forEachKey(prefix: access.prefix) { key in
      guard let (name, byteCount) = EntryAccess.namespace(of: key) else { return nil }
      names.append(name)
      // Behind 00 01, with which all its keys go on.
      return key[..<(byteCount - 1)] + [2]
    }
    return names
  }

  /// The number of bytes of the whole store, with those that `compact()` would leave out.
  ///
  /// - Throws: as `count`.
  public var byteCount: Int {
    get throws(DatabaseError) { try access.log.summary().byteCount }
  }

  /// About how many bytes `compact()` would leave out, found without looking at the entries.
  ///
  /// - Throws: as `count`.
  /// - Complexity: O(log n) page visits.
  public func estimatedSavings() throws(DatabaseError) -> Int {
    let summary = try access.log.summary()
    return summary.byteCount - summary.liveByteCount
  }

  /// Hands over all entries, as they are at the beginning.
  ///
  /// - Parameters:
  ///   - order: newest first, all changes are looked at, also those that were overtaken.
  ///   - body: gets each entry, may use the store, and says whether to go on.
  /// - Throws: as `read`, or what `body` throws.
  /// - Complexity: O(n) by key, O(changes × log n) newest first. In a transaction the store is copied.
  public func forEach(
    _ order: EntryOrder = .byKey, _ body: (Entry) throws -> Visit
  ) throws {
    let access = access
    switch order {
    case .byKey:
      try access.log.forEachByKey(prefix: access.prefix) {
        try body(access.entry($0)) == .next
      }
    case .newestFirst:
      try access.log.forEachNewestFirst(prefix: access.prefix) {
        try body(access.entry($0)) == .next
      }
    }
  }

  /// Compares all entries that are there with their checksums.
  ///
  /// - Throws: `.corrupted` when one differs, or as `read`.
  /// - Complexity: O(bytes).
  public func verify() throws {
    try forEach { entry in
      try entry.verify()
      return .next
    }
  }
}

extension ReadableEntryStore where Self: Sendable {
  /// Hands over all entries, as they are at the beginning, in all processors at once.
  ///
  /// ```swift
  /// let store = try EntryStore(database, "pictures")
  /// try store.forEachConcurrently { entry in try entry.verify() }
  /// ```
  ///
  /// - Parameters:
  ///   - threadCount: how many threads, with the caller's; nil means as many as there are processors.
  ///   - body: gets each entry once, in no order.
  /// - Throws: as `read`, or one of the errors that `body` throws, after which no more are begun.
  /// - Complexity: O(n).
  public func forEachConcurrently(
    threadCount: Int? = nil, _ body: @escaping @Sendable (Entry) throws -> Void
  ) throws {
    let access = access
    try access.log.forEachConcurrently(
      prefix: access.prefix, threadCount: threadCount ?? SystemCalls.processorCount
    ) { bytes in
      try body(access.entry(bytes))
    }
  }
}
