import TestSupport
import Testing

@testable import Pager

@Suite struct FaultyStorageTests {
  private let fault = PagerError(.inputOutput, "a planned fault")

  @Test func callsAreRecorded() throws {
    let storage = FaultyStorage(try MemoryStorage())
    try storage.write([1, 2], at: 4)
    try storage.synchronize()
    try storage.allocate(byteRange: 10..<30)
    try storage.truncate(to: 8)
    _ = try storage.bytes(4..<6)
    #expect(
      storage.calls == [
        .init(.write, offset: 4, byteCount: 2), .init(.synchronize),
        .init(.allocate, offset: 10, byteCount: 20), .init(.truncate, byteCount: 8),
        .init(.read, offset: 4, byteCount: 2),
      ])
    #expect(storage.callCount(of: FaultyStorage.Operation.changes) == 4)
    storage.clearCalls()
    #expect(storage.calls.isEmpty)
  }

  @Test func nthMatchingCallFailsOnce() throws {
    let storage = FaultyStorage(try MemoryStorage())
    storage.failAt(2, fault, matching: [.synchronize])
    try storage.synchronize()
    try storage.write([1], at: 0)
    #expect(errorCode { try storage.synchronize() } == .inputOutput)
    try storage.synchronize()
    #expect(storage.callCount(of: [.synchronize]) == 3)
  }

  @Test func foreverIsUntilItIsStopped() throws {
    let storage = FaultyStorage(try MemoryStorage())
    storage.failAt(1, fault, forever: true)
    for _ in 0..<3 { #expect(errorCode { try storage.write([1], at: 0) } == .inputOutput) }
    #expect(try storage.byteCount() == 0)
    storage.stopFailing()
    try storage.write([1], at: 0)
  }

  @Test func failingWriteMayLeaveAPrefix() throws {
    let memory = try MemoryStorage()
    let storage = FaultyStorage(memory)
    storage.failAt(1, fault, matching: [.writeDurably], writingPrefix: 2)
    #expect(errorCode { try storage.writeDurably([1, 2, 3], at: 1) } == .inputOutput)
    #expect(memory.copyOfContents() == [0, 1, 2])
  }

  @Test func hookSeesTheStateBeforeEachCall() throws {
    let memory = try MemoryStorage()
    let storage = FaultyStorage(memory)
    let recorded = Recorder()
    storage.setHook { call in
      recorded.append(memory.copyOfContents().count)
      return call.byteCount == 3 ? PagerError(.diskFull, "no room for three") : nil
    }
    try storage.write([1], at: 0)
    try storage.write([1, 2], at: 0)
    #expect(errorCode { try storage.write([1, 2, 3], at: 0) } == .diskFull)
    #expect(recorded.values == [0, 1, 2])
  }

  private final class Recorder: Sendable {
    private let state = Locked<[Int]>([])

    var values: [Int] { state.withLock { $0 } }

    func append(_ value: Int) { state.withLock { $0.append(value) } }
  }
}
