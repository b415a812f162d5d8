extension LogSegment {
  /// What does not hold that must, from a segment's preparation on.
  ///
  /// - It has room for its header, link and one record, and as many bytes as its pages.
  /// - Its first position is one at which a record may begin (positions are bytes: rule B1's
  ///   checksums are seeded with them).
  func invariantViolations(pageByteCount: Int) -> [String] {
    var found: [String] = []
    if byteCount != extent.pageCount * pageByteCount || byteCount <= Self.recordsOffset + 24 {
      found.append("log: segment \(sequence) has \(byteCount) bytes in \(extent.pageCount) pages")
    }
    if firstLSN.rawValue % 8 != 0 {
      found.append("log: segment \(sequence) begins at position \(firstLSN.rawValue)")
    }
    return found
  }
}

extension Log {
  /// What does not hold that must, whenever the publish latch is free.
  ///
  /// - Live segments follow each other in sequence and position, and have no page in common: so
  ///   replay finds each from the one before (rules B1, B3).
  /// - All but the last are finished; records go to the last one, behind all that were published.
  /// - A segment that a cut still needs is live (rules A4, C3).
  /// - What is durable was published (rule B3), and room is left for the record that ends a segment.
  ///
  /// Publish latch held.
  ///
  /// - Complexity: O(segments).
  func invariantViolations() -> [String] {
    segmentLock.withLock { segmentViolations() + cursorViolations() }
  }

  private func segmentViolations() -> [String] {
    var found: [String] = []
    let all = live + (next.map { [$0] } ?? [])
    for (index, item) in all.enumerated() {
      found += item.segment.invariantViolations(pageByteCount: pageByteCount)
      if item.finishedAt == nil, index + 1 < live.count {
        found.append("log: segment \(item.segment.sequence) is not finished, nor the last")
      }
      if item.finishedAt != nil, index + 1 >= live.count {
        found.append("log: segment \(item.segment.sequence) is finished, but the last")
      }
      guard index > 0 else { continue }
      let before = all[index - 1].segment
      if item.segment.sequence != before.sequence + 1
        || item.segment.firstLSN.rawValue != before.firstLSN.rawValue + UInt64(before.byteCount)
      {
        found.append(
          "log: segment \(item.segment.sequence) does not follow segment \(before.sequence)")
      }
      for other in all[..<index] where other.segment.extent.overlaps(item.segment.extent) {
        found.append(
          "log: segments \(other.segment.sequence) and \(item.segment.sequence) share pages")
      }
    }
    // 0 is before the first cut.
    if let first = live.first, let last = live.last, firstStaying > 0,
      !(first.segment.sequence...last.segment.sequence).contains(firstStaying)
    {
      found.append("log: a cut needs segment \(firstStaying), which is not live")
    }
    return found
  }

  private func cursorViolations() -> [String] {
    var found: [String] = []
    let durable = durableLSN
    if endLSN < durable {
      found.append("log: durable up to \(durable.rawValue), behind its end \(endLSN.rawValue)")
    }
    guard let last = live.last else {
      // Not begun, or ended: there is no room for any record.
      if cursor.pointee.limit != 0 { found.append("log: there is room without a segment") }
      return found
    }
    let cursor = cursor.pointee
    if cursor.limit != last.segment.byteCount || cursor.salt != last.segment.salt
      || cursor.bias &+ UInt64(LogSegment.recordsOffset) != last.segment.firstLSN.rawValue
    {
      found.append("log: records do not go to the last segment, \(last.segment.sequence)")
    }
    if cursor.offset < LogSegment.recordsOffset || cursor.offset % 8 != 0
      || cursor.offset + Self.endRecordByteCount > cursor.limit
    {
      found.append("log: the next record is to go to offset \(cursor.offset) of \(cursor.limit)")
    }
    if cursor.bias &+ UInt64(cursor.offset) != endLSN.rawValue {
      found.append("log: the next record is not to go to its end, \(endLSN.rawValue)")
    }
    return found
  }
}
