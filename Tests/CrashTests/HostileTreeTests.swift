import Foundation
import Testing

@testable import BTreeKV
@testable import Pager

/// Tables of trees and catalogues that were damaged, or made up with right checksums: an error or
/// a finding of `verify`, never a trap or an endless loop.
@Suite struct HostileTreeTests {
  private static var options: Database.Options {
    var options = Database.Options()
    options.pageSize = 4096
    options.cacheByteCount = 4 << 20
    return options
  }

  private static func open(_ bytes: [UInt8]) throws -> Database {
    try Database.open(
      storage: try MemoryStorage(contents: bytes), options: options, hasBackgroundThreads: false)
  }

  /// A closed file with three trees of three levels and fewer.
  private static func closedFile() throws -> [UInt8] {
    let storage = try MemoryStorage()
    let database = try Database.open(
      storage: storage, options: options, hasBackgroundThreads: false)
    for name in ["a", "b", "c"] {
      let tree = try database.tree(name)
      let entries = (0..<(name == "a" ? 6000 : 100)).map { number in
        (Array("key \(100_000 + number)".utf8), [UInt8](repeating: 7, count: 60))
      }
      try tree.load(ascending: entries)
      try tree.insert("large", [UInt8](repeating: 1, count: 20_000))
    }
    for number in 0..<500 { try database.insert("key \(number)", "value") }
    try database.close()
    return storage.reopen().copyOfContents()
  }

  /// Changes the table and the superblock and gives both the right checksums.
  private func resealed(
    _ bytes: [UInt8], _ edit: (inout TreeTable, inout Superblock) throws -> Void
  ) throws -> [UInt8] {
    var bytes = bytes
    var block = try Superblock.decode(Array(bytes[..<512]))
    var location = try #require(block.treeTable)
    let place = Int(location.extent.first.rawValue) * 4096
    var table = try #require(TreeTable(Array(bytes[place..<place + location.byteCount])))
    try edit(&table, &block)
    // Where the edit moved the table, its bytes stay where they are.
    if block.treeTable == location {
      let encoded = table.encoded
      bytes.replaceSubrange(place..<place + encoded.count, with: encoded)
      location.byteCount = encoded.count
      location.checksum = encoded.withUnsafeBytes { checksum64($0, seed: block.checksumSeed) }
      block.treeTable = location
    }
    for offset in [0, 4096] { bytes.replaceSubrange(offset..<offset + 512, with: block.encoded()) }
    return bytes
  }

  /// Opens, verifies, reads and changes everything; what is found is an error or a problem.
  private func exercise(_ bytes: [UInt8]) throws -> [String] {
    let database: Database
    do {
      database = try Self.open(bytes)
    } catch let error as PagerError {
      #expect(error.code == .corrupted, "\(error)")
      return ["\(error)"]
    }
    var found = try database.verify().problems
    func attempt(_ body: () throws -> Void) {
      do { try body() } catch { found.append("\(error)") }
    }
    attempt { _ = try database.treeNames() }
    for name in ["", "a", "b", "c"] {
      attempt {
        let tree = try name.isEmpty ? nil : database.existingTree(name)
        if let tree {
          try tree.forEach { _, _ in .next }
          try tree.insert("key 100050", "another")
          try tree.removeRange(.from("key 1000"))
        } else {
          try database.forEach { _, _ in .next }
          try database.insert("key 5", "another")
        }
      }
    }
    attempt { try database.tree("new").insert("a", "b") }
    attempt { try database.dropTree("b") }
    attempt { try database.checkpoint() }
    attempt { try database.close() }
    return found
  }

  @Test func untouchedFileIsSound() throws {
    let bytes = try Self.closedFile()
    #expect(try exercise(bytes) == [])
    #expect(try exercise(try resealed(bytes) { _, _ in }) == [])
  }

  /// A count that is lower than the entries there are never goes below zero: it would not fit where
  /// it is stored. (Found by the fuzzer's whole-file target.)
  @Test func countsBelowTheEntries() throws {
    let bytes = try resealed(try Self.closedFile()) { table, block in
      block.root.count = 1
      for index in table.trees.indices { table.trees[index].root.count = 1 }
    }
    let database = try Self.open(bytes)
    func code(_ body: () throws -> Void) -> DatabaseError.Code? {
      do { try body() } catch { return (error as? DatabaseError)?.code }
      return nil
    }
    let tree = try #require(try database.existingTree("a"))
    #expect(try database.remove("key 7"))
    #expect(try tree.remove("key 100007"))
    for number in [8, 9, 250] {
      #expect(code { try database.remove("key \(number)") } == .corrupted)
      #expect(code { try tree.remove("key \(100_000 + number)") } == .corrupted)
    }
    #expect(code { try database.removeRange(.from("key 1")) } == .corrupted)
    #expect(code { try tree.removeRange(.range("key 1001", "key 1050")) } == .corrupted)
    let inTransaction = code {
      try database.write { transaction in
        _ = try transaction.tree("a").removeRange(.from("key 1002"))
      }
    }
    #expect(inTransaction == .corrupted)
    try database.checkpoint()
    #expect(database.count == 0 && tree.count == 0)
    #expect(try !database.verify().isSound)
    try database.close()
  }

  /// Each byte of the table that rots is found at opening.
  @Test func rottenTable() throws {
    let bytes = try Self.closedFile()
    let location = try #require(try Superblock.decode(Array(bytes[..<512])).treeTable)
    let place = Int(location.extent.first.rawValue) * 4096
    for offset in 0..<location.byteCount {
      var rotten = bytes
      rotten[place + offset] ^= 0x10
      #expect(throws: PagerError.self, "byte \(offset)") { _ = try Self.open(rotten) }
    }
  }

  /// Made-up tables: name of the case, and what it does.
  private typealias Edit = @Sendable (inout TreeTable, inout Superblock) throws -> Void
  private static let edits: [(String, Edit)] = [
    (
      "table beyond the file",
      { _, block in
        block.treeTable?.extent.first = PageID(UInt64(block.pageCount) + 5)
      }
    ),
    (
      "table far beyond the file",
      { _, block in
        block.treeTable?.extent.first = PageID((1 << 47) - 1)
      }
    ),
    ("endless table", { _, block in block.treeTable?.extent.pageCount = (1 << 47) - 1 }),
    ("table longer than its pages", { _, block in block.treeTable?.byteCount = (1 << 47) - 1 }),
    ("table of no bytes", { _, block in block.treeTable?.byteCount = 0 }),
    ("table on the superblock", { _, block in block.treeTable?.extent.first = PageID(1) }),
    ("no table", { _, block in block.treeTable = nil }),
    ("two trees with one root", { table, _ in table.trees[2].root = table.trees[1].root }),
    ("the main tree's root", { table, block in table.trees[2].root = block.root }),
    ("the same id twice", { table, _ in table.trees[2].id = table.trees[1].id }),
    ("ids out of order", { table, _ in table.trees.swapAt(1, 2) }),
    ("the main tree's id", { table, _ in table.trees[0].id = .main }),
    ("an id not given out", { table, _ in table.nextID = table.trees[2].id }),
    ("largest next id", { table, _ in table.nextID = TreeID(.max) }),
    ("next id beyond the catalogue's", { table, _ in table.nextID = TreeID(1 << 31) }),
    (
      "next id below the first",
      { table, _ in
        table.trees = [table.trees[0]]
        table.nextID = TreeID(2)
      }
    ),
    (
      "a tree that the catalogue lacks",
      { table, _ in
        table.trees[3].id = TreeID(99)
        table.nextID = TreeID(100)
      }
    ),
    (
      "next id of a tree that is there",
      { table, _ in
        table.trees.removeLast()
        table.nextID = TreeID(table.nextID.rawValue - 1)
      }
    ),
    (
      "root beyond the file",
      { table, block in
        table.trees[1].root.page.id = PageID(UInt64(block.pageCount) + 1)
      }
    ),
    ("root far beyond the file", { table, _ in table.trees[1].root.page.id = PageID(1 << 39) }),
    (
      "root of another epoch",
      { table, _ in
        table.trees[1].root.page.epoch = Epoch(table.trees[1].root.page.epoch.rawValue + 1)
      }
    ),
    (
      "root in a value's bytes",
      { table, _ in
        table.trees[1].root.page.id = PageID(table.trees[1].root.page.id.rawValue + 1)
      }
    ),
    ("height 64", { table, _ in table.trees[1].root.height = 64 }),
    ("height one too many", { table, _ in table.trees[1].root.height += 1 }),
    ("height one too few", { table, _ in table.trees[1].root.height = 1 }),
    ("height zero", { table, _ in table.trees[1].root.height = 0 }),
    ("height 1000", { table, _ in table.trees[1].root.height = 1000 }),
    ("too many entries", { table, _ in table.trees[1].root.count = (1 << 47) - 1 }),
    ("no entries", { table, _ in table.trees[1].root.count = 0 }),
  ]

  /// rule F4: whatever the table says, a clear error or a problem that `verify` names.
  @Test(arguments: 0..<29) func madeUpTable(number: Int) throws {
    let (name, edit) = Self.edits[number]
    #expect(Self.edits.count == 29)
    let found = try exercise(try resealed(try Self.closedFile(), edit))
    #expect(!found.isEmpty, "\(name) is not found")
  }

  /// Catalogues with nonsense in them.
  @Test(arguments: 0..<7) func madeUpCatalogue(number: Int) throws {
    let bytes = try Self.closedFile()
    let database = try Self.open(bytes)
    let catalogue = TreeAccess(database.file, database.engine.catalogue, .live)
    let id = try #require(try database.existingTree("a")).id
    let record: [UInt8] = [
      [], [1, 2], CatalogueRecord(id: TreeID(3)).encoded, CatalogueRecord(id: .main).encoded,
      CatalogueRecord(id: TreeID(.max)).encoded, CatalogueRecord(id: id).encoded,
      CatalogueRecord(id: TreeID(7000), typeTag: String(repeating: "x", count: 900)).encoded,
    ][number]
    try Array("b".utf8).withBytes { (key) throws(DatabaseError) in
      try record.withBytes { (value) throws(DatabaseError) in
        _ = try catalogue.insert(key, value, nil)
      }
    }
    #expect(try !database.verify().isSound)
    try database.close()
    let memory = try MemoryStorage(contents: bytes)
    let again = try Database.open(
      storage: memory, options: Self.options, hasBackgroundThreads: false)
    try Array("b".utf8).withBytes { (key) throws(DatabaseError) in
      try record.withBytes { (value) throws(DatabaseError) in
        let catalogue = TreeAccess(again.file, again.engine.catalogue, .live)
        _ = try catalogue.insert(key, value, nil)
      }
    }
    try again.close()
    #expect(try !exercise(memory.reopen().copyOfContents()).isEmpty)
  }
}
