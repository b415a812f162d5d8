@testable import BTreeKV
import Pager
import Regions
import TestSupport
import Testing

/// Random histories of many regions against arrays: with transactions and savepoints that come to
/// nothing, snapshots and readers held for long, reopening and deaths of the process.
@Suite struct RegionModelTests {
  @Test(arguments: 0..<9)
  func history(number: Int) throws {
    for round in 0..<lengthFactor {
      let seed = runSeed &* 1000 + UInt64(number + 100 * round)
      var history = try RegionHistory(
        seed: seed, durability: Database.Durability.allCases[number % 3],
        pageSize: [4096, 4096, 16384, 65536][number % 4], isFile: number % 2 == 0)
      do {
        try history.run(steps: 250)
      } catch {
        throw TestFailure("seed \(seed): \(error)")
      }
    }
  }
}

/// A run of changes of regions and what should have come of them.
struct RegionHistory {
  private static let names = ["a", "b", "c", "d", "e"]
  private struct Refusal: Error {}

  private typealias Model = [String: [UInt8]]

  private var memory: MemoryStorage?
  private let folder: TemporaryFolder
  private let options: Database.Options
  private var database: Database
  private var random: SeededRandom
  private var model: Model = [:]
  private var snapshots: [(snapshot: Snapshot, model: Model)] = []
  private var readers: [(reader: RegionReader, bytes: [UInt8])] = []

  init(seed: UInt64, durability: Database.Durability, pageSize: Int, isFile: Bool) throws {
    random = SeededRandom(seed: seed)
    options = tightOptions(
      pageSize: pageSize, durability: durability, checkpointThresholdByteCount: 256 << 10)
    folder = try TemporaryFolder()
    if isFile {
      database = try Database.open(folder.file(), options: options)
    } else {
      let storage = try MemoryStorage()
      memory = storage
      database = try openDatabase(in: storage, options)
    }
  }

  mutating func run(steps: Int) throws {
    for step in 0..<steps {
      do {
        try self.step()
        if step % 10 == 0 { try check() }
      } catch {
        throw TestFailure("step \(step): \(error)")
      }
    }
    snapshots = []
    readers = []
    try check()
    try database.close()
  }

  private mutating func step() throws {
    switch random.below(20) {
    case 0: try reopen()
    case 1:
      if random.chance(50) { try database.checkpoint() } else { try database.compact() }
    case 2:
      if snapshots.count > 3 { snapshots.remove(at: random.below(snapshots.count)) }
      snapshots.append((try database.snapshot(), model))
    case 3, 4, 5: try takeReader()
    case 6, 7, 8: try transact()
    default: try changeAlone()
    }
  }

  /// Mostly short; now and then over several chunks.
  private mutating func someBytes() -> [UInt8] {
    let longest = [10, 300, 2000, 40_000, 70_000, 200_000][random.below(6)]
    return random.bytes(random.below(longest + 1))
  }

  private mutating func changeAlone() throws {
    let name = Self.names[random.below(Self.names.count)]
    let region = try database.region(name)
    var bytes = model[name] ?? []
    switch random.below(6) {
    case 0:
      let count = random.below(bytes.count + 1)
      try region.truncate(to: count)
      bytes.removeLast(bytes.count - count)
    case 1:
      let offset = random.below(bytes.count + 1)
      let new = someBytes()
      try region.write(new, at: offset)
      Self.write(new, at: offset, &bytes)
    case 2:
      var writes: [(offset: Int, bytes: [UInt8])] = []
      for _ in 0..<random.below(20) {
        let offset = random.below(bytes.count + 1)
        let new = random.bytes(random.below(100))
        writes.append((offset, new))
        Self.write(new, at: offset, &bytes)
      }
      try region.write(writes)
    default:
      let new = someBytes()
      let start = try region.append(new)
      try require(start == bytes.count, "appended at \(start), not at \(bytes.count)")
      bytes += new
    }
    model[name] = bytes
  }

  private static func write(_ new: [UInt8], at offset: Int, _ bytes: inout [UInt8]) {
    let inside = min(new.count, bytes.count - offset)
    bytes.replaceSubrange(offset..<offset + inside, with: new[..<inside])
    bytes += new[inside...]
  }

  /// A transaction with savepoints, some of which throw, as does the whole now and then.
  private mutating func transact() throws {
    var new = model
    let fails = random.chance(30)
    do {
      try database.write { transaction in
        for _ in 0..<random.number(in: 1...5) {
          if random.chance(30) {
            var inner = new
            let undone = random.chance(50)
            do {
              try transaction.savepoint {
                try change(transaction, &inner)
                try change(transaction, &inner)
                if undone { throw Refusal() }
              }
              new = inner
            } catch is Refusal {
            }
          } else {
            try change(transaction, &new)
          }
        }
        try compare(transaction, new)
        if fails { throw Refusal() }
      }
      model = new
    } catch is Refusal {
    }
  }

  private mutating func change(
    _ transaction: borrowing Transaction, _ model: inout Model
  ) throws {
    let name = Self.names[random.below(Self.names.count)]
    let kind = random.below(10)
    if kind == 0 {
      try require(
        try transaction.removeRegion(name) == (model.removeValue(forKey: name) != nil),
        "removal of \(name)")
      return
    }
    if kind == 1 {
      let other = Self.names[random.below(Self.names.count)]
      guard let bytes = model[name], model[other] == nil else { return }
      try transaction.renameRegion(name, to: other)
      model[name] = nil
      model[other] = bytes
      return
    }
    if kind == 2 {
      let kept = Set(Self.names.filter { _ in random.chance(80) })
      try transaction.retainRegions(kept)
      model = model.filter { kept.contains($0.key) }
      return
    }
    let region = try transaction.region(name)
    var bytes = model[name] ?? []
    switch kind {
    case 3:
      let count = random.below(bytes.count + 1)
      let new = someBytes()
      try region.truncate(to: count, andAppend: new)
      bytes.removeLast(bytes.count - count)
      bytes += new
    case 4:
      let offset = random.below(bytes.count + 1)
      let new = someBytes()
      try region.write(new, at: offset)
      Self.write(new, at: offset, &bytes)
    case 5:
      try region.reserve(bytes.count + random.below(1 << 20))
    default:
      for _ in 0..<random.number(in: 1...4) {
        let new = someBytes()
        try region.append(new)
        bytes += new
      }
    }
    model[name] = bytes
  }

  private mutating func takeReader() throws {
    if readers.count > 4 { readers.remove(at: random.below(readers.count)) }
    let name = Self.names[random.below(Self.names.count)]
    guard let region = try database.existingRegion(name) else { return }
    let reader = try region.reader(random.chance(80) ? .mapped : .copying)
    readers.append((reader, model[name] ?? []))
  }

  private mutating func reopen() throws {
    snapshots = []
    readers = []
    let isKilled = random.chance(50)
    if isKilled {
      // Under `.none` only a checkpoint promises anything.
      if options.durability == .none { try database.checkpoint() }
      database.pager.abandon()
    } else {
      try database.close()
    }
    if let memory {
      let again = memory.reopen()
      self.memory = again
      database = try openDatabase(in: again, options)
    } else {
      database = try Database.open(folder.file(), options: options)
    }
    try check()
  }

  private func compare(_ transaction: borrowing Transaction, _ model: Model) throws {
    var found: Model = [:]
    for name in try transaction.regionNames() {
      found[name] = try transaction.existingRegion(name)?.readAll()
    }
    try compare(found, model)
  }

  private func compare(_ found: Model, _ model: Model) throws {
    let (names, expected) = (found.keys.sorted(), model.keys.sorted())
    try require(names == expected, "names \(names), expected \(expected)")
    for (name, bytes) in model {
      let there = found[name] ?? []
      try require(
        there == bytes,
        "region \(name) has \(there.count) bytes, expected \(bytes.count), "
          + "first difference \(firstDifference(there, bytes))")
    }
  }

  private static func bytes(_ reader: RegionReader) -> [UInt8] {
    let span = reader.bytes
    return span.withUnsafeBytes { Array($0) }
  }

  private func firstDifference(_ a: [UInt8], _ b: [UInt8]) -> Int {
    zip(a, b).enumerated().first { $0.element.0 != $0.element.1 }?.offset ?? min(a.count, b.count)
  }

  private func check() throws {
    try requireSound(database, "the file")
    var found: Model = [:]
    for name in try database.regionNames() {
      let region = try database.region(name)
      let reader = try region.reader()
      let count = try region.count
      try require(count == reader.count, "the count of \(name)")
      found[name] = Self.bytes(reader)
    }
    try compare(found, model)
    for (snapshot, model) in snapshots {
      var found: Model = [:]
      for name in try snapshot.regionNames() {
        guard let region = try snapshot.region(name) else { continue }
        found[name] = Self.bytes(try region.reader())
      }
      try compare(found, model)
    }
    for (index, (reader, bytes)) in readers.enumerated() {
      let found = Self.bytes(reader)
      try require(
        found == bytes, "reader \(index) changed at \(firstDifference(found, bytes))")
    }
  }
}
