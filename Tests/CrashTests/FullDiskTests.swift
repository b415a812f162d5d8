import TestSupport
import Testing

@testable import BTreeKV
@testable import Pager

/// The disk is full at each size that a file comes to; then there is room.
@Suite struct FullDiskTests {
  /// rule C7: what finds no room throws `.diskFull` and changes nothing, and goes well with room.
  @Test(arguments: Database.Durability.allCases)
  func treesAndRegionsGoOn(durability: Database.Durability) throws {
    try fillDisk(.trees, durability, sampleCount: 9)
  }

  /// The same for entries.
  @Test(arguments: Database.Durability.allCases)
  func entriesGoOn(durability: Database.Durability) throws {
    try fillDisk(.entries, durability, sampleCount: 12)
    try fillDisk(.longStreams, durability, sampleCount: 4)
  }

  /// The same for vectors.
  @Test(arguments: Database.Durability.allCases)
  func vectorsGoOn(durability: Database.Durability) throws {
    try fillDisk(.vectors, durability, sampleCount: 9)
  }

  /// - Parameter sampleCount: how many sizes are tried; `BTREEKV_LONG=1` tries each page.
  private func fillDisk(
    _ script: FaultScript, _ durability: Database.Durability, sampleCount: Int
  ) throws {
    func makeRun(_ fault: PlannedFault?) throws -> FaultScriptRun {
      let run = FaultScriptRun(script, durability, .memory(try MemoryStorage()), fault)
      try run.run()
      return run
    }
    let pageByteCount = 4096
    let healthy = try makeRun(nil)
    #expect(healthy.problems.isEmpty, "healthy: \(healthy.problems)")
    // A new file has 16 pages.
    let sizes = 16..<healthy.peakByteCount / pageByteCount
    let step = CrashTests.isLong ? 1 : max(1, sizes.count / sampleCount)
    var failures: [String] = []
    var fullCount = 0
    // Each durability begins elsewhere.
    let number = Database.Durability.allCases.firstIndex(of: durability) ?? 0
    for size in stride(from: 16 + number * step / 3, to: sizes.upperBound, by: step) {
      let fault = PlannedFault(limitByteCount: size * pageByteCount)
      let run = try makeRun(fault)
      if run.thrownCodes.contains("diskFull") { fullCount += 1 }
      let others = run.thrownCodes.subtracting(["diskFull", "outcomeUnknown"])
      if !others.isEmpty || !run.problems.isEmpty {
        failures.append("\(fault): \(others.sorted()) \(run.problems.prefix(4))")
      }
    }
    #expect(failures.isEmpty, "\(failures.count): \(failures.prefix(8).joined(separator: "\n"))")
    #expect(fullCount > 0, "no call finds the disk full")
  }
}
