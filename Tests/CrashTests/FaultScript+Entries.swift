import Regions
import TestSupport

@testable import BTreeKV

// Entry stores in the runs in which calls fail.

extension FaultScript {
  /// An entry store counts as a tree of this name.
  static func tree(ofStore name: String) -> String { "store " + name }

  /// Every operation of entry stores.
  static let entries = FaultScript(
    sessions: [
      Session(steps: entriesAtFirst, end: .close), Session(steps: entriesLater, end: .die),
      Session(steps: entriesAtLast, end: .close),
    ],
    probes: [probe("a", 1), probe("a", 5), probe("b", 6)])

  /// Entries that are longer than what a stream keeps in memory.
  static let longStreams = FaultScript(
    sessions: [
      Session(
        steps: [
          createStore("a"), write("a", 1, 50), stream("a", 2, pieceCount: 6, 44_000),
          write("a", 3, 50),
        ], end: .close)
    ],
    probes: [probe("a", 1), probe("a", 3)])

  private static let entriesAtFirst: [Step] = [
    createStore("a"),
    write("a", 1, 100), write("a", 2, 5000), write("a", 1, 300),
    writeMany("a", 3...6, 60),
    .hold(entryReaders),
    createStore("b"),
    stream("a", 7, pieceCount: 3, 700),
    removeEntry("a", 3), renameEntry("a", 4, to: 8), copyEntry("a", 5, to: 9),
    transfer("a", 6, to: "b"),
    entriesInTransaction,
    .checkpoint,
    .beginSnapshot,
    write("a", 10, 20_000),
    removeMany("a", [8, 9]),
    compact("a"),
    .endSnapshot,
    write("a", 1, 50),
  ]

  private static let entriesLater: [Step] = [
    .hold(entryReaders),
    write("a", 11, 40), writeMany("a", 2...4, 900),
    removeEntry("a", 1),
    renameStore("b", "c"),
    .beginSnapshot,
    // Beyond a chunk, and then staged by the compaction.
    write("a", 12, 66_000),
    compact("a"),
    .endSnapshot,
    stream("a", 5, pieceCount: 2, 30),
    entriesInTransaction,
    removeStore("c"),
    write("a", 13, 30),
  ]

  private static let entriesAtLast: [Step] = [
    write("a", 14, 70), .hold(entryReaders), removeEntry("a", 12), compact("a"),
    write("a", 15, 10), removeAll("a"), write("a", 5, 40),
  ]

  private static func probe(_ store: String, _ number: Int) -> Probe {
    { database, content in
      let found = try database.existingEntryStore(store)?.read(key(number))
      try found?.verify()
      return equalBytes(found?.array, content[tree(ofStore: store)]?[key(number)])
    }
  }

  /// Entries stay what they were, whatever becomes of their store.
  private static let entryReaders = Holding(name: "entries") { database, content in
    try database.entryStoreNames().flatMap { name -> [() throws -> Bool] in
      guard let store = try database.existingEntryStore(name) else { return [] }
      return try (content[tree(ofStore: name)] ?? [:]).map { key, bytes in
        let entry = try store.read(key)
        return { equalBytes(entry?.array, bytes) }
      }
    }
  }

  // MARK: The changes

  private static func createStore(_ name: String) -> Step {
    .change(
      Change(name: "a new entry store") { database, _ in
        _ = try EntryStore(database, name)
      } apply: { content in
        content[tree(ofStore: name), default: [:]] = content[tree(ofStore: name)] ?? [:]
      })
  }

  /// A change of a store, if it is there.
  private static func change(
    _ name: String, _ store: String,
    _ run: @escaping @Sendable (EntryStore, Content) throws -> Void,
    _ edit: @escaping @Sendable (inout [[UInt8]: [UInt8]]) -> Void
  ) -> Step {
    .change(
      Change(name: name) { database, content in
        guard let found = try database.existingEntryStore(store) else { return }
        try run(found, content)
      } apply: { content in
        guard var entries = content[tree(ofStore: store)] else { return }
        edit(&entries)
        content[tree(ofStore: store)] = entries
      })
  }

  private static func write(_ store: String, _ number: Int, _ count: Int) -> Step {
    let new = bytes(count, count + number)
    return change("write", store) { store, _ in
      try store.write(key(number), new)
    } _: {
      $0[key(number)] = new
    }
  }

  private static func writeMany(
    _ store: String, _ numbers: ClosedRange<Int>, _ count: Int
  ) -> Step {
    let new = numbers.map { (key: key($0), bytes: bytes(count, count * $0)) }
    return change("write(_:)", store) { store, _ in
      try store.write(new)
    } _: { entries in
      for (key, bytes) in new { entries[key] = bytes }
    }
  }

  private static func stream(
    _ store: String, _ number: Int, pieceCount: Int, _ count: Int
  ) -> Step {
    let pieces = (0..<pieceCount).map { bytes(count, $0 + number) }
    return change("write(from:)", store) { store, _ in
      try store.write(key(number), from: pieces)
    } _: {
      $0[key(number)] = Array(pieces.joined())
    }
  }

  private static func removeEntry(_ store: String, _ number: Int) -> Step {
    change("remove", store) { store, _ in
      try store.remove(key(number))
    } _: {
      $0[key(number)] = nil
    }
  }

  private static func removeMany(_ store: String, _ numbers: [Int]) -> Step {
    change("remove(_:)", store) { store, _ in
      try store.remove(numbers.map { key($0) })
    } _: { entries in
      for number in numbers { entries[key(number)] = nil }
    }
  }

  private static func removeAll(_ store: String) -> Step {
    change("removeAll", store) { store, _ in
      try store.removeAll()
    } _: {
      $0 = [:]
    }
  }

  private static func renameEntry(_ name: String, _ number: Int, to other: Int) -> Step {
    change("rename", name) { store, content in
      guard content[tree(ofStore: name)]?[key(number)] != nil else { return }
      try store.rename(key(number), to: key(other))
    } _: { entries in
      guard let bytes = entries.removeValue(forKey: key(number)) else { return }
      entries[key(other)] = bytes
    }
  }

  private static func copyEntry(_ name: String, _ number: Int, to other: Int) -> Step {
    change("copy", name) { store, content in
      guard content[tree(ofStore: name)]?[key(number)] != nil else { return }
      try store.copy(key(number), to: key(other))
    } _: { entries in
      if let bytes = entries[key(number)] { entries[key(other)] = bytes }
    }
  }

  private static func transfer(_ name: String, _ number: Int, to other: String) -> Step {
    .change(
      Change(name: "transfer") { database, content in
        guard let store = try database.existingEntryStore(name),
          let target = try database.existingEntryStore(other),
          content[tree(ofStore: name)]?[key(number)] != nil
        else { return }
        try store.transfer(key(number), to: target)
      } apply: { content in
        guard content[tree(ofStore: other)] != nil,
          let bytes = content[tree(ofStore: name)]?.removeValue(forKey: key(number))
        else { return }
        content[tree(ofStore: other)]?[key(number)] = bytes
      })
  }

  private static func compact(_ name: String) -> Step {
    change("compact", name) { store, _ in
      try store.compact()
    } _: { _ in
    }
  }

  private static func renameStore(_ name: String, _ other: String) -> Step {
    .change(
      Change(name: "renameEntryStore") { database, content in
        guard content[tree(ofStore: name)] != nil, content[tree(ofStore: other)] == nil else {
          return
        }
        try database.renameEntryStore(name, to: other)
      } apply: { content in
        guard let entries = content[tree(ofStore: name)], content[tree(ofStore: other)] == nil
        else { return }
        content[tree(ofStore: other)] = entries
        content[tree(ofStore: name)] = nil
      })
  }

  private static func removeStore(_ name: String) -> Step {
    .change(
      Change(name: "removeEntryStore") { database, _ in
        try database.removeEntryStore(name)
      } apply: {
        $0[tree(ofStore: name)] = nil
      })
  }

  /// Changes keys and two stores, and undoes a part of it.
  private static var entriesInTransaction: Step {
    struct Refusal: Error {}
    let new = bytes(400, 12)
    return .change(
      Change(name: "write with entry stores") { database, _ in
        try database.write { transaction in
          try transaction.insert("beside entries", "value")
          try transaction.entryStore("a").write(key(20), new)
          do {
            try transaction.savepoint {
              try transaction.entryStore("b").write(key(20), bytes(3000, 13))
              try transaction.removeEntryStore("a")
              try transaction.entryStore("undone").write(key(20), new)
              throw Refusal()
            }
          } catch is Refusal {}
          try transaction.entryStore("d").write(key(21), new)
          try transaction.entryStore("a").remove(key(2))
        }
      } apply: { content in
        content["", default: [:]][Array("beside entries".utf8)] = Array("value".utf8)
        content[tree(ofStore: "a"), default: [:]][key(20)] = new
        content[tree(ofStore: "a")]?[key(2)] = nil
        content[tree(ofStore: "d"), default: [:]][key(21)] = new
      })
  }

  // MARK: Reading

  private static func entries(of store: some ReadableEntryStore) throws -> [[UInt8]: [UInt8]] {
    var entries: [[UInt8]: [UInt8]] = [:]
    try store.forEach { entry in
      try entry.verify()
      entries[entry.key] = entry.array
      return .next
    }
    let count = try store.count
    try require(count == entries.count, "a store counts \(count) of \(entries.count) entries")
    return entries
  }

  static func entryStores(of database: Database) throws -> Content {
    var content: Content = [:]
    for name in try database.entryStoreNames() {
      content[tree(ofStore: name)] = try database.existingEntryStore(name).map {
        try entries(of: $0)
      }
    }
    return content
  }

  static func entryStores(of snapshot: Snapshot) throws -> Content {
    var content: Content = [:]
    for name in try snapshot.entryStoreNames() {
      content[tree(ofStore: name)] = try snapshot.entryStore(name).map { try entries(of: $0) }
    }
    return content
  }
}
