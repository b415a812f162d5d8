import BTreeKV
import Regions
import TestSupport

// Changes of entry stores, in the database and in the model.

extension OperationDriver {
  package static let storeNames = ["pictures", "sounds", "films"]

  /// A failure of a stream's source.
  private struct SourceFailure: Error {}

  /// The key of an entry; that of 0 has no bytes, and some are long.
  package static func entryKey(_ number: Int) -> [UInt8] {
    if number == 0 { return [] }
    let filling = number % 11 == 0 ? 300 : number % 7
    return Array("\(number)-\(String(repeating: "k", count: filling))".utf8)
  }

  /// One change outside of transactions.
  mutating func change(_ number: Int, _ change: EntryChange, in database: Database) throws {
    let name = Self.storeNames[number]
    switch change {
    case .removeStore:
      let isThere = model.stores[name] != nil
      try require(try database.removeEntryStore(name) == isThere, "removal said \(!isThere)")
      model.setStore(name, nil)
    case .renameStore(let other):
      guard let (new, store) = renamingStore(name, to: other) else { return }
      try database.renameEntryStore(name, to: new)
      renamedStore(name, to: new, store)
    default:
      guard let store = try database.existingEntryStore(name) else {
        try require(model.stores[name] == nil, "entry store \"\(name)\" is gone")
        // One step is one transaction.
        _ = try EntryStore(database, name)
        return model.setStore(name, EntryStoreModel())
      }
      entryHandles[name] = store
      switch change {
      case .compact:
        let before = try store.byteCount
        let saved = try store.compact()
        let after = try store.byteCount
        try require(before - after == saved, "compact said \(saved), not \(before - after)")
      case .transfer(let key, let other):
        let otherName = Self.storeNames[other]
        guard let target = try database.existingEntryStore(otherName),
          model.stores[name]?.bytes(Self.entryKey(key)) != nil
        else { return }
        try store.transfer(Self.entryKey(key), to: target)
        moved(Self.entryKey(key), from: name, to: otherName)
      default: try self.change(store, name, change)
      }
    }
  }

  /// One change in a transaction.
  mutating func change(
    _ number: Int, _ change: EntryChange, in transaction: borrowing Transaction
  ) throws {
    let name = Self.storeNames[number]
    switch change {
    case .removeStore:
      let isThere = model.stores[name] != nil
      try require(try transaction.removeEntryStore(name) == isThere, "removal said \(!isThere)")
      model.setStore(name, nil)
    case .renameStore(let other):
      guard let (new, store) = renamingStore(name, to: other) else { return }
      try transaction.renameEntryStore(name, to: new)
      renamedStore(name, to: new, store)
    case .compact: break
    case .transfer(let key, let other):
      let (key, otherName) = (Self.entryKey(key), Self.storeNames[other])
      guard let bytes = model.stores[name]?.bytes(key), model.stores[otherName] != nil else {
        return
      }
      let store = try transaction.entryStore(name)
      try require(try store.read(key)?.array == bytes, "an entry to be moved is another one")
      try require(try store.remove(key), "an entry to be moved is gone")
      try transaction.entryStore(otherName).write(key, bytes)
      moved(key, from: name, to: otherName)
    default:
      let store = try transaction.entryStore(name)
      if model.stores[name] == nil { model.setStore(name, EntryStoreModel()) }
      try self.change(store, name, change)
    }
  }

  private func renamingStore(_ name: String, to other: Int) -> (String, EntryStoreModel)? {
    let new = Self.storeNames[other]
    guard let store = model.stores[name], model.stores[new] == nil else { return nil }
    return (new, store)
  }

  private mutating func renamedStore(_ name: String, to new: String, _ store: EntryStoreModel) {
    model.setStore(name, nil)
    model.setStore(new, store)
  }

  private mutating func moved(_ key: [UInt8], from name: String, to other: String) {
    guard var source = model.stores[name], let bytes = source.bytes(key) else { return }
    _ = source.delete(key)
    model.setStore(name, source)
    var target = model.stores[other] ?? EntryStoreModel()
    _ = target.write(key, bytes)
    model.setStore(other, target)
  }

  /// A change of a store's entries.
  private mutating func change(
    _ store: borrowing some WritableEntryStore & ~Copyable & ~Escapable, _ name: String,
    _ change: EntryChange
  ) throws {
    var entries = model.stores[name] ?? EntryStoreModel()
    switch change {
    case .write(let key, let size): try write(store, &entries, key, size, nil)
    case .writeDurably(let key, let size): try write(store, &entries, key, size, .sync)
    case .writeMany(let key, let count, let size):
      let batch = (key..<key + count).map { (key: Self.entryKey($0), bytes: value(size)) }
      try store.write(batch)
      for (key, bytes) in batch { _ = entries.write(key, bytes) }
    case .stream(let key, let size, let isKept):
      try stream(store, &entries, Self.entryKey(key), size, isKept)
    case .delete(let key):
      let wasThere = entries.delete(Self.entryKey(key))
      try require(
        try store.remove(Self.entryKey(key)) == wasThere, "remove said \(!wasThere)")
    case .deleteMany(let key, let count):
      let doomed = (key..<key + count).map { Self.entryKey($0) }
      let expected = doomed.filter { entries.delete($0) }.count
      let removed = try store.remove(doomed)
      try require(removed == expected, "remove said \(removed), not \(expected)")
    case .deleteAll:
      let (expected, removed) = (entries.deleteAll(), try store.removeAll())
      try require(removed == expected, "removeAll said \(removed), not \(expected)")
    case .copy(let key, let other):
      guard let bytes = entries.bytes(Self.entryKey(key)) else { return }
      try store.copy(Self.entryKey(key), to: Self.entryKey(other))
      _ = entries.write(Self.entryKey(other), bytes)
    case .rename(let key, let other):
      guard let bytes = entries.bytes(Self.entryKey(key)) else { return }
      try store.rename(Self.entryKey(key), to: Self.entryKey(other))
      if key != other {
        _ = entries.delete(Self.entryKey(key))
        _ = entries.write(Self.entryKey(other), bytes)
      }
    case .transfer, .compact, .removeStore, .renameStore:
      throw TestFailure("\(change) is no change of entries")
    }
    model.setStore(name, entries)
  }

  private mutating func write(
    _ store: borrowing some WritableEntryStore & ~Copyable & ~Escapable,
    _ entries: inout EntryStoreModel, _ key: Int, _ size: Int, _ durability: Database.Durability?
  ) throws {
    let (key, bytes) = (Self.entryKey(key), value(size))
    let isNew = try store.write(key, bytes, durability: durability)
    try require(isNew == entries.write(key, bytes), "write said \(isNew)")
  }

  private mutating func stream(
    _ store: borrowing some WritableEntryStore & ~Copyable & ~Escapable,
    _ entries: inout EntryStoreModel, _ key: [UInt8], _ size: Int, _ isKept: Bool
  ) throws {
    let bytes = value(size)
    do {
      let isNew = try store.write(key) { writer in
        for start in stride(from: 0, to: bytes.count, by: 50_000) {
          try writer.write(Array(bytes[start..<min(bytes.count, start + 50_000)]))
        }
        if !isKept { throw SourceFailure() }
      }
      try require(isNew == entries.write(key, bytes), "write said \(isNew)")
    } catch is SourceFailure {}
  }
}
