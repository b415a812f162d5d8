import BTreeKV

/// Plays histories on a BTreeKV file of small pages, with a small cache and many checkpoints.
final class OurPlayer: Player {
  private let path: String
  private var database: Database

  init(path: String) throws {
    self.path = path
    database = try Self.open(path)
  }

  private static func open(_ path: String) throws -> Database {
    var options = Database.Options()
    options.pageSize = 4096
    options.cacheByteCount = 1 << 20
    options.durability = .flush
    options.checkpointThresholdByteCount = 1 << 20
    return try Database.open(path, options: options)
  }

  private func name(_ tree: Int) -> String { "tree \(tree)" }

  func play(_ operation: Operation) throws -> [Answer] {
    switch operation {
    case .step(let tree, .drop):
      if tree == 0 { return [Answer(try database.removeAll())] }
      let count = try database.existingTree(name(tree))?.count ?? 0
      _ = try database.dropTree(name(tree))
      return [Answer(count)]
    case .step(0, let step):
      return [try answer(step, database)]
    case .step(let tree, let step):
      return [try answer(step, database.tree(name(tree)))]
    case .transaction(let part, let isCommitted):
      var answers: [Answer] = []
      do {
        try database.write { transaction in
          for operation in part { answers += try play(operation, in: transaction) }
          if !isCommitted { throw TakenBack() }
        }
      } catch is TakenBack {}
      return answers
    case .savepoint:
      return []
    case .reopen:
      try close()
      database = try Self.open(path)
      return []
    }
  }

  private func play(
    _ operation: Operation, in transaction: borrowing Transaction
  ) throws -> [Answer] {
    switch operation {
    case .step(let tree, .drop):
      if tree == 0 { return [Answer(try transaction.removeAll())] }
      let count = try transaction.existingTree(name(tree))?.count ?? 0
      _ = try transaction.dropTree(name(tree))
      return [Answer(count)]
    case .step(0, let step):
      return [try answer(step, transaction)]
    case .step(let tree, let step):
      return [try answer(step, transaction.tree(name(tree)))]
    case .savepoint(let part, let isCommitted):
      var answers: [Answer] = []
      do {
        try transaction.savepoint {
          for operation in part { answers += try play(operation, in: transaction) }
          if !isCommitted { throw TakenBack() }
        }
      } catch is TakenBack {}
      return answers
    case .transaction, .reopen:
      return []
    }
  }

  private func answer(
    _ step: Step, _ tree: borrowing some WritableTree & ~Copyable & ~Escapable
  ) throws -> Answer {
    switch step {
    case .insert(let key, let value): return Answer(try tree.insert(key, value) ? 1 : 0)
    case .remove(let key): return Answer(try tree.remove(key) ? 1 : 0)
    case .lookup(let key):
      let value = try tree.lookup(key)
      return Answer(entry: value.map { (key, $0) })
    case .min: return Answer(entry: try tree.min())
    case .max: return Answer(entry: try tree.max())
    case .floor(let key): return Answer(entry: try tree.floor(key))
    case .ceiling(let key): return Answer(entry: try tree.ceiling(key))
    case .above(let key): return Answer(entry: try tree.above(key))
    case .below(let key): return Answer(entry: try tree.below(key))
    case .scan(let bounds, let isReversed, let limit):
      let cursor = try tree.cursor(in: range(bounds), reversed: isReversed)
      var found: [[UInt8]] = []
      while found.count < 2 * limit, let entry = try cursor.next() {
        found.append(entry.key)
        found.append(entry.value)
      }
      return Answer(found.count / 2, found)
    case .count(let bounds): return Answer(try tree.count(in: range(bounds)))
    case .removeRange(let bounds): return Answer(try tree.removeRange(range(bounds)))
    case .drop: return Answer(0)
    }
  }

  private func range(_ bounds: Bounds) -> KeyRange {
    switch (bounds.lower, bounds.upper) {
    case (nil, nil): .all
    case (let lower?, nil): .from(lower)
    case (nil, let upper?): .upTo(upper)
    case (let lower?, let upper?): .range(lower, upper)
    }
  }

  func close() throws { try database.close() }

  /// What `verify` finds wrong.
  func problems() throws -> [String] { try database.verify().problems }
}
