internal import Pager

// Swift's sequences can't throw. Ours stop at an error and keep it, for whoever asks the sequence, or
// else for the end of the closure that they were made in.

/// The error at which an iteration of a sequence ended early, until somebody is told.
@usableFromInline
final class SequenceOutcome: Sendable {
  private let kept = Locked<DatabaseError?>(nil)

  /// The error, without being told.
  var failure: DatabaseError? { kept.withLock { $0 } }

  /// Keeps the first error.
  func note(_ error: DatabaseError) { kept.withLock { $0 = $0 ?? error } }

  /// Throws the error, once.
  func check() throws(DatabaseError) {
    let error = kept.withLock { kept in
      defer { kept = nil }
      return kept
    }
    if let error { throw error }
  }
}

/// The sequences of a snapshot or of a transaction that ended early.
final class SequenceFailures: Sendable {
  private let outcomes = Locked<[SequenceOutcome]>([])

  func note(_ outcome: SequenceOutcome) { outcomes.withLock { $0.append(outcome) } }

  /// How many were noted.
  var count: Int { outcomes.withLock { $0.count } }

  /// Throws the first error of which nobody was told.
  ///
  /// - Parameter first: leaves as many of those that were noted first alone, whose scope goes on.
  func check(from first: Int = 0) throws(DatabaseError) {
    let failed = outcomes.withLock { outcomes in
      let failed = outcomes[min(first, outcomes.count)...]
      outcomes.removeLast(failed.count)
      return failed
    }
    for outcome in failed { try outcome.check() }
  }
}

/// What a lazy sequence goes through, and how.
@usableFromInline
struct EntrySource: Sendable {
  let access: TreeAccess
  let range: KeyRange
  var isReversed = false
  let outcome = SequenceOutcome()

  @usableFromInline init(_ access: TreeAccess, _ range: KeyRange) {
    self.access = access
    self.range = range
  }

  @usableFromInline var reversed: EntrySource {
    var source = self
    source.isReversed.toggle()
    return source
  }

  @usableFromInline var failure: DatabaseError? { outcome.failure }

  @usableFromInline func check() throws(DatabaseError) { try outcome.check() }

  /// Begins an iteration.
  @usableFromInline func begin() -> EntrySteps { EntrySteps(self) }
}

/// One iteration of a lazy sequence.
@usableFromInline
final class EntrySteps {
  private let source: EntrySource
  private var walker: RangeWalker?

  init(_ source: EntrySource) {
    self.source = source
    do throws(DatabaseError) {
      walker = try source.access.walker(source.range, source.isReversed, true)
    } catch {
      fail(error)
    }
  }

  /// The next entry, valid until the next step; nil at the end, and from an error on.
  @usableFromInline func next() -> RangeWalker? {
    guard let walker else { return nil }
    do throws(DatabaseError) {
      if try walker.step() { return walker }
      self.walker = nil
    } catch {
      fail(error)
    }
    return nil
  }

  /// Ends the iteration with an error.
  @usableFromInline func fail(_ error: DatabaseError) {
    walker = nil
    source.outcome.note(error)
    switch source.access.mode {
    case .live: break
    case .snapshot(_, let pin): pin.failures?.note(source.outcome)
    case .transaction(let transaction): transaction.failures.note(source.outcome)
    }
  }
}
