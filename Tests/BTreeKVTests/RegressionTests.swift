import BTreeKV
import Pager
import TestSupport
import Testing

/// Histories that once went wrong, cut down to what is needed.
///
/// rule F4: the read-in checks refuse nothing that the engine itself wrote.
@Suite struct RegressionTests {
  /// A key of at most four bytes with an empty value has a cell of no bytes.
  ///
  /// It was put where the lowest cell began; removing that one raised the heap's start above it,
  /// and the page was refused as damaged once it was read again.
  @Test func emptyCellAtTheHeapStart() throws {
    let storage = try MemoryStorage()
    var database = try openDatabase(in: storage.reopen())
    for number in 0..<40 {
      try database.insert("k\(100 + number)", [UInt8](repeating: 7, count: 60))
    }
    try database.insert("x", "0123456789")
    try database.insert("y", "")
    try database.remove("x")
    try requireSound(database, "no seed, before closing")
    try database.close()
    database = try openDatabase(in: storage.reopen())
    #expect(try database.lookup("y") == [])
    try requireSound(database, "no seed, after reopening")
    try database.close()
  }
}
