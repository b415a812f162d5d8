public import BTreeKV
internal import Pager

/// A column that is computed from one or two others by a rule, stored, and brought up to date when these
/// have changed.
///
/// The elements are those of an ordinary vector, raw or compressed, that anybody can read; nobody else
/// should write to it, and what is written is computed anew. Beside them lies what they were computed
/// from and how far, changed in the same commits. `update()` computes what is new. Where a source was
/// changed in place, cut off, rolled back or got or lost holes, it computes from the first such index
/// on; all, when the rule, its version or a source is another one, also one that was made anew.
///
/// ```swift
/// let prices = try RawVector<Double>.open("prices", in: database)
/// let average = ComputedVector(
///   try RawVector<Double>.open("average", in: database), from: prices, by: .rollingAverage(over: 2))
/// try prices.write(appending: [1, 3, 8])
/// try average.update()
/// try prices.write(appending: [4])
/// let computed = try average.update()
/// let reader = try average.elements.reader()
/// assert(computed == 3..<4 && Array(reader) == [1, 2, 5.5, 6])
/// ```
///
/// A computed column can be the source of others. Like other handles it is for one thread at a time.
public struct ComputedVector<Value: VectorElement, Storage: BufferedVector<Value>> {
  /// The vector that has the elements; what is computed for holes is nothing.
  public let elements: Storage

  let rule: String
  let version: UInt32
  let sources: [VectorAccess]
  private let isInOneDatabase: Bool
  private let begin: @Sendable () -> any Computation

  /// A column that is computed from another one.
  ///
  /// - Parameters:
  ///   - elements: the vector for the elements, of the same database; what it has that was not
  ///     computed so is removed by `update`.
  ///   - source: what it is computed from; what is buffered there does not count.
  ///   - rule: how.
  ///   - version: any number: what was computed with another one is computed anew.
  public init<Source: VectorElement>(
    _ elements: Storage, from source: BufferedVector<Source>,
    by rule: ComputationRule<Source, Value>, version: UInt32 = 0
  ) {
    self.init(elements, [source.access], rule, version, [source.database]) {
      (sources, range) throws(DatabaseError) in
      try sources[0].presentElements(in: range)
    }
  }

  /// A column that is computed from two others; it is as long as the shorter one.
  ///
  /// - Parameters:
  ///   - elements: the vector for the elements, of the same database; what it has that was not
  ///     computed so is removed by `update`.
  ///   - first: what it is computed from; what is buffered there does not count.
  ///   - second: the other one, which may be the same.
  ///   - rule: how.
  ///   - version: any number: what was computed with another one is computed anew.
  public init<First: VectorElement, Second: VectorElement>(
    _ elements: Storage, from first: BufferedVector<First>, _ second: BufferedVector<Second>,
    by rule: ComputationRule<(First, Second), Value>, version: UInt32 = 0
  ) {
    self.init(
      elements, [first.access, second.access], rule, version, [first.database, second.database]
    ) { (sources, range) throws(DatabaseError) -> [(First, Second)?] in
      let left = try sources[0].presentElements(in: range, as: First.self)
      let right = try sources[1].presentElements(in: range, as: Second.self)
      return zip(left, right).map { left, right in
        guard let left, let right else { return nil }
        return (left, right)
      }
    }
  }

  private init<Source>(
    _ elements: Storage, _ sources: [VectorAccess], _ rule: ComputationRule<Source, Value>,
    _ version: UInt32, _ databases: [Database],
    _ read: @escaping @Sendable ([VectorAccess], Range<Int>) throws(DatabaseError) -> [Source?]
  ) {
    self.elements = elements
    self.rule = rule.name
    self.version = version
    self.sources = sources
    isInOneDatabase = databases.allSatisfy { $0 === elements.database }
    let kernel = rule.kernel
    begin = { KernelComputation(kernel, read) }
  }

  /// Whether nothing is to be computed.
  ///
  /// - Throws: as `update`.
  /// - Complexity: O(log n) page visits.
  public var isUpToDate: Bool {
    get throws(DatabaseError) { try upToDateCount() != nil }
  }

  /// Computes what is missing, and what was computed from elements that are others now.
  ///
  /// Each commit adds a bounded number of elements, so much memory is taken and not more, beside what a
  /// rule keeps of its window. After each of them, and after any crash, the column is right as far as
  /// it reaches.
  ///
  /// - Parameter durability: what to wait for; nil means what the database was opened with.
  /// - Returns: the indices that were computed.
  /// - Throws: `.notFound` when a vector was removed; `.invalidArgument` when a result does not fit its
  ///   type (the column ends in front of it), or the vectors are not of one database; else as
  ///   `insert`.
  /// - Complexity: O(new and changed elements, and those behind them), and O(n) for a window of
  ///   *n*; a median takes O(log n) for each element.
  @discardableResult
  public func update(durability: Database.Durability? = nil) throws(DatabaseError) -> Range<Int> {
    try update(durability, elementsPerCommit: 1 << 18)
  }

  /// Computes what is missing as a part of a transaction, which may have changed the sources itself.
  ///
  /// ```swift
  /// try database.write { transaction in
  ///   try prices.access(in: transaction).append(5)
  ///   try average.update(in: transaction)
  /// }
  /// ```
  ///
  /// - Parameter transaction: one of the same `Database` that is under way.
  /// - Returns: the indices that were computed.
  /// - Throws: as `update(durability:)`.
  /// - Complexity: as `update(durability:)`.
  @discardableResult
  public func update(in transaction: borrowing Transaction) throws(DatabaseError) -> Range<Int> {
    try check()
    let target = elements.access.in(transaction)
    let sources = sources.map { $0.in(transaction) }
    var progress = ComputationProgress()
    let step = try target.atOnce { () throws(DatabaseError) in
      try advance(target, sources, &progress, elementCount: 1 << 46)
    }
    if let failure = step.failure { throw failure }
    return step.computed
  }
}

extension ComputedVector {
  private func check() throws(DatabaseError) {
    guard isInOneDatabase else {
      throw VectorAccess.unusable("a vector can't be computed from one of another database")
    }
    guard !sources.contains(where: { $0.list.id == elements.access.list.id }) else {
      throw VectorAccess.unusable("a vector can't be computed from itself")
    }
  }

  func update(
    _ durability: Database.Durability?, elementsPerCommit: Int
  ) throws(DatabaseError) -> Range<Int> {
    try check()
    if let count = try upToDateCount() { return count..<count }
    var progress = ComputationProgress()
    var first: Int?
    while true {
      let step = try commit(durability, &progress, elementCount: elementsPerCommit)
      // A source may have changed before the last commit.
      first = min(first ?? .max, step.computed.lowerBound)
      if let failure = step.failure { throw failure }
      if step.isComplete { return (first ?? 0)..<step.computed.upperBound }
    }
  }

  /// Does one commit of an update.
  func commit(
    _ durability: Database.Durability?, _ progress: inout ComputationProgress, elementCount: Int
  ) throws(DatabaseError) -> Step {
    try elements.database.changingVectors(durability) { (transaction) throws(DatabaseError) in
      try advance(
        elements.access.in(transaction), sources.map { $0.in(transaction) }, &progress,
        elementCount: elementCount)
    }
  }

  /// How many elements there are, if all of them are right and none is missing.
  private func upToDateCount() throws(DatabaseError) -> Int? {
    try check()
    let target = try elements.access.kept()
    var histories: [ChangeHistory] = []
    var kept: [VectorAccess] = []
    for source in sources {
      let source = try source.at(target.chunks)
      guard let history = try source.changeHistory() else { return nil }
      kept.append(source)
      histories.append(history)
    }
    guard let history = try target.changeHistory(), let state = try target.computationState() else {
      return nil
    }
    let count = try sourceCount(kept)
    let wanted = self.state(count, history, histories)
    let right = rightCount(of: state, wanted, history, histories)
    return try target.count == count && right == count ? count : nil
  }

  private func sourceCount(_ sources: [VectorAccess]) throws(DatabaseError) -> Int {
    var least = Int.max
    for source in sources { least = min(least, try source.count) }
    return least
  }

  /// What is to be recorded when so many elements are computed.
  private func state(
    _ count: Int, _ history: ChangeHistory, _ histories: [ChangeHistory]
  ) -> ComputationState {
    ComputationState(
      rule: rule, version: version, count: count, historyTag: history.tag, lastChange: history.last,
      sources: zip(sources, histories).map { source, history in
        .init(
          list: source.list.id, historyTag: history.tag, lastChange: history.last,
          version: source.version)
      })
  }

  /// How many of the elements that were computed are what would be computed now.
  private func rightCount(
    of known: ComputationState, _ wanted: ComputationState, _ history: ChangeHistory,
    _ histories: [ChangeHistory]
  ) -> Int {
    guard known.hasSameOrigin(as: wanted) else { return 0 }
    return known.rightCount(of: wanted.count, history, histories)
  }

  /// What a commit of an update does.
  struct Step {
    var computed: Range<Int>
    /// Whether there are no more elements to be computed.
    var isComplete = false
    /// Why there could be no more.
    var failure: DatabaseError?
  }

  /// Removes what is not right any more, and computes elements; in a transaction.
  ///
  /// So nothing wrong is left also when not all can be computed.
  ///
  /// - Parameter elementCount: how many at most.
  private func advance(
    _ target: VectorAccess, _ sources: [VectorAccess], _ progress: inout ComputationProgress,
    elementCount: Int
  ) throws(DatabaseError) -> Step {
    var histories: [ChangeHistory] = []
    for source in sources { histories.append(try source.begunHistory()) }
    let history = try target.begunHistory()
    let sourceCount = try sourceCount(sources)
    let known = try target.computationState()
    var right = 0
    if let known {
      right = rightCount(of: known, state(sourceCount, history, histories), history, histories)
      right = min(right, try target.count)
    }
    if right < (try target.count) { try target.truncate(to: right) }
    // The computation of the last commit goes on, if nothing has changed since.
    if progress.state != known || known?.count != right { progress.computation = nil }
    let end = right + min(elementCount, sourceCount - right)
    var step = Step(computed: right..<right)
    if right < end {
      step.failure = try compute(right..<end, target, sources, &progress)
      step.computed = right..<(try target.count)
    }
    step.isComplete = step.computed.upperBound == sourceCount
    let state = state(step.computed.upperBound, try target.begunHistory(), histories)
    if state != known { try target.setComputationState(state) }
    progress.state = state
    return step
  }

  private func compute(
    _ range: Range<Int>, _ target: VectorAccess, _ sources: [VectorAccess],
    _ progress: inout ComputationProgress
  ) throws(DatabaseError) -> DatabaseError? {
    var computation = progress.computation ?? begin()
    if progress.computation == nil {
      do throws(DatabaseError) {
        try computation.begin(at: range.lowerBound, sources, target)
      } catch {
        return error
      }
    }
    // There is one only, so that nothing is copied.
    progress.computation = nil
    let failure = try computation.compute(range, sources, into: target)
    progress.computation = computation
    return failure
  }
}
