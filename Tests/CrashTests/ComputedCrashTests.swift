import CrashSupport
import TestSupport
import Testing

@testable import BTreeKV
@testable import Pager
@testable import Vectors

/// Power cuts while a vector changes and columns that are computed from it are updated: afterwards an
/// update makes them right, and what was called up to date is right without one.
@Suite struct ComputedCrashTests {
  @Test(arguments: [Database.Durability.sync, .flush, .none])
  func columnsAreRightAfterAnUpdate(durability: Database.Durability) throws {
    var workload = try ComputedWorkload(seed: CrashTests.firstSeed, durability: durability)
    try workload.run(40)
    let problems = workload.problems(imageCount: CrashTests.isLong ? 600 : 30)
    #expect(problems.isEmpty, "\(problems.joined(separator: "\n"))")
  }
}

private struct ComputedWorkload {
  private typealias Column = ComputedVector<Int64, RawVector<Int64>>

  private let seed: UInt64
  private let durability: Database.Durability
  private let storage: RecordingStorage
  private var random: CrashRandom

  init(seed: UInt64, durability: Database.Durability) throws {
    self.seed = seed
    self.durability = durability
    storage = try RecordingStorage()
    random = CrashRandom(seed: seed)
  }

  private var options: Database.Options { LogImage.options(durability) }

  private func source(in database: Database) throws -> RawVector<Int64> {
    try RawVector.open("source", in: database, stampLimit: 3)
  }

  /// The second one is computed from the first and the source.
  private func columns(in database: Database) throws -> [Column] {
    let source = try source(in: database)
    let sums = Column(
      try RawVector.open("sums", in: database), from: source, by: .rollingSum(over: 100))
    return [
      sums,
      Column(
        try RawVector.open("differences", in: database), from: sums.elements, source,
        by: .subtraction),
    ]
  }

  mutating func run(_ count: Int) throws {
    let database = try Database.open(
      storage: storage, options: options, hasBackgroundThreads: false)
    let source = try source(in: database)
    for number in 0..<count {
      try change(source, stamp: UInt64(number + 1))
      for column in try columns(in: database) where random.below(3) > 0 {
        _ = try column.update(nil, elementsPerCommit: [50, 1000, 1 << 18][random.below(3)])
      }
      storage.recorder.mark()
      if number % 13 == 12 { try database.checkpoint() }
    }
    withExtendedLifetime(database) { database.pager.abandon() }
  }

  private mutating func change(_ source: RawVector<Int64>, stamp: UInt64) throws {
    let count = try source.count
    switch random.below(6) {
    case 0: try source.truncate(to: random.below(count + 1))
    case 1 where count > 0: try source.take(at: random.below(count))
    case 2 where try !source.stamps.isEmpty: try source.rollback(before: stamp)
    case 3 where count > 0:
      for _ in 0..<5 { try source.update(at: random.below(count), Int64(random.below(1000))) }
    default: break
    }
    for _ in 0..<random.below(400) { source.append(Int64(random.below(1000))) }
    if random.below(3) == 0 { try source.commit(stamp: stamp) } else { try source.write() }
  }

  /// One line for each image that is not as it should be, of the first few.
  func problems(imageCount: Int) -> [String] {
    var random = CrashRandom(seed: seed ^ 0xC0FFEE)
    var simulator = CrashSimulator(storage.recorder)
    let steps = (0..<imageCount).map { _ in random.below(simulator.eventCount + 1) }
    var problems: [String] = []
    for step in steps.sorted() where problems.count < 3 {
      simulator.advance(to: step)
      let imageSeed = random.next()
      let image = simulator.image(seed: imageSeed)
      do {
        try check(MemoryStorage(contents: image.contents))
      } catch {
        problems.append("seed \(seed), step \(step), image \(imageSeed): \(error)")
      }
    }
    return problems
  }

  private func check(_ storage: MemoryStorage) throws {
    let database = try Database.open(
      storage: storage, options: options, hasBackgroundThreads: false)
    defer { database.abandon() }
    let columns = try columns(in: database)
    for (place, column) in columns.enumerated() {
      if try column.isUpToDate { try compare(columns, place, "before an update") }
      try column.update()
      try compare(columns, place, "after an update")
      try column.elements.verify()
    }
    try requireSound(database, "after updates")
  }

  private func compare(_ columns: [Column], _ place: Int, _ when: String) throws {
    let source = try source(in: columns[0].elements.database).reader()
    let sums = try columns[0].elements.reader()
    let reader = try columns[place].elements.reader()
    try require(
      reader.count == (place == 0 ? source.count : min(sums.count, source.count)),
      "\(when) column \(place) has \(reader.count) elements of \(source.count)")
    var window: Int64 = 0
    for index in reader.indices {
      var expected: Int64?
      window += source.element(at: index) ?? 0
      if index >= 100 { window -= source.element(at: index - 100) ?? 0 }
      if let element = source.element(at: index) {
        expected = place == 0 ? window : sums.element(at: index).map { $0 - element }
      }
      try require(
        reader.element(at: index) == expected, "\(when) column \(place) is wrong at \(index)")
    }
  }
}
