import BTreeKV
import Synchronization

// What the readers of `ContentStress` do. Each also keeps what it saw of each key: that never goes
// back.

extension ContentStress {
  private struct Seen {
    var versions: [UInt64]
    var random: SeededRandom
  }

  func read(_ reader: Int) throws {
    var seen = Seen(
      versions: [UInt64](repeating: 0, count: keys.count),
      random: SeededRandom(seed: seed &* 104_729 &+ UInt64(reader)))
    while !threads.mustEnd {
      switch seen.random.below(100) {
      case 0..<60: try lookUp(&seen)
      case 60..<78: try lookAround(&seen)
      case 78..<93: try iterate(&seen)
      case 93..<99: try lookAtGroups(&seen)
      default: try walkFar(&seen)
      }
    }
  }

  private func note(
    _ number: Int, _ version: UInt64, _ seen: inout Seen, _ context: String
  ) throws {
    try require(
      version >= seen.versions[number],
      "\(name), \(context): key \(number) went from version \(seen.versions[number]) to \(version)")
    seen.versions[number] = version
  }

  private func lookUp(_ seen: inout Seen) throws {
    let number = seen.random.below(keys.count)
    let onlyAsks = seen.random.chance(10)
    let done = known[number].done.load(ordering: .acquiring)
    if onlyAsks {
      let isThere = try database.contains(keys[number])
      let begun = known[number].begun.load(ordering: .acquiring)
      // Any version will do when it is there.
      if !isThere || done == begun {
        try check(isThere ? done >> 1 : nil, done, begun, "contains key \(number)")
      }
    } else {
      let value = try database.lookup(keys[number])
      let begun = known[number].begun.load(ordering: .acquiring)
      let version = try value.map { try checkedVersion(of: $0, number, "lookup") }
      try check(version, done, begun, "lookup of key \(number)")
      if let version { try note(number, version, &seen, "lookup") }
    }
    note(checks: 1)
  }

  private static let windowLength = 24

  /// The next entry on one side: nothing between may be passed over.
  private func lookAround(_ seen: inout Seen) throws {
    let number = seen.random.below(keys.count)
    let kind = seen.random.below(4)
    let isUp = kind < 2
    // The key itself belongs to it with `ceiling` and `floor`.
    let start = kind % 2 == 0 ? number : number + (isUp ? 1 : -1)
    let window = (0..<Self.windowLength).map { start + (isUp ? $0 : -$0) }
      .filter { keys.indices.contains($0) }
    let done = window.map { known[$0].done.load(ordering: .acquiring) }
    let entry =
      switch kind {
      case 0: try database.ceiling(keys[number])
      case 1: try database.above(keys[number])
      case 2: try database.floor(keys[number])
      default: try database.below(keys[number])
      }
    let found = try entry.map { try self.checkedNumber(of: $0.key, "neighbour") }
    if let entry, let found {
      try require(
        isUp ? found >= start : found <= start,
        "\(name): the neighbour of key \(number), kind \(kind), is \(found)")
      let version = try checkedVersion(of: entry.value, found, "neighbour")
      try note(found, version, &seen, "neighbour")
    }
    for (candidate, done) in zip(window, done) {
      let begun = known[candidate].begun.load(ordering: .acquiring)
      let isFound = candidate == found
      try check(
        isFound ? seen.versions[candidate] : nil, done, begun,
        "key \(candidate), neighbour (kind \(kind)) of \(number)")
      note(checks: 1)
      if isFound { break }
    }
  }

  /// Each key of a range, present or not, in order.
  private func iterate(_ seen: inout Seen) throws {
    let low = seen.random.below(keys.count)
    let high = min(keys.count - 1, low + seen.random.below(120))
    let isReversed = seen.random.chance(50)
    let done = (low...high).map { known[$0].done.load(ordering: .acquiring) }
    var found = [UInt64?](repeating: nil, count: done.count)
    var previous: Int?
    try database.forEach(
      in: .closed(keys[low], keys[high]), reversed: isReversed
    ) { key, value in
      let number = try checkedNumber(of: key.withUnsafeBytes { Array($0) }, "iteration")
      try require((low...high).contains(number), "\(name): key \(number) outside \(low)...\(high)")
      if let previous {
        try require(
          isReversed ? number < previous : number > previous,
          "\(name): an iteration goes from key \(previous) to \(number)")
      }
      previous = number
      found[number - low] = try checkedVersion(
        of: value.withUnsafeBytes { Array($0) }, number, "iteration")
      return .next
    }
    for (index, done) in done.enumerated() {
      let begun = known[low + index].begun.load(ordering: .acquiring)
      try check(found[index], done, begun, "iteration over key \(low + index)")
      if let version = found[index] { try note(low + index, version, &seen, "iteration") }
    }
    note(checks: done.count)
  }

  /// In a snapshot: one version of all members of a group, and the same answer twice.
  private func lookAtGroups(_ seen: inout Seen) throws {
    let group = seen.random.below(groups.count)
    let number = seen.random.below(keys.count)
    let done = groups[group].done.load(ordering: .acquiring)
    let doneOfKey = known[number].done.load(ordering: .acquiring)
    try database.read { snapshot in
      let first = try snapshot.lookup(keys[number])
      let trees = try ["groups", "more groups"].map { try snapshot.tree($0) }
      guard let even = trees[0], let odd = trees[1] else {
        throw TestFailure("\(name): a tree of groups is gone")
      }
      let versions = try (0..<4).map { member in
        let tree = member % 2 == 0 ? even : odd
        let value = try tree.lookup(Self.groupKey(group, member)) ?? []
        return try checkedVersion(of: value, Self.memberNumber(group, member), "group \(group)")
      }
      try require(
        versions.allSatisfy { $0 == versions[0] }, "\(name): group \(group) is seen as \(versions)")
      let begun = groups[group].begun.load(ordering: .acquiring)
      try check(versions[0], done | 1, begun | 1, "group \(group)")
      let cursor = try snapshot.cursor(in: .closed(keys[number], keys[number]))
      let again = try cursor.next()?.value
      try require(equalBytes(first, again), "\(name): key \(number) changed in a snapshot")
      let version = try first.map { try checkedVersion(of: $0, number, "snapshot") }
      let begunOfKey = known[number].begun.load(ordering: .acquiring)
      try check(version, doneOfKey, begunOfKey, "key \(number) in a snapshot")
    }
    note(checks: 6)
  }

  /// A long walk by a cursor, while pages go and come under it.
  private func walkFar(_ seen: inout Seen) throws {
    let from = seen.random.below(keys.count)
    let cursor = try database.cursor(in: .from(keys[from]))
    var previous = from - 1
    var count = 0
    while let entry = try cursor.next(), !threads.mustEnd {
      let number = try checkedNumber(of: entry.key, "cursor")
      try require(number > previous, "\(name): a cursor goes from key \(previous) to \(number)")
      previous = number
      let version = try checkedVersion(of: entry.value, number, "cursor")
      // It shows the instant of its beginning, after all that this reader has seen.
      try note(number, version, &seen, "cursor")
      count += 1
    }
    note(checks: count)
  }
}
