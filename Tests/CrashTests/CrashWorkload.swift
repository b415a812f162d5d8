import Foundation

@testable import BTreeKV
@testable import Pager

/// What was done to a recorded file, to be crashed at any step of it.
protocol CrashRun {
  var seed: UInt64 { get }
  var durability: Database.Durability { get }
  var storage: RecordingStorage { get }
  var history: CrashHistory { get }
  var options: Database.Options { get }
}

/// A seeded run of operations on a recorded file, with closes and openings in between.
struct CrashWorkload: CrashRun {
  let seed: UInt64
  let durability: Database.Durability
  let storage: RecordingStorage
  private(set) var history = CrashHistory()
  private var random: CrashRandom
  private var keyCount: Int
  private var valueLimit: Int
  private let pageSize: Int
  private let cacheByteCount: Int

  init(seed: UInt64, durability: Database.Durability) throws {
    self.seed = seed
    self.durability = durability
    storage = try RecordingStorage()
    random = CrashRandom(seed: seed)
    keyCount = [20, 150, 600][random.below(3)]
    valueLimit = [30, 300, 1000][random.below(3)]
    pageSize = [4096, 4096, 8192][random.below(3)]
    cacheByteCount = [1 << 10, 64 << 20][random.below(2)]
  }

  var options: Database.Options {
    var options = Database.Options()
    options.pageSize = pageSize
    options.cacheByteCount = cacheByteCount
    options.durability = durability
    return options
  }

  /// Runs `count` operations, creating the file first and leaving it closed or not.
  mutating func run(_ count: Int) throws {
    var storage = storage
    var database = try open(storage)
    for _ in 0..<count {
      if random.once(in: 150) {
        try durableStep { try database.close() }
        storage = storage.reopen()
        database = try open(storage)
      } else if random.once(in: 40) {
        try durableStep { try database.checkpoint() }
      } else if durability == .flush, random.once(in: 20) {
        try database.waitUntilDurable()
        recorder.mark()
      } else {
        try mutate(database)
      }
      if random.once(in: 100) { keyCount = max(5, keyCount * [1, 2, 3][random.below(3)] / 2) }
    }
    if random.once(in: 2) {
      try durableStep { try database.close() }
    } else {
      withExtendedLifetime(database) { database.pager.abandon() }
    }
  }

  private var recorder: Recorder { storage.recorder }

  private func open(_ storage: RecordingStorage) throws -> Database {
    let database = try Database.open(
      storage: storage, options: options, hasBackgroundThreads: false)
    recorder.mark()
    return database
  }

  private mutating func durableStep(_ body: () throws -> Void) throws {
    let start = recorder.eventCount
    try body()
    recorder.mark()
    history.checkpoint(start: start, end: recorder.eventCount)
  }

  private mutating func mutate(_ database: Database) throws {
    let number = random.below(keyCount)
    let key = Array("key-\(String(repeating: "x", count: number % 7))-\(number)".utf8)
    let start = recorder.eventCount
    if random.below(100) < 30 {
      let wasThere = try database.remove(key)
      let isThere = history.value(key) != nil
      guard wasThere == isThere else { throw Surprise("remove said \(wasThere), seed \(seed)") }
      recorder.mark()
      history.set(key, nil, start: start, end: recorder.eventCount)
      return
    }
    let value: [UInt8]
    switch random.below(100) {
    case 0..<6: value = random.bytes(1500 + random.below(30_000))
    case 6: value = random.bytes(60_000 + random.below(200_000))
    default: value = random.bytes(random.below(valueLimit))
    }
    try database.insert(key, value)
    recorder.mark()
    history.set(key, value, start: start, end: recorder.eventCount)
  }
}

/// Something that is not as it should be.
struct Surprise: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

/// Opens images and says what is wrong with what is found.
enum CrashCheck {
  /// How many images were opened so far.
  struct Tally {
    var images = 0
    var recoveries = 0
  }

  /// Opens an image, verifies it, and gives its content.
  static func content(
    of storage: some Storage, _ options: Database.Options
  ) throws -> (digest: ContentDigest, database: Database) {
    let database = try Database.open(
      storage: storage, options: options, hasBackgroundThreads: false)
    let report = try database.verify()
    guard report.isSound else {
      throw Surprise("verify: " + report.problems.prefix(3).joined(separator: "; "))
    }
    return (try ContentDigest(of: database), database)
  }

  /// Crashes a finished workload at many steps; one line for each image that is not as it should.
  static func problems(
    of workload: some CrashRun, images: Int, tally: inout Tally
  ) -> [String] {
    var random = CrashRandom(seed: workload.seed ^ 0xC0FFEE)
    let eventCount = workload.storage.recorder.eventCount
    var steps = (0..<images).map { _ in random.below(eventCount + 1) }
    steps.append(eventCount)
    steps.sort()
    var simulator = CrashSimulator(workload.storage.recorder)
    var problems: [String] = []
    for step in steps {
      simulator.advance(to: step)
      let imageSeed = random.next()
      let image = simulator.image(seed: imageSeed)
      let allowed = workload.history.allowed(
        workload.durability, step: step, syncEnd: simulator.lastSyncEnd,
        isComplete: image.isComplete)
      let place =
        "seed \(workload.seed) \(workload.durability) step \(step)/\(eventCount) image \(imageSeed) "
        + "mode \(image.mode), operations \(allowed.first ?? -1)...\(allowed.last ?? -1)"
      tally.images += 1
      do {
        try check(image.contents, workload, allowed, random.next(), &tally)
      } catch {
        problems.append("\(place): \(error)")
        if problems.count > 5 { return problems }
      }
    }
    return problems
  }

  private static func check(
    _ contents: [UInt8], _ workload: some CrashRun, _ allowed: [Int], _ seed: UInt64,
    _ tally: inout Tally
  ) throws {
    let storage = try RecordingStorage(contents: contents)
    let (digest, database) = try content(of: storage, workload.options)
    guard allowed.contains(where: { workload.history.digests[$0] == digest }) else {
      let others = workload.history.digests.indices.filter {
        workload.history.digests[$0] == digest
      }
      throw Surprise("the content is that after operations \(others.suffix(3))")
    }
    let openingEnd = storage.recorder.eventCount
    // It must also be possible to go on working.
    try database.insert("after the crash", "value")
    try database.write { try $0.tree("after the crash").insert("key", "value") }
    if seed & 1 == 0 { try database.close() } else { database.pager.abandon() }
    guard seed % 4 == 0, openingEnd > 0 else { return }
    var simulator = CrashSimulator(storage.recorder)
    var random = CrashRandom(seed: seed)
    for step in (0..<3).map({ _ in random.below(openingEnd) }).sorted() {
      simulator.advance(to: step)
      let imageSeed = random.next()
      let again = try MemoryStorage(contents: simulator.image(seed: imageSeed).contents)
      tally.recoveries += 1
      let second: ContentDigest
      do {
        second = try content(of: again, workload.options).digest
      } catch {
        throw Surprise("recovery crashed at \(step)/\(openingEnd), image \(imageSeed): \(error)")
      }
      guard second == digest else {
        throw Surprise(
          "recovery crashed at \(step)/\(openingEnd), image \(imageSeed): another content")
      }
    }
  }
}
