import Pager

/// What tells one file from another: its length and 128 bits of checksum.
package struct ImageHash: Hashable, Sendable {
  private let first: UInt64
  private let second: UInt64

  package init(_ contents: [UInt8]) {
    let count = UInt64(contents.count)
    (first, second) = contents.withUnsafeBytes {
      (checksum64($0, seed: count), checksum64($0, seed: ~count))
    }
  }
}

/// The crash states seen so far, by all threads.
package final class CrashStates: Sendable {
  private let seen = Locked<Set<ImageHash>>([])

  package init() {}

  package var count: Int { seen.withLock { $0.count } }

  /// Notes a state.
  ///
  /// - Returns: whether it is a new one.
  package func insert(_ hash: ImageHash) -> Bool { seen.withLock { $0.insert(hash).inserted } }
}

/// How much was tried.
package struct CrashTally: Sendable {
  package var workloads = 0
  package var operations = 0
  /// Images that were made, the same one again included.
  package var images = 0
  /// Distinct images by how they were made, and by how many crashes were before.
  package var modes: [ImageMode: Int] = [:]
  package var depths: [Int: Int] = [:]
  /// Distinct images of a recovery or a creation that was under way.
  package var recoveries = 0

  package init() {}

  package mutating func add(_ other: CrashTally) {
    workloads += other.workloads
    operations += other.operations
    images += other.images
    modes.merge(other.modes, uniquingKeysWith: +)
    depths.merge(other.depths, uniquingKeysWith: +)
    recoveries += other.recoveries
  }

  /// For a report: all counts on one line.
  package var summary: String {
    let distinct = depths.values.reduce(0, +)
    let byDepth = depths.sorted { $0.key < $1.key }.map { "\($0.value)" }
    let byMode = ImageMode.allCases.map { "\($0.rawValue) \(modes[$0] ?? 0)" }
    return """
      \(distinct) distinct crash states of \(images) images, \(workloads) workloads, \
      \(operations) operations; after one, two, three crashes: \
      \(byDepth.joined(separator: ", ")); during recovery or creation: \(recoveries); \
      \(byMode.joined(separator: ", "))
      """
  }
}
