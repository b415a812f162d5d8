public import Synchronization

// Reading without a latch, and the writer's exclusive hold.
//
// Optimistic build: `beginRead` returns a version, `validate` says whether the page is still that
// version, `endRead` is the last `validate`. With SHARED_LATCHES, `beginRead` takes the page
// shared and `endRead` gives it back; ThreadSanitizer then sees ordinary locking.

extension PagePool {
  /// A page's version as a reader saw it.
  public typealias Version = UInt64

  /// Starts to read a page, reading it in when it is not in memory.
  ///
  /// - Parameters:
  ///   - epoch: what the parent says of the page's birth.
  ///   - level: what the page's level must be by its parent.
  /// - Returns: the version to validate against.
  /// - Throws: what reading in meets. An optimistic caller reports it only when the parent still
  ///   validates (rule D3), since the reference itself may have been garbage.
  @inlinable
  public func beginRead(_ reference: PageReference, level: Int) throws(PagerError) -> Version {
    #if !SHARED_LATCHES
      if reference.id.rawValue < pageLimit {
        let word = words[Int(truncatingIfNeeded: reference.id.rawValue)].load(ordering: .acquiring)
        if LatchWord.state(word) == LatchWord.unlocked { return LatchWord.version(word) }
      }
    #endif
    return try beginReadSlowly(reference, level: level)
  }

  /// Whether the page is still of `version`, so that what was read of it is one state of it.
  @inlinable
  public func validate(_ id: PageID, _ version: Version) -> Bool {
    #if SHARED_LATCHES
      return true
    #else
      atomicMemoryFence(ordering: .acquiring)
      let word = words[Int(truncatingIfNeeded: id.rawValue)].load(ordering: .relaxed)
      return LatchWord.version(word) == version && LatchWord.state(word) != LatchWord.exclusive
    #endif
  }

  /// Whether the page is still of `version`, in every build: for whoever holds the writer mutex, without
  /// which no version of a page of a tree moves on but that of one that leaves memory.
  ///
  /// It says where the page leads. Its bytes may be gone already: to read them, hold it.
  @inlinable
  public func isCurrent(_ id: PageID, _ version: Version) -> Bool {
    LatchWord.version(words[Int(truncatingIfNeeded: id.rawValue)].load(ordering: .acquiring))
      == version
  }

  /// Ends a read: the answer of `validate`; the page is no longer held.
  @inlinable @discardableResult
  public func endRead(_ id: PageID, _ version: Version) -> Bool {
    #if SHARED_LATCHES
      unlockShared(id)
      return true
    #else
      return validate(id, version)
    #endif
  }

  @usableFromInline @inline(never)
  func beginReadSlowly(_ reference: PageReference, level: Int) throws(PagerError) -> Version {
    let id = reference.id
    guard id.rawValue < pageLimit, id.rawValue > 1 else {
      throw PagerError(.corrupted, "a page refers to a page that cannot be", page: id.rawValue)
    }
    var tries = 0
    while true {
      let word = words[Int(id.rawValue)].load(ordering: .acquiring)
      switch LatchWord.state(word) {
      case LatchWord.evicted:
        try readIn(id, word: word, epoch: reference.epoch, level: level)
      case LatchWord.exclusive:
        tries += 1
        wait(for: id, tries: tries)
      case LatchWord.marked:
        // Being read keeps a page in memory.
        exchange(id, word, LatchWord.with(state: LatchWord.unlocked, word))
      default:
        #if SHARED_LATCHES
          if LatchWord.state(word) < LatchWord.sharedLimit,
            exchange(id, word, Self.adding(oneShared: word))
          {
            return LatchWord.version(word)
          }
        #else
          return LatchWord.version(word)
        #endif
      }
    }
  }

  /// Takes a page exclusively if it is still of `version`.
  @inlinable
  public func lockExclusive(_ id: PageID, _ version: Version) -> Bool {
    let free = LatchWord.word(version: version, state: LatchWord.unlocked)
    let held = LatchWord.with(state: LatchWord.exclusive, free)
    if words[Int(truncatingIfNeeded: id.rawValue)].compareExchange(
      expected: free, desired: held, ordering: .acquiring
    ).exchanged {
      // The stores that follow must not be seen before the state is (rule D4).
      atomicMemoryFence(ordering: .releasing)
      return true
    }
    return lockExclusiveSlowly(id, version)
  }

  @usableFromInline @inline(never)
  func lockExclusiveSlowly(_ id: PageID, _ version: Version) -> Bool {
    var tries = 0
    while true {
      let word = words[Int(id.rawValue)].load(ordering: .acquiring)
      guard LatchWord.version(word) == version else { return false }
      switch LatchWord.state(word) {
      case LatchWord.unlocked, LatchWord.marked:
        if exchange(id, word, LatchWord.with(state: LatchWord.exclusive, word)) {
          atomicMemoryFence(ordering: .releasing)
          return true
        }
      case LatchWord.evicted:
        return false
      default:
        tries += 1
        wait(for: id, tries: tries)
      }
    }
  }

  /// Gives an exclusively held page back, changed: its version moves on.
  @inlinable
  public func unlockExclusive(_ id: PageID) {
    let index = Int(truncatingIfNeeded: id.rawValue)
    let word = words[index].load(ordering: .relaxed)
    words[index].store(
      LatchWord.word(version: LatchWord.version(word) &+ 1, state: LatchWord.unlocked),
      ordering: .releasing)
  }

  /// Gives an exclusively held page back, unchanged: readers need not start again.
  @inlinable
  public func unlockUnchanged(_ id: PageID) {
    let index = Int(truncatingIfNeeded: id.rawValue)
    let word = words[index].load(ordering: .relaxed)
    words[index].store(LatchWord.with(state: LatchWord.unlocked, word), ordering: .releasing)
  }

  /// Takes a page shared if it is in memory; never waits for I/O.
  ///
  /// - Parameter waiting: whether to wait for who has it exclusively, or else to leave it.
  func tryLockShared(_ id: PageID, waiting: Bool) -> Bool {
    var tries = 0
    while true {
      let word = words[Int(id.rawValue)].load(ordering: .acquiring)
      switch LatchWord.state(word) {
      case LatchWord.evicted:
        return false
      case LatchWord.exclusive:
        guard waiting else { return false }
        tries += 1
        wait(for: id, tries: tries)
      case LatchWord.sharedLimit...:
        guard waiting else { return false }
        wait(for: id, tries: 1)
      default:
        if exchange(id, word, Self.adding(oneShared: word)) { return true }
      }
    }
  }

  @usableFromInline func unlockShared(_ id: PageID) {
    while true {
      let word = words[Int(id.rawValue)].load(ordering: .relaxed)
      let state = LatchWord.state(word)
      precondition(state > LatchWord.exclusive, "a page that nobody shares is given back")
      let next = state == LatchWord.exclusive + 1 ? LatchWord.unlocked : state - 1
      if exchange(id, word, LatchWord.with(state: next, word)) { return }
    }
  }

  private static func adding(oneShared word: UInt64) -> UInt64 {
    let state = LatchWord.state(word)
    return LatchWord.with(
      state: state <= LatchWord.marked ? LatchWord.exclusive + 1 : state + 1, word)
  }

  @discardableResult
  func exchange(_ id: PageID, _ expected: UInt64, _ desired: UInt64) -> Bool {
    words[Int(id.rawValue)].compareExchange(
      expected: expected, desired: desired, ordering: .acquiringAndReleasing
    ).exchanged
  }

  /// Spins a little, then parks: the page may be on its way in from the disk (rule D5).
  func wait(for id: PageID, tries: Int) {
    if tries < 50 {
      spinHint()
    } else if tries < 60 {
      SystemCalls.yieldThread()
    } else {
      parking.park(id) {
        LatchWord.state(words[Int(id.rawValue)].load(ordering: .acquiring)) == LatchWord.exclusive
      }
    }
  }
}

// The writer's hold on the pages of its path while it prepares: shared, so that readers go on.

extension PagePool {
  /// Takes a page shared if it is still of `version`, so that it stays in memory.
  public func lockShared(_ id: PageID, _ version: Version) -> Bool {
    var tries = 0
    while true {
      let word = words[Int(id.rawValue)].load(ordering: .acquiring)
      guard LatchWord.version(word) == version else { return false }
      switch LatchWord.state(word) {
      case LatchWord.evicted:
        return false
      case LatchWord.exclusive, LatchWord.sharedLimit...:
        tries += 1
        wait(for: id, tries: tries)
      default:
        if exchange(id, word, Self.adding(oneShared: word)) { return true }
      }
    }
  }

  /// Gives a shared page back.
  public func unlock(shared id: PageID) { unlockShared(id) }

  /// Makes the caller's shared hold exclusive, once copiers and other readers are gone.
  public func upgrade(_ id: PageID) {
    var tries = 0
    while true {
      let word = words[Int(id.rawValue)].load(ordering: .acquiring)
      if LatchWord.state(word) == LatchWord.exclusive + 1 {
        if exchange(id, word, LatchWord.with(state: LatchWord.exclusive, word)) {
          atomicMemoryFence(ordering: .releasing)
          return
        }
      } else {
        tries += 1
        if tries < 50 { spinHint() } else { SystemCalls.yieldThread() }
      }
    }
  }

  /// Makes an exclusive hold shared again; nothing was changed.
  public func downgrade(_ id: PageID) {
    let word = words[Int(id.rawValue)].load(ordering: .relaxed)
    words[Int(id.rawValue)].store(
      LatchWord.with(state: LatchWord.exclusive + 1, word), ordering: .releasing)
  }
}
