import Foundation

/// Compares byte strings as the database promises to: as unsigned bytes, a prefix first.
package func compareBytes(_ a: [UInt8], _ b: [UInt8]) -> Int {
  a.withUnsafeBytes { a in
    b.withUnsafeBytes { b in
      let shared = Swift.min(a.count, b.count)
      if shared > 0, let left = a.baseAddress, let right = b.baseAddress {
        let order = memcmp(left, right, shared)
        if order != 0 { return Int(order) }
      }
      return a.count - b.count
    }
  }
}

/// Whether byte strings are equal; quick in debug builds too.
package func equalBytes(_ a: [UInt8]?, _ b: [UInt8]?) -> Bool {
  guard let a, let b else { return a == nil && b == nil }
  return a.count == b.count && compareBytes(a, b) == 0
}

/// What a database should hold: a sorted array, too simple to be wrong.
package struct Model: Sendable {
  package typealias Entry = (key: [UInt8], value: [UInt8])

  /// All keys in order.
  package private(set) var keys: [[UInt8]] = []
  /// Their values, in the order of the keys.
  package private(set) var values: [[UInt8]] = []

  /// An empty one.
  package init() {}

  package var count: Int { keys.count }
  package var isEmpty: Bool { keys.isEmpty }

  /// The place of the first key that is not below `key`, and whether it is equal.
  package func lowerBound(_ key: [UInt8]) -> (index: Int, isFound: Bool) {
    var low = 0
    var high = keys.count
    while low < high {
      let middle = (low + high) / 2
      if compareBytes(keys[middle], key) < 0 { low = middle + 1 } else { high = middle }
    }
    return (low, low < keys.count && compareBytes(keys[low], key) == 0)
  }

  /// The entry of a place, or nil beyond the ends.
  package func entry(_ index: Int) -> Entry? {
    keys.indices.contains(index) ? (keys[index], values[index]) : nil
  }

  package func lookup(_ key: [UInt8]) -> [UInt8]? {
    let (index, isFound) = lowerBound(key)
    return isFound ? values[index] : nil
  }

  /// Stores a value; returns whether the key is new.
  @discardableResult
  package mutating func insert(_ key: [UInt8], _ value: [UInt8]) -> Bool {
    let (index, isFound) = lowerBound(key)
    if isFound {
      values[index] = value
    } else {
      keys.insert(key, at: index)
      values.insert(value, at: index)
    }
    return !isFound
  }

  /// Removes a key; returns whether it was there.
  @discardableResult
  package mutating func remove(_ key: [UInt8]) -> Bool {
    let (index, isFound) = lowerBound(key)
    if isFound {
      keys.remove(at: index)
      values.remove(at: index)
    }
    return isFound
  }

  package func above(_ key: [UInt8]) -> Entry? {
    let (index, isFound) = lowerBound(key)
    return entry(isFound ? index + 1 : index)
  }

  package func below(_ key: [UInt8]) -> Entry? { entry(lowerBound(key).index - 1) }

  package func floor(_ key: [UInt8]) -> Entry? {
    let (index, isFound) = lowerBound(key)
    return entry(isFound ? index : index - 1)
  }

  package func ceiling(_ key: [UInt8]) -> Entry? { entry(lowerBound(key).index) }

  /// The places of the keys of a range.
  package func indices(in range: ModelRange) -> Range<Int> {
    switch range {
    case .all: return 0..<count
    case .from(let lower): return lowerBound(lower).index..<count
    case .upTo(let upper): return 0..<lowerBound(upper).index
    case .range(let lower, let upper):
      let first = lowerBound(lower).index
      return first..<Swift.max(first, lowerBound(upper).index)
    case .closed(let lower, let upper):
      let first = lowerBound(lower).index
      let (last, isFound) = lowerBound(upper)
      return first..<Swift.max(first, isFound ? last + 1 : last)
    case .prefix(let prefix):
      let first = lowerBound(prefix).index
      var end = first
      while end < count, keys[end].count >= prefix.count,
        keys[end].prefix(prefix.count).elementsEqual(prefix)
      {
        end += 1
      }
      return first..<end
    }
  }
}

/// A range of keys, in the model's own words.
package enum ModelRange: Sendable {
  case all
  case from([UInt8])
  case upTo([UInt8])
  case range([UInt8], [UInt8])
  case closed([UInt8], [UInt8])
  case prefix([UInt8])

  /// For messages.
  package var description: String {
    switch self {
    case .all: "all"
    case .from(let lower): "from \(hex(lower))"
    case .upTo(let upper): "upTo \(hex(upper))"
    case .range(let lower, let upper): "range \(hex(lower)), \(hex(upper))"
    case .closed(let lower, let upper): "closed \(hex(lower)), \(hex(upper))"
    case .prefix(let prefix): "prefix \(hex(prefix))"
    }
  }
}
