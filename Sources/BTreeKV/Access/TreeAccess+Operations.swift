internal import Pager

// The operations of several steps.

extension TreeAccess {
  func insertIfAbsent(
    _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer,
    _ durability: Database.Durability?
  ) throws(DatabaseError) -> [UInt8]? {
    try converting { () throws(PagerError) in
      try checkLength(key)
      return try change(durability) { () throws(PagerError) in
        if let there = try current(key) { return there }
        _ = try put(key, value)
        return nil
      }
    }
  }

  func update(
    _ key: UnsafeRawBufferPointer, _ durability: Database.Durability?,
    _ body: ([UInt8]?) -> [UInt8]?
  ) throws(DatabaseError) -> [UInt8]? {
    try converting { () throws(PagerError) in
      try checkLength(key)
      return try change(durability) { () throws(PagerError) in
        let old = try current(key)
        let new = engine.pager.callingOut { body(old) }
        guard new != old else { return new }
        // The closure may have dropped the tree through the transaction.
        try checkNotDropped()
        if let new {
          _ = try new.span.bytes.withUnsafeBytes { (bytes) throws(PagerError) in
            try put(key, bytes)
          }
        } else {
          _ = try tree.mutate(Tree.Mutation(key: key, payload: nil))
        }
        return new
      }
    }
  }

  /// Stores the entries that `feed` hands over, all or none.
  ///
  /// - Returns: how many keys were new.
  @usableFromInline
  func insertMany(
    _ durability: Database.Durability?, _ feed: (ManyInserter) throws(DatabaseError) -> Void
  ) throws(DatabaseError) -> Int {
    let inserter = ManyInserter(self)
    try changing(durability) { () throws(DatabaseError) in try feed(inserter) }
    return inserter.newCount
  }

  /// `changeAtOnce` with public errors inside.
  private func changing(
    _ durability: Database.Durability?, _ body: () throws(DatabaseError) -> Void
  ) throws(DatabaseError) {
    try converting { () throws(PagerError) in
      try changeAtOnce(durability) { () throws(PagerError) in
        do throws(DatabaseError) {
          try body()
        } catch {
          throw error.cause
        }
      }
    }
  }

  func removeRange(
    _ range: KeyRange, _ durability: Database.Durability?
  ) throws(DatabaseError) -> Int {
    try converting { () throws(PagerError) in
      try changeAtOnce(durability) { () throws(PagerError) in
        try tree.removeRange(range)
      }
    }
  }

  /// Fills the empty tree with the entries that `feed` hands over.
  ///
  /// - Returns: how many there were.
  @usableFromInline
  func loadMany(
    _ feed: (ManyLoader) throws(DatabaseError) -> Void
  ) throws(DatabaseError) -> Int {
    var count = 0
    try changing(nil) { () throws(DatabaseError) in
      guard tree.descriptor.writerRoot.height == 0 else {
        throw DatabaseError(
          PagerError(
            .invalidArgument, "only an empty tree can be loaded; insert the entries instead",
            path: engine.path))
      }
      engine.pager.commitTransactionByCheckpoint()
      count = try tree.load { (loader) throws(DatabaseError) in try feed(ManyLoader(loader)) }
    }
    return count
  }
}

/// Takes entries in any order.
@usableFromInline
final class ManyInserter {
  private let access: TreeAccess
  private(set) var newCount = 0

  init(_ access: TreeAccess) { self.access = access }

  @usableFromInline
  func append(
    _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer
  ) throws(DatabaseError) {
    let wasThere = try converting { () throws(PagerError) in
      // The sequence is the caller's code, and may have dropped the tree through the transaction.
      try access.checkNotDropped()
      return try access.put(key, value)
    }
    if !wasThere { newCount += 1 }
  }
}

/// Takes entries in the order of their keys.
@usableFromInline
struct ManyLoader {
  private let loader: UnsafeMutablePointer<TreeLoader>

  init(_ loader: UnsafeMutablePointer<TreeLoader>) { self.loader = loader }

  @usableFromInline
  func append(
    _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer
  ) throws(DatabaseError) {
    try converting { () throws(PagerError) in try loader.pointee.append(key, value) }
  }
}
