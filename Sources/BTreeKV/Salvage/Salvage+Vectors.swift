internal import Pager

// Vectors: lists like those of regions, with a record under their name and records beside them.

extension Salvage {
  /// What the damaged file says of a vector.
  struct FoundVector {
    var name: String
    /// What is stored under the name; its first 8 bytes are the list's number.
    var record: [UInt8]

    /// The size of an element in bytes.
    var stride: Int { Swift.max(1, Int(record[12]) | Int(record[13]) << 8) }
    /// Whether its elements are pages among the records, and only those behind them in the list.
    var isCompressed: Bool { record[14] == 2 }
  }

  /// The list of a vector in the new file.
  struct RestoredList {
    var list: ChunkList
    /// Whether all its bytes are there, as far as that is known.
    var isWhole = true
  }

  /// What was found of vectors, by the numbers of their lists.
  func foundVectors() throws(DatabaseError) -> [UInt64: FoundVector] {
    var found: [UInt64: FoundVector] = [:]
    try store.forEachEntry(of: .vectors) { (key, value) throws(DatabaseError) in
      let name = String(decoding: key, as: UTF8.self)
      let list = value.count > 16 ? value.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) } : 0
      guard (1...Engine.maximumNameByteCount).contains(name.utf8.count), ChunkKey.isList(list),
        found[list] == nil
      else {
        report.lose("what the file says of the vector \"\(name)\" makes no sense")
        return
      }
      found[list] = FoundVector(name: name, record: value)
    }
    return found
  }

  /// Gives the lists that were restored their names and records.
  ///
  /// Where elements are missing, changes, holes and stamps may speak of these: they are left out. Of
  /// compressed vectors that leaves the pages in front of the first one that is missing.
  func restore(
    _ vectors: [UInt64: FoundVector], as lists: [UInt64: RestoredList]
  ) throws(DatabaseError) {
    let pages = try foundPages()
    var lists = lists
    for (id, found) in pages where found.count > 0 && vectors[id] != nil && lists[id] == nil {
      lists[id] = RestoredList(list: try store.makeList(), isWhole: false)
    }
    for (id, vector) in vectors.sorted(by: { $0.key < $1.key }) {
      guard let restored = lists[id] else {
        report.lose("all elements of the vector \"\(vector.name)\" are missing")
        continue
      }
      let number = withUnsafeBytes(of: restored.list.id.littleEndian) { Array($0) }
      try insert(Array(vector.name.utf8), number + vector.record[8...], .vectors)
      let hasAllPages = hasAllPages(vector, pages[id])
      guard !(isWhole(restored) && hasAllPages) else { continue }
      report.lose(
        "elements of the vector \"\(vector.name)\" may be missing, and with them its unfolded changes, "
          + "holes and stamps")
      let chunks = store.chunks
      try converting { () throws(PagerError) in
        let count = try hasAllPages ? restored.list.salvagedByteCount(chunks) : 0
        try restored.list.truncate(
          to: count - count % vector.stride, thenAppend: nil, chunks, nil)
      }
    }
    try store.forEachEntry(of: .vectorRecords) { (key, value) throws(DatabaseError) in
      let id = key.count < 9 ? 0 : key.withUnsafeBytes { ChunkKey.list($0) }
      guard let vector = vectors[id], let restored = lists[id] else {
        return report.lose("a record that belongs to no vector was left out")
      }
      guard
        isPage(key)
          ? pageNumber(key) < pages[id]?.count ?? 0
          : isWhole(restored) && hasAllPages(vector, pages[id])
            && !(isOfStamp(key) && (isRecordTreeTorn || listsWithoutStamps.contains(id)))
      else { return }
      // Nobody knows what has changed: what was computed is to be computed anew.
      if isOfComputation(key) { return }
      let number = withUnsafeBytes(of: restored.list.id.bigEndian) { Array($0) }
      try insert(number + key[8...], value, .vectorRecords)
    }
    try store.drop(.vectors)
    try store.drop(.vectorRecords)
  }

  private func isWhole(_ restored: RestoredList) -> Bool {
    restored.isWhole && !isChunkTreeTorn && !hasLogGap
  }

  // MARK: Compressed vectors

  // A page is two records, of the kinds 6 and 7 (docs/FILE-FORMAT.md): a key's byte behind the list's
  // number is the kind, and the page's number follows.

  /// The pages of a compressed vector that were found.
  private struct FoundPages {
    /// How many there are in front of the first that is missing.
    var count = 0
    /// How many of these have a record of the first kind.
    var statisticsCount = 0
    /// Whether there are some behind one that is missing.
    var hasGap = false
  }

  private func isPage(_ key: [UInt8]) -> Bool { key.count == 17 && (6...7).contains(key[8]) }
  private func isOfStamp(_ key: [UInt8]) -> Bool { (3...5).contains(key[8]) }
  private func isOfComputation(_ key: [UInt8]) -> Bool { (8...9).contains(key[8]) }

  private func pageNumber(_ key: [UInt8]) -> Int {
    Int(
      truncatingIfNeeded: key.withUnsafeBytes {
        UInt64(bigEndian: $0.loadUnaligned(fromByteOffset: 9, as: UInt64.self))
      } & UInt64(Int.max))
  }

  /// The pages of compressed vectors, by the numbers of their lists.
  private func foundPages() throws(DatabaseError) -> [UInt64: FoundPages] {
    var found: [UInt64: FoundPages] = [:]
    try store.forEachEntry(of: .vectorRecords) { (key, _) throws(DatabaseError) in
      guard isPage(key) else { return }
      let number = pageNumber(key)
      let id = key.withUnsafeBytes { ChunkKey.list($0) }
      var pages = found[id] ?? FoundPages()
      // All of the first kind come in front of those of the second.
      if key[8] == 6, number == pages.statisticsCount {
        pages.statisticsCount += 1
      } else if key[8] == 7, number == pages.count, number < pages.statisticsCount {
        pages.count += 1
      } else {
        pages.hasGap = true
      }
      found[id] = pages
    }
    return found
  }

  /// Whether no page is missing, as far as that is known: so what is in the list belongs behind them.
  private func hasAllPages(_ vector: FoundVector, _ pages: FoundPages?) -> Bool {
    guard vector.isCompressed else { return true }
    guard !isRecordTreeTorn, !hasLogGap else { return false }
    guard let pages else { return true }
    return !pages.hasGap && pages.count == pages.statisticsCount
  }

  private func insert(
    _ key: [UInt8], _ value: [UInt8], _ tree: TreeID
  ) throws(DatabaseError) {
    let access = store.systemTree(tree)
    try key.withBytes { (key) throws(DatabaseError) in
      try value.withBytes { (value) throws(DatabaseError) in _ = try access.insert(key, value, nil)
      }
    }
  }
}

extension ChunkList {
  fileprivate func salvagedByteCount(_ access: TreeAccess) throws(PagerError) -> Int {
    do throws(DatabaseError) {
      return try byteCount(access)
    } catch {
      throw error.cause
    }
  }
}
