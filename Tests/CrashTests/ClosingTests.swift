import Testing

@testable import BTreeKV
@testable import Pager

/// rule F6: what closing does with the pages at the end of the file.
@Suite struct ClosingTests {
  /// Pages that lie behind many holes are moved into them, and the file is cut.
  @Test(arguments: Database.Durability.allCases)
  func pagesBehindHolesMoveDown(durability: Database.Durability) throws {
    let storage = try MemoryStorage()
    let database = try Database.open(
      storage: storage, options: LogImage.options(durability), hasBackgroundThreads: false)
    for number in 0..<1500 {
      try database.insert("key \(number)", [UInt8](repeating: 1, count: 300))
    }
    for number in 0..<40 {
      try database.insert("last \(number)", [UInt8](repeating: 2, count: 900))
    }
    try database.checkpoint()
    for number in 0..<1500 { try database.remove("key \(number)") }
    try database.close()
    let pageCount = storage.copyOfContents().count / 4096
    #expect(pageCount < 40, "\(pageCount) pages for 40 entries of 900 bytes")
    let again = try Database.open(
      storage: storage.reopen(), options: LogImage.options(durability),
      hasBackgroundThreads: false)
    #expect(again.count == 40)
    #expect(try again.verify().problems == [])
    try again.close()
  }
}
