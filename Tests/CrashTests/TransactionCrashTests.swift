import CrashSupport
import Foundation
import Testing

@testable import BTreeKV
@testable import Pager

/// Cases of checkpoints with named trees that once lost something, each on its own.
@Suite struct TransactionCrashTests {
  private func open(_ storage: any Storage) throws -> Database {
    var options = Database.Options()
    options.pageSize = 4096
    return try Database.open(storage: storage, options: options, hasBackgroundThreads: false)
  }

  /// rule A3, F1: the table of trees lies inside the file of whose length the superblock speaks,
  /// also when the checkpoint had to extend the file for it.
  @Test func aFullFileCanTakeTheTable() throws {
    let storage = try MemoryStorage()
    let database = try open(storage)
    let tree = try database.tree("tree")
    for number in 0..<50 { try tree.insert("key \(number)", "value") }
    try database.checkpoint()
    try tree.insert("one more", "value")
    var taken: [PageID] = []
    let allocator = database.pager.allocator
    while allocator.freePageCount > 0 { taken.append(try allocator.allocatePage()) }
    try database.checkpoint()
    database.pager.abandon()
    withExtendedLifetime(database) {}
    let memory = try MemoryStorage(contents: storage.reopen().copyOfContents())
    let again = try open(memory)
    #expect(try again.verify().problems == [])
    #expect(try again.existingTree("tree")?.count == 51)
  }

  /// rule A3, C7: a checkpoint that finds no room for the table of trees forgets nothing: the next
  /// one has all of it.
  @Test(arguments: [FaultyStorage.Operation.write, .allocate])
  func noRoomForTheTable(operation: FaultyStorage.Operation) throws {
    let memory = try MemoryStorage()
    let storage = FaultyStorage(memory)
    let database = try open(storage)
    let tree = try database.tree("tree")
    for number in 0..<50 { try tree.insert("key \(number)", "value") }
    try database.checkpoint()
    for number in 0..<2000 { try tree.insert("key \(number)", "another value") }
    let allocator = database.pager.allocator
    var taken: [PageID] = []
    if operation == .allocate {
      while allocator.freePageCount > 0 { taken.append(try allocator.allocatePage()) }
    }
    storage.failAt(
      1, PagerError(.diskFull, "a planned fault", systemError: ENOSPC), forever: true,
      matching: [operation])
    #expect(throws: DatabaseError.self) { try database.checkpoint() }
    storage.stopFailing()
    for page in taken { try allocator.free(Extent(first: page, pageCount: 1)) }
    #expect(try database.verify().problems == [])
    try database.checkpoint()
    database.pager.abandon()
    let again = try open(try MemoryStorage(contents: memory.reopen().copyOfContents()))
    #expect(try again.verify().problems == [])
    for number in 0..<500 { try again.insert("key \(number)", "value") }
    #expect(try again.verify().problems == [])
    #expect(try again.existingTree("tree")?.count == 2000)
  }

  /// rule F6: the file is cut to the length of which the superblock speaks, although the last
  /// checkpoint frees more: value bytes that a snapshot kept until just before.
  @Test(arguments: Database.Durability.allCases)
  func closingFreesWhatASnapshotKept(durability: Database.Durability) throws {
    for count in [100, 1000] {
      let storage = try MemoryStorage()
      var options = Database.Options()
      options.pageSize = 4096
      options.durability = durability
      let database = try Database.open(
        storage: storage, options: options, hasBackgroundThreads: false)
      for number in 0..<count {
        try database.insert("key \(number)", [UInt8](repeating: 1, count: 50))
      }
      try database.insert("middle", [UInt8](repeating: 1, count: 300_000))
      for number in 0..<count {
        try database.insert("later \(number)", [UInt8](repeating: 1, count: 50))
      }
      try database.insert("large", [UInt8](repeating: 1, count: 500_000))
      let snapshot = try database.snapshot()
      try database.remove("large")
      try database.remove("middle")
      try database.checkpoint()
      snapshot.close()
      try database.close()
      let again = try Database.open(
        storage: storage.reopen(), options: options, hasBackgroundThreads: false)
      #expect(again.count == 2 * count)
      #expect(try again.verify().problems == [])
      try again.close()
    }
  }
}
