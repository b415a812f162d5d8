@testable import BTreeKV
import Pager
import TestSupport
import Testing
import Vectors

/// Random histories of a vector against an array: buffered changes and transactions that come to
/// nothing, holes, stamps and rollbacks, snapshots and readers held for long, reopening and deaths of the
/// process.
@Suite struct RawVectorModelTests {
  private func run<Element: SampleElement>(_ type: Element.Type, number: Int) throws {
    for round in 0..<lengthFactor {
      let seed = runSeed &* 1000 + UInt64(number + 100 * round)
      var history = try VectorHistory<Element>(
        seed: seed, durability: Database.Durability.allCases[number % 3],
        pageSize: [4096, 16384, 4096, 65536][number % 4], isFile: number % 2 == 0)
      do {
        try history.run(steps: 120)
      } catch {
        throw TestFailure("\(type), seed \(seed): \(error)")
      }
    }
  }

  @Test(arguments: 0..<4) func words(number: Int) throws { try run(UInt64.self, number: number) }

  @Test(arguments: 4..<6) func bytes(number: Int) throws { try run(UInt8.self, number: number) }

  @Test(arguments: 6..<9) func triples(number: Int) throws { try run(Triple.self, number: number) }

  @Test(arguments: 9..<11) func simd(number: Int) throws {
    try run(SIMD3<Float>.self, number: number)
  }

  @Test func flags() throws { try run(Bool.self, number: 11) }
}

/// A vector as an array; what lies beneath a hole is still there.
struct VectorModel<Element: SampleElement> {
  struct Content {
    var elements: [Element] = []
    var holes: Set<Int> = []
  }

  /// With what is buffered.
  var now = Content()
  var written = Content()
  var stamps: [(stamp: UInt64, content: Content)] = []
}

/// A run of changes of a vector and what should have come of them.
struct VectorHistory<Element: SampleElement> {
  private struct Refusal: Error {}
  private typealias Content = VectorModel<Element>.Content
  private static var stampLimit: Int { 4 }

  private var memory: MemoryStorage?
  private let folder: TemporaryFolder
  private let options: Database.Options
  private var database: Database
  private var vector: RawVector<Element>
  private var random: SeededRandom
  private var model = VectorModel<Element>()
  private var nextStamp: UInt64 = 1
  private var snapshots: [(snapshot: Snapshot, content: Content)] = []
  private var readers: [(reader: RawVectorReader<Element>, content: Content)] = []

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
    vector = try RawVector.open("v", in: database, version: 3, stampLimit: Self.stampLimit)
  }

  mutating func run(steps: Int) throws {
    for step in 0..<steps {
      do {
        try self.step()
        if step % 5 == 0 { try check() }
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
      snapshots.append((try database.snapshot(), model.written))
    case 3, 4:
      if readers.count > 3 { readers.remove(at: random.below(readers.count)) }
      readers.append((try vector.reader(), model.written))
    case 5, 6: try transact()
    case 7, 8: try stamp()
    case 9: try rollBack()
    case 10:
      try vector.fold()
      model.written = model.now
    case 11:
      vector.discard()
      model.now = model.written
    case 12, 13:
      try vector.write()
      model.written = model.now
    default:
      for _ in 0..<random.number(in: 1...3) { try change() }
    }
  }

  /// Mostly few; now and then over several chunks.
  private mutating func someElements() -> [Element] {
    let longest = [1, 10, 300, 5000, 20_000][random.below(5)]
    return (0..<random.below(longest + 1)).map { _ in Element(number: random.next()) }
  }

  /// A change that is buffered.
  private mutating func change() throws {
    let count = model.now.elements.count
    switch random.below(10) {
    case 0:
      let cut =
        random.chance(50) ? random.below(count + 1) : count - random.below(min(count, 50) + 1)
      try vector.truncate(to: cut)
      model.now.elements.removeLast(count - cut)
      model.now.holes = model.now.holes.filter { $0 < cut }
    case 1, 2, 3:
      guard count > 0 else { return }
      for (index, element) in someUpdates(below: count) {
        try vector.update(at: index, element)
        model.now.elements[index] = element
        model.now.holes.remove(index)
      }
    case 4:
      guard count > 0 else { return }
      for _ in 0..<random.below(20) {
        let index = random.below(count)
        let taken = try vector.take(at: index)
        let isNew = model.now.holes.insert(index).inserted
        try expect(taken, isNew ? model.now.elements[index] : nil, "taken at \(index)")
      }
    case 5:
      let element = Element(number: random.next())
      let hole = model.now.holes.min()
      let index = try vector.fillFirstHole(orAppend: element)
      try require(index == hole ?? count, "filled \(index), expected \(hole ?? count)")
      if let hole {
        model.now.elements[hole] = element
        model.now.holes.remove(hole)
      } else {
        model.now.elements.append(element)
      }
    case 6:
      let element = Element(number: random.next())
      let target = count + random.below(1000) - 100
      try vector.fill(to: target, with: element)
      model.now.elements += Array(repeating: element, count: max(0, target - count))
    case 7:
      let element = Element(number: random.next())
      vector.append(element)
      model.now.elements.append(element)
    default:
      let new = someElements()
      vector.append(contentsOf: new)
      model.now.elements += new
    }
    try expectElement()
  }

  /// Some anywhere, or many side by side, so that blocks are folded.
  private mutating func someUpdates(below count: Int) -> [(Int, Element)] {
    let start = random.below(count)
    let isDense = random.chance(30)
    return (0..<random.below(isDense ? 3000 : 60)).map { _ in
      let index = isDense ? min(count - 1, start + random.below(4000)) : random.below(count)
      return (index, Element(number: random.next()))
    }
  }

  /// A change in a transaction, which begins with what is written.
  private static func change(
    _ inside: borrowing TransactionRawVector<Element>, _ content: inout Content,
    _ random: inout SeededRandom
  ) throws {
    let count = content.elements.count
    switch random.below(6) {
    case 0:
      let cut = random.below(count + 1)
      try inside.truncate(to: cut)
      content.elements.removeLast(count - cut)
      content.holes = content.holes.filter { $0 < cut }
    case 1:
      guard count > 0 else { return }
      let updates = (0..<random.below(50)).map { _ in
        (random.below(count), Element(number: random.next()))
      }
      try inside.update(updates)
      for (index, element) in updates {
        content.elements[index] = element
        content.holes.remove(index)
      }
    case 2:
      guard count > 0 else { return }
      let index = random.below(count)
      try inside.take(at: index)
      content.holes.insert(index)
    case 3:
      let element = Element(number: random.next())
      try inside.fill(to: count + 70, with: element)
      content.elements += Array(repeating: element, count: 70)
    default:
      let new = (0..<random.below(3000)).map { _ in Element(number: random.next()) }
      let start = try inside.append(contentsOf: new)
      try require(start == count, "appended at \(start), not at \(count)")
      content.elements += new
    }
  }

  /// A transaction with savepoints, some of which throw, as does the whole now and then.
  private mutating func transact() throws {
    vector.discard()
    var new = model.written
    let fails = random.chance(30)
    do {
      try database.write { transaction in
        let inside = vector.access(in: transaction)
        for _ in 0..<random.number(in: 1...4) {
          var inner = new
          let isUndone = random.chance(30)
          do {
            try transaction.savepoint {
              try Self.change(inside, &inner, &random)
              try Self.change(inside, &inner, &random)
              if isUndone { throw Refusal() }
            }
            new = inner
          } catch is Refusal {
          }
        }
        try Self.compare(inside.reader(), new, "in a transaction")
        if fails { throw Refusal() }
      }
      model.written = new
    } catch is Refusal {
    }
    model.now = model.written
  }

  private mutating func stamp() throws {
    let stamp = nextStamp
    nextStamp += UInt64(random.number(in: 1...3))
    try vector.commit(stamp: stamp)
    model.written = model.now
    model.stamps.append((stamp, model.now))
    model.stamps = model.stamps.suffix(Self.stampLimit + 1)
  }

  private mutating func rollBack() throws {
    let target: Int
    let found: UInt64?
    switch random.below(3) {
    case 0:
      target = model.stamps.count - 2
      found = try target < 0 ? none { try vector.rollback() } : vector.rollback()
    case 1:
      let stamp = UInt64(random.below(Int(nextStamp) + 1))
      target = (model.stamps.lastIndex { $0.stamp < stamp }) ?? -1
      found =
        try target < 0
        ? none { try vector.rollback(before: stamp) } : vector.rollback(before: stamp)
    default:
      guard !model.stamps.isEmpty else { return }
      target = random.below(model.stamps.count)
      try vector.rollback(to: model.stamps[target].stamp)
      found = model.stamps[target].stamp
    }
    guard target >= 0 else { return }
    try require(found == model.stamps[target].stamp, "rolled back to \(found ?? 0)")
    model.stamps.removeSubrange((target + 1)...)
    model.written = model.stamps[target].content
    model.now = model.written
  }

  /// Demands that there is no stamp to go back to.
  private func none(_ body: () throws -> UInt64) throws -> UInt64? {
    let code = errorCode { _ = try body() }
    try require(code == .notFound, "rolling back where nothing is: \(code.map(\.name) ?? "done")")
    return nil
  }

  private mutating func reopen() throws {
    snapshots = []
    readers = []
    model.now = model.written
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
    vector = try RawVector.open("v", in: database, version: 3, stampLimit: Self.stampLimit)
    try check()
  }

  // MARK: Comparing

  private func expect(_ found: Element?, _ expected: Element?, _ what: String) throws {
    let (found, expected) = (found.map { storedBytes([$0]) }, expected.map { storedBytes([$0]) })
    try require(found == expected, "\(what): \(found ?? []), expected \(expected ?? [])")
  }

  /// Looks at one element through the handle, buffered or not.
  private mutating func expectElement() throws {
    let count = try vector.count
    try require(
      count == model.now.elements.count, "count \(count), expected \(model.now.elements.count)")
    guard count > 0 else { return }
    let index = random.below(count)
    try expect(
      vector.element(at: index),
      model.now.holes.contains(index) ? nil : model.now.elements[index], "element \(index)")
  }

  private static func compare(
    _ reader: RawVectorReader<Element>, _ content: Content, _ what: String
  ) throws {
    let (found, expected) = (storedBytes(reader), storedBytes(content.elements))
    let difference = zip(found, expected).enumerated().first { $0.element.0 != $0.element.1 }
    try require(
      found == expected,
      "\(what): \(reader.count) elements, expected \(content.elements.count), first different byte "
        + "\(difference?.offset ?? -1)")
    try require(runBytes(reader) == expected, "\(what): the runs differ")
    try require(reader.holes == content.holes.sorted(), "\(what): holes \(reader.holes)")
  }

  private mutating func check() throws {
    try requireSound(database, "the file")
    try vector.verify()
    try expectElement()
    let holes = try vector.holes
    try require(holes == model.now.holes.sorted(), "holes \(holes)")
    try Self.compare(vector.reader(), model.written, "what is written")
    let stamps = try vector.stamps
    try require(stamps == model.stamps.map(\.stamp), "stamps \(stamps)")
    for (snapshot, content) in snapshots {
      let seen = try snapshot.rawVector("v", of: Element.self, version: 3)
      guard let seen else { throw TestFailure("a snapshot has no vector") }
      try Self.compare(seen.reader(), content, "a snapshot")
    }
    for (reader, content) in readers { try Self.compare(reader, content, "a reader") }
  }
}
