internal import Pager

/// How far a verification has come.
public struct VerifyProgress: Sendable {
  /// Pages checked so far.
  public var pagesChecked = 0
  /// Pages that the file has.
  public var pagesTotal = 0
}

/// What a verification found.
public struct VerifyReport: Sendable {
  /// How many pages were checked.
  public var pageCount = 0
  /// How many entries they hold.
  public var entryCount = 0
  /// What is wrong, a line each; at most a hundred.
  public var problems: [String] = []
  /// Whether nothing is wrong.
  public var isSound: Bool { problems.isEmpty }

  mutating func note(_ problem: String) {
    if problems.count < 100 { problems.append(problem) }
  }
}

extension Database {
  /// Checks everything: each page's checksum, epoch and structure, the order of all keys, their
  /// separators and prefixes, the count, each large value's bytes, that the pages in use and the
  /// free ones cover the file exactly once, that each key of an entry store leads to an entry which
  /// matches its checksums, and that superblocks, free map, table of trees and log are
  /// on the medium as they were written.
  ///
  /// Reads go on meanwhile; writes and checkpoints wait.
  ///
  /// - Parameter progress: told now and then how far it is. Writes to the database throw
  ///   `.nestedTransaction` there, and a checkpoint would wait for the verification.
  /// - Returns: what was found. Damage is a problem in the report, not an error.
  /// - Throws: `.closed`, `.inputOutput`.
  /// - Complexity: O(file).
  public func verify(
    progress: ((VerifyProgress) -> Void)? = nil
  ) throws(DatabaseError) -> VerifyReport {
    try converting { () throws(PagerError) in
      try pager.checkOpen()
      try pager.checkNotInTransaction()
      return try engine.snapshots.withoutExpiry { () throws(PagerError) in
        try pager.withoutChanges { () throws(PagerError) in
          var check = Verification(file: file, progress: progress)
          try check.run()
          return check.report
        }
      }
    }
  }
}

/// One verification under way.
///
/// Nothing changes meanwhile.
struct Verification {
  let file: OpenFile
  let engine: Engine
  var tree: Tree
  let pager: Pager
  let progress: ((VerifyProgress) -> Void)?
  var report = VerifyReport()
  var reached = PageSet()
  var previousKey: [UInt8]?
  let total: Int

  init(file: OpenFile, progress: ((VerifyProgress) -> Void)?) {
    self.file = file
    engine = file.engine
    tree = engine.mainTree
    pager = engine.pager
    self.progress = progress
    total = pager.allocator.pageCount
  }

  mutating func run() throws(PagerError) {
    for tree in engine.allTrees {
      self.tree = tree
      try checkTree(pager.publishedRoot(of: tree.descriptor))
    }
    try checkCatalogue()
    try checkRegions()
    try checkEntries()
    // Without every page of the tree, what is in use can't be known.
    if report.isSound {
      for problem in pager.spaceProblems(treePages: reached) { report.note(problem) }
    }
    for problem in try pager.durableProblems(client: LargeValue.logClient) { report.note(problem) }
    tell(VerifyProgress(pagesChecked: total, pagesTotal: total))
  }

  /// Tells how far it is; a write from there would wait for this for ever, so it throws.
  private func tell(_ how: VerifyProgress) { pager.callingOut { progress?(how) } }

  /// Notes pages that the file's content refers to; false when they were referred to already or lie
  /// behind the file: made-up numbers are to take no memory (rule F4).
  private mutating func reach(_ extent: Extent) -> Bool {
    extent.end <= UInt64(total) && reached.insert(extent)
  }

  private mutating func checkTree(_ root: TreeRoot) throws(PagerError) {
    previousKey = nil
    let before = report.entryCount
    if root.height > 0 {
      try check(root.page, level: root.height - 1, lower: nil, upper: nil, isRoot: true)
    }
    let found = report.entryCount - before
    if found != root.count {
      let id = tree.descriptor.id.rawValue
      report.note("tree \(id) holds \(found) entries but counts \(root.count)")
    }
  }

  /// Each named tree has one name, and each tree that holds something is named.
  private mutating func checkCatalogue() throws(PagerError) {
    guard report.isSound else { return }
    var ids: Set<TreeID> = []
    let catalogue = TreeAccess(file, engine.catalogue, .live)
    do throws(DatabaseError) {
      let walker = try catalogue.walker(.all, false, true)
      while try walker.step() {
        let name = String(decoding: walker.key, as: UTF8.self)
        guard let record = CatalogueRecord(walker.value) else {
          report.note("what the catalogue says of the tree \"\(name)\" makes no sense")
          continue
        }
        if !ids.insert(record.id).inserted {
          report.note("tree \(record.id.rawValue) has two names, \"\(name)\" is one")
        }
      }
    } catch {
      report.note("\(error)")
    }
    for tree in engine.allTrees {
      let id = tree.descriptor.id
      guard !(id < .firstNamed), !ids.contains(id),
        pager.publishedRoot(of: tree.descriptor).height > 0
      else { continue }
      report.note("tree \(id.rawValue) is not in the catalogue")
    }
  }

  private mutating func check(
    _ page: PageReference, level: Int, lower: [UInt8]?, upper: [UInt8]?, isRoot: Bool
  ) throws(PagerError) {
    report.pageCount += 1
    if report.pageCount % 256 == 0 {
      tell(VerifyProgress(pagesChecked: report.pageCount, pagesTotal: total))
    }
    guard reach(Extent(first: page.id, pageCount: 1)) else {
      report.note("page \(page.id) is referred to twice, or lies behind the file")
      return
    }
    let copy = UnsafeMutableRawBufferPointer.allocate(
      byteCount: tree.pageByteCount, alignment: 8)
    defer { copy.deallocate() }
    do throws(PagerError) {
      try pager.copyPage(page, level: level, into: copy)
    } catch {
      guard error.code == .corrupted else { throw error }
      report.note(
        "\(error) (keys from \(describe(lower)) to \(describe(upper)))")
      return
    }
    guard let base = copy.baseAddress else { return }
    let node = Node(base)
    guard node.isPage(page, level: level) else {
      report.note("\(Node.mismatch(page))")
      return
    }
    if let problem = Node.structureProblem(UnsafeRawBufferPointer(copy)) {
      report.note(
        "page \(page.id): \(problem) (keys from \(describe(lower)) to \(describe(upper)))")
      return
    }
    checkFences(node, page, lower, upper)
    if level > 0 {
      if node.count < 2 { report.note("page \(page.id): an inner page with one child") }
      try checkChildren(node, level: level, lower, upper)
    } else {
      try checkLeaf(node, page)
    }
  }

  private func describe(_ key: [UInt8]?) -> String {
    guard let key else { return "the end" }
    return "X'"
      + key.map { byte in
        let digits = String(byte, radix: 16)
        return digits.count == 1 ? "0" + digits : digits
      }.joined() + "'"
  }

  /// All keys of a page lie between the separators around it, and begin with its prefix by then.
  private mutating func checkFences(
    _ node: Node, _ page: PageReference, _ lower: [UInt8]?, _ upper: [UInt8]?
  ) {
    let list = EntryList()
    let isLeaf = node.level == 0
    list.append(
      node, 0..<node.count, pageByteCount: tree.pageByteCount, firstKey: isLeaf ? nil : lower ?? [])
    for index in (isLeaf ? 0 : 1)..<Swift.max(isLeaf ? 0 : 1, list.count) {
      let key = list.key(index)
      if let lower, isLess(key, lower) {
        report.note("page \(page.id): a key below the page's range")
      }
      if let upper, !isLess(key, upper) {
        report.note("page \(page.id): a key behind the page's range")
      }
      guard isLeaf else { continue }
      if let previousKey, !isLess(previousKey, key) {
        report.note("page \(page.id): keys out of order")
      }
      previousKey = key
    }
  }

  private func isLess(_ a: [UInt8], _ b: [UInt8]) -> Bool {
    a.withUnsafeBytes { a in b.withUnsafeBytes { Node.compare(a, $0) < 0 } }
  }

  private mutating func checkChildren(
    _ node: Node, level: Int, _ lower: [UInt8]?, _ upper: [UInt8]?
  ) throws(PagerError) {
    let count = node.count
    for index in 0..<count {
      let low = index == 0 ? lower : tree.separator(node, index)
      let high = index + 1 < count ? tree.separator(node, index + 1) : upper
      try check(
        node.child(index), level: level - 1, lower: low, upper: high, isRoot: false)
    }
  }

  private mutating func checkLeaf(_ node: Node, _ page: PageReference) throws(PagerError) {
    report.entryCount += node.count
    let count = node.count
    for index in 0..<count {
      let cell = node.cell(index, isLeaf: true)
      guard cell.isLarge else { continue }
      guard let value = LargeValue(cell.payload, pageByteCount: tree.pageByteCount) else {
        report.note("page \(page.id): the reference to a value's bytes makes no sense")
        continue
      }
      var isReachedOnce = true
      for extent in value.extents where !reach(extent) {
        isReachedOnce = false
        report.note(
          "page \(extent.first): the pages of a value are referred to twice, or lie behind the file"
        )
      }
      // Made-up references may name the same bytes again and again.
      guard isReachedOnce else { continue }
      do throws(PagerError) {
        let reader = LargeValueReader(
          value, storage: pager.storage, pageByteCount: tree.pageByteCount)
        try reader.forEachChunk { _ in }
      } catch {
        guard error.code == .corrupted else { throw error }
        let key = EntryList()
        key.append(node, index..<index + 1, pageByteCount: tree.pageByteCount)
        report.note("\(error) (the value of the key \(describe(key.key(0))))")
      }
    }
  }
}
