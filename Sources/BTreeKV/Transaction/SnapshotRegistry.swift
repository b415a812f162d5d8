internal import Pager
internal import Synchronization

/// One pinned instant, for whoever holds this.
///
/// The pin goes when the holder lets go, closes it, or holds it for longer than the options allow;
/// reads check before and after that it was still there.
final class SnapshotPin: Sendable {
  /// What the registry knows of a pin, also while its holder is going.
  final class State: Sendable {
    let epoch: Epoch
    let takenAtNanoseconds: UInt64
    fileprivate let end = Atomic<UInt8>(0)

    fileprivate init(epoch: Epoch, takenAtNanoseconds: UInt64) {
      self.epoch = epoch
      self.takenAtNanoseconds = takenAtNanoseconds
    }
  }

  /// How a pin came to its end.
  enum End: UInt8 { case none, closed, expired }

  let registry: SnapshotRegistry
  let state: State
  /// Where sequences note that they ended early; nil for pins that nobody asks.
  let failures: SequenceFailures?
  var epoch: Epoch { state.epoch }

  fileprivate init(registry: SnapshotRegistry, state: State, failures: SequenceFailures?) {
    self.registry = registry
    self.state = state
    self.failures = failures
  }

  deinit { registry.release(state, .closed) }

  /// Lets go of what it kept; again is harmless.
  func close() { registry.release(state, .closed) }

  /// Throws when what a read found may not be what the snapshot showed.
  @inline(__always) func check() throws(PagerError) {
    if state.end.load(ordering: .acquiring) != End.none.rawValue { throw endError }
  }

  /// Where a tree begins in the snapshot.
  ///
  /// What it was is forgotten once nobody pins it: so it counts only if the pin is still there.
  func root(of tree: Tree) throws(PagerError) -> TreeRoot {
    let root = registry.pager.root(of: tree.descriptor, at: epoch)
    try check()
    return root
  }

  private var endError: PagerError {
    if state.end.load(ordering: .acquiring) == End.expired.rawValue {
      return PagerError(
        .snapshotExpired,
        "the snapshot was held for longer than the options allow and let go; take a new one",
        path: registry.pager.storage.path)
    }
    return PagerError(.closed, "the snapshot is closed", path: registry.pager.storage.path)
  }
}

/// The snapshots that somebody holds.
final class SnapshotRegistry: Sendable {
  let pager: Pager
  let ageLimitNanoseconds: UInt64?
  let held = Locked<[ObjectIdentifier: SnapshotPin.State]>([:])
  private let expiryHolds = Locked(0)

  init(pager: Pager, ageLimitSeconds: Double?) {
    self.pager = pager
    ageLimitNanoseconds = ageLimitSeconds.map { UInt64(max(0, min($0, 1e9)) * 1e9) }
  }

  /// Pins what is there now, in all trees.
  func take(_ failures: SequenceFailures? = nil) throws(PagerError) -> SnapshotPin {
    try pager.checkOpen()
    let state = SnapshotPin.State(
      epoch: pager.takePin(), takenAtNanoseconds: SystemCalls.monotonicNanoseconds())
    held.withLock { $0[ObjectIdentifier(state)] = state }
    return SnapshotPin(registry: self, state: state, failures: failures)
  }

  fileprivate func release(_ state: SnapshotPin.State, _ how: SnapshotPin.End) {
    let isFirst = state.end.compareExchange(
      expected: SnapshotPin.End.none.rawValue, desired: how.rawValue,
      ordering: .acquiringAndReleasing
    ).exchanged
    guard isFirst else { return }
    held.withLock { _ = $0.removeValue(forKey: ObjectIdentifier(state)) }
    pager.releasePin(state.epoch)
  }

  /// Runs something that reads through snapshots of its own for as long as it takes; none expires
  /// meanwhile.
  func withoutExpiry<R>(_ body: () throws(PagerError) -> R) throws(PagerError) -> R {
    expiryHolds.withLock { $0 += 1 }
    defer { expiryHolds.withLock { $0 -= 1 } }
    return try body()
  }

  /// Lets go of every snapshot that is older than the options allow.
  func expire() {
    guard let limit = ageLimitNanoseconds, expiryHolds.withLock({ $0 == 0 }) else { return }
    let now = SystemCalls.monotonicNanoseconds()
    let old = held.withLock { held in
      held.values.filter { now &- $0.takenAtNanoseconds > limit }
    }
    for state in old { release(state, .expired) }
  }

  /// The epochs and ages of the snapshots that are held, oldest first.
  var ages: [(epoch: Epoch, seconds: Double)] {
    let now = SystemCalls.monotonicNanoseconds()
    return held.withLock { Array($0.values) }
      .sorted { $0.takenAtNanoseconds < $1.takenAtNanoseconds }
      .map { ($0.epoch, Double(now &- $0.takenAtNanoseconds) / 1e9) }
  }
}
