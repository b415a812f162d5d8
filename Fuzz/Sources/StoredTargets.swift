@testable import BTreeKV
@testable import Pager

extension FuzzTarget {
  /// The free map: its pages with right checksums, a digest that fits, and any page count that the
  /// file is long enough for.
  static let space = FuzzTarget(
    run: { bytes in
      var input = FuzzInput(bytes)
      let checkpoint = UInt64(input.byte())
      let pageCount = 4 + input.word() % 252
      var file = [UInt8](repeating: 0, count: 4 * pageByteCount)
      for slot in [2, 3] {
        let start = slot * pageByteCount
        file.put(UInt64(slot), at: start + PageHeader.idOffset)
        file.put(UInt64(input.byte()), at: start + PageHeader.epochOffset)
        file[start + PageHeader.kindOffset] = PageHeader.freeMapKind
        for _ in 0..<Int(input.byte()) % 8 { file.edit(&input, in: start + 8..<start + 128) }
        file.sealPage(slot, pageByteCount: pageByteCount, seed: 5)
      }
      guard let storage = memoryStorage(of: file) else { return }
      loadMap(
        storage, checkpoint: checkpoint, pageCount: pageCount,
        digest: file.mapDigest(checkpoint: checkpoint, pageByteCount: pageByteCount), &input)
    },
    seeds: { (0..<12).map { [9] + editSeed($0 + 1, byteCount: 4 + 6 * $0) } })

  /// References to large values: whatever decodes is read without an access outside of the file's
  /// bytes, in memory of its own length, and is no longer than the file.
  static let value = FuzzTarget(
    run: { bytes in
      var input = FuzzInput(bytes)
      let isWhole = input.byte() & 1 != 0
      let reference = input.bytes(LargeValue.headerByteCount + 32 * LargeValue.extentByteCount)
      let value = reference.withUnsafeBytes { LargeValue($0, pageByteCount: pageByteCount) }
      guard let value else { return }
      require(value.encoded == reference, "a reference changes when it is written")
      let pages = value.extents.reduce(0) { $0 + $1.pageCount }
      require(value.byteCount <= pages * pageByteCount, "a value is longer than its pages")
      guard let storage = memoryStorage(of: valueFile) else { return }
      read(value, storage, isWhole: isWhole)
    },
    seeds: {
      [100, 4096, 70_000, 200_000].flatMap { byteCount -> [[UInt8]] in
        let pages = (LargeValue.storedByteCount(byteCount) + 4095) / 4096
        return (1...3).map { runs in
          var rest = pages
          var extents: [Extent] = []
          for run in 0..<runs where rest > 0 {
            let count = run == runs - 1 ? rest : Swift.max(1, rest / 2)
            extents.append(Extent(first: PageID(UInt64(4 + pages - rest)), pageCount: count))
            rest -= count
          }
          let value = LargeValue(
            byteCount: byteCount, checksum: 1, birth: Epoch(1), extents: extents)
          return [UInt8(runs)] + value.encoded
        }
      }
    })

  /// A whole file that salvage makes another one of, which must be sound.
  static let salvage = FuzzTarget(
    run: { bytes in
      var input = FuzzInput(bytes)
      let files = sampleFiles + layeredFiles
      guard let base = files[Int(input.byte()) % files.count] else { return }
      var edited = base.edited(&input)
      let how = input.byte()
      // Without superblocks everything has to be found by looking.
      if how & 1 != 0 { edited.put(UInt64(0), at: 0) }
      if how & 2 != 0 { edited.put(UInt64(0), at: pageByteCount) }
      recover(edited)
    },
    seeds: {
      (0..<60).map { [UInt8($0 % 2)] + editSeed($0 + 1, byteCount: 4 + $0 / 8 * 4) }
        + structureSeeds
    })
}

@inline(never) private func loadMap(
  _ storage: MemoryStorage, checkpoint: UInt64, pageCount: Int, digest: UInt64,
  _ input: inout FuzzInput
) {
  do throws(PagerError) {
    var map = try FreeMap.load(
      layout: FreeMapLayout(pageByteCount: pageByteCount), checksumSeed: 5,
      checkpoint: checkpoint, pageCount: pageCount, digest: digest, from: storage)
    let first = Swift.max(4, input.word() % pageCount)
    let change = SpaceChange(
      extent: Extent(first: PageID(UInt64(first)), pageCount: 1), isUsed: input.byte() & 1 != 0)
    try map.apply([change], pageCount: pageCount)
    let digest = try map.writeChanges(checkpoint: checkpoint + 1, to: storage)
    let again = try FreeMap.load(
      layout: FreeMapLayout(pageByteCount: pageByteCount), checksumSeed: 5,
      checkpoint: checkpoint + 1, pageCount: pageCount, digest: digest, from: storage)
    for page in 0..<pageCount {
      require(
        again.bits.contains(page) == map.bits.contains(page), "page \(page) of the map is lost")
    }
  } catch {
    require(error.code == .corrupted || error.code == .inputOutput, "\(error)")
  }
}

/// Bytes for values to lie in.
private let valueFile = editSeed(1, byteCount: 64 * pageByteCount)

@inline(never) private func read(_ value: LargeValue, _ storage: MemoryStorage, isWhole: Bool) {
  let reader = LargeValueReader(value, storage: storage, pageByteCount: pageByteCount)
  do throws(PagerError) {
    if isWhole, value.byteCount <= valueFile.count {
      let room = UnsafeMutableRawBufferPointer.allocate(byteCount: value.byteCount, alignment: 8)
      defer { room.deallocate() }
      try reader.readAll(into: room)
    } else {
      try reader.forEachChunk { _ in }
    }
  } catch {
    require(
      error.code == .corrupted || error.code == .inputOutput || error.code == .invalidArgument,
      "\(error)")
  }
}

@inline(never) private func recover(_ bytes: [UInt8]) {
  guard let damaged = memoryStorage(of: bytes),
    let storage = try? MemoryStorage(capacityByteCount: 64 << 20, reservedByteCount: 64 << 20)
  else { return require(false, "the storage takes no bytes") }
  attempt("salvage") {
    let report = try Database.salvage(from: damaged, into: storage)
    let database = try openFile(storage.reopen())
    let problems = try database.verify().problems
    require(problems.isEmpty, "the salvaged file is damaged: \(problems.first ?? "")")
    var count = 0
    try database.forEach { _, _ in
      count += 1
      return .next
    }
    for name in try database.treeNames() { count += try database.existingTree(name)?.count ?? 0 }
    require(count == report.entryCount, "\(count) entries, reported \(report.entryCount)")
    try database.close()
  }
}
