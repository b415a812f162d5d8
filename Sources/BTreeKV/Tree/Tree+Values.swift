internal import Pager

// Moving large values down in the file.

/// Where a large value lies.
struct PlacedValue {
  var key: [UInt8]
  /// The first page of its last run.
  var place: UInt64
  /// Of all runs.
  var pageCount: Int
}

extension Tree {
  /// Where the last run of a large value begins.
  private func place(of value: LargeValue) -> UInt64 {
    value.extents.reduce(0) { max($0, $1.first.rawValue) }
  }

  /// The large values that reach over a page, from a key on; as many as one leaf has, at least one
  /// unless there are no more.
  ///
  /// - Returns: the values, and from where to go on, nil at the end.
  func valuesReaching(
    over limit: Int, from key: [UInt8]
  ) throws(PagerError) -> (found: [PlacedValue], next: [UInt8]?) {
    let cursor = LeafCursor(tree: self, root: nil)
    var from = key
    while true {
      let isThere = try from.span.bytes.withUnsafeBytes { (key) throws(PagerError) in
        try cursor.load(key, .holding)
      }
      guard isThere else { return ([], nil) }
      var found: [PlacedValue] = []
      for index in 0..<cursor.count {
        let entry = cursor.entry(index)
        guard entry.isLarge,
          let value = LargeValue(entry.payload, pageByteCount: pageByteCount),
          value.extents.contains(where: { $0.end > UInt64(limit) })
        else { continue }
        found.append(
          PlacedValue(
            key: Array(entry.key), place: place(of: value),
            pageCount: value.extents.reduce(0) { $0 + $1.pageCount }))
      }
      guard found.isEmpty, let fence = cursor.upperFence else { return (found, cursor.upperFence) }
      from = fence
    }
  }

  /// Moves a large value into free pages in front of its last run.
  ///
  /// Writer mutex held, in a transaction.
  ///
  /// - Returns: whether it was moved: not if there is no room, or no such value any more.
  func moveValue(of key: [UInt8]) throws(PagerError) -> Bool {
    let found = try key.span.bytes.withUnsafeBytes { (key) throws(PagerError) in
      try withPayload(of: key, root: writerRoot) { payload, isLarge in
        isLarge ? LargeValue(payload, pageByteCount: pageByteCount) : nil
      }
    }
    guard var value = found ?? nil else { return false }
    let end = Int(place(of: value))
    var extents: [Extent] = []
    for old in value.extents {
      guard let new = pager.allocator.allocateExtent(pageCount: old.pageCount, below: end) else {
        for extent in extents { try? pager.allocator.free(extent) }
        return false
      }
      extents.append(new)
    }
    do throws(PagerError) {
      for (old, new) in zip(value.extents, extents) { try copyPages(of: old, to: new) }
      try makeDurable(
        valueOf: extents.reduce(0) { $0 + $1.pageCount } * pageByteCount, inTransaction: true)
      value.extents = extents
      value.birth = pager.publishLatch.withLock { pager.published.pointee.epoch }
      try key.span.bytes.withUnsafeBytes { (key) throws(PagerError) in
        try value.encoded.span.bytes.withUnsafeBytes { (payload) throws(PagerError) in
          _ = try mutate(Mutation(key: key, payload: payload, isLarge: true))
        }
      }
    } catch {
      for extent in extents { try? pager.allocator.free(extent) }
      throw error
    }
    return true
  }

  private func copyPages(of old: Extent, to new: Extent) throws(PagerError) {
    guard Int(old.end) <= pager.allocator.pageCount else {
      throw PagerError(
        .corrupted, "a value lies beyond the end of the file", page: old.first.rawValue)
    }
    let room = UnsafeMutableRawBufferPointer.allocate(
      byteCount: min(old.pageCount * pageByteCount, 1 << 20), alignment: 4096)
    defer { room.deallocate() }
    var done = 0
    while done < old.pageCount * pageByteCount {
      let piece = UnsafeMutableRawBufferPointer(
        rebasing: room[..<min(room.count, old.pageCount * pageByteCount - done)])
      try pager.storage.read(into: piece, at: Int(old.first.rawValue) * pageByteCount + done)
      try write(UnsafeRawBufferPointer(piece), at: done, [new])
      done += piece.count
    }
  }
}
