internal import Pager

extension Database {
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
  ///   `.outcomeUnknown`, `.corrupted`, `.closed`. After an error nothing has changed, but for
  ///   `.outcomeUnknown`.
  /// - Complexity: O(log n) page visits.
  @inlinable @discardableResult
  public func insert(
    _ key: borrowing some ByteString & ~Copyable & ~Escapable,
    _ value: borrowing some ByteString & ~Copyable & ~Escapable,
    durability: Durability? = nil
  ) throws(DatabaseError) -> Bool {
    try key.withBytes { (key) throws(DatabaseError) in
      try value.withBytes { (value) throws(DatabaseError) in
        try insertBytes(key, value, durability)
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
    _ key: borrowing some ByteString & ~Copyable & ~Escapable, durability: Durability? = nil
  ) throws(DatabaseError) -> Bool {
    try key.withBytes { (key) throws(DatabaseError) in try removeBytes(key, durability) }
  }

  @usableFromInline
  func removeBytes(
    _ key: UnsafeRawBufferPointer, _ durability: Durability?
  ) throws(DatabaseError) -> Bool {
    try converting { () throws(PagerError) in
      guard key.count <= tree.maximumKeyByteCount else { return false }
      return try mutate(Tree.Mutation(key: key, payload: nil), durability).wasThere
    }
  }

  @usableFromInline
  func insertBytes(
    _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, _ durability: Durability?
  ) throws(DatabaseError) -> Bool {
    try converting { () throws(PagerError) in
      guard key.count <= tree.maximumKeyByteCount else {
        throw PagerError(
          .keyTooLong, "a key is longer than a quarter of a page", path: path,
          expected: UInt64(tree.maximumKeyByteCount), found: UInt64(key.count))
      }
      if tree.isInline(key: key.count, value: value.count) {
        return try !mutate(Tree.Mutation(key: key, payload: value), durability).wasThere
      }
      return try insertLarge(key, value, durability)
    }
  }

  /// Writes a large value's bytes first, holding nothing, and then inserts the reference to them.
  private func insertLarge(
    _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, _ durability: Durability?
  ) throws(PagerError) -> Bool {
    try pager.checkWritable()
    let large = try tree.store(value)
    let reference = large.encoded
    let result: Result<Bool, PagerError> = reference.withUnsafeBytes { payload in
      do throws(PagerError) {
        let mutation = Tree.Mutation(key: key, payload: payload, isLarge: true)
        return .success(try !mutate(mutation, durability, ownedBytes: large).wasThere)
      } catch {
        return .failure(error)
      }
    }
    return try result.get()
  }

  @inline(__always)
  func mutate(
    _ mutation: Tree.Mutation, _ durability: Durability?, ownedBytes: LargeValue? = nil
  ) throws(PagerError) -> Tree.Outcome {
    let outcome: Tree.Outcome
    do throws(PagerError) {
      // Before the mutation: an error must mean that nothing has changed.
      try pager.throttleIfNeeded()
    } catch {
      if let ownedBytes { tree.discard(ownedBytes) }
      throw error
    }
    pager.writerMutex.lock()
    do throws(PagerError) {
      try pager.checkWritable()
      try pager.startLogIfNeeded()
      outcome = try tree.mutate(mutation)
      pager.writerMutex.unlock()
    } catch {
      pager.writerMutex.unlock()
      if let ownedBytes { tree.discard(ownedBytes) }
      throw error
    }
    if self.durability == .sync {
      try waitUntilDurableInside()
    } else if durability == .sync || durability == .flush && self.durability == .none {
      try waitUntilDurableInside()
    }
    return outcome
  }
}
