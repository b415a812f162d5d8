import Synchronization

// What must hold between operations, stated in code: each structure says it of itself, beside
// itself. Debug builds look all the time, release builds never: the calls are inside `assert`.

extension Pager {
  /// How many entries of lists that grow with the work are looked at, so that a look costs little.
  private static var listLimit: Int { 256 }

  /// What does not hold that must, between any two changes.
  ///
  /// Writer mutex held, no latch.
  ///
  /// - Complexity: O(pins + trees + log segments), and a bounded part of what waits.
  package func invariantViolations() -> [String] {
    var found = publishLatch.withLock {
      published.pointee.invariantViolations(limit: Self.listLimit)
        + mainTree.invariantViolations() + (log?.invariantViolations() ?? [])
    }
    for tree in trees.withLock({ Array($0.descriptors.values.prefix(Self.listLimit)) }) {
      found += publishLatch.withLock { tree.invariantViolations() }
    }
    let transaction = transaction.pointee
    found += transaction.invariantViolations(limit: 16 * Self.listLimit)
    let pin = publishLatch.withLock { published.pointee.committedPin }
    if pin != transaction.levels.first?.pin {
      found.append("transaction: it did not start from what is pinned for it")
    }
    return found
  }

  /// Whether all that must hold does, for `assert`; looked at every so many calls.
  ///
  /// Writer mutex held, no latch.
  func holdsInvariants(every interval: Int) -> Bool {
    !isTimeToLook(every: interval) || Self.areNone(invariantViolations())
  }

  /// True once in so many calls, counted and not left to chance, so that a run can be had again.
  package func isTimeToLook(every interval: Int) -> Bool {
    invariantLooks.add(1, ordering: .relaxed).oldValue % interval == 0
  }

  /// How many hold a pin.
  package func holderCount(of epoch: Epoch) -> Int {
    publishLatch.withLock {
      published.pointee.pins.pins.first { $0.epoch == epoch }?.holders ?? 0
    }
  }

  /// What does not hold that must, after a checkpoint.
  ///
  /// - What the durable map has, the allocator has too (rule A3); the pin of the durable checkpoint
  ///   is held, with what it sees (rule A4).
  ///
  /// Checkpoint mutex held.
  func invariantViolationsAfterCheckpoint() -> [String] {
    var found =
      freeMap.invariantViolations(checkpoint: superblock.checkpoint)
      + allocator.invariantViolations()
    found += allocator.pagesMissing(from: freeMap.bits).map {
      "the durable map has page \($0), but the allocator would give it out"
    }
    found += publishLatch.withLock {
      let pins = published.pointee.pins.pins
      return published.pointee.invariantViolations(limit: Self.listLimit)
        + (superblock.epoch == durablePin && pins.contains { $0.epoch == durablePin }
          ? [] : ["pins: the durable checkpoint is not pinned"])
    }
    if superblock.checkpoint % 8 == 0 { found += pool.invariantViolations() }
    return found
  }

  /// Whether all that must hold after a checkpoint does, for `assert`.
  ///
  /// Checkpoint mutex held.
  func holdsInvariantsAfterCheckpoint() -> Bool {
    Self.areNone(invariantViolationsAfterCheckpoint())
  }

  /// Ends the program with what they say, if there are any.
  package static func areNone(_ violations: [String]) -> Bool {
    if !violations.isEmpty { assertionFailure(violations.joined(separator: "; ")) }
    return violations.isEmpty
  }
}
