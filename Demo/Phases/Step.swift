import BTreeKV

extension Bench {
  /// Walks by `above` and `below`, a step at a time, from random places.
  ///
  /// A walk goes up from a stored key and back down as many steps; the way down must end where the
  /// way up began, so an entry left out or met twice on either way is noticed.
  func stepThroughSome() throws {
    let stepCount = min(workload.count, 100_000)
    guard let max = try database.max(), let maxWord = workload.keyWord(of: max.key.span.bytes)
    else { throw DemoFailure.wrongAnswer("max found no key of this load") }
    let measured = try withBuffers { key, _ in
      var walk = Walk(bench: self, key: key, maxWord: maxWord)
      return try measure(.step, operations: stepCount) { _ in try walk.step() }
    }
    report.phase(.step, measured)
    try stepFromAbsentKeys()
  }

  /// The neighbours of keys that are not there must be each other's; a sample, not timed.
  private func stepFromAbsentKeys() throws {
    try withBuffers { key, _ in
      let keyBytes = UnsafeRawBufferPointer(key)
      for index in absentIndices(atMost: 100) {
        workload.writeKey(index, to: key)
        let absent = workload.keyWord(index)
        let above = try database.withEntry(above: keyBytes) { key, _ in workload.keyWord(of: key) }
        let below = try database.withEntry(below: keyBytes) { key, _ in workload.keyWord(of: key) }
        var isRight = true
        if let above { isRight = isRight && above.map { $0 > absent } == true }
        if let below { isRight = isRight && below.map { $0 < absent } == true }
        if let above = above ?? nil, let below = below ?? nil {
          workload.writeKey(word: below, to: key)
          let next = try database.withEntry(above: keyBytes) { key, _ in workload.keyWord(of: key) }
          isRight = isRight && next == above
        } else {
          isRight = isRight && (above != nil || below != nil)
        }
        guard isRight else {
          throw DemoFailure.wrongAnswer(
            "above or below \(text(ofKeyWord: absent)), which is not there, is wrong")
        }
      }
    }
  }
}

/// Steps up and down again, from one random place after another.
private struct Walk {
  private static let stepsUp = 500

  let bench: Bench
  let workload: Workload
  let generation: UInt64?
  let key: UnsafeMutableRawBufferPointer
  let maxWord: UInt64
  private var random: RandomNumbers
  private var startWord: UInt64 = 0
  private var word: UInt64 = 0
  private var stepsTaken = 0
  private var goesUp = false

  init(bench: Bench, key: UnsafeMutableRawBufferPointer, maxWord: UInt64) {
    self.bench = bench
    self.key = key
    self.maxWord = maxWord
    workload = bench.workload
    generation = bench.expectedGeneration
    random = RandomNumbers(seed: bench.workload.seed &+ 2)
  }

  @inline(__always)
  mutating func step() throws {
    if !goesUp && stepsTaken == 0 { begin() }
    let found =
      goesUp
      ? try bench.database.withEntry(above: UnsafeRawBufferPointer(key)) { check($0, $1) }
      : try bench.database.withEntry(below: UnsafeRawBufferPointer(key)) { check($0, $1) }
    guard let found else {
      guard goesUp && word == maxWord else { throw wrong("found nothing") }
      goesUp = false
      return
    }
    guard let next = found, goesUp ? next > word : next < word else {
      throw wrong("found no pair of this load in that direction")
    }
    word = next
    workload.writeKey(word: next, to: key)
    if goesUp {
      stepsTaken += 1
      goesUp = stepsTaken < Walk.stepsUp
    } else {
      stepsTaken -= 1
      if stepsTaken == 0 && word != startWord { throw wrong("came back to another key") }
    }
  }

  private mutating func begin() {
    startWord = workload.keyWord(random.next(below: workload.count))
    word = startWord
    goesUp = true
    workload.writeKey(word: word, to: key)
  }

  /// The word of a key that was found, if it and its value are right.
  @inline(__always)
  private func check(_ key: RawSpan, _ value: RawSpan) -> UInt64? {
    guard let word = workload.keyWord(of: key) else { return nil }
    let index = workload.index(ofKeyWord: word)
    guard index < workload.count, workload.valueMatches(index, value, generation: generation)
    else { return nil }
    return word
  }

  private func wrong(_ what: String) -> DemoFailure {
    .wrongAnswer("\(goesUp ? "above" : "below") \(bench.text(ofKeyWord: word)) \(what)")
  }
}
