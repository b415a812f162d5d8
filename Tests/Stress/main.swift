// Runs `ContentStress` for as long as asked, in the build that users have: races of optimistic reads
// hardly show in a debug build.
//
//     Stress [--seconds N] [--seed N] [--folder PATH]
//
// Rounds of different sizes, page sizes and durabilities follow each other; each prints what it was
// and how much it checked. With a folder, every other round is on a file there, else all are in
// memory. The status is 1 when a check failed; `--seed` repeats the rounds.

import BTreeKV
import Foundation
import Pager
import TestSupport

/// Prints a line at once, so that what was found is there when a run is ended.
func say(_ line: String) { FileHandle.standardOutput.write(Data("\(line)\n".utf8)) }

/// What the command line asks for.
struct Settings {
  var seconds = 60.0
  var seed: UInt64 = 1
  var folder: String?

  init(_ arguments: [String]) throws {
    var rest = arguments[...]
    while let option = rest.popFirst() {
      guard let value = rest.popFirst() else { throw Self.usage }
      switch option {
      case "--seconds":
        guard let number = Double(value), number > 0 else { throw Self.usage }
        seconds = number
      case "--seed":
        guard let number = UInt64(value) else { throw Self.usage }
        seed = number
      case "--folder": folder = value
      default: throw Self.usage
      }
    }
  }

  private static var usage: TestFailure {
    TestFailure("usage: Stress [--seconds N] [--seed N] [--folder PATH]")
  }
}

/// One round: a database of its own.
func runRound(_ number: Int, _ settings: Settings, seconds: Double) throws -> (Int, Int) {
  let seed = settings.seed &* 1_000_003 &+ UInt64(number)
  var random = SeededRandom(seed: seed)
  let durability: Database.Durability = [.flush, .none, .flush, .sync][random.below(4)]
  var options = tightOptions(
    pageSize: [4096, 4096, 4096, 16384][random.below(4)], durability: durability,
    checkpointThresholdByteCount: [64 << 10, 1 << 20][random.below(2)])
  options.transactionLogLimitByteCount = [1000, 4 << 20][random.below(2)]
  // None at all takes the smallest cache there is.
  options.cacheByteCount = [0, 0, 1 << 20][random.below(3)]
  var size = ContentStress.Size()
  size.keyCount = [400, 2000, 8000][random.below(3)]
  size.writerCount = 1 + random.below(3)
  size.readerCount = 2 + random.below(4)
  size.stepCount = .max

  let path = number % 2 == 1 ? settings.folder.map { $0 + "/stress-\(seed).btreekv" } : nil
  defer { if let path { try? FileManager.default.removeItem(atPath: path) } }
  let memory = try MemoryStorage()
  func open() throws -> Database {
    if let path { return try Database.open(path, options: options) }
    return try openDatabase(in: memory.reopen(), options)
  }
  let database = try open()
  let stress = try ContentStress(database, size, seed: seed)
  let clock = Thread { [stress] in
    Thread.sleep(forTimeInterval: seconds)
    stress.end()
  }
  clock.start()
  try stress.run()
  try database.close()
  let reopened = try open()
  try stress.checkReopened(reopened)
  try reopened.close()
  let (checks, changes) = stress.counts
  say(
    """
    round \(number): .\(durability), pages of \(options.pageSize ?? 0), \(size.keyCount) keys, \
    \(size.writerCount) writers, \(size.readerCount) readers\(path == nil ? "" : ", a file"): \
    \(checks) answers checked, \(changes) changes
    """)
  return (checks, changes)
}

func run() throws {
  let settings = try Settings(Array(CommandLine.arguments.dropFirst()))
  let end = Date().addingTimeInterval(settings.seconds)
  var (number, checks, changes) = (0, 0, 0)
  while end.timeIntervalSinceNow > 0 || number == 0 {
    let seconds = min(5, max(1, end.timeIntervalSinceNow))
    let (more, changed) = try runRound(number, settings, seconds: seconds)
    number += 1
    checks += more
    changes += changed
  }
  say("passed: \(number) rounds, \(checks) answers checked, \(changes) changes")
}

do {
  try run()
} catch {
  say("FAILED: \(error)")
  exit(1)
}
