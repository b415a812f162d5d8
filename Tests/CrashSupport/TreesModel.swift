/// What all trees, regions, entry stores and vectors should hold, and the digest of that.
package struct TreesModel: Sendable {
  package private(set) var trees: [String: [[UInt8]: [UInt8]]] = ["": [:]]
  package private(set) var regions: [String: [UInt8]] = [:]
  package private(set) var stores: [String: EntryStoreModel] = [:]
  package private(set) var vectors: [String: VectorModel] = [:]
  package private(set) var digest = ContentDigest()

  package init() {}

  package mutating func create(_ name: String) {
    guard trees[name] == nil else { return }
    trees[name] = [:]
    digest.add(tree: name)
  }

  package mutating func set(_ name: String, _ key: [UInt8], _ value: [UInt8]?) {
    create(name)
    if let old = trees[name]?[key] { digest.remove(key, old, tree: name) }
    if let value { digest.add(key, value, tree: name) }
    trees[name]?[key] = value
  }

  package mutating func clear(_ name: String) {
    for (key, value) in trees[name] ?? [:] { digest.remove(key, value, tree: name) }
    trees[name] = [:]
  }

  package mutating func drop(_ name: String) {
    clear(name)
    digest.remove(tree: name)
    trees[name] = nil
  }

  package mutating func rename(_ name: String, to other: String) {
    let content = trees[name] ?? [:]
    drop(name)
    create(other)
    for (key, value) in content { set(other, key, value) }
  }

  /// Sets a region's bytes, nil for no region.
  package mutating func setRegion(_ name: String, _ bytes: [UInt8]?) {
    if let old = regions[name] { old.withUnsafeBytes { digest.remove(region: name, $0) } }
    if let bytes { bytes.withUnsafeBytes { digest.add(region: name, $0) } }
    regions[name] = bytes
  }

  /// Sets an entry store's content, nil for no store.
  package mutating func setStore(_ name: String, _ store: EntryStoreModel?) {
    if let old = stores[name] { digest.remove(store: old.hash(store: name)) }
    if let store { digest.add(store: store.hash(store: name)) }
    stores[name] = store
  }

  /// Sets a vector's content, nil for no vector.
  package mutating func setVector(_ name: String, _ vector: VectorModel?) {
    if let old = vectors[name] { digest.remove(vector: old.hash(vector: name)) }
    if let vector { digest.add(vector: vector.hash(vector: name)) }
    vectors[name] = vector
  }

  package func has(_ name: String) -> Bool { trees[name] != nil }

  package func value(_ name: String, _ key: [UInt8]) -> [UInt8]? { trees[name]?[key] }

  /// The keys of a range, its lower bound among them.
  package func keys(_ name: String, from lower: [UInt8], to upper: [UInt8]) -> [[UInt8]] {
    (trees[name] ?? [:]).keys.filter {
      !$0.lexicographicallyPrecedes(lower) && $0.lexicographicallyPrecedes(upper)
    }
  }
}
