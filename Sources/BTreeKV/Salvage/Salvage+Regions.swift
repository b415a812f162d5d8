internal import Pager

extension Salvage {
  /// Makes regions and vectors again of the chunks and names that were found.
  ///
  /// A region ends where bytes are missing; what follows becomes a region of its own.
  func restoreRegions() throws(DatabaseError) {
    let names = try listNames(in: .regions, "region")
    let vectors = try foundVectors()
    var restoring = RegionRestoring(self, names, vectors)
    try store.forEachEntry(of: .chunks) { (key, value) throws(DatabaseError) in
      try restoring.take(key, value)
    }
    try restoring.finish()
    try restore(vectors, as: restoring.vectorLists)
    try store.drop(.regions)
  }

  /// The numbers of lists in a tree of names, as far as it was reached.
  func knownLists(_ tree: TreeID) throws(DatabaseError) -> Set<UInt64> {
    var ids: Set<UInt64> = []
    try store.forEachEntry(of: tree) { (_, value) throws(DatabaseError) in
      guard tree == .vectors ? value.count > 16 : value.count == 8 else { return }
      ids.insert(value.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) })
    }
    return ids
  }

  /// Whether a leaf that no tree reached is one of the tree of chunks: all its entries are chunks and
  /// heads of these lists, and at least one is a chunk in pages of its own.
  func holdsChunks(_ node: Node, of lists: Set<UInt64>) -> Bool {
    guard !lists.isEmpty else { return false }
    entries.removeAll()
    entries.append(node, 0..<node.count, pageByteCount: file.pageByteCount)
    var hasChunk = false
    for index in 0..<entries.count {
      let entry = entries.entries[index]
      let fits = entries.key(index).withUnsafeBytes { key in
        guard key.count >= 8, lists.contains(ChunkKey.list(key)) else { return false }
        if key.count == 8 { return entry.payload.isEmpty && !entry.isLarge }
        guard let index = ChunkKey.index(key, of: ChunkKey.list(key)) else { return false }
        guard entry.isLarge else { return index == 0 }
        hasChunk = true
        return Chunk(
          index: index, payload: entry.payload, isLarge: true, pageByteCount: file.pageByteCount)
          != nil
      }
      if !fits { return false }
    }
    return hasChunk
  }

  /// The bytes of a chunk; nil when they are damaged.
  func bytes(_ chunk: Chunk, _ payload: UnsafeRawBufferPointer) -> [UInt8]? {
    guard let extent = chunk.extent else { return Array(payload) }
    guard file.contains(extent) else { return nil }
    valueBudget -= chunk.byteCount
    guard valueBudget >= 0 else { return nil }
    let reader = LargeValueReader(
      chunk.value(in: extent), storage: file.storage, pageByteCount: file.pageByteCount)
    var bytes: [UInt8] = []
    do {
      try reader.forEachChunk { bytes.append(contentsOf: $0) }
      return bytes
    } catch {
      return nil
    }
  }
}

/// The regions of the new file in the making.
private struct RegionRestoring {
  private let salvage: Salvage
  private var names: [UInt64: String]
  /// All names, those of regions that are made already too.
  private let allNames: Set<String>
  private let vectors: [UInt64: Salvage.FoundVector]
  /// The lists of the new file, by the numbers that they had.
  private(set) var vectorLists: [UInt64: Salvage.RestoredList] = [:]
  /// Of the region in the damaged file.
  private var id: UInt64?
  private var name = ""
  /// Where its bytes go, and up to which byte they are there.
  private var target: ChunkList?
  /// Whether that is a region, not a vector.
  private var isRegion = true
  private var end = 0
  /// Whether it is told already that bytes are missing behind `end`.
  private var isGapTold = false

  init(
    _ salvage: Salvage, _ names: [UInt64: String], _ vectors: [UInt64: Salvage.FoundVector]
  ) {
    self.salvage = salvage
    self.names = names
    self.vectors = vectors
    allNames = Set(names.values)
  }

  /// Takes over what the tree of chunks has under a key, in the order of the keys.
  mutating func take(_ key: [UInt8], _ value: [UInt8]) throws(DatabaseError) {
    let list = key.count < 8 ? 0 : key.withUnsafeBytes { ChunkKey.list($0) }
    let index = key.withUnsafeBytes { ChunkKey.index($0, of: list) }
    guard ChunkKey.isList(list), key.count == 8 || index != nil, let kind = value.first else {
      return salvage.report.lose("a key in the tree of chunks makes no sense")
    }
    if salvage.stores[list] != nil { return }
    if list != id { try begin(list) }
    guard let index else { return }
    let bytes = value.withUnsafeBytes { value in
      salvage.chunk(index, kind, value).flatMap {
        salvage.bytes($0, UnsafeRawBufferPointer(rebasing: value[1...]))
      }
    }
    try take(bytes, at: index * Chunk.fullByteCount)
  }

  private mutating func take(
    _ bytes: [UInt8]?, at start: Int
  ) throws(DatabaseError) {
    if bytes == nil || start != end, let id { vectorLists[id]?.isWhole = false }
    guard let bytes else {
      salvage.report.damagedValueCount += 1
      salvage.report.lose("the bytes from \(start) on of the region \"\(name)\" are damaged")
      isGapTold = true
      return
    }
    if start != end || isGapTold {
      if !isGapTold {
        salvage.report.lose("the bytes \(end)..<\(start) of the region \"\(name)\" are missing")
      }
      try make("\(name)~\(start)", isOwn: false)
      end = start
      isGapTold = false
    }
    try converting { () throws(PagerError) in
      _ = try bytes.span.bytes.withUnsafeBytes { (bytes) throws(PagerError) in
        try target?.append(bytes, salvage.store.chunks, nil)
      }
    }
    end += bytes.count
    if isRegion { salvage.report.regionByteCount += bytes.count }
  }

  /// Makes the regions of which there is nothing but the name.
  mutating func finish() throws(DatabaseError) {
    for (_, name) in names.sorted(by: { $0.value < $1.value }) {
      salvage.report.lose("all bytes of the region \"\(name)\" are missing")
      try make(name, isOwn: true)
    }
  }

  private mutating func begin(_ list: UInt64) throws(DatabaseError) {
    id = list
    end = 0
    isGapTold = false
    if let vector = vectors[list] {
      name = vector.name
      let made = try salvage.store.makeList()
      target = made
      isRegion = false
      vectorLists[list] = Salvage.RestoredList(list: made)
      return
    }
    let known = names.removeValue(forKey: list)
    if let known {
      name = known
    } else {
      name = "salvaged-region-\(list)"
      salvage.report.lose("the name of region \(list) is lost; it is called \"\(name)\" now")
    }
    try make(name, isOwn: known != nil)
  }

  /// - Parameter isOwn: whether the name is the region's in the damaged file.
  private mutating func make(_ wanted: String, isOwn: Bool) throws(DatabaseError) {
    let (made, name) = try salvage.store.makeList(
      .regions, wanted, avoiding: isOwn ? [] : allNames)
    if name != wanted {
      salvage.report.lose("a region is called \"\(name)\" since its name was not free or too long")
    }
    target = made
    isRegion = true
    salvage.report.regionCount += 1
  }
}
