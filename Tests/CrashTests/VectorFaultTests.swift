import TestSupport
import Testing

@testable import BTreeKV
@testable import Pager

/// Each call of the storage fails, one after the other, while vectors are changed.
///
/// `BTREEKV_LONG=1` leaves none out.
@Suite(.timeLimit(.minutes(20))) struct VectorFaultTests {
  /// rule A1, B7, C7, E: as `FaultScriptTests` has it.
  @Test(arguments: FaultCase.all) func anyCallMayFail(_ test: FaultCase) throws {
    try test.failEachInMemory(step: CrashTests.isLong ? 1 : 37, .vectors)
  }

  /// The same on a file, where elements are read in place; no descriptor, lock or mapping is left.
  @Test(arguments: FaultCase.all.filter(\.isForever))
  func anyCallOnAFileMayFail(_ test: FaultCase) throws {
    try test.failEach(step: CrashTests.isLong ? 1 : 97, .vectors)
  }
}
