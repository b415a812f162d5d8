/// How far a salvage has come.
public struct SalvageProgress: Sendable {
  /// Pages looked at so far.
  public var pagesRead = 0
  /// Pages to look at; twice those of the file when some can only be found by looking at all.
  public var pagesTotal = 0
}

/// What a salvage has found and what was lost.
public struct SalvageReport: Sendable {
  /// The damaged file's page size in bytes; the new file has the same.
  public var pageSize = 0
  /// The damaged file's identifier; the new file has another one.
  public var fileIdentifier = ""
  /// How many entries the new file holds, in all trees.
  public var entryCount = 0
  /// How many named trees the new file has.
  public var treeCount = 0
  /// How many regions the new file has.
  public var regionCount = 0
  /// How many bytes they hold.
  public var regionByteCount = 0
  /// How many entry stores the new file has.
  public var entryStoreCount = 0
  /// How many entries they hold.
  public var entryStoreEntryCount = 0
  /// How many pages of trees were reached from their roots.
  public var reachedPageCount = 0
  /// How many pages that can't be reached gave entries.
  public var scannedPageCount = 0
  /// The tree that holds the entries of which it is not known what tree they were in; nil: none.
  public var salvagedTree: String?
  /// How many entries that tree holds.
  public var salvagedCount = 0
  /// How many records of the log were applied.
  public var logRecordCount = 0
  /// How many pages that the trees need are damaged.
  public var damagedPageCount = 0
  /// How many values are lost since their bytes are damaged.
  public var damagedValueCount = 0
  /// How many entries the trees should have had besides those that were reached from their roots.
  ///
  /// Of these, `salvagedTree` may hold some.
  public var missingEntryCount = 0
  /// How many things were lost.
  public var lossCount = 0
  /// What was lost, a line each; at most a hundred.
  public var losses: [String] = []
  /// What is damaged without anything being lost by it, a line each.
  public var notes: [String] = []
  /// Whether nothing was lost.
  public var isComplete: Bool { lossCount == 0 }

  mutating func lose(_ what: @autoclosure () -> String) {
    lossCount += 1
    if losses.count < 100 { losses.append(what()) }
  }
}
