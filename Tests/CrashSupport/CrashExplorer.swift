import BTreeKV
import Pager
import TestSupport

/// A broken promise, and where it was seen.
package struct CrashFind: Error, CustomStringConvertible {
  /// How one got there: the step and the image of each crash.
  package var path: [String] = []
  package var message: String

  package var description: String { (path + [message]).joined(separator: ", ") }
}

/// Crashes workloads at many instants, opens what is left, and compares it with what was promised.
package struct CrashExplorer {
  package struct Settings: Sendable {
    /// Images just before and just after each sync.
    package var imagesPerSync = 3
    /// Images at other instants.
    package var sampleCount = 60
    /// How many crashes may follow on the first one.
    package var depthLimit = 2
    /// Of a hundred images so many are worked on with, and crashed again.
    package var nestedPercent = 7

    package init() {}
  }

  package let settings: Settings
  package private(set) var tally = CrashTally()
  private let states: CrashStates

  package init(_ settings: Settings = Settings(), states: CrashStates = CrashStates()) {
    self.settings = settings
    self.states = states
  }

  /// Runs a workload on a new file, and crashes it.
  package mutating func explore(_ plan: CrashPlan, seed: UInt64) throws(CrashFind) {
    tally.workloads += 1
    tally.operations += plan.operations.count
    let run = try Self.run(plan)
    try explore(run, random: CrashRandom(seed: seed), depth: 0)
  }

  /// Runs a workload on a new file, without crashing it.
  @discardableResult
  package static func run(_ plan: CrashPlan) throws(CrashFind) -> CrashRun {
    do {
      var run = try CrashRun(plan)
      let (database, _) = try run.open()
      try run.run(database)
      return run
    } catch {
      throw CrashFind(message: "without a crash: \(error)")
    }
  }

  /// Crashes a workload that is over.
  private mutating func explore(
    _ run: CrashRun, random: CrashRandom, depth: Int
  ) throws(CrashFind) {
    var random = random
    var simulator = CrashSimulator(run.recorder)
    var found: [ImageHash: ContentDigest] = [:]
    for step in steps(run, simulator, depth: depth, &random) {
      simulator.advance(to: step)
      let seed = random.next()
      let image = simulator.image(seed: seed)
      tally.images += 1
      let allowed = run.history.allowed(
        at: step, syncEnd: simulator.lastSyncEnd, isComplete: image.isComplete)
      do {
        let hash = ImageHash(image.contents)
        let digest: ContentDigest
        if let known = found[hash] {
          digest = known
          try check(digest, run, allowed)
        } else {
          digest = try content(of: image.contents, run, allowed, random.next(), depth: depth)
          found[hash] = digest
        }
        if states.insert(hash) {
          tally.modes[image.mode, default: 0] += 1
          tally.depths[depth, default: 0] += 1
          if step < run.openingEnd { tally.recoveries += 1 }
        }
      } catch {
        var find = error as? CrashFind ?? CrashFind(message: "\(error)")
        let place = "crash at step \(step) of \(simulator.eventCount)"
        find.path.insert("\(place), image \(seed) (\(image.mode.rawValue))", at: 0)
        throw find
      }
    }
  }

  /// Where to crash: at all syncs, and at some instants between, most of them while opening.
  private func steps(
    _ run: CrashRun, _ simulator: CrashSimulator, depth: Int, _ random: inout CrashRandom
  ) -> [Int] {
    let count = simulator.eventCount
    // Images of later crashes are few of many files, so that their number stays that of the first.
    let isFirst = depth == 0
    var steps = [count]
    for step in simulator.syncSteps where isFirst || random.once(in: 4) {
      steps += [step + 1]
      for _ in 0..<(isFirst ? settings.imagesPerSync : 1) { steps.append(step) }
    }
    for _ in 0..<(isFirst ? settings.sampleCount : 4) { steps.append(random.below(count + 1)) }
    for _ in 0..<(isFirst ? 8 : 5) { steps.append(random.below(run.openingEnd + 1)) }
    return steps.sorted()
  }

  private func check(
    _ digest: ContentDigest, _ run: CrashRun, _ allowed: [Int]
  ) throws {
    let digests = run.history.digests
    if allowed.contains(where: { digests[$0] == digest }) { return }
    let others = digests.indices.filter { digests[$0] == digest }
    throw TestFailure(
      "the content is that after steps \(others.suffix(3)) and not after "
        + "\(allowed.first ?? 0)...\(allowed.last ?? 0), of \(digests.count - 1)")
  }

  /// Opens an image, compares, and sometimes works on with it and crashes it again.
  private mutating func content(
    of contents: [UInt8], _ run: CrashRun, _ allowed: [Int], _ seed: UInt64, depth: Int
  ) throws -> ContentDigest {
    var random = CrashRandom(seed: seed)
    var plan = run.plan
    let durability = Database.Durability.allCases[random.below(3)]
    guard depth < settings.depthLimit, random.below(100) < settings.nestedPercent else {
      let storage = try MemoryStorage(contents: contents)
      let (digest, database) = try CrashCheck.content(of: storage, plan.options(durability))
      defer { database.abandon() }
      try check(digest, run, allowed)
      return digest
    }
    let length = random.below(7)
    let next = CrashPlan(seed: random.next(), length: max(1, length), durability: durability)
    plan.operations = length == 0 ? [] : next.operations
    plan.durability = durability
    plan.isClosed = next.isClosed
    var again = try CrashRun(plan, contents: contents)
    let (database, digest) = try again.open()
    try check(digest, run, allowed)
    do {
      try again.run(database)
    } catch {
      throw TestFailure("going on with \(plan.operations): \(error)")
    }
    try explore(again, random: random, depth: depth + 1)
    return digest
  }
}
