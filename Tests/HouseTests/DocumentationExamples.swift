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
  private var path: String { folder.path + "/fruit.btreekv" }

  init() throws { folder = try TemporaryExampleFolder() }

  /// A database of the example's own, for examples that take one for granted.
  private func open() throws -> Database { try Database.open(path) }

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
    var total = 0
    try database.forEach(in: .prefix("user:")) { key, value in
      total += value.byteCount
      return .next
    }
    #expect(total == 8)
    try database.close()
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
