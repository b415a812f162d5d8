import BTreeKV
import CrashSupport
import Pager
import TestSupport

/// Crashes of a run that no `CrashPlan` describes.
enum CrashImages {
  /// Opens what crashes at many instants leave, and compares it with what was promised.
  ///
  /// - Returns: one line for each image that is not as it should be, of the first few.
  static func problems(
    of recorder: Recorder, _ history: CrashHistory, _ options: Database.Options, seed: UInt64,
    count: Int
  ) -> [String] {
    var random = CrashRandom(seed: seed ^ 0xC0FFEE)
    var simulator = CrashSimulator(recorder)
    let eventCount = simulator.eventCount
    let steps = (0..<count).map { _ in random.below(eventCount + 1) } + [eventCount]
    var problems: [String] = []
    for step in steps.sorted() where problems.count < 3 {
      simulator.advance(to: step)
      let imageSeed = random.next()
      let image = simulator.image(seed: imageSeed)
      let allowed = history.allowed(
        at: step, syncEnd: simulator.lastSyncEnd, isComplete: image.isComplete)
      do {
        let storage = try MemoryStorage(contents: image.contents)
        let (digest, database) = try CrashCheck.content(of: storage, options)
        defer { database.abandon() }
        try require(
          allowed.contains { history.digests[$0] == digest },
          "the content is not that after steps \(allowed.first ?? 0)...\(allowed.last ?? 0)")
      } catch {
        problems.append("seed \(seed), step \(step) of \(eventCount), image \(imageSeed): \(error)")
      }
    }
    return problems
  }
}
