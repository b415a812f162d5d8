public import BTreeKV
internal import Pager

/// An entry store that can be changed: on its own, or in a transaction.
///
/// Each change is there as a whole or not at all, after a crash too. In a transaction, changes are
/// published and durable with its commit.
public protocol WritableEntryStore: ReadableEntryStore, ~Copyable, ~Escapable {}

extension WritableEntryStore where Self: ~Copyable & ~Escapable {
  /// Writes an entry, in place of the one that the key had.
  ///
  /// - Parameters:
  ///   - key: 0 bytes up to a quarter of a page less 8 (less the prefix of a namespace).
  ///   - bytes: any number.
  ///   - durability: what to wait for; nil means what the database was opened with. A call can ask
  ///     for more than that, not for less.
  /// - Returns: whether the key was not there before.
  /// - Throws: `.notFound` when the store was removed, `.keyTooLong`, `.diskFull`, `.readOnly`,
  ///   `.poisoned`, `.outcomeUnknown`, `.corrupted`, `.closed`, `.nestedTransaction`. After an error
  ///   nothing has changed, but for `.outcomeUnknown`.
  /// - Complexity: O(bytes), and O(log n) page visits.
  @inlinable @discardableResult
  public func write(
    _ key: borrowing some ByteString & ~Copyable & ~Escapable,
    _ bytes: borrowing some ByteString & ~Copyable & ~Escapable,
    durability: Database.Durability? = nil
  ) throws(DatabaseError) -> Bool {
    let access = access
    return try key.withBytes { (key) throws(DatabaseError) in
      try bytes.withBytes { (bytes) throws(DatabaseError) in
        try access.write(key, bytes, durability)
      }
    }
  }

  /// Writes many entries, all or none.
  ///
  /// ```swift
  /// let store = try EntryStore(database, "words")
  /// try store.write((0..<1000).map { (key: "word \($0)", bytes: [UInt8($0 & 255)]) })
  /// ```
  ///
  /// - Parameters:
  ///   - entries: keys and bytes, in the order in which they are written.
  ///   - durability: as for one entry.
  /// - Throws: as for one entry.
  /// - Complexity: as for one entry, each; the commit is shared by all.
  @inlinable
  public func write<Key: ByteString, Bytes: ByteString>(
    _ entries: some Sequence<(key: Key, bytes: Bytes)>, durability: Database.Durability? = nil
  ) throws(DatabaseError) {
    try access.changeAtOnce(durability) { (changes) throws(DatabaseError) in
      for (key, bytes) in entries {
        try key.withBytes { (key) throws(DatabaseError) in
          try bytes.withBytes { (bytes) throws(DatabaseError) in try changes.write(key, bytes) }
        }
      }
    }
  }

  /// Removes a key; its entry stays in the file until the store is compacted.
  ///
  /// - Parameters:
  ///   - key: any bytes.
  ///   - durability: as for `write`.
  /// - Returns: whether the key was there.
  /// - Throws: as `write`.
  /// - Complexity: O(log n) page visits.
  @inlinable @discardableResult
  public func remove(
    _ key: borrowing some ByteString & ~Copyable & ~Escapable,
    durability: Database.Durability? = nil
  ) throws(DatabaseError) -> Bool {
    let access = access
    return try key.withBytes { (key) throws(DatabaseError) in try access.remove(key, durability) }
  }

  /// Removes many keys, all or none.
  ///
  /// - Parameters:
  ///   - keys: any bytes.
  ///   - durability: as for `write`.
  /// - Returns: how many were there.
  /// - Throws: as `write`.
  /// - Complexity: O(keys × log n).
  @inlinable @discardableResult
  public func remove(
    _ keys: some Sequence<some ByteString>, durability: Database.Durability? = nil
  ) throws(DatabaseError) -> Int {
    var count = 0
    try access.changeAtOnce(durability) { (changes) throws(DatabaseError) in
      for key in keys {
        let wasThere = try key.withBytes { (key) throws(DatabaseError) in
          try changes.remove(key)
        }
        if wasThere { count += 1 }
      }
    }
    return count
  }

  /// Removes all keys of the store, or of the namespace with those in it, all or none.
  ///
  /// What other namespaces have stays. The entries stay in the file until the store is compacted.
  ///
  /// ```swift
  /// let store = try EntryStore(database, "pictures")
  /// try store.namespace("cats").write("tom", [1])
  /// try store.namespace("dogs").write("rex", [2])
  /// let count = try store.namespace("cats").removeAll()
  /// assert(count == 1)
  /// ```
  ///
  /// - Parameter durability: as for `write`.
  /// - Returns: how many keys there were.
  /// - Throws: as `write`.
  /// - Complexity: O(keys × log n).
  @discardableResult
  public func removeAll(durability: Database.Durability? = nil) throws(DatabaseError) -> Int {
    let access = access
    return try access.log.removeAll(prefix: access.prefix, durability)
  }

  /// Writes an entry's bytes under another key, too, in place of what that had.
  ///
  /// - Parameters:
  ///   - key: of the entry.
  ///   - newKey: of the copy.
  ///   - durability: as for `write`.
  /// - Throws: `.notFound` when the key is not there, or as `write`.
  /// - Complexity: O(bytes).
  public func copy(
    _ key: borrowing some ByteString & ~Copyable & ~Escapable,
    to newKey: borrowing some ByteString & ~Copyable & ~Escapable,
    durability: Database.Durability? = nil
  ) throws(DatabaseError) {
    try copy(key.withBytes { Array($0) }, newKey.withBytes { Array($0) }, durability, false)
  }

  /// Gives an entry another key, in place of what that had.
  ///
  /// The bytes are written anew, since an entry and its key lie side by side.
  ///
  /// - Parameters:
  ///   - key: of the entry, which is removed.
  ///   - newKey: its new one.
  ///   - durability: as for `write`.
  /// - Throws: `.notFound` when the key is not there, or as `write`.
  /// - Complexity: O(bytes).
  public func rename(
    _ key: borrowing some ByteString & ~Copyable & ~Escapable,
    to newKey: borrowing some ByteString & ~Copyable & ~Escapable,
    durability: Database.Durability? = nil
  ) throws(DatabaseError) {
    try copy(key.withBytes { Array($0) }, newKey.withBytes { Array($0) }, durability, true)
  }

  private func copy(
    _ key: [UInt8], _ newKey: [UInt8], _ durability: Database.Durability?, _ removes: Bool
  ) throws(DatabaseError) {
    let access = access
    let (key, newKey) = (access.prefix + key, access.prefix + newKey)
    try access.log.changeAtOnce(durability) { (batch) throws(DatabaseError) in
      let found = try key.withBytes { (key) throws(DatabaseError) in try access.log.read(key) }
      guard let found else { throw EntryAccess.notFound }
      if removes, key == newKey { return }
      try newKey.withBytes { (newKey) throws(DatabaseError) in
        try batch.put(newKey, found.payload)
      }
      if removes {
        _ = try key.withBytes { (key) throws(DatabaseError) in try batch.remove(key) }
      }
    }
  }
}
