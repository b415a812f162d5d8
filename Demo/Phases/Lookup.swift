import BTreeKV

extension Bench {
  /// Looks every pair up in another order than it was inserted, and compares the values.
  func lookUpAll() throws {
    let order = workload.order(1)
    let generation = expectedGeneration
    let measured = try withBuffers { key, _ in
      let keyBytes = UnsafeRawBufferPointer(key)
      return try measure(.lookup, operations: workload.count) { number in
        let index = order[number]
        workload.writeKey(index, to: key)
        let isRight = try database.withValue(of: keyBytes) { value in
          workload.valueMatches(index, value, generation: generation)
        }
        if isRight != true { throw wrongLookup(index, wasFound: isRight != nil) }
      }
    }
    report.phase(.lookup, measured)
    try lookUpAbsentKeys()
  }

  func wrongLookup(_ index: UInt64, wasFound: Bool) -> DemoFailure {
    let key = text(ofKeyWord: workload.keyWord(index))
    return .wrongAnswer(
      wasFound
        ? "lookup of \(key) (pair \(index)) found another value than was inserted"
        : "lookup of \(key) (pair \(index)) found nothing")
  }

  /// Keys of indices past the count must not be found; a sample, not timed.
  private func lookUpAbsentKeys() throws {
    try withBuffers { key, _ in
      for index in absentIndices(atMost: 1000) {
        workload.writeKey(index, to: key)
        let found: Void? = try database.withValue(of: UnsafeRawBufferPointer(key)) { _ in }
        guard found == nil else {
          throw DemoFailure.wrongAnswer(
            "lookup found the key \(hexadecimal(key)), which was never inserted")
        }
      }
    }
  }

  /// Indices whose keys are not in the database.
  func absentIndices(atMost limit: UInt64) -> Range<UInt64> {
    let space = Workload.keySpace(keyByteCount: workload.keyByteCount) - workload.count
    return workload.count..<(workload.count + min(limit, space))
  }
}
