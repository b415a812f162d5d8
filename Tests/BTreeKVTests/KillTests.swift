import BTreeKV
import Foundation
import TestSupport
import Testing

/// A process that is killed at any moment loses nothing that was acknowledged, and what is there is
/// the state after some change in order: B1-B3, B5, C3-C5, C7 and E1-E8 of docs/ARCHITECTURE.md.
///
/// A child writes and says what is acknowledged; it is killed with SIGKILL; the file then holds the
/// state after exactly k changes, acknowledged ≤ k ≤ acknowledged + 1. The next child goes on with
/// the same file, so what recovery left is recovered again.
@Suite(.serialized) struct KillTests {
  @Test(arguments: [Database.Durability.sync, .flush])
  func killedWriter(durability: Database.Durability) throws {
    try run(durability, rounds: 110 * lengthFactor, isInTransactions: false)
  }

  /// A2, B2, B7 and F1: both trees hold what the same transactions made, all or nothing of each.
  @Test(arguments: [Database.Durability.sync, .flush])
  func killedInTransactions(durability: Database.Durability) throws {
    try run(durability, rounds: 60 * lengthFactor, isInTransactions: true)
  }

  private func run(
    _ durability: Database.Durability, rounds: Int, isInTransactions: Bool
  ) throws {
    let seed = runSeed &* 7919 + (durability == .sync ? 0 : 1)
    var random = SeededRandom(seed: seed)
    let folder = try TemporaryFolder()
    let path = folder.file()
    let history = KillHistory(seed: seed)
    let mode = isInTransactions ? ["transactions"] : []
    var model = Model()
    var next: UInt64 = 0
    for round in 0..<rounds {
      let context = "seed \(seed), .\(durability), round \(round), from change \(next)"
      let acknowledged = try KilledWriter.run(
        [path, durability.rawValue, String(seed), String(next)] + mode,
        afterMicroseconds: UInt32(random.number(in: 1000...60000)), context)
      if let last = acknowledged.last {
        try require(
          acknowledged.elementsEqual(next...last), "\(context): acknowledged out of order")
        for number in next...last {
          if isInTransactions {
            history.applyTransaction(number, to: &model)
          } else {
            history.apply(number, to: &model)
          }
        }
        next = last + 1
      }
      // A kill can come before the file was made.
      guard FileManager.default.fileExists(atPath: path) else { continue }
      next += try check(path, durability, history, &model, next, context, isInTransactions)
    }
    try require(next > UInt64(rounds), "seed \(seed): the children hardly wrote: \(next) changes")
  }

  /// Reopens and compares; returns 1 when the change under way is in the file, else 0.
  private func check(
    _ path: String, _ durability: Database.Durability, _ history: KillHistory,
    _ model: inout Model, _ next: UInt64, _ context: String, _ isInTransactions: Bool
  ) throws -> UInt64 {
    let database = try Database.open(path, options: tightOptions(durability: durability))
    try requireSound(database, context)
    var done: UInt64 = 0
    var later = model
    if isInTransactions {
      history.applyTransaction(next, to: &later)
    } else {
      history.apply(next, to: &later)
    }
    do {
      try requireEqual(database, model, context)
      // A transaction may leave the content as it was; then only the tree that comes and goes tells.
      if isInTransactions, try database.existingTree("passing \(next)") != nil {
        try requireEqual(database, later, "\(context), one more that changes nothing here")
        done = 1
      }
    } catch let failure as TestFailure {
      do {
        try requireEqual(database, later, "\(context), one more")
      } catch let other as TestFailure {
        throw TestFailure("\(failure.description); or \(other.description)")
      }
      model = later
      done = 1
    }
    if isInTransactions {
      let number = next + done
      let other = try database.existingTree("other")
      if let other {
        try requireEqual(other, model, "\(context), the other tree")
        let names = try database.treeNames()
        try require(names == ["other", "passing \(number - 1)"], "\(context): trees \(names)")
      }
      try require(number == 0 || other != nil, "\(context): the other tree is gone")
    }
    try database.close()
    return done
  }
}
