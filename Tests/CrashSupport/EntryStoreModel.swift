internal import Pager

/// What an entry store should hold, and in which order it was written.
package struct EntryStoreModel: Sendable {
  private struct Item {
    var bytes: [UInt8]
    /// Which write of the store it was.
    var number: Int
    var hash: UInt64
  }

  private var items: [[UInt8]: Item] = [:]
  private var writeCount = 0

  package init() {}

  package func bytes(_ key: [UInt8]) -> [UInt8]? { items[key]?.bytes }

  /// - Returns: whether the key is new.
  package mutating func write(_ key: [UInt8], _ bytes: [UInt8]) -> Bool {
    writeCount += 1
    let hash = bytes.withUnsafeBytes { Self.hash(key, $0) }
    let item = Item(bytes: bytes, number: writeCount, hash: hash)
    return items.updateValue(item, forKey: key) == nil
  }

  /// - Returns: whether the key was there.
  package mutating func delete(_ key: [UInt8]) -> Bool { items.removeValue(forKey: key) != nil }

  /// - Returns: how many keys were there.
  package mutating func deleteAll() -> Int {
    defer { items.removeAll() }
    return items.count
  }

  /// Of an entry by itself.
  package static func hash(_ key: [UInt8], _ bytes: UnsafeRawBufferPointer) -> UInt64 {
    checksum64(bytes, seed: key.withUnsafeBytes { checksum64($0, seed: 79) })
  }

  /// Of a store's entries, the one that was written last first.
  package static func hash(store: String, newestFirst hashes: [UInt64]) -> UInt64 {
    let name = Array(store.utf8).withUnsafeBytes { checksum64($0, seed: 80) }
    return hashes.withUnsafeBytes { checksum64($0, seed: name) }
  }

  /// Of all entries and their order.
  package func hash(store: String) -> UInt64 {
    let newestFirst = items.values.sorted { $0.number > $1.number }
    return Self.hash(store: store, newestFirst: newestFirst.map(\.hash))
  }
}
