package import Pager

// Writing entries: the bytes behind those that are there, and the tree that leads to them, in one commit.

extension EntryLog {
  /// Up to how many bytes an entry is written where the tail is mapped, or gathered with others.
  static var shortByteCount: Int { 16 << 10 }

  /// Writes an entry, in place of the one that the key had.
  ///
  /// - Returns: whether the key was not there before.
  package func write(
    _ key: UnsafeRawBufferPointer, _ payload: UnsafeRawBufferPointer,
    _ durability: Database.Durability?
  ) throws(PagerError) -> Bool {
    try checkLength(key)
    return try !change(.value, key, payload, durability)
  }

  /// Removes a key.
  ///
  /// - Returns: whether it was there.
  package func remove(
    _ key: UnsafeRawBufferPointer, _ durability: Database.Durability?
  ) throws(PagerError) -> Bool {
    guard key.count <= maximumKeyByteCount else { return false }
    return try change(.tombstone, key, UnsafeRawBufferPointer(start: nil, count: 0), durability)
  }

  func checkLength(_ key: UnsafeRawBufferPointer) throws(PagerError) {
    guard key.count > maximumKeyByteCount else { return }
    throw PagerError(
      .keyTooLong, "an entry's key is longer than a quarter of a page less 8 bytes",
      path: engine.path, expected: UInt64(maximumKeyByteCount), found: UInt64(key.count))
  }

  /// - Returns: whether the key was there before.
  private func change(
    _ kind: EntryTrailer.Kind, _ key: UnsafeRawBufferPointer, _ payload: UnsafeRawBufferPointer,
    _ durability: Database.Durability?
  ) throws(PagerError) -> Bool {
    try chunks.change(durability) { () throws(PagerError) in
      try list.know()
      do throws(PagerError) {
        if let wasThere = try changeInPlace(kind, key, payload) { return wasThere }
        return try atOnce { (batch) throws(PagerError) in
          try batch.change(kind, key, payload)
        }
      } catch {
        list.forget()
        throw error
      }
    }
  }

  /// Runs changes as one, where the writer is already.
  private func atOnce<R>(_ body: (EntryBatch) throws(PagerError) -> R) throws(PagerError) -> R {
    try chunks.atOnce { () throws(PagerError) in
      engine.pager.touch(index.tree.descriptor)
      let batch = try EntryBatch(self)
      let result = try body(batch)
      try batch.flush()
      return result
    }
  }

  /// Runs many changes as one.
  package func changeAtOnce<R>(
    _ durability: Database.Durability?, _ body: (EntryBatch) throws(DatabaseError) -> R
  ) throws(DatabaseError) -> R {
    try converting { () throws(PagerError) in
      try list.changeAtOnce(chunks, durability) { () throws(PagerError) in
        engine.pager.touch(index.tree.descriptor)
        let batch = try EntryBatch(self)
        let result: R
        do throws(DatabaseError) {
          result = try body(batch)
        } catch {
          throw error.cause
        }
        try batch.flush()
        return result
      }
    }
  }

  /// Removes all keys that begin with some bytes.
  ///
  /// - Returns: how many there were.
  package func removeAll(
    prefix: [UInt8], _ durability: Database.Durability?
  ) throws(DatabaseError) -> Int {
    try converting { () throws(PagerError) in
      try engine.snapshots.withoutExpiry { () throws(PagerError) in
        do throws(DatabaseError) {
          return try changeAtOnce(durability) { (batch) throws(DatabaseError) in
            try removeAll(prefix: prefix, batch)
          }
        } catch {
          throw error.cause
        }
      }
    }
  }

  private func removeAll(prefix: [UInt8], _ batch: EntryBatch) throws(DatabaseError) -> Int {
    // What is committed, or what the transaction has made of it so far.
    let walker = try stable().index.walker(indexRange(prefix: prefix), false, false)
    var count = 0
    while try walker.step() {
      let key = Array(walker.key.dropFirst(8))
      let wasThere = try key.withBytes { (key) throws(DatabaseError) in try batch.remove(key) }
      if wasThere { count += 1 }
    }
    return count
  }

  /// Stores what was staged as an entry.
  ///
  /// - Returns: whether the key was not there before.
  package func write(
    _ key: UnsafeRawBufferPointer, _ stage: ChunkStage, _ durability: Database.Durability?
  ) throws(DatabaseError) -> Bool {
    try converting { () throws(PagerError) in
      try checkLength(key)
      if let bytes = stage.bytesInMemory { return try write(key, bytes, durability) }
      var isInTransaction = false
      if case .transaction = chunks.mode { isInTransaction = true }
      let checksum = stage.checksum
      try stage.finish(inTransaction: isInTransaction)
      return try list.changeAtOnce(chunks, durability) { () throws(PagerError) in
        engine.pager.touch(index.tree.descriptor)
        let batch = try EntryBatch(self)
        let wasThere = try batch.adopt(key, stage, checksum)
        try batch.flush()
        return !wasThere
      }
    }
  }

  /// Somewhere to put the bytes of an entry that come in pieces.
  package func stage() throws(DatabaseError) -> ChunkStage {
    try converting { () throws(PagerError) in
      try engine.pager.checkWritable()
      switch chunks.mode {
      case .live: try engine.pager.checkNotInTransaction()
      case .transaction(let transaction): try transaction.check()
      case .snapshot:
        throw PagerError(.readOnly, "a snapshot cannot be changed", path: engine.path)
      }
      return list.stage()
    }
  }

  // MARK: Where the writer is

  /// The last entry's trailer, or one of zeros: what the writer has to know of the store.
  func end() throws(PagerError) -> EntryTrailer {
    let count = list.writerByteCount
    guard count > 0 else { return EntryTrailer() }
    let length = EntryTrailer.byteCount
    let tail = list.writer.pointee.tail
    var trailer: EntryTrailer?
    if let memory = list.writer.pointee.memory, tail.byteCount >= length {
      trailer = EntryTrailer(memory + tail.byteCount - length)
    } else if count >= length {
      trailer = try copyOut(count - length..<count).withUnsafeBytes { bytes in
        bytes.baseAddress.flatMap { EntryTrailer($0) }
      }
    }
    guard let trailer, trailer.entryByteCount + trailer.gap <= count else {
      throw damage("the end")
    }
    return trailer
  }

  /// A few bytes of the list as the writer sees it.
  private func copyOut(_ range: Range<Int>) throws(PagerError) -> [UInt8] {
    let root = list.tree.descriptor.writerRoot
    let first = range.lowerBound / Chunk.fullByteCount
    let last = (range.upperBound - 1) / Chunk.fullByteCount
    var copy: [UInt8] = []
    try list.tree.forEachChunk(of: list.id, first..<last + 1, root: root) {
      (chunk, inline) throws(PagerError) in
      let part = range.clamped(to: chunk.start..<chunk.end)
      try list.withBytes(of: chunk, inline) { bytes in
        copy += bytes[part.lowerBound - chunk.start..<part.upperBound - chunk.start]
      }
    }
    guard copy.count == range.count else { throw damage("the end") }
    return copy
  }

  /// Writes an entry, or a tombstone, with one change in place in each of two leaves: what most writes
  /// come to.
  ///
  /// - Returns: whether the key was there before; nil when this needs more, and nothing has changed.
  private func changeInPlace(
    _ kind: EntryTrailer.Kind, _ key: UnsafeRawBufferPointer, _ payload: UnsafeRawBufferPointer
  ) throws(PagerError) -> Bool? {
    guard case .live = chunks.mode, !engine.pager.isInTransaction,
      let memory = list.writer.pointee.memory, let extent = list.writer.pointee.tail.extent
    else { return nil }
    var tail = list.writer.pointee.tail
    let position = kind == .value ? EntryBatch.blockStart(tail.end) : tail.end
    var trailer = try end()
    trailer.kind = kind
    trailer.keyByteCount = key.count
    trailer.payloadByteCount = payload.count
    trailer.gap = position - tail.end
    let total = trailer.gap + trailer.entryByteCount
    guard total <= Self.shortByteCount,
      tail.byteCount + total <= min(Chunk.fullByteCount, extent.pageCount * list.pageByteCount)
    else { return nil }
    return try withIndexKey(key) { (indexKey) throws(PagerError) in
      try ChunkKey.with(list.id, tail.index) { (chunkKey) throws(PagerError) in
        guard
          let (leaf, chunkLeaf) = try index.tree.holdLeaves(
            for: indexKey, and: chunkKey, of: list.tree)
        else { return nil }
        guard let old = oldPlace(in: leaf), kind == .value || leaf.isFound else {
          index.tree.release(leaf, chunkLeaf)
          if leaf.isFound { throw damage("what the tree says of a key") }
          return false
        }
        trailer.count(key: key.count, old.place)
        let target = memory + tail.byteCount
        trailer.writeEntry(key, payload, to: target)
        // Behind the last write and in front of the record (rule B5).
        engine.pager.log?.noteUnsyncedValues()
        var sum = list.writer.pointee.sum
        sum.update(UnsafeRawBufferPointer(start: target, count: total))
        tail.byteCount += total
        tail.checksum = Chunk.checksum(of: sum.finish())
        let place = EntryPlace(position: position, byteCount: payload.count)
        let isDone = try place.withEncoded { (value) throws(PagerError) in
          try tail.withReference(to: extent) { (reference) throws(PagerError) in
            try index.tree.mutateTogether(
              Tree.Mutation(key: indexKey, payload: kind == .value ? value : nil), leaf, list.tree,
              Tree.Mutation(key: chunkKey, payload: reference, isLarge: true), chunkLeaf)
          }
        }
        guard isDone else { return nil }
        list.writer.pointee.tail = tail
        list.writer.pointee.sum = sum
        return leaf.isFound
      }
    }
  }

  /// What a leaf says of the key that it was held for: a place or none; nil when it makes no sense.
  private func oldPlace(in leaf: Tree.HeldLeaf) -> (place: EntryPlace?, isFound: Bool)? {
    guard leaf.isFound else { return (nil, false) }
    let cell = index.tree.node(leaf.page.id).cell(leaf.index, isLeaf: true)
    guard !cell.isLarge, let place = EntryPlace(cell.payload) else { return nil }
    return (place, true)
  }
}

extension EntryTrailer {
  /// Makes this the trailer of the next entry: counts it, and what its key had before.
  mutating func count(key keyByteCount: Int, _ old: EntryPlace?) {
    sequence += 1
    if let old {
      liveCount -= 1
      liveBlockCount -= Self.blockCount(payload: old.byteCount, key: keyByteCount)
    }
    if kind == .value {
      liveCount += 1
      liveBlockCount += Self.blockCount(payload: payloadByteCount, key: keyByteCount)
    }
    // Only a made-up file can count too few.
    liveCount = max(0, liveCount)
    liveBlockCount = max(0, liveBlockCount)
  }

  /// Writes a whole entry: zeros, payload, key and trailer.
  @inline(__always)
  mutating func writeEntry(
    _ key: UnsafeRawBufferPointer, _ payload: UnsafeRawBufferPointer,
    to target: UnsafeMutableRawPointer
  ) {
    payloadChecksum = checksum64(payload, seed: 0)
    target.initializeMemory(as: UInt8.self, repeating: 0, count: gap)
    var place = target + gap
    if let from = payload.baseAddress { place.copyMemory(from: from, byteCount: payload.count) }
    place += payload.count
    if let from = key.baseAddress { place.copyMemory(from: from, byteCount: key.count) }
    write(to: place + key.count)
  }
}

/// Entries that are written together, in a transaction: their bytes are gathered, and appended in long
/// pieces.
package final class EntryBatch {
  /// What is gathered, and where it will lie.
  private struct State {
    var last: EntryTrailer
    var gatheredCount = 0
    /// Where the list ends, with what is gathered.
    var end: Int
  }

  private let log: EntryLog
  private let list: ChunkList
  private let room: UnsafeMutableRawBufferPointer
  private let state: UnsafeMutablePointer<State>

  /// The first byte of a block from a place on.
  static func blockStart(_ position: Int) -> Int {
    let mask = EntryTrailer.blockByteCount - 1
    return (position + mask) & ~mask
  }

  init(_ log: EntryLog) throws(PagerError) {
    self.log = log
    list = log.list
    let first = State(last: try log.end(), end: log.list.writerByteCount)
    room = .allocate(byteCount: 256 << 10, alignment: 64)
    state = .allocate(capacity: 1)
    state.initialize(to: first)
  }

  deinit {
    room.deallocate()
    state.deallocate()
  }

  /// Stores an entry.
  package func put(
    _ key: UnsafeRawBufferPointer, _ payload: UnsafeRawBufferPointer
  ) throws(DatabaseError) {
    try converting { () throws(PagerError) in
      try log.checkLength(key)
      _ = try change(.value, key, payload)
    }
  }

  /// Removes a key.
  package func remove(_ key: UnsafeRawBufferPointer) throws(DatabaseError) -> Bool {
    try converting { () throws(PagerError) in
      guard key.count <= log.maximumKeyByteCount else { return false }
      return try change(.tombstone, key, UnsafeRawBufferPointer(start: nil, count: 0))
    }
  }

  /// - Returns: whether the key was there before.
  func change(
    _ kind: EntryTrailer.Kind, _ key: UnsafeRawBufferPointer, _ payload: UnsafeRawBufferPointer
  ) throws(PagerError) -> Bool {
    let end = state.pointee.end
    let position = kind == .value ? Self.blockStart(end) : end
    let place = EntryPlace(position: position, byteCount: payload.count)
    let (wasThere, old) = try setPlace(kind, key, place)
    if !wasThere, kind == .tombstone { return false }
    var trailer = state.pointee.last
    trailer.kind = kind
    trailer.keyByteCount = key.count
    trailer.payloadByteCount = payload.count
    trailer.gap = position - end
    trailer.count(key: key.count, old)
    let total = trailer.gap + trailer.entryByteCount
    if total - payload.count + min(payload.count, EntryLog.shortByteCount) > free { try flush() }
    if payload.count <= EntryLog.shortByteCount, let target = room.baseAddress {
      trailer.writeEntry(key, payload, to: target + state.pointee.gatheredCount)
      state.pointee.gatheredCount += total
    } else {
      try append(trailer, key, payload)
    }
    state.pointee.end = end + total
    state.pointee.last = trailer
    return wasThere
  }

  private var free: Int { room.count - state.pointee.gatheredCount }

  /// Appends a long payload without gathering it.
  private func append(
    _ trailer: EntryTrailer, _ key: UnsafeRawBufferPointer, _ payload: UnsafeRawBufferPointer
  ) throws(PagerError) {
    guard let target = room.baseAddress else { return }
    (target + state.pointee.gatheredCount).initializeMemory(
      as: UInt8.self, repeating: 0, count: trailer.gap)
    state.pointee.gatheredCount += trailer.gap
    try flush()
    _ = try list.append(payload, log.chunks)
    gather(trailer, key, checksum64(payload, seed: 0))
  }

  /// Gathers key and trailer of an entry whose payload is there already.
  private func gather(_ trailer: EntryTrailer, _ key: UnsafeRawBufferPointer, _ checksum: UInt64) {
    guard let target = room.baseAddress else { return }
    let place = target + state.pointee.gatheredCount
    var trailer = trailer
    trailer.payloadChecksum = checksum
    if let from = key.baseAddress { place.copyMemory(from: from, byteCount: key.count) }
    trailer.write(to: place + key.count)
    state.pointee.gatheredCount += key.count + EntryTrailer.byteCount
  }

  /// Makes the tree lead to an entry, or nowhere.
  ///
  /// - Returns: whether the key was there, and where its entry was.
  private func setPlace(
    _ kind: EntryTrailer.Kind, _ key: UnsafeRawBufferPointer, _ place: EntryPlace
  ) throws(PagerError) -> (wasThere: Bool, old: EntryPlace?) {
    var found = EntryLog.Found.nothing
    let outcome = try log.withIndexKey(key) { (key) throws(PagerError) in
      try place.withEncoded { (value) throws(PagerError) in
        try log.index.tree.mutate(
          Tree.Mutation(key: key, payload: kind == .value ? value : nil)
        ) { found = EntryLog.Found($0, isLarge: $1) }
      }
    }
    // If it makes no sense, all changes of the batch are undone.
    return (outcome.wasThere, try log.place(found))
  }

  /// Stores an entry of bytes that were staged.
  ///
  /// - Returns: whether the key was there before.
  func adopt(
    _ key: UnsafeRawBufferPointer, _ stage: ChunkStage, _ checksum: UInt64
  ) throws(PagerError) -> Bool {
    try flush()
    let gap = try list.adopt(stage, log.chunks)
    try list.know()
    let count = stage.byteCount
    let place = EntryPlace(position: list.writerByteCount - count, byteCount: count)
    let (wasThere, old) = try setPlace(.value, key, place)
    var trailer = state.pointee.last
    trailer.kind = .value
    trailer.keyByteCount = key.count
    trailer.payloadByteCount = count
    trailer.gap = gap
    trailer.count(key: key.count, old)
    gather(trailer, key, checksum)
    state.pointee.last = trailer
    state.pointee.end = list.writerByteCount + state.pointee.gatheredCount
    return wasThere
  }

  /// Appends what is gathered.
  func flush() throws(PagerError) {
    let count = state.pointee.gatheredCount
    guard count > 0 else { return }
    let bytes = UnsafeRawBufferPointer(rebasing: room[..<count])
    state.pointee.gatheredCount = 0
    _ = try list.append(bytes, log.chunks)
  }
}
