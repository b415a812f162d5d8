import Synchronization

// How pages come into memory and leave it.

extension PagePool {
  /// Reads a page in; `word` is its word as it was seen, in the state evicted.
  ///
  /// Returns without having done anything when another thread was faster.
  func readIn(_ id: PageID, word: UInt64, epoch: Epoch, level: Int) throws(PagerError) {
    try reserveFrame()
    guard exchange(id, word, LatchWord.with(state: LatchWord.exclusive, word)) else {
      residentCount.subtract(1, ordering: .relaxed)
      return
    }
    let evictedAgain = LatchWord.word(
      version: LatchWord.version(word) &+ 1, state: LatchWord.evicted)
    do throws(PagerError) {
      let page = buffer(id)
      try storage.read(into: page, at: Int(id.rawValue) * pageByteCount)
      if let problem = problem(in: UnsafeRawBufferPointer(page), id, epoch: epoch, level: level) {
        throw problem
      }
    } catch {
      SystemCalls.discardMemory(address(id), byteCount: 1 << strideShift)
      residentCount.subtract(1, ordering: .relaxed)
      words[Int(id.rawValue)].store(evictedAgain, ordering: .releasing)
      parking.wake(id)
      throw error
    }
    readCount.add(1, ordering: .relaxed)
    ring.withLock { $0.append(id) }
    unlockExclusive(id)
    parking.wake(id)
  }

  private func problem(
    in page: UnsafeRawBufferPointer, _ id: PageID, epoch: Epoch, level: Int
  ) -> PagerError? {
    if let problem = PageHeader.problem(
      in: page, id: id, epoch: epoch, kind: PageHeader.treeKind, seed: checksumSeed)
    {
      return problem
    }
    guard Int(page[PageHeader.levelOffset]) == level else {
      return PagerError(
        .corrupted, "a page is not of the level that its parent says", page: id.rawValue,
        expected: UInt64(level), found: UInt64(page[PageHeader.levelOffset]))
    }
    if let text = structureProblem(page) {
      return PagerError(.corrupted, text, page: id.rawValue)
    }
    return nil
  }

  /// Brings the frame of a page that was just allocated into memory, exclusively held, its
  /// content undefined.
  ///
  /// Nobody else refers to the page; a reader that has it from an old state restarts.
  public func makeResident(newPage id: PageID) throws(PagerError) {
    guard id.rawValue < pageLimit else {
      throw PagerError(
        .outOfAddressSpace, "the file has outgrown the addresses reserved at open; open it again",
        page: id.rawValue)
    }
    var tries = 0
    while true {
      let word = words[Int(id.rawValue)].load(ordering: .acquiring)
      switch LatchWord.state(word) {
      case LatchWord.evicted:
        try reserveFrame()
        if exchange(id, word, LatchWord.with(state: LatchWord.exclusive, word)) {
          ring.withLock { $0.append(id) }
          atomicMemoryFence(ordering: .releasing)
          return
        }
        residentCount.subtract(1, ordering: .relaxed)
      case LatchWord.unlocked, LatchWord.marked:
        if exchange(id, word, LatchWord.with(state: LatchWord.exclusive, word)) {
          atomicMemoryFence(ordering: .releasing)
          return
        }
      default:
        tries += 1
        wait(for: id, tries: tries)
      }
    }
  }

  /// Forgets the content of a page that nothing refers to any more (rule C5).
  ///
  /// The frame stays until the clock takes it, since freed ids are given out again first.
  public func discard(_ id: PageID) {
    var tries = 0
    while true {
      let word = words[Int(id.rawValue)].load(ordering: .acquiring)
      switch LatchWord.state(word) {
      case LatchWord.evicted:
        return
      case LatchWord.unlocked, LatchWord.marked:
        if exchange(id, word, LatchWord.with(state: LatchWord.exclusive, word)) {
          discard(held: id)
          return
        }
      default:
        tries += 1
        wait(for: id, tries: tries)
      }
    }
  }

  /// The same for a page that the caller holds exclusively; it is given back.
  public func discard(held id: PageID) {
    changeFlags(id) { flag in
      flag & Self.writing != 0 ? flag & ~Self.dirty | Self.dropped : flag & ~Self.dirty
    }
    unlockExclusive(id)
  }

  /// Notes that a page which the caller holds exclusively differs from what is on disk.
  ///
  /// - Returns: whether it was clean, so that the caller puts it on the checkpoint's list.
  @inlinable public func markDirty(_ id: PageID) -> Bool {
    markDirty(index: Int(truncatingIfNeeded: id.rawValue))
  }

  @usableFromInline func markDirty(index: Int) -> Bool {
    if flags[index].load(ordering: .relaxed) & Self.dirty != 0 { return false }
    return flags[index].bitwiseOr(Self.dirty, ordering: .relaxed).oldValue & Self.dirty == 0
  }

  /// Whether a write of this page is under way: its id must not be given out (rule C8).
  package func isBeingWritten(_ id: UInt64) -> Bool {
    id < pageLimit && flags[Int(id)].load(ordering: .acquiring) & Self.writing != 0
  }

  /// Counts one more resident page, evicting others when there would be too many.
  private func reserveFrame() throws(PagerError) {
    var rounds = 0
    while true {
      if residentCount.add(1, ordering: .relaxed).newValue <= capacity { return }
      residentCount.subtract(1, ordering: .relaxed)
      if try !evictSome() {
        rounds += 1
        guard rounds < 100_000 else {
          throw PagerError(
            .invalidArgument, "the cache is too small: all of its pages are in use at once")
        }
        SystemCalls.yieldThread()
      } else {
        rounds = 0
      }
    }
  }

  /// Evicts a run of pages that were not read lately.
  ///
  /// - Returns: whether it could evict or at least clean any.
  private func evictSome() throws(PagerError) -> Bool {
    let most = min(64, capacity / 8)
    var victims: [PageID] = []
    var soiled: [PageID] = []
    ring.withLock { ring in
      ring.sweep(steps: 2 * ring.count) { id in
        let word = words[Int(id.rawValue)].load(ordering: .acquiring)
        switch LatchWord.state(word) {
        case LatchWord.unlocked:
          exchange(id, word, LatchWord.with(state: LatchWord.marked, word))
        case LatchWord.marked:
          let flag = flags[Int(id.rawValue)].load(ordering: .acquiring)
          if flag == 0 {
            if exchange(id, word, LatchWord.with(state: LatchWord.exclusive, word)) {
              // A flag set since then was set by a holder before this one.
              if flags[Int(id.rawValue)].load(ordering: .acquiring) == 0 {
                victims.append(id)
                return (.remove, victims.count >= most)
              }
              unlockUnchanged(id)
            }
          } else if flag & Self.writing == 0, mayWrite, soiled.count < most {
            soiled.append(id)
          }
        default:
          break
        }
        return (.keep, victims.isEmpty && soiled.count >= most)
      }
    }
    if !victims.isEmpty {
      release(victims.sorted())
      return true
    }
    return try writeBack(soiled.sorted(), waiting: false, limitBytes: .max) > 0
  }

  /// Gives the memory of exclusively held pages back to the system, in runs.
  private func release(_ pages: [PageID]) {
    var start = 0
    while start < pages.count {
      var end = start + 1
      while end < pages.count, pages[end].rawValue == pages[end - 1].rawValue + 1 { end += 1 }
      SystemCalls.discardMemory(
        address(pages[start]), byteCount: (end - start) << Int(strideShift))
      start = end
    }
    for id in pages {
      let word = words[Int(id.rawValue)].load(ordering: .relaxed)
      words[Int(id.rawValue)].store(
        LatchWord.word(version: LatchWord.version(word) &+ 1, state: LatchWord.evicted),
        ordering: .releasing)
    }
    residentCount.subtract(pages.count, ordering: .relaxed)
    evictionCount.add(pages.count, ordering: .relaxed)
  }
}

// Moving many pages at once: they can't all be held while that goes on.

extension PagePool {
  /// A page that was just moved needs no hold any more: nothing refers to it yet, and if it is
  /// evicted it is written first.
  public func settle(relocated id: PageID) {
    _ = markDirty(id)
    unlockExclusive(id)
  }
}
