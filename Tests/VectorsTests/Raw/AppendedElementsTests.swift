import BTreeKV
import Pager
import TestSupport
import Testing

@testable import Vectors

/// Elements that are buffered in segments, around the borders of these.
@Suite struct AppendedElementsTests {
  private struct Refusal: Error {}

  /// Writes the elements behind those of a vector, and takes that back or not.
  private func expect<Element: SampleElement>(
    _ appended: AppendedElements<Element>, _ model: [Element], in vector: RawVector<Element>,
    isKept: Bool, _ what: String
  ) throws {
    #expect(appended.count == model.count, "\(what)")
    #expect(appended.isEmpty == model.isEmpty, "\(what)")
    let before = try vector.count
    do {
      try vector.database.write { transaction in
        try appended.append(to: vector.access.in(transaction))
        let reader = try vector.access(in: transaction).reader()
        try require(reader.count == before + model.count, "\(what): \(reader.count) elements")
        #expect(storedBytes(Array(reader[before...])) == storedBytes(model), "\(what)")
        if !isKept { throw Refusal() }
      }
    } catch is Refusal {
      appended.stage?.takeBack()
    }
    #expect(try vector.count == before + (isKept ? model.count : 0), "\(what)")
    try requireSound(vector.database, what)
  }

  /// - Parameter goesIntoFile: whether full segments do.
  private func changeAtRandom<Element: SampleElement>(
    _ type: Element.Type, goesIntoFile: Bool
  ) throws {
    let segmentCount = AppendedElements<Element>.segmentCount
    #expect(segmentCount.nonzeroBitCount == 1)
    #expect(segmentCount * MemoryLayout<Element>.stride <= 1 << 20)
    var random = SeededRandom(seed: runSeed)
    let database = try openDatabase(in: MemoryStorage())
    let vector = try RawVector<Element>.open("v", in: database)
    for round in 0..<4 {
      // Chunks of the vector end anywhere among its elements.
      let first = (0..<random.below(9000)).map { _ in Element(number: random.next()) }
      try vector.write(appending: first)
      var appended = AppendedElements<Element>(goesIntoFile ? vector.access : nil)
      var model: [Element] = []
      for step in 0..<12 {
        let border = random.below(9) * segmentCount
        // Up to a border, one in front of it or behind it, or anywhere.
        let target = max(0, border + (random.chance(70) ? random.below(3) - 1 : random.below(999)))
        if target < model.count {
          try appended.truncate(to: target)
          model.removeSubrange(target...)
        } else {
          let new = (model.count..<target).map { _ in Element(number: random.next()) }
          if random.chance(50) {
            appended.append(contentsOf: new)
          } else {
            new.withUnsafeBytes { appended.append(storedAs: $0) }
          }
          model += new
        }
        let somewhere = model.isEmpty ? 0 : random.below(model.count)
        for index in [0, segmentCount - 1, segmentCount, 2 * segmentCount, somewhere]
        where model.indices.contains(index) {
          let element = Element(number: random.next())
          #expect(storedBytes([try appended.element(at: index)]) == storedBytes([model[index]]))
          try appended.update(at: index, element)
          model[index] = element
          #expect(storedBytes([try appended.element(at: index)]) == storedBytes([element]))
        }
        if random.chance(10) { try vector.write(appending: first) }
        let what = "\(type), round \(round), step \(step), seed \(runSeed)"
        try expect(appended, model, in: vector, isKept: step == 11, what)
      }
      let staged = appended.stage?.byteCount ?? 0
      #expect(goesIntoFile || staged == 0)
      appended = AppendedElements()
      #expect(try database.statistics().reservedPageCount < 4096)
      try requireSound(database, "round \(round), seed \(runSeed)")
    }
    try database.close()
  }

  @Test(arguments: [false, true]) func words(goesIntoFile: Bool) throws {
    try changeAtRandom(UInt64.self, goesIntoFile: goesIntoFile)
  }

  @Test(arguments: [false, true]) func structs(goesIntoFile: Bool) throws {
    try changeAtRandom(Triple.self, goesIntoFile: goesIntoFile)
  }

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
