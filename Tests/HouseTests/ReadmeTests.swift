import BTreeKV
import Foundation
import Testing

/// The README's example is this file's example, and it does what the README says.
@Suite struct ReadmeTests {
  @Test func exampleRuns() throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.appending(path: "fruit.btreekv").path

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

  @Test func exampleIsTheReadmes() throws {
    let readme = try String(
      contentsOf: StyleTests.root.appending(path: "README.md"), encoding: .utf8)
    let parts = readme.components(separatedBy: "```swift\n")
    #expect(parts.count > 1)
    let own = try String(contentsOf: URL(filePath: #filePath), encoding: .utf8)
      .split(separator: "\n").map { squeezed($0) }
    for part in parts.dropFirst() {
      let block = try #require(part.components(separatedBy: "```").first)
      for line in block.split(separator: "\n") {
        let wanted = squeezed(line).replacing("\"fruit.btreekv\"", with: "path")
        #expect(wanted.isEmpty || own.contains(wanted), "not run by this test: \(line)")
      }
    }
  }

  /// A line without indentation and doubled spaces.
  private func squeezed(_ line: Substring) -> String {
    line.split(separator: " ").joined(separator: " ")
  }
}
