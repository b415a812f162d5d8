internal import Pager

/// The new file of a salvage.
///
/// Its trees have made-up names at first, since the log may change what the catalogue says.
final class SalvageStore {
  /// Where entries go of which it is not known what tree they were in.
  static let scanned = TreeID(.max)
  /// The epochs of the pages that these come from.
  private static let epochs = TreeID(.max - 1)
  /// Where the entries of stores lie: list and position, and for them the entry's length and key.
  static let places = TreeID(.max - 2)
  /// The keys of stores, as the tree of entries has them, whose newest entry was seen.
  static let seen = TreeID(.max - 3)

  private let database: Database
  private var ids: Set<TreeID> = []
  private var last: (id: TreeID, access: TreeAccess)?

  init(_ database: Database) { self.database = database }

  private func workingName(_ id: TreeID) -> String { "\u{1}salvage \(id.rawValue)" }

  // MARK: Entries

  /// A tree of the new file; nil when there is none and none is to be made.
  private func access(_ id: TreeID, isCreated: Bool) throws(DatabaseError) -> TreeAccess? {
    if id == .main { return database.access }
    if let last, last.id == id { return last.access }
    guard isCreated || ids.contains(id) else { return nil }
    let access = try database.tree(workingName(id)).access
    ids.insert(id)
    last = (id, access)
    return access
  }

  func insert(
    _ tree: TreeID, _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer
  ) throws(DatabaseError) {
    _ = try access(tree, isCreated: true)?.insert(key, value, nil)
  }

  /// Copies a large value.
  ///
  /// - Returns: false when its bytes are damaged or can't be read.
  func insert(
    _ tree: TreeID, _ key: UnsafeRawBufferPointer, _ value: LargeValueReader
  ) throws(DatabaseError) -> Bool {
    guard let access = try access(tree, isCreated: true) else { return false }
    var isDamaged = false
    do {
      _ = try access.insert(Array(key), nil) { writer in
        var isWriting = false
        do {
          try value.forEachChunk { (chunk) throws(PagerError) in
            isWriting = true
            do throws(DatabaseError) {
              try writer.write(chunk)
            } catch {
              throw error.cause
            }
            isWriting = false
          }
        } catch {
          isDamaged = !isWriting
          throw error
        }
      }
      return true
    } catch {
      if isDamaged { return false }
      if let error = error as? PagerError { throw DatabaseError(error) }
      throw error as? DatabaseError
        ?? DatabaseError(PagerError(.inputOutput, "a value could not be copied: \(error)"))
    }
  }

  /// What a stored chunk begins with whose bytes lie in pages of the damaged file.
  static let largeChunk: UInt8 = 1

  /// Notes what the tree of chunks says of one: a byte that tells how, and its bytes or a reference.
  func insertChunk(
    _ key: UnsafeRawBufferPointer, _ payload: UnsafeRawBufferPointer, isLarge: Bool
  ) throws(DatabaseError) {
    let value = [isLarge ? Self.largeChunk : 0] + Array(payload)
    try value.withBytes { (value) throws(DatabaseError) in try insert(.chunks, key, value) }
  }

  /// Hands over the entries of a tree that was found, in order.
  func forEachEntry(
    of tree: TreeID, _ body: ([UInt8], [UInt8]) throws(DatabaseError) -> Void
  ) throws(DatabaseError) {
    guard ids.contains(tree), let found = try database.existingTree(workingName(tree)) else {
      return
    }
    let cursor = try found.cursor()
    while let entry = try cursor.next() { try body(entry.key, entry.value) }
  }

  /// The value that was found for a key of a tree, or nil.
  func value(_ tree: TreeID, _ key: [UInt8]) throws(DatabaseError) -> [UInt8]? {
    guard let access = try access(tree, isCreated: false) else { return nil }
    return try key.withBytes { (key) throws(DatabaseError) in try access.lookup(key) }
  }

  func put(_ tree: TreeID, _ key: [UInt8], _ value: [UInt8]) throws(DatabaseError) {
    try key.withBytes { (key) throws(DatabaseError) in
      try value.withBytes { (value) throws(DatabaseError) in try insert(tree, key, value) }
    }
  }

  /// Notes where an entry of a store of the damaged file lies.
  ///
  /// - Returns: false when another one was noted there already.
  func notePlace(
    _ list: UInt64, _ place: EntryPlace, _ key: [UInt8]
  ) throws(DatabaseError) -> Bool {
    let position = withUnsafeBytes(of: UInt64(place.position).bigEndian) { Array($0) }
    let length = withUnsafeBytes(of: UInt64(place.byteCount).littleEndian) { Array($0) }
    let placeKey = ChunkKey.head(list) + position
    guard try value(Self.places, placeKey) == nil else { return false }
    try put(Self.places, placeKey, length + key)
    return true
  }

  /// Hands over what was noted of a store, in the order of the places.
  func forEachPlace(
    of list: UInt64, _ body: (EntryPlace, [UInt8]) throws(DatabaseError) -> Void
  ) throws(DatabaseError) {
    guard let places = try access(Self.places, isCreated: false) else { return }
    let walker = try places.walker(.prefix(ChunkKey.head(list)), false, true)
    while try walker.step() {
      let position = walker.key.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
      let length = walker.value.loadUnaligned(as: UInt64.self)
      let place = EntryPlace(position: Int(UInt64(bigEndian: position)), byteCount: Int(length))
      try body(place, Array(walker.value.dropFirst(8)))
    }
  }

  /// The new file's tree of chunks.
  var chunks: TreeAccess { systemTree(.chunks) }

  /// A tree of the library's own in the new file.
  func systemTree(_ id: TreeID) -> TreeAccess { database.access(to: id) }

  /// Makes an empty list of the new file.
  func makeList() throws(DatabaseError) -> ChunkList {
    let engine = database.engine
    return try converting { () throws(PagerError) in
      try engine.changeAtOnce(nil) { () throws(PagerError) in
        let list = engine.chunkList(try engine.newChunkListID())
        let state = TransactionState(database.file)
        defer { state.end() }
        try list.create(TreeAccess(database.file, engine.chunkTree, .transaction(state)))
        return list
      }
    }
  }

  /// An entry store of the new file.
  func entryLog(_ list: ChunkList) -> EntryLog {
    EntryLog(list, chunks: chunks, index: database.access(to: .entries))
  }

  /// Makes an empty region or entry store of the new file, called as wanted if that is possible.
  ///
  /// - Parameter tree: that of the names.
  func makeList(
    _ tree: TreeID, _ wanted: String, avoiding names: Set<String>
  ) throws(DatabaseError) -> (list: ChunkList, name: String) {
    let known = database.access(to: tree)
    var kept = wanted
    while kept.utf8.count > Engine.maximumNameByteCount - 8 { kept.removeLast() }
    var name = wanted.utf8.count > Engine.maximumNameByteCount ? kept : wanted
    var number = 1
    func isFree(_ name: String) throws(DatabaseError) -> Bool {
      if names.contains(name) { return false }
      return try name.withBytes { (key) throws(DatabaseError) in try known.lookup(key) } == nil
    }
    while try !isFree(name) {
      number += 1
      name = "\(kept)-\(number)"
    }
    let list = try makeList()
    let id = withUnsafeBytes(of: list.id.littleEndian) { Array($0) }
    try name.withBytes { (key) throws(DatabaseError) in
      try id.withBytes { (id) throws(DatabaseError) in _ = try known.insert(key, id, nil) }
    }
    return (list, name)
  }

  func remove(_ tree: TreeID, _ key: UnsafeRawBufferPointer) throws(DatabaseError) {
    _ = try access(tree, isCreated: false)?.remove(key, nil)
  }

  func remove(_ tree: TreeID, _ range: KeyRange) throws(DatabaseError) {
    _ = try access(tree, isCreated: false)?.removeRange(range, nil)
  }

  func drop(_ tree: TreeID) throws(DatabaseError) {
    guard tree != .main, ids.remove(tree) != nil else { return }
    last = nil
    try database.dropTree(workingName(tree))
  }

  // MARK: What only the scan finds

  /// Whether a page is younger than the one that an entry of the same key came from.
  func isYounger(_ epoch: Epoch, _ key: UnsafeRawBufferPointer) throws(DatabaseError) -> Bool {
    guard let known = try access(Self.epochs, isCreated: false)?.lookup(key) else { return true }
    return known.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) } < epoch.rawValue
  }

  func note(_ epoch: Epoch, _ key: UnsafeRawBufferPointer) throws(DatabaseError) {
    var word = epoch.rawValue
    let bytes = withUnsafeBytes(of: &word) { Array($0) }
    try bytes.withBytes { (bytes) throws(DatabaseError) in
      try insert(Self.epochs, key, bytes)
    }
  }

  // MARK: Names

  /// Gives all trees their names, and counts.
  func finish(_ report: inout SalvageReport) throws(DatabaseError) {
    try drop(Self.epochs)
    try nameTrees(&report)
    try drop(.catalogue)
    for id in ids.sorted() {
      guard let count = try access(id, isCreated: false)?.count else { continue }
      if count == 0 {
        try drop(id)
        continue
      }
      let isScanned = id == Self.scanned
      let name = try freeName(isScanned ? "salvaged" : "salvaged-\(id.rawValue)")
      try database.renameTree(workingName(id), to: name)
      report.treeCount += 1
      report.entryCount += count
      if isScanned {
        report.salvagedTree = name
        report.salvagedCount = count
      } else {
        report.lose("the name of tree \(id.rawValue) is lost; it is called \"\(name)\" now")
      }
    }
    report.entryCount += database.count
  }

  private func nameTrees(_ report: inout SalvageReport) throws(DatabaseError) {
    guard let catalogue = try database.existingTree(workingName(.catalogue)) else { return }
    var next = try catalogue.min()
    while let (key, value) = next {
      next = try catalogue.above(key)
      guard let record = value.withUnsafeBytes({ CatalogueRecord($0) }) else {
        report.lose("what the catalogue says of a tree makes no sense")
        continue
      }
      let text = String(decoding: key, as: UTF8.self)
      let isName = (1...Engine.maximumNameByteCount).contains(text.utf8.count)
      let wanted = isName ? text : "salvaged-\(record.id.rawValue)"
      let name = try freeName(wanted)
      if name != text { report.lose("a tree's name is not usable; it is called \"\(name)\" now") }
      report.treeCount += 1
      report.entryCount += try give(name, record)
    }
  }

  /// The name, or if it is taken one like it.
  private func freeName(_ wanted: String) throws(DatabaseError) -> String {
    var name = wanted
    var number = 1
    while try database.existingTree(name) != nil {
      number += 1
      name = "\(wanted.prefix(200))-\(number)"
    }
    return name
  }

  /// Gives a tree its name and its codings; a tree without entries is made.
  ///
  /// - Returns: how many entries it has.
  private func give(_ name: String, _ record: CatalogueRecord) throws(DatabaseError) -> Int {
    let count = try access(record.id, isCreated: true)?.count ?? 0
    let old = workingName(record.id)
    let engine = database.engine
    try converting { () throws(PagerError) in
      try engine.changeAtOnce(nil) { () throws(PagerError) in
        let state = TransactionState(database.file)
        defer { state.end() }
        let id = try engine.findOrCreateTree(old, in: state)
        try engine.removeRecord(old)
        try engine.put(CatalogueRecord(id: id, typeTag: record.typeTag), under: name)
      }
    }
    ids.remove(record.id)
    last = nil
    return count
  }
}
