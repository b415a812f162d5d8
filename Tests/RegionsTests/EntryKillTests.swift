import BTreeKV
import Foundation
import Regions
import TestSupport
import Testing

/// A process that is killed while it writes entries, of up to 1 MiB, whole and in pieces, and compacts
/// their store: what was acknowledged is there, with the change under way or without it, and whole.
///
/// The next child goes on with the same file, so what recovery left is recovered again.
@Suite(.serialized) struct EntryKillTests {
  private typealias Model = [[UInt8]: [UInt8]]

  @Test(arguments: [Database.Durability.sync, .flush])
  func killedWriter(durability: Database.Durability) throws {
    let seed = runSeed &* 7919 + (durability == .sync ? 2 : 3)
    var random = SeededRandom(seed: seed)
    let folder = try TemporaryFolder()
    let history = KillHistory(seed: seed)
    var model: Model = [:]
    var next: UInt64 = 0
    let rounds = 25 * lengthFactor
    for round in 0..<rounds {
      let context = "seed \(seed), .\(durability), round \(round), from change \(next)"
      let acknowledged = try KilledWriter.run(
        [folder.file(), durability.rawValue, String(seed), String(next), "entries"],
        afterMicroseconds: UInt32(random.number(in: 1000...60000)), context)
      if let last = acknowledged.last {
        try require(
          acknowledged.elementsEqual(next...last), "\(context): acknowledged out of order")
        for number in next...last { apply(history.entryChange(number), to: &model) }
        next = last + 1
      }
      guard FileManager.default.fileExists(atPath: folder.file()) else { continue }
      let options = tightOptions(durability: durability)
      let database = try Database.open(folder.file(), options: options)
      try requireSound(database, context)
      let store = try EntryStore(database, "store")
      if let difference = try difference(store, model) {
        var later = model
        apply(history.entryChange(next), to: &later)
        if let other = try self.difference(store, later) {
          throw TestFailure("\(context): \(difference); or, one more: \(other)")
        }
        model = later
        next += 1
      }
      try database.close()
    }
    try require(next > UInt64(rounds), "seed \(seed): the children hardly wrote: \(next) changes")
  }

  private func apply(_ change: KillHistory.Change, to model: inout Model) {
    switch change {
    case .insert(let key, let value): model[key] = value
    case .remove(let key): model[key] = nil
    }
  }

  /// What a store holds that it should not, or nil.
  private func difference(_ store: EntryStore, _ model: Model) throws -> String? {
    let count = try store.count
    if count != model.count { return "\(count) entries, not \(model.count)" }
    for (key, value) in model {
      let name = String(decoding: key, as: UTF8.self)
      guard let entry = try store.read(key) else { return "\(name) is gone" }
      try entry.verify()
      let isEqual = entry.bytes.withUnsafeBytes { $0.elementsEqual(value) }
      if !isEqual { return "\(name) has other bytes" }
    }
    return nil
  }
}
