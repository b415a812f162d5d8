internal import Pager

/// A tree that can be changed: the database, a named tree, or either in a transaction.
///
/// Through the database and named trees each call is a transaction of its own, durable as was asked when
/// it returns. In a transaction, changes are published and durable with its commit; what a call says
/// of durability does not count there.
public protocol WritableTree: ReadableTree, ~Copyable, ~Escapable {}

extension WritableTree where Self: ~Copyable & ~Escapable {
  /// Stores a value under a key, in place of the one that was there.
  ///
  /// - Parameters:
  ///   - key: 0 bytes up to a quarter of a page.
  ///   - value: any number of bytes up to the file's largest (4 GiB with pages of 4 KiB). Beyond
  ///     about a quarter of a page it gets pages of its own.
  ///   - durability: what to wait for; nil means what the database was opened with. A call can ask
  ///     for more than that, not for less.
  /// - Returns: whether the key was not there before.
  /// - Throws: `.keyTooLong`, `.valueTooLong`, `.diskFull`, `.readOnly`, `.poisoned`,
  ///   `.outcomeUnknown`, `.corrupted`, `.closed`, `.nestedTransaction`. After an error nothing has
  ///   changed, but for `.outcomeUnknown`.
  /// - Complexity: O(log n) page visits.
  @inlinable @discardableResult
  public func insert(
    _ key: borrowing some ByteString & ~Copyable & ~Escapable,
    _ value: borrowing some ByteString & ~Copyable & ~Escapable,
    durability: Database.Durability? = nil
  ) throws(DatabaseError) -> Bool {
    let access = access
    return try key.withBytes { (key) throws(DatabaseError) in
      try value.withBytes { (value) throws(DatabaseError) in
        try access.insert(key, value, durability)
      }
    }
  }

  /// Removes a key and its value.
  ///
  /// - Parameters:
  ///   - key: any bytes.
  ///   - durability: as for `insert`.
  /// - Returns: whether the key was there.
  /// - Throws: as `insert`.
  /// - Complexity: O(log n) page visits.
  @inlinable @discardableResult
  public func remove(
    _ key: borrowing some ByteString & ~Copyable & ~Escapable,
    durability: Database.Durability? = nil
  ) throws(DatabaseError) -> Bool {
    try key.withBytes { (key) throws(DatabaseError) in try access.remove(key, durability) }
  }

  /// Stores a value under a key unless the key is there.
  ///
  /// - Parameters:
  ///   - key: as for `insert`.
  ///   - value: as for `insert`.
  ///   - durability: as for `insert`.
  /// - Returns: nil when it was stored, or else the value that is there.
  /// - Throws: as `insert`.
  /// - Complexity: O(log n) page visits.
  @discardableResult
  public func insertIfAbsent(
    _ key: borrowing some ByteString & ~Copyable & ~Escapable,
    _ value: borrowing some ByteString & ~Copyable & ~Escapable,
    durability: Database.Durability? = nil
  ) throws(DatabaseError) -> [UInt8]? {
    let access = access
    return try key.withBytes { (key) throws(DatabaseError) in
      try value.withBytes { (value) throws(DatabaseError) in
        try access.insertIfAbsent(key, value, durability)
      }
    }
  }

  /// Changes the value of a key if it is what the caller expects.
  ///
  /// ```swift
  /// try database.insert("state", "open")
  /// let hasChanged = try database.compareAndSwap("state", expected: "open", new: "closed")
  /// ```
  ///
  /// - Parameters:
  ///   - key: as for `insert`.
  ///   - expected: the value to be there; nil means that the key must not be there.
  ///   - new: the value to store; nil removes the key.
  ///   - durability: as for `insert`.
  /// - Returns: whether the value was the expected one; if not, nothing has changed.
  /// - Throws: as `insert`.
  /// - Complexity: O(log n) page visits.
  @discardableResult
  public func compareAndSwap<Expected: ByteString, New: ByteString>(
    _ key: borrowing some ByteString & ~Copyable & ~Escapable, expected: Expected?, new: New?,
    durability: Database.Durability? = nil
  ) throws(DatabaseError) -> Bool {
    let expected = expected.map { $0.withBytes { Array($0) } }
    let new = new.map { $0.withBytes { Array($0) } }
    var isEqual = false
    try update(key, durability: durability) { old in
      isEqual = old == expected
      return isEqual ? new : old
    }
    return isEqual
  }

  /// Changes the value of a key to what `body` makes of it, with nobody coming between.
  ///
  /// ```swift
  /// try database.update("visits") { old in
  ///   let visits = old.flatMap { Int(String(decoding: $0, as: UTF8.self)) } ?? 0
  ///   return Array(String(visits + 1).utf8)
  /// }
  /// ```
  ///
  /// - Parameters:
  ///   - key: as for `insert`.
  ///   - durability: as for `insert`.
  ///   - body: gets the value that is there, or nil, and returns the one to store, or nil to remove
  ///     the key. Other writers wait for it, so it must not wait for them.
  /// - Returns: the value that is there now.
  /// - Throws: as `insert`, or what `body` throws; then nothing has changed.
  /// - Complexity: O(log n) page visits.
  @discardableResult
  public func update(
    _ key: borrowing some ByteString & ~Copyable & ~Escapable,
    durability: Database.Durability? = nil, _ body: ([UInt8]?) -> [UInt8]?
  ) throws(DatabaseError) -> [UInt8]? {
    let access = access
    return try key.withBytes { (key) throws(DatabaseError) in
      try access.update(key, durability, body)
    }
  }

  /// Stores many entries as one change: all of them are there, or none.
  ///
  /// ```swift
  /// try database.insert(contentsOf: [("apple", "red"), ("pear", "green")])
  /// ```
  ///
  /// - Parameters:
  ///   - entries: keys with values, in any order; of equal keys the last one stays.
  ///   - durability: as for `insert`.
  /// - Returns: how many of the keys were not there before.
  /// - Throws: as `insert`.
  /// - Complexity: O(log n) page visits an entry, and one log record.
  @inlinable @discardableResult
  public func insert<Key: ByteString, Value: ByteString>(
    contentsOf entries: some Sequence<(Key, Value)>, durability: Database.Durability? = nil
  ) throws(DatabaseError) -> Int {
    try access.insertMany(durability) { (inserter) throws(DatabaseError) in
      for (key, value) in entries {
        try key.withBytes { (key) throws(DatabaseError) in
          try value.withBytes { (value) throws(DatabaseError) in try inserter.append(key, value) }
        }
      }
    }
  }

  /// Removes the keys of a range as one change.
  ///
  /// Subtrees that lie in the range as a whole are cut off, so that only their pages are visited,
  /// not their entries; their space is free as soon as nobody sees it any more.
  ///
  /// - Parameters:
  ///   - range: which keys.
  ///   - durability: as for `insert`.
  /// - Returns: how many entries were removed.
  /// - Throws: as `insert`.
  /// - Complexity: O(log n + pages of the range).
  @discardableResult
  public func removeRange(
    _ range: KeyRange, durability: Database.Durability? = nil
  ) throws(DatabaseError) -> Int {
    try access.removeRange(range, durability)
  }

  /// Removes all entries.
  ///
  /// - Parameter durability: as for `insert`.
  /// - Returns: how many there were.
  /// - Throws: as `insert`.
  /// - Complexity: O(pages).
  @discardableResult
  public func removeAll(durability: Database.Durability? = nil) throws(DatabaseError) -> Int {
    try access.removeRange(.all, durability)
  }

  /// Fills an empty tree with entries that come in the order of their keys.
  ///
  /// Pages are built from the bottom up and filled completely, and nothing is logged: the load is
  /// committed by a checkpoint, so it is all there or not at all, and durable when this returns
  /// (under `.none`, with the next checkpoint; in a transaction, with its commit).
  ///
  /// - Parameter entries: keys with values, in ascending order of the keys' bytes, none twice.
  /// - Returns: how many there were.
  /// - Throws: `.invalidArgument` when the tree isn't empty or the keys don't ascend; else as `insert`.
  /// - Complexity: O(bytes), at nearly the speed of writing them.
  @inlinable @discardableResult
  public func load<Key: ByteString, Value: ByteString>(
    ascending entries: some Sequence<(Key, Value)>
  ) throws(DatabaseError) -> Int {
    try access.loadMany { (loader) throws(DatabaseError) in
      for (key, value) in entries {
        try key.withBytes { (key) throws(DatabaseError) in
          try value.withBytes { (value) throws(DatabaseError) in try loader.append(key, value) }
        }
      }
    }
  }
}
