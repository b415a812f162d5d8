import BTreeKV
import Regions
import TestSupport

// Changes of regions, in the database and in the model.

extension OperationDriver {
  package static let regionNames = ["numbers", "lines", "blobs", "tail"]

  /// One change outside of transactions.
  mutating func change(_ number: Int, _ change: RegionChange, in database: Database) throws {
    let name = Self.regionNames[number]
    switch change {
    case .remove:
      let isThere = model.regions[name] != nil
      try require(try database.removeRegion(name) == isThere, "removeRegion said \(!isThere)")
      model.setRegion(name, nil)
    case .rename(let other):
      guard let (new, bytes) = renaming(name, to: other) else { return }
      try database.renameRegion(name, to: new)
      renamed(name, to: new, bytes)
    case .retain(let other):
      let removed = try database.retainRegions([name, Self.regionNames[other]])
      try retained([name, Self.regionNames[other]], removed)
    default:
      guard let region = try database.existingRegion(name) else {
        try require(model.regions[name] == nil, "region \"\(name)\" is gone")
        // One step is one transaction.
        _ = try database.region(name)
        return model.setRegion(name, [])
      }
      handles[name] = region
      try self.change(region, name, change)
    }
  }

  /// One change in a transaction.
  mutating func change(
    _ number: Int, _ change: RegionChange, in transaction: borrowing Transaction
  ) throws {
    let name = Self.regionNames[number]
    switch change {
    case .remove:
      let isThere = model.regions[name] != nil
      try require(try transaction.removeRegion(name) == isThere, "removeRegion said \(!isThere)")
      model.setRegion(name, nil)
    case .rename(let other):
      guard let (new, bytes) = renaming(name, to: other) else { return }
      try transaction.renameRegion(name, to: new)
      renamed(name, to: new, bytes)
    case .retain(let other):
      let removed = try transaction.retainRegions([name, Self.regionNames[other]])
      try retained([name, Self.regionNames[other]], removed)
    default:
      let region = try transaction.region(name)
      if model.regions[name] == nil { model.setRegion(name, []) }
      try self.change(region, name, change)
    }
  }

  private mutating func retained(_ kept: Set<String>, _ removed: [String]) throws {
    let doomed = model.regions.keys.filter { !kept.contains($0) }.sorted()
    try require(removed == doomed, "retainRegions said \(removed), not \(doomed)")
    for name in doomed { model.setRegion(name, nil) }
  }

  private func renaming(_ name: String, to other: Int) -> (String, [UInt8])? {
    let new = Self.regionNames[other]
    guard let bytes = model.regions[name], model.regions[new] == nil else { return nil }
    return (new, bytes)
  }

  private mutating func renamed(_ name: String, to new: String, _ bytes: [UInt8]) {
    model.setRegion(name, nil)
    model.setRegion(new, bytes)
  }

  /// A change of a region's bytes.
  private mutating func change(
    _ region: borrowing some WritableRegion & ~Copyable & ~Escapable, _ name: String,
    _ change: RegionChange
  ) throws {
    var bytes = model.regions[name] ?? []
    func place(_ percent: Int) -> Int { bytes.count * min(percent, 100) / 100 }
    switch change {
    case .append(let size): try append(region, &bytes, size, nil)
    case .appendDurably(let size): try append(region, &bytes, size, .sync)
    case .write(let percent, let size):
      let new = value(size)
      let offset = place(percent)
      try region.write(new, at: offset)
      Self.write(new, at: offset, &bytes)
    case .writeMany(let percent, let count, let size):
      var writes: [(offset: Int, bytes: [UInt8])] = []
      for number in 0..<count {
        let new = value(size)
        let offset = min(bytes.count, place(percent) + number * size * 3 / 4)
        writes.append((offset, new))
        Self.write(new, at: offset, &bytes)
      }
      try region.write(writes)
    case .truncate(let percent):
      let count = place(percent)
      try region.truncate(to: count)
      bytes.removeLast(bytes.count - count)
    case .truncateAndAppend(let percent, let size):
      let new = value(size)
      let count = place(percent)
      try region.truncate(to: count, andAppend: new)
      bytes.removeLast(bytes.count - count)
      bytes += new
    case .reserve(let size): try region.reserve(bytes.count + size)
    case .remove, .rename, .retain: throw TestFailure("\(change) is no change of bytes")
    }
    model.setRegion(name, bytes)
  }

  private mutating func append(
    _ region: borrowing some WritableRegion & ~Copyable & ~Escapable, _ bytes: inout [UInt8],
    _ size: Int, _ durability: Database.Durability?
  ) throws {
    let new = value(size)
    let start = try region.append(new, durability: durability)
    try require(start == bytes.count, "append said \(start), not \(bytes.count)")
    bytes += new
  }

  private static func write(_ new: [UInt8], at offset: Int, _ bytes: inout [UInt8]) {
    let inside = min(new.count, bytes.count - offset)
    bytes.replaceSubrange(offset..<offset + inside, with: new[..<inside])
    bytes += new[inside...]
  }
}
