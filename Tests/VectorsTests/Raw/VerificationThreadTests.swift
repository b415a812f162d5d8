import BTreeKV
import Pager
import Regions
import TestSupport
import Testing
import Vectors

/// `verify` beside everything that takes and gives back room without the writer mutex.
@Suite struct VerificationThreadTests {
  @Test(arguments: Database.Durability.allCases)
  func nothingIsLostThatIsOnItsWay(durability: Database.Durability) throws {
    let database = try openDatabase(
      in: try MemoryStorage(),
      tightOptions(durability: durability, checkpointThresholdByteCount: 256 << 10))
    let threads = TestThreads()
    // What is buffered goes into the file, and is given back.
    threads.start {
      let vector = try RawVector<UInt64>.open("v", in: database)
      while !threads.mustEnd {
        vector.append(contentsOf: 0..<20_000)
        if !vector.hasPendingChanges { throw TestFailure("nothing is buffered") }
        vector.discard()
      }
    }
    // Readers of what is removed, and the log's next segments.
    threads.start {
      let bytes = [UInt8](repeating: 3, count: 200_000)
      while !threads.mustEnd {
        try database.region("r").append(bytes)
        let reader = try database.region("r").reader()
        try database.removeRegion("r")
        try require(reader.count == bytes.count, "the reader shows \(reader.count) bytes")
      }
    }
    // Large values, whole and in pieces: their pages are written before the tree refers to them.
    threads.start {
      var size = 2_000
      while !threads.mustEnd {
        try database.insert("whole", [UInt8](repeating: 4, count: size))
        try database.insert("pieces") { writer in
          for _ in 0..<6 { try writer.write([UInt8](repeating: 5, count: 8 * size)) }
        }
        do {
          try database.insert("never") { writer in
            for _ in 0..<6 { try writer.write([UInt8](repeating: 6, count: 8 * size)) }
            throw TestFailure("as planned")
          }
        } catch is TestFailure {}
        size = size * 3 % 100_000 + 2_000
      }
    }
    let result = Result {
      for round in 0..<(isUnderThreadSanitizer ? 20 : 150) * lengthFactor {
        try requireSound(database, "round \(round)")
      }
    }
    threads.end()
    try threads.wait()
    try result.get()
    try database.close()
  }
}
