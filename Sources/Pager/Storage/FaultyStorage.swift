/// A storage that records its calls and fails on command, for tests.
///
/// What is written through mappings is not seen here: it never becomes a call.
package final class FaultyStorage: Storage {
  /// The kinds of calls.
  package enum Operation: Hashable, Sendable, CaseIterable {
    /// Asks for the length.
    case byteCount
    /// Asks for the space taken.
    case allocatedByteCount
    /// Reads.
    case read
    /// Writes to the operating system.
    case write
    /// Writes to the medium.
    case writeDurably
    /// Syncs the file.
    case synchronize
    /// Syncs the directory.
    case synchronizeDirectory
    /// Allocates space.
    case allocate
    /// Gives space back.
    case punchHole
    /// Sets the length.
    case truncate
    /// Maps a range.
    case map
    /// Gives a mapping back; recorded, but cannot fail.
    case unmap
    /// Prefaults a mapping; recorded, but cannot fail.
    case prefault
    /// Begins a sync; recorded, but cannot fail.
    case beginSynchronizing
    /// Closes; recorded, but cannot fail.
    case close

    /// Every operation that can change the file or make it durable.
    package static let changes: Set<Operation> = [
      .write, .writeDurably, .synchronize, .synchronizeDirectory, .allocate, .punchHole,
      .truncate,
    ]
  }

  /// One call.
  package struct Call: Hashable, Sendable {
    /// What was asked.
    package let operation: Operation
    /// Where in the file; 0 where the operation has no place.
    package let offset: Int
    /// How many bytes; for `truncate` the new length.
    package let byteCount: Int

    /// Makes a call, to compare with.
    package init(_ operation: Operation, offset: Int = 0, byteCount: Int = 0) {
      self.operation = operation
      self.offset = offset
      self.byteCount = byteCount
    }
  }

  private struct Plan {
    /// How many matching calls pass before this fails one.
    var remaining: Int
    let error: PagerError
    let isForever: Bool
    let operations: Set<Operation>
    let prefixByteCount: Int?
  }

  private struct State {
    var plans: [Plan] = []
    var calls: [Call] = []
    var failedCalls: [Call] = []
    var mappingCount = 0
    var hook: (@Sendable (Call) -> PagerError?)?
  }

  /// How a call is to fail.
  private struct Failure {
    let error: PagerError
    let prefixByteCount: Int
  }

  /// The storage that does the work.
  package let base: any Storage
  private let state = Locked(State())

  /// Wraps a storage, at first without faults.
  ///
  /// - Parameter base: The storage that does the work.
  package init(_ base: any Storage) {
    self.base = base
  }

  /// Makes a future call fail, before anything of it is done.
  ///
  /// - Parameters:
  ///   - number: Which of the matching calls from now on fails; 1 is the next.
  ///   - error: What it throws.
  ///   - forever: Whether all later matching calls fail as well.
  ///   - operations: The kinds of calls that are counted.
  ///   - prefixByteCount: How much of a failing write is written all the same.
  package func failAt(
    _ number: Int, _ error: PagerError, forever: Bool = false,
    matching operations: Set<Operation> = Operation.changes,
    writingPrefix prefixByteCount: Int? = nil
  ) {
    precondition(number >= 1, "the next call has the number 1")
    let plan = Plan(
      remaining: number - 1, error: error, isForever: forever, operations: operations,
      prefixByteCount: prefixByteCount)
    state.withLock { $0.plans.append(plan) }
  }

  /// Takes all planned faults back; the log and the hook stay.
  package func stopFailing() {
    state.withLock { $0.plans = [] }
  }

  /// Sets what is run before each call, in its thread and outside of all locks of the storage.
  ///
  /// - Parameter hook: Gives the error that the call is to throw, or nothing; may take an image
  ///   of the base, or wait.
  package func setHook(_ hook: (@Sendable (Call) -> PagerError?)?) {
    state.withLock { $0.hook = hook }
  }

  /// The calls so far, those that failed among them, in the order in which they began.
  package var calls: [Call] {
    state.withLock { $0.calls }
  }

  /// The calls that were made to fail so far.
  package var failedCalls: [Call] {
    state.withLock { $0.failedCalls }
  }

  /// How many mappings were made and not given back yet.
  package var mappingCount: Int {
    state.withLock { $0.mappingCount }
  }

  /// Forgets the calls so far.
  package func clearCalls() {
    state.withLock { state in
      state.calls = []
      state.failedCalls = []
    }
  }

  /// The number of calls so far of the given kinds.
  ///
  /// - Parameter operations: The kinds to count.
  /// - Returns: How many were made since the log was cleared.
  package func callCount(of operations: Set<Operation>) -> Int {
    state.withLock { $0.calls.count { operations.contains($0.operation) } }
  }

  /// Records the call, and says how it is to fail, if it is.
  private func begin(_ call: Call) -> Failure? {
    let (hook, planned) = state.withLock { state in
      state.calls.append(call)
      return (state.hook, Self.nextFailure(&state.plans, call.operation))
    }
    // Run even when a plan fails the call: images are taken of each.
    let hooked = hook?(call)
    let failure = planned ?? hooked.map { Failure(error: $0, prefixByteCount: 0) }
    if failure != nil { state.withLock { $0.failedCalls.append(call) } }
    return failure
  }

  private static func nextFailure(_ plans: inout [Plan], _ operation: Operation) -> Failure? {
    var failure: Failure?
    var kept: [Plan] = []
    for var plan in plans {
      if plan.operations.contains(operation) {
        if plan.remaining > 0 {
          plan.remaining -= 1
        } else {
          failure =
            failure
            ?? Failure(
              error: plan.error, prefixByteCount: plan.prefixByteCount ?? 0)
          if !plan.isForever { continue }
        }
      }
      kept.append(plan)
    }
    plans = kept
    return failure
  }

  private func pass(
    _ operation: Operation, offset: Int = 0, byteCount: Int = 0
  ) throws(PagerError) {
    let call = Call(operation, offset: offset, byteCount: byteCount)
    if let failure = begin(call) { throw failure.error }
  }

  private func passWrite(
    _ operation: Operation, _ bytes: UnsafeRawBufferPointer, at offset: Int
  ) throws(PagerError) {
    let call = Call(operation, offset: offset, byteCount: bytes.count)
    guard let failure = begin(call) else { return }
    let prefix = bytes.prefix(max(0, failure.prefixByteCount))
    if !prefix.isEmpty {
      try base.write(UnsafeRawBufferPointer(rebasing: prefix), at: offset)
    }
    throw failure.error
  }

  // MARK: Storage

  package var path: String { base.path }

  package var isReadOnly: Bool { base.isReadOnly }

  package func byteCount() throws(PagerError) -> Int {
    try pass(.byteCount)
    return try base.byteCount()
  }

  package func allocatedByteCount() throws(PagerError) -> Int {
    try pass(.allocatedByteCount)
    return try base.allocatedByteCount()
  }

  package func read(
    into buffer: UnsafeMutableRawBufferPointer, at offset: Int
  ) throws(PagerError) {
    try pass(.read, offset: offset, byteCount: buffer.count)
    try base.read(into: buffer, at: offset)
  }

  package func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(PagerError) {
    try passWrite(.write, bytes, at: offset)
    try base.write(bytes, at: offset)
  }

  package func writeDurably(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(PagerError) {
    try passWrite(.writeDurably, bytes, at: offset)
    try base.writeDurably(bytes, at: offset)
  }

  package func synchronize() throws(PagerError) {
    try pass(.synchronize)
    try base.synchronize()
  }

  package func synchronizeDirectory() throws(PagerError) {
    try pass(.synchronizeDirectory)
    try base.synchronizeDirectory()
  }

  package func allocate(byteRange: Range<Int>) throws(PagerError) {
    try pass(.allocate, offset: byteRange.lowerBound, byteCount: byteRange.count)
    try base.allocate(byteRange: byteRange)
  }

  package func punchHole(byteRange: Range<Int>) throws(PagerError) -> Bool {
    try pass(.punchHole, offset: byteRange.lowerBound, byteCount: byteRange.count)
    return try base.punchHole(byteRange: byteRange)
  }

  package func truncate(to byteCount: Int) throws(PagerError) {
    try pass(.truncate, byteCount: byteCount)
    try base.truncate(to: byteCount)
  }

  package func map(
    byteRange: Range<Int>, writable: Bool
  ) throws(PagerError) -> UnsafeMutableRawPointer {
    try pass(.map, offset: byteRange.lowerBound, byteCount: byteRange.count)
    let address = try base.map(byteRange: byteRange, writable: writable)
    state.withLock { $0.mappingCount += 1 }
    return address
  }

  package func map(
    byteRange: Range<Int>, over address: UnsafeMutableRawPointer
  ) throws(PagerError) -> Bool {
    try pass(.map, offset: byteRange.lowerBound, byteCount: byteRange.count)
    return try base.map(byteRange: byteRange, over: address)
  }

  package func unmap(_ base: UnsafeMutableRawPointer, byteCount: Int) {
    _ = begin(Call(.unmap, byteCount: byteCount))
    self.base.unmap(base, byteCount: byteCount)
    state.withLock { $0.mappingCount -= 1 }
  }

  package func prefault(_ base: UnsafeMutableRawPointer, byteCount: Int) {
    _ = begin(Call(.prefault, byteCount: byteCount))
    self.base.prefault(base, byteCount: byteCount)
  }

  package func noteWritten(_ base: UnsafeMutableRawPointer, byteCount: Int) {
    self.base.noteWritten(base, byteCount: byteCount)
  }

  package func beginSynchronizing(byteRange: Range<Int>) {
    _ = begin(
      Call(.beginSynchronizing, offset: byteRange.lowerBound, byteCount: byteRange.count))
    base.beginSynchronizing(byteRange: byteRange)
  }

  package func close() {
    _ = begin(Call(.close))
    base.close()
  }
}
