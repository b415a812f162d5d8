/// A file that may be damaged anywhere, for salvage.
///
/// It is only read, and what can't be read is zeros.
package final class DamagedFile {
  package let storage: any Storage
  package let fileByteCount: Int
  package let pageByteCount: Int
  /// Seeds the checksums of all pages.
  package let identifier: FileIdentifier
  /// What is damaged without anything being lost, a line each.
  package private(set) var notes: [String] = []
  let superblock: Superblock?
  private(set) lazy var logHeaders = Self.logHeaders(in: storage, fileByteCount)
    .filter { $0.identifier == identifier && $0.pageByteCount == pageByteCount }

  static let pageSizes = [4096, 8192, 16384, 32768, 65536]

  /// Finds out what the file is.
  ///
  /// - Parameters:
  ///   - storage: the file, open for reading.
  ///   - identifier: the file's, for when nothing in the file says it any more.
  package init(
    _ storage: any Storage, identifier asked: FileIdentifier?
  ) throws(PagerError) {
    self.storage = storage
    fileByteCount = try storage.byteCount()
    let (blocks, problems) = Self.superblocks(in: storage, fileByteCount)
    if let best = blocks.max(by: { $0.checkpoint < $1.checkpoint }) {
      superblock = best
      pageByteCount = best.pageByteCount
      identifier = FileIdentifier(best.fileIdentifier)
      if blocks.count < 2 {
        notes.append("one of the two superblocks is damaged; the other one is used")
      }
      return
    }
    superblock = nil
    for case .newerVersion(let version) in problems {
      throw PagerError(
        .unsupportedVersion, "the file is of another format version than this library reads",
        path: storage.path, found: UInt64(version))
    }
    for case .unknownFeatures(let features) in problems {
      throw PagerError(
        .unsupportedVersion, "the file uses features that this library does not know",
        path: storage.path, found: UInt64(features))
    }
    let headers = Self.logHeaders(in: storage, fileByteCount)
      .filter { asked == nil || $0.identifier == asked }
    if let newest = headers.max(by: { $0.segment.firstLSN < $1.segment.firstLSN }) {
      identifier = newest.identifier
      pageByteCount = newest.pageByteCount
      return
    }
    let hasMagic = problems.contains { if case .noMagic = $0 { false } else { true } }
    guard hasMagic || Self.looksLikePages(storage, fileByteCount) else {
      throw PagerError(
        .notADatabase, "the file is not a BTreeKV database", path: storage.path)
    }
    guard let asked else {
      throw PagerError(
        .corrupted,
        "both superblocks are damaged, and no log segment says the file's identifier either, "
          + "without which pages can't be checked; give the identifier, which info prints",
        path: storage.path)
    }
    guard let found = Self.probe(storage, fileByteCount, seed: asked.seed) else {
      throw PagerError(
        .corrupted, "no page of the file is intact and of the given identifier",
        path: storage.path)
    }
    identifier = asked
    pageByteCount = found
  }

  /// How many whole pages there are.
  package var pageCount: Int { fileByteCount / pageByteCount }

  /// Whether any superblock is left: only then it is known where trees begin.
  package var hasSuperblock: Bool { superblock != nil }

  /// Whether the checkpoint says that there is a log.
  package var hasLog: Bool { superblock?.log != nil }

  /// Where the main tree begins.
  package var mainRoot: TreeRoot? { superblock?.root }

  /// No page of the checkpoint is younger.
  package var newestEpoch: Epoch? { superblock?.epoch }

  // MARK: Reading

  /// Reads a page and checks it but for what is in it.
  ///
  /// - Parameter epoch: of birth, if the parent says one.
  /// - Returns: what is wrong with it, or nil.
  package func read(
    _ id: PageID, epoch: Epoch?, into page: UnsafeMutableRawBufferPointer
  ) -> PagerError? {
    guard id.rawValue > 3, id.rawValue < UInt64(pageCount) else {
      return PagerError(.corrupted, "the page lies behind the end of the file", page: id.rawValue)
    }
    Self.read(storage, fileByteCount, into: page, at: Int(id.rawValue) * pageByteCount)
    return PageHeader.problem(
      in: UnsafeRawBufferPointer(page), id: id, epoch: epoch, kind: PageHeader.treeKind,
      seed: identifier.seed)
  }

  /// Whether a run of pages lies in the file.
  package func contains(_ extent: Extent) -> Bool {
    extent.first.rawValue > 3 && extent.first.rawValue < 1 << 48 && extent.pageCount > 0
      && extent.pageCount < 1 << 47 && extent.end <= UInt64(pageCount)
  }

  /// Where the named trees begin; nil when the table is damaged.
  package func trees() -> [(id: TreeID, root: TreeRoot)]? {
    guard let superblock else { return nil }
    guard let location = superblock.treeTable else { return [] }
    // Each tree has a page of its own, so that the table is small beside the file.
    guard location.byteCount <= fileByteCount / 32 + 4096 else { return nil }
    return (try? Pager.readTreeTable(superblock, from: storage))?.trees
  }

  /// Which pages are in use, or nil when the free map is damaged.
  package func usedPages() -> ((PageID) -> Bool)? {
    guard let superblock else { return nil }
    guard superblock.pageCount <= pageCount,
      let map = try? FreeMap.load(
        layout: FreeMapLayout(pageByteCount: pageByteCount), checksumSeed: identifier.seed,
        checkpoint: superblock.checkpoint, pageCount: superblock.pageCount,
        digest: superblock.mapDigest, from: storage)
    else {
      notes.append("the map of free pages is damaged, or the file was cut off")
      return nil
    }
    let bits = map.bits
    return { bits.contains(Int($0.rawValue)) }
  }

  /// Reads what can be read; the rest is zeros.
  static func read(
    _ storage: any Storage, _ fileByteCount: Int, into buffer: UnsafeMutableRawBufferPointer,
    at offset: Int
  ) {
    let count = max(0, min(buffer.count, fileByteCount - offset))
    let inside = UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])
    UnsafeMutableRawBufferPointer(rebasing: buffer[count...])
      .initializeMemory(as: UInt8.self, repeating: 0)
    if count == 0 || (try? storage.read(into: inside, at: offset)) != nil { return }
    for start in stride(from: 0, to: count, by: 4096) {
      let piece = UnsafeMutableRawBufferPointer(rebasing: inside[start..<min(count, start + 4096)])
      if (try? storage.read(into: piece, at: offset + start)) == nil {
        piece.initializeMemory(as: UInt8.self, repeating: 0)
      }
    }
  }
}

/// The number that tells a file from all others.
package struct FileIdentifier: Equatable, Sendable {
  package var high: UInt64
  package var low: UInt64

  init(_ halves: (high: UInt64, low: UInt64)) { (high, low) = halves }

  /// The seed of all page checksums of the file (rule C9).
  package var seed: UInt64 { high ^ low.byteSwapped }

  /// Reads 32 hexadecimal digits; dashes between them do not count.
  package init?(_ text: String) {
    let digits = text.utf8.filter { $0 != UInt8(ascii: "-") }
    guard digits.count == 32,
      digits.allSatisfy({ Character(UnicodeScalar($0)).isHexDigit }),
      let high = UInt64(String(decoding: digits[..<16], as: UTF8.self), radix: 16),
      let low = UInt64(String(decoding: digits[16...], as: UTF8.self), radix: 16)
    else { return nil }
    self.init((high, low))
  }

  /// The digits.
  package var text: String {
    [high, low].map { half in
      let digits = String(half, radix: 16)
      return String(repeating: "0", count: 16 - digits.count) + digits
    }.joined()
  }
}
