import TestSupport
import Testing

@testable import BTreeKV
@testable import Pager

/// Each call of the storage fails, one after the other, while entry stores are changed.
///
/// `BTREEKV_LONG=1` leaves none out.
@Suite struct EntryFaultTests {
  /// rule A1, B7, C7, E: as `FaultScriptTests` has it.
  @Test(arguments: FaultCase.all) func anyCallMayFail(_ test: FaultCase) throws {
    try test.failEachInMemory(step: CrashTests.isLong ? 1 : 23, .entries)
  }

  /// The same for entries that come in pieces and are staged in pages.
  @Test(arguments: FaultCase.all) func anyCallForLongStreamsMayFail(_ test: FaultCase) throws {
    try test.failEachInMemory(step: CrashTests.isLong ? 1 : 7, .longStreams)
  }

  /// The same on a file, where entries are read in place; no descriptor, lock or mapping is left.
  @Test(arguments: FaultCase.all.filter(\.isForever))
  func anyCallOnAFileMayFail(_ test: FaultCase) throws {
    try test.failEach(step: CrashTests.isLong ? 1 : 97, .entries)
  }
}
