extension TypedWritableTree where Self: ~Copyable & ~Escapable {
  /// Stores a value under a key, in place of the one that was there.
  ///
  /// - Parameters:
  ///   - key: one whose encoding has at most a quarter of a page.
  ///   - value: one that can be stored.
  ///   - durability: what to wait for; nil means what the database was opened with.
  /// - Returns: whether the key was not there before.
  /// - Throws: as `WritableTree.insert`, and `.invalidArgument` for a value that can't be stored.
  /// - Complexity: O(log n) page visits.
  @inlinable @discardableResult
  public func insert(
    _ key: Key, _ value: Value, durability: Database.Durability? = nil
  ) throws(DatabaseError) -> Bool {
    let access = access
    return try key.withEncodedKey { (key) throws(DatabaseError) in
      try value.withEncodedValue { (value) throws(DatabaseError) in
        try access.insert(key, value, durability)
      }
    }
  }

  /// Removes a key and its value.
  ///
  /// - Parameters:
  ///   - key: what to remove.
  ///   - durability: as for `insert`.
  /// - Returns: whether the key was there.
  /// - Throws: as `insert`.
  /// - Complexity: O(log n) page visits.
  @inlinable @discardableResult
  public func remove(
    _ key: Key, durability: Database.Durability? = nil
  ) throws(DatabaseError) -> Bool {
    let access = access
    return try key.withEncodedKey { (key) throws(DatabaseError) in
      try access.remove(key, durability)
    }
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
    _ key: Key, _ value: Value, durability: Database.Durability? = nil
  ) throws(DatabaseError) -> Value? {
    let bytes = bytes
    let there = try key.withEncodedKey { (key) throws(DatabaseError) in
      try value.withEncodedValue { (value) throws(DatabaseError) in
        try bytes.insertIfAbsent(key, value, durability: durability)
      }
    }
    guard let there else { return nil }
    return try Value(encodedValue: there)
  }

  /// Changes the value of a key if it is what the caller expects.
  ///
  /// Values are the same if their encodings are, as those of equal values are: all bits of a
  /// floating-point number count, and texts are compared by their scalars.
  ///
  /// ```swift
  /// let seats = try database.tree("seats", of: UInt16.self, String.self)
  /// let isMine = try seats.compareAndSwap(12, expected: nil, new: "Ada")
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
  public func compareAndSwap(
    _ key: Key, expected: Value?, new: Value?, durability: Database.Durability? = nil
  ) throws(DatabaseError) -> Bool {
    let bytes = bytes
    let expected = try encoded(expected)
    let new = try encoded(new)
    return try key.withEncodedKey { (key) throws(DatabaseError) in
      try bytes.compareAndSwap(key, expected: expected, new: new, durability: durability)
    }
  }

  /// Changes the value of a key to what `body` makes of it, with nobody coming between.
  ///
  /// ```swift
  /// let visits = try database.tree("visits", of: String.self, Int.self)
  /// let count = try visits.update("index.html") { ($0 ?? 0) + 1 }
  /// assert(count == 1)
  /// ```
  ///
  /// - Parameters:
  ///   - key: as for `insert`.
  ///   - durability: as for `insert`.
  ///   - body: gets the value that is there, or nil, and returns the one to store, or nil to remove
  ///     the key. Other writers wait for it, so it must not wait for them. It is not called when what
  ///     is there is not of the type.
  /// - Returns: the value that is there now.
  /// - Throws: as `insert`, and as `lookup`; then nothing has changed.
  /// - Complexity: O(log n) page visits.
  @discardableResult
  public func update(
    _ key: Key, durability: Database.Durability? = nil, _ body: (Value?) -> Value?
  ) throws(DatabaseError) -> Value? {
    let bytes = bytes
    var problem: DatabaseError?
    var result: Value?
    _ = try key.withEncodedKey { (key) throws(DatabaseError) in
      try bytes.update(key, durability: durability) { old in
        do throws(DatabaseError) {
          result = body(try old.map { (old) throws(DatabaseError) in try Value(encodedValue: old) })
          return try encoded(result)
        } catch {
          problem = error
          return old
        }
      }
    }
    if let problem { throw problem }
    return result
  }

  /// Stores many entries as one change: all of them are there, or none.
  ///
  /// - Parameters:
  ///   - entries: keys with values, in any order; of equal keys the last one stays.
  ///   - durability: as for `insert`.
  /// - Returns: how many of the keys were not there before.
  /// - Throws: as `insert`.
  /// - Complexity: O(log n) page visits an entry, and one log record.
  @inlinable @discardableResult
  public func insert(
    contentsOf entries: some Sequence<(Key, Value)>, durability: Database.Durability? = nil
  ) throws(DatabaseError) -> Int {
    try access.insertMany(durability) { (inserter) throws(DatabaseError) in
      for (key, value) in entries {
        try key.withEncodedKey { (key) throws(DatabaseError) in
          try value.withEncodedValue { (value) throws(DatabaseError) in
            try inserter.append(key, value)
          }
        }
      }
    }
  }

  /// Fills an empty tree with entries that come in the order of their keys: as `WritableTree.load`.
  ///
  /// ```swift
  /// let squares = try database.tree("squares", of: UInt32.self, UInt64.self)
  /// try squares.load(ascending: (0..<1000).map { (UInt32($0), UInt64($0 * $0)) })
  /// ```
  ///
  /// - Parameter entries: keys with values, in the ascending order of the keys' encodings, none twice.
  /// - Returns: how many there were.
  /// - Throws: `.invalidArgument` when the tree isn't empty or the keys don't ascend; else as `insert`.
  ///   Then nothing has changed.
  /// - Complexity: O(bytes), at nearly the speed of writing them.
  @inlinable @discardableResult
  public func load(
    ascending entries: some Sequence<(Key, Value)>
  ) throws(DatabaseError) -> Int {
    try access.loadMany { (loader) throws(DatabaseError) in
      for (key, value) in entries {
        try key.withEncodedKey { (key) throws(DatabaseError) in
          try value.withEncodedValue { (value) throws(DatabaseError) in
            try loader.append(key, value)
          }
        }
      }
    }
  }

  /// Removes the keys of a range as one change: as `WritableTree.removeRange`.
  ///
  /// - Parameters:
  ///   - range: which keys, such as those of `CompositeKey.prefixRange`.
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

  /// Removes the keys of a range as one change: as `WritableTree.removeRange`.
  ///
  /// - Parameters:
  ///   - range: `a..<b`, `a...b`, `a...`, `..<b` or `...b`.
  ///   - durability: as for `insert`.
  /// - Returns: how many entries were removed.
  /// - Throws: as `insert`.
  /// - Complexity: O(log n + pages of the range).
  @discardableResult
  public func removeRange(
    _ range: some ComponentRange<Key>, durability: Database.Durability? = nil
  ) throws(DatabaseError) -> Int {
    try access.removeRange(KeyRange(range), durability)
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

  private func encoded(_ value: Value?) throws(DatabaseError) -> [UInt8]? {
    guard let value else { return nil }
    return try value.encodedValue()
  }
}
