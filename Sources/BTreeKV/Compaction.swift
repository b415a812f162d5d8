internal import Pager

/// What a compaction came to.
public struct CompactionReport: Sendable {
  /// The file's length before, in bytes.
  public var byteCountBefore = 0
  /// The file's length now, in bytes.
  public var byteCount = 0
  /// How many large values and chunks of regions were moved.
  public var movedValueCount = 0
}

/// How far a compaction has come.
public struct CompactionProgress: Sendable {
  /// How many large values and chunks of regions were moved so far.
  public var movedValueCount = 0
  /// The file's length now, in bytes.
  public var byteCount = 0
}

extension Database {
  /// Makes the file as short as what it holds allows: what lies at its end moves into free space
  /// further in front, and the end is cut off.
  ///
  /// Where something holds the end in place, what is free in front of it goes back to the file system as
  /// holes (on Linux, where the file system knows them).
  ///
  /// Readers go on, also those that hold a reader of a region or of a value: what they read keeps its
  /// place until they let go, and so do the pages that a snapshot sees. Writers wait while a few
  /// values (up to 16, or about 4 MiB; a longer one as a whole), or the pages of one tree, are moved. After a crash in it nothing is lost. `close` does
  /// the same for pages, not for long values.
  ///
  /// ```swift
  /// try database.insert("film", [UInt8](repeating: 7, count: 1 << 20))
  /// try database.insert("photo", [UInt8](repeating: 8, count: 1 << 20))
  /// try database.remove("film")
  /// let report = try database.compact()
  /// assert(report.byteCount < report.byteCountBefore)
  /// ```
  ///
  /// - Parameter progress: told after each step; when it returns false, the rest is left undone.
  /// - Returns: what it came to.
  /// - Throws: as `checkpoint`; `.nestedTransaction` in a transaction.
  /// - Complexity: O(entries + bytes that are moved).
  @discardableResult
  public func compact(
    progress: ((CompactionProgress) -> Bool)? = nil
  ) throws(DatabaseError) -> CompactionReport {
    try converting { () throws(PagerError) in try engine.compact(progress: progress) }
  }
}

extension Engine {
  func compact(
    progress: ((CompactionProgress) -> Bool)?
  ) throws(PagerError) -> CompactionReport {
    try pager.checkWritable()
    try pager.checkNotInTransaction()
    var compaction = Compaction(engine: self, progress: progress)
    try compaction.run()
    return compaction.report
  }
}

/// One compaction under way.
private struct Compaction {
  let engine: Engine
  let progress: ((CompactionProgress) -> Bool)?
  var report = CompactionReport()
  private var isGivenUp = false

  /// How many values, and about how many bytes of them, move while writers wait.
  private static let batchCount = 16
  private static let batchByteCount = 4 << 20

  init(engine: Engine, progress: ((CompactionProgress) -> Bool)?) {
    self.engine = engine
    self.progress = progress
  }

  private var pager: Pager { engine.pager }
  private var byteCount: Int { pager.allocator.pageCount * pager.pageByteCount }

  mutating func run() throws(PagerError) {
    report.byteCountBefore = byteCount
    defer { report.byteCount = byteCount }
    pager.allocator.preferLowPages()
    defer { pager.allocator.preferLowPages(false) }
    // What moved leaves its old place with the next checkpoint, so a second round finds more room.
    for _ in 0..<3 {
      tell()
      if isGivenUp { return }
      _ = try engine.change(nil) { () throws(PagerError) in pager.kept.endAllReservations() }
      // Freed values are free behind the checkpoint after.
      for _ in 0..<2 { try pager.checkpoint() }
      let limit = pager.allocator.pageCount - pager.allocator.freePageCount
      let before = report.movedValueCount
      try moveValues(behind: limit)
      let hasMovedPages = try movePages(from: limit)
      guard report.movedValueCount > before || hasMovedPages, !isGivenUp else { break }
    }
    if isGivenUp { return }
    // A shorter segment may lie behind the one before, whose room it takes the next time.
    for _ in 0..<3 {
      let hasMoved = try engine.change(nil) { () throws(PagerError) in try pager.moveLog() }
      for _ in 0..<2 { try pager.checkpoint() }
      if !hasMoved { break }
    }
    try pager.truncate()
    _ = try pager.punchHoles(minimumByteCount: 64 << 10)
    tell()
  }

  private mutating func tell() {
    guard let progress else { return }
    let how = CompactionProgress(movedValueCount: report.movedValueCount, byteCount: byteCount)
    if !progress(how) { isGivenUp = true }
  }

  /// A value that could lie further in front.
  private struct Candidate {
    var tree: Tree
    var value: PlacedValue
  }

  /// Moves values that lie behind a page into free space further in front, the last ones first, so
  /// that the end of the file empties also where not everything fits.
  private mutating func moveValues(behind limit: Int) throws(PagerError) {
    var candidates: [Candidate] = []
    for tree in engine.allTrees {
      var next: [UInt8]? = []
      while let from = next {
        let (found, rest) = try tree.valuesReaching(over: limit, from: from)
        candidates += found.map { Candidate(tree: tree, value: $0) }
        next = rest
        tell()
        if isGivenUp { return }
      }
    }
    candidates.sort { $0.value.place > $1.value.place }
    var rest = candidates[...]
    var failedCount = 0
    while !rest.isEmpty, !isGivenUp {
      let batch = rest.prefix(batchLength(rest))
      rest = rest.dropFirst(batch.count)
      let moved = try move(batch)
      report.movedValueCount += moved
      tell()
      // A long one may find no room where shorter ones do; so many will not be an accident.
      failedCount = moved == 0 ? failedCount + batch.count : 0
      if failedCount >= Self.batchCount { return }
    }
  }

  /// How many of the next values, at least one, move in one step.
  private func batchLength(_ candidates: ArraySlice<Candidate>) -> Int {
    var byteCount = 0
    return candidates.prefix(Self.batchCount).prefix { candidate in
      defer { byteCount += candidate.value.pageCount * pager.pageByteCount }
      return byteCount < Self.batchByteCount
    }.count
  }

  private func move(_ batch: ArraySlice<Candidate>) throws(PagerError) -> Int {
    try engine.changeAtOnce(nil) { () throws(PagerError) in
      var moved = 0
      for candidate in batch {
        pager.touch(candidate.tree.descriptor)
        if candidate.tree === engine.chunkTree { engine.noteMove(ofChunk: candidate.value.key) }
        if try candidate.tree.moveValue(of: candidate.value.key) { moved += 1 }
      }
      return moved
    }
  }

  private mutating func movePages(from limit: Int) throws(PagerError) -> Bool {
    var hasMoved = false
    for tree in engine.allTrees where !isGivenUp {
      let moved = try engine.change(nil) { () throws(PagerError) in
        var budget = PageBudget(pager)
        return try tree.relocate(pagesFrom: limit, &budget)
      }
      hasMoved = hasMoved || moved
      tell()
    }
    return hasMoved
  }
}

extension Engine {
  /// Notes that a chunk gets another place, for whoever knows where its list lies.
  ///
  /// Writer mutex held.
  func noteMove(ofChunk key: [UInt8]) {
    guard key.count == ChunkKey.byteCount else { return }
    // Also where nobody has the list at the moment: a reader that comes before the move is published
    // would take the old places for those in force.
    let list = chunkList(key.withUnsafeBytes { ChunkKey.list($0) })
    list.beginLayoutChange()
    list.forget()
  }
}
