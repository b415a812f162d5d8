import CrashSupport
import Testing

@testable import BTreeKV
@testable import Pager

/// rule A4, C3: value bytes that only a snapshot kept are not reused when it goes, since records
/// still name them.
@Suite struct PinnedValueTests {
  @Test func valuesOfAClosedSnapshotAreNotReused() throws {
    let storage = try RecordingStorage()
    let database = try Database.open(
      storage: storage, options: LogImage.options(.sync), hasBackgroundThreads: false)
    var pages: [Range<Int>] = []
    for round in 0..<6 {
      let before = storage.recorder.eventCount
      try database.insert("large", [UInt8](repeating: UInt8(round), count: 40_000))
      for event in storage.recorder.events[before...] {
        guard case .write(let offset, let bytes) = event, bytes.count == 40_000 else { continue }
        let range = offset..<offset + bytes.count
        #expect(!pages.contains { $0.overlaps(range) }, "round \(round)")
        pages.append(range)
      }
      let snapshot = try database.snapshot()
      try database.remove("large")
      snapshot.close()
      // What waited with the snapshot is moved on by the mutations that follow.
      for number in 0..<4 { try database.insert("key \(number)", "value \(round)") }
    }
    #expect(pages.count == 6)
    #expect(try database.verify().problems == [])
    database.pager.abandon()
  }
}
