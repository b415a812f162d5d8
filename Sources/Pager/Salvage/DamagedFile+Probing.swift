// What a file is, from whatever of it is left.

/// A log segment's header, found at its place.
struct FoundLogHeader {
  var segment: LogSegment
  var identifier: FileIdentifier
  var pageByteCount: Int
}

extension DamagedFile {
  /// All valid superblocks, and why the others are none.
  static func superblocks(
    in storage: any Storage, _ fileByteCount: Int
  ) -> ([Superblock], [Superblock.Problem]) {
    var blocks: [Superblock] = []
    var problems: [Superblock.Problem] = []
    for offset in [0] + pageSizes where offset + Superblock.byteCount <= fileByteCount {
      var bytes = [UInt8](repeating: 0, count: Superblock.byteCount)
      bytes.withUnsafeMutableBytes { read(storage, fileByteCount, into: $0, at: offset) }
      do throws(Superblock.Problem) {
        let block = try Superblock.decode(bytes)
        // A copy of a superblock in some value's bytes is none.
        if offset == 0 || offset == block.pageByteCount { blocks.append(block) }
      } catch {
        problems.append(error)
      }
    }
    return (blocks, problems)
  }

  /// Every whole log segment header.
  static func logHeaders(in storage: any Storage, _ fileByteCount: Int) -> [FoundLogHeader] {
    var found: [FoundLogHeader] = []
    let window = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
    defer { window.deallocate() }
    for start in stride(from: 0, to: fileByteCount, by: window.count) {
      read(storage, fileByteCount, into: window, at: start)
      for offset in stride(from: 0, to: window.count, by: 4096) {
        let sector = UnsafeRawBufferPointer(rebasing: window[offset..<offset + 512])
        if let header = logHeader(sector, at: start + offset) { found.append(header) }
      }
    }
    return found
  }

  private static func logHeader(
    _ sector: UnsafeRawBufferPointer, at offset: Int
  ) -> FoundLogHeader? {
    guard sector.loadUnaligned(as: UInt64.self) == LogSegment.magic,
      let words = LogSegment.words(of: sector)
    else { return nil }
    let page = words[6]
    guard page > 3, page <= UInt64(offset / 4096), words[7] > 0, words[7] < 1 << 32,
      words[3] < 1 << 47, words[4] < 1 << 62
    else { return nil }
    let pageByteCount = offset / Int(page)
    guard offset % Int(page) == 0, Superblock.isPageSize(pageByteCount) else { return nil }
    let pageCount = Int(words[7])
    return FoundLogHeader(
      segment: LogSegment(
        extent: Extent(first: PageID(page), pageCount: pageCount), sequence: words[3],
        firstLSN: LogSequenceNumber(words[4]), salt: words[5],
        byteCount: pageCount * pageByteCount),
      identifier: FileIdentifier((words[1].byteSwapped, words[2].byteSwapped)),
      pageByteCount: pageByteCount)
  }

  /// Hands over pages that say of themselves, rightly, which they are; false ends the search.
  private static func forEachLikelyPage(
    _ storage: any Storage, _ fileByteCount: Int, pageByteCount: Int,
    _ visit: (_ offset: Int) -> Bool
  ) {
    var head = [UInt8](repeating: 0, count: 32)
    for page in stride(from: 2, to: fileByteCount / pageByteCount, by: 1) {
      let isLikely = head.withUnsafeMutableBytes { head in
        read(storage, fileByteCount, into: head, at: page * pageByteCount)
        let id = head.loadUnaligned(fromByteOffset: PageHeader.idOffset, as: UInt64.self)
        let kind = head[PageHeader.kindOffset]
        return id == UInt64(page) && (kind == PageHeader.treeKind || kind == PageHeader.freeMapKind)
      }
      if isLikely, !visit(page * pageByteCount) { return }
    }
  }

  /// Whether anything in the file looks like a page of a database.
  static func looksLikePages(_ storage: any Storage, _ fileByteCount: Int) -> Bool {
    var isFound = false
    for size in pageSizes where !isFound {
      forEachLikelyPage(storage, fileByteCount, pageByteCount: size) { _ in
        isFound = true
        return false
      }
    }
    return isFound
  }

  /// The page size with which most pages are intact, or nil if none is with any.
  static func probe(_ storage: any Storage, _ fileByteCount: Int, seed: UInt64) -> Int? {
    var best: (size: Int, count: Int)?
    for size in pageSizes {
      var count = 0
      let page = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 8)
      defer { page.deallocate() }
      forEachLikelyPage(storage, fileByteCount, pageByteCount: size) { offset in
        read(storage, fileByteCount, into: page, at: offset)
        let sum = checksum64(UnsafeRawBufferPointer(rebasing: page[8...]), seed: seed)
        if sum == page.loadUnaligned(as: UInt64.self) { count += 1 }
        return count < 64
      }
      if count > best?.count ?? 0 { best = (size, count) }
    }
    return best?.size
  }
}
