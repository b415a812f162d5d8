/// Runs of pages that nobody else may have although no tree refers to them: what somebody reserved
/// to grow into, what is written ahead of the transaction that makes it part of a tree, and what was
/// freed while somebody still needs it.
///
/// None of them is part of a checkpoint: after a crash they are free.
package final class KeptExtents: Sendable {
  private struct State: Sendable {
    var reservations: [ObjectIdentifier: Extent] = [:]
    /// Runs that are written ahead, by their first pages.
    var staged: [PageID: Extent] = [:]
    /// How many mappings show the run that begins with a page.
    var holds: [PageID: Int] = [:]
    /// Runs that are free once no mapping shows them.
    var deferred: [PageID: Extent] = [:]
  }

  private let allocator: PageAllocator
  private let state = Locked(State())

  /// Held while runs go from here to the allocator without the writer mutex: so checks see them in one place.
  private let moving = ConditionLock()
  /// The same for what is written ahead.
  ///
  /// Taking a run may have to wait until the file has grown, for which readers that end must not wait.
  private let staging = ConditionLock()

  init(allocator: PageAllocator) { self.allocator = allocator }

  // MARK: Reservations

  /// Sets what an owner has reserved; nil for nothing.
  ///
  /// The pages are the caller's to give: allocated, or part of what was reserved before.
  package func setReservation(_ extent: Extent?, of owner: AnyObject) {
    state.withLock { $0.reservations[ObjectIdentifier(owner)] = extent }
  }

  /// What an owner has reserved.
  package func reservation(of owner: AnyObject) -> Extent? {
    state.withLock { $0.reservations[ObjectIdentifier(owner)] }
  }

  /// Takes the first pages of what an owner has reserved; nil when there are not so many.
  package func takeReserved(_ pageCount: Int, of owner: AnyObject) -> Extent? {
    state.withLock { state in
      guard let extent = state.reservations[ObjectIdentifier(owner)],
        extent.pageCount >= pageCount
      else { return nil }
      let rest = Extent(
        first: PageID(extent.first.rawValue + UInt64(pageCount)),
        pageCount: extent.pageCount - pageCount)
      state.reservations[ObjectIdentifier(owner)] = rest.pageCount > 0 ? rest : nil
      return Extent(first: extent.first, pageCount: pageCount)
    }
  }

  /// Gives back what an owner has reserved.
  package func endReservation(of owner: AnyObject) {
    moving.withLock {
      let extent = state.withLock { $0.reservations.removeValue(forKey: ObjectIdentifier(owner)) }
      // What was reserved a moment ago can't fail to be given back.
      if let extent { try? allocator.free(extent) }
    }
  }

  /// Gives back everything that is reserved; true when there was anything.
  @discardableResult
  package func endAllReservations() -> Bool {
    let extents = state.withLock { state in
      defer { state.reservations.removeAll() }
      return Array(state.reservations.values)
    }
    for extent in extents { try? allocator.free(extent) }
    return !extents.isEmpty
  }

  // MARK: What is written ahead

  /// Takes a run for what is written ahead, and notes it in pieces of so many pages.
  ///
  /// - Parameter allocate: gets it from the allocator.
  package func stage(
    piecesOf pageCount: Int, _ allocate: () throws(PagerError) -> Extent
  ) throws(PagerError) -> Extent {
    try staging.withLock { () throws(PagerError) in
      let run = try allocate()
      state.withLock { state in
        for offset in stride(from: 0, to: run.pageCount, by: pageCount) {
          let first = PageID(run.first.rawValue + UInt64(offset))
          state.staged[first] = Extent(first: first, pageCount: pageCount)
        }
      }
      return run
    }
  }

  /// Takes a run for what is written ahead, and notes it as one piece.
  package func stage(pageCount: Int) throws(PagerError) -> Extent {
    try stage(piecesOf: pageCount) { () throws(PagerError) in
      try allocator.allocateExtent(pageCount: pageCount)
    }
  }

  /// Gives back the pages of a piece but for the first ones.
  package func shortenStaged(_ extent: Extent, to pageCount: Int) {
    guard pageCount > 0 else { return freeStaged(extent) }
    staging.withLock {
      state.withLock {
        $0.staged[extent.first] = Extent(first: extent.first, pageCount: pageCount)
      }
      // What was taken a moment ago can't fail to be given back.
      try? allocator.free(
        Extent(
          first: PageID(extent.first.rawValue + UInt64(pageCount)),
          pageCount: extent.pageCount - pageCount))
    }
  }

  /// Forgets such a piece, which is part of a tree from now on; the writer mutex is held.
  package func endStaging(_ extent: Extent) {
    _ = state.withLock { $0.staged.removeValue(forKey: extent.first) }
  }

  /// Gives such a piece back.
  package func freeStaged(_ extent: Extent) {
    staging.withLock {
      endStaging(extent)
      // What was taken a moment ago can't fail to be given back.
      try? allocator.free(extent)
    }
  }

  /// Takes back a run that is held, and that a transaction made part of a tree and was rolled back.
  package func takeBack(_ extent: Extent) {
    state.withLock { state in
      precondition(
        state.holds.removeValue(forKey: extent.first) == 1
          && state.deferred.removeValue(forKey: extent.first) != nil,
        "an extent is taken back that a tree has")
      state.staged[extent.first] = extent
    }
  }

  // MARK: Mappings

  /// Notes that a mapping shows runs which a pin of the caller keeps meanwhile.
  package func hold(_ extents: some Sequence<Extent>) {
    state.withLock { state in
      for extent in extents { state.holds[extent.first, default: 0] += 1 }
    }
  }

  /// Ends what `hold` began; what was freed meanwhile and nobody shows any more is given back.
  package func release(_ extents: some Sequence<Extent>) {
    moving.lock()
    defer { moving.unlock() }
    let free = state.withLock { state in
      var free: [Extent] = []
      for extent in extents {
        guard let count = state.holds[extent.first] else {
          preconditionFailure("an extent is released that nobody holds")
        }
        state.holds[extent.first] = count == 1 ? nil : count - 1
        if count == 1, let waiting = state.deferred.removeValue(forKey: extent.first) {
          free.append(waiting)
        }
      }
      return free
    }
    for extent in free { try? allocator.free(extent) }
  }

  /// Frees a run that neither a tree nor the log needs any more, now or when no mapping shows it.
  func free(_ extent: Extent) throws(PagerError) {
    let isHeld = state.withLock { state in
      guard state.holds[extent.first] != nil else { return false }
      state.deferred[extent.first] = extent
      return true
    }
    if !isHeld { try allocator.free(extent) }
  }

  /// Lends what is reserved or written ahead, and what waits for mappings, while none comes or goes: for
  /// checks.
  func withAll<R>(_ body: (_ reserved: [Extent], _ deferred: [Extent]) -> R) -> R {
    staging.withLock {
      moving.withLock {
        let (reserved, deferred) = state.withLock { state in
          (Array(state.reservations.values) + state.staged.values, Array(state.deferred.values))
        }
        return body(reserved, deferred)
      }
    }
  }

  /// How many pages are reserved or written ahead, and how many wait for mappings.
  package var pageCounts: (reserved: Int, deferred: Int) {
    state.withLock { state in
      (
        (Array(state.reservations.values) + state.staged.values).reduce(0) { $0 + $1.pageCount },
        state.deferred.values.reduce(0) { $0 + $1.pageCount }
      )
    }
  }
}
