package import BTreeKV
import Pager
import Regions
import TestSupport
import Vectors

/// The content of a database, of all its trees, regions, entry stores and vectors with their names, as one
/// number that does not depend on order (but for that in which entries were written), and its count.
package struct ContentDigest: Hashable {
  package private(set) var sum: UInt64 = 0
  package private(set) var count = 0

  private static func hash(_ tree: String, _ key: [UInt8], _ value: [UInt8]) -> UInt64 {
    let treeHash = Array(tree.utf8).withUnsafeBytes { checksum64($0, seed: 77) }
    return key.withUnsafeBytes { key in
      value.withUnsafeBytes { checksum64($0, seed: checksum64(key, seed: treeHash)) }
    }
  }

  /// - Parameter tree: its name, none for the one that has none.
  package mutating func add(_ key: [UInt8], _ value: [UInt8], tree: String = "") {
    sum &+= Self.hash(tree, key, value)
    count += 1
  }

  package mutating func remove(_ key: [UInt8], _ value: [UInt8], tree: String = "") {
    sum &-= Self.hash(tree, key, value)
    count -= 1
  }

  /// Counts a named tree, also while it is empty.
  package mutating func add(tree: String) {
    sum &+= Self.hash(tree, [], Array("a tree".utf8)) | 1 << 63
  }
  package mutating func remove(tree: String) {
    sum &-= Self.hash(tree, [], Array("a tree".utf8)) | 1 << 63
  }

  /// The bytes of a region as one number.
  package static func hash(_ region: String, _ bytes: UnsafeRawBufferPointer) -> UInt64 {
    let nameHash = Array(region.utf8).withUnsafeBytes { checksum64($0, seed: 78) }
    return checksum64(bytes, seed: nameHash)
  }

  /// Counts a region, also while it is empty.
  package mutating func add(region: String, _ bytes: UnsafeRawBufferPointer) {
    sum &+= Self.hash(region, bytes)
  }
  package mutating func remove(region: String, _ bytes: UnsafeRawBufferPointer) {
    sum &-= Self.hash(region, bytes)
  }

  /// Counts an entry store, also while it is empty.
  ///
  /// - Parameter hash: as `EntryStoreModel.hash` has it.
  package mutating func add(store hash: UInt64) { sum &+= hash }
  package mutating func remove(store hash: UInt64) { sum &-= hash }

  /// Counts a vector, also while it is empty.
  ///
  /// - Parameter hash: as `VectorModel.hash` has it.
  package mutating func add(vector hash: UInt64) { sum &+= hash }
  package mutating func remove(vector hash: UInt64) { sum &-= hash }

  package init() {}

  /// What an open database holds.
  package init(of database: Database) throws {
    var digest = ContentDigest()
    try digest.addEntries(of: database, tree: "")
    for name in try database.treeNames() {
      guard let tree = try database.existingTree(name) else {
        throw TestFailure("there is no tree \"\(name)\", which treeNames names")
      }
      digest.add(tree: name)
      try digest.addEntries(of: tree, tree: name)
    }
    for name in try database.regionNames() {
      guard let region = try database.existingRegion(name) else {
        throw TestFailure("there is no region \"\(name)\", which regionNames names")
      }
      try digest.add(region, name)
    }
    for name in try database.entryStoreNames() {
      guard let store = try database.existingEntryStore(name) else {
        throw TestFailure("there is no entry store \"\(name)\", which entryStoreNames names")
      }
      try digest.add(store, name)
    }
    try digest.addVectors(of: try database.snapshot())
    self = digest
  }

  /// What a snapshot holds.
  package init(of snapshot: Snapshot) throws {
    var digest = ContentDigest()
    try digest.addEntries(of: snapshot, tree: "")
    for name in try snapshot.treeNames() {
      guard let tree = try snapshot.tree(name) else {
        throw TestFailure("there is no tree \"\(name)\", which treeNames names")
      }
      digest.add(tree: name)
      try digest.addEntries(of: tree, tree: name)
    }
    for name in try snapshot.regionNames() {
      guard let region = try snapshot.region(name) else {
        throw TestFailure("there is no region \"\(name)\", which regionNames names")
      }
      try digest.add(region, name)
    }
    for name in try snapshot.entryStoreNames() {
      guard let store = try snapshot.entryStore(name) else {
        throw TestFailure("there is no entry store \"\(name)\", which entryStoreNames names")
      }
      try digest.add(store, name)
    }
    try digest.addVectors(of: snapshot)
    self = digest
  }

  private mutating func addVectors(of snapshot: Snapshot) throws {
    for description in try snapshot.vectors() {
      let name = description.name
      add(vector: try VectorModel(name, of: snapshot).hash(vector: name))
    }
  }

  /// Counts a region as its readers see it.
  private mutating func add(_ region: some ReadableRegion, _ name: String) throws {
    let reader = try region.reader()
    let count = try region.count
    try require(reader.count == count, "region \"\(name)\" has \(reader.count) of \(count) bytes")
    let bytes = reader.bytes
    bytes.withUnsafeBytes { add(region: name, $0) }
  }

  /// Counts an entry store by what its end says, by its keys, and from its newest entry on; each entry
  /// is compared with its checksums.
  private mutating func add(_ store: some ReadableEntryStore, _ name: String) throws {
    var byKey: [[UInt8]: UInt64] = [:]
    try store.forEach { entry in
      try entry.verify()
      byKey[entry.key] = entry.bytes.withUnsafeBytes { EntryStoreModel.hash(entry.key, $0) }
      return .next
    }
    var newestFirst: [UInt64] = []
    try store.forEach(.newestFirst) { entry in
      guard let hash = byKey[entry.key] else {
        throw TestFailure("an entry of \"\(name)\" is found from the newest one on alone")
      }
      newestFirst.append(hash)
      return .next
    }
    let count = try store.count
    try require(
      newestFirst.count == byKey.count && count == byKey.count,
      "\"\(name)\" counts \(count) entries, has \(byKey.count) by key and "
        + "\(newestFirst.count) from the newest one on")
    add(store: EntryStoreModel.hash(store: name, newestFirst: newestFirst))
  }

  private mutating func addEntries(of tree: some ReadableTree, tree name: String) throws {
    let before = count
    var sum = self
    try tree.forEach { key, value in
      sum.add(
        key.withUnsafeBytes { Array($0) }, value.withUnsafeBytes { Array($0) }, tree: name)
      return .next
    }
    self = sum
    guard count - before == tree.count else {
      throw TestFailure(
        "\(count - before) entries are seen in \"\(name)\", \(tree.count) counted")
    }
  }
}
