@testable import BTreeKV
@testable import Pager

/// The content of a database as one number that does not depend on order, and its count.
struct ContentDigest: Hashable {
  private(set) var sum: UInt64 = 0
  private(set) var count = 0

  private static func hash(_ key: [UInt8], _ value: [UInt8]) -> UInt64 {
    key.withUnsafeBytes { key in
      value.withUnsafeBytes { checksum64($0, seed: checksum64(key, seed: 77)) }
    }
  }

  mutating func add(_ key: [UInt8], _ value: [UInt8]) {
    sum &+= Self.hash(key, value)
    count += 1
  }

  mutating func remove(_ key: [UInt8], _ value: [UInt8]) {
    sum &-= Self.hash(key, value)
    count -= 1
  }

  init() {}

  /// What an open database holds.
  init(of database: Database) throws {
    var digest = ContentDigest()
    try database.forEach { key, value in
      digest.add(key.withUnsafeBytes { Array($0) }, value.withUnsafeBytes { Array($0) })
      return .next
    }
    self = digest
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
      let least = isComplete ? acknowledged : self.acknowledged(before: syncEnd)
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
