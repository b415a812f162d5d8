import BTreeKV
import Testing
import Vectors

// The examples of computed columns.

extension DocumentationExamples {
  private func reader<Element: VectorElement>(
    _ name: String, _ elements: [Element], in database: Database
  ) throws -> RawVectorReader<Element> {
    let vector = try RawVector<Element>.open(name, in: database)
    try vector.write(appending: elements)
    return try vector.reader()
  }

  @Test func columnIsComputed() throws {
    let database = try open()
    let prices = try RawVector<Double>.open("prices", in: database)
    let average = ComputedVector(
      try RawVector<Double>.open("average", in: database), from: prices,
      by: .rollingAverage(over: 2))
    try prices.write(appending: [1, 3, 8])
    try average.update()
    try prices.write(appending: [4])
    let computed = try average.update()
    let reader = try average.elements.reader()
    assert(computed == 3..<4 && Array(reader) == [1, 2, 5.5, 6])
    try database.write { transaction in
      try prices.access(in: transaction).append(5)
      try average.update(in: transaction)
    }
    #expect(try Array(average.elements.reader()) == [1, 2, 5.5, 6, 4.5])
    try database.close()
  }

  @Test func columnIsMapped() throws {
    let celsius = try RawVector<Double>.open("celsius", in: try open())
    try celsius.write(appending: [10, 30, 20])
    let fahrenheit = try celsius.reader().mapped { $0 * 1.8 + 32 }
    let warmest = fahrenheit.max(in: nil)
    #expect(warmest == 86)
  }

  @Test func columnsAreZipped() throws {
    let database = try open()
    let highs = try reader("highs", [5, 9] as [Int32], in: database)
    let lows = try reader("lows", [4, 2] as [Int32], in: database)
    let spread = highs.zipped(with: lows) { $0 - $1 }
    let widest = spread.max(in: nil)
    #expect(widest == 7)
    let prices = highs
    let vector = try CompressedVector<Int32>.open("amounts", in: database)
    try vector.write(appending: [10, 20])
    let amounts = try vector.reader()
    let turnover = prices.throwing(DatabaseError.self).zipped(with: amounts) { $0 * $1 }
    #expect(try turnover.sum() == 230)
  }

  @Test func windowsAreLookedAt() throws {
    let database = try open()
    let prices = try reader("prices", [5, 9, 8, 8, 8] as [Int32], in: database)
    let ranges = prices.windowed(over: 3) { window in
      var (least, greatest) = (window[0], window[0])
      for index in window.indices {
        least = min(least, window[index])
        greatest = max(greatest, window[index])
      }
      return greatest - least
    }
    let calmest = ranges.min(in: nil)
    #expect(calmest == 0 && ranges.value(at: 3) == 1)
    let counts = try reader("counts", [5, 9, 3, 9] as [UInt8], in: database)
    let growth = counts.changes(over: 2) { Int64($0) - Int64($1) }
    #expect(growth.read(sortedIndices: 0..<4) == [nil, nil, -2, 0])
  }

  @Test func groupsAreSummed() throws {
    let database = try open()
    let trades = try reader("trades", [5, 9, 3, 9, 1] as [Int32], in: database)
    let firstTrades = try reader("first trades", [0, 2] as [UInt32], in: database)
    let days = trades.grouped(by: firstTrades)
    let (volumes, closes) = (days.sum(), days.last())
    let busiest = volumes.max(in: nil)
    #expect(busiest == 14 && closes.read(sortedIndices: 0..<2) == [9, 1])
  }
}
