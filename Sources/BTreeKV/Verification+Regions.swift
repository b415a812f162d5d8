internal import Pager

extension Verification {
  /// Each region has one name and a head, and its chunks follow each other, all full but the last.
  mutating func checkRegions() throws(PagerError) {
    guard report.isSound else { return }
    do throws(DatabaseError) {
      var unseen = try regionNames()
      var state = RegionCheck()
      let chunks = TreeAccess(file, engine.chunkTree, .live)
      let walker = try chunks.walker(.all, false, false)
      while try walker.step() {
        let key = Array(walker.key)
        if let problem = try checkChunk(key, &state) { report.note(problem) }
        if key.count == 8, unseen.removeValue(forKey: state.id) == nil {
          report.note("region \(state.id) has no name")
        }
      }
      for (id, name) in unseen.sorted(by: { $0.key < $1.key }) {
        report.note("region \(id), \"\(name)\", is not in the tree of chunks")
      }
      try checkVectorRecords()
    } catch {
      guard error.code == .corrupted else { throw error.cause }
      report.note("\(error)")
    }
  }

  /// Each record beside vectors belongs to one.
  private mutating func checkVectorRecords() throws(DatabaseError) {
    var vectors: [UInt64: String] = [:]
    try addNames(in: .vectors, to: &vectors)
    let records = TreeAccess(file, engine.tree(of: .vectorRecords), .live)
    let walker = try records.walker(.all, false, false)
    while try walker.step() {
      let list = walker.key.count < 9 ? 0 : ChunkKey.list(walker.key)
      if vectors[list] == nil { report.note("a record is that of no vector, but of list \(list)") }
    }
  }

  /// What is known of the region whose chunks are being checked.
  private struct RegionCheck {
    var id: UInt64 = 0
    var next = 0
    /// Of the chunk before.
    var isFull = true
  }

  /// The names of regions, entry stores and vectors by the numbers of their lists.
  private mutating func regionNames() throws(DatabaseError) -> [UInt64: String] {
    var names: [UInt64: String] = [:]
    try addNames(in: .regions, to: &names)
    try addNames(in: .entryStores, to: &names)
    try addNames(in: .vectors, to: &names)
    return names
  }

  private mutating func addNames(
    in id: TreeID, to names: inout [UInt64: String]
  ) throws(DatabaseError) {
    let tree = TreeAccess(file, engine.tree(of: id), .live)
    let walker = try tree.walker(.all, false, true)
    while try walker.step() {
      let name = String(decoding: walker.key, as: UTF8.self)
      // A vector's record goes on behind the number.
      let isWhole = id == .vectors ? walker.value.count > 8 : walker.value.count == 8
      let list = isWhole ? walker.value.loadUnaligned(as: UInt64.self) : 0
      guard ChunkKey.isList(list) else {
        report.note("what the file says of the region \"\(name)\" makes no sense")
        continue
      }
      if names.updateValue(name, forKey: list) != nil {
        report.note("region \(list) has two names, \"\(name)\" is one")
      }
    }
  }

  /// What is wrong with an entry of the tree of chunks.
  private func checkChunk(
    _ key: [UInt8], _ state: inout RegionCheck
  ) throws(DatabaseError) -> String? {
    let id = key.count < 8 ? 0 : key.withUnsafeBytes { ChunkKey.list($0) }
    let index = key.withUnsafeBytes { ChunkKey.index($0, of: id) }
    guard ChunkKey.isList(id), key.count == 8 || index != nil else {
      return "a key in the tree of chunks makes no sense"
    }
    let (pageByteCount, full) = (pager.pageByteCount, Chunk.fullPageCount(pager.pageByteCount))
    let found = try converting { () throws(PagerError) in
      try key.span.bytes.withUnsafeBytes { (key) throws(PagerError) in
        try engine.chunkTree.withPayload(of: key, root: nil) { payload, isLarge in
          Chunk(
            index: index ?? 0, payload: payload, isLarge: isLarge, pageByteCount: pageByteCount)
        }
      }
    }
    guard let index else {
      state = RegionCheck(id: id)
      return found??.byteCount == 0 ? nil : "the head of region \(id) is not empty"
    }
    guard state.id == id else { return "region \(id) has chunks but no head" }
    guard let chunk = found ?? nil, chunk.byteCount > 0, index == 0 || chunk.extent != nil else {
      return "what the file says of chunk \(index) of region \(id) makes no sense"
    }
    defer {
      state = RegionCheck(id: id, next: index + 1, isFull: chunk.byteCount == Chunk.fullByteCount)
    }
    guard index == state.next, state.isFull else {
      return "bytes are missing in front of chunk \(index) of region \(id)"
    }
    guard index == 0 || chunk.extent?.pageCount == full else {
      return "chunk \(index) of region \(id) has not the pages of a whole one"
    }
    return nil
  }
}
