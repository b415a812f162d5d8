@testable import BTreeKV
@testable import Pager

/// The content of a database, of all its trees with their names, as one number that does not depend
/// on order, and its count.
struct ContentDigest: Hashable {
  private(set) var sum: UInt64 = 0
  private(set) var count = 0

  private static func hash(_ tree: String, _ key: [UInt8], _ value: [UInt8]) -> UInt64 {
    let treeHash = Array(tree.utf8).withUnsafeBytes { checksum64($0, seed: 77) }
    return key.withUnsafeBytes { key in
      value.withUnsafeBytes { checksum64($0, seed: checksum64(key, seed: treeHash)) }
    }
  }

  /// - Parameter tree: its name, none for the one that has none.
  mutating func add(_ key: [UInt8], _ value: [UInt8], tree: String = "") {
    sum &+= Self.hash(tree, key, value)
    count += 1
  }

  mutating func remove(_ key: [UInt8], _ value: [UInt8], tree: String = "") {
    sum &-= Self.hash(tree, key, value)
    count -= 1
  }

  /// Counts a named tree, also while it is empty.
  mutating func add(tree: String) { sum &+= Self.hash(tree, [], Array("a tree".utf8)) | 1 << 63 }
  mutating func remove(tree: String) {
    sum &-= Self.hash(tree, [], Array("a tree".utf8)) | 1 << 63
  }

  init() {}

  /// What an open database holds.
  init(of database: Database) throws {
    var digest = ContentDigest()
    try digest.addEntries(of: database, tree: "")
    for name in try database.treeNames() {
      guard let tree = try database.existingTree(name) else {
        throw Surprise("there is no tree \"\(name)\", which treeNames names")
      }
      digest.add(tree: name)
      try digest.addEntries(of: tree, tree: name)
    }
    self = digest
  }

  /// What a snapshot holds.
  init(of snapshot: Snapshot) throws {
    var digest = ContentDigest()
    try digest.addEntries(of: snapshot, tree: "")
    for name in try snapshot.treeNames() {
      guard let tree = try snapshot.tree(name) else {
        throw Surprise("there is no tree \"\(name)\", which treeNames names")
      }
      digest.add(tree: name)
      try digest.addEntries(of: tree, tree: name)
    }
    self = digest
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
      throw Surprise(
        "\(count - before) entries are seen in \"\(name)\", \(tree.count) counted")
    }
  }
}

/// What a workload did, and what the storage had seen before and after each step of it.
struct CrashHistory {
  /// One step of the workload.
  struct Operation {
    /// Events before it began.
    var start: Int
    /// Events before it was acknowledged.
    var end: Int
    /// Whether it makes everything before it durable.
    var isCheckpoint: Bool
  }

  private(set) var operations: [Operation] = []
  /// The content after the first k operations, at k.
  private(set) var digests = [ContentDigest()]
  private var model: [[UInt8]: [UInt8]] = [:]

  mutating func set(_ key: [UInt8], _ value: [UInt8]?, start: Int, end: Int) {
    var digest = digests[digests.count - 1]
    if let old = model[key] { digest.remove(key, old) }
    if let value { digest.add(key, value) }
    model[key] = value
    operations.append(Operation(start: start, end: end, isCheckpoint: false))
    digests.append(digest)
  }

  /// Notes a step after which the content is another one.
  mutating func step(_ digest: ContentDigest, isCheckpoint: Bool, start: Int, end: Int) {
    operations.append(Operation(start: start, end: end, isCheckpoint: isCheckpoint))
    digests.append(digest)
  }

  mutating func checkpoint(start: Int, end: Int) {
    operations.append(Operation(start: start, end: end, isCheckpoint: true))
    digests.append(digests[digests.count - 1])
  }

  /// How many operations were acknowledged before a step.
  func acknowledged(before step: Int) -> Int { operations.prefix { $0.end <= step }.count }
  /// How many operations had begun at a step.
  func begun(at step: Int) -> Int { operations.prefix { $0.start <= step }.count }

  /// The operations that may be the last one found after a crash.
  ///
  /// - Parameters:
  ///   - step: when the crash was.
  ///   - syncEnd: behind the last completed sync.
  ///   - isComplete: whether only the process died.
  func allowed(
    _ durability: Database.Durability, step: Int, syncEnd: Int, isComplete: Bool
  ) -> [Int] {
    let acknowledged = acknowledged(before: step)
    let begun = begun(at: step)
    switch durability {
    case .sync:
      return Array(acknowledged...max(acknowledged, begun))
    case .flush:
      let checkpoint = operations[..<acknowledged].lastIndex { $0.isCheckpoint } ?? -1
      let synced = max(self.acknowledged(before: syncEnd), checkpoint + 1)
      let least = isComplete ? acknowledged : synced
      return Array(least...max(least, begun))
    case .none:
      let last = operations[..<acknowledged].lastIndex { $0.isCheckpoint } ?? -1
      let current = operations[acknowledged..<max(acknowledged, begun)].indices
        .filter { operations[$0].isCheckpoint }
      return [last + 1] + current.map { $0 + 1 }
    }
  }

  /// Keys that are there at the end.
  var keys: [[UInt8]] { Array(model.keys) }
  func value(_ key: [UInt8]) -> [UInt8]? { model[key] }
}
