import Foundation
import TestSupport
import Testing

@testable import BTreeKV
@testable import Pager

/// Each call of the storage fails, one after the other, until a run meets no fault any more.
///
/// `BTREEKV_LONG=1` leaves none out.
@Suite struct FaultScriptTests {
  /// rule A1, B7, C7, E: whichever call fails, errors say so, reads go on, writes are refused where
  /// they must be and work again where they can, and nothing acknowledged is lost or left behind.
  @Test(arguments: FaultCase.all) func anyCallMayFail(_ test: FaultCase) throws {
    try test.failEachInMemory(step: CrashTests.isLong ? 1 : 4, .trees)
  }

  /// The same on a file, and no descriptor, lock or mapping is left.
  @Test(arguments: FaultCase.all) func anyCallOnAFileMayFail(_ test: FaultCase) throws {
    try test.failEach(step: CrashTests.isLong ? 1 : 23, .trees)
  }

  #if os(Linux)
    /// No memory is left behind: neither addresses nor buffers.
    ///
    /// Runs in a process of its own, by the kernel's accounting. One buffer of the log is 256 KiB.
    @Test func noMemoryIsLeft() async {
      await #expect(processExitsWith: .success) {
        func failEachOfTheFirst(_ count: Int) throws {
          for durability in [Database.Durability.sync, .flush] {
            let test = FaultCase(durability: durability, code: .inputOutput, isForever: true)
            for number in 1...count {
              let medium = FaultMedium.memory(try MemoryStorage())
              let run = FaultScriptRun(.trees, durability, medium, test.fault(number))
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
