import BTreeKV
import Foundation
import Testing

/// The examples of documentation comments, each in a test of its own that runs it.
///
/// `DocumentationTests` looks each example of the sources up in here. To add one: write a test,
/// prepare what the example takes for granted, copy the example, and expect what it claims. A
/// file's name in quotes is `path` here.
@Suite struct DocumentationExamples {
  private let folder: TemporaryExampleFolder
  var path: String { folder.path + "/fruit.btreekv" }

  init() throws { folder = try TemporaryExampleFolder() }

  /// A database of the example's own, for examples that take one for granted.
  func open() throws -> Database { try Database.open(path) }

  @Test func databaseOpens() throws {
    let database = try Database.open(path)
    try database.insert("apple", "red")
    let color = try database.lookup("apple")
    try database.close()
    #expect(color == Array("red".utf8))
  }

  @Test func forEachVisitsARange() throws {
    let database = try open()
    for (key, value) in [("user:1", "Ada"), ("user:2", "Grace"), ("usher", "not one")] {
      try database.insert(key, value)
    }
    var byteCount = 0
    try database.forEach(in: .prefix("user:")) { key, value in
      byteCount += value.byteCount
      return .next
    }
    #expect(byteCount == 8)
    try database.close()
  }

  @Test func compareAndSwapChanges() throws {
    let database = try open()
    try database.insert("state", "open")
    let hasChanged = try database.compareAndSwap("state", expected: "open", new: "closed")
    #expect(hasChanged)
  }

  @Test func updateCounts() throws {
    let database = try open()
    for _ in 0..<3 {
      try database.update("visits") { old in
        let visits = old.flatMap { Int(String(decoding: $0, as: UTF8.self)) } ?? 0
        return Array(String(visits + 1).utf8)
      }
    }
    #expect(try database.lookup("visits") == Array("3".utf8))
  }

  @Test func manyAtOnce() throws {
    let database = try open()
    try database.insert(contentsOf: [("apple", "red"), ("pear", "green")])
    #expect(database.count == 2)
  }

  @Test func transactionTakesTwo() throws {
    let database = try open()
    try database.write { transaction in
      try transaction.insert("alice", "70")
      try transaction.insert("bob", "130")
    }
    #expect(database.count == 2)
  }

  @Test func savepointIsUndone() throws {
    let database = try open()
    struct Refusal: Error {}
    try database.write { transaction in
      try transaction.insert("kept", "yes")
      try? transaction.savepoint {
        try transaction.insert("undone", "yes")
        throw Refusal()
      }
    }
    #expect(try database.contains("kept"))
    #expect(try !database.contains("undone"))
  }

  @Test func transactionReturns() throws {
    let database = try open()
    let total = try database.write { transaction in
      try transaction.insert("alice", "70")
      try transaction.insert("bob", "130")
      return transaction.count
    }
    #expect(total == 2)
  }

  @Test func snapshotStays() throws {
    let database = try open()
    try database.insert("apple", "red")
    let snapshot = try database.snapshot()
    try database.insert("apple", "green")
    let color = try snapshot.lookup("apple")
    assert(color == Array("red".utf8))
    #expect(color == Array("red".utf8))
  }

  @Test func readSeesOneInstant() throws {
    let database = try open()
    try database.insert(contentsOf: [("apple", "red"), ("pear", "green")])
    let (first, last) = try database.read { snapshot in
      (try snapshot.min()?.key, try snapshot.max()?.key)
    }
    #expect(first == Array("apple".utf8) && last == Array("pear".utf8))
  }

  @Test func treeHasAName() throws {
    let database = try open()
    let users = try database.tree("users")
    try users.insert("1", "Ada")
    #expect(users.count == 1 && database.isEmpty)
  }

  @Test func valueComesInPieces() throws {
    let database = try open()
    try database.insert("film") { writer in
      for frame in 0..<100 { try writer.write([UInt8](repeating: UInt8(frame), count: 40_000)) }
    }
    let film = try #require(try database.reader(of: "film"))
    #expect(film.byteCount == 4_000_000)
    try film.verify()
    var sum = 0
    try film.forEachPiece { piece in
      for index in 0..<piece.byteCount {
        sum += Int(piece.unsafeLoad(fromByteOffset: index, as: UInt8.self))
      }
    }
    #expect(sum == 40_000 * 99 * 50)
  }

  @Test func valueIsLent() throws {
    let database = try open()
    try database.insert("film", [UInt8](repeating: 7, count: 1 << 20))
    if let film = try database.reader(of: "film") {
      try film.forEachPiece(in: 0..<100) { bytes in assert(bytes.byteCount == 100) }
    }
    #expect(try database.reader(of: "film")?.byteCount == 1 << 20)
  }

  @Test func filesGetShorter() throws {
    let database = try open()
    try database.insert("film", [UInt8](repeating: 7, count: 1 << 20))
    try database.insert("photo", [UInt8](repeating: 8, count: 1 << 20))
    try database.remove("film")
    let report = try database.compact()
    assert(report.byteCount < report.byteCountBefore)
    #expect(try database.lookup("photo")?.count == 1 << 20)
  }

  @Test func filesAreBackedUp() throws {
    let database = try open()
    let newPath = folder.path + "/fruit-backup.btreekv"
    try database.insert("apple", "red")
    let report = try database.backUp(to: newPath)
    assert(report.entryCount == 1)
    #expect(try Database.open(newPath).lookup("apple") == Array("red".utf8))
  }

  @Test func filesGetShorterInBackground() throws {
    let database = try open()
    try database.removeRange(KeyRange("a"..<"b"))
    let compaction = try database.compactInBackground(after: .seconds(5))
    // …
    compaction.cancel()
    let report = try compaction.wait()
    #expect(report.movedValueCount == 0)
  }
}

/// A folder that is there as long as this is.
private final class TemporaryExampleFolder: Sendable {
  let path: String

  init() throws {
    path = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString).path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }
}
