/// A run of pages that came into use or went out of it.
struct SpaceChange: Sendable {
  var extent: Extent
  var isUsed: Bool
}

/// The free map that checkpoints write: exactly what the cut of a checkpoint reaches.
///
/// It is fed with the changes between two cuts, so that a checkpoint costs O(what changed). Each
/// group's bitmap page has two slots; a checkpoint writes the one that the checkpoint before it
/// does not use, so that a crash never harms the map in force. The superblock holds a digest over
/// all groups' versions: a lost, stale or misdirected write of a map page is found at open.
struct FreeMap: Sendable {
  struct Group: Sendable {
    var slot = 0
    var checkpoint: UInt64 = 0
    var checksum: UInt64 = 0
    var isChanged = true
    /// What the checkpoint under way has written: in force once its superblock is durable.
    var pending: (checkpoint: UInt64, checksum: UInt64)?
  }

  let layout: FreeMapLayout
  let checksumSeed: UInt64
  private(set) var bits = PageBitmap()
  var groups: [Group] = []

  /// The map of a new file: the superblocks and the first group's slots.
  init(layout: FreeMapLayout, checksumSeed: UInt64) {
    self.layout = layout
    self.checksumSeed = checksumSeed
    bits.grow(toPageCount: 4)
    bits.set(true, 0..<4)
  }

  /// Brings the map up to a cut.
  ///
  /// - Parameters:
  ///   - changes: all since the cut before, in order.
  ///   - pageCount: the file's length at the cut.
  ///   - limit: the most pages that the file has had, if that is more: made-up references to pages
  ///     behind it must not take memory (rule F4).
  /// - Throws: `.corrupted` when a page comes into use twice or goes out of use twice, or when there
  ///   is no such page.
  mutating func apply(
    _ changes: [SpaceChange], pageCount: Int, limit: Int? = nil
  ) throws(PagerError) {
    let oldCount = groups.count
    let newCount = layout.groupCount(pageCount: pageCount)
    bits.grow(toPageCount: pageCount)
    for group in oldCount..<max(oldCount, newCount) {
      groups.append(Group())
      bits.set(
        true, layout.slotPage(group: group, slot: 0)..<layout.slotPage(group: group, slot: 2))
    }
    var wrong: PagerError?
    for change in changes {
      let first = Int(change.extent.first.rawValue)
      let range = first..<first + change.extent.pageCount
      guard range.upperBound <= limit ?? pageCount else {
        wrong = PagerError(.corrupted, "a page lies behind the file's end", page: UInt64(first))
        continue
      }
      bits.grow(toPageCount: range.upperBound)
      if bits.set(change.isUsed, range) != change.extent.pageCount {
        wrong = PagerError(
          .corrupted, "a page came into use or went out of it twice", page: UInt64(first))
      }
      for group in first / layout.pagesPerGroup...(range.upperBound - 1) / layout.pagesPerGroup {
        if group < groups.count { groups[group].isChanged = true }
      }
    }
    if newCount < groups.count {
      groups.removeLast(groups.count - newCount)
      // The file may grow anew: then these are what a new group begins with.
      let end = newCount * layout.pagesPerGroup
      if end < bits.words.count * 64 { bits.set(false, end..<bits.words.count * 64) }
    }
    if let wrong { throw wrong }
  }

  /// Writes the changed groups into the slots that are not in force.
  ///
  /// - Returns: the digest for the superblock of `checkpoint`.
  mutating func writeChanges(checkpoint: UInt64, to storage: any Storage) throws(PagerError)
    -> UInt64
  {
    let page = UnsafeMutableRawBufferPointer.allocate(
      byteCount: layout.pageByteCount, alignment: 8)
    defer { page.deallocate() }
    var digest: UInt64 = 0
    for index in groups.indices {
      if groups[index].isChanged {
        let place = layout.slotPage(group: index, slot: 1 - groups[index].slot)
        encode(group: index, checkpoint: checkpoint, id: place, into: page)
        try storage.write(UnsafeRawBufferPointer(page), at: place * layout.pageByteCount)
        let checksum = page.load(fromByteOffset: PageHeader.checksumOffset, as: UInt64.self)
        groups[index].pending = (checkpoint, checksum)
      }
      let (number, checksum) =
        groups[index].pending ?? (groups[index].checkpoint, groups[index].checksum)
      digest &+= Self.digest(group: index, checkpoint: number, checksum: checksum)
    }
    return digest
  }

  /// The checkpoint's superblock is durable: what it wrote is now in force.
  mutating func commit() {
    for index in groups.indices {
      guard let (checkpoint, checksum) = groups[index].pending else { continue }
      groups[index] = Group(
        slot: 1 - groups[index].slot, checkpoint: checkpoint, checksum: checksum,
        isChanged: false, pending: nil)
    }
  }

  private func encode(
    group: Int, checkpoint: UInt64, id: Int, into page: UnsafeMutableRawBufferPointer
  ) {
    page.initializeMemory(as: UInt8.self, repeating: 0)
    page.storeBytes(of: UInt64(id), toByteOffset: PageHeader.idOffset, as: UInt64.self)
    page.storeBytes(of: checkpoint, toByteOffset: PageHeader.epochOffset, as: UInt64.self)
    page[PageHeader.kindOffset] = PageHeader.freeMapKind
    page.storeBytes(of: UInt64(group), toByteOffset: 32, as: UInt64.self)
    // A group's first page is a multiple of 64, since its bits fill whole bytes of 64-byte steps.
    let firstWord = group * layout.pagesPerGroup / 64
    let wordCount = layout.pagesPerGroup / 64
    for word in 0..<wordCount where firstWord + word < bits.words.count {
      page.storeBytes(
        of: bits.words[firstWord + word], toByteOffset: FreeMapLayout.headerByteCount + word * 8,
        as: UInt64.self)
    }
    PageHeader.seal(page, seed: checksumSeed)
  }

  private static func digest(group: Int, checkpoint: UInt64, checksum: UInt64) -> UInt64 {
    var z = checksum ^ (checkpoint &* 0x9E37_79B9_7F4A_7C15) &+ UInt64(group)
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// Reads the map of a checkpoint.
  static func load(
    layout: FreeMapLayout, checksumSeed: UInt64, checkpoint: UInt64, pageCount: Int,
    digest expected: UInt64, from storage: any Storage
  ) throws(PagerError) -> FreeMap {
    var map = FreeMap(layout: layout, checksumSeed: checksumSeed)
    map.bits.grow(toPageCount: pageCount)
    let page = UnsafeMutableRawBufferPointer.allocate(
      byteCount: layout.pageByteCount, alignment: 8)
    defer { page.deallocate() }
    var digest: UInt64 = 0
    for index in 0..<layout.groupCount(pageCount: pageCount) {
      var group = Group()
      var isFound = false
      // Whether a checkpoint that did not come to its end wrote the slot that is not in force. The next
      // one has the same number, and must not leave that for its own.
      var isOvertaken = false
      for slot in 0...1 {
        let place = layout.slotPage(group: index, slot: slot)
        try storage.read(into: page, at: place * layout.pageByteCount)
        let problem = PageHeader.problem(
          in: UnsafeRawBufferPointer(page), id: PageID(UInt64(place)), epoch: nil,
          kind: PageHeader.freeMapKind, seed: checksumSeed)
        let number = page.load(fromByteOffset: PageHeader.epochOffset, as: UInt64.self)
        guard problem == nil, page.load(fromByteOffset: 32, as: UInt64.self) == UInt64(index)
        else { continue }
        if number > checkpoint { isOvertaken = true }
        guard number <= checkpoint, !isFound || number > group.checkpoint else { continue }
        isFound = true
        group = Group(
          slot: slot, checkpoint: number,
          checksum: page.load(fromByteOffset: PageHeader.checksumOffset, as: UInt64.self),
          isChanged: false)
        map.load(group: index, from: UnsafeRawBufferPointer(page))
      }
      guard isFound else {
        throw PagerError(
          .corrupted, "both copies of a page of the free-space map are damaged",
          page: UInt64(layout.slotPage(group: index, slot: 0)))
      }
      group.isChanged = isOvertaken
      map.groups.append(group)
      digest &+= Self.digest(
        group: index, checkpoint: group.checkpoint, checksum: group.checksum)
    }
    guard digest == expected else {
      throw PagerError(
        .corrupted, "the free-space map is not the one that the superblock speaks of",
        expected: expected, found: digest)
    }
    // Its checksum says who wrote it, not that it makes sense: these must never be given out.
    if let page = map.bits.missingFixedPages(layout, pageCount: pageCount).first {
      throw PagerError(
        .corrupted, "the free-space map gives away a page of its own or a superblock",
        page: UInt64(page))
    }
    return map
  }

  private mutating func load(group: Int, from page: UnsafeRawBufferPointer) {
    let firstWord = group * layout.pagesPerGroup / 64
    for word in 0..<layout.pagesPerGroup / 64 {
      let value = page.load(
        fromByteOffset: FreeMapLayout.headerByteCount + word * 8, as: UInt64.self)
      if firstWord + word < bits.words.count { bits.words[firstWord + word] = value }
    }
  }
}
