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

  func insert<Key: ByteString, Value: ByteString>(
    _ entries: some Sequence<(Key, Value)>, _ durability: Database.Durability?
  ) throws(DatabaseError) -> Int {
    try converting { () throws(PagerError) in
      try changeAtOnce(durability) { () throws(PagerError) in
        var newCount = 0
        for (key, value) in entries {
          let wasThere = try key.withBytes { (key) throws(PagerError) in
            try value.withBytes { (value) throws(PagerError) in try put(key, value) }
          }
          if !wasThere { newCount += 1 }
        }
        return newCount
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

  func load<Key: ByteString, Value: ByteString>(
    _ entries: some Sequence<(Key, Value)>
  ) throws(DatabaseError) -> Int {
    try converting { () throws(PagerError) in
      try changeAtOnce(nil) { () throws(PagerError) in
        guard tree.descriptor.writerRoot.height == 0 else {
          throw PagerError(
            .invalidArgument, "only an empty tree can be loaded; insert the entries instead",
            path: engine.path)
        }
        engine.pager.commitTransactionByCheckpoint()
        return try tree.load(entries)
      }
    }
  }
}
