import CrashSupport
import Foundation
import Synchronization
import Testing

@testable import BTreeKV
@testable import Pager

/// rule B5: under `.sync` a value of up to 1 MiB is synced together with the record that names it,
/// also when that record goes with a sync which somebody else began.
@Suite(.timeLimit(.minutes(3))) struct ValueSyncTests {
  /// A value that begins with its own number.
  private static func value(_ number: UInt64) -> [UInt8] {
    withUnsafeBytes(of: number | 0xA5A5 << 48) { word in
      (0..<2000).flatMap { _ in Array(word) }
    }
  }

  @Test func acknowledgedValuesWereSynced() throws {
    let storage = try RecordingStorage()
    var options = Database.Options()
    options.pageSize = 4096
    options.durability = .sync
    let database = try Database.open(
      storage: storage, options: options, hasBackgroundThreads: false)
    let isDone = Atomic(false)
    let failure = Locked<(any Error)?>(nil)
    let others = DispatchGroup()
    for writer in 0..<2 {
      others.enter()
      Thread.detachNewThread {
        defer { others.leave() }
        do {
          var number = 0
          while !isDone.load(ordering: .acquiring) {
            try database.insert("small \(writer) \(number % 50)", "value")
            number += 1
          }
        } catch {
          failure.withLock { $0 = error }
        }
      }
    }
    // How many events there were when each value was acknowledged.
    var acknowledged: [Int] = []
    for number in 0..<600 as Range<UInt64> {
      try database.insert("large \(number % 20)", Self.value(number))
      acknowledged.append(storage.recorder.eventCount)
    }
    isDone.store(true, ordering: .releasing)
    others.wait()
    if let error = failure.withLock({ $0 }) { throw error }
    try database.close()
    var written: [UInt64: Int] = [:]
    var syncs: [Int] = []
    for (index, event) in storage.recorder.events.enumerated() {
      switch event {
      case .write(_, let bytes) where bytes.count == 16_000:
        let word = bytes.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }
        written[word & 0xFFFF] = index
      case .synchronize: syncs.append(index)
      default: break
      }
    }
    for (number, end) in acknowledged.enumerated() {
      let start = try #require(written[UInt64(number)])
      #expect(
        syncs.contains { start < $0 && $0 < end },
        "value \(number) was acknowledged before a sync of its bytes")
    }
  }
}
