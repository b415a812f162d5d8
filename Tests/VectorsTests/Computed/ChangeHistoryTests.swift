import BTreeKV
import Pager
import TestSupport
import Testing

@testable import Vectors

/// What is recorded of changes and computing, by itself and when it makes no sense.
@Suite struct ChangeHistoryTests {
  /// Never more is called unchanged than what is; of the last changes exactly that.
  @Test func historiesAgainstAll() throws {
    for seed in runSeed..<runSeed + 20 {
      var random = SeededRandom(seed: seed)
      var history = ChangeHistory(tag: 5)
      var all: [Int] = []
      for _ in 0..<100 {
        let index = random.chance(30) ? random.below(1000) : all.count * 10 + random.below(9)
        all.append(index)
        history.note(index)
        #expect(history.last == UInt64(all.count))
        #expect(history.changes.count <= ChangeHistory.maximumCount)
        #expect(ChangeHistory(history.encoded) == history)
        for number in 0...all.count {
          let right = min(2000, all[number...].min() ?? 2000)
          let found = history.unchangedCount(of: 2000, since: UInt64(number))
          #expect(found <= right, "seed \(seed): since \(number)")
          #expect(
            found == right || number + ChangeHistory.maximumCount <= all.count,
            "seed \(seed): since \(number) of \(all)")
        }
      }
      #expect(history.unchangedCount(of: 9, since: UInt64(all.count) + 1) == 0)
    }
  }

  @Test func madeUpHistoriesAreNone() {
    var history = ChangeHistory(tag: 1 << 63)
    history.note(3)
    history.note(8)
    let bytes = history.encoded
    #expect(ChangeHistory(bytes) == history)
    for count in 0..<bytes.count where count % 16 != 8 {
      #expect(ChangeHistory(Array(bytes[..<count])) == nil, "\(count) bytes")
    }
    for (offset, value) in [(8, 0), (8, 2), (8, 3), (24, 1), (16, 8), (16, 255), (23, 255)] {
      var wrong = bytes
      wrong[offset] = UInt8(value)
      #expect(ChangeHistory(wrong) == nil, "\(value) at \(offset)")
    }
    let many =
      bytes[..<8]
      + (0..<17).flatMap { number -> [UInt8] in
        var change: [UInt8] = []
        change.append(littleEndian: UInt64(number + 1))
        change.append(littleEndian: UInt64(number))
        return change
      }
    #expect(ChangeHistory(Array(many)) == nil && ChangeHistory(Array(many.dropLast(16))) != nil)
  }

  @Test func statesAreReadAsTheyAreWritten() throws {
    let origin = ComputationState.Origin(list: 3, historyTag: .max, lastChange: 7, version: 9)
    let state = ComputationState(
      rule: "summe ∑", version: 4, count: 1 << 40, historyTag: 6, lastChange: 2,
      sources: [origin, origin])
    #expect(ComputationState(state.encoded) == state)
    for count in 0..<32 + 2 * 28 {
      #expect(ComputationState(Array(state.encoded[..<count])) == nil, "\(count) bytes")
    }
    for (offset, value) in [(4, 0), (4, 3), (7, 1), (15, 1)] {
      var wrong = state.encoded
      wrong[offset] = UInt8(value)
      #expect(ComputationState(wrong) == nil, "\(value) at \(offset)")
    }
  }

  private struct Tree: WritableTree {
    let access: TreeAccess
  }

  @Test func damagedRecordsAreErrors() throws {
    let database = try openDatabase(in: try MemoryStorage())
    let records = Tree(access: database.access(to: .vectorRecords))
    let source = try RawVector<Int32>.open("source", in: database)
    try source.write(appending: [1, 2, 3])
    let sums = ComputedVector(
      try RawVector<Int32>.open("sums", in: database), from: source, by: .cumulativeSum)
    try sums.update()
    try source.verify()
    let history = VectorKey.make(source.access.list.id, .changeHistory, 0)
    let sound = try #require(try records.lookup(history))
    try records.insert(history, [1, 2, 3])
    #expect(errorCode { try source.verify() } == .corrupted)
    #expect(errorCode { try sums.update() } == .corrupted)
    #expect(
      errorCode {
        try source.update(at: 0, 1)
        try source.write()
      } == .corrupted)
    source.discard()
    try records.insert(history, sound)
    let state = VectorKey.make(sums.elements.access.list.id, .computation, 0)
    let bytes = try #require(try records.lookup(state))
    try records.insert(state, [UInt8](repeating: 255, count: 80))
    #expect(errorCode { try sums.elements.verify() } == .corrupted)
    #expect(errorCode { try sums.update() } == .corrupted)
    // One that says more than there is.
    var wrong = bytes
    wrong[8] = 200
    try records.insert(state, wrong)
    #expect(try sums.update() == 3..<3)
    #expect(Array(try sums.elements.reader()) == [1, 3, 6])
    try database.close()
  }

  /// Nobody knows what a salvaged vector has lost.
  @Test func salvagedColumnsAreComputedAnew() throws {
    let storage = try MemoryStorage()
    let database = try openDatabase(in: storage)
    let source = try RawVector<Int32>.open("source", in: database)
    try source.write(appending: [1, 2, 3])
    let sums = ComputedVector(
      try RawVector<Int32>.open("sums", in: database), from: source, by: .cumulativeSum)
    try sums.update()
    try database.close()
    let new = try MemoryStorage()
    let report = try Database.salvage(
      from: MemoryStorage(contents: storage.copyOfContents()), into: new)
    #expect(report.losses == [])
    let salvaged = try openDatabase(in: new.reopen())
    let again = ComputedVector(
      try RawVector<Int32>.open("sums", in: salvaged),
      from: try RawVector<Int32>.open("source", in: salvaged), by: .cumulativeSum)
    #expect(try again.update() == 0..<3)
    #expect(Array(try again.elements.reader()) == [1, 3, 6])
    try salvaged.close()
  }
}
