import CrashSupport
import TestSupport
import Testing
import Vectors

@testable import BTreeKV
@testable import Pager

/// Power cuts while vectors are changed: afterwards one is as some commit left it, with its holes and
/// stamps, and goes back to each of these.
@Suite struct VectorCrashTests {
  @Test(arguments: [Database.Durability.sync, .flush, .none])
  func vectorsAreAtCommits(durability: Database.Durability) throws {
    try run(durability, isCompressed: false)
  }

  @Test(arguments: [Database.Durability.sync, .flush, .none])
  func compressedVectorsAreAtCommits(durability: Database.Durability) throws {
    try run(durability, isCompressed: true)
  }

  private func run(_ durability: Database.Durability, isCompressed: Bool) throws {
    let seed = CrashTests.firstSeed
    var workload = try VectorWorkload(
      seed: seed, durability: durability, isCompressed: isCompressed)
    try workload.run(40)
    let problems = workload.problems(imageCount: CrashTests.isLong ? 600 : 40)
    #expect(problems.isEmpty, "\(problems.joined(separator: "\n"))")
  }
}

/// What a vector is: its elements, holes and stamps.
private struct VectorContent: Equatable {
  var elements: [UInt32] = []
  var holes: [Int] = []
  var stamps: [UInt64] = []

  init() {}

  init(_ vector: BufferedVector<UInt32>) throws {
    if let raw = vector as? RawVector { elements = Array(try raw.reader()) }
    if let compressed = vector as? CompressedVector {
      elements = try compressed.reader().elements()
    }
    holes = try vector.holes
    stamps = try vector.stamps
  }

  /// Something that only this content has.
  var digest: ContentDigest {
    var digest = ContentDigest()
    let words = elements.map(UInt64.init) + holes.map { UInt64($0) } + stamps
    let counts = [elements.count, holes.count, stamps.count].map { UInt64($0) }
    let bytes = (counts + words).withUnsafeBytes { Array($0) }
    digest.add([0], bytes)
    return digest
  }
}

/// Changes of one vector, each with what it left.
private struct VectorWorkload {
  private let seed: UInt64
  private let durability: Database.Durability
  private let isCompressed: Bool
  private let storage: RecordingStorage
  private var history = CrashHistory(VectorContent().digest)
  private var random: CrashRandom
  /// What was there at each stamp.
  private var stamped: [UInt64: VectorContent] = [:]

  init(seed: UInt64, durability: Database.Durability, isCompressed: Bool) throws {
    self.seed = seed
    self.durability = durability
    self.isCompressed = isCompressed
    storage = try RecordingStorage()
    random = CrashRandom(seed: seed)
  }

  private var options: Database.Options { LogImage.options(durability) }

  private func open(_ database: Database) throws -> BufferedVector<UInt32> {
    guard isCompressed else { return try RawVector.open("v", in: database, stampLimit: 3) }
    return try CompressedVector.open(
      "v", in: database, stampLimit: 3,
      options: CompressionOptions(level: 1, pageElementCount: 1024))
  }

  mutating func run(_ count: Int) throws {
    let database = try Database.open(
      storage: storage, options: options, hasBackgroundThreads: false)
    let vector = try open(database)
    note(.change(durability), VectorContent(), start: 0)
    for number in 0..<count {
      try buffer(vector)
      let start = storage.recorder.eventCount
      switch random.below(6) {
      case 0:
        guard try vector.stamps.count > 1 else { continue }
        try vector.rollback()
      case 1, 2:
        try vector.commit(stamp: UInt64(number + 1))
        stamped[UInt64(number + 1)] = try VectorContent(vector)
      case 3: try vector.fold()
      default: try vector.write()
      }
      storage.recorder.mark()
      let content = try VectorContent(vector)
      note(.change(durability), content, start: start)
      if number % 13 == 12 {
        let start = storage.recorder.eventCount
        try database.checkpoint()
        note(.barrier, content, start: start)
      }
    }
    withExtendedLifetime(database) { database.pager.abandon() }
  }

  private mutating func note(
    _ kind: CrashHistory.Kind, _ content: VectorContent, start: Int
  ) {
    history.note(kind, content.digest, start: start, end: storage.recorder.eventCount)
  }

  private mutating func buffer(_ vector: BufferedVector<UInt32>) throws {
    for _ in 0..<random.below(4) {
      let count = try vector.count
      switch random.below(5) {
      case 0 where count > 0: try vector.truncate(to: random.below(count))
      case 1 where count > 0: try vector.take(at: random.below(count))
      case 2, 3:
        guard count > 0 else { continue }
        for _ in 0..<random.below(200) {
          try vector.update(at: random.below(count), UInt32(truncatingIfNeeded: random.next()))
        }
      default:
        for _ in 0..<random.below(12_000) {
          vector.append(UInt32(truncatingIfNeeded: random.next()))
        }
      }
    }
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
      let allowed = history.allowed(
        at: step, syncEnd: simulator.lastSyncEnd, isComplete: image.isComplete)
      do {
        try check(MemoryStorage(contents: image.contents), allowed)
      } catch {
        problems.append("seed \(seed), step \(step), image \(imageSeed): \(error)")
      }
    }
    return problems
  }

  /// Opens what is left, compares, and goes back stamp by stamp.
  private func check(_ storage: MemoryStorage, _ allowed: some Sequence<Int>) throws {
    let database = try Database.open(
      storage: storage, options: options, hasBackgroundThreads: false)
    defer { database.abandon() }
    let vector = try open(database)
    let content = try VectorContent(vector)
    try require(
      allowed.contains { history.digests[$0] == content.digest },
      "\(content.elements.count) elements, which no commit left")
    try requireSound(database, "what is left")
    for stamp in content.stamps.reversed() {
      try vector.rollback(to: stamp)
      let (found, expected) = (try VectorContent(vector), stamped[stamp])
      try require(
        found.elements == expected?.elements && found.holes == expected?.holes
          && found.stamps.last == stamp,
        "going back to stamp \(stamp) leads to \(found.elements.count) elements, not "
          + "\(expected?.elements.count ?? -1)")
    }
    try vector.verify()
    try requireSound(database, "after going back")
  }
}
