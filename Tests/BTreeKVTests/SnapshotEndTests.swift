import Synchronization
import TestSupport
import Testing

@testable import BTreeKV
@testable import Pager

/// rules C2 and D3: what a read of a snapshot finds, good or bad, counts only if nobody has let go of
/// the snapshot meanwhile, since its pages may be used for something else by then.
///
/// It is let go in the reader's own thread, where that reads a page in.
@Suite struct SnapshotEndTests {
  private static func key(_ number: Int) -> [UInt8] { Array("k\(number + 10_000)".utf8) }

  private static func code(_ body: () throws -> Void) throws -> DatabaseError.Code? {
    do {
      try body()
      return nil
    } catch let error as DatabaseError {
      return error.code
    }
  }

  enum Read: String, CaseIterable, Sendable { case lookup, count, range, cursor }

  @Test(arguments: Read.allCases, [false, true])
  func aReadThatOutlastsItsSnapshotDoesNotCount(read: Read, fails: Bool) throws {
    let storage = FaultyStorage(try MemoryStorage())
    let database = try openDatabase(
      in: storage, tightOptions(durability: .none), hasBackgroundThreads: false)
    for number in 0..<520 {
      try database.insert(Self.key(number), [UInt8](repeating: 1, count: 900))
    }
    try database.checkpoint()
    var endCount = 0
    for number in stride(from: 0, to: 520, by: 13) {
      let snapshot = try database.snapshot()
      let hasEnded = Atomic(false)
      storage.setHook { call in
        guard call.operation == .read, !hasEnded.exchange(true, ordering: .relaxed) else {
          return nil
        }
        snapshot.close()
        return fails ? PagerError(.inputOutput, "the page is somebody else's") : nil
      }
      let code = try Self.code {
        switch read {
        case .lookup: _ = try snapshot.lookup(Self.key(number))
        case .count: _ = try snapshot.count(in: .from(Self.key(number)))
        case .range: try snapshot.forEach(in: .from(Self.key(number))) { _, _ in .stop }
        case .cursor: _ = try snapshot.cursor(in: .from(Self.key(number))).next()
        }
      }
      storage.setHook(nil)
      guard hasEnded.load(ordering: .relaxed) else { continue }
      endCount += 1
      #expect(code == .closed, "key \(number)")
    }
    #expect(endCount > 5, "the moment never came")
    try requireSound(database, "at the end")
  }

  /// rule F1: nor does where a tree began in it.
  @Test func theRootOfAClosedSnapshotDoesNotCount() throws {
    let database = try openDatabase(in: try MemoryStorage(), hasBackgroundThreads: false)
    try database.insert("key", "value")
    let tree = database.engine.mainTree
    let pin = try database.engine.snapshots.take()
    #expect(try pin.root(of: tree).count == 1)
    pin.close()
    let error = #expect(throws: PagerError.self) { try pin.root(of: tree) }
    #expect(error?.code == .closed)
    withExtendedLifetime(database) {}
  }
}
