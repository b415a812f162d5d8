import Synchronization

extension PagePool {
  /// What does not hold that must, whatever others do meanwhile.
  ///
  /// - A page is on the clock's ring once, and only while it is in memory: so each frame is found
  ///   again, and by one hand (rule F8 counts on it).
  /// - No more pages are in memory than the budget allows, beyond those just being reserved.
  ///
  /// - Parameter isQuiet: whether nobody uses the pool meanwhile. Then also: nobody holds a page
  ///   (all holds end with the operation), no write is under way (rule C5), and the ring has all
  ///   that is in memory.
  /// - Complexity: O(pages in memory).
  package func invariantViolations(isQuiet: Bool = false) -> [String] {
    var found: [String] = []
    let count = ring.withLock { ring -> Int in
      var seen: Set<UInt64> = []
      for id in ring.snapshot() {
        guard seen.insert(id).inserted, id > 1, id < pageLimit else {
          found.append("pool: page \(id) is on the ring twice, or cannot be")
          continue
        }
        let state = LatchWord.state(words[Int(id)].load(ordering: .acquiring))
        if state == LatchWord.evicted {
          found.append("pool: page \(id) is on the ring, but not in memory")
        }
        guard isQuiet else { continue }
        if state != LatchWord.unlocked, state != LatchWord.marked {
          found.append("pool: page \(id) is held by nobody who is there (state \(state))")
        }
        if flags[Int(id)].load(ordering: .acquiring) & Self.writing != 0 {
          found.append("pool: page \(id) is being written by nobody who is there")
        }
      }
      return seen.count
    }
    if isQuiet, count != residentPageCount {
      found.append("pool: \(residentPageCount) pages are counted, \(count) are on the ring")
    }
    if count > capacity { found.append("pool: \(count) pages in memory, \(capacity) are allowed") }
    return found
  }

  /// Runs `body` on a page that is in memory, held shared; nil when it is not in memory.
  package func ifResident<R>(
    _ id: PageID, _ body: (UnsafeRawBufferPointer) -> R
  ) -> R? {
    guard id.rawValue < pageLimit, tryLockShared(id, waiting: true) else { return nil }
    defer { unlockShared(id) }
    return body(UnsafeRawBufferPointer(buffer(id)))
  }
}
