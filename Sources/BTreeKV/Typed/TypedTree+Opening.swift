internal import Pager

extension Engine {
  /// So that a record of the catalogue, with its key, always fits in a page.
  static let maximumTypeTagByteCount = 512

  /// What the catalogue notes of these types, whose codings are checked the first time.
  func typeTag<Key: OrderedKey, Value: StorableValue>(
    _ key: Key.Type, _ value: Value.Type
  ) throws(DatabaseError) -> String {
    let types = ObjectIdentifier(TypedTree<Key, Value>.self)
    if let known = typeTags.withLock({ $0[types] }) { return known }
    try Value.checkCoding()
    let tag = "\(Key.codingTag)→\(Value.codingTag)"
    guard tag.utf8.count <= Self.maximumTypeTagByteCount else {
      throw ByteEncoder.unstorable("the tags of its codings take \(tag.utf8.count) bytes together")
    }
    typeTags.withLock { $0[types] = tag }
    return tag
  }

  /// The number of a typed tree that is there as such already, in the catalogue that a reader sees.
  ///
  /// - Parameter entryCount: how many entries a tree has, for the same reader.
  /// - Returns: nil when there is no such tree, or an empty one whose codings are not noted.
  func findTree(
    _ name: String, tag: String, root: TreeRoot?, entryCount: (Tree) -> Int
  ) throws(PagerError) -> (id: TreeID, isNoted: Bool)? {
    guard let record = try findRecord(name, root: root) else { return nil }
    if record.typeTag == tag { return (record.id, true) }
    guard record.typeTag.isEmpty, entryCount(tree(of: record.id)) == 0 else {
      throw typeMismatch(name, stored: record.typeTag, asked: tag)
    }
    return (record.id, false)
  }
}

extension Database {
  /// The tree of a name with keys and values of these types, which is created if there is none.
  ///
  /// ```swift
  /// typealias Visit = CompositeKey<String, Int64>
  /// let visits = try database.tree("visits", of: Visit.self, Bool.self)
  /// try visits.insert(Visit("ada", 1815), true)
  /// let count = try visits.count(in: Visit.prefixRange("ada"))
  /// ```
  ///
  /// - Parameters:
  ///   - name: any text but the empty one, at most 255 bytes.
  ///   - key: the type of the keys.
  ///   - value: the type of the values.
  /// - Throws: `.typeMismatch` when the tree has other types, or none and entries;
  ///   `.invalidArgument` for a name or a coding that can't be; `.readOnly` when the file is open for
  ///   reading and the tree would have to be made; else as `insert`.
  public func tree<Key: OrderedKey, Value: StorableValue>(
    _ name: String, of key: Key.Type, _ value: Value.Type
  ) throws(DatabaseError) -> TypedTree<Key, Value> {
    let tag = try engine.typeTag(key, value)
    let catalogue = TreeAccess(file, engine.catalogue, .live)
    let known = try catalogue.read { (root) throws(PagerError) in
      try engine.findTree(name, tag: tag, root: root) { $0.descriptor.liveCount }
    }
    if let known, known.isNoted { return TypedTree(NamedTree(self, known.id)) }
    return try converting { () throws(PagerError) in
      let id = try engine.changeAtOnce(nil) { () throws(PagerError) in
        let state = TransactionState(file)
        defer { state.end() }
        return try engine.setTypeTag(tag, of: name, in: state)
      }
      return TypedTree(NamedTree(self, id))
    }
  }

  /// The tree of a name with keys and values of these types, or nil when there is none of that name.
  ///
  /// - Parameters:
  ///   - name: any text.
  ///   - key: the type of the keys.
  ///   - value: the type of the values.
  /// - Throws: `.typeMismatch` when the tree has other types, or none and entries;
  ///   `.invalidArgument` for a coding that can't be; else as `lookup`.
  public func existingTree<Key: OrderedKey, Value: StorableValue>(
    _ name: String, of key: Key.Type, _ value: Value.Type
  ) throws(DatabaseError) -> TypedTree<Key, Value>? {
    guard try existingTree(name) != nil else { return nil }
    return try tree(name, of: key, value)
  }

}

extension Snapshot {
  /// The codings of a tree's keys and values, such as `"u64→text"`.
  ///
  /// - Parameter name: any text.
  /// - Returns: nil for a tree of plain bytes, and when there was none of that name.
  /// - Throws: as `lookup`.
  public func treeCodings(_ name: String) throws(DatabaseError) -> String? {
    let record = try catalogue().read { (root) throws(PagerError) in
      try database.engine.findRecord(name, root: root)
    }
    return record.flatMap { $0.typeTag.isEmpty ? nil : $0.typeTag }
  }

  /// A typed tree at the snapshot's instant, or nil when there was none of that name.
  ///
  /// ```swift
  /// let users = try database.tree("users", of: UInt64.self, String.self)
  /// try users.insert(7, "Ada")
  /// let name = try database.read { snapshot in
  ///   try snapshot.tree("users", of: UInt64.self, String.self)?[7]
  /// }
  /// assert(name == "Ada")
  /// ```
  ///
  /// - Parameters:
  ///   - name: any text.
  ///   - key: the type of the keys.
  ///   - value: the type of the values.
  /// - Throws: `.typeMismatch` when the tree had other types, or none and entries;
  ///   `.invalidArgument` for a coding that can't be; else as `lookup`.
  public func tree<Key: OrderedKey, Value: StorableValue>(
    _ name: String, of key: Key.Type, _ value: Value.Type
  ) throws(DatabaseError) -> TypedSnapshotTree<Key, Value>? {
    let engine = database.engine
    let tag = try engine.typeTag(key, value)
    let epoch = pin.epoch
    let found = try catalogue().read { (root) throws(PagerError) in
      try engine.findTree(name, tag: tag, root: root) {
        engine.pager.root(of: $0.descriptor, at: epoch).count
      }
    }
    guard let found else { return nil }
    let tree = engine.tree(of: found.id)
    let root = engine.pager.root(of: tree.descriptor, at: epoch)
    let access = TreeAccess(database.file, tree, .snapshot(root, pin))
    return TypedSnapshotTree(SnapshotTree(access: access, snapshot: self))
  }
}

extension Transaction {
  /// The tree of a name with keys and values of these types, which is created if there is none.
  ///
  /// ```swift
  /// try database.write { transaction in
  ///   let users = try transaction.tree("users", of: UInt64.self, String.self)
  ///   try users.insert(7, "Ada")
  /// }
  /// ```
  ///
  /// - Parameters:
  ///   - name: any text but the empty one, at most 255 bytes.
  ///   - key: the type of the keys.
  ///   - value: the type of the values.
  /// - Returns: the tree as the transaction sees it.
  /// - Throws: `.typeMismatch` when the tree has other types, or none and entries;
  ///   `.invalidArgument`; else as `insert`.
  @_lifetime(borrow self)
  public func tree<Key: OrderedKey, Value: StorableValue>(
    _ name: String, of key: Key.Type, _ value: Value.Type
  ) throws(DatabaseError) -> TypedTransactionTree<Key, Value> {
    let tag = try state.engine.typeTag(key, value)
    let id = try converting { () throws(PagerError) in
      if let known = try find(name, tag), known.isNoted { return known.id }
      return try state.inSavepoint { () throws(PagerError) in
        try state.engine.setTypeTag(tag, of: name, in: state)
      }
    }
    return TypedTransactionTree(state, id)
  }

  /// The tree of a name with keys and values of these types, or nil when there is none of that name.
  ///
  /// - Parameters:
  ///   - name: any text.
  ///   - key: the type of the keys.
  ///   - value: the type of the values.
  /// - Returns: the tree as the transaction sees it.
  /// - Throws: as `tree(_:of:_:)`.
  @_lifetime(borrow self)
  public func existingTree<Key: OrderedKey, Value: StorableValue>(
    _ name: String, of key: Key.Type, _ value: Value.Type
  ) throws(DatabaseError) -> TypedTransactionTree<Key, Value>? {
    let tag = try state.engine.typeTag(key, value)
    let known = try converting { () throws(PagerError) in try find(name, tag) }
    guard known != nil else { return nil }
    return try tree(name, of: key, value)
  }

  private func find(
    _ name: String, _ tag: String
  ) throws(PagerError) -> (id: TreeID, isNoted: Bool)? {
    try state.check()
    let engine = state.engine
    return try engine.findTree(name, tag: tag, root: engine.catalogue.descriptor.writerRoot) {
      $0.descriptor.writerRoot.count
    }
  }
}
