internal import Pager

extension Verification {
  /// What the tree of entries tells of each key is an entry of this key that matches its checksums,
  /// in a store that has a name; and each store's end counts as many keys as the tree has.
  mutating func checkEntries() throws(PagerError) {
    guard report.isSound else { return }
    do throws(DatabaseError) {
      let stores = try entryStores()
      var unseen = stores
      var state = StoreCheck()
      let index = TreeAccess(file, engine.tree(of: .entries), .live)
      let walker = try index.walker(.all, false, true)
      while try walker.step() {
        let id = walker.key.count < 8 ? 0 : ChunkKey.list(walker.key)
        guard let log = stores[id] else {
          report.note("a key in the tree of entries is in no entry store")
          continue
        }
        if state.id != id {
          try finish(state, stores)
          state = StoreCheck(id: id)
        }
        state.keyCount += 1
        unseen[id] = nil
        if let problem = try problem(walker, log) { report.note(problem) }
      }
      try finish(state, stores)
      for id in unseen.keys.sorted() { try finish(StoreCheck(id: id), stores) }
    } catch {
      guard error.code == .corrupted else { throw error.cause }
      report.note("\(error)")
    }
  }

  /// What is known of the store whose keys are being checked.
  private struct StoreCheck {
    var id: UInt64 = 0
    var keyCount = 0
  }

  private func entryStores() throws(DatabaseError) -> [UInt64: EntryLog] {
    var stores: [UInt64: EntryLog] = [:]
    let names = TreeAccess(file, engine.tree(of: .entryStores), .live)
    let walker = try names.walker(.all, false, true)
    while try walker.step() {
      guard walker.value.count == 8 else { continue }
      let id = walker.value.loadUnaligned(as: UInt64.self)
      let log = EntryLog(
        engine.chunkList(id), chunks: TreeAccess(file, engine.chunkTree, .live),
        index: TreeAccess(file, engine.tree(of: .entries), .live))
      stores[id] = try log.stable()
    }
    return stores
  }

  private func problem(
    _ walker: RangeWalker, _ log: EntryLog
  ) throws(DatabaseError) -> String? {
    let key = Array(walker.key.dropFirst(8))
    guard let place = EntryPlace(walker.value) else {
      return "what the tree of entries says of a key of store \(log.listID) makes no sense"
    }
    do throws(DatabaseError) {
      let entry = try log.entry(at: place, keyByteCount: key.count)
      if entry.isWhole, entry.key.elementsEqual(key) { return nil }
    } catch {
      guard error.code == .corrupted else { throw error }
    }
    return "at byte \(place.position) of entry store \(log.listID) is not the entry it should be"
  }

  private mutating func finish(
    _ state: StoreCheck, _ stores: [UInt64: EntryLog]
  ) throws(DatabaseError) {
    guard let log = stores[state.id] else { return }
    do throws(DatabaseError) {
      let count = try log.summary().count
      if count != state.keyCount {
        report.note("entry store \(state.id) counts \(count) keys but has \(state.keyCount)")
      }
    } catch {
      // What is wrong with others is to be found, too.
      guard error.code == .corrupted else { throw error }
      report.note("\(error)")
    }
  }
}
