internal import Pager

// Entry stores are made again of the names, of what the tree of entries says, and of the entries
// themselves, each of which is compared with its checksums. Where parts of that tree are lost, the
// entries are read from the newest one backwards, as their trailers allow.

extension Salvage {
  /// Which lists are entry stores, by their numbers, with their names if these are not lost.
  func findStores() throws(DatabaseError) {
    let others = try knownLists(.regions).union(try knownLists(.vectors))
    for (id, name) in try listNames(in: .entryStores, "entry store") { stores[id] = .some(name) }
    try noteLists()
    for (id, end) in listEnds where !others.contains(id) && stores[id] == nil {
      if try endsWithTrailer(id, end) { stores[id] = .some(nil) }
    }
    var last: UInt64 = 0
    try store.forEachEntry(of: .entries) { (key, _) throws(DatabaseError) in
      let id = key.count < 8 ? 0 : key.withUnsafeBytes { ChunkKey.list($0) }
      guard id != last else { return }
      last = id
      if ChunkKey.isList(id), !others.contains(id), stores[id] == nil { stores[id] = .some(nil) }
    }
  }

  /// The names in a tree by the numbers of their lists.
  func listNames(
    in tree: TreeID, _ what: String
  ) throws(DatabaseError) -> [UInt64: String] {
    var names: [UInt64: String] = [:]
    try store.forEachEntry(of: tree) { (key, value) throws(DatabaseError) in
      let name = String(decoding: key, as: UTF8.self)
      let id = value.count == 8 ? value.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) } : 0
      guard (1...Engine.maximumNameByteCount).contains(name.utf8.count), ChunkKey.isList(id),
        names[id] == nil
      else {
        report.lose("what the file says of the \(what) \"\(name)\" makes no sense")
        return
      }
      names[id] = name
    }
    return names
  }

  /// Notes where each list ends, as far as is known.
  private func noteLists() throws(DatabaseError) {
    try store.forEachEntry(of: .chunks) { (key, value) throws(DatabaseError) in
      guard key.count >= 8, let kind = value.first else { return }
      let id = key.withUnsafeBytes { ChunkKey.list($0) }
      guard let index = key.withUnsafeBytes({ ChunkKey.index($0, of: id) }),
        index * Chunk.fullByteCount <= file.fileByteCount,
        let chunk = value.withUnsafeBytes({ chunk(index, kind, $0) })
      else { return }
      listEnds[id] = chunk.end
    }
  }

  /// What the tree of chunks says of a chunk, as `SalvageStore.insertChunk` has noted it.
  func chunk(_ index: Int, _ kind: UInt8, _ value: UnsafeRawBufferPointer) -> Chunk? {
    Chunk(
      index: index, payload: UnsafeRawBufferPointer(rebasing: value[1...]),
      isLarge: kind == SalvageStore.largeChunk, pageByteCount: file.pageByteCount)
  }

  private func endsWithTrailer(_ id: UInt64, _ end: Int) throws(DatabaseError) -> Bool {
    try DamagedStore(self, id).trailer(endingAt: end) != nil
  }

  /// The bytes of a chunk of a list; nil when they are lost.
  fileprivate func chunkBytes(_ id: UInt64, _ index: Int) throws(DatabaseError) -> [UInt8]? {
    let key = try converting { () throws(PagerError) in
      try ChunkKey.with(id, index) { (key) throws(PagerError) in Array(key) }
    }
    guard let value = try store.value(.chunks, key), let kind = value.first else { return nil }
    return value.withUnsafeBytes { value in
      chunk(index, kind, value).flatMap {
        bytes($0, UnsafeRawBufferPointer(rebasing: value[1...]))
      }
    }
  }

  /// Whether a leaf that no tree reached is one of the tree of entries: all its entries tell a place
  /// in these stores.
  func holdsPlaces(_ node: Node, of stores: Set<UInt64>) -> Bool {
    guard !stores.isEmpty else { return false }
    entries.removeAll()
    entries.append(node, 0..<node.count, pageByteCount: file.pageByteCount)
    return (0..<entries.count).allSatisfy { index in
      let entry = entries.entries[index]
      guard !entry.isLarge, EntryPlace(entry.payload) != nil else { return false }
      return entries.key(index).withUnsafeBytes { key in
        key.count >= 8 && stores.contains(ChunkKey.list(key))
      }
    }
  }

  // MARK: Making stores

  /// Makes entry stores again of the entries that are whole.
  func restoreStores() throws(DatabaseError) {
    let allNames = Set(stores.values.compactMap { $0 })
    for id in stores.keys.sorted() where isEntryTreeTorn { try readBackwards(id) }
    try orderPlaces()
    for (id, known) in stores.sorted(by: { $0.key < $1.key }) {
      let wanted = known ?? "salvaged-store-\(id)"
      if known == nil {
        report.lose("the name of entry store \(id) is lost; it is called \"\(wanted)\" now")
      }
      let (list, name) = try store.makeList(
        .entryStores, wanted, avoiding: known == nil ? allNames : [])
      if name != wanted {
        report.lose("an entry store is called \"\(name)\" since its name was not free or too long")
      }
      report.entryStoreCount += 1
      try restore(DamagedStore(self, id), to: store.entryLog(list), name)
    }
    for tree in [SalvageStore.places, SalvageStore.seen, .entries, .entryStores] {
      try store.drop(tree)
    }
  }

  /// Sorts what the tree of entries says by places, but for keys that were found in another way.
  private func orderPlaces() throws(DatabaseError) {
    try store.forEachEntry(of: .entries) { (key, value) throws(DatabaseError) in
      let id = key.count < 8 ? 0 : key.withUnsafeBytes { ChunkKey.list($0) }
      let place = value.withUnsafeBytes { EntryPlace($0) }
      guard stores[id] != nil, let place else {
        report.damagedValueCount += 1
        return report.lose("what the file says of the entry \(describe(key)) makes no sense")
      }
      if isEntryTreeTorn, try store.value(SalvageStore.seen, key) != nil { return }
      if try !store.notePlace(id, place, Array(key.dropFirst(8))) {
        report.lose("the entry \(describe(key)) lies where another one does")
      }
    }
  }

  private func restore(
    _ source: DamagedStore, to target: EntryLog, _ name: String
  ) throws(DatabaseError) {
    try store.forEachPlace(of: source.id) { (place, key) throws(DatabaseError) in
      valueBudget -= place.byteCount
      if valueBudget >= 0, try source.copy(key, at: place, to: target) {
        report.entryStoreEntryCount += 1
        return
      }
      report.damagedValueCount += 1
      report.lose("the entry \(describe(key)) of the entry store \"\(name)\" is damaged")
    }
  }

  // MARK: From the newest entry backwards

  /// Notes the newest entry of each key that the trailers lead to.
  private func readBackwards(_ id: UInt64) throws(DatabaseError) {
    let source = DamagedStore(self, id)
    var end = listEnds[id] ?? 0
    while end > 0 {
      guard let (trailer, key) = try source.trailer(endingAt: end) else {
        let next = try source.lastTrailerEnd(before: end)
        report.lose("the bytes \(next)..<\(end) of entry store \(id) tell of no entries")
        end = next
        continue
      }
      let position = end - trailer.entryByteCount
      end = position - trailer.gap
      guard trailer.kind != .mark else { continue }
      let seenKey = ChunkKey.head(id) + key
      guard try store.value(SalvageStore.seen, seenKey) == nil else { continue }
      try store.put(SalvageStore.seen, seenKey, [])
      guard trailer.kind == .value else { continue }
      let place = EntryPlace(position: position, byteCount: trailer.payloadByteCount)
      _ = try store.notePlace(id, place, key)
    }
  }
}

/// The bytes of an entry store in a damaged file.
private final class DamagedStore {
  let id: UInt64
  private let salvage: Salvage
  /// The chunks that were read last, the latest one first; nil for what is lost.
  private var recent: [(index: Int, bytes: [UInt8]?)] = []
  private let maximumKeyByteCount: Int

  init(_ salvage: Salvage, _ id: UInt64) {
    self.salvage = salvage
    self.id = id
    maximumKeyByteCount = salvage.file.pageByteCount / 4
  }

  private func chunk(_ index: Int) throws(DatabaseError) -> [UInt8]? {
    if let known = recent.first(where: { $0.index == index }) { return known.bytes }
    let bytes = try salvage.chunkBytes(id, index)
    recent.insert((index, bytes), at: 0)
    if recent.count > 2 { recent.removeLast() }
    return bytes
  }

  /// Hands over bytes in pieces.
  ///
  /// - Returns: false when some are lost; `body` then got a part of those before.
  private func forEachPiece(
    of range: Range<Int>, _ body: (UnsafeRawBufferPointer) throws(DatabaseError) -> Void
  ) throws(DatabaseError) -> Bool {
    guard range.lowerBound >= 0 else { return false }
    var position = range.lowerBound
    while position < range.upperBound {
      let index = position / Chunk.fullByteCount
      let start = index * Chunk.fullByteCount
      let end = min(range.upperBound, start + Chunk.fullByteCount)
      guard let bytes = try chunk(index), bytes.count >= end - start else { return false }
      try bytes.withBytes { (bytes) throws(DatabaseError) in
        try body(UnsafeRawBufferPointer(rebasing: bytes[(position - start)..<(end - start)]))
      }
      position = end
    }
    return true
  }

  private func read(_ range: Range<Int>) throws(DatabaseError) -> [UInt8]? {
    var bytes: [UInt8] = []
    let isWhole = try forEachPiece(of: range) { (piece) throws(DatabaseError) in bytes += piece }
    return isWhole ? bytes : nil
  }

  /// The trailer that ends at a place, and its key; nil when there is none with the right checksum.
  func trailer(
    endingAt end: Int
  ) throws(DatabaseError) -> (trailer: EntryTrailer, key: [UInt8])? {
    let start = end - EntryTrailer.byteCount
    guard start >= 0, let bytes = try read(start..<end),
      let trailer = bytes.withUnsafeBytes({ $0.baseAddress.flatMap { EntryTrailer($0) } }),
      trailer.keyByteCount <= maximumKeyByteCount,
      trailer.entryByteCount + trailer.gap <= end, trailer.kind == .value || trailer.gap == 0,
      let all = try read(start - trailer.keyByteCount..<end)
    else { return nil }
    let isWhole = all.withUnsafeBytes { all in
      all.baseAddress.map { trailer.isWhole($0 + trailer.keyByteCount) } ?? false
    }
    return isWhole ? (trailer, Array(all.prefix(trailer.keyByteCount))) : nil
  }

  /// Where the last entry ends that ends before a place; 0 when there is none.
  func lastTrailerEnd(before limit: Int) throws(DatabaseError) -> Int {
    var start = limit - EntryTrailer.byteCount - 1
    while start >= 0 {
      let index = start / Chunk.fullByteCount
      let chunkStart = index * Chunk.fullByteCount
      if let bytes = try chunk(index) {
        var offset = min(start - chunkStart, bytes.count - 1)
        while offset >= 0 {
          if bytes[offset] == EntryTrailer.magic {
            let end = chunkStart + offset + EntryTrailer.byteCount
            if try trailer(endingAt: end) != nil { return end }
          }
          offset -= 1
        }
      }
      start = chunkStart - 1
    }
    return 0
  }

  /// Writes an entry to a store of the new file.
  ///
  /// - Returns: false when it is damaged.
  func copy(
    _ key: [UInt8], at place: EntryPlace, to target: EntryLog
  ) throws(DatabaseError) -> Bool {
    guard let (trailer, found) = try trailer(endingAt: place.end(keyByteCount: key.count)),
      found == key, trailer.kind == .value, trailer.payloadByteCount == place.byteCount
    else { return false }
    // An entry may be longer than memory.
    let stage = try target.stage()
    let isWhole = try forEachPiece(of: place.position..<place.position + place.byteCount) {
      (piece) throws(DatabaseError) in
      try converting { () throws(PagerError) in try stage.append(piece) }
    }
    guard isWhole, stage.checksum == trailer.payloadChecksum else { return false }
    return try key.withBytes { (key) throws(DatabaseError) in
      _ = try target.write(key, stage, nil)
      return true
    }
  }
}
