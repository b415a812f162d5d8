import BTreeKV
import Testing
import Vectors

// The examples of vectors.

enum Side: UInt8, VectorElement {
  case unknown, buy, sell
  init(stored: UInt8) { self = Side(rawValue: stored) ?? .unknown }
}

struct Height: RawRepresentableElement {
  var rawValue: UInt32
}

extension DocumentationExamples {
  @Test func enumerationIsElement() throws {
    let database = try open()
    let sides = try RawVector<Side>.open("sides", in: database)
    sides.append(.sell)
    try sides.write()
    #expect(try Array(sides.reader()) == [.sell])
  }

  @Test func wrapperIsElement() throws {
    let database = try open()
    let heights = try RawVector<Height>.open("heights", in: database)
    heights.append(Height(rawValue: 7))
    try heights.write()
    #expect(try RawVector<UInt32>.open("heights", in: database).element(at: 0) == 7)
  }

  @Test func vectorIsWritten() throws {
    let database = try open()
    let heights = try RawVector<UInt32>.open("heights", in: database, version: 1)
    heights.append(170)
    heights.append(contentsOf: [181, 165])
    try heights.update(at: 0, 171)
    try heights.write()
    let reader = try heights.reader()
    assert(Array(reader) == [171, 181, 165])
    #expect(Array(reader) == [171, 181, 165])
  }

  @Test func vectorIsRead() throws {
    let database = try open()
    let prices = try RawVector<Double>.open("prices", in: database)
    prices.append(contentsOf: [1.5, 2.5, 3])
    try prices.write()
    let reader = try prices.reader()
    let sum = reader.reduce(0, +)
    assert(reader[1] == 2.5 && sum == 7)
    #expect(sum == 7)
  }

  @Test func vectorIsReadInRuns() throws {
    let database = try open()
    let numbers = try RawVector<UInt64>.open("numbers", in: database)
    try numbers.write(appending: [1, 2, 3])
    let reader = try numbers.reader()
    var sum: UInt64 = 0
    reader.forEachSpan { span in
      for index in span.indices { sum &+= span[index] }
    }
    #expect(sum == 6)
  }

  @Test func vectorInTransaction() throws {
    let database = try open()
    try database.write { transaction in
      let heights = try transaction.rawVector("heights", of: UInt32.self)
      try heights.append(contentsOf: [170, 181])
      try transaction.insert("last", "181")
    }
    #expect(try RawVector<UInt32>.open("heights", in: database).count == 2)
  }

  @Test func vectorRollsBack() throws {
    let database = try open()
    let balances = try RawVector<Int64>.open("balances", in: database)
    balances.append(contentsOf: [100, 200])
    try balances.commit(stamp: 1)
    try balances.update(at: 0, 50)
    balances.append(300)
    try balances.commit(stamp: 2)
    try balances.rollback()
    let (first, count) = (try balances.element(at: 0), try balances.count)
    assert(first == 100 && count == 2)
    #expect(try first == 100 && balances.stamps == [1])
  }

  @Test func vectorOfUsers() throws {
    let database = try open()
    struct UserID: RawRepresentable {
      var rawValue: UInt32
    }
    let ages = Vector<UserID, UInt8>(try RawVector.open("ages", in: database))
    ages.append(contentsOf: [31, 45])
    try ages.update(at: UserID(rawValue: 1), 46)
    let age = try ages.element(at: UserID(rawValue: 1))
    #expect(try age == 46 && ages.endIndex?.rawValue == 2)
  }

  @Test func vectorIsCompressed() throws {
    let database = try open()
    let times = try CompressedVector<UInt64>.open("times", in: database)
    times.append(contentsOf: (0..<100_000).map { 1_700_000_000 + 60 * $0 })
    try times.write()
    let reader = try times.reader()
    let last = try reader.element(at: 99_999)
    let matches = try reader.indices(where: 1_700_000_060...1_700_000_180)
    assert(last == 1_705_999_940 && matches == [1, 2, 3])
  }

  @Test func compressedVectorIsRead() throws {
    let database = try open()
    let prices = try CompressedVector<Double>.open("prices", in: database)
    prices.append(contentsOf: [1.5, 2.5, 3])
    try prices.write()
    let reader = try prices.reader()
    let (sum, greatest) = (try reader.sum(), try reader.max())
    assert(sum == 7 && greatest == 3)
  }
}
