import BTreeKV
import Foundation
import Pager
import Regions
import TestSupport
import Testing

/// Entries whose bytes come in pieces.
@Suite struct EntryStreamTests {
  @Test func streamsOfAllKinds() async throws {
    let folder = try TemporaryFolder()
    let database = try Database.open(folder.file())
    let store = try EntryStore(database, "store")
    var random = SeededRandom(seed: 5)
    for byteCount in [0, 1, 70_000, 262_144, 262_145, 3_000_000] {
      let bytes = random.bytes(byteCount)
      let pieces = stride(from: 0, to: byteCount, by: 10_007).map {
        Array(bytes[$0..<min(byteCount, $0 + 10_007)])
      }
      try store.write("sequence", from: pieces)
      try await store.write(
        Array("asynchronous".utf8),
        from: AsyncStream { continuation in
          for piece in pieces { continuation.yield(piece) }
          continuation.finish()
        })
      let file = folder.file("source")
      try Data(bytes).write(to: URL(fileURLWithPath: file))
      let handle = try #require(FileHandle(forReadingAtPath: file))
      try store.write("descriptor", fileDescriptor: handle.fileDescriptor)
      try handle.close()
      try database.write { transaction in
        let store = try transaction.entryStore("store")
        try store.write("transaction", from: pieces)
        try require(try store.read("transaction")?.array == bytes, "in the transaction")
      }
      for key in ["sequence", "asynchronous", "descriptor", "transaction"] {
        let entry = try #require(try store.read(key))
        #expect(entry.array == bytes)
        try entry.verify()
        var stream = EntryStream(entry)
        var copy: [UInt8] = []
        while let piece = stream.next(60_000) { copy += piece }
        #expect(copy == bytes)
      }
    }
    #expect(try store.count == 4)
    try requireSound(database, "the file")
    try store.compact()
    try store.verify()
    try requireSound(database, "the compacted file")
    try database.close()
  }

  /// Others write while a source is slow, from the source itself even.
  @Test func aSlowSourceHoldsUpNobody() throws {
    let database = try openDatabase(in: try MemoryStorage())
    let store = try EntryStore(database, "store")
    try store.write("stream") { writer in
      for number in 0..<100 {
        try writer.write([UInt8](repeating: UInt8(number), count: 10_000))
        try store.write("other \(number)", [UInt8(number)])
      }
    }
    #expect(try store.count == 101)
    #expect(try store.read("stream")?.count == 1_000_000)
    #expect(try store.lastEntry?.key == Array("stream".utf8))
  }

  /// The sync at the end of a long stream has not all of it to wait for.
  @Test func longStreamsAreSyncedWhileTheyCome() throws {
    let storage = FaultyStorage(try MemoryStorage())
    let database = try openDatabase(in: storage, hasBackgroundThreads: false)
    let store = try EntryStore(database, "streams")
    let pieces = (0..<20).map { [UInt8](repeating: $0, count: 1 << 20) }
    try store.write("long") { writer in
      for piece in pieces { try writer.write(piece) }
    }
    let calls = storage.calls
    let written = calls.filter { $0.operation == .write && $0.byteCount >= 64 << 10 }
    let hints = calls.filter { $0.operation == .beginSynchronizing }
    #expect(hints.count >= 1 && hints.allSatisfy { $0.byteCount >= 8 << 20 }, "\(hints)")
    for hint in hints {
      // What was written, and nothing else.
      let count = written.filter {
        $0.offset >= hint.offset && $0.offset + $0.byteCount <= hint.offset + hint.byteCount
      }.reduce(0) { $0 + $1.byteCount }
      #expect(count == hint.byteCount)
    }
    let long = try #require(try store.read("long"))
    try long.verify()
    #expect(long.bytes.withUnsafeBytes { Array($0) } == Array(pieces.joined()))
    try database.close()
  }
}
