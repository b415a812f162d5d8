import BTreeKV
import Foundation
import Regions
import TestSupport
import Testing

/// Everything that a file can hold, by a seed; `scale` 0 fits in a chunk of 64 KiB.
struct NestedSample {
  let pairs: [(key: String, value: [UInt8])]
  let region: [UInt8]
  let entries: [(key: String, value: [UInt8])]

  init(seed: UInt64, scale: Int) {
    var random = SeededRandom(seed: seed)
    let lengths = scale == 0 ? [3, 40] : [3, 300, 5000, 300_000]
    pairs = (0..<(scale == 0 ? 20 : 2000)).map { number in
      let count = number < 20 ? lengths[number % lengths.count] : 8
      return (String(format: "key %05d", number), random.bytes(count))
    }
    region = random.bytes(scale == 0 ? 100 : 700_000)
    entries = (0..<(scale == 0 ? 5 : 300)).map { number in
      (String(format: "entry %05d", number), random.bytes(number == 7 ? 400_000 : number))
    }
  }

  /// - Parameter isMixed: whether region and entries grow in turn, so that their chunks do not lie
  ///   side by side.
  func fill(_ database: Database, isMixed: Bool = false) throws {
    try database.insert(contentsOf: pairs)
    let inTree = Array("in a tree".utf8)
    try database.tree("tree").insert(contentsOf: pairs.prefix(10).map { ($0.key, inTree) })
    let region = try database.region("region")
    let store = try EntryStore(database, "store")
    _ = try database.region("empty")
    if isMixed {
      let step = 70_000
      for (start, entry) in zip(stride(from: 0, to: self.region.count, by: step), 0...) {
        try region.append(Array(self.region[start..<min(self.region.count, start + step)]))
        try store.write("filler \(entry)", [UInt8](repeating: 1, count: 50_000))
      }
      for number in 0..<(self.region.count / step + 1) { try store.remove("filler \(number)") }
    } else {
      try region.append(self.region)
    }
    try store.write("entry 00000", "to be overwritten")
    for entry in entries { try store.write(entry.key, entry.value) }
  }

  func check(_ database: Database) throws {
    #expect(database.count == pairs.count)
    for pair in pairs {
      try require(try database.lookup(pair.key) == pair.value, "\(pair.key) differs")
    }
    #expect(database.range().map { $0.key } == pairs.map { Array($0.key.utf8) })
    let tree = try #require(try database.existingTree("tree"))
    #expect(try tree.lookup(pairs[3].key) == Array("in a tree".utf8))
    #expect(try database.regionNames() == ["empty", "region"])
    let region = try #require(try database.existingRegion("region"))
    #expect(try region.readAll() == self.region)
    #expect(try database.existingRegion("empty")?.readAll() == [])
    let store = try #require(try database.existingEntryStore("store"))
    #expect(try store.count == entries.count)
    for entry in entries {
      let found = try #require(try store.read(entry.key))
      try require(found.array == entry.value, "\(entry.key) differs")
      try found.verify()
    }
    var keys: [[UInt8]] = []
    try store.forEach(.newestFirst) { entry in
      keys.append(entry.key)
      return .next
    }
    #expect(keys == entries.reversed().map { Array($0.key.utf8) })
    try store.forEachConcurrently(threadCount: 3) { try $0.verify() }
    try database.read { snapshot in
      try require(try snapshot.lookup(pairs[5].key) == pairs[5].value, "in a snapshot")
      let store = try #require(try snapshot.entryStore("store"))
      try require(try store.read("entry 00003")?.array == entries[3].value, "in a snapshot")
      try require(try snapshot.region("region")?.count == self.region.count, "in a snapshot")
    }
    try requireSound(database, "the nested file")
  }
}
