import BTreeKV
import Testing
import Vectors

// The examples of analytics and exchange.

extension DocumentationExamples {
  private func reader<Element: VectorElement>(
    _ elements: [Element]
  ) throws -> RawVectorReader<Element> {
    let vector = try RawVector<Element>.open("numbers", in: try open())
    try vector.write(appending: elements)
    return try vector.reader()
  }

  @Test func vectorIsFolded() throws {
    let words = try RawVector<UInt8>.open("words", in: try open())
    try words.write(appending: [3, 9, 4])
    let longest = try words.reader().fold(0) { longest, length in max(longest, length) }
    #expect(longest == 9)
  }

  @Test func vectorIsSummed() throws {
    let prices = try RawVector<Double>.open("prices", in: try open())
    try prices.write(appending: [1, 2.5, 3.5])
    let reader = try prices.reader()
    let (total, mean) = (reader.sum(), reader.mean(in: 1..<3))
    #expect(total == 7 && mean == 3)
    let cheap = try prices.reader().indices(where: 1..<3)
    #expect(cheap == [0, 1])
  }

  @Test func vectorIsSearched() throws {
    let times = try RawVector<UInt64>.open("times", in: try open())
    try times.write(appending: [10, 20, 20, 30])
    let since = try times.reader().firstIndex(notBelow: 20)
    #expect(since == 1)
  }

  @Test func partsAreMapped() throws {
    let reader = try reader((0..<200_000).map { UInt32($0) })
    let sums = reader.mapConcurrently { reader, part in reader.sum(in: part) }
    let sum = sums.reduce(0, +)
    #expect(sum == 19_999_900_000)
  }

  @Test func tableIsWritten() throws {
    let reader = try reader([171, 181] as [UInt32])
    var text: [UInt8] = []
    let writer = TableWriter(.csv, [ColumnSource("height", reader)])
    try writer.write { piece in text += piece }
    #expect(text == Array("height\n171\n181\n".utf8))
  }

  @Test func tableIsRead() throws {
    var heights: [UInt32?] = []
    let sink = ColumnSink("height", of: UInt32.self) { heights.append($0) }
    var reader = TableReader(.csv, [sink])
    try reader.read(Array("name,height\nada,171\nbob,\n".utf8))
    try reader.finish()
    #expect(heights == [171, nil])
  }

  @Test func numPyFileIsWrittenAndRead() throws {
    let source = try reader([1.5, 2.5])
    let file = try numPyFile(source)
    var numbers: [Double] = []
    var reader = NumPyReader<Double>()
    try reader.read(file) { numbers += $0 }
    try reader.finish()
    #expect(numbers == [1.5, 2.5])
  }

  private func numPyFile(_ reader: RawVectorReader<Double>) throws -> [UInt8] {
    var file: [UInt8] = []
    try NumPy.write(reader) { piece in
      piece.withUnsafeBytes { file.append(contentsOf: $0) }
    }
    return file
  }
}
