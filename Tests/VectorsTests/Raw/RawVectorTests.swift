import BTreeKV
import Pager
import Regions
import TestSupport
import Testing
import Vectors

/// What raw vectors do, one thing a test.
@Suite struct RawVectorTests {
  private struct Refusal: Error {}

  private let storage: MemoryStorage
  private let database: Database

  init() throws {
    storage = try MemoryStorage()
    database = try openDatabase(in: storage)
  }

  private func numbers(_ range: Range<Int>) -> [UInt64] {
    range.map { UInt64($0) &* 0x9E37_79B9_7F4A_7C15 }
  }

  // MARK: Names

  @Test func namesAreListedChangedAndRemoved() throws {
    let prices = try RawVector<Double>.open("prices", in: database, version: 3)
    prices.append(contentsOf: [1, 2])
    try prices.commit(stamp: 9)
    _ = try RawVector<UInt8>.open("bytes", in: database)
    let found = try database.vectors()
    #expect(found.map(\.name) == ["bytes", "prices"])
    #expect(found.map(\.elementTag) == ["u8", "f64"])
    #expect(found.map(\.elementByteCount) == [1, 8])
    #expect(found.map(\.version) == [0, 3])
    #expect(found.map(\.count) == [0, 2])
    #expect(found.map(\.stamp) == [nil, 9])
    #expect(found.map(\.format) == [.raw, .raw])
    #expect(errorCode { try database.renameVector("prices", to: "bytes") } == .alreadyExists)
    #expect(errorCode { try database.renameVector("none", to: "x") } == .notFound)
    #expect(errorCode { try database.renameVector("prices", to: "") } == .invalidArgument)
    try database.renameVector("prices", to: "costs")
    #expect(try prices.element(at: 1) == 2)
    let reader = try prices.reader()
    #expect(try database.removeVector("costs"))
    #expect(try !database.removeVector("costs"))
    #expect(Array(reader) == [1, 2])
    #expect(errorCode { _ = try prices.count } == .notFound)
    prices.append(7)
    #expect(errorCode { try prices.write() } == .notFound)
    #expect(errorCode { try prices.commit(stamp: 10) } == .notFound)
    #expect(try database.vectors().map(\.name) == ["bytes"])
    // Nothing is left of it: a new one of the name is empty, without stamps.
    let again = try RawVector<Double>.open("costs", in: database, version: 3)
    #expect(try again.isEmpty && again.stamp == nil && again.holes.isEmpty)
    try requireSound(database, "after removal")
    try database.close()
  }

  /// A count that nothing buffered depends on is not remembered.
  @Test func elementsThatOthersAppendedCanBeChanged() throws {
    let vector = try RawVector<Int>.open("numbers", in: database)
    try vector.truncate(to: 0)
    try vector.write(appending: [1, 2, 3])
    try vector.update(at: 2, 30)
    #expect(try vector.count == 3)
    try vector.write()
    #expect(errorCode { try vector.update(at: 3, 40) } == .invalidArgument)
    let other = try RawVector<Int>.open("numbers", in: database)
    try other.write(appending: [4])
    try vector.update(at: 3, 40)
    try vector.write()
    #expect(try Array(vector.reader()) == [1, 2, 30, 40])
  }

  @Test func anotherTypeOrVersionIsRefused() throws {
    let vector = try RawVector<UInt32>.open("v", in: database, version: 1)
    vector.append(contentsOf: [1, 2, 3])
    try vector.commit(stamp: 1)
    func message(_ body: () throws -> Void) -> String {
      do {
        try body()
        return ""
      } catch {
        return "\(error)"
      }
    }
    let type = message { _ = try RawVector<Float>.open("v", in: database, version: 1) }
    #expect(type.hasPrefix("typeMismatch") && type.contains("u32") && type.contains("f32"))
    let version = message { _ = try RawVector<UInt32>.open("v", in: database, version: 2) }
    #expect(version.hasPrefix("typeMismatch") && version.contains("version 1, not 2"))
    try database.read { snapshot in
      #expect(
        errorCode { _ = try snapshot.rawVector("v", of: Int32.self, version: 1) } == .typeMismatch)
    }
    #expect(
      errorCode {
        try database.write { _ = try $0.rawVector("v", of: UInt32.self, version: 7) }
      } == .typeMismatch)
    // What fits is not reset.
    let same = try RawVector<UInt32>.forcedOpen("v", in: database, version: 1)
    #expect(try Array(same.reader()) == [1, 2, 3])
    let reset = try RawVector<Float>.forcedOpen("v", in: database, version: 2)
    #expect(try reset.isEmpty && reset.stamp == nil)
    #expect(errorCode { _ = try vector.count } == .notFound)
    try requireSound(database, "after a reset")
    try database.close()
  }

  // MARK: Buffering

  @Test func changesAreBufferedUntilWritten() throws {
    let vector = try RawVector<UInt64>.open("v", in: database)
    let other = try RawVector<UInt64>.open("v", in: database)
    vector.append(contentsOf: [1, 2, 3])
    vector.append(4)
    #expect(vector.hasPendingChanges)
    #expect(try vector.count == 4 && other.isEmpty)
    #expect(try vector.element(at: 3) == 4)
    try vector.write()
    #expect(try !vector.hasPendingChanges && other.count == 4)
    try vector.update(at: 1, 20)
    vector.append(5)
    try vector.update(at: 4, 50)
    #expect(try vector.element(at: 1) == 20 && other.element(at: 1) == 2)
    #expect(try vector.take(at: 0) == 1)
    #expect(try vector.element(at: 0) == nil && vector.holes == [0])
    #expect(try other.element(at: 0) == 1 && other.holes.isEmpty)
    vector.discard()
    #expect(try vector.count == 4 && vector.element(at: 1) == 2 && vector.holes.isEmpty)
    try vector.truncate(to: 2)
    try vector.fill(to: 5, with: 9)
    try vector.update(at: 0, 10)
    #expect(try vector.count == 5 && other.count == 4)
    try vector.flush()
    #expect(try Array(other.reader()) == [10, 2, 9, 9, 9])
    try database.close()
  }

  /// Two handles append side by side; what depends on places is refused when these have moved.
  @Test func handlesBesideEachOther() throws {
    let first = try RawVector<UInt64>.open("v", in: database)
    let second = try RawVector<UInt64>.open("v", in: database)
    first.append(1)
    second.append(2)
    try first.write()
    try second.write()
    #expect(try Array(first.reader()) == [1, 2])
    try first.update(at: 0, 10)
    second.append(3)
    try second.write()
    #expect(errorCode { try first.write() } == .invalidArgument)
    #expect(first.hasPendingChanges)
    #expect(try Array(second.reader()) == [1, 2, 3])
    first.discard()
    try first.update(at: 0, 10)
    try first.write()
    #expect(try Array(second.reader()) == [10, 2, 3])
    try database.close()
  }

  /// What could not be written is still buffered, and can be written when there is room.
  @Test func fullDisk() throws {
    let storage = try MemoryStorage(capacityByteCount: 1 << 20)
    let database = try openDatabase(in: storage)
    let vector = try RawVector<UInt64>.open("v", in: database)
    try vector.write(appending: numbers(0..<1000))
    vector.append(contentsOf: numbers(1000..<200_000))
    #expect(errorCode { try vector.write() } == .diskFull)
    try vector.update(at: 3, 1)
    #expect(errorCode { try vector.commit(stamp: 1) } == .diskFull)
    #expect(try vector.reader().count == 1000 && vector.count == 200_000 && vector.stamp == nil)
    storage.capacityByteCount = 64 << 20
    try vector.commit(stamp: 1)
    let reader = try vector.reader()
    #expect(
      reader.count == 200_000 && reader[3] == 1 && reader[199_999] == numbers(199_999..<200_000)[0])
    try requireSound(database, "afterwards")
    try database.close()
  }

  @Test func placesThatAreNotThere() throws {
    let vector = try RawVector<UInt64>.open("v", in: database)
    vector.append(contentsOf: [1, 2])
    for index in [-1, 2, Int.max, Int.min] {
      #expect(errorCode { try vector.update(at: index, 1) } == .invalidArgument)
      #expect(errorCode { _ = try vector.element(at: index) } == .invalidArgument)
      #expect(errorCode { try vector.take(at: index) } == .invalidArgument)
    }
    #expect(errorCode { try vector.truncate(to: 3) } == .invalidArgument)
    #expect(errorCode { try vector.truncate(to: -1) } == .invalidArgument)
    try vector.write()
    for index in [-1, 2, Int.max, Int.min] {
      #expect(errorCode { _ = try vector.element(at: index) } == .invalidArgument)
      let updates: [(Int, UInt64)] = [(0, 5), (index, 7)]
      let code = errorCode {
        try database.write { transaction in
          try vector.access(in: transaction).update(updates)
        }
      }
      #expect(code == .invalidArgument)
    }
    #expect(try Array(vector.reader()) == [1, 2])
    try database.close()
  }

  // MARK: Transactions and snapshots

  @Test func oneCommitWithKeysAndRegions() throws {
    let vector = try RawVector<UInt64>.open("v", in: database)
    vector.append(contentsOf: numbers(0..<5000))
    try vector.write()
    #expect(throws: Refusal.self) {
      try database.write { transaction in
        let inside = vector.access(in: transaction)
        try inside.append(contentsOf: numbers(5000..<20_000))
        try inside.update(at: 7, 1)
        try inside.take(at: 8)
        try inside.truncate(to: 10)
        try transaction.insert("key", "value")
        try transaction.region("region").append("bytes")
        #expect(try inside.count == 10 && inside.element(at: 7) == 1)
        throw Refusal()
      }
    }
    #expect(try Array(vector.reader()) == numbers(0..<5000))
    #expect(try vector.holes.isEmpty && database.lookup("key") == nil)
    let before = try database.snapshot()
    try database.write { transaction in
      let inside = try transaction.rawVector("v", of: UInt64.self)
      #expect(try inside.append(contentsOf: numbers(5000..<20_000)) == 5000)
      try inside.update(at: 7, 1)
      #expect(try inside.take(at: 8) == numbers(8..<9)[0])
      #expect(try inside.take(at: 8) == nil)
      try transaction.insert("key", "value")
      try transaction.region("region").append("bytes")
      #expect(try Array(inside.reader())[7] == 1)
    }
    try database.read { snapshot in
      let seen = try #require(try snapshot.rawVector("v", of: UInt64.self))
      #expect(try seen.count == 20_000 && seen.element(at: 7) == 1 && seen.element(at: 8) == nil)
      #expect(try snapshot.lookup("key") != nil && snapshot.region("region")?.count == 5)
    }
    let old = try #require(try before.rawVector("v", of: UInt64.self))
    #expect(try Array(old.reader()) == numbers(0..<5000))
    #expect(try old.holes.isEmpty && before.lookup("key") == nil)
    #expect(try before.vectors().map(\.count) == [5000])
    try database.close()
  }

  @Test func savepointsUndoChanges() throws {
    try database.write { transaction in
      let vector = try transaction.rawVector("v", of: UInt8.self)
      try vector.append(contentsOf: [1, 2, 3])
      try? transaction.savepoint {
        try vector.update(at: 0, 9)
        try vector.append(contentsOf: [UInt8](repeating: 4, count: 100_000))
        throw Refusal()
      }
      #expect(try Array(vector.reader()) == [1, 2, 3])
    }
    #expect(try RawVector<UInt8>.open("v", in: database).count == 3)
    try database.close()
  }

  // MARK: Lengths

  /// Around the borders of chunks, blocks and leaves: appended in one piece and one by one, changed at
  /// both ends, cut by one.
  @Test(arguments: [
    0, 1, 2, 255, 256, 257, 1023, 1024, 1025, 4095, 4096, 4097, 8191, 8192, 8193, 16_384, 24_577,
    65_537,
  ])
  func lengths(count: Int) throws {
    func check<Element: SampleElement>(_ type: Element.Type, _ name: String) throws {
      var expected = (0..<count).map { Element(number: UInt64($0) &* 0x9E37_79B9) }
      let vector = try RawVector<Element>.open(name, in: database)
      try vector.write(appending: expected[..<(count / 2)])
      for element in expected[(count / 2)...] { vector.append(element) }
      try vector.write()
      func compare(_ what: String) throws {
        let reader = try vector.reader()
        #expect(reader.count == expected.count)
        #expect(storedBytes(reader) == storedBytes(expected), "\(name) \(what)")
        #expect(runBytes(reader) == storedBytes(expected), "\(name) \(what) in runs")
        if let last = expected.last {
          #expect(storedBytes([reader[expected.count - 1]]) == storedBytes([last]))
        }
      }
      try compare("appended")
      if count > 0 {
        for index in Set([0, count / 2, count - 1]) {
          expected[index] = Element(number: 77)
          try vector.update(at: index, expected[index])
        }
        try vector.write()
        try compare("updated")
        try vector.truncate(to: count - 1)
        expected.removeLast()
        try vector.write()
        try compare("cut")
      }
      vector.append(Element(number: 5))
      expected.append(Element(number: 5))
      try vector.write()
      try compare("grown")
      try vector.fold()
      try compare("folded")
    }
    try check(UInt64.self, "u64")
    try check(UInt8.self, "u8")
    try check(Triple.self, "triple")
    try requireSound(database, "\(count) elements")
    try database.close()
  }

  // MARK: Readers

  @Test func readersStay() throws {
    let vector = try RawVector<UInt64>.open("v", in: database)
    try vector.write(appending: numbers(0..<30_000))
    try vector.update(at: 100, 1)
    _ = try vector.take(at: 200)
    try vector.write()
    var expected = numbers(0..<30_000)
    expected[100] = 1
    let reader = try vector.reader()
    try vector.write(appending: numbers(0..<30_000))
    for index in stride(from: 0, to: 30_000, by: 3) { try vector.update(at: index, 9) }
    try vector.write()
    try vector.fold()
    try vector.truncate(to: 10)
    try vector.write()
    try database.checkpoint()
    try database.removeVector("v")
    try RawVector<UInt64>.open("w", in: database).write(appending: numbers(5..<50_000))
    #expect(Array(reader) == expected)
    #expect(reader.holes == [200] && reader.isHole(200) && reader.element(at: 200) == nil)
    #expect(reader.element(at: 199) == expected[199])
    #expect(storedBytes(reader) == storedBytes(expected))
    #expect(runBytes(reader, 90..<8000) == storedBytes(expected[90..<8000]))
    try database.close()
  }

  /// Elements that were not changed since they were appended are shown where the file has them.
  @Test func unchangedElementsAreNotCopied() throws {
    let folder = try TemporaryFolder()
    let database = try Database.open(folder.file(), options: tightOptions())
    let vector = try RawVector<UInt64>.open("v", in: database)
    try vector.write(appending: numbers(0..<100_000))
    let first = try vector.reader()
    let second = try vector.reader()
    func address(_ reader: RawVectorReader<UInt64>) -> UInt {
      reader.span.withUnsafeBufferPointer { UInt(bitPattern: $0.baseAddress) }
    }
    #expect(!first.isCopy && address(first) == address(second))
    try vector.update(at: 50_000, 1)
    try vector.write()
    let changed = try vector.reader()
    var addresses: [UInt] = []
    var counts: [Int] = []
    changed.forEachSpan { span in
      span.withUnsafeBufferPointer { addresses.append(UInt(bitPattern: $0.baseAddress)) }
      counts.append(span.count)
    }
    // Blocks of 8,192: six in front of the one with the change, the rest behind it.
    #expect(counts == [49_152, 8192, 100_000 - 57_344])
    #expect(addresses[0] == address(first) && addresses[2] == address(first) + 57_344 * 8)
    try vector.fold()
    let folded = try vector.reader()
    var runCount = 0
    folded.forEachSpan { _ in runCount += 1 }
    #expect(runCount == 1 && folded[50_000] == 1)
    try database.close()
  }

  @Test func holesAreFilled() throws {
    let vector = try RawVector<Height>.open("v", in: database)
    vector.append(contentsOf: (0..<3000).map { Height(rawValue: $0) })
    try vector.write()
    for index in [2500, 3, 1024, 4] { try vector.take(at: index) }
    #expect(try vector.holes == [3, 4, 1024, 2500])
    try vector.write()
    #expect(try vector.holes == [3, 4, 1024, 2500])
    #expect(try vector.fillFirstHole(orAppend: Height(rawValue: 1)) == 3)
    #expect(try vector.fillFirstHole(orAppend: Height(rawValue: 2)) == 4)
    #expect(try vector.take(at: 4)?.rawValue == 2)
    #expect(try vector.fillFirstHole(orAppend: Height(rawValue: 3)) == 4)
    try vector.write()
    #expect(try vector.holes == [1024, 2500] && vector.element(at: 4)?.rawValue == 3)
    try database.write { transaction in
      let inside = vector.access(in: transaction)
      #expect(try inside.fillFirstHole(orAppend: Height(rawValue: 4)) == 1024)
      #expect(try inside.fillFirstHole(orAppend: Height(rawValue: 5)) == 2500)
      #expect(try inside.fillFirstHole(orAppend: Height(rawValue: 6)) == 3000)
      try inside.take(at: 3000)
    }
    #expect(try vector.holes == [3000])
    try vector.truncate(to: 3000)
    vector.append(Height(rawValue: 8))
    try vector.write()
    #expect(try vector.holes.isEmpty && vector.element(at: 3000)?.rawValue == 8)
    try database.close()
  }

  /// The caller's sequence may use the handle that takes it.
  @Test func appendingWhatWrites() throws {
    let database = try openDatabase(in: MemoryStorage())
    let vector = try RawVector<UInt64>.open("v", in: database)
    vector.append(contentsOf: 0..<100)
    vector.append(
      contentsOf: (100..<1000).lazy.map { number in
        if number % 100 == 0 { try? vector.write() }
        return UInt64(number)
      })
    try vector.write()
    #expect(try Array(vector.reader()) == Array(0..<1000))
    #expect(errorCode { try vector.fill(to: .min, with: 1) } == nil)
    #expect(try vector.count == 1000)
    try database.close()
  }
}
