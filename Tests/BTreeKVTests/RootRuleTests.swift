import Synchronization
import TestSupport
import Testing

@testable import BTreeKV
@testable import Pager

/// rules D2 and D3 for the root, which has no parent: what it was counts only while the tree still
/// begins there.
///
/// A transaction is committed while a reader reads the root of before: it needs that page no more.
@Suite struct RootRuleTests {
  private static func key(_ number: Int) -> [UInt8] { Array("k\(number + 10_000)".utf8) }

  @Test(arguments: [false, true]) func aRootThatMovedIsNotRead(fails: Bool) throws {
    let storage = FaultyStorage(try MemoryStorage())
    let database = try openDatabase(
      in: storage, tightOptions(durability: .none), hasBackgroundThreads: false)
    for number in 0..<520 {
      try database.insert(Self.key(number), [UInt8](repeating: 1, count: 900))
    }
    let tree = try database.tree("tree")
    try tree.insert("key", "old")
    try database.checkpoint()
    let pager = database.pager
    let names = try database.treeNames()
    #expect(names == ["tree"])
    let descriptor = try #require(pager.allDescriptors.first { !($0.id < .firstNamed) })
    let root = pager.publishedRoot(of: descriptor).page.id
    let isRootGone = Atomic(false)
    let mayCommit = Atomic(false)
    let isDone = Atomic(false)
    let failure = Locked<(any Error)?>(nil)
    let writer = try BackgroundThread(name: "writer") {
      do {
        try database.write { transaction in
          try transaction.tree("tree").insert("key", "new")
          for number in 0..<100_000 {
            let word = pager.pool.words[Int(root.rawValue)].load(ordering: .acquiring)
            if LatchWord.state(word) == LatchWord.evicted { break }
            _ = try transaction.lookup(Self.key(number * 7 % 520))
          }
          isRootGone.store(true, ordering: .releasing)
          while !mayCommit.load(ordering: .acquiring) { SystemCalls.sleep(nanoseconds: 10_000) }
        }
      } catch {
        failure.withLock { $0 = error }
      }
      isRootGone.store(true, ordering: .releasing)
      isDone.store(true, ordering: .releasing)
    }
    while !isRootGone.load(ordering: .acquiring) { SystemCalls.sleep(nanoseconds: 10_000) }
    let hasRun = Atomic(false)
    storage.setHook { call in
      guard call.operation == .read, call.offset == Int(root.rawValue) * 4096,
        !hasRun.exchange(true, ordering: .relaxed)
      else { return nil }
      mayCommit.store(true, ordering: .releasing)
      while !isDone.load(ordering: .acquiring) { SystemCalls.sleep(nanoseconds: 10_000) }
      return fails ? PagerError(.inputOutput, "the page is not the root any more") : nil
    }
    let found = Result { try tree.lookup("key") }
    storage.setHook(nil)
    mayCommit.store(true, ordering: .releasing)
    writer.join()
    if let failure = failure.withLock({ $0 }) { throw failure }
    let hasCome = hasRun.load(ordering: .relaxed)
    #expect(hasCome, "the moment never came")
    #expect(try found.get() == Array("new".utf8))
    try requireSound(database, "after the lookup")
  }

  /// The epoch of the next root is stored before its word: who reads between the two takes the page of
  /// one root for that of another, and must look again.
  @Test func anEpochThatIsAheadIsNoDamage() throws {
    let database = try openDatabase(in: MemoryStorage(), hasBackgroundThreads: false)
    try database.insert("key", "value")
    let tree = database.engine.mainTree
    let epoch = tree.descriptor.rootEpoch.load(ordering: .relaxed)
    let hasBegun = Atomic(false)
    let outcome = Locked<Result<Bool, any Error>?>(nil)
    let reader = try database.pager.publishLatch.withLock {
      // What a writer does that is about to publish another root, up to its middle.
      tree.descriptor.rootEpoch.store(epoch + 1, ordering: .relaxed)
      defer { tree.descriptor.rootEpoch.store(epoch, ordering: .relaxed) }
      let reader = try BackgroundThread(name: "reader") {
        hasBegun.store(true, ordering: .releasing)
        let found = Result { () throws -> Bool in
          let cursor = LeafCursor(tree: tree, root: nil)
          return try Array("key".utf8).withBytes { (key) throws(PagerError) in
            try cursor.load(key, .holding)
          }
        }
        outcome.withLock { $0 = found }
      }
      while !hasBegun.load(ordering: .acquiring) { SystemCalls.sleep(nanoseconds: 10_000) }
      SystemCalls.sleep(nanoseconds: 20_000_000)
      return reader
    }
    reader.join()
    let found = try #require(outcome.withLock { $0 })
    #expect(try found.get())
  }
}
