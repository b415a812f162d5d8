internal import Pager

extension Salvage {
  /// Applies the log on top of what the pages hold.
  func applyLog() throws(DatabaseError) {
    guard let log = DamagedLog(file) else {
      if file.hasLog { report.lose("the log lies behind the end of the file") }
      return
    }
    try converting { () throws(PagerError) in
      var durable = LogSequenceNumber(0)
      try log.forEach { (piece) throws(PagerError) in
        if case .record(_, _, let known) = piece { durable = max(durable, known) }
        return true
      }
      try log.forEach { (piece) throws(PagerError) in
        switch piece {
        case .record(let body, let lsn, _):
          // As in recovery: values that did not reach the medium end the log.
          if !(lsn < durable), !hasWholeValues(body) { return false }
          try apply(body, lsn)
        case .gap(let from, let to):
          // What nobody knew to be durable is the end of the log, not damage.
          guard from < durable else { return false }
          hasLogGap = true
          let end = to.map { " to \($0.rawValue)" } ?? " on"
          report.lose("the log is damaged from position \(from.rawValue)\(end)")
        case .brokenLink(let at):
          report.lose("the log behind position \(at.rawValue) can't be found")
        }
        return true
      }
    }
  }

  private func apply(
    _ body: UnsafeRawBufferPointer, _ lsn: LogSequenceNumber
  ) throws(PagerError) {
    let makesSense = try LogEntry.forEach(in: body) { (entry) throws(PagerError) in
      do throws(DatabaseError) {
        try apply(entry, lsn)
      } catch {
        throw error.cause
      }
      return true
    }
    if makesSense {
      report.logRecordCount += 1
    } else {
      report.lose("the log record at position \(lsn.rawValue) makes no sense")
    }
  }

  private func apply(_ entry: LogEntry, _ lsn: LogSequenceNumber) throws(DatabaseError) {
    switch entry.kind {
    case .insert, .insertLarge:
      let isStored = try put(
        entry.tree, entry.key, entry.value, isLarge: entry.kind == .insertLarge,
        "log position \(lsn.rawValue)")
      // The value before it is not the key's any more.
      if !isStored { try store.remove(entry.tree, entry.key) }
    case .remove:
      try store.remove(entry.tree, entry.key)
    case .removeRange:
      let range = KeyRange(
        lower: entry.flags.contains(.lowerBound) ? Array(entry.key) : nil,
        upper: entry.flags.contains(.upperBound) ? Array(entry.value) : nil)
      try store.remove(entry.tree, range)
    case .dropTree:
      try store.drop(entry.tree)
    }
  }

  private func hasWholeValues(_ body: UnsafeRawBufferPointer) -> Bool {
    let outcome = try? LogEntry.forEach(in: body) { (entry) throws(PagerError) in
      guard entry.kind == .insertLarge else { return true }
      guard let value = largeValue(entry.value) else { return false }
      let reader = LargeValueReader(
        value, storage: file.storage, pageByteCount: file.pageByteCount)
      try reader.forEachChunk { _ in }
      return true
    }
    return outcome ?? false
  }
}
