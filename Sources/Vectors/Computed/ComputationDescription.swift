internal import BTreeKV

/// What the file says of how a vector's elements were computed: by which rule, and from which others.
public struct ComputationDescription: Sendable, Equatable {
  /// The rule's name, with what it was given.
  public let rule: String
  /// The version that its user gave the rule.
  public let version: UInt32
  /// What the vectors are called now that it was computed from, in the rule's order; nil for one that is
  /// gone.
  public let sources: [String?]
  /// How many elements, from the first on, are what the rule makes of the sources as they are now.
  public let rightCount: Int
  /// Whether that is all of them, and none is missing.
  ///
  /// The rule is known by its name only: a `ComputedVector` with another one computes all anew.
  public let isUpToDate: Bool

  /// What is recorded beside a vector; nil when it was not computed.
  ///
  /// - Parameter vectors: all vectors there are at the same instant, by their lists' numbers.
  init?(
    of target: VectorAccess, among vectors: [UInt64: (name: String, access: VectorAccess)]
  ) throws(DatabaseError) {
    guard let state = try target.computationState() else { return nil }
    var sources: [String?] = []
    var histories: [ChangeHistory] = []
    var sourceCount = Int.max
    for source in state.sources {
      // Another vector may have got the number of a list that is gone.
      guard let (name, access) = vectors[source.list], let history = try access.changeHistory(),
        history.tag == source.historyTag
      else {
        sources.append(nil)
        continue
      }
      sources.append(name)
      histories.append(history)
      sourceCount = min(sourceCount, try access.count)
    }
    rule = state.rule
    version = state.version
    self.sources = sources
    guard histories.count == state.sources.count, let history = try target.changeHistory(),
      history.tag == state.historyTag
    else {
      (rightCount, isUpToDate) = (0, false)
      return
    }
    let count = try target.count
    let right = state.rightCount(of: min(count, sourceCount), history, histories)
    rightCount = right
    isUpToDate = right == count && right == sourceCount
  }
}
