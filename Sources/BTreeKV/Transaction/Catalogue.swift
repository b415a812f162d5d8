internal import Pager

// The catalogue is a tree like any other: its keys are names, its values are these.

/// What the catalogue says of a tree.
///
///     offset 0   tree id      4 bytes
///     offset 4   type tag     UTF-8, possibly none: the codings of keys and values
struct CatalogueRecord {
  static let headerByteCount = 4

  var id: TreeID
  var typeTag = ""

  init(id: TreeID, typeTag: String = "") {
    self.id = id
    self.typeTag = typeTag
  }

  /// Reads a record; nil when it makes no sense.
  init?(_ bytes: UnsafeRawBufferPointer) {
    guard bytes.count >= Self.headerByteCount else { return nil }
    id = TreeID(bytes.loadUnaligned(as: UInt32.self))
    guard !(id < .firstNamed), id.rawValue < 1 << 31 else { return nil }
    typeTag = String(decoding: bytes[Self.headerByteCount...], as: UTF8.self)
  }

  var encoded: [UInt8] {
    withUnsafeBytes(of: id.rawValue.littleEndian) { Array($0) } + Array(typeTag.utf8)
  }
}

extension Engine {
  static let maximumNameByteCount = 255

  /// The record of a name, in the catalogue that a reader sees.
  func findRecord(_ name: String, root: TreeRoot?) throws(PagerError) -> CatalogueRecord? {
    let bytes = try name.withBytes { (key) throws(PagerError) in
      try catalogue.withPayload(of: key, root: root) { payload, _ in Array(payload) }
    }
    guard let bytes else { return nil }
    guard let record = bytes.withUnsafeBytes({ CatalogueRecord($0) }) else {
      throw PagerError(
        .corrupted, "what the catalogue says of the tree \"\(name)\" makes no sense", path: path)
    }
    return record
  }

  /// The number of a name, in the catalogue that a reader sees.
  func findTree(_ name: String, root: TreeRoot?) throws(PagerError) -> TreeID? {
    try findRecord(name, root: root)?.id
  }

  // MARK: In a transaction

  func put(_ record: CatalogueRecord, under name: String) throws(PagerError) {
    pager.touch(catalogue.descriptor)
    _ = try name.withBytes { (key) throws(PagerError) in
      try record.encoded.span.bytes.withUnsafeBytes { (value) throws(PagerError) in
        try catalogue.mutate(Tree.Mutation(key: key, payload: value))
      }
    }
  }

  func removeRecord(_ name: String) throws(PagerError) {
    pager.touch(catalogue.descriptor)
    _ = try name.withBytes { (key) throws(PagerError) in
      try catalogue.mutate(Tree.Mutation(key: key, payload: nil))
    }
  }

  private func checkName(_ name: String) throws(PagerError) {
    guard (1...Self.maximumNameByteCount).contains(name.utf8.count) else {
      throw PagerError(
        .invalidArgument, "a tree's name has 1 to \(Self.maximumNameByteCount) bytes", path: path)
    }
  }

  func findOrCreateTree(_ name: String, in state: TransactionState) throws(PagerError) -> TreeID {
    try state.check()
    try pager.checkWritable()
    try checkName(name)
    if let id = try findTree(name, root: catalogue.descriptor.writerRoot) { return id }
    let id = try pager.newTreeID()
    try put(CatalogueRecord(id: id), under: name)
    return id
  }

  /// Notes the codings of a tree that has none noted yet, or checks them.
  func setTypeTag(
    _ tag: String, of name: String, in state: TransactionState
  ) throws(PagerError) -> TreeID {
    let id = try findOrCreateTree(name, in: state)
    let record = try findRecord(name, root: catalogue.descriptor.writerRoot)
    if let record, record.typeTag == tag { return id }
    guard record?.typeTag.isEmpty ?? true, tree(of: id).descriptor.writerRoot.count == 0 else {
      throw typeMismatch(name, stored: record?.typeTag ?? "", asked: tag)
    }
    try put(CatalogueRecord(id: id, typeTag: tag), under: name)
    return id
  }

  func typeMismatch(_ name: String, stored: String, asked: String) -> PagerError {
    PagerError(
      .typeMismatch,
      "the tree \"\(name)\" holds \(stored.isEmpty ? "plain bytes" : stored), not \(asked)",
      path: path)
  }

  func renameTree(
    _ name: String, to newName: String, in state: TransactionState
  ) throws(PagerError) {
    try state.check()
    try checkName(newName)
    let root = catalogue.descriptor.writerRoot
    guard let record = try findRecord(name, root: root) else {
      throw PagerError(.notFound, "there is no tree named \"\(name)\"", path: path)
    }
    guard try findTree(newName, root: root) == nil else {
      throw PagerError(.alreadyExists, "there is a tree named \"\(newName)\" already", path: path)
    }
    try removeRecord(name)
    try put(record, under: newName)
  }

  func dropTree(_ name: String, in state: TransactionState) throws(PagerError) -> Bool {
    try state.check()
    guard let id = try findTree(name, root: catalogue.descriptor.writerRoot) else { return false }
    try removeRecord(name)
    let tree = tree(of: id)
    pager.touch(tree.descriptor)
    try tree.drop()
    pager.noteDropped(tree.descriptor)
    return true
  }
}

extension TreeAccess {
  /// The keys of the catalogue.
  func names() throws(DatabaseError) -> [String] {
    var names: [String] = []
    let walker = try walker(.all, false, false)
    while try walker.step() { names.append(String(decoding: walker.key, as: UTF8.self)) }
    return names
  }
}
