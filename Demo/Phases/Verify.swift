import BTreeKV

extension Bench {
  /// Has the engine check the whole file; an operation is a page.
  func verify() throws {
    let start = monotonicNanoseconds()
    let verified = try database.verify()
    let nanoseconds = monotonicNanoseconds() - start
    guard verified.isSound else {
      let problems = verified.problems.prefix(3).joined(separator: "; ")
      throw DemoFailure.wrongAnswer("verify found \(verified.problems.count) problems: \(problems)")
    }
    guard verified.entryCount == database.count else {
      throw DemoFailure.wrongAnswer(
        "verify counted \(verified.entryCount) entries, count says \(database.count)")
    }
    report.phase(
      .verify,
      Measurement(operations: UInt64(verified.pageCount), nanoseconds: nanoseconds))
  }
}
