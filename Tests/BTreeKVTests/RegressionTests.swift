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

  /// A cursor at its end goes back from its last entry, wherever leaves end.
  ///
  /// Where a range ends between a separator and the first key behind it, the end shows only when the
  /// next leaf was loaded. That leaf's prefix was then taken for the last key's.
  @Test func cursorsAtTheirEndKeepTheirKey() throws {
    let database = try openDatabase(in: MemoryStorage())
    var keys: [String] = []
    for length in 0..<60 {
      for digit in 0..<10 { keys.append(String(repeating: "ab", count: length) + "\(digit)") }
    }
    keys.sort()
    try database.load(ascending: keys.map { ($0, String(repeating: "v", count: 40)) })
    for index in 2..<keys.count {
      let cursor = try database.cursor(in: .range(keys[index - 2], keys[index]))
      while try cursor.next() != nil {}
      #expect(try cursor.previous()?.key == Array(keys[index - 2].utf8), "before \(keys[index])")
    }
    struct Refusal: Error {}
    for index in 2..<keys.count {
      _ = try? database.write { transaction in
        let cursor = try transaction.cursor(in: .range(keys[index - 2], keys[index]))
        while try cursor.next() != nil {}
        let new = keys[index - 1] + "+"
        guard new < keys[index] else { return }
        try transaction.insert(new, "new")
        #expect(try cursor.next()?.key == Array(new.utf8), "before \(keys[index])")
        throw Refusal()
      }
    }
    #expect(database.count == keys.count)
    try database.close()
  }
}
