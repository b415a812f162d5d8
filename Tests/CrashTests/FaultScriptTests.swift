import Foundation
import TestSupport
import Testing

@testable import BTreeKV
@testable import Pager

/// Each call of the storage fails, one after the other, until a run meets no fault any more.
///
/// `BTREEKV_LONG=1` leaves none out.
@Suite(.timeLimit(.minutes(20))) struct FaultScriptTests {
  struct Case: Sendable, CustomTestStringConvertible {
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
  }

  static let cases: [Case] = Database.Durability.allCases.flatMap { durability in
    [PagerError.Code.inputOutput, .diskFull].flatMap { code in
      [false, true].map { Case(durability: durability, code: code, isForever: $0) }
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

  /// Fails call after call until a run meets no fault; `step` leaves some out.
  private func failEach(
    _ test: Case, step: Int, _ what: String,
    _ makeRun: (PlannedFault?) throws -> FaultScriptRun
  ) throws {
    let healthy = try makeRun(nil)
    try healthy.run()
    #expect(healthy.problems.isEmpty, "healthy: \(healthy.problems)")
    var failures: [String] = []
    var codes: Set<String> = []
    var count = 0
    // Each case begins elsewhere, so that together they fail most of the calls.
    let first = Self.cases.firstIndex { $0.testDescription == test.testDescription } ?? 0
    var number = 1 + (CrashTests.isLong ? 0 : first % step)
    while true {
      let run = try makeRun(test.fault(number))
      try run.run()
      codes.formUnion(run.thrownCodes)
      if !run.problems.isEmpty {
        let call = run.failedCalls.first.map { "\($0)" } ?? "none"
        failures.append("\(test.fault(number)), \(call): \(run.problems.prefix(4))")
      }
      if run.failedCalls.isEmpty { break }
      count += 1
      number += step
    }
    #expect(failures.isEmpty, "\(failures.count): \(failures.prefix(8).joined(separator: "\n"))")
    #expect(codes.contains(test.code.name), "no call says what failed: \(codes)")
    report(count, "\(what) \(test.testDescription)")
  }

  /// rule A1, B7, C7, E: whichever call fails, errors say so, reads go on, writes are refused where
  /// they must be and work again where they can, and nothing acknowledged is lost or left behind.
  @Test(arguments: cases) func anyCallMayFail(_ test: Case) throws {
    try failEach(test, step: CrashTests.isLong ? 1 : 4, "memory") { fault in
      FaultScriptRun(test.durability, .memory(try MemoryStorage()), fault)
    }
  }

  /// The same on a file, and no descriptor, lock or mapping is left.
  @Test(arguments: cases) func anyCallOnAFileMayFail(_ test: Case) throws {
    let folder = try TemporaryFolder()
    var number = 0
    try failEach(test, step: CrashTests.isLong ? 1 : 23, "file") { fault in
      number += 1
      return FaultScriptRun(test.durability, .file(folder.file("fault \(number) of a run")), fault)
    }
  }

  #if os(Linux)
    /// No memory is left behind: neither addresses nor buffers.
    ///
    /// Runs in a process of its own, by the kernel's accounting. One buffer of the log is 256 KiB.
    @Test func noMemoryIsLeft() async {
      await #expect(processExitsWith: .success) {
        func failEachOfTheFirst(_ count: Int) throws {
          for durability in [Database.Durability.sync, .flush] {
            let test = Case(durability: durability, code: .inputOutput, isForever: true)
            for number in 1...count {
              let medium = FaultMedium.memory(try MemoryStorage())
              let run = FaultScriptRun(durability, medium, test.fault(number))
              try run.run()
              try #require(run.problems.isEmpty, "\(run.problems)")
            }
          }
        }
        try failEachOfTheFirst(30)
        let before = addressKiB()
        for _ in 0..<6 { try failEachOfTheFirst(30) }
        let grown = addressKiB() - before
        guard grown < 3 << 10 else { fatalError("\(grown) KiB are left behind by 360 faults") }
      }
    }
  #endif
}

/// The addresses that this process has mapped.
private func addressKiB() -> Int {
  guard
    let text = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8),
    let line = text.split(separator: "\n").first(where: { $0.hasPrefix("VmSize:") })
  else { return 0 }
  return Int(line.filter(\.isNumber)) ?? 0
}
