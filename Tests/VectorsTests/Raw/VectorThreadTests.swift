@testable import BTreeKV
import Pager
import Synchronization
import TestSupport
import Testing
import Vectors

/// Readers beside a writer of the same vector: all elements that a reader shows are of one commit, and no
/// older one than was committed before it was taken.
@Suite(.serialized) struct VectorThreadTests {
  /// What each commit leaves: every element says which it is, but those that none has changed.
  private static let count = 20_000

  @Test func readersBesideAWriter() throws {
    let seed = runSeed &* 733
    let storage = try MemoryStorage()
    let database = try openDatabase(
      in: storage.reopen(), tightOptions(checkpointThresholdByteCount: 256 << 10))
    let vector = try RawVector<UInt64>.open("v", in: database)
    vector.append(contentsOf: repeatElement(0, count: Self.count))
    try vector.write()
    let threads = TestThreads()
    let writers = TestThreads()
    let done = Locked<UInt64>(0)
    let checks = Atomic(0)
    writers.start { try Self.write(database, seed, done) }
    for _ in 0..<3 {
      threads.start {
        let mine = try RawVector<UInt64>.open("v", in: database)
        while !threads.mustEnd {
          let least = done.withLock { $0 }
          try Self.check(mine.reader(), least)
          try database.read { snapshot in
            guard let seen = try snapshot.rawVector("v", of: UInt64.self) else { return }
            try Self.check(seen.reader(), least)
          }
          checks.add(1, ordering: .relaxed)
        }
      }
    }
    let result = Result { try writers.wait() }
    threads.end()
    do {
      try threads.wait()
      try result.get()
    } catch {
      throw TestFailure("seed \(seed): \(error)")
    }
    #expect(checks.load(ordering: .relaxed) > 10, "too little was read")
    try requireSound(database, "afterwards")
    #expect(database.pager.kept.pageCounts == (0, 0))
    try database.close()
  }

  /// Commits versions: the first element is the version, `version` elements lie behind the others, and each
  /// place that was ever changed has the version of its residue.
  private static func write(
    _ database: Database, _ seed: UInt64, _ done: borrowing Locked<UInt64>
  ) throws {
    var random = SeededRandom(seed: seed)
    let vector = try RawVector<UInt64>.open("v", in: database)
    for version in UInt64(1)...(isUnderThreadSanitizer ? 60 : 200) {
      try vector.truncate(to: count)
      vector.append(contentsOf: repeatElement(version, count: Int(version)))
      for place in [0, 5000, 12_345, count - 1] { try vector.update(at: place, version) }
      switch random.below(5) {
      case 0: try vector.fold()
      case 1: try vector.commit(stamp: version)
      default: try vector.write()
      }
      done.withLock { $0 = version }
    }
  }

  private static func check(_ reader: RawVectorReader<UInt64>, _ least: UInt64) throws {
    let version = reader[0]
    try require(version >= least, "version \(version), but \(least) was there before")
    try require(
      reader.count == count + Int(version), "\(reader.count) elements in version \(version)")
    for place in [5000, 12_345, count - 1] {
      try require(reader[place] == version, "\(reader[place]) at \(place) in version \(version)")
    }
    try require(
      reader[count...].allSatisfy { $0 == version }, "the end of version \(version) differs")
    var sum: UInt64 = 0
    reader.forEachSpan { span in
      for index in span.indices { sum += span[index] }
    }
    try require(sum == 4 * version + version * version, "the sum \(sum) of version \(version)")
  }
}
