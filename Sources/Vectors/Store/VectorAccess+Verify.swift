internal import BTreeKV

extension VectorAccess {
  /// Compares all elements with their checksums, and looks whether all records make sense; at an
  /// instant.
  func verify() throws(DatabaseError) {
    try list.verify(chunks)
    let count = try count
    if let pages {
      try verifyPages(pages)
    } else {
      guard try list.byteCount(chunks) % stride == 0 else { throw damage("the end of a vector") }
    }
    try forEachRecord(VectorKey.range(list.id, .changes, 0..<1 << 46)) { key, value in
      guard let block = VectorKey.lastNumber(key),
        let record = PatchRecord(value, stride: stride, limit: blockCount),
        let last = record.offsets.last
      else { return false }
      return block <= count / blockCount && block * blockCount + Int(last) < count
    }
    if let last = try holes().last, last >= count { throw damage("holes") }
    _ = try changeHistory()
    _ = try computationState()
    for period in try stamps() {
      for kind in [VectorKey.Kind.oldElements, .oldHoles] {
        let range = VectorKey.range(list.id, kind, period.number..<period.number + 1)
        try forEachRecord(range) { key, value in
          let isHoles = kind == .oldHoles
          return VectorKey.lastNumber(key) != nil
            && (isHoles
              ? HoleBlock(value) != nil
              : PatchRecord(value, stride: stride, limit: blockCount) != nil)
        }
      }
    }
  }

  private func forEachRecord(
    _ range: KeyRange, _ isSound: ([UInt8], [UInt8]) -> Bool
  ) throws(DatabaseError) {
    let cursor = try records.cursor(in: range)
    while let entry = try cursor.next() {
      guard isSound(entry.key, entry.value) else { throw damage("what changed in a vector") }
    }
  }

  /// Decompresses all pages, and compares them with their statistics.
  private func verifyPages(_ layout: PageLayout) throws(DatabaseError) {
    let pageCount = try pageCount()
    var statistics = try StatisticsCursor(self, layout, from: 0)
    let scratch = DecoderScratch()
    let room = UnsafeMutableRawBufferPointer.allocate(byteCount: layout.byteCount, alignment: 64)
    defer { room.deallocate() }
    for page in 0..<pageCount {
      try decodePage(page, to: room, scratch)
      let found = PageStatistics(of: UnsafeRawBufferPointer(room), layout.type)
      guard try statistics.take().isEqual(found, layout.type) else {
        throw damage("the statistics of page \(page) of a vector")
      }
    }
    let behind = VectorKey.range(list.id, .page, pageCount..<1 << 46)
    if try records.cursor(in: behind).next() != nil { throw damage("a page behind the last one") }
  }
}
