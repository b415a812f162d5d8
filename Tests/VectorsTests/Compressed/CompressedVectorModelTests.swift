@testable import BTreeKV
import Pager
import TestSupport
import Testing

@testable import Vectors

/// Random histories of a compressed vector against an array: buffered changes and transactions that
/// come to nothing, holes, stamps and rollbacks, snapshots and readers held for long, reopening and
/// deaths of the process.
@Suite struct CompressedVectorModelTests {
  private func run<Element: SampleElement>(
    _ type: Element.Type, number: Int
  ) throws where Element.Stored: PcoNumber {
    for round in 0..<lengthFactor {
      let seed = runSeed &* 1000 + UInt64(number + 100 * round)
      var history = try ColumnHistory<Element>(
        seed: seed, durability: Database.Durability.allCases[number % 3],
        pageSize: [4096, 16384, 4096, 65536][number % 4])
      do {
        try history.run(steps: 150)
      } catch {
        throw TestFailure("\(type), seed \(seed): \(error)")
      }
    }
  }

  @Test(arguments: 0..<4) func words(number: Int) throws { try run(UInt64.self, number: number) }

  @Test(arguments: 4..<6) func bytes(number: Int) throws { try run(UInt8.self, number: number) }

  @Test(arguments: 6..<9) func doubles(number: Int) throws { try run(Double.self, number: number) }

  @Test(arguments: 9..<11) func wrappers(number: Int) throws {
    try run(Height.self, number: number)
  }

  @Test(arguments: 11..<13) func signed(number: Int) throws { try run(Int16.self, number: number) }
}

/// A run of changes of a compressed vector and what should have come of them.
struct ColumnHistory<Element: SampleElement> where Element.Stored: PcoNumber {
  private struct Refusal: Error {}
  private typealias Content = ColumnContent<Element>
  private static var stampLimit: Int { 4 }

  private var memory: MemoryStorage
  private let options: Database.Options
  private var database: Database
  private var vector: CompressedVector<Element>
  private var random: SeededRandom
  /// With what is buffered.
  private var now = Content()
  private var written = Content()
  private var stamps: [(stamp: UInt64, content: Content)] = []
  private var nextStamp: UInt64 = 1
  private var snapshots: [(snapshot: Snapshot, content: Content)] = []
  private var readers: [(reader: CompressedVectorReader<Element>, content: Content)] = []

  init(seed: UInt64, durability: Database.Durability, pageSize: Int) throws {
    random = SeededRandom(seed: seed)
    options = tightOptions(
      pageSize: pageSize, durability: durability, checkpointThresholdByteCount: 256 << 10)
    memory = try MemoryStorage()
    database = try openDatabase(in: memory, options)
    vector = try Self.open(database)
  }

  private static func open(_ database: Database) throws -> CompressedVector<Element> {
    try CompressedVector.open(
      "v", in: database, version: 3, stampLimit: stampLimit, options: smallPages)
  }

  mutating func run(steps: Int) throws {
    for step in 0..<steps {
      do {
        try self.step()
        if step % 7 == 0 { try check() }
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
    switch random.below(24) {
    case 0: try reopen()
    case 1:
      if random.chance(50) { try database.checkpoint() } else { try database.compact() }
    case 2:
      if snapshots.count > 2 { snapshots.remove(at: random.below(snapshots.count)) }
      snapshots.append((try database.snapshot(), written))
    case 3:
      if readers.count > 2 { readers.remove(at: random.below(readers.count)) }
      readers.append((try vector.reader(cacheByteCount: 8192), written))
    case 4, 5, 6: try transact()
    case 7, 8: try stamp()
    case 9: try rollBack()
    case 10:
      try vector.fold()
      written = now
    case 11:
      vector.discard()
      now = written
    case 12, 13:
      try vector.write()
      written = now
    default:
      for _ in 0..<random.number(in: 1...3) { try change() }
    }
  }

  /// Numbers that are alike, or any.
  private mutating func someElements(_ count: Int) -> [Element] {
    let mask: UInt64 = [0, 15, 1023, .max][random.below(4)]
    let start = random.next()
    return (0..<count).map { Element(number: (start & ~mask) | random.next() & mask | UInt64($0)) }
  }

  private mutating func someUpdates(below count: Int) -> [(Int, Element)] {
    let start = random.below(count)
    let isDense = random.chance(30)
    let elements = someElements(random.below(isDense ? 300 : 40))
    return elements.map { element in
      (isDense ? min(count - 1, start + random.below(400)) : random.below(count), element)
    }
  }

  /// Somewhere, near the end, or at the beginning of a page.
  private mutating func somePlace(in count: Int) -> Int {
    switch random.below(4) {
    case 0: random.below(count + 1)
    case 1: random.below(count + 1) & ~255
    default: count - random.below(min(count, 300) + 1)
    }
  }

  /// A change that is buffered.
  private mutating func change() throws {
    let count = now.elements.count
    switch random.below(10) {
    case 0:
      let cut = somePlace(in: count)
      try vector.truncate(to: cut)
      now.truncate(to: cut)
    case 1, 2, 3:
      guard count > 0 else { return }
      for (index, element) in someUpdates(below: count) {
        try vector.update(at: index, element)
        now.elements[index] = element
        now.holes.remove(index)
      }
    case 4:
      guard count > 0 else { return }
      for _ in 0..<random.below(20) {
        let index = random.below(count)
        let taken = try vector.take(at: index)
        let isNew = now.holes.insert(index).inserted
        try require(
          taken.map { storedBytes([$0]) } == (isNew ? storedBytes([now.elements[index]]) : nil),
          "taken at \(index)")
      }
    case 5:
      let element = Element(number: random.next())
      let hole = now.holes.min()
      let index = try vector.fillFirstHole(orAppend: element)
      try require(index == hole ?? count, "filled \(index), expected \(hole ?? count)")
      if hole == nil { now.elements.append(element) } else { now.elements[index] = element }
      now.holes.remove(index)
    case 6:
      let element = Element(number: random.next())
      let target = count + random.below(600) - 50
      try vector.fill(to: target, with: element)
      now.elements += Array(repeating: element, count: max(0, target - count))
    default:
      let new = someElements([1, 10, 255, 256, 257, 900][random.below(6)])
      vector.append(contentsOf: new)
      now.elements += new
    }
  }

  /// A change in a transaction, which begins with what is written.
  private mutating func change(
    _ inside: borrowing TransactionCompressedVector<Element>, _ content: inout Content
  ) throws {
    let count = content.elements.count
    switch random.below(6) {
    case 0:
      let cut = somePlace(in: count)
      try inside.truncate(to: cut)
      content.truncate(to: cut)
    case 1, 2:
      guard count > 0 else { return }
      let updates = someUpdates(below: count)
      try inside.update(updates)
      for (index, element) in updates {
        content.elements[index] = element
        content.holes.remove(index)
      }
    case 3:
      guard count > 0 else { return }
      let index = random.below(count)
      try inside.take(at: index)
      content.holes.insert(index)
    default:
      let new = someElements([1, 100, 256, 700][random.below(4)])
      let start = try inside.append(contentsOf: new)
      try require(start == count, "appended at \(start), not at \(count)")
      content.elements += new
    }
  }

  /// A transaction with savepoints, some of which throw, as does the whole now and then.
  private mutating func transact() throws {
    vector.discard()
    var new = written
    let fails = random.chance(30)
    do {
      try database.write { transaction in
        let inside = vector.access(in: transaction)
        for _ in 0..<random.number(in: 1...4) {
          var inner = new
          let isUndone = random.chance(30)
          do {
            try transaction.savepoint {
              try change(inside, &inner)
              try change(inside, &inner)
              if isUndone { throw Refusal() }
            }
            new = inner
          } catch is Refusal {
          }
        }
        let all = try inside.elements(in: 0..<new.elements.count)
        try require(storedBytes(all) == storedBytes(new.elements), "in a transaction")
        let holes = try inside.holes
        try require(holes == new.holes.sorted(), "in a transaction: holes \(holes)")
        if fails { throw Refusal() }
      }
      written = new
    } catch is Refusal {
    }
    now = written
  }

  private mutating func stamp() throws {
    let stamp = nextStamp
    nextStamp += UInt64(random.number(in: 1...3))
    try vector.commit(stamp: stamp)
    written = now
    stamps.append((stamp, now))
    stamps = stamps.suffix(Self.stampLimit + 1)
  }

  private mutating func rollBack() throws {
    guard !stamps.isEmpty else { return }
    let target = random.below(stamps.count)
    try vector.rollback(to: stamps[target].stamp)
    stamps.removeSubrange((target + 1)...)
    written = stamps[target].content
    now = written
  }

  private mutating func reopen() throws {
    snapshots = []
    readers = []
    now = written
    if random.chance(50) {
      // Under `.none` only a checkpoint promises anything.
      if options.durability == .none { try database.checkpoint() }
      database.pager.abandon()
    } else {
      try database.close()
    }
    memory = memory.reopen()
    database = try openDatabase(in: memory, options)
    vector = try Self.open(database)
    try check()
  }

  private mutating func check() throws {
    try requireSound(database, "the file")
    let count = try vector.count
    try require(count == now.elements.count, "count \(count), expected \(now.elements.count)")
    let holes = try vector.holes
    try require(holes == now.holes.sorted(), "holes \(holes)")
    if count > 0 {
      let index = random.below(count)
      let found = try vector.element(at: index).map { storedBytes([$0]) }
      let expected = now.holes.contains(index) ? nil : storedBytes([now.elements[index]])
      try require(found == expected, "element \(index)")
    }
    try written.expect(vector.reader(), &random, "what is written")
    let known = try vector.stamps
    try require(known == stamps.map(\.stamp), "stamps \(known)")
    for (snapshot, content) in snapshots {
      let seen = try snapshot.compressedVector("v", of: Element.self, version: 3)
      guard let seen else { throw TestFailure("a snapshot has no vector") }
      try content.expect(seen.reader(), &random, "a snapshot")
    }
    for (reader, content) in readers { try content.expect(reader, &random, "a reader") }
  }
}
