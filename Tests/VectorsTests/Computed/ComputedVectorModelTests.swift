@testable import BTreeKV
import Pager
import TestSupport
import Testing

@testable import Vectors

/// Random histories of a source that grows, is changed in place, cut off, stamped and rolled back, with
/// reopening and deaths of the process; after each update the columns have the bits that they have when
/// they are computed at once, and are what a naive computation says.
@Suite struct ComputedVectorModelTests {
  @Test(arguments: 0..<6) func histories(number: Int) throws {
    for round in 0..<lengthFactor {
      let seed = runSeed &* 1000 + UInt64(number + 100 * round)
      var history = try ComputedHistory(seed: seed, isCompressed: number % 2 == 1)
      do {
        try history.run(steps: 40)
      } catch {
        throw TestFailure("seed \(seed): \(error)")
      }
    }
  }
}

private struct ComputedHistory {
  private typealias Column = ComputedVector<Double, RawVector<Double>>

  private let isCompressed: Bool
  private var storage: MemoryStorage
  private var database: Database
  private var random: SeededRandom
  private var nextStamp: UInt64 = 1
  private let samples: [RuleSample<Double, Double>]

  init(seed: UInt64, isCompressed: Bool) throws {
    self.isCompressed = isCompressed
    random = SeededRandom(seed: seed)
    storage = try MemoryStorage()
    database = try openDatabase(in: storage)
    let width = [1, 2, 5, 40, 300][random.below(5)]
    samples = floatSamples(width) + floatExtremeSamples(width)
  }

  private var options: CompressionOptions { CompressionOptions(level: 1, pageElementCount: 256) }

  private func source() throws -> BufferedVector<Double> {
    isCompressed
      ? try CompressedVector.open("source", in: database, stampLimit: 3, options: options)
      : try RawVector.open("source", in: database, stampLimit: 3)
  }

  private func column(_ place: Int) throws -> Column {
    ComputedVector(
      try RawVector.open("column \(place)", in: database), from: try source(),
      by: samples[place].rule)
  }

  /// The sum of each rule's column and the source: computed from what is computed.
  private func chained(_ place: Int, _ name: String = "chained") throws -> Column {
    ComputedVector(
      try RawVector.open("\(name) \(place)", in: database), from: try column(place).elements,
      try source(), by: .addition)
  }

  mutating func run(steps: Int) throws {
    for step in 0..<steps {
      do {
        try change()
        if random.chance(15) { try reopen() }
        // Not all of them each time, so that some lag behind.
        for place in samples.indices where random.chance(20) { try update(place) }
      } catch {
        throw TestFailure("step \(step): \(error)")
      }
    }
    for place in samples.indices { try update(place) }
    try requireSound(database, "at the end")
    try database.close()
  }

  private mutating func change() throws {
    let vector = try source()
    let count = try vector.count
    switch random.below(9) {
    case _ where count > 500: try vector.truncate(to: random.below(200))
    case 0: try vector.truncate(to: count - random.below(min(count, 300) + 1))
    case 1, 2:
      for _ in 0..<(count > 0 ? random.below(5) : 0) {
        let index = count - 1 - random.below(min(count, 200))
        try vector.update(at: index, Double(random.below(1000)))
      }
    case 3:
      for _ in 0..<(count > 0 ? random.below(4) : 0) {
        try vector.take(at: count - 1 - random.below(min(count, 200)))
      }
    case 4: try vector.fillFirstHole(orAppend: 3.5)
    case 5:
      try vector.commit(stamp: nextStamp)
      nextStamp += 1
    case 6:
      let stamps = try vector.stamps
      if !stamps.isEmpty { try vector.rollback(to: stamps[random.below(stamps.count)]) }
    case 7: try vector.fold()
    default: break
    }
    if random.chance(60) {
      let numbers = (0..<random.below(150)).map { _ in Double(random.below(20_000) - 10_000) / 8 }
      vector.append(contentsOf: numbers)
    }
    try vector.write()
  }

  private mutating func reopen() throws {
    if random.chance(50) {
      try database.waitUntilDurable()
      database.abandon()
    } else {
      try database.close()
    }
    storage = storage.reopen()
    database = try openDatabase(in: storage)
  }

  private mutating func update(_ place: Int) throws {
    let column = try column(place)
    let what = column.rule
    let before = try column.elements.count
    let wasUpToDate = try column.isUpToDate
    let told = try description(place)
    try require(
      told?.isUpToDate ?? false == wasUpToDate, "\(what): told \(String(describing: told))")
    let computed = try column.update(nil, elementsPerCommit: [7, 100, 1 << 18][random.below(3)])
    let source = try present(source())
    try require(computed.upperBound == source.count, "\(what): computed \(computed)")
    try require(!wasUpToDate || computed.isEmpty, "\(what): needlessly computed \(computed)")
    try require(computed.lowerBound <= before, "\(what): left out up to \(computed)")
    try require(try column.isUpToDate, "\(what): not up to date")
    try require(
      told?.rightCount ?? 0 == computed.lowerBound,
      "\(what): computed \(computed), told \(String(describing: told))")
    let now = try description(place)
    try require(
      now?.isUpToDate == true && now?.rule == what && now?.sources == ["source"],
      "\(what): told \(String(describing: now)) after an update")
    let fresh = ComputedVector(
      try RawVector<Double>.open("fresh", in: database), from: try self.source(),
      by: samples[place].rule, version: UInt32(truncatingIfNeeded: random.next()))
    try fresh.update()
    try require(
      try ComputedContent(column.elements) == ComputedContent(fresh.elements),
      "\(what): other bits than at once, computed \(computed)")
    guard random.chance(30) else { return }
    let scale = source.reduce(1) { $0 + abs($1 ?? 0) }
    let found = presentElements(try column.elements.reader())
    try requireNear(
      found, samples[place].expected(source),
      distance: samples[place].distance + samples[place].tolerance * scale, what)
    let chained = try chained(place)
    try chained.update()
    try requireNear(
      presentElements(try chained.elements.reader()),
      zip(found, source).map { found, source in found.flatMap { found in source.map { found + $0 } }
      },
      distance: 0, "\(what) and the source")
  }

  /// What the file says of a column.
  private func description(_ place: Int) throws -> ComputationDescription? {
    try database.vectors().first { $0.name == "column \(place)" }?.computation
  }

  private func present(_ vector: BufferedVector<Double>) throws -> [Double?] {
    if let raw = vector as? RawVector<Double> { return presentElements(try raw.reader()) }
    guard let compressed = vector as? CompressedVector<Double> else { return [] }
    let reader = try compressed.reader()
    return try (0..<reader.count).map { try reader.element(at: $0) }
  }
}
