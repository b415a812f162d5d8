import BTreeKV
import Pager
import TestSupport
import Testing

@testable import Vectors

/// What a stored column does when something else than its sources' ends has changed.
@Suite struct ComputedVectorTests {
  private let database: Database

  init() throws { database = try openDatabase(in: try MemoryStorage()) }

  private func source(_ elements: [Int32]) throws -> RawVector<Int32> {
    let source = try RawVector<Int32>.open("source", in: database)
    try source.write(appending: elements)
    return source
  }

  private func doubles(
    _ source: BufferedVector<Int32>, version: UInt32 = 0
  ) throws -> ComputedVector<Int32, RawVector<Int32>> {
    ComputedVector(
      try RawVector.open("doubles", in: database), from: source, by: .map { $0 * 2 },
      version: version)
  }

  private func found<Value>(
    _ vector: ComputedVector<Value, RawVector<Value>>
  ) throws -> [Value?] {
    presentElements(try vector.elements.reader())
  }

  @Test func onlyWhatIsNewIsComputed() throws {
    let source = try source([1, 2, 3])
    let doubles = try doubles(source)
    #expect(try !doubles.isUpToDate)
    #expect(try doubles.update() == 0..<3)
    #expect(try doubles.isUpToDate)
    #expect(try doubles.update() == 3..<3)
    source.append(4)
    // What is buffered does not count.
    #expect(try doubles.isUpToDate)
    try source.write()
    #expect(try !doubles.isUpToDate)
    #expect(try doubles.update() == 3..<4)
    #expect(try found(doubles) == [2, 4, 6, 8])
  }

  @Test func anEmptySourceMakesAnEmptyColumn() throws {
    let source = try source([])
    let doubles = try doubles(source)
    #expect(try doubles.update() == 0..<0)
    #expect(try doubles.isUpToDate)
    try source.write(appending: [1])
    #expect(try doubles.update() == 0..<1)
    try source.truncate(to: 0)
    try source.write()
    #expect(try doubles.update() == 0..<0)
    #expect(try found(doubles) == [])
  }

  @Test func changesInPlaceAreComputedFromTheFirst() throws {
    let source = try source([1, 2, 3, 4, 5])
    let doubles = try doubles(source)
    try doubles.update()
    try source.update(at: 3, 40)
    try source.write()
    try source.update(at: 2, 30)
    try source.update(at: 4, 50)
    try source.write()
    #expect(try doubles.update() == 2..<5)
    #expect(try found(doubles) == [2, 4, 60, 80, 100])
    try source.take(at: 1)
    try source.write()
    #expect(try doubles.update() == 1..<5)
    #expect(try found(doubles) == [2, nil, 60, 80, 100])
    try source.fillFirstHole(orAppend: 7)
    try source.write()
    #expect(try doubles.update() == 1..<5)
    try source.truncate(to: 4)
    source.append(8)
    try source.write()
    #expect(try doubles.update() == 4..<5)
    #expect(try found(doubles) == [2, 14, 60, 80, 16])
    try source.fold()
    #expect(try doubles.isUpToDate)
  }

  @Test func rollbacksAreFollowed() throws {
    let source = try source([1, 2, 3, 4])
    let doubles = try doubles(source)
    try source.take(at: 0)
    try source.commit(stamp: 1)
    try doubles.update()
    try source.update(at: 1, 20)
    source.append(contentsOf: [5, 6])
    try source.commit(stamp: 2)
    try doubles.update()
    #expect(try found(doubles) == [nil, 40, 6, 8, 10, 12])
    try source.rollback()
    #expect(try doubles.update() == 1..<4)
    #expect(try found(doubles) == [nil, 4, 6, 8])
    // Cut off and put back without anybody having looked.
    try source.truncate(to: 3)
    try source.write()
    try source.rollback(to: 1)
    #expect(try doubles.update() == 3..<4)
    try source.truncate(to: 2)
    source.append(contentsOf: [-3, -4, -5])
    try source.write()
    try doubles.update()
    try source.rollback(to: 1)
    #expect(try doubles.update() == 2..<4)
    #expect(try found(doubles) == [nil, 4, 6, 8])
    try source.update(at: 0, 9)
    try source.write()
    try doubles.update()
    try source.rollback(to: 1)
    #expect(try doubles.update() == 0..<4)
    #expect(try found(doubles) == [nil, 4, 6, 8])
    // Nothing but a hole.
    try source.take(at: 2)
    try source.write()
    #expect(try doubles.update() == 2..<4)
    try source.rollback(to: 1)
    #expect(try doubles.update() == 2..<4)
    #expect(try found(doubles) == [nil, 4, 6, 8])
  }

  @Test func anotherRuleVersionOrSourceMeansAnew() throws {
    let source = try source([1, 2, 3])
    try doubles(source).update()
    #expect(try doubles(source, version: 1).update() == 0..<3)
    #expect(try doubles(source, version: 1).update() == 3..<3)
    let sums = ComputedVector(
      try RawVector<Int32>.open("doubles", in: database), from: source, by: .cumulativeSum)
    #expect(try sums.update() == 0..<3)
    #expect(try found(sums) == [1, 3, 6])
    let wider = ComputedVector(sums.elements, from: source, by: .rollingSum(over: 2))
    #expect(try wider.update() == 0..<3)
    let widest = ComputedVector(sums.elements, from: source, by: .rollingSum(over: 3))
    #expect(try widest.update() == 0..<3)
    let other = try RawVector<Int32>.open("other", in: database)
    try other.write(appending: [5, 5])
    let elsewhere = ComputedVector(sums.elements, from: other, by: .rollingSum(over: 3))
    #expect(try elsewhere.update() == 0..<2)
    #expect(try found(elsewhere) == [5, 10])
    #expect(try doubles(source).update() == 0..<3)
    // Another name is the same source.
    try database.renameVector("source", to: "renamed")
    #expect(try doubles(source).isUpToDate)
  }

  /// A vector that is made after the last one was removed, and the file opened anew, has its number.
  @Test(arguments: [false, true]) func aSourceMadeAnewIsAnother(isReopened: Bool) throws {
    let storage = try MemoryStorage()
    var database = try openDatabase(in: storage)
    var target = try RawVector<Int32>.open("target", in: database)
    var source = try RawVector<Int32>.open("source", in: database)
    try source.write(appending: [1, 2, 3])
    try ComputedVector(target, from: source, by: .cumulativeSum).update()
    let list = source.access.list.id
    try database.removeVector("source")
    if isReopened {
      try database.close()
      database = try openDatabase(in: storage.reopen())
      target = try RawVector<Int32>.open("target", in: database)
    }
    source = try RawVector<Int32>.open("source", in: database)
    #expect(isReopened == (source.access.list.id == list))
    try source.write(appending: [7, 7, 7])
    // Somebody else has asked for its history already.
    try ComputedVector(
      try RawVector<Int32>.open("beside", in: database), from: source, by: .cumulativeSum
    ).update()
    let sums = ComputedVector(target, from: source, by: .cumulativeSum)
    #expect(try sums.update() == 0..<3)
    #expect(Array(try target.reader()) == [7, 14, 21])
    try database.close()
  }

  @Test func whatOthersWriteToTheColumnIsReplaced() throws {
    let source = try source([1, 2, 3])
    let doubles = try doubles(source)
    try doubles.update()
    let intruder = try RawVector<Int32>.open("doubles", in: database)
    try intruder.update(at: 1, 999)
    intruder.append(5)
    try intruder.write()
    #expect(try !doubles.isUpToDate)
    #expect(try doubles.update() == 1..<3)
    try intruder.write(appending: [5])
    #expect(try doubles.update() == 3..<3)
    #expect(try found(doubles) == [2, 4, 6])
    try intruder.truncate(to: 1)
    try intruder.write()
    #expect(try doubles.update() == 1..<3)
    try intruder.take(at: 2)
    try intruder.write()
    #expect(try doubles.update() == 2..<3)
    #expect(try found(doubles) == [2, 4, 6])
    // A vector that was never computed.
    try RawVector<Int32>.open("strange", in: database).write(appending: [9, 9, 9, 9])
    let strange = ComputedVector(
      try RawVector<Int32>.open("strange", in: database), from: source, by: .cumulativeSum)
    #expect(try strange.update() == 0..<3)
    #expect(try found(strange) == [1, 3, 6])
  }

  @Test func columnsCanBeChained() throws {
    let source = try source([1, 2, 3, 4])
    let doubles = try doubles(source)
    let sums = ComputedVector(
      try RawVector<Int32>.open("sums", in: database), from: doubles.elements, by: .cumulativeSum)
    let pairs = ComputedVector(
      try RawVector<Int32>.open("pairs", in: database), from: sums.elements, source, by: .addition)
    func update() throws -> [Range<Int>] {
      [try doubles.update(), try sums.update(), try pairs.update()]
    }
    #expect(try update() == [0..<4, 0..<4, 0..<4])
    try source.update(at: 2, 30)
    source.append(5)
    try source.write()
    #expect(try update() == [2..<5, 2..<5, 2..<5])
    #expect(try found(pairs) == [3, 8, 96, 78, 89])
    // Holes that come with new elements change nothing in front of them.
    source.append(contentsOf: [6, 7])
    try source.take(at: 6)
    try source.write()
    #expect(try update() == [5..<7, 5..<7, 5..<7])
    #expect(try found(pairs).last == .some(nil))
  }

  /// Behind holes at its end a column goes on from what lies beneath them.
  @Test func columnsGoOnBehindHoles() throws {
    let source = try RawVector<Double>.open("source", in: database)
    let rules: [(ComputationRule<Double, Double>, [Double?])] = [
      (.cumulativeSum, [4, nil, 6]), (.allTimeHigh, [4, nil, 4]), (.allTimeLow, [4, nil, 2]),
      (.exponentialAverage(weight: 0.5), [4, nil, 3]),
    ]
    for (rule, expected) in rules {
      try source.truncate(to: 0)
      source.append(contentsOf: [4, 9])
      try source.take(at: 1)
      try source.write()
      let column = ComputedVector(
        try RawVector<Double>.open("column", in: database), from: source, by: rule)
      try column.update()
      try source.write(appending: [2])
      #expect(try column.update() == 2..<3)
      #expect(try found(column) == expected, "\(rule.name)")
    }
  }

  /// Medians of windows that are mostly holes, so that either half is empty now and then.
  @Test func mediansOfFewElements() throws {
    let source = try source([9, 8, 1, 5, 7, 3, 2, 6])
    for index in [1, 2, 4, 5] { try source.take(at: index) }
    try source.write()
    let medians = ComputedVector(
      try RawVector<Double>.open("medians", in: database), from: source, by: .rollingMedian(over: 4)
    )
    try medians.update()
    #expect(try found(medians) == [9, nil, nil, 7, nil, nil, 3.5, 4])
  }

  @Test func columnsCanBeCompressed() throws {
    let options = CompressionOptions(level: 1, pageElementCount: 256)
    let source = try CompressedVector<Int32>.open("source", in: database, options: options)
    try source.write(appending: (0..<3000).map { Int32($0 % 100) })
    let sums = ComputedVector(
      try CompressedVector<Int64>.open("sums", in: database, options: options), from: source,
      by: .rollingSum(over: 300))
    #expect(try sums.update(nil, elementsPerCommit: 700) == 0..<3000)
    try source.truncate(to: 2000)
    try source.update(at: 1500, 5)
    try source.take(at: 1700)
    try source.write()
    #expect(try sums.update() == 1500..<2000)
    let whole = ComputedVector(
      try RawVector<Int64>.open("whole", in: database), from: source, by: .rollingSum(over: 300))
    try whole.update()
    let reader = try sums.elements.reader()
    #expect(try reader.elements() == Array(try whole.elements.reader()))
    #expect(reader.holes == [1700])
    try sums.elements.verify()
  }

  @Test func anUpdateIsAPartOfATransaction() throws {
    let source = try source([1, 2])
    let doubles = try doubles(source)
    try doubles.update()
    try database.write { transaction in
      try source.access(in: transaction).append(3)
      #expect(try doubles.update(in: transaction) == 2..<3)
    }
    #expect(try found(doubles) == [2, 4, 6])
    #expect(try doubles.isUpToDate)
    struct Refusal: Error {}
    #expect(throws: Refusal.self) {
      try database.write { transaction in
        try source.access(in: transaction).update(at: 0, 9)
        try doubles.update(in: transaction)
        throw Refusal()
      }
    }
    #expect(try doubles.isUpToDate)
    #expect(try found(doubles) == [2, 4, 6])
  }

  /// A rule that fails leaves nothing that is not right.
  @Test func whatDoesNotFitEndsTheColumn() throws {
    let source = try source([1, 2, 3, 4])
    let sums = ComputedVector(
      try RawVector<Int8>.open("sums", in: database), from: source, by: .cumulativeSum)
    try sums.update()
    try source.update(at: 1, 120)
    try source.update(at: 2, 10)
    try source.write()
    #expect(throws: DatabaseError.self) { try sums.update() }
    #expect(try found(sums) == [1, 121])
    #expect(try !sums.isUpToDate)
    #expect(throws: DatabaseError.self) { try sums.update() }
    try source.update(at: 2, -100)
    try source.write()
    #expect(try sums.update() == 2..<4)
    #expect(try found(sums) == [1, 121, 21, 25])
  }

  @Test func vectorsThatCannotBeSourcesAreRefused() throws {
    let source = try source([1])
    let itself = ComputedVector(
      try RawVector<Int32>.open("source", in: database), from: source, by: .cumulativeSum)
    #expect(throws: DatabaseError.self) { try itself.update() }
    #expect(Array(try source.reader()) == [1])
    let elsewhere = try openDatabase(in: try MemoryStorage())
    let other = ComputedVector(
      try RawVector<Int32>.open("sums", in: elsewhere), from: source, by: .cumulativeSum)
    #expect(throws: DatabaseError.self) { try other.update() }
    #expect(throws: DatabaseError.self) { try other.isUpToDate }
    let doubles = try doubles(source)
    try doubles.update()
    try database.removeVector("source")
    #expect(throws: DatabaseError.self) { try doubles.update() }
  }

  /// What others do between two commits of an update is seen by the next one.
  @Test func sourcesChangeBetweenCommits() throws {
    let source = try source((0..<300).map { $0 })
    let sums = ComputedVector(
      try RawVector<Int32>.open("sums", in: database), from: source, by: .rollingSum(over: 50))
    var progress = ComputationProgress()
    func commit() throws -> Range<Int> {
      try sums.commit(nil, &progress, elementCount: 60).computed
    }
    #expect(try commit() == 0..<60)
    try source.update(at: 55, 1000)
    try source.write()
    #expect(try commit() == 55..<115)
    #expect(try commit() == 115..<175)
    try source.truncate(to: 175)
    source.append(7)
    try source.write()
    #expect(try commit() == 175..<176)
    try sums.elements.update(at: 170, 1)
    try sums.elements.write()
    #expect(try commit() == 170..<176)
    // Cut off by others, and right again before anybody has seen it.
    try sums.elements.truncate(to: 120)
    try sums.elements.write()
    try ComputedVector(sums.elements, from: source, by: .rollingSum(over: 50)).update()
    try source.write(appending: [8, 9])
    #expect(try commit() == 176..<178)
    let numbers = Array(try source.reader())
    let expected = numbers.indices.map { numbers[max(0, $0 - 49)...$0].reduce(0, +) }
    #expect(try found(sums) == expected)
  }

  @Test func commitsGoOnWhereTheLastOneEnded() throws {
    let source = try source((0..<5000).map { $0 })
    let sums = ComputedVector(
      try RawVector<Int64>.open("sums", in: database), from: source, by: .rollingSum(over: 900))
    #expect(try sums.update(nil, elementsPerCommit: 64) == 0..<5000)
    let found = try found(sums)
    for index in [0, 1, 899, 900, 4999] {
      let window = max(0, index - 899)...index
      #expect(found[index] == Int64(window.reduce(0, +)))
    }
  }
}
