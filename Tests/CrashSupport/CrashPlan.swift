package import BTreeKV

/// All that decides what a workload does: what a failure is replayed from.
package struct CrashPlan: Sendable, Equatable {
  package var pageSize: Int
  package var cacheByteCount: Int
  /// From how many bytes on a transaction is committed by a checkpoint.
  package var transactionLimit: Int
  /// What the database is opened with first.
  package var durability: Database.Durability
  /// Whether the database is closed at the end, and not left as by a crash.
  package var isClosed: Bool
  package var operations: [CrashOperation]

  package init(
    pageSize: Int, cacheByteCount: Int, transactionLimit: Int, durability: Database.Durability,
    isClosed: Bool, operations: [CrashOperation]
  ) {
    self.pageSize = pageSize
    self.cacheByteCount = cacheByteCount
    self.transactionLimit = transactionLimit
    self.durability = durability
    self.isClosed = isClosed
    self.operations = operations
  }

  /// The workload of a seed.
  ///
  /// - Parameters:
  ///   - seed: decides everything.
  ///   - length: how many operations at most.
  ///   - durability: of the first opening; nil leaves it to the seed.
  package init(seed: UInt64, length: Int = 60, durability: Database.Durability? = nil) {
    var generator = OperationGenerator(seed: seed)
    var random = CrashRandom(seed: seed ^ 0xABCD)
    let count = max(1, length / 3 + random.below(length))
    var operations = (0..<count).map { _ in generator.next() }
    if random.once(in: 30) {
      // rule B5: such a value is synced before a record names it.
      let size = 1_050_000 + random.below(300_000)
      let huge: CrashOperation =
        random.once(in: 2)
        ? .insert(tree: 0, key: 1, size: size)
        : .transaction([.entries(0, .stream(key: 1, size: size, isKept: true))], isKept: true)
      operations.insert(huge, at: random.below(operations.count))
    }
    self.init(
      pageSize: [4096, 4096, 4096, 8192][random.below(4)],
      cacheByteCount: [1 << 10, 64 << 20][random.below(2)],
      // The small ones make many transactions be committed by a checkpoint.
      transactionLimit: [2000, 8000, 4 << 20][random.below(3)],
      durability: durability ?? generator.durability(), isClosed: random.once(in: 2),
      operations: operations)
  }

  /// How a database is opened by it.
  package func options(_ durability: Database.Durability) -> Database.Options {
    var options = Database.Options()
    options.pageSize = pageSize
    options.cacheByteCount = cacheByteCount
    options.durability = durability
    options.transactionLogLimitByteCount = transactionLimit
    return options
  }
}

/// As it is written in Swift, for a regression test.
extension CrashPlan: CustomStringConvertible {
  package var description: String {
    let lines = operations.map { "    \($0),\n" }.joined()
    return """
      CrashPlan(
        pageSize: \(pageSize), cacheByteCount: \(cacheByteCount),
        transactionLimit: \(transactionLimit), durability: .\(durability), isClosed: \(isClosed),
        operations: [
      \(lines)  ])
      """
  }
}
