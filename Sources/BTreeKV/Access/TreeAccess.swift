internal import Pager

/// How a handle reaches a tree: as it is now, as it was at a snapshot's instant, or as a transaction
/// sees it.
///
/// It stands between the public operations, which are the same for all handles, and the tree. There
/// is nothing in it for users.
public final class TreeAccess: Sendable {
  /// What is seen of the tree.
  enum Mode: Sendable {
    /// What is there now; changes are transactions of their own.
    case live
    /// What was there when a snapshot was taken.
    case snapshot(TreeRoot, SnapshotPin)
    /// What a transaction sees; changes become part of it.
    case transaction(TransactionState)
  }

  let engine: Engine
  let tree: Tree
  let mode: Mode
  /// Stays open for as long as this is held; last, so that it outlives a pin.
  let file: OpenFile

  init(_ file: OpenFile, _ tree: Tree, _ mode: Mode) {
    self.file = file
    engine = file.engine
    self.tree = tree
    self.mode = mode
  }

  /// Runs a read on the root that this handle shows.
  @inline(__always)
  func read<R>(_ body: (TreeRoot?) throws(PagerError) -> R) throws(DatabaseError) -> R {
    try converting { () throws(PagerError) in
      switch mode {
      case .live:
        try engine.pager.checkOpen()
        return try body(nil)
      case .snapshot(let root, let pin):
        return try read(root, pin, body)
      case .transaction(let transaction):
        try transaction.check()
        return try body(tree.descriptor.writerRoot)
      }
    }
  }

  /// Pages of a snapshot that is let go may be used anew while they are read: so what was found,
  /// good or bad, counts only if the snapshot is still there afterwards.
  @inline(__always)
  private func read<R>(
    _ root: TreeRoot, _ pin: SnapshotPin, _ body: (TreeRoot?) throws(PagerError) -> R
  ) throws(PagerError) -> R {
    try engine.pager.checkOpen()
    try pin.check()
    let result: R
    do throws(PagerError) {
      result = try body(root)
    } catch {
      try pin.check()
      throw error
    }
    try pin.check()
    return result
  }

  /// The number of entries.
  @usableFromInline var count: Int {
    switch mode {
    case .live: tree.descriptor.liveCount
    case .snapshot(let root, _): root.count
    case .transaction: tree.descriptor.writerRoot.count
    }
  }

  /// The longest key that can be stored, in bytes.
  @usableFromInline var maximumKeyByteCount: Int { tree.maximumKeyByteCount }
}

// MARK: Reading

extension TreeAccess {
  @usableFromInline
  func contains(_ key: UnsafeRawBufferPointer) throws(DatabaseError) -> Bool {
    try read { (root) throws(PagerError) in
      try tree.withPayload(of: key, root: root) { _, _ in true } ?? false
    }
  }

  /// Copies a value out if it fits.
  ///
  /// - Returns: its length, -1 when there is none, `Int.max` when it lies in pages of its own.
  @usableFromInline
  func copyValue(
    _ key: UnsafeRawBufferPointer, _ room: UnsafeMutableRawBufferPointer
  ) throws(DatabaseError) -> Int {
    try read { (root) throws(PagerError) in
      try tree.withPayload(of: key, root: root) { payload, isLarge in
        if isLarge { return Int.max }
        if payload.count <= room.count { room.copyMemory(from: payload) }
        return payload.count
      } ?? -1
    }
  }

  @usableFromInline
  func lookup(_ key: UnsafeRawBufferPointer) throws(DatabaseError) -> [UInt8]? {
    let found: [UInt8]?? = try read { (root) throws(PagerError) in
      var isElsewhere = false
      let bytes = try tree.withPayload(of: key, root: root) { payload, isLarge in
        isElsewhere = isLarge
        return isLarge ? [] : Array(payload)
      }
      return isElsewhere ? .none : .some(bytes)
    }
    if let found { return found }
    return try lookupLarge(key)
  }

  /// Reads a large value in a snapshot, so that its pages can't be reused meanwhile.
  private func lookupLarge(_ key: UnsafeRawBufferPointer) throws(DatabaseError) -> [UInt8]? {
    guard case .live = mode else {
      return try read { (root) throws(PagerError) in try loadValue(key, root) }
    }
    let snapshot = try converting { () throws(PagerError) in try self.snapshot() }
    return try snapshot.read { (root) throws(PagerError) in try loadValue(key, root) }
  }

  private func loadValue(
    _ key: UnsafeRawBufferPointer, _ root: TreeRoot?
  ) throws(PagerError) -> [UInt8]? {
    try loadValue { (body) throws(PagerError) in
      try tree.withPayload(of: key, root: root, body)
    }
  }

  /// The value of a key as the writer sees it, who is about to change it.
  func current(_ key: UnsafeRawBufferPointer) throws(PagerError) -> [UInt8]? {
    try loadValue { (body) throws(PagerError) in try tree.withWriterPayload(of: key, body) }
  }

  /// A value that `find` hands over, or the reference to it.
  private func loadValue(
    _ find: ((UnsafeRawBufferPointer, Bool) -> [UInt8]) throws(PagerError) -> [UInt8]?
  ) throws(PagerError) -> [UInt8]? {
    var isElsewhere = false
    let bytes = try find { payload, isLarge in
      isElsewhere = isLarge
      return Array(payload)
    }
    guard isElsewhere, let bytes else { return bytes }
    let reference = bytes.withUnsafeBytes { LargeValue($0, pageByteCount: tree.pageByteCount) }
    guard let reference else {
      throw PagerError(.corrupted, "the reference to a value's bytes makes no sense")
    }
    return try tree.load(reference)
  }

  /// Copies key and value of a neighbour in the leaf that holds `key`, if it is there and fits.
  @usableFromInline
  func copyNeighbour(
    _ relation: Relation, _ key: UnsafeRawBufferPointer, _ room: UnsafeMutableRawBufferPointer
  ) throws(DatabaseError) -> CopiedEntry {
    try read { (root) throws(PagerError) in
      try tree.copyNeighbour(relation, key, root: root, room)
    }
  }

  @usableFromInline @inline(never)
  func neighbourWalker(
    _ relation: Relation, _ key: UnsafeRawBufferPointer
  ) throws(DatabaseError) -> RangeWalker? {
    let bytes = Array(key)
    let range =
      switch relation {
      case .above: KeyRange(lower: bytes + [0], upper: nil)
      case .ceiling: KeyRange(lower: bytes, upper: nil)
      case .below: KeyRange(lower: nil, upper: bytes)
      case .floor: KeyRange(lower: nil, upper: bytes + [0])
      }
    let walker = try walker(range, !relation.isUpwards, true)
    return try walker.step() ? walker : nil
  }

  /// A walk over a range, of what this handle shows now.
  @usableFromInline
  func walker(
    _ range: KeyRange, _ isReversed: Bool, _ readsValues: Bool
  ) throws(DatabaseError) -> RangeWalker {
    let access = try converting { () throws(PagerError) in try stable() }
    return RangeWalker(access, range, isReversed: isReversed, readsValues: readsValues)
  }

  /// This handle, or a snapshot of what it shows when that may change under a reader.
  func stable() throws(PagerError) -> TreeAccess {
    switch mode {
    case .live:
      return try snapshot()
    case .snapshot(_, let pin):
      try pin.check()
      return self
    case .transaction(let transaction):
      try transaction.check()
      return self
    }
  }

  /// The tree as it is now, kept.
  func snapshot() throws(PagerError) -> TreeAccess {
    let pin = try engine.snapshots.take()
    return TreeAccess(file, tree, .snapshot(try pin.root(of: tree), pin))
  }
}

// MARK: Changing

extension TreeAccess {
  /// Runs a change of this tree: on its own, or as part of the handle's transaction.
  @inline(__always)
  func change<R>(
    _ durability: Database.Durability?, _ body: () throws(PagerError) -> R
  ) throws(PagerError) -> R {
    switch mode {
    case .live:
      return try engine.change(durability) { () throws(PagerError) in
        try checkNotDropped()
        return try body()
      }
    case .snapshot:
      throw PagerError(.readOnly, "a snapshot cannot be changed", path: engine.path)
    case .transaction(let transaction):
      return try change(in: transaction, body)
    }
  }

  private func change<R>(
    in transaction: TransactionState, _ body: () throws(PagerError) -> R
  ) throws(PagerError) -> R {
    try transaction.check()
    try engine.pager.checkWritable()
    try checkNotDropped()
    engine.pager.touch(tree.descriptor)
    return try body()
  }

  /// Runs several changes of this tree as one: all or none of them.
  func changeAtOnce<R>(
    _ durability: Database.Durability?, _ body: () throws(PagerError) -> R
  ) throws(PagerError) -> R {
    switch mode {
    case .live:
      return try engine.changeAtOnce(durability) { () throws(PagerError) in
        try checkNotDropped()
        engine.pager.touch(tree.descriptor)
        return try body()
      }
    case .snapshot:
      throw PagerError(.readOnly, "a snapshot cannot be changed", path: engine.path)
    case .transaction(let transaction):
      return try transaction.inSavepoint { () throws(PagerError) in
        try change(in: transaction, body)
      }
    }
  }

  /// Runs several changes of this tree as one, where the writer is already.
  func atOnce<R>(_ body: () throws(PagerError) -> R) throws(PagerError) -> R {
    switch mode {
    case .live:
      // In the middle of `changeAtOnce` all will be undone together.
      if engine.pager.isInTransaction { return try body() }
      return try engine.atOnce { () throws(PagerError) in
        engine.pager.touch(tree.descriptor)
        return try body()
      }
    case .snapshot:
      throw PagerError(.readOnly, "a snapshot cannot be changed", path: engine.path)
    case .transaction(let transaction):
      return try transaction.inSavepoint(body)
    }
  }

  func checkNotDropped() throws(PagerError) {
    guard tree.state.pointee.isGone else { return }
    throw PagerError(.notFound, "the tree was dropped", path: engine.path)
  }

  @usableFromInline
  func remove(
    _ key: UnsafeRawBufferPointer, _ durability: Database.Durability?
  ) throws(DatabaseError) -> Bool {
    try converting { () throws(PagerError) in
      guard key.count <= tree.maximumKeyByteCount else { return false }
      return try change(durability) { () throws(PagerError) in
        try tree.mutate(Tree.Mutation(key: key, payload: nil)).wasThere
      }
    }
  }

  @usableFromInline
  func insert(
    _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer,
    _ durability: Database.Durability?
  ) throws(DatabaseError) -> Bool {
    try converting { () throws(PagerError) in
      try checkLength(key)
      if tree.isInline(key: key.count, value: value.count) {
        return try change(durability) { () throws(PagerError) in
          try !tree.mutate(Tree.Mutation(key: key, payload: value)).wasThere
        }
      }
      return try insertLarge(key, value, durability)
    }
  }

  func checkLength(_ key: UnsafeRawBufferPointer) throws(PagerError) {
    guard key.count > tree.maximumKeyByteCount else { return }
    throw PagerError(
      .keyTooLong, "a key is longer than a quarter of a page", path: engine.path,
      expected: UInt64(tree.maximumKeyByteCount), found: UInt64(key.count))
  }

  /// Writes a large value's bytes first, holding nothing, and then inserts the reference to them.
  private func insertLarge(
    _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer,
    _ durability: Database.Durability?
  ) throws(PagerError) -> Bool {
    try engine.pager.checkWritable()
    var isInTransaction = false
    if case .transaction(let transaction) = mode {
      try transaction.check()
      isInTransaction = true
    } else {
      try engine.pager.checkNotInTransaction()
    }
    let large = try tree.store(value, inTransaction: isInTransaction)
    return try insert(key, large, durability)
  }

  /// Inserts the reference to bytes that are stored already; they are given back if that fails.
  func insert(
    _ key: UnsafeRawBufferPointer, _ large: LargeValue, _ durability: Database.Durability?
  ) throws(PagerError) -> Bool {
    var isOwned = false
    let reference = large.encoded
    let result: Result<Bool, PagerError> = reference.withUnsafeBytes { payload in
      do throws(PagerError) {
        let wasThere = try change(durability) { () throws(PagerError) in
          let mutation = Tree.Mutation(key: key, payload: payload, isLarge: true)
          let outcome = try tree.mutate(mutation)
          isOwned = true
          tree.adopt(large)
          return outcome.wasThere
        }
        return .success(!wasThere)
      } catch {
        return .failure(error)
      }
    }
    if case .failure = result, !isOwned { tree.discard(large) }
    return try result.get()
  }

  /// Stores a value where the writer is already, of any size.
  func put(
    _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer
  ) throws(PagerError) -> Bool {
    try checkLength(key)
    if tree.isInline(key: key.count, value: value.count) {
      return try tree.mutate(Tree.Mutation(key: key, payload: value)).wasThere
    }
    let large = try tree.store(value, inTransaction: tree.isInTransaction)
    let outcome: Result<Bool, PagerError> = large.encoded.withUnsafeBytes { payload in
      do throws(PagerError) {
        let mutation = Tree.Mutation(key: key, payload: payload, isLarge: true)
        let outcome = try tree.mutate(mutation)
        tree.adopt(large)
        return .success(outcome.wasThere)
      } catch {
        return .failure(error)
      }
    }
    if case .failure = outcome { tree.discard(large) }
    return try outcome.get()
  }
}
