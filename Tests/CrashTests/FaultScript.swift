import TestSupport

@testable import BTreeKV

/// What fault runs do: operations over several openings of one file.
struct FaultScript: Sendable {
  /// All trees by their names; the main one has none.
  ///
  /// What is no tree counts as one of another name.
  typealias Content = [String: [[UInt8]: [UInt8]]]

  /// One call, and what it makes of the content.
  ///
  /// A step that finds nothing to do, since one before it failed, leaves the content as it is.
  struct Change: Sendable {
    var name: String
    var run: @Sendable (Database, Content) throws -> Void
    var apply: @Sendable (inout Content) -> Void
  }

  enum Step: Sendable {
    case change(Change)
    case checkpoint
    /// Takes a snapshot, to be compared and let go by `endSnapshot`.
    case beginSnapshot
    case endSnapshot
    /// Reads a large value through a mapping.
    case mapValue([UInt8])
    case hold(Holding)
  }

  /// Handles and readers that are held until the opening ends.
  struct Holding: Sendable {
    var name: String
    /// Takes them; each of the closures says whether one still shows what it did.
    var take: @Sendable (Database, Content) throws -> [() throws -> Bool]
  }

  /// How an opening ends.
  enum End: Sendable { case close, die }

  struct Session: Sendable {
    var steps: [Step]
    var end: End
  }

  /// Looks something up, and says whether it is as the content has it.
  typealias Probe = @Sendable (Database, Content) throws -> Bool

  var sessions: [Session]
  /// Run after each step.
  var probes: [Probe]

  /// Every operation of trees and regions.
  static let trees = FaultScript(
    sessions: [
      Session(steps: creation, end: .close), Session(steps: second, end: .die),
      Session(steps: third, end: .close),
    ],
    probes: [key(3), key(8), Array("large".utf8)].map { key in
      { equalBytes(try $0.lookup(key), $1["", default: [:]][key]) }
    })

  static func key(_ number: Int) -> [UInt8] { Array("key \(100 + number)".utf8) }

  /// Bytes that differ from each other and from seed to seed.
  static func bytes(_ count: Int, _ seed: Int) -> [UInt8] {
    var random = SeededRandom(seed: UInt64(seed))
    return random.bytes(count)
  }

  private static let creation: [Step] =
    (0..<10).map { insert(key($0), bytes(300 + $0 * 10, $0)) } + [
      insert(Array("large".utf8), bytes(9000, 1)),
      .mapValue(Array("large".utf8)),
      transaction,
      .beginSnapshot,
      load("b", 120),
      removeRange("a", key(4), key(9)),
      .checkpoint,
      insert(key(3), bytes(350, 77)),
      remove(key(5)),
      insert(Array("large".utf8), bytes(70_000, 2)),
      rename("a", "c"),
      .endSnapshot,
      drop("b"),
      .checkpoint,
      batch,
      insert(key(7), bytes(20, 5)),
    ] + regionsAtFirst

  private static let second: [Step] =
    regionsLater + [
      insert(key(20), bytes(500, 20)),
      // Beyond 1 MiB a value is synced by itself; checksums are slow in debug builds.
      insert(Array("huge".utf8), bytes(CrashTests.isLong ? (1 << 20) + 5000 : 30_000, 6)),
      insert(Array("huge".utf8), bytes(10, 7)),
      transaction,
      .beginSnapshot,
      swap(key(3)),
      .checkpoint,
      .endSnapshot,
      insert(Array("large".utf8), bytes(12_000, 8)),
      removeRange("", key(0), key(3)),
      transaction,
      drop("c"),
      insert(key(21), bytes(400, 21)),
    ]

  private static let third: [Step] = [
    insert(key(30), bytes(200, 30)),
    .mapValue(Array("large".utf8)),
    load("d", 60),
    insert(key(8), bytes(100, 31)),
  ]

  // MARK: The changes

  private static func insert(_ key: [UInt8], _ value: [UInt8]) -> Step {
    .change(
      Change(name: "insert") { database, _ in
        try database.insert(key, value)
      } apply: {
        $0["", default: [:]][key] = value
      })
  }

  private static func remove(_ key: [UInt8]) -> Step {
    .change(
      Change(name: "remove") { database, _ in
        try database.remove(key)
      } apply: {
        $0["", default: [:]][key] = nil
      })
  }

  private static func swap(_ key: [UInt8]) -> Step {
    .change(
      Change(name: "compareAndSwap") { database, content in
        let old = content["", default: [:]][key]
        try database.compareAndSwap(key, expected: old, new: Array("swapped".utf8))
      } apply: {
        $0["", default: [:]][key] = Array("swapped".utf8)
      })
  }

  private static var batch: Step {
    let entries = (40..<60).map { (key($0), bytes(60, $0)) }
    return .change(
      Change(name: "insert(contentsOf:)") { database, _ in
        try database.insert(contentsOf: entries)
      } apply: { content in
        for (key, value) in entries { content["", default: [:]][key] = value }
      })
  }

  private static func removeRange(_ tree: String, _ lower: [UInt8], _ upper: [UInt8]) -> Step {
    .change(
      Change(name: "removeRange") { database, content in
        guard content[tree] != nil else { return }
        if tree.isEmpty {
          try database.removeRange(.range(lower, upper))
        } else {
          try database.existingTree(tree)?.removeRange(.range(lower, upper))
        }
      } apply: { content in
        content[tree] = content[tree]?.filter { key, _ in
          key.lexicographicallyPrecedes(lower) || !key.lexicographicallyPrecedes(upper)
        }
      })
  }

  /// Changes two trees, and undoes a part of it.
  private static var transaction: Step {
    struct Refusal: Error {}
    let entries = (0..<14).map { (key($0), bytes(150, 900 + $0)) }
    return .change(
      Change(name: "write") { database, _ in
        try database.write { transaction in
          let tree = try transaction.tree("a")
          for (key, value) in entries { try tree.insert(key, value) }
          do {
            try transaction.savepoint {
              try transaction.insert("undone", bytes(5000, 3))
              throw Refusal()
            }
          } catch is Refusal {}
          try transaction.remove(key(6))
          try transaction.insert("of a transaction", bytes(2500, 4))
        }
      } apply: { content in
        for (key, value) in entries { content["a", default: [:]][key] = value }
        content["", default: [:]][key(6)] = nil
        content["", default: [:]][Array("of a transaction".utf8)] = bytes(2500, 4)
      })
  }

  /// Makes a tree of its own from sorted entries, which a checkpoint commits.
  private static func load(_ name: String, _ count: Int) -> Step {
    let entries = (0..<count).map { (key(100 + $0), bytes(90, $0)) }
    return .change(
      Change(name: "load") { database, content in
        guard content[name] == nil else { return }
        try database.write { try $0.tree(name).load(ascending: entries) }
      } apply: { content in
        guard content[name] == nil else { return }
        content[name] = Dictionary(uniqueKeysWithValues: entries)
      })
  }

  private static func rename(_ name: String, _ other: String) -> Step {
    .change(
      Change(name: "renameTree") { database, content in
        guard content[name] != nil, content[other] == nil else { return }
        try database.write { try $0.renameTree(name, to: other) }
      } apply: { content in
        guard let old = content[name], content[other] == nil else { return }
        content[other] = old
        content[name] = nil
      })
  }

  private static func drop(_ name: String) -> Step {
    .change(
      Change(name: "dropTree") { database, _ in
        try database.dropTree(name)
      } apply: {
        $0[name] = nil
      })
  }

  private static func entries(of tree: some ReadableTree) throws -> [[UInt8]: [UInt8]] {
    var entries: [[UInt8]: [UInt8]] = [:]
    try tree.forEach { key, value in
      entries[key.withUnsafeBytes { Array($0) }] = value.withUnsafeBytes { Array($0) }
      return .next
    }
    return entries
  }

  /// What a script knows beside what a database shows is in trees whose names begin so.
  static let hidden: Character = "#"

  /// Whether both show the same; as `==`, which compares arrays slowly in debug builds.
  static func areEqual(_ a: Content, _ b: Content) -> Bool {
    let names = Set(a.keys).union(b.keys).filter { $0.first != hidden }
    return names.allSatisfy { name in
      guard let entries = a[name], let others = b[name], others.count == entries.count else {
        return false
      }
      return entries.allSatisfy { equalBytes($0.value, others[$0.key]) }
    }
  }

  /// What a database holds.
  static func content(of database: Database) throws -> Content {
    var content = ["": try entries(of: database)]
    for name in try database.treeNames() {
      content[name] = try database.existingTree(name).map { try entries(of: $0) }
    }
    content.merge(try regions(of: database)) { tree, _ in tree }
    content.merge(try entryStores(of: database)) { tree, _ in tree }
    content.merge(try vectors(of: database)) { tree, _ in tree }
    return content
  }

  /// What a snapshot holds.
  static func content(of snapshot: Snapshot) throws -> Content {
    var content = ["": try entries(of: snapshot)]
    for name in try snapshot.treeNames() {
      content[name] = try snapshot.tree(name).map { try entries(of: $0) }
    }
    content.merge(try regions(of: snapshot)) { tree, _ in tree }
    content.merge(try entryStores(of: snapshot)) { tree, _ in tree }
    content.merge(try vectors(of: snapshot)) { tree, _ in tree }
    return content
  }
}
