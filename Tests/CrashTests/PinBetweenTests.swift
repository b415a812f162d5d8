import Testing

@testable import BTreeKV
@testable import Pager

/// rule C1: a snapshot that is taken while a mutation is being prepared does not see it.
@Suite struct PinBetweenTests {
  /// Restructurings need room in memory, and the pages that make it are written: there the snapshots
  /// are taken, in the thread of the mutation.
  @Test func pinsDuringARestructuring() throws {
    let storage = FaultyStorage(try MemoryStorage())
    var options = LogImage.options(.none)
    options.cacheByteCount = 0
    let database = try Database.open(
      storage: storage, options: options, hasBackgroundThreads: false)
    let taken = Locked<[Snapshot]>([])
    storage.setHook { [weak database] call in
      guard call.operation == .write || call.operation == .allocate, let database,
        let snapshot = try? database.snapshot()
      else { return nil }
      taken.withLock { $0.append(snapshot) }
      return nil
    }
    let value = [UInt8](repeating: 1, count: 700)
    var snapshotCount = 0
    for number in 0..<2500 {
      // All over the tree, so that leaves and their parents come and go.
      let key = Array("key \(number * 7919 % 2503 + 10_000)".utf8)
      try database.insert(key, value)
      for snapshot in taken.withLock({ $0 }) {
        snapshotCount += 1
        #expect(snapshot.count == number)
        #expect(try snapshot.lookup(key) == nil, "insert \(number) is seen too early")
      }
      taken.withLock { taken in
        for snapshot in taken { snapshot.close() }
        taken = []
      }
    }
    storage.setHook(nil)
    #expect(snapshotCount > 100, "too few snapshots")
    #expect(try database.verify().problems == [])
    database.pager.abandon()
  }
}
