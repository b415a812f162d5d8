import TestSupport
import Testing

@testable import BTreeKV
@testable import Pager

/// How calls fail in one test.
struct FaultCase: Sendable, CustomTestStringConvertible {
  var durability: Database.Durability
  var code: PagerError.Code
  var isForever: Bool
  var testDescription: String { "\(durability) \(code) \(isForever ? "for ever" : "once")" }

  /// A full disk is told by calls that take room.
  var operations: Set<FaultyStorage.Operation> {
    guard code == .inputOutput else { return FaultyStorage.Operation.changes }
    return FaultyStorage.Operation.changes.union([.byteCount, .read, .map])
  }

  func fault(_ number: Int) -> PlannedFault {
    PlannedFault(operations: operations, number: number, code: code, isForever: isForever)
  }

  static let all: [FaultCase] = Database.Durability.allCases.flatMap { durability in
    [PagerError.Code.inputOutput, .diskFull].flatMap { code in
      [false, true].map { FaultCase(durability: durability, code: code, isForever: $0) }
    }
  }

  private static let tally = Locked(0)

  /// Prints how many faults were tried, in this case and in all so far.
  private func report(_ count: Int, _ what: String) {
    let total = Self.tally.withLock { tally in
      tally += count
      return tally
    }
    print("\(what): \(count) faults tried, \(total) in all so far")
  }

  /// Fails call after call of a script in memory until a run meets no fault.
  func failEachInMemory(step: Int, _ script: FaultScript) throws {
    try failEach(step: step, "memory") { fault in
      FaultScriptRun(script, durability, .memory(try MemoryStorage()), fault)
    }
  }

  /// Fails call after call of a script on a file until a run meets no fault.
  func failEach(step: Int, _ script: FaultScript) throws {
    let folder = try TemporaryFolder()
    var number = 0
    try failEach(step: step, "file") { fault in
      number += 1
      let medium = FaultMedium.file(folder.file("fault \(number) of a run"))
      return FaultScriptRun(script, durability, medium, fault)
    }
  }

  /// Fails call after call until a run meets no fault; `step` leaves some out.
  private func failEach(
    step: Int, _ what: String, _ makeRun: (PlannedFault?) throws -> FaultScriptRun
  ) throws {
    let healthy = try makeRun(nil)
    try healthy.run()
    #expect(healthy.problems.isEmpty, "healthy: \(healthy.problems)")
    var failures: [String] = []
    var codes: Set<String> = []
    var count = 0
    // Each case begins elsewhere, so that together they fail most of the calls.
    let first = Self.all.firstIndex { $0.testDescription == testDescription } ?? 0
    var number = 1 + (CrashTests.isLong ? 0 : first % step)
    while true {
      let run = try makeRun(fault(number))
      try run.run()
      codes.formUnion(run.thrownCodes)
      if !run.problems.isEmpty {
        let call = run.failedCalls.first.map { "\($0)" } ?? "none"
        failures.append("\(fault(number)), \(call): \(run.problems.prefix(4))")
      }
      if run.failedCalls.isEmpty { break }
      count += 1
      number += step
    }
    #expect(failures.isEmpty, "\(failures.count): \(failures.prefix(8).joined(separator: "\n"))")
    #expect(codes.contains(code.name), "no call says what failed: \(codes)")
    report(count, "\(what) \(testDescription)")
  }
}
