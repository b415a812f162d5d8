import BTreeKV
import Pager
import TestSupport
import Testing

@testable import Vectors

/// Elements that are buffered in segments, around the borders of these.
@Suite struct AppendedElementsTests {
  private func expect<Element: SampleElement>(
    _ appended: AppendedElements<Element>, _ model: [Element], _ what: String
  ) throws {
    #expect(appended.count == model.count, "\(what)")
    #expect(appended.isEmpty == model.isEmpty, "\(what)")
    var bytes: [UInt8] = []
    try appended.forEachSegment { bytes += $0 }
    #expect(bytes == model.withUnsafeBytes { Array($0) }, "\(what)")
  }

  private func changeAtRandom<Element: SampleElement>(_ type: Element.Type) throws {
    let segmentCount = AppendedElements<Element>.segmentCount
    #expect(segmentCount.nonzeroBitCount == 1)
    #expect(segmentCount * MemoryLayout<Element>.stride <= 1 << 20)
    #expect(2 * segmentCount * MemoryLayout<Element>.stride > 1 << 20)
    var random = SeededRandom(seed: runSeed)
    var appended = AppendedElements<Element>()
    var model: [Element] = []
    for step in 0..<12 {
      let border = random.below(4) * segmentCount
      // Up to a border, one in front of it or behind it.
      let target = max(0, border + random.below(3) - 1)
      if target < model.count {
        appended.truncate(to: target)
        model.removeSubrange(target...)
      } else if random.below(3) == 0 {
        for _ in model.count..<target {
          let element = Element(number: random.next())
          appended.append(element)
          model.append(element)
        }
      } else {
        let element = Element(number: random.next())
        let elements = Array(repeating: element, count: target - model.count)
        if random.below(2) == 0 {
          appended.append(contentsOf: elements)
        } else {
          appended.append(contentsOf: elements.lazy.map { $0 })
        }
        model += elements
      }
      for index in [0, segmentCount - 1, segmentCount, 2 * segmentCount, model.count - 1]
      where model.indices.contains(index) {
        let element = Element(number: random.next())
        appended[index] = element
        model[index] = element
        #expect(storedBytes([appended[index]]) == storedBytes([element]))
      }
      try expect(appended, model, "\(type), step \(step), seed \(runSeed)")
    }
  }

  @Test func words() throws { try changeAtRandom(UInt64.self) }
  @Test func structs() throws { try changeAtRandom(Triple.self) }

  /// Some segments are written in one step, raw and compressed, and what was changed in them first.
  @Test func segmentsAreWrittenAtOnce() throws {
    let database = try openDatabase(in: MemoryStorage())
    let segmentCount = AppendedElements<UInt64>.segmentCount
    let count = 2 * segmentCount + 7
    let raw = try RawVector<UInt64>.open("raw", in: database)
    let compressed = try CompressedVector<UInt64>.open("compressed", in: database)
    for vector in [raw, compressed] {
      vector.append(1)
      try vector.write()
      for number in 0..<UInt64(count) { vector.append(number) }
      for index in [0, 1, segmentCount, segmentCount + 1, count] {
        try vector.update(at: index, 99)
        #expect(try vector.element(at: index) == 99)
      }
      try vector.truncate(to: count - 1)
      #expect(try vector.count == count - 1)
      #expect(try database.snapshot().vectors().contains { $0.count == 1 })
      try vector.write()
    }
    var expected = [1] + (0..<UInt64(count - 2))
    for index in [0, 1, segmentCount, segmentCount + 1] { expected[index] = 99 }
    #expect(Array(try raw.reader()) == expected)
    #expect(try compressed.reader().elements() == expected)
    let last = raw
    for number in 0..<UInt64(segmentCount + 1) { last.append(number) }
    try last.write()
    #expect(Array(try last.reader().dropFirst(count - 1)) == Array(0..<UInt64(segmentCount + 1)))
    try database.close()
  }
}
