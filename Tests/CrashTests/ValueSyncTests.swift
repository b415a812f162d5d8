import CrashSupport
import Foundation
import Regions
import Synchronization
import Testing

@testable import BTreeKV
@testable import Pager

/// rule B5: under `.sync` a value of up to 1 MiB is synced together with the record that names it,
/// also when that record goes with a sync which somebody else began.
@Suite struct ValueSyncTests {
  /// A value that begins with its own number.
  private static func value(_ number: UInt64) -> [UInt8] {
    withUnsafeBytes(of: number | 0xA5A5 << 48) { word in
      (0..<2000).flatMap { _ in Array(word) }
    }
  }

  /// What a thread does that is about to wait for its record.
  private func publishWithoutWaiting(_ database: Database) throws {
    let engine = database.engine
    engine.pager.writerMutex.lock()
    defer { engine.pager.writerMutex.unlock() }
    try engine.pager.startLogIfNeeded()
    let key = UnsafeMutableRawBufferPointer.allocate(byteCount: 5, alignment: 8)
    defer { key.deallocate() }
    key.copyBytes(from: "other".utf8)
    _ = try database.access.put(UnsafeRawBufferPointer(key), UnsafeRawBufferPointer(key))
  }

  /// Under `.flush` the bytes of a change are synced in front of its record if they are many: an entry of
  /// a mebibyte's are not, with its key and what else is written with it.
  @Test func manyBytesOfATransactionAreSyncedFirst() throws {
    let storage = FaultyStorage(try MemoryStorage())
    var options = Database.Options()
    options.durability = .flush
    let database = try Database.open(
      storage: storage, options: options, hasBackgroundThreads: false)
    let store = try EntryStore(database, "s")
    try store.write("a", [UInt8](repeating: 1, count: 70_000))
    func syncCount(_ body: () throws -> Void) rethrows -> Int {
      storage.clearCalls()
      try body()
      return storage.calls.count { $0.operation == .synchronize }
    }
    let bytes = [UInt8](repeating: 2, count: 1 << 20)
    #expect(try syncCount { try store.write("b", bytes) } == 0)
    let both = [(key: "b", bytes: bytes), (key: "c", bytes: bytes)]
    #expect(try syncCount { try store.write(both) } == 1)
    #expect(try store.count == 3)
    try database.close()
  }

  /// A sync of somebody else's record, begun while the bytes are written: it does not take them along,
  /// so that of their own record has to.
  @Test(arguments: ["append", "overwrite", "truncate", "entry", "entries", "transaction"])
  func acknowledgedBytesWereSynced(what: String) throws {
    let storage = FaultyStorage(try MemoryStorage())
    var options = Database.Options()
    options.durability = .sync
    let database = try Database.open(
      storage: storage, options: options, hasBackgroundThreads: false)
    let (region, store) = (try database.region("r"), try EntryStore(database, "s"))
    try region.append([UInt8](repeating: 1, count: 200_000))
    try store.write("a", [UInt8](repeating: 2, count: 70_000))
    try publishWithoutWaiting(database)
    let log = try #require(database.engine.pager.log)
    // How many calls there were when the other sync was over, before the last bytes were written.
    let mark = Locked(0)
    storage.setHook { call in
      // The bytes; the log is written in pieces of its own.
      if call.operation == .write, call.byteCount >= 20_000 {
        do {
          try log.waitUntilDurable(log.endLSN)
        } catch {
          Issue.record(error)
        }
        mark.withLock { $0 = storage.calls.count }
      }
      return nil
    }
    storage.clearCalls()
    let bytes = [UInt8](repeating: 7, count: 30_000)
    switch what {
    case "append": try region.append(bytes)
    case "overwrite": try region.write(bytes, at: 100)
    case "truncate": try region.truncate(to: 160_000)
    case "entry": try store.write("b", bytes)
    case "entries": try store.write([(key: "b", bytes: bytes), (key: "c", bytes: bytes)])
    default:
      try database.write { transaction in
        try transaction.region("r").append(bytes)
        try transaction.insert("long", bytes)
      }
    }
    storage.setHook(nil)
    let (calls, start) = (storage.calls, mark.withLock { $0 })
    #expect(start > 0, "no bytes were written: \(calls)")
    #expect(
      calls[start...].contains { $0.operation == .synchronize },
      "the bytes were acknowledged before a sync: \(calls)")
    try database.close()
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
