import BTreeKV
import Regions
import Testing

// The examples of regions.

extension DocumentationExamples {
  @Test func regionGrows() throws {
    let database = try open()
    let region = try database.region("log")
    try region.append("first line\n")
    let text = try region.read(0..<5)
    assert(text == Array("first".utf8))
    #expect(text == Array("first".utf8))
  }

  @Test func readerStays() throws {
    let database = try open()
    let region = try database.region("numbers")
    try region.append([1, 2, 3, 4])
    let reader = try region.reader()
    try region.truncate(to: 0)
    let sum = reader.bytes.withUnsafeBytes { $0.reduce(0) { $0 + Int($1) } }
    assert(sum == 10)
    #expect(sum == 10)
  }
}
