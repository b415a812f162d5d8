@testable import BTreeKV
import Foundation
import Pager
import Regions
import TestSupport
import Testing
import Vectors

/// The file stays open for as long as anything of it is held, whoever lets go of the database, and is
/// closed with the last of it.
@Suite struct OpenFileTests {
  private let numbers = (0..<20_000).map { UInt32($0) &* 2_654_435_761 }
  private let long: [UInt8] = {
    var random = SeededRandom(seed: 31)
    return random.bytes(300_000)
  }()
  private let short = Array("short".utf8)

  private func fill(_ database: Database) throws {
    try database.insert("short", short)
    try database.insert("long", long)
    try database.tree("ages", of: String.self, Int.self).insert("Ada", 36)
    try database.region("short").append(short)
    try database.region("long").append(long)
    let store = try EntryStore(database, "pictures")
    try store.write("short", short)
    try store.write("long", long)
    try EntryStore(database, "one").namespace("n").write("short", short)
    let raw = try RawVector<UInt32>.open("raw", in: database)
    try raw.write(appending: numbers)
    try raw.update(at: 7, 5)
    try raw.write()
    try CompressedVector<UInt32>.open("compressed", in: database).write(appending: numbers)
    try average(database).update()
  }

  private func average(
    _ database: Database
  ) throws -> ComputedVector<Double, RawVector<Double>> {
    ComputedVector(
      try RawVector<Double>.open("average", in: database),
      from: try RawVector<UInt32>.open("raw", in: database), by: .rollingAverage(over: 2))
  }

  /// Makes something of an open database that nobody else holds, lets go of the database, and looks
  /// whether what was made is all right; then lets go of that, too.
  private func check<Made>(
    _ what: String, keepsFile: Bool = true, _ make: (Database) throws -> Made,
    _ isRight: (Made) throws -> Bool
  ) throws {
    let folder = try TemporaryFolder()
    let path = folder.file()
    weak var engine: Engine?
    do {
      let made: Made
      do {
        let database = try Database.open(path)
        try fill(database)
        engine = database.engine
        made = try make(database)
      }
      try require((engine != nil) == keepsFile, "\(what): whether the file is open")
      // Nobody else can change what it shows; of what is a copy it need not be kept.
      let code = errorCode { _ = try Database.open(path) }
      try require((code == .busy) == keepsFile, "\(what): \(String(describing: code))")
      try require(try isRight(made), "\(what): it is not what it was")
      withExtendedLifetime(made) {}
    }
    try require(engine == nil, "\(what): something still keeps the engine")
    // A file that was not closed could not be opened so.
    var options = Database.Options()
    options.mode = .readOnly
    let database = try Database.open(path, options: options)
    try require(database.lookup("long") == long, "\(what): the file is another one")
    try requireSound(database, what)
    try database.close()
  }

  private func errorCode(_ body: () throws -> Void) -> DatabaseError.Code? {
    do {
      try body()
      return nil
    } catch {
      return (error as? DatabaseError)?.code
    }
  }

  private func bytes(_ reader: RegionReader) -> [UInt8] {
    reader.bytes.withUnsafeBytes { Array($0) }
  }

  private func bytes(_ reader: ValueReader) throws -> [UInt8] {
    var bytes: [UInt8] = []
    try reader.forEachPiece { piece in piece.withUnsafeBytes { bytes += $0 } }
    try reader.verify()
    return bytes
  }

  /// A compaction works for the file and does not keep it open; its handle doesn't either.
  @Test(arguments: [Duration.zero, .seconds(3600)])
  func compactions(delay: Duration) throws {
    let folder = try TemporaryFolder()
    let compaction: BackgroundCompaction
    do {
      let database = try Database.open(folder.file())
      try fill(database)
      try database.removeRegion("long")
      compaction = try database.compactInBackground(after: delay)
    }
    let database = try Database.open(folder.file())
    _ = try compaction.wait()
    #expect(compaction.isFinished)
    withExtendedLifetime(compaction) {}
    try requireSound(database, "the file")
    try database.close()
  }

  /// Closing is for everybody, whatever is held.
  @Test func closingEndsItForAll() throws {
    let folder = try TemporaryFolder()
    let database = try Database.open(folder.file())
    try fill(database)
    let reader = try database.region("long").reader(.copying)
    let value = try #require(try database.reader(of: "long"))
    let tree = try database.tree("ages")
    try database.close()
    let again = try Database.open(folder.file())
    #expect(bytes(reader) == long)
    #expect(errorCode { try value.verify() } == .closed)
    #expect(errorCode { _ = try tree.lookup("Ada") } == .closed)
    #expect(errorCode { _ = try database.region("long") } == .closed)
    try again.close()
  }

  /// A database in an entry, or in a region, keeps the file around it.
  @Test func nestedDatabases() throws {
    let folder = try TemporaryFolder()
    let inner = try Database.open(folder.file("inner"))
    try fill(inner)
    try inner.close()
    let file = try [UInt8](Data(contentsOf: URL(filePath: folder.file("inner"))))
    try check("a nested database in an entry") { database in
      let store = try EntryStore(database, "archive")
      try store.write("inner", file)
      return try Database.open(in: try #require(try store.read("inner")))
    } _: { nested in
      try nested.lookup("long") == long && bytes(nested.region("long").reader()) == long
    }
    try check("an entry of a nested database in a region") { database in
      try database.region("archive").append(file)
      let nested = try Database.open(in: try database.region("archive").reader())
      return try #require(try EntryStore(nested, "pictures").read("long"))
    } _: { entry in
      entry.array == long
    }
  }

  @Test func trees() throws {
    try check(
      "a named tree", { try $0.tree("notes") },
      { try $0.insert("a", "b") && $0.lookup("a") == Array("b".utf8) })
    try check("a typed tree", { try $0.tree("ages", of: String.self, Int.self) }) { tree in
      try tree.insert("Grace", 37)
      return try tree["Ada"] == 36 && tree.count == 2
    }
    try check("a snapshot", { try $0.snapshot() }, { try $0.lookup("long") == long })
    try check("a snapshot's tree", { try #require(try $0.snapshot().tree("ages")) }) {
      $0.count == 1 && Array($0.range()).count == 1
    }
    try check(
      "a snapshot's typed tree",
      { try #require(try $0.snapshot().tree("ages", of: String.self, Int.self)) },
      { try $0["Ada"] == 36 })
  }

  @Test func walks() throws {
    try check("a cursor", { try $0.cursor() }) { cursor in
      try cursor.next()?.value == long && cursor.next()?.value == short && cursor.next() == nil
    }
    try check("a typed cursor", { try $0.tree("ages", of: String.self, Int.self).cursor() }) {
      try $0.next()?.value == 36
    }
    try check("a sequence", { $0.range() }) { Array($0).map(\.value) == [long, short] }
    try check("an iterator", { $0.range().makeIterator() }) { iterator in
      var iterator = iterator
      return iterator.next()?.value == long && iterator.next()?.value == short
    }
    try check("a typed sequence", { try $0.tree("ages", of: String.self, Int.self).range() }) {
      Array($0).map(\.value) == [36]
    }
    for (key, value) in [("short", short), ("long", long)] {
      try check("a reader of a \(key) value", { try #require(try $0.reader(of: key)) }) {
        try bytes($0) == value
      }
    }
  }

  @Test func regions() throws {
    for (name, content) in [("short", short), ("long", long)] {
      try check("a \(name) region", { try $0.region(name) }) { region in
        try region.append([1])
        return try region.readAll() == content + [1]
      }
      for reading in [RegionReading.mapped, .copying] {
        // Short ones lie in a leaf, of which a copy is made.
        let keepsFile = reading == .mapped && name == "long"
        try check("a reader of a \(name) region", keepsFile: keepsFile) {
          try $0.region(name).reader(reading)
        } _: {
          bytes($0) == content
        }
      }
      try check("a snapshot's \(name) region", { try #require(try $0.snapshot().region(name)) }) {
        try $0.readAll() == content && bytes($0.reader()) == content
      }
    }
  }

  @Test func entries() throws {
    try check("an entry store", { try EntryStore($0, "pictures") }) { store in
      try store.write("new", short)
      return try store.read("long")?.array == long
    }
    for (name, content) in [("short", short), ("long", long)] {
      let read = { (database: Database) in
        try #require(try EntryStore(database, "pictures").read(name))
      }
      try check("a \(name) entry", read) { entry in
        try entry.verify()
        return entry.array == content
      }
      try check("a \(name) entry's stream", { EntryStream(try read($0)) }) { stream in
        var stream = stream
        return stream.next(content.count) == content
      }
      try check(
        "a \(name) entry of a snapshot",
        { try #require(try $0.snapshot().entryStore("pictures")?.read(name)) },
        { $0.array == content })
      try check(
        "a copied \(name) entry", keepsFile: false,
        { try #require(try EntryStore($0, "pictures").read(name, .copying)) },
        { $0.array == content })
    }
    try check(
      "an entry in a short store", keepsFile: false,
      { try #require(try EntryStore($0, "one").namespace("n").read("short")) },
      { $0.array == short })
  }

  @Test func vectors() throws {
    var changed = numbers
    changed[7] = 5
    try check("a raw vector", { try RawVector<UInt32>.open("raw", in: $0) }) { vector in
      try vector.write(appending: [9])
      return try Array(vector.reader()) == changed + [9]
    }
    try check("a raw reader", { try RawVector<UInt32>.open("raw", in: $0).reader() }) {
      Array($0) == changed
    }
    try check(
      "a lazy column", { try RawVector<UInt32>.open("raw", in: $0).reader().mapped { $0 &+ 1 } },
      { $0.value(at: 7) == 6 && $0.value(at: 19_999) == numbers[19_999] &+ 1 })
    try check("a compressed vector", { try CompressedVector<UInt32>.open("compressed", in: $0) }) {
      try $0.reader().elements() == numbers
    }
    try check(
      "a compressed reader", { try CompressedVector<UInt32>.open("compressed", in: $0).reader() },
      { try $0.elements() == numbers })
    try check("a computed vector", average) { column in
      try column.isUpToDate && column.elements.element(at: 8) == (5 + Double(numbers[8])) / 2
    }
  }
}
