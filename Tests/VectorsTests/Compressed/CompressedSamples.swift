import TestSupport

@testable import Vectors

extension Double: SampleElement {
  init(number: UInt64) { self.init(bitPattern: number) }
}

extension Int16: SampleElement {
  init(number: UInt64) { self = Int16(truncatingIfNeeded: number) }
}

/// Small pages, so that short histories have many.
let smallPages = CompressionOptions(level: 4, pageElementCount: 256)

/// What a reader shows in runs, as it is stored.
func runBytes<Element: VectorElement>(
  _ reader: CompressedVectorReader<Element>, _ range: Range<Int>? = nil
) throws -> [UInt8] {
  var bytes: [UInt8] = []
  try reader.forEachSpan(in: range) { span in
    span.withUnsafeBufferPointer { bytes.append(contentsOf: UnsafeRawBufferPointer($0)) }
  }
  return bytes
}

/// A vector as an array; what lies beneath a hole is still there.
struct ColumnContent<Element: VectorElement> where Element.Stored: PcoNumber {
  var elements: [Element] = []
  var holes: Set<Int> = []

  mutating func truncate(to count: Int) {
    elements.removeLast(elements.count - count)
    holes = holes.filter { $0 < count }
  }

  /// Demands that a reader shows this, in every way.
  func expect(
    _ reader: CompressedVectorReader<Element>, _ random: inout SeededRandom, _ what: String
  ) throws {
    let expected = storedBytes(elements)
    try require(reader.count == elements.count, "\(what): \(reader.count) of \(elements.count)")
    let found = try runBytes(reader)
    let difference = zip(found, expected).enumerated().first { $0.element.0 != $0.element.1 }
    try require(
      found == expected, "\(what): the first different byte is \(difference?.offset ?? -1)")
    try require(storedBytes(try reader.elements()) == expected, "\(what): the elements differ")
    try require(reader.holes == holes.sorted(), "\(what): holes \(reader.holes)")
    guard !elements.isEmpty else { return }
    for _ in 0..<20 {
      let index = random.below(elements.count)
      let found = try reader.element(at: index)
      let expected = holes.contains(index) ? nil : elements[index]
      try require(
        found.map { storedBytes([$0]) } == expected.map { storedBytes([$0]) },
        "\(what): element \(index)")
    }
    for _ in 0..<3 { try expectAnswers(reader, &random, what) }
  }

  /// Compares what statistics answer with what a look at all elements says.
  private func expectAnswers(
    _ reader: CompressedVectorReader<Element>, _ random: inout SeededRandom, _ what: String
  ) throws {
    let (a, b) = (random.below(elements.count + 1), random.below(elements.count + 1))
    let range = random.chance(40) ? 0..<elements.count : min(a, b)..<max(a, b)
    try require(
      try runBytes(reader, range) == storedBytes(elements[range]), "\(what): elements \(range)")
    var (least, greatest): (Element?, Element?)
    let low = elements[random.below(elements.count)].stored
    let high = elements[random.below(elements.count)].stored
    // No range has an end that is NaN.
    let numbers: ClosedRange<Element.Stored>? = low <= high ? low...high : nil
    var matches: [Int] = []
    for index in range where !holes.contains(index) {
      let number = elements[index].stored
      guard number == number else { continue }
      if least.map({ number < $0.stored }) ?? true { least = elements[index] }
      if greatest.map({ $0.stored < number }) ?? true { greatest = elements[index] }
      if let numbers, numbers.contains(number) { matches.append(index) }
    }
    func bytes(_ element: Element?) -> [UInt8]? { element.map { storedBytes([$0]) } }
    try require(try bytes(reader.min(in: range)) == bytes(least), "\(what): min of \(range)")
    try require(try bytes(reader.max(in: range)) == bytes(greatest), "\(what): max of \(range)")
    if let numbers {
      try require(
        try reader.indices(where: numbers, in: range) == matches, "\(what): \(numbers) in \(range)")
    }
  }
}
