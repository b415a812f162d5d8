import BTreeKV
import TestSupport

extension History {
  /// One question of any kind, with the model's answer beside it.
  mutating func query() throws {
    let key = anyKey()
    switch random.below(12) {
    case 0: try require(database.lookup(key), model.lookup(key), "lookup", key)
    case 1:
      let isThere = try database.contains(key)
      try require(
        isThere == (model.lookup(key) != nil), "\(context): contains \(hex(key)): \(isThere)")
    case 2:
      let value = try database.withValue(of: key) { $0.withUnsafeBytes { Array($0) } }
      try require(value, model.lookup(key), "withValue", key)
    case 3: try require(database.min(), model.entry(0), "min", [])
    case 4: try require(database.max(), model.entry(model.count - 1), "max", [])
    case 5: try require(database.above(key), model.above(key), "above", key)
    case 6: try require(database.below(key), model.below(key), "below", key)
    case 7: try require(database.floor(key), model.floor(key), "floor", key)
    case 8: try require(database.ceiling(key), model.ceiling(key), "ceiling", key)
    case 9: try lentEntries(key)
    case 10: try iterate()
    default: try stepCursor()
    }
  }

  private func require(
    _ found: [UInt8]?, _ expected: [UInt8]?, _ what: String, _ key: [UInt8]
  ) throws {
    try TestSupport.require(
      equalBytes(found, expected),
      "\(context): \(what) \(hex(key)) is \(hex(found)), expected \(hex(expected))")
  }

  private func require(
    _ found: Database.Entry?, _ expected: Model.Entry?, _ what: String, _ key: [UInt8]
  ) throws {
    try require(found?.key, expected?.key, what + " (key)", key)
    try require(found?.value, expected?.value, what + " (value)", key)
  }

  private func require(_ condition: Bool, _ message: @autoclosure () -> String) throws {
    try TestSupport.require(condition, message())
  }

  private func lentEntries(_ key: [UInt8]) throws {
    func copy(_ key: RawSpan, _ value: RawSpan) -> Database.Entry {
      (key.withUnsafeBytes { Array($0) }, value.withUnsafeBytes { Array($0) })
    }
    try require(database.withEntry(above: key, copy), model.above(key), "withEntry above", key)
    try require(database.withEntry(below: key, copy), model.below(key), "withEntry below", key)
    try require(database.withEntry(floor: key, copy), model.floor(key), "withEntry floor", key)
    try require(
      database.withEntry(ceiling: key, copy), model.ceiling(key), "withEntry ceiling", key)
  }

  /// A range of any kind, in the database's words and in the model's.
  private mutating func anyRange() -> (KeyRange, ModelRange) {
    let a = anyKey()
    let b = anyKey()
    // Mostly the right way round; the other way there is nothing in it.
    let (low, high) = compareBytes(a, b) <= 0 || random.chance(10) ? (a, b) : (b, a)
    switch random.below(6) {
    case 0: return (.all, .all)
    case 1: return (.from(low), .from(low))
    case 2: return (.upTo(low), .upTo(low))
    case 3: return (.range(low, high), .range(low, high))
    case 4: return (.closed(low, high), .closed(low, high))
    default:
      let prefix = Array(low.prefix(random.number(in: 0...Swift.max(1, low.count))))
      return (.prefix(prefix), .prefix(prefix))
    }
  }

  private mutating func iterate() throws {
    let (range, modelRange) = anyRange()
    let isReversed = random.chance(50)
    let limit = random.chance(20) ? Int.max : random.below(100)
    var indices = model.indices(in: modelRange)
    var seen = 0
    let text = "\(context): forEach \(modelRange.description)\(isReversed ? ", reversed" : "")"
    let readsValues = random.chance(75)
    func visit(_ key: [UInt8], _ value: [UInt8]?) throws -> Visit {
      guard let index = isReversed ? indices.popLast() : indices.popFirst() else {
        throw TestFailure("\(text) goes on with \(hex(key))")
      }
      try require(
        equalBytes(key, model.keys[index]),
        "\(text): key \(hex(key)), expected \(hex(model.keys[index]))")
      if let value {
        try require(equalBytes(value, model.values[index]), "\(text): the value of \(hex(key))")
      }
      seen += 1
      return seen < limit ? .next : .stop
    }
    if readsValues {
      try database.forEach(in: range, reversed: isReversed) { key, value in
        try visit(key.withUnsafeBytes { Array($0) }, value.withUnsafeBytes { Array($0) })
      }
    } else {
      try database.forEachKey(in: range, reversed: isReversed) { key in
        try visit(key.withUnsafeBytes { Array($0) }, nil)
      }
    }
    try require(
      indices.isEmpty || seen >= limit, "\(text) ends \(indices.count) entries early")
  }

  private mutating func stepCursor() throws {
    let (range, modelRange) = anyRange()
    let isReversed = random.chance(50)
    var indices = model.indices(in: modelRange)
    let cursor = try database.cursor(in: range, reversed: isReversed)
    let text = "cursor\(isReversed ? ", reversed," : "") \(modelRange.description)"
    for _ in 0..<random.number(in: 1...60) {
      let index = isReversed ? indices.popLast() : indices.popFirst()
      try require(cursor.next(), index.flatMap { model.entry($0) }, text, [])
      // At the end it stays at the end.
      if index == nil, random.chance(50) { break }
    }
  }
}

extension Range<Int> {
  fileprivate mutating func popFirst() -> Int? {
    guard let number = first else { return nil }
    self = number + 1..<upperBound
    return number
  }

  fileprivate mutating func popLast() -> Int? {
    guard let number = last else { return nil }
    self = lowerBound..<number
    return number
  }
}
