import BTreeKV
import Foundation
import Pager
import Synchronization
import TestSupport
import Testing

/// Snapshots of several trees beside transactions, checkpoints and eviction; what a transaction's
/// own thread must not do; and what is kept beyond a transaction's end.
///
/// F1, C1 and C2 of docs/ARCHITECTURE.md.
@Suite(.serialized) struct TransactionThreadTests {
  private final class Shared: Sendable {
    let failure = Locked<(any Error)?>(nil)
    let isDone = Atomic(false)
    let sums = Atomic(0)
    let expired = Atomic(0)

    func thread(_ group: DispatchGroup, _ body: @escaping @Sendable () throws -> Void) {
      group.enter()
      let thread = Thread {
        do {
          try body()
        } catch {
          self.failure.withLock { if $0 == nil { $0 = error } }
          self.isDone.store(true, ordering: .releasing)
        }
        group.leave()
      }
      thread.stackSize = 1 << 20
      thread.start()
    }
  }

  private static let accountCount = isUnderThreadSanitizer ? 100 : 400
  private static let total = 2 * accountCount * 1000

  private static func key(_ number: Int) -> [UInt8] { Array("account \(number + 1000)".utf8) }

  private static func value(_ amount: Int, _ random: inout SeededRandom) -> [UInt8] {
    let fill = random.below(60) == 0 ? 3000 : random.below(150)
    return KeySource.bigEndian(UInt64(amount)) + [UInt8](repeating: 5, count: fill)
  }

  private static func amount(_ value: [UInt8]?) throws -> Int {
    guard let value, value.count >= 8 else { throw TestFailure("an account is gone") }
    return value.prefix(8).reduce(0) { $0 << 8 | Int($1) }
  }

  private static func sum(
    _ tree: borrowing some ReadableTree & ~Copyable & ~Escapable
  ) throws -> Int {
    var sum = 0
    var count = 0
    try tree.forEach { _, value in
      sum += try amount(value.withUnsafeBytes { Array($0.prefix(8)) })
      count += 1
      return .next
    }
    try require(count == accountCount && tree.count == count, "\(count) accounts are seen")
    return sum
  }

  private static func setUp(_ database: Database) throws {
    var random = SeededRandom(seed: 1)
    try database.write { transaction in
      let other = try transaction.tree("other")
      for number in 0..<accountCount {
        try transaction.insert(key(number), value(1000, &random))
        try other.insert(key(number), value(1000, &random))
      }
    }
  }

  private struct Refusal: Error {}

  private static func transfer(_ database: Database, _ random: inout SeededRandom) throws {
    let isRefused = random.chance(15)
    var copy = random
    do {
      try database.write { transaction in
        let other = try transaction.tree("other")
        for _ in 0...copy.below(6) {
          let (from, to) = (key(copy.below(accountCount)), key(copy.below(accountCount)))
          let part = copy.below(50)
          let rich = try amount(try transaction.lookup(from))
          guard rich >= part else { continue }
          try transaction.insert(from, value(rich - part, &copy))
          let poor = try amount(try other.lookup(to))
          try? transaction.savepoint {
            try other.removeRange(.closed(to, to))
            throw Refusal()
          }
          try other.insert(to, value(poor + part, &copy))
        }
        if isRefused { throw Refusal() }
      }
    } catch is Refusal {
    }
    random = copy
    _ = random.next()
  }

  private static func read(_ database: Database, _ shared: Shared, isSlow: Bool) throws {
    while !shared.isDone.load(ordering: .acquiring) {
      do {
        try database.read { snapshot in
          guard let other = try snapshot.tree("other") else {
            throw TestFailure("a tree is gone")
          }
          let first = try sum(snapshot)
          if isSlow { usleep(UInt32.random(in: 0...30_000)) }
          let found = first + (try sum(other))
          try require(found == total, "\(found) in place of \(total)")
          let key = key(Int.random(in: 0..<accountCount))
          let cursor = try other.cursor(in: .closed(key, key))
          try require(
            equalBytes(try cursor.next()?.value, try other.lookup(key)), "lookup and cursor")
        }
        shared.sums.add(1, ordering: .relaxed)
      } catch let error as DatabaseError {
        guard isSlow, error.code == .snapshotExpired else { throw error }
        shared.expired.add(1, ordering: .relaxed)
      }
    }
  }

  private func run(_ options: Database.Options, steps: Int, isSlow: Bool) throws -> Shared {
    let folder = try TemporaryFolder()
    let database = try Database.open(folder.file(), options: options)
    try Self.setUp(database)
    let shared = Shared()
    let readers = DispatchGroup()
    let writers = DispatchGroup()
    for _ in 0..<8 {
      shared.thread(readers) { try Self.read(database, shared, isSlow: isSlow) }
    }
    for writer in 0..<2 {
      shared.thread(writers) {
        var random = SeededRandom(seed: runSeed &* 31 + UInt64(writer))
        for step in 0..<steps where !shared.isDone.load(ordering: .acquiring) {
          try Self.transfer(database, &random)
          if step % 100 == 99, writer == 0 { try database.checkpoint() }
          if isSlow, step % 10 == 0 { usleep(3000) }
        }
      }
    }
    writers.wait()
    shared.isDone.store(true, ordering: .releasing)
    readers.wait()
    if let error = shared.failure.withLock({ $0 }) { throw error }
    try requireSound(database, "at the end")
    #expect(try Self.sum(database) + Self.sum(try database.tree("other")) == Self.total)
    try database.close()
    return shared
  }

  /// Eight readers and two writers: each snapshot shows a constant sum over two trees.
  @Test func bankTransfers() throws {
    let shared = try run(
      tightOptions(), steps: (isUnderThreadSanitizer ? 300 : 1200) * lengthFactor, isSlow: false)
    #expect(shared.sums.load(ordering: .relaxed) > 0)
  }

  /// Snapshots that expire while they are read throw; none shows anything wrong before.
  @Test func expiringSnapshots() throws {
    var options = tightOptions()
    options.snapshotAgeLimitSeconds = 0.02
    let shared = try run(
      options, steps: (isUnderThreadSanitizer ? 400 : 1500) * lengthFactor, isSlow: true)
    // How many sums are done before their snapshots expire depends on the machine; that sums are
    // compared at all is what `bankTransfers` makes sure of.
    #expect(shared.expired.load(ordering: .relaxed) > 0)
  }

  private func code(_ body: () throws -> Void) -> DatabaseError.Code? {
    do {
      try body()
      return nil
    } catch {
      return (error as? DatabaseError)?.code
    }
  }

  private func expectNested(_ database: Database, _ tree: NamedTree) {
    let large = [UInt8](repeating: 1, count: 50_000)
    #expect(code { try database.write { _ in } } == .nestedTransaction)
    #expect(code { try database.insert("a", "b") } == .nestedTransaction)
    #expect(code { try database.insert("a", large) } == .nestedTransaction)
    #expect(code { try database.insert("a", "b", durability: .sync) } == .nestedTransaction)
    #expect(code { try database.insertIfAbsent("a", "b") } == .nestedTransaction)
    #expect(code { try database.remove("a") } == .nestedTransaction)
    #expect(code { try database.update("a") { $0 } } == .nestedTransaction)
    #expect(code { try database.insert(contentsOf: [("a", "b")]) } == .nestedTransaction)
    #expect(code { try database.removeRange(.all) } == .nestedTransaction)
    #expect(code { try database.load(ascending: [("a", "b")]) } == .nestedTransaction)
    #expect(code { try tree.insert("a", "b") } == .nestedTransaction)
    #expect(code { try tree.removeAll() } == .nestedTransaction)
    #expect(code { _ = try database.tree("new") } == .nestedTransaction)
    #expect(code { try database.dropTree("tree") } == .nestedTransaction)
    #expect(code { try database.renameTree("tree", to: "x") } == .nestedTransaction)
    #expect(code { _ = try database.verify() } == .nestedTransaction)
    #expect(code { try database.close() } == .nestedTransaction)
    // These need not wait for the writer.
    #expect(code { try database.checkpoint() } == nil)
    #expect(code { try database.waitUntilDurable() } == nil)
    #expect(code { _ = try database.snapshot().count } == nil)
    #expect(code { _ = try database.tree("tree").count } == nil)
    #expect(code { _ = try database.lookup("a") } == nil)
    #expect(code { _ = try tree.cursor().next() } == nil)
  }

  /// Calls that would wait for the transaction of their own thread throw, and harm nothing.
  @Test(arguments: Database.Durability.allCases)
  func nestedCallsThrow(durability: Database.Durability) throws {
    let database = try openDatabase(
      in: try MemoryStorage(), tightOptions(durability: durability))
    let tree = try database.tree("tree")
    try tree.insert("key", "value")
    try database.write { transaction in
      try transaction.insert("one", "1")
      expectNested(database, tree)
      try transaction.savepoint { expectNested(database, tree) }
      try transaction.update("two") { _ in
        expectNested(database, tree)
        return [2]
      }
      try transaction.insert(
        contentsOf: (0..<3).lazy.map { number in
          if number == 1 { expectNested(database, tree) }
          return ("sequence \(number)", "value")
        })
      try tree.access(in: transaction).insert("in it", "value")
    }
    try database.update("three") { _ in
      expectNested(database, tree)
      return [3]
    }
    try tree.load(into: try database.tree("loaded")) { expectNested(database, tree) }
    #expect(database.count == 6)
    #expect(tree.count == 2)
    try requireSound(database, "no seed")
    var told = 0
    _ = try database.verify { _ in
      #expect(code { try database.insert("a", "b") } == .nestedTransaction)
      told += 1
    }
    #expect(told > 0)
    // Afterwards nothing is refused.
    try database.insert("four", "4")
    try database.close()
  }

  private struct Kept: ReadableTree {
    let access: TreeAccess
  }

  private struct KeptForWriting: WritableTree {
    let access: TreeAccess
  }

  /// What is kept of a transaction beyond its end throws, whatever is under way by then.
  @Test func handlesEndWithTheTransaction() throws {
    let database = try openDatabase(in: try MemoryStorage())
    for number in 0..<300 { try database.insert("key \(number)", [UInt8](repeating: 1, count: 90)) }
    var cursors: [Cursor] = []
    var kept: [Kept] = []
    var writable: [KeptForWriting] = []
    func keep(_ transaction: borrowing Transaction) throws {
      let started = try transaction.cursor()
      _ = try started.next()
      let tree = try transaction.tree("tree")
      try tree.insert("key", "value")
      cursors += [started, try transaction.cursor(reversed: true), try tree.cursor()]
      kept += [Kept(access: transaction.access), Kept(access: tree.access)]
      writable += [
        KeptForWriting(access: transaction.access), KeptForWriting(access: tree.access),
      ]
    }
    try database.write { try keep($0) }
    #expect(throws: CancellationError.self) {
      try database.write { transaction in
        try keep(transaction)
        throw CancellationError()
      }
    }
    func check() {
      for cursor in cursors {
        #expect(code { _ = try cursor.next() } == .transactionEnded)
        #expect(code { _ = try cursor.previous() } != .closed)
      }
      for tree in kept {
        #expect(code { _ = try tree.lookup("key 1") } == .transactionEnded)
        #expect(code { _ = try tree.cursor() } == .transactionEnded)
        #expect(code { _ = try tree.count(in: .all) } == .transactionEnded)
        #expect(code { try tree.forEach { _, _ in .next } } == .transactionEnded)
        #expect(code { _ = try tree.above("key") } == .transactionEnded)
      }
      let large = [UInt8](repeating: 1, count: 50_000)
      for tree in writable {
        #expect(code { try tree.insert("a", "b") } == .transactionEnded)
        #expect(code { try tree.insert("a", large) } == .transactionEnded)
        #expect(code { try tree.remove("a") } == .transactionEnded)
        #expect(code { try tree.update("a") { _ in [] } } == .transactionEnded)
        #expect(code { try tree.removeRange(.all) } == .transactionEnded)
        #expect(code { try tree.load(ascending: [("a", "b")]) } == .transactionEnded)
        #expect(code { try tree.insert(contentsOf: [("a", "b")]) } == .transactionEnded)
      }
    }
    check()
    try database.write { transaction in
      check()
      try transaction.insert("later", "value")
    }
    #expect(database.count == 301)
    try requireSound(database, "no seed")
    try database.close()
  }

  /// A sequence that changes the tree while the tree is loaded from it is refused as a whole.
  @Test func aLoadThatChangesItsOwnTree() throws {
    let database = try openDatabase(in: try MemoryStorage(), hasBackgroundThreads: false)
    try database.write { transaction in
      let tree = KeptForWriting(access: try transaction.tree("tree").access)
      #expect(
        code {
          try tree.load(
            ascending: (100..<200).lazy.map { number in
              if number == 150 { _ = try? tree.insert("zzz", "value") }
              return ("key \(number)", "value")
            })
        } == .invalidArgument)
      try transaction.insert("key", "value")
    }
    try requireSound(database, "no seed")
    #expect(database.count == 1)
    try database.close()
  }

  /// A closure of `update` that drops the tree it works on: nothing is stored in what is gone.
  @Test func anUpdateThatDropsItsOwnTree() throws {
    let database = try openDatabase(in: try MemoryStorage(), hasBackgroundThreads: false)
    try database.write { transaction in
      try transaction.tree("tree").insert("key", "value")
      #expect(
        code {
          try transaction.tree("tree").update("key") { _ in
            _ = try? transaction.dropTree("tree")
            return [1]
          }
        } == .notFound)
      #expect(try transaction.treeNames() == [])
    }
    try requireSound(database, "no seed")
    try database.close()
  }

  /// A file that is open for reading has the trees that it has.
  @Test func treesOfAFileOpenForReading() throws {
    let folder = try TemporaryFolder()
    let database = try Database.open(folder.file())
    try database.tree("tree").insert("key", "value")
    try database.close()
    var options = Database.Options()
    options.mode = .readOnly
    let reader = try Database.open(folder.file(), options: options)
    #expect(try reader.tree("tree").count == 1)
    #expect(code { _ = try reader.tree("other") } == .notFound)
    #expect(try reader.existingTree("other") == nil)
    #expect(code { _ = try reader.write { _ in true } } == .readOnly)
    #expect(code { try reader.dropTree("tree") } == .readOnly)
    #expect(try reader.verify().isSound)
    try reader.close()
  }
}

extension NamedTree {
  /// Loads an empty tree from a sequence that runs some code on the way.
  fileprivate func load(into other: NamedTree, _ body: () -> Void) throws {
    try withoutActuallyEscaping(body) { body in
      _ = try other.load(
        ascending: (0..<3).lazy.map { number in
          if number == 1 { body() }
          return ("key \(number)", "value")
        })
    }
  }
}
