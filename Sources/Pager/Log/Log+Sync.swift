import Synchronization

// Making the log durable, once for everybody who waits.

extension Log {
  /// Waits until everything before `lsn` is on the medium.
  ///
  /// Holds nothing while it waits.
  ///
  /// Whoever finds nobody syncing syncs for all; who comes meanwhile is in the next round.
  ///
  /// - Throws: `.outcomeUnknown` when a sync failed, now or earlier: what was not known to be
  ///   durable then may or may not be there after a restart.
  package func waitUntilDurable(_ lsn: LogSequenceNumber) throws(PagerError) {
    if !(durableLSN < lsn) { return }
    waiterCount.add(1, ordering: .relaxed)
    defer { waiterCount.subtract(1, ordering: .relaxed) }
    syncLock.lock()
    while durableLSN < lsn {
      if let error = syncError.withLock({ $0 }) {
        syncLock.unlock()
        throw PagerError(
          .outcomeUnknown,
          "a sync failed, so it is unknown whether this write is durable; reopen the file to see",
          systemError: error.systemError)
      }
      if isSyncing {
        syncLock.wait()
        continue
      }
      isSyncing = true
      syncLock.unlock()
      // First the target, then the flag. A value's bytes are written before the flag is set, and that
      // before a record names them: so each record before the target finds the flag set, or a sync
      // that came after it was set has taken its bytes along.
      let target = endLSN
      let hasValues = hasUnsyncedValues.exchange(false, ordering: .acquiringAndReleasing)
      var failure: PagerError?
      do throws(PagerError) {
        if isMapped {
          noteWritten(upTo: target)
          try storage.synchronize()
        } else {
          try writeOut(upTo: target, withValues: hasValues)
        }
      } catch {
        failure = error
      }
      syncLock.lock()
      if let failure {
        fail(failure)
      } else {
        raiseDurable(to: target)
      }
      isSyncing = false
      syncLock.broadcast()
    }
    syncLock.unlock()
  }

  /// The log can't be trusted to take anything any more.
  func fail(_ error: PagerError) {
    syncError.withLock { if $0 == nil { $0 = error } }
    failureCell.setWhatever(error)
  }

  /// What an earlier sync failed with, if any.
  package var failure: PagerError? { syncError.withLock { $0 } }

  private func raiseDurable(to lsn: LogSequenceNumber) {
    if durableLSN < lsn { durable.store(lsn.rawValue, ordering: .releasing) }
  }

  /// Notes that value bytes were written which a record to come names: the sync that makes the
  /// record durable then is one of the file, which takes them along.
  package func noteUnsyncedValues() {
    hasUnsyncedValues.store(true, ordering: .releasing)
  }

  /// Tells the storage which part of the mapped segment that is appended to will not be written again.
  private func noteWritten(upTo target: LogSequenceNumber) {
    segmentLock.withLock {
      guard let item = live.last, let memory = item.memory else { return }
      let segment = item.segment
      let low = max(durableLSN, segment.firstLSN)
      guard low < target else { return }
      let start = segment.offset(of: low)
      storage.noteWritten(memory + start, byteCount: segment.offset(of: target) - start)
    }
  }

  /// Writes the buffered bytes up to `target` through the synchronous descriptor, or together with
  /// value bytes through the other one.
  private func writeOut(
    upTo target: LogSequenceNumber, withValues: Bool
  ) throws(PagerError) {
    struct Piece {
      var bytes: UnsafeRawBufferPointer
      var place: Int
    }
    let from = durableLSN
    let pieces: [Piece] = segmentLock.withLock {
      live.compactMap { item in
        let segment = item.segment
        let usedEnd =
          item.finishedAt.map(segment.lsn(at:))
          ?? LogSequenceNumber(segment.firstLSN.rawValue + UInt64(segment.byteCount))
        let low = max(from, segment.firstLSN)
        let high = min(target, usedEnd)
        guard low < high, let memory = item.memory else { return nil }
        let start = segment.offset(of: low)
        return Piece(
          bytes: UnsafeRawBufferPointer(
            start: memory + start, count: segment.offset(of: high) - start),
          place: Int(segment.extent.first.rawValue) * pageByteCount + start)
      }
    }
    if withValues {
      for piece in pieces { try storage.write(piece.bytes, at: piece.place) }
      try storage.synchronize()
    } else {
      for piece in pieces { try storage.writeDurably(piece.bytes, at: piece.place) }
    }
  }
}
