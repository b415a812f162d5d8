import Synchronization
import TestSupport
import Testing

@testable import BTreeKV
@testable import Pager

#if !SHARED_LATCHES
  /// rules D2 and D3: what a reader may think of a page whose parent changes under it.
  ///
  /// A reader holds nothing, so a mutation may come between any two of its steps. These tests run
  /// one at exactly such a moment, in the reader's own thread: where the pool writes a page to make
  /// room, where it reads one in, and where the reader has chosen a child. (With shared latches a
  /// reader holds the parent, and the mutation would wait for ever.)
  @Suite struct DescentRuleTests {
    private let storage: FaultyStorage
    private let memory: MemoryStorage
    private let database: Database
    private var pool: PagePool { database.pager.pool }

    private static let keyCount = 520
    private static let valueByteCount = 900
    private static func key(_ number: Int) -> [UInt8] {
      Array("k\(number + 10_000)".utf8)
    }
    private static func value(_ number: Int, _ filler: Int = 0) -> [UInt8] {
      [UInt8](repeating: UInt8(truncatingIfNeeded: number + filler), count: valueByteCount)
    }

    /// One root over more leaves than there are frames.
    init() throws {
      memory = try MemoryStorage()
      storage = FaultyStorage(memory)
      database = try openDatabase(
        in: storage, tightOptions(durability: .none), hasBackgroundThreads: false)
      for number in 0..<Self.keyCount {
        try database.insert(Self.key(number), Self.value(number))
      }
      try #require(database.pager.publishedRoot(of: database.pager.mainTree).height == 2)
    }

    private func isResident(_ page: PageReference) -> Bool {
      LatchWord.state(pool.words[Int(page.id.rawValue)].load(ordering: .acquiring))
        != LatchWord.evicted
    }

    private static func bytes<R>(
      _ key: [UInt8], _ body: (UnsafeRawBufferPointer) throws -> R
    ) rethrows -> R {
      try key.withUnsafeBytes { try body($0) }
    }

    /// The leaf that holds a key, by what the root says: it is not touched.
    private static func leaf(of key: [UInt8], in database: Database) throws -> PageReference {
      let root = database.pager.publishedRoot(of: database.pager.mainTree).page
      let version = try database.pager.pool.beginRead(root, level: 1)
      let node = database.engine.mainTree.node(root.id)
      let child = bytes(key) {
        node.child(node.childIndex(for: $0, pageByteCount: database.pager.pageByteCount))
      }
      try require(database.pager.pool.endRead(root.id, version), "the root changes in one thread")
      return child
    }

    /// Inserts beside a key until it has moved to another page.
    private static func splitLeaf(of key: [UInt8], in database: Database) throws {
      let before = try leaf(of: key, in: database)
      for number in 0..<20 where try leaf(of: key, in: database) == before {
        try database.insert(key + Array("+\(number)".utf8), value(number))
      }
      try require(try leaf(of: key, in: database) != before, "no split")
    }

    /// Makes the id of a page that was freed that of a leaf far from where it was.
    private static func reuse(_ page: PageReference, in database: Database) throws {
      for number in 0..<60 {
        let key = Array("z\(number + 100)".utf8)
        try database.insert(key, value(number))
        if try leaf(of: key, in: database).id == page.id { return }
      }
      try require(false, "the id was not given out again")
    }

    /// Changes other leaves until `page` is evicted and one more page has no frame.
    private func crowdOut(_ page: PageReference, besides key: [UInt8], _ step: inout Int) throws {
      for _ in 0..<5000 {
        if !isResident(page), pool.residentPageCount == pool.frameCapacity { return }
        // 7 is prime to the number of keys, and leaves hold four or so.
        step += 1
        let number = step * 7 % Self.keyCount
        if try Self.leaf(of: Self.key(number), in: database) == page { continue }
        try database.insert(Self.key(number), Self.value(number, step))
      }
      try require(false, "the page stays in memory")
    }

    /// rule D2: what was read in a leaf counts only if the leaf has not changed meanwhile.
    @Test func leafThatChangedIsReadAgain() throws {
      let key = Self.key(21)
      var reads: [[UInt8]] = []
      var failure: (any Error)?
      let found = try Self.bytes(key) { bytes in
        try database.engine.mainTree.withPayload(of: bytes, root: nil) { payload, _ in
          reads.append(Array(payload))
          guard reads.count == 1 else { return Array(payload) }
          do { try database.insert(key, Self.value(22)) } catch { failure = error }
          return reads[0]
        }
      }
      if let failure { throw failure }
      #expect(reads == [Self.value(21), Self.value(22)])
      #expect(found == Self.value(22))
    }

    /// rule D2: the parent is validated after the child's version was read.
    ///
    /// The reader has validated the root and looks for a frame for the leaf; until it has one, the
    /// leaf is split, its page freed, and its id given to a leaf elsewhere. There the reader must
    /// not look for its key.
    @Test func childThatMovedIsNotRead() throws {
      let key = Self.key(21)
      let hasRun = Locked(false)
      let failure = Locked<(any Error)?>(nil)
      var step = 0
      for _ in 0..<50 where !hasRun.withLock({ $0 }) {
        let page = try Self.leaf(of: key, in: database)
        try crowdOut(page, besides: key, &step)
        storage.setHook { [storage, database] call in
          guard call.operation == .write else { return nil }
          storage.setHook(nil)
          hasRun.withLock { $0 = true }
          do {
            try Self.splitLeaf(of: key, in: database)
            try Self.reuse(page, in: database)
          } catch {
            failure.withLock { $0 = error }
          }
          return nil
        }
        let found = try database.lookup(key)
        storage.setHook(nil)
        #expect(found == Self.value(21), "found \(hex(found)) on the page of another range")
      }
      if let failure = failure.withLock({ $0 }) { throw failure }
      #expect(hasRun.withLock { $0 }, "the moment never came")
      try requireSound(database, "after the lookup")
    }

    /// rule D2: the parent is validated before the child's id is used.
    ///
    /// The reader has chosen a slot of the root; then a leaf is split, and the slot names another
    /// page, which is not in memory. Nobody asked for that page, so it must not be read in.
    @Test func childIsNotUsedUnvalidated() throws {
      let key = Self.key(Self.keyCount / 2)
      let tree = database.engine.mainTree
      let root = database.pager.publishedRoot(of: database.pager.mainTree).page
      let node = tree.node(root.id)
      // Some leaf in the middle, with evicted ones on its left.
      let from = try #require(
        (10..<node.count).first { index in
          (index - 3..<index).allSatisfy { !isResident(node.child($0)) }
        })
      var choices = 0
      var wrongChild: PageReference?
      var failure: (any Error)?
      storage.clearCalls()
      let visit = try Self.bytes(key) { key in
        try tree.descend(root: nil, to: key) { node, key in
          choices += 1
          if choices > 1 {
            // The descent began again; what it read until here was read for the wrong slot.
            storage.setHook(nil)
            return node.childIndex(for: key, pageByteCount: tree.pageByteCount)
          }
          do { try Self.splitLeaf(of: Self.key(0), in: database) } catch { failure = error }
          wrongChild = node.child(from)
          return from
        } visit: { _, _, _, _ in
        }
      }
      if let failure { throw failure }
      let wrong = try #require(wrongChild)
      let right = try Self.leaf(of: key, in: database)
      #expect(visit?.page == right)
      let offset = Int(wrong.id.rawValue) * tree.pageByteCount
      #expect(
        !storage.calls.contains { $0.operation == .read && $0.offset == offset },
        "page \(wrong.id.rawValue) was read in for a slot that had changed")
      #expect(choices == 2)
      if let visit { pool.endRead(visit.page.id, visit.version) }
    }

    enum Fault: CaseIterable, Sendable { case inputOutput, checksum }

    /// rule D3: an error met while reading counts only if the parent still validates.
    ///
    /// The leaf can't be read in, but meanwhile its parent has changed, so that it may well have
    /// been no leaf of the tree any more.
    @Test(arguments: Fault.allCases) func errorsBehindAChangedParentAreNobodys(fault: Fault) throws
    {
      let key = Self.key(21)
      let page = try Self.leaf(of: key, in: database)
      var step = 0
      try crowdOut(page, besides: key, &step)
      let failure = Locked<(any Error)?>(nil)
      let faults = setFault(fault, on: page) { [database] in
        do {
          try Self.splitLeaf(of: Self.key(400), in: database)
        } catch {
          failure.withLock { $0 = error }
        }
      }
      #expect(try database.lookup(key) == Self.value(21))
      storage.setHook(nil)
      if let failure = failure.withLock({ $0 }) { throw failure }
      #expect(faults.withLock { $0 } == 1)
      try requireSound(database, "after the lookup")
    }

    /// rule D3: with the parent as it was, the error is the caller's; the page can be read later.
    @Test(arguments: Fault.allCases) func errorsBehindAnUnchangedParentCount(fault: Fault) throws {
      let key = Self.key(21)
      let page = try Self.leaf(of: key, in: database)
      var step = 0
      try crowdOut(page, besides: key, &step)
      let faults = setFault(fault, on: page) {}
      #expect(
        errorCode { _ = try database.lookup(key) }
          == (fault == .checksum ? .corrupted : .inputOutput))
      #expect(faults.withLock { $0 } == 1)
      #expect(try database.lookup(key) == Self.value(21))
      storage.setHook(nil)
    }
  }

  extension DescentRuleTests {
    /// Makes the next read of a page fail; the one after it is good again.
    ///
    /// - Returns: how many reads have failed.
    private func setFault(
      _ fault: Fault, on page: PageReference, _ body: @escaping @Sendable () -> Void
    ) -> Locked<Int> {
      let faults = Locked(0)
      let isDamaged = Locked(false)
      let offset = Int(page.id.rawValue) * database.pager.pageByteCount
      storage.setHook { [memory] call in
        guard call.operation == .read, call.offset == offset else { return nil }
        let isFirst = faults.withLock { count in
          count += 1
          return count == 1
        }
        let mends = isDamaged.withLock { $0 }
        do throws(PagerError) {
          if mends || isFirst && fault == .checksum { try Self.flip(memory, offset + 2000) }
        } catch {
          return error
        }
        isDamaged.withLock { $0 = isFirst && fault == .checksum }
        guard isFirst else {
          faults.withLock { $0 = 1 }
          return nil
        }
        body()
        return fault == .inputOutput ? PagerError(.inputOutput, "a planned fault") : nil
      }
      return faults
    }

    /// Changes a byte of the file.
    private static func flip(_ storage: MemoryStorage, _ offset: Int) throws(PagerError) {
      let byte = UnsafeMutableRawBufferPointer.allocate(byteCount: 1, alignment: 1)
      defer { byte.deallocate() }
      try storage.read(into: byte, at: offset)
      byte[0] ^= 0x55
      try storage.write(UnsafeRawBufferPointer(byte), at: offset)
    }
  }
#endif
