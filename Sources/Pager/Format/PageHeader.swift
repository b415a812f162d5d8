/// The first bytes of every page that is not a superblock, a log segment or a value's bytes.
///
///     offset 0   checksum   XXH64 of bytes 8 ..< page size, seeded with the file's seed
///     offset 8   page id
///     offset 16  epoch      of birth (tree pages), checkpoint number (free-map pages)
///     offset 24  kind       1 tree page, 2 free-map page
///     offset 25  level      0 for a leaf
public enum PageHeader {
  /// Where the checksum is.
  @inlinable public static var checksumOffset: Int { 0 }
  /// Where the page's own number is.
  @inlinable public static var idOffset: Int { 8 }
  /// Where the epoch of birth is.
  @inlinable public static var epochOffset: Int { 16 }
  /// Where the kind of page is.
  @inlinable public static var kindOffset: Int { 24 }
  /// Where the level above the leaves is.
  @inlinable public static var levelOffset: Int { 25 }
  /// The kind of a tree's page.
  @inlinable public static var treeKind: UInt8 { 1 }
  /// The kind of a free-map page.
  @inlinable public static var freeMapKind: UInt8 { 2 }

  /// Sets the checksum of a page that is about to be written.
  package static func seal(_ page: UnsafeMutableRawBufferPointer, seed: UInt64) {
    let sum = checksum64(UnsafeRawBufferPointer(rebasing: page[8...]), seed: seed)
    page.storeBytes(of: sum, toByteOffset: checksumOffset, as: UInt64.self)
  }

  /// What is wrong with a page that was read, or nil.
  package static func problem(
    in page: UnsafeRawBufferPointer, id: PageID, epoch: Epoch?, kind: UInt8, seed: UInt64
  ) -> PagerError? {
    let sum = checksum64(UnsafeRawBufferPointer(rebasing: page[8...]), seed: seed)
    let stored = page.loadUnaligned(fromByteOffset: checksumOffset, as: UInt64.self)
    guard sum == stored else {
      return PagerError(
        .corrupted, "the checksum of a page does not match its content",
        page: id.rawValue, expected: stored, found: sum)
    }
    let ownID = page.loadUnaligned(fromByteOffset: idOffset, as: UInt64.self)
    guard ownID == id.rawValue else {
      return PagerError(
        .corrupted, "another page's content is in the place of a page (misdirected write)",
        page: id.rawValue, expected: id.rawValue, found: ownID)
    }
    guard page[kindOffset] == kind else {
      return PagerError(
        .corrupted, "a page is not of the kind that is expected here",
        page: id.rawValue, expected: UInt64(kind), found: UInt64(page[kindOffset]))
    }
    let ownEpoch = page.loadUnaligned(fromByteOffset: epochOffset, as: UInt64.self)
    if let epoch, ownEpoch != epoch.rawValue {
      return PagerError(
        .corrupted, "a page is of another epoch than its parent says (lost or stale write)",
        page: id.rawValue, expected: epoch.rawValue, found: ownEpoch)
    }
    return nil
  }
}
