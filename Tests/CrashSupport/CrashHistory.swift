package import BTreeKV

/// What a workload did, and what the storage had seen before and after each step of it.
package struct CrashHistory {
  /// What a step says of durability when it has returned.
  package enum Kind: Sendable, Equatable {
    /// It was a change, or none, in a database opened with this durability.
    case change(Database.Durability)
    /// Everything up to and with it is durable: a checkpoint, a close, a wait, a recovery.
    case barrier
  }

  /// One step of the workload.
  package struct Step {
    /// Events before it began.
    var start: Int
    /// Events before it was acknowledged.
    var end: Int
    var kind: Kind
  }

  package private(set) var steps: [Step] = []
  /// The content after the first k steps, at k.
  package private(set) var digests: [ContentDigest]

  /// A history that begins with a content that is durable.
  package init(_ first: ContentDigest) { digests = [first] }

  /// Notes a step after which the content is as given.
  package mutating func note(_ kind: Kind, _ digest: ContentDigest, start: Int, end: Int) {
    steps.append(Step(start: start, end: end, kind: kind))
    digests.append(digest)
  }

  /// The steps that may be the last one found after a crash, as places in `digests`.
  ///
  /// - Parameters:
  ///   - place: how many events there were before the crash.
  ///   - syncEnd: behind the last completed sync.
  ///   - isComplete: whether only the process died.
  package func allowed(at place: Int, syncEnd: Int, isComplete: Bool) -> [Int] {
    let acknowledged = steps.prefix { $0.end <= place }.count
    let begun = max(acknowledged, steps.prefix { $0.start <= place }.count)
    let least =
      steps[..<acknowledged].lastIndex { step in
        switch step.kind {
        case .barrier, .change(.sync): true
        case .change(.flush): isComplete || step.end <= syncEnd
        case .change(.none): false
        }
      }.map { $0 + 1 } ?? 0
    // Under `.none` only a checkpoint changes what the file holds.
    return (least...begun).filter { $0 == least || steps[$0 - 1].kind != .change(.none) }
  }
}
