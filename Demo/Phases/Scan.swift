import BTreeKV

extension Bench {
  /// Walks all pairs in order with the cursor.
  ///
  /// Every key must be one of the workload's and beyond the one before it, and every value that
  /// key's; with the right number of them they are then exactly the pairs that were inserted.
  func scanAll(reversed: Bool) throws {
    let phase: Options.Phase = reversed ? .descending : .ascending
    var scan = Scan(bench: self, phase: phase, isReversed: reversed)
    let start = monotonicNanoseconds()
    if options.measuresLatency {
      var latencies = Histogram()
      var before = start
      try database.forEach(reversed: reversed) { key, value in
        let visit = scan.visit(key, value)
        let after = monotonicNanoseconds()
        latencies.record(after &- before)
        before = after
        return visit
      }
      scan.measured.latencies = latencies
    } else {
      try database.forEach(reversed: reversed) { key, value in scan.visit(key, value) }
    }
    scan.measured.nanoseconds = monotonicNanoseconds() - start
    scan.measured.operations = scan.visitedCount
    try scan.finish()
    if !reversed || !options.phases.contains(.ascending) { try checkBounds(of: scan) }
    report.phase(phase, scan.measured)
  }

  /// `min` and `max` must be the ends of the scan.
  private func checkBounds(of scan: Scan) throws {
    guard let min = try database.min(), let max = try database.max() else {
      throw DemoFailure.wrongAnswer("min or max found nothing in a database that is not empty")
    }
    let ends = [scan.firstWord, scan.lastWord].map(text(ofKeyWord:))
    let found = [min.key, max.key].map(hexadecimal)
    guard found == (scan.isReversed ? ends.reversed() : ends) else {
      throw DemoFailure.wrongAnswer(
        "min=\(found[0]) and max=\(found[1]), but a scan went from \(ends[0]) to \(ends[1])")
    }
    report.bounds(min: found[0], max: found[1])
  }
}

/// Checks the pairs of a scan as they come.
private struct Scan {
  let bench: Bench
  let workload: Workload
  let isReversed: Bool
  let generation: UInt64?
  var measured = Measurement(operations: 0, nanoseconds: 0)
  private(set) var visitedCount: UInt64 = 0
  private(set) var firstWord: UInt64 = 0
  private(set) var lastWord: UInt64 = 0
  private var progress: Progress
  // Kept instead of thrown: the visitor runs inside the engine.
  private var failure: DemoFailure?

  init(bench: Bench, phase: Options.Phase, isReversed: Bool) {
    self.bench = bench
    self.isReversed = isReversed
    workload = bench.workload
    generation = bench.expectedGeneration
    progress = Progress(phase: phase.rawValue, total: bench.workload.count)
  }

  @inline(__always)
  mutating func visit(_ key: RawSpan, _ value: RawSpan) -> Visit {
    guard let word = workload.keyWord(of: key) else { return fail("is no key of this load", key) }
    let index = workload.index(ofKeyWord: word)
    guard index < workload.count else { return fail("was never inserted", key) }
    if visitedCount == 0 {
      firstWord = word
    } else {
      let isInOrder = isReversed ? word < lastWord : word > lastWord
      guard isInOrder else { return fail("is out of order", key) }
    }
    guard workload.valueMatches(index, value, generation: generation) else {
      return fail("has another value than was inserted", key)
    }
    lastWord = word
    visitedCount &+= 1
    return visitedCount < progress.nextCheck ? .next : check()
  }

  @inline(never)
  private mutating func check() -> Visit {
    do throws(DemoFailure) {
      try progress.check(visitedCount)
      return .next
    } catch {
      failure = error
      return .stop
    }
  }

  @inline(never)
  private mutating func fail(_ what: String, _ key: RawSpan) -> Visit {
    let name = key.withUnsafeBytes { hexadecimal($0.prefix(64)) }
    failure = .wrongAnswer("entry \(visitedCount) of the scan, the key \(name), \(what)")
    return .stop
  }

  func finish() throws {
    progress.erase()
    if let failure { throw failure }
    guard visitedCount == workload.count else {
      throw DemoFailure.wrongAnswer("the scan met \(visitedCount) of \(workload.count) pairs")
    }
  }
}
