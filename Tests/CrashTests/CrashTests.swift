import CrashSupport
import Foundation
import Testing

@testable import BTreeKV
@testable import Pager

/// Power cuts and deaths of the process at any instant, seeded.
///
/// `BTREEKV_LONG=1` runs many more.
@Suite struct CrashTests {
  static let isLong = ProcessInfo.processInfo.environment["BTREEKV_LONG"] != nil

  /// `BTREEKV_SEED` begins elsewhere.
  static let firstSeed =
    ProcessInfo.processInfo.environment["BTREEKV_SEED"].flatMap { UInt64($0) } ?? 1

  struct Case: Sendable, CustomTestStringConvertible {
    var durability: Database.Durability
    var seed: UInt64
    var testDescription: String { "\(durability) seed \(seed)" }
  }

  static let cases: [Case] = Database.Durability.allCases.flatMap { durability in
    (0..<(isLong ? 200 : 3)).map { Case(durability: durability, seed: firstSeed + UInt64($0)) }
  }

  /// rule A1, B1 to B7, C3, C7, C9, E1 to E7, F1: at whatever instant the power goes, the file opens
  /// whole, holds the state after some operation or transaction, of all trees, and all that was
  /// promised; also when the next crash comes in the recovery, and in the recovery of that.
  ///
  /// `make torture` does the same for hours.
  @Test(arguments: cases) func anyCrashLeavesAWholeFile(_ test: Case) throws {
    var settings = CrashExplorer.Settings()
    settings.imagesPerSync = 1
    settings.sampleCount = 12
    settings.nestedPercent = 4
    var explorer = CrashExplorer(settings)
    let plan = CrashPlan(seed: test.seed, length: 30, durability: test.durability)
    do throws(CrashFind) {
      try explorer.explore(plan, seed: test.seed)
    } catch {
      Issue.record("\(test.durability) seed \(test.seed): \(error)\n\(plan)")
    }
  }

  /// rule B9, C9: a crash while the file is being created, at each of the steps.
  @Test(arguments: [4096, 8192, 16384, 65536])
  func creationCanCrashAnywhere(pageSize: Int) throws {
    let storage = try RecordingStorage()
    var options = Database.Options()
    options.pageSize = pageSize
    let database = try Database.open(
      storage: storage, options: options, hasBackgroundThreads: false)
    database.pager.abandon()
    var simulator = CrashSimulator(storage.recorder)
    for step in 0...storage.recorder.eventCount {
      simulator.advance(to: step)
      for seed in 0..<14 as Range<UInt64> {
        let image = simulator.image(seed: seed)
        do {
          let memory = try MemoryStorage(contents: image.contents)
          let (digest, _) = try CrashCheck.content(of: memory, options)
          #expect(digest.count == 0)
        } catch {
          Issue.record("page size \(pageSize), step \(step), image \(seed): \(error)")
        }
      }
    }
  }
}
