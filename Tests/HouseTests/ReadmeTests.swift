import BTreeKV
import Foundation
import Regions
import Testing
import Vectors

/// The README's example is this file's example, and it does what the README says.
@Suite struct ReadmeTests {
  /// A place for the example's file.
  private func withPath(_ body: (String) throws -> Void) throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    try body(folder.appending(path: "example.btreekv").path)
  }

  @Test func exampleRuns() throws { try withPath(bytesExample) }

  @Test func typedExampleRuns() throws { try withPath(typedExample) }

  @Test func regionsExampleRuns() throws { try withPath(regionsExample) }

  @Test func entriesExampleRuns() throws { try withPath(entriesExample) }

  @Test func vectorsExampleRuns() throws { try withPath(vectorsExample) }

  private func vectorsExample(_ path: String) throws {
    let database = try Database.open(path)
    let heights = try RawVector<UInt32>.open("heights", in: database, version: 1)
    heights.append(contentsOf: [170, 181, 165])
    try heights.update(at: 0, 171)
    try heights.commit(stamp: 1)  // visible, durable, and something to go back to

    let reader = try heights.reader()  // unchanged for as long as it is held
    let total = reader.sum()  // a collection, too; `span` and `forEachSpan` show its memory
    let tall = reader.indices(where: 170...)  // [0, 1]

    try heights.truncate(to: 1)
    try heights.commit(stamp: 2)
    try heights.rollback()  // three elements again

    #expect(try total == 517 && tall == [0, 1] && heights.count == 3)
  }

  private func entriesExample(_ path: String) throws {
    let database = try Database.open(path)
    let store = try EntryStore(database, "pictures")
    try store.write("cat", [1, 2, 3])
    if let cat = try store.read("cat") {
      try store.remove("cat")
      assert(cat.array == [1, 2, 3])
    }

    #expect(try store.read("cat") == nil)
    try database.close()
  }

  private func bytesExample(_ path: String) throws {
    let database = try Database.open(path)
    try database.insert("apple", "red")
    try database.insert("banana", "yellow")
    try database.insert("cherry", "red")

    let color = try database.lookup("banana")  // the bytes of "yellow"
    let next = try database.above("banana")  // ("cherry", "red")
    try database.forEach(in: .prefix("b")) { key, value in
      print(key.byteCount, value.byteCount)
      return .next
    }
    try database.remove("apple")
    try database.close()

    #expect(color == Array("yellow".utf8))
    #expect(next?.key == Array("cherry".utf8))
  }

  private func typedExample(_ path: String) throws {
    let database = try Database.open(path)
    let stock = try database.tree("stock", of: String.self, Int.self)
    typealias Sale = CompositeKey<String, UInt64>  // a customer's name and a number
    let sales = try database.tree("sales", of: Sale.self, String.self)
    try stock.insert(contentsOf: [("apples", 12), ("pears", 3)])

    // All of it happens, or none: an error thrown in here undoes it.
    try database.write { transaction in
      let stock = stock.access(in: transaction)
      let sales = sales.access(in: transaction)
      try stock.update("pears") { ($0 ?? 0) - 1 }
      try sales.insert(Sale("ada", 1), "pears")
    }

    // One instant of all trees, while writers go on.
    try database.read { snapshot in
      guard let stock = try snapshot.tree("stock", of: String.self, Int.self) else { return }
      for (name, count) in stock.range("a"..<"q").reversed() { print(name, count) }
    }

    let left = try stock["pears"]  // 2
    let hers = try sales.count(in: Sale.prefixRange("ada"))  // 1
    let notes = try database.tree("notes")  // in bytes, like the database itself
    try notes.insert("monday", "closed")
    try database.close()

    #expect(left == 2)
    #expect(hers == 1)
  }

  private func regionsExample(_ path: String) throws {
    let database = try Database.open(path)
    let prices = try database.region("prices")
    try prices.append([1.5, 2.5, 4].span.bytes)

    // In place, and unchanged for as long as it is held.
    let reader = try prices.reader()
    let total = reader.values(of: Double.self)[0] + reader.values(of: Double.self)[2]

    // Bytes and entries in one commit.
    try database.write { transaction in
      try transaction.region("prices").append([8.0].span.bytes)
      try transaction.insert("last", "8")
    }
    let count = try prices.count  // 32; the reader still has 24
    try prices.truncate(to: 8)
    try database.renameRegion("prices", to: "old prices")

    #expect(total == 5.5)
    #expect(count == 32)
    #expect(reader.count == 24)
    #expect(reader.values(of: Double.self)[1] == 2.5)
    #expect(try prices.count == 8)
    #expect(try database.regionNames() == ["old prices"])
    try database.close()
  }

  @Test func examplesAreTheReadmes() throws {
    let readme = try String(
      contentsOf: StyleTests.root.appending(path: "README.md"), encoding: .utf8)
    let own = DocumentationTests.essence(
      of: try String(contentsOf: URL(filePath: #filePath), encoding: .utf8))
    let parts = readme.components(separatedBy: "```swift\n")
    #expect(parts.count > 3)
    for part in parts.dropFirst() {
      let block = try #require(part.components(separatedBy: "```").first)
      let code = block.replacing(/import [A-Za-z]+\n/, with: "")
      let isRun = own.contains(DocumentationTests.essence(of: code))
      #expect(isRun, "not run by this test: \(code)")
    }
  }
}
