import BTreeKV

extension Bench {
  /// Inserts every pair, in the order of its index: a random one if the keys are random.
  func insertAll() throws {
    let measured = try withBuffers { key, value in
      let keyBytes = UnsafeRawBufferPointer(key)
      let valueBytes = UnsafeRawBufferPointer(value)
      return try measure(.insert, operations: workload.count) { index in
        workload.writeKey(index, to: key)
        workload.writeValue(index, to: value)
        let isNew = try database.insert(keyBytes, valueBytes)
        guard isNew || isReused else {
          throw DemoFailure.wrongAnswer(
            "insert found the key \(hexadecimal(key)) of pair \(index) before it was inserted")
        }
      }
    }
    report.phase(.insert, measured)
    guard isReused || database.count == Int(workload.count) else {
      throw DemoFailure.wrongAnswer(
        "count is \(database.count) after \(workload.count) new pairs were inserted")
    }
  }
}
