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
  /// Where elements are missing, changes, holes and stamps may speak of these: they are left out.
  func restore(
    _ vectors: [UInt64: FoundVector], as lists: [UInt64: RestoredList]
  ) throws(DatabaseError) {
    for (id, vector) in vectors.sorted(by: { $0.key < $1.key }) {
      guard let restored = lists[id] else {
        report.lose("all elements of the vector \"\(vector.name)\" are missing")
        continue
      }
      let number = withUnsafeBytes(of: restored.list.id.littleEndian) { Array($0) }
      try insert(Array(vector.name.utf8), number + vector.record[8...], .vectors)
      guard !(restored.isWhole && !isChunkTreeTorn) else { continue }
      report.lose(
        "elements of the vector \"\(vector.name)\" may be missing, and with them its unfolded changes, "
          + "holes and stamps")
      let chunks = store.chunks
      try converting { () throws(PagerError) in
        let count = try restored.list.salvagedByteCount(chunks)
        try restored.list.truncate(
          to: count - count % vector.stride, thenAppend: nil, chunks, nil)
      }
    }
    try store.forEachEntry(of: .vectorRecords) { (key, value) throws(DatabaseError) in
      let id = key.count < 9 ? 0 : key.withUnsafeBytes { ChunkKey.list($0) }
      guard vectors[id] != nil, let restored = lists[id] else {
        return report.lose("a record that belongs to no vector was left out")
      }
      guard restored.isWhole, !isChunkTreeTorn else { return }
      let number = withUnsafeBytes(of: restored.list.id.bigEndian) { Array($0) }
      try insert(number + key[8...], value, .vectorRecords)
    }
    try store.drop(.vectors)
    try store.drop(.vectorRecords)
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
