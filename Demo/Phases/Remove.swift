import BTreeKV

extension Bench {
  /// Removes every pair in yet another order, and checks that nothing is left.
  func removeAll() throws {
    let order = workload.order(3)
    let measured = try withBuffers { key, _ in
      let keyBytes = UnsafeRawBufferPointer(key)
      return try measure(.remove, operations: workload.count) { number in
        workload.writeKey(order[number], to: key)
        let wasThere = try database.remove(keyBytes)
        guard wasThere else {
          throw DemoFailure.wrongAnswer("remove of \(hexadecimal(key)) found nothing")
        }
      }
    }
    report.phase(.remove, measured)
    let count = database.count
    let isGone = try database.min() == nil && database.max() == nil
    guard count == 0, database.isEmpty, isGone else {
      throw DemoFailure.wrongAnswer("after all pairs were removed, \(count) are left")
    }
  }
}
