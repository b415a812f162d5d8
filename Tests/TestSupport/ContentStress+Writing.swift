import BTreeKV
import Synchronization

// What the writers of `ContentStress` do: each has runs of eight keys of its own among the others'.

extension ContentStress {
  private struct Refusal: Error {}

  private static let runLength = 8

  /// The first key of a run of a writer.
  private func run(of writer: Int, _ random: inout SeededRandom) -> Int {
    let runCount = keys.count / Self.runLength / size.writerCount
    return (random.below(runCount) * size.writerCount + writer) * Self.runLength
  }

  func write(_ writer: Int) throws {
    var random = SeededRandom(seed: seed &* 7919 &+ UInt64(writer))
    for step in 0..<size.stepCount {
      if writers.mustEnd || threads.mustEnd { return }
      // Times of much removal let pages merge, those of much insertion let them split.
      let removals = step / 1500 % 2 == 0 ? 25 : 75
      let first = run(of: writer, &random)
      switch random.below(1000) {
      case 0..<8: try changeGroup(writer, &random)
      case 8..<20: try removeRun(first, &random)
      case 20..<40: try changeTogether(first, &random)
      case 40..<43: try database.checkpoint()
      default:
        try changeOne(first + random.below(Self.runLength), removals, &random)
      }
    }
  }

  /// One change of one key by one of the operations; its answer is known beforehand.
  private func changeOne(
    _ number: Int, _ removals: Int, _ random: inout SeededRandom
  ) throws {
    let key = keys[number]
    let before = known[number].done.load(ordering: .relaxed)
    let wasThere = before & 1 == 1
    let version = before >> 1 + 1
    let isRemoval = random.chance(removals)
    let new = isRemoval ? nil : Self.value(number, version)
    known[number].begun.store(Self.word(version, isThere: !isRemoval), ordering: .releasing)
    let isRight: Bool
    switch random.below(10) {
    case 0:
      let old = wasThere ? Self.value(number, version - 1) : nil
      isRight = try database.compareAndSwap(key, expected: old, new: new)
    case 1:
      var isAsExpected = false
      try database.update(key) { old in
        isAsExpected = equalBytes(old, wasThere ? Self.value(number, version - 1) : nil)
        return new
      }
      isRight = isAsExpected
    default:
      if let new {
        isRight = try database.insert(key, new) != wasThere
      } else {
        isRight = try database.remove(key) == wasThere
      }
    }
    known[number].done.store(Self.word(version, isThere: !isRemoval), ordering: .releasing)
    note(changes: 1)
    try require(
      isRight, "\(name): a change of key \(number) met something else than version \(before >> 1)")
  }

  /// Removes a part of a run with one call.
  private func removeRun(_ first: Int, _ random: inout SeededRandom) throws {
    let low = first + random.below(Self.runLength)
    let high = random.number(in: low...first + Self.runLength - 1)
    var count = 0
    for number in low...high {
      let before = known[number].done.load(ordering: .relaxed)
      if before & 1 == 1 { count += 1 }
      known[number].begun.store(
        Self.word(before >> 1 + 1, isThere: false), ordering: .releasing)
    }
    let found = try database.removeRange(.closed(keys[low], keys[high]))
    for number in low...high {
      known[number].done.store(
        known[number].begun.load(ordering: .relaxed), ordering: .releasing)
    }
    note(changes: 1)
    try require(found == count, "\(name): \(found) keys from \(low) to \(high), not \(count)")
  }

  /// Changes a whole run in a transaction, which may be given up.
  private func changeTogether(_ first: Int, _ random: inout SeededRandom) throws {
    let isRefused = random.chance(30)
    let isRemoval = random.chance(40)
    let numbers = first..<first + Self.runLength
    let words = numbers.map { number in
      Self.word(known[number].done.load(ordering: .relaxed) >> 1 + 1, isThere: !isRemoval)
    }
    for (number, word) in zip(numbers, words) {
      known[number].begun.store(word, ordering: .releasing)
    }
    do {
      try database.write { transaction in
        for (number, word) in zip(numbers, words) {
          if isRemoval {
            try transaction.remove(keys[number])
          } else {
            try transaction.insert(keys[number], Self.value(number, word >> 1))
          }
        }
        if isRefused { throw Refusal() }
      }
      for (number, word) in zip(numbers, words) {
        known[number].done.store(word, ordering: .releasing)
      }
      note(changes: Self.runLength)
    } catch is Refusal {
      for number in numbers {
        known[number].begun.store(
          known[number].done.load(ordering: .relaxed), ordering: .releasing)
      }
    }
  }

  // MARK: Groups

  /// The members of a group: two each in two trees.
  static func members(of transaction: borrowing Transaction) throws -> [(tree: String, member: Int)]
  {
    for name in ["groups", "more groups"] { _ = try transaction.tree(name) }
    return (0..<4).map { ($0 % 2 == 0 ? "groups" : "more groups", $0) }
  }

  static func groupKey(_ group: Int, _ member: Int) -> [UInt8] {
    // Members lie far apart.
    Self.bigEndian(UInt64(member) << 32 | UInt64(group)) + [UInt8](repeating: 0x67, count: 100)
  }

  /// The number that a member's value is made of.
  static func memberNumber(_ group: Int, _ member: Int) -> Int { 1_000_000 + group * 4 + member }

  func change(
    _ tree: String, _ transaction: borrowing Transaction, _ group: Int, _ member: Int,
    version: UInt64
  ) throws {
    try transaction.tree(tree).insert(
      Self.groupKey(group, member), Self.value(Self.memberNumber(group, member), version))
  }

  private func changeGroup(_ writer: Int, _ random: inout SeededRandom) throws {
    let count = groups.count / size.writerCount
    let group = random.below(count) * size.writerCount + writer
    let version = groups[group].done.load(ordering: .relaxed) >> 1 + 1
    groups[group].begun.store(Self.word(version, isThere: true), ordering: .releasing)
    try database.write { transaction in
      for (tree, member) in try Self.members(of: transaction) {
        try change(tree, transaction, group, member, version: version)
      }
    }
    groups[group].done.store(Self.word(version, isThere: true), ordering: .releasing)
    note(changes: 4)
  }
}
