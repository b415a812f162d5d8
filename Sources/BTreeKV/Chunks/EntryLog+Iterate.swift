package import Pager

// Going through the entries of a store, and what is known of all of them.

extension EntryLog {
  /// What the end of a store tells of it.
  package struct Summary: Sendable {
    /// How many keys there are.
    package var count = 0
    /// The number of the last change.
    package var sequence = 0
    /// The bytes of all entries, with those that are no key's any more.
    package var byteCount = 0
    /// The bytes of those that are.
    package var liveByteCount = 0
  }

  /// What the end of the store tells.
  package func summary() throws(DatabaseError) -> Summary {
    let log = try stable()
    let count = try log.list.byteCount(log.chunks)
    var summary = Summary()
    guard count > 0 else { return summary }
    let bytes = try log.list.read(max(0, count - EntryTrailer.byteCount)..<count, log.chunks)
    let trailer = bytes.withUnsafeBytes { bytes in
      bytes.count == EntryTrailer.byteCount
        ? bytes.baseAddress.flatMap { EntryTrailer($0) } : nil
    }
    guard let trailer else { throw DatabaseError(damage("the end")) }
    summary.count = trailer.liveCount
    summary.sequence = trailer.sequence
    summary.byteCount = count
    summary.liveByteCount = min(count, trailer.liveBlockCount * EntryTrailer.blockByteCount)
    return summary
  }

  /// How many keys begin with some bytes.
  package func count(prefix: [UInt8]) throws(DatabaseError) -> Int {
    try stable().index.walker(indexRange(prefix: prefix), false, false).countRest()
  }

  /// Hands over the keys that begin with some bytes, without these, in their order.
  ///
  /// - Parameter body: returns what to go on with in place of the next key, further on; nil for that one.
  package func forEachKey(
    prefix: [UInt8], _ body: (UnsafeRawBufferPointer) -> [UInt8]?
  ) throws(DatabaseError) {
    let start = ChunkKey.head(list.id) + prefix
    let walker = try stable().index.walker(.prefix(start), false, false)
    while try walker.step() {
      let key = UnsafeRawBufferPointer(rebasing: walker.key[start.count...])
      if let next = body(key) { walker.seek(start + next, isReversed: false) }
    }
  }

  /// Hands over the entries whose keys begin with some bytes, in the order of the keys, until `body`
  /// returns false.
  package func forEachByKey(
    prefix: [UInt8], _ body: (EntryBytes) throws -> Bool
  ) throws {
    let log = try stable()
    let walker = try log.index.walker(log.indexRange(prefix: prefix), false, true)
    while try walker.step() {
      let (place, keyByteCount) = try log.place(walker)
      guard try body(try log.entry(at: place, keyByteCount: keyByteCount)) else { return }
    }
  }

  private func place(_ walker: RangeWalker) throws(DatabaseError) -> (EntryPlace, Int) {
    guard walker.key.count >= 8, let place = EntryPlace(walker.value) else {
      throw DatabaseError(damage("what the tree says of a key"))
    }
    return (place, walker.key.count - 8)
  }

  /// Hands over the entries whose keys begin with some bytes, the newest first, until `body` returns
  /// false.
  package func forEachNewestFirst(
    prefix: [UInt8], _ body: (EntryBytes) throws -> Bool
  ) throws {
    let log = try stable()
    // In a transaction this is a copy.
    let reader = try log.reader()
    guard let base = reader.bytes.baseAddress else { return }
    var end = reader.bytes.count
    while end > 0 {
      guard end >= EntryTrailer.byteCount,
        let trailer = EntryTrailer(base + end - EntryTrailer.byteCount),
        trailer.entryByteCount + trailer.gap <= end
      else { throw DatabaseError(damage("an entry")) }
      let position = end - trailer.entryByteCount
      end = position - trailer.gap
      guard trailer.kind == .value else { continue }
      let entry = EntryBytes(reader, base + position, position: position, trailer)
      guard entry.key.starts(with: prefix) else { continue }
      let place = try log.index.read { (root) throws(PagerError) in
        try log.find(entry.key, root: root)
      }
      guard place?.position == position else { continue }
      guard try body(entry) else { return }
    }
  }

  /// Hands over all entries whose keys begin with some bytes, in several threads at once.
  ///
  /// - Parameter threadCount: with the caller's.
  package func forEachConcurrently(
    prefix: [UInt8], threadCount: Int, _ body: @escaping @Sendable (EntryBytes) throws -> Void
  ) throws {
    let log = try stable()
    let walker = try log.index.walker(log.indexRange(prefix: prefix), false, true)
    let work = ConcurrentEntries(log, walker)
    var threads: [BackgroundThread] = []
    for number in 1..<max(1, threadCount) {
      // Fewer threads do the same.
      if let thread = try? BackgroundThread(
        name: "kv-entries-\(number)", body: { work.run(body) })
      {
        threads.append(thread)
      }
    }
    work.run(body)
    for thread in threads { thread.join() }
    try work.check()
  }

  /// Entries that several threads take in blocks.
  ///
  /// Why `@unchecked Sendable`: the walker is used with the lock held.
  private final class ConcurrentEntries: @unchecked Sendable {
    private struct State {
      var isFinished = false
      var failure: (any Error)?
    }
    private static let blockCount = 1024

    private let log: EntryLog
    private let walker: RangeWalker
    private let state = Locked(State())

    init(_ log: EntryLog, _ walker: RangeWalker) {
      self.log = log
      self.walker = walker
    }

    func run(_ body: (EntryBytes) throws -> Void) {
      do {
        while let block = try next() {
          for (place, keyByteCount) in block {
            try body(try log.entry(at: place, keyByteCount: keyByteCount))
          }
        }
      } catch {
        state.withLock { state in
          state.isFinished = true
          if state.failure == nil { state.failure = error }
        }
      }
    }

    private func next() throws(DatabaseError) -> [(EntryPlace, Int)]? {
      try state.withLock { (state) throws(DatabaseError) in
        if state.isFinished { return nil }
        var block: [(EntryPlace, Int)] = []
        block.reserveCapacity(Self.blockCount)
        while block.count < Self.blockCount {
          guard try walker.step() else {
            state.isFinished = true
            break
          }
          block.append(try log.place(walker))
        }
        return block.isEmpty ? nil : block
      }
    }

    func check() throws {
      if let failure = state.withLock({ $0.failure }) { throw failure }
    }
  }

  // MARK: Leaving out what is no key's any more

  /// Writes the entries that are in force anew, side by side, in place of all.
  ///
  /// - Returns: how many bytes there are fewer.
  package func compact(_ durability: Database.Durability?) throws(PagerError) -> Int {
    try engine.snapshots.withoutExpiry { () throws(PagerError) in
      try compactAtOnce(durability)
    }
  }

  private func compactAtOnce(_ durability: Database.Durability?) throws(PagerError) -> Int {
    try list.changeAtOnce(chunks, durability) { () throws(PagerError) in
      engine.pager.touch(index.tree.descriptor)
      let count = list.writerByteCount
      let old = try end()
      guard count > old.liveBlockCount * EntryTrailer.blockByteCount else { return 0 }
      do throws(DatabaseError) {
        // What is committed is what the writer sees: nothing was changed so far.
        let log = try stable()
        var compaction = try Compaction(log)
        let stage = list.stage()
        try converting { () throws(PagerError) in
          try compaction.copy(to: stage, after: old)
          try replace(with: stage)
        }
        try compaction.movePlaces(index.tree)
      } catch {
        throw error.cause
      }
      return count - list.writerByteCount
    }
  }

  private func replace(with stage: ChunkStage) throws(PagerError) {
    if let bytes = stage.bytesInMemory, bytes.count <= Chunk.fullByteCount {
      try list.truncate(to: 0)
      _ = try list.append(bytes, chunks)
    } else {
      try stage.finish(inTransaction: true)
      try list.truncate(to: 0)
      _ = try list.adopt(stage, chunks)
      try list.know()
    }
  }

  /// The entries in force and their new places: 32 bytes of memory for each.
  private struct Compaction {
    private struct Item {
      var place: EntryPlace
      var keyByteCount: Int
      var newPosition = 0
    }

    private let log: EntryLog
    /// In the order of the keys.
    private var items: [Item] = []

    init(_ log: EntryLog) throws(DatabaseError) {
      self.log = log
      let walker = try log.index.walker(log.indexRange(prefix: []), false, true)
      while try walker.step() {
        let (place, keyByteCount) = try log.place(walker)
        items.append(Item(place: place, keyByteCount: keyByteCount))
      }
    }

    /// Copies the entries in the order in which they were written.
    mutating func copy(to stage: ChunkStage, after last: EntryTrailer) throws(PagerError) {
      let reader: ChunkReader
      do throws(DatabaseError) { reader = try log.reader() } catch { throw error.cause }
      let order = items.indices.sorted {
        items[$0].place.position < items[$1].place.position
      }
      var trailer = EntryTrailer()
      let room = UnsafeMutableRawPointer.allocate(
        byteCount: log.maximumKeyByteCount + EntryTrailer.byteCount, alignment: 16)
      defer { room.deallocate() }
      for number in order {
        let item = items[number]
        let entry: EntryBytes
        do throws(DatabaseError) {
          entry = try log.entry(at: item.place, keyByteCount: item.keyByteCount, in: reader)
        } catch {
          throw error.cause
        }
        guard entry.isWhole else { throw log.damage("an entry, which has a wrong checksum,") }
        let end = stage.byteCount
        try stage.pad()
        items[number].newPosition = stage.byteCount
        trailer.kind = .value
        trailer.keyByteCount = item.keyByteCount
        trailer.payloadByteCount = item.place.byteCount
        trailer.gap = stage.byteCount - end
        trailer.count(key: item.keyByteCount, nil)
        trailer.sequence = entry.sequence
        trailer.payloadChecksum = entry.checksum
        try stage.put(entry.payload)
        if let from = entry.key.baseAddress {
          room.copyMemory(from: from, byteCount: item.keyByteCount)
        }
        trailer.write(to: room + item.keyByteCount)
        try stage.put(
          UnsafeRawBufferPointer(
            start: room, count: item.keyByteCount + EntryTrailer.byteCount))
      }
      if trailer.sequence < last.sequence {
        // So that no number is used twice.
        var mark = EntryTrailer()
        mark.sequence = last.sequence
        mark.liveCount = trailer.liveCount
        mark.liveBlockCount = trailer.liveBlockCount
        mark.write(to: room)
        try stage.put(UnsafeRawBufferPointer(start: room, count: EntryTrailer.byteCount))
      }
    }

    /// Makes the tree lead to the new places; in the transaction.
    func movePlaces(_ tree: Tree) throws(DatabaseError) {
      let walker = try log.index.walker(log.indexRange(prefix: []), false, false)
      var number = 0
      while number < items.count, try walker.step() {
        let place = EntryPlace(
          position: items[number].newPosition, byteCount: items[number].place.byteCount)
        try converting { () throws(PagerError) in
          try place.withEncoded { (value) throws(PagerError) in
            _ = try tree.mutate(Tree.Mutation(key: walker.key, payload: value))
          }
        }
        number += 1
      }
    }
  }

  // MARK: Removing the store

  /// Removes all keys and all bytes; in a transaction.
  package func removeStore() throws(PagerError) {
    try list.remove(chunks)
    try index.change(nil) { () throws(PagerError) in
      _ = try index.tree.removeRange(indexRange(prefix: []))
    }
  }
}
