import BTreeKV
import Foundation
import Regions
import Testing

// The examples of entry stores.

extension DocumentationExamples {
  @Test func entriesStayWhileHeld() throws {
    let database = try open()
    let store = try EntryStore(database, "pictures")
    try store.write("cat", [1, 2, 3])
    if let cat = try store.read("cat") {
      try store.remove("cat")
      assert(cat.array == [1, 2, 3])
    }
    #expect(try store.count == 0)
  }

  @Test func namespacesAreListedAndRemoved() throws {
    let database = try open()
    do {
      let store = try EntryStore(database, "pictures")
      try store.namespace("cats").write("tom", [1])
      for name in try store.namespaceNames() {
        print(String(decoding: name, as: UTF8.self), try store.namespace(name).count)
      }
      #expect(try store.removeAll() == 1)
    }
    let store = try EntryStore(database, "pictures")
    try store.namespace("cats").write("tom", [1])
    try store.namespace("dogs").write("rex", [2])
    let count = try store.namespace("cats").removeAll()
    assert(count == 1)
    #expect(try store.namespaceNames() == [Array("dogs".utf8)])
  }

  @Test func storesAreCompacted() throws {
    let database = try open()
    let store = try EntryStore(database, "pictures")
    for round in 0..<100 { try store.write("cat", [UInt8](repeating: UInt8(round), count: 1000)) }
    if try store.estimatedSavings() > 50_000 { try store.compact() }
    #expect(try store.byteCount < 2000)
  }

  @Test func entriesAreReadInPieces() throws {
    let database = try open()
    let films = try EntryStore(database, "films")
    try films.write("short", [UInt8](repeating: 1, count: 10_000))
    if let film = try films.read("short") {
      var stream = EntryStream(film)
      while let piece = stream.next(4096) { print(piece.count) }
    }
    #expect(try films.metadata(of: "short")?.count == 10_000)
  }

  @Test func entriesAreWrittenInPieces() throws {
    let database = try open()
    let store = try EntryStore(database, "films")
    try store.write("long") { writer in
      for frame in 0..<100 { try writer.write([UInt8](repeating: UInt8(frame), count: 40_000)) }
    }
    #expect(try store.read("long")?.count == 4_000_000)
  }

  @Test func manyEntriesAreWrittenAtOnce() throws {
    let database = try open()
    let store = try EntryStore(database, "words")
    try store.write((0..<1000).map { (key: "word \($0)", bytes: [UInt8($0 & 255)]) })
    #expect(try store.count == 1000)
  }

  @Test func nestedDatabasesAreOpenedInPlace() throws {
    let fruit = try open()
    try fruit.insert("apple", "red")
    try fruit.close()
    let database = try Database.open(path + ".outer")
    let archive = try EntryStore(database, "archive")
    try archive.write("fruit", [UInt8](Data(contentsOf: URL(filePath: path))))
    if let entry = try archive.read("fruit") {
      let nested = try Database.open(in: entry)
      let color = try nested.lookup("apple")
      assert(color == Array("red".utf8))
    }
    #expect(try archive.count == 1)
  }

  @Test func allProcessorsReadEntries() throws {
    let database = try open()
    do {
      let store = try EntryStore(database, "pictures")
      try store.write("cat", [1])
    }
    let store = try EntryStore(database, "pictures")
    try store.forEachConcurrently { entry in try entry.verify() }
    #expect(try store.count == 1)
  }
}
