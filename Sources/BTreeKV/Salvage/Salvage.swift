internal import Pager

/// One salvage under way.
final class Salvage {
  let file: DamagedFile
  let store: SalvageStore
  var report = SalvageReport()
  /// What could not be reached.
  var lost = LostRanges()
  private var reached = PageSet()
  /// Whether pages of the tree of chunks could not be reached.
  private(set) var isChunkTreeTorn = false
  /// Whether parts of the tree of the vectors' records are missing.
  private(set) var isRecordTreeTorn = false
  /// Whether changes are missing between those that were found.
  var hasLogGap = false
  /// The lists of which something is lost that was kept for a stamp.
  private(set) var listsWithoutStamps: Set<UInt64> = []
  /// Whether pages of the tree of entries could not be reached.
  private(set) var isEntryTreeTorn = false
  /// The lists that are entry stores, with their names if they are known.
  var stores: [UInt64: String?] = [:]
  /// Where lists end.
  var listEnds: [UInt64: Int] = [:]
  let entries = EntryList()
  private let progress: ((SalvageProgress) -> Void)?
  private var how = SalvageProgress()
  /// How many bytes of large values may still be copied: forged references may name the same bytes
  /// again and again.
  var valueBudget: Int

  init(_ file: DamagedFile, into database: Database, progress: ((SalvageProgress) -> Void)?) {
    self.file = file
    self.progress = progress
    store = SalvageStore(database)
    valueBudget = 4 * file.fileByteCount + (1 << 20)
    report.pageSize = file.pageByteCount
    report.fileIdentifier = file.identifier.text
    how.pagesTotal = file.pageCount
  }

  func run() throws(DatabaseError) {
    try walkTrees()
    if !lost.isEmpty { try scan() }
    try applyLog()
    try findStores()
    try restoreRegions()
    try restoreStores()
    try store.drop(.chunks)
    try store.finish(&report)
    report.notes += file.notes
    how.pagesRead = how.pagesTotal
    progress?(how)
  }

  private func tell() {
    how.pagesRead += 1
    if how.pagesRead % 256 == 0 { progress?(how) }
  }

  // MARK: From the roots

  private func walkTrees() throws(DatabaseError) {
    guard let root = file.mainRoot else {
      report.lose(
        "both superblocks are damaged: where trees begin is not known, nor which pages are stale")
      lost.addAll()
      isEntryTreeTorn = true
      return
    }
    try walk(.main, root)
    guard let trees = file.trees() else {
      report.lose("the table of trees is damaged: where named trees begin is not known")
      lost.addAll()
      isEntryTreeTorn = true
      return
    }
    for tree in trees { try walk(tree.id, tree.root) }
  }

  private func walk(_ tree: TreeID, _ root: TreeRoot) throws(DatabaseError) {
    guard root.height > 0 else { return }
    let losses = report.lossCount
    let found = try visit(tree, root.page, level: root.height - 1, lower: nil, upper: nil)
    if found < root.count {
      report.missingEntryCount += root.count - found
    }
    if found != root.count, report.lossCount == losses {
      report.lose("\(name(tree)) holds \(found) entries but counts \(root.count)")
    }
  }

  private func name(_ tree: TreeID) -> String {
    switch tree {
    case .main: "the main tree"
    case .catalogue: "the catalogue of trees"
    case .chunks: "the tree of chunks"
    case .regions: "the tree of the regions' names"
    case .entries: "the tree of entries"
    case .entryStores: "the tree of the entry stores' names"
    case .vectors: "the tree of the vectors' names"
    case .vectorRecords: "the tree of the vectors' records"
    default: "tree \(tree.rawValue)"
    }
  }

  /// Takes over a subtree as far as it is intact.
  ///
  /// - Returns: how many entries were found.
  private func visit(
    _ tree: TreeID, _ page: PageReference, level: Int, lower: [UInt8]?, upper: [UInt8]?
  ) throws(DatabaseError) -> Int {
    tell()
    let copy = UnsafeMutableRawBufferPointer.allocate(
      byteCount: file.pageByteCount, alignment: 8)
    defer { copy.deallocate() }
    if let problem = problem(of: page, level: level, into: copy) {
      report.damagedPageCount += 1
      let what = level == 0 ? "a leaf" : "a page at level \(level)"
      report.lose(
        "page \(page.id), \(what) of \(name(tree)): \(problem) "
          + "(keys from \(describe(lower)) to \(describe(upper)))")
      lost.add(lower, upper)
      if tree == .chunks { isChunkTreeTorn = true }
      if tree == .entries { isEntryTreeTorn = true }
      if tree == .vectorRecords { isRecordTreeTorn = true }
      return 0
    }
    report.reachedPageCount += 1
    guard let base = copy.baseAddress else { return 0 }
    let node = Node(base)
    guard level > 0 else {
      try takeLeaf(node, page.id) { (entry, key) throws(DatabaseError) in
        _ = try put(tree, key, entry.payload, isLarge: entry.isLarge, "page \(page.id)")
      }
      return node.count
    }
    var found = 0
    for index in 0..<node.count {
      let low = index == 0 ? lower : separator(node, index)
      let high = index + 1 < node.count ? separator(node, index + 1) : upper
      found += try visit(tree, node.child(index), level: level - 1, lower: low, upper: high)
    }
    return found
  }

  private func problem(
    of page: PageReference, level: Int, into copy: UnsafeMutableRawBufferPointer
  ) -> String? {
    if let problem = file.read(page.id, epoch: page.epoch, into: copy) { return problem.message }
    guard Int(copy[PageHeader.levelOffset]) == level else {
      return "it is of another level than its parent says"
    }
    if let problem = Node.structureProblem(UnsafeRawBufferPointer(copy)) { return problem }
    guard reached.insert(Extent(first: page.id, pageCount: 1)) else {
      return "it is referred to twice"
    }
    return nil
  }

  private func separator(_ node: Node, _ index: Int) -> [UInt8] {
    let cell = node.cell(index, isLeaf: false)
    var key = Array(node.prefix(file.pageByteCount))
    withUnsafeBytes(of: node.head(index).bigEndian) {
      key.append(contentsOf: $0.prefix(cell.suffixLength))
    }
    return key + cell.tail
  }

  func describe(_ key: [UInt8]?) -> String {
    guard let key else { return "the end" }
    let digits = key.prefix(64).map { byte in
      (byte < 16 ? "0" : "") + String(byte, radix: 16)
    }
    return "X'" + digits.joined() + "'" + (key.count > 64 ? "…" : "")
  }

  func takeLeaf(
    _ node: Node, _ page: PageID,
    _ take: (EntryList.Entry, UnsafeRawBufferPointer) throws(DatabaseError) -> Void
  ) throws(DatabaseError) {
    entries.removeAll()
    entries.append(node, 0..<node.count, pageByteCount: file.pageByteCount)
    for index in 0..<entries.count {
      let key = entries.key(index)
      try key.withBytes { (key) throws(DatabaseError) in try take(entries.entries[index], key) }
    }
  }

  // MARK: By looking at all pages

  private func scan() throws(DatabaseError) {
    how.pagesTotal += file.pageCount
    let isUsed = file.usedPages()
    let stores = try knownLists(.entryStores)
    let lists =
      isChunkTreeTorn
      ? try knownLists(.regions).union(stores).union(try knownLists(.vectors)) : []
    let places = isEntryTreeTorn ? stores : []
    let copy = UnsafeMutableRawBufferPointer.allocate(
      byteCount: file.pageByteCount, alignment: 8)
    defer { copy.deallocate() }
    guard let base = copy.baseAddress else { return }
    for number in stride(from: 4, to: file.pageCount, by: 1) {
      tell()
      let id = PageID(UInt64(number))
      guard !reached.contains(id), isUsed?(id) ?? true,
        file.read(id, epoch: nil, into: copy) == nil, copy[PageHeader.levelOffset] == 0,
        Node.structureProblem(UnsafeRawBufferPointer(copy)) == nil
      else { continue }
      let node = Node(base)
      // What is younger than the checkpoint is not part of it.
      if let newest = file.newestEpoch, newest < node.epoch { continue }
      let tree =
        holdsChunks(node, of: lists)
        ? TreeID.chunks : holdsPlaces(node, of: places) ? .entries : SalvageStore.scanned
      var isOfUse = false
      try takeLeaf(node, id) { (entry, key) throws(DatabaseError) in
        guard lost.contains(key), try store.isYounger(node.epoch, key) else { return }
        guard
          try put(tree, key, entry.payload, isLarge: entry.isLarge, "page \(id)")
        else { return }
        try store.note(node.epoch, key)
        isOfUse = true
      }
      if isOfUse { report.scannedPageCount += 1 }
    }
  }

  // MARK: Entries

  /// Stores an entry in the new file.
  ///
  /// - Returns: false when it is lost.
  func put(
    _ tree: TreeID, _ key: UnsafeRawBufferPointer, _ payload: UnsafeRawBufferPointer,
    isLarge: Bool, _ place: @autoclosure () -> String
  ) throws(DatabaseError) -> Bool {
    do throws(DatabaseError) {
      if tree == .chunks {
        // The log may name the same pages again and again, so bytes are copied at the end.
        try store.insertChunk(key, payload, isLarge: isLarge)
        return true
      }
      if !isLarge {
        try store.insert(tree, key, payload)
        return true
      }
      if let value = largeValue(payload) {
        valueBudget -= value.byteCount
        let reader = LargeValueReader(
          value, storage: file.storage, pageByteCount: file.pageByteCount)
        if valueBudget >= 0, try store.insert(tree, key, reader) { return true }
      }
    } catch {
      // Only forged entries are so long.
      guard error.code == .keyTooLong || error.code == .valueTooLong else { throw error }
    }
    if tree == .vectorRecords, key.count > 8, (3...5).contains(key[8]) {
      listsWithoutStamps.insert(ChunkKey.list(key))
    }
    report.damagedValueCount += 1
    report.lose(
      "the value of the key \(describe(Array(key))) is damaged (\(place()))")
    return false
  }

  /// The large value that a reference names, if it lies in the file.
  func largeValue(_ reference: UnsafeRawBufferPointer) -> LargeValue? {
    guard let value = LargeValue(reference, pageByteCount: file.pageByteCount),
      value.extents.allSatisfy({ file.contains($0) })
    else { return nil }
    return value
  }
}

/// The ranges of keys that could not be reached.
struct LostRanges {
  private var ranges: [KeyRange] = []
  private var byteCount = 0
  private var isAll = false

  var isEmpty: Bool { !isAll && ranges.isEmpty }

  mutating func addAll() {
    isAll = true
    ranges = []
  }

  mutating func add(_ lower: [UInt8]?, _ upper: [UInt8]?) {
    if isAll { return }
    if let last = ranges.last, let end = last.upper, end == lower {
      ranges[ranges.count - 1] = KeyRange(lower: last.lower, upper: upper)
    } else {
      ranges.append(KeyRange(lower: lower, upper: upper))
    }
    let isWhole = ranges.last.map { $0.lower == nil && $0.upper == nil } ?? false
    // So many that it is not worth telling them apart.
    byteCount += (lower?.count ?? 0) + (upper?.count ?? 0)
    if isWhole || ranges.count > 1024 || byteCount > 1 << 20 { addAll() }
  }

  func contains(_ key: UnsafeRawBufferPointer) -> Bool {
    if isAll { return true }
    return ranges.contains { range in
      let isBelow = range.lower?.withUnsafeBytes { Node.compare(key, $0) < 0 } ?? false
      return !isBelow && range.upper?.withUnsafeBytes { Node.compare(key, $0) < 0 } ?? true
    }
  }
}
