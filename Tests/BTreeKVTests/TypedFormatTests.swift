import BTreeKV
import Foundation
import Testing

/// The examples of `docs/FILE-FORMAT.md` are what the codings do.
@Suite struct TypedFormatTests {
  private struct Example: Hashable {
    var tag: String
    var key: [UInt8]
    var value: [UInt8]
  }

  private func example<Coded: OrderedKey & StorableValue>(_ coded: Coded) throws -> Example {
    Example(tag: Coded.codingTag, key: coded.encodedKey, value: try coded.encodedValue())
  }

  /// The bytes between back quotes, in hexadecimal.
  private func bytes(_ cell: String) throws -> [UInt8] {
    try cell.replacing("`", with: "").split(separator: " ").map {
      try #require(UInt8($0, radix: 16))
    }
  }

  @Test func examplesAreTheDocuments() throws {
    let uuid = try #require(Bytes16("01234567-89ab-cdef-0011-223344556677"))
    let examples = [
      try example(7 as UInt8), try example(258 as UInt32), try example(1 as UInt128),
      try example(-2 as Int16), try example(1 as Int64), try example(1 as Double),
      try example(-0.0 as Double), try example(-1 as Float), try example(true),
      try example("a\0é"), try example([0, 0xFF] as [UInt8]), try example(uuid),
      try example(Int16?.none), try example(Int16?.some(-2)), try example(String?.some("a\0")),
      try example(CompositeKey(7 as UInt8, "a\0")),
      try example(CompositeKey(String?.none, 7 as UInt8)),
      try example(CompositeKey(CompositeKey("a"), [] as [UInt8])),
    ]
    let root = URL(filePath: #filePath)
      .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    let document = try String(
      contentsOf: root.appending(path: "docs/FILE-FORMAT.md"), encoding: .utf8)
    let chapter = try #require(
      document.components(separatedBy: "\n## ").first { $0.hasPrefix("Typed keys and values") })
    let table = try #require(chapter.components(separatedBy: "| tag | value | key |").last)
    var documented: [Example] = []
    for line in table.split(separator: "\n") where line.hasPrefix("| `") {
      let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
      try #require(cells.count == 4, "\(line)")
      documented.append(
        Example(
          tag: cells[0].replacing("`", with: ""), key: try bytes(cells[2]),
          value: try bytes(cells[3])))
    }
    #expect(documented == examples)
  }
}
