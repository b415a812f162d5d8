package import BTreeKV

/// Seeded operations of all kinds.
package struct OperationGenerator {
  package var random: CrashRandom
  package var keyCount: Int
  package var valueLimit: Int
  /// Of a thousand values so many are large.
  package var largePerMille = 25
  /// Of a hundred changes so many are transactions.
  package var transactionPercent: Int
  /// Of a hundred changes so many are of regions, entry stores or vectors.
  package var regionPercent: Int
  /// Of a hundred of these so many are of entry stores.
  package var entryPercent: Int
  /// Of a hundred of the others so many are of vectors.
  package var vectorPercent: Int

  package init(seed: UInt64) {
    random = CrashRandom(seed: seed)
    keyCount = [15, 90, 350][random.below(3)]
    valueLimit = [30, 250, 900][random.below(3)]
    transactionPercent = [5, 40, 80][random.below(3)]
    regionPercent = [0, 20, 60][random.below(3)]
    entryPercent = [0, 50, 100][random.below(3)]
    vectorPercent = [0, 50, 100][random.below(3)]
  }

  private mutating func key() -> Int { random.below(keyCount) }

  private mutating func size() -> Int {
    if random.below(1000) < largePerMille {
      return 1500 + random.below(random.once(in: 8) ? 150_000 : 20_000)
    }
    return random.below(valueLimit)
  }

  /// A change of one tree.
  private mutating func change(_ tree: Int) -> CrashOperation {
    switch random.below(24) {
    case 0..<11: .insert(tree: tree, key: key(), size: size())
    case 11..<16: .remove(tree: tree, key: key())
    case 16: .update(tree: tree, key: key(), size: size())
    case 17:
      .compareAndSwap(tree: tree, key: key(), size: size(), isExpected: !random.once(in: 4))
    case 18, 19:
      .insertMany(
        tree: tree, key: key(), count: 1 + random.below(random.once(in: 5) ? 120 : 12),
        size: random.below(valueLimit))
    case 20, 21: .removeRange(tree: tree, from: key(), to: key())
    case 22: random.once(in: 3) ? .removeAll(tree: tree) : .insert(tree: tree, key: 0, size: 9)
    default: .load(tree: tree, count: 1 + random.below(200), size: random.below(valueLimit))
    }
  }

  private mutating func changeOfTrees() -> CrashOperation {
    let tree = 1 + random.below(3)
    return switch random.below(4) {
    case 0, 1: .createTree(tree)
    case 2: .dropTree(tree)
    default: .renameTree(tree, to: 1 + random.below(3))
    }
  }

  /// Mostly short; of two hundred one is of several chunks.
  private mutating func regionSize() -> Int {
    switch random.below(200) {
    case 0: 70_000 + random.below(130_000)
    case 1..<8: random.below(30_000)
    case 8..<60: random.below(3000)
    default: random.below(300)
    }
  }

  private mutating func changeOfRegion() -> CrashOperation {
    let percent = random.below(101)
    let change: RegionChange =
      switch random.below(24) {
      case 0..<12: .append(size: regionSize())
      case 12, 13: .write(percent: percent, size: regionSize())
      case 14:
        .writeMany(percent: percent, count: 1 + random.below(9), size: random.below(400))
      case 15, 16: .truncate(percent: random.once(in: 5) ? 0 : percent)
      case 17, 18: .truncateAndAppend(percent: percent, size: regionSize())
      case 19: .reserve(size: random.below(random.once(in: 4) ? 400_000 : 70_000))
      case 20: .remove
      case 21: .rename(to: random.below(4))
      case 22: random.once(in: 3) ? .retain(and: random.below(4)) : .append(size: 8)
      // Grows step by step, over the borders of pages and chunks.
      default: .append(size: random.once(in: 4) ? 65_536 - random.below(40) : 4000)
      }
    return .region([0, 0, 1, 2, 3][random.below(5)], change)
  }

  private mutating func changeOfStore() -> CrashOperation {
    let (key, size) = (random.below(min(keyCount, 40)), regionSize())
    let change: EntryChange =
      switch random.below(27) {
      case 0..<10: .write(key: key, size: size)
      case 10, 11:
        .writeMany(
          key: key, count: 1 + random.below(random.once(in: 5) ? 60 : 8), size: random.below(900))
      // Some are staged in pages, the others in memory.
      case 12, 13:
        .stream(
          key: key, size: random.once(in: 3) ? 260_000 + random.below(150_000) : size,
          isKept: !random.once(in: 4))
      case 14..<17: .delete(key: key)
      case 17: .deleteMany(key: key, count: 1 + random.below(20))
      case 18: .copy(key: key, to: random.below(40))
      case 19, 20: .rename(key: key, to: random.below(40))
      case 21: .transfer(key: key, to: random.below(3))
      case 22, 23: .compact
      case 24: random.once(in: 3) ? .removeStore : .write(key: 0, size: size)
      case 25: random.once(in: 2) ? .deleteAll : .deleteMany(key: key, count: 5)
      default: random.once(in: 3) ? .renameStore(to: random.below(3)) : .write(key: key, size: 60)
      }
    return .entries([0, 0, 0, 1, 2][random.below(5)], change)
  }

  /// Few elements mostly; some fill pages, or a chunk.
  private mutating func elementCount() -> Int {
    switch random.below(60) {
    case 0: 15_000 + random.below(3000)
    case 1..<4: random.below(3000)
    case 4..<20: random.below(400)
    default: random.below(40)
    }
  }

  private mutating func edits() -> [VectorEdit] {
    (0..<random.below(5)).map { _ in
      let percent = random.below(100)
      return switch random.below(16) {
      case 0..<7: .append(count: elementCount())
      case 7..<11:
        .update(percent: percent, count: random.below(random.once(in: 6) ? 3000 : 40))
      case 11, 12: .take(percent: percent)
      case 13: .fillFirstHole
      default: .truncate(percent: random.once(in: 5) ? 0 : percent)
      }
    }
  }

  private mutating func changeOfVector() -> CrashOperation {
    let change: VectorChange =
      switch random.below(20) {
      case 0..<9: .write(edits())
      case 9..<14: .commit(edits())
      case 14: .fold(edits())
      case 15..<18: .rollback(random.below(4))
      case 18: random.once(in: 3) ? .remove : .write([.append(count: 300)])
      default: .rename(to: random.below(4))
      }
    return .vector([0, 0, 1, 2, 2, 3][random.below(6)], change)
  }

  private mutating func changeOfContent(isAlone: Bool = false) -> CrashOperation {
    let isDurable = isAlone && random.once(in: 15)
    if random.below(100) < entryPercent {
      guard isDurable else { return changeOfStore() }
      return .entries(
        random.below(3), .writeDurably(key: random.below(keyCount), size: regionSize()))
    }
    guard isDurable else {
      return random.below(100) < vectorPercent ? changeOfVector() : changeOfRegion()
    }
    return .region(random.below(4), .appendDurably(size: regionSize()))
  }

  private mutating func parts(depth: Int) -> [CrashOperation] {
    let count = depth == 0 && random.once(in: 12) ? 60 : 1 + random.below(12)
    return (0..<count).map { _ in
      switch random.below(20) {
      case 0 where depth < 3: .savepoint(parts(depth: depth + 1), isKept: random.once(in: 2))
      case 1: changeOfTrees()
      case _ where random.below(100) < regionPercent: changeOfContent()
      default: change([0, 0, 1, 2, 3][random.below(5)])
      }
    }
  }

  /// A step that changes what the database holds.
  package mutating func mutation() -> CrashOperation {
    if random.below(100) < transactionPercent {
      return .transaction(parts(depth: 0), isKept: !random.once(in: 6))
    }
    if random.once(in: 12) { return changeOfTrees() }
    if random.below(100) < regionPercent { return changeOfContent(isAlone: true) }
    if random.once(in: 15) {
      return .insertDurably(tree: 0, key: key(), size: size())
    }
    return change([0, 0, 0, 1, 2, 3][random.below(6)])
  }

  /// Any step.
  package mutating func next() -> CrashOperation {
    switch random.below(60) {
    case 0: .reopen(durability())
    case 1: .kill(durability())
    case 2...5: .checkpoint
    case 6...8: .waitUntilDurable
    case 9...11: .takeSnapshot
    case 12, 13: .releaseSnapshots
    case 14: .compact
    default: mutation()
    }
  }

  package mutating func durability() -> Database.Durability {
    let all = Database.Durability.allCases
    return all[random.below(all.count)]
  }
}
