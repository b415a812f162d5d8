@testable import BTreeKV
@testable import Pager

// The files that hostile ones are made of, and edits of them.

/// A valid file and what must be known to give it checksums.
struct SampleFile: Sendable {
  var bytes: [UInt8]
  var block: Superblock
  /// The pages that look like pages of trees, in use or not.
  var treePages: [Int]

  init(_ bytes: [UInt8]) throws {
    self.bytes = bytes
    block = try Superblock.decode(Array(bytes[..<512]))
    treePages = (4..<bytes.count / pageByteCount).filter { page in
      bytes.get(UInt64.self, at: page * pageByteCount + PageHeader.idOffset) == UInt64(page)
        && bytes[page * pageByteCount + PageHeader.kindOffset] == PageHeader.treeKind
    }
  }

  /// Applies the input's edits and seals what they touched.
  func edited(_ input: inout FuzzInput) -> [UInt8] {
    var copy = bytes
    var isMapEdited = false
    var isSuperblockEdited = false
    for _ in 0..<16 where !input.isEmpty {
      let choice = Int(input.byte())
      if choice >= 208 {
        change(&copy, &input, choice - 208, &isMapEdited)
        continue
      }
      let page: Int
      switch choice {
      case 0..<32: page = 0
      case 32..<40: page = 2 + choice % 2
      case 40..<56: page = block.treeTable.map { Int($0.extent.first.rawValue) } ?? 4
      case 56..<80: page = block.log.map { Int($0.extent.first.rawValue) } ?? 5
      default: page = 4 + choice % max(1, bytes.count / pageByteCount - 4)
      }
      let start = page * pageByteCount
      guard start + pageByteCount <= copy.count else { continue }
      var length = choice & 1 == 0 ? 256 : pageByteCount
      if page == 0 {
        isSuperblockEdited = true
        length = 200
      }
      if block.log.map({ Int($0.extent.first.rawValue) == page }) ?? false {
        // Where the records are, as often as in the header and the link.
        copy.edit(&input, in: choice & 2 == 0 ? start..<start + 1024 : start + 1024..<start + 2048)
      } else {
        copy.edit(&input, in: start + (page == 0 ? 24 : 0)..<start + length)
      }
      if page == 2 || page == 3 { isMapEdited = true }
      let kind = bytes[start + PageHeader.kindOffset]
      if page > 1, bytes.get(UInt64.self, at: start + 8) == UInt64(page), kind == 1 || kind == 2 {
        copy.sealPage(page, pageByteCount: pageByteCount, seed: block.checksumSeed)
      }
    }
    seal(&copy, isMapEdited: isMapEdited, isSuperblockEdited: isSuperblockEdited)
    return copy
  }

  private func seal(_ copy: inout [UInt8], isMapEdited: Bool, isSuperblockEdited: Bool) {
    if let location = block.treeTable {
      let start = Int(location.extent.first.rawValue) * pageByteCount
      let count = Int(truncatingIfNeeded: copy.get(UInt64.self, at: 184))
      if count >= 0, count < copy.count - start {
        let sum = copy.withUnsafeBytes {
          checksum64(
            UnsafeRawBufferPointer(rebasing: $0[start..<start + count]), seed: block.checksumSeed)
        }
        copy.put(sum, at: 192)
      }
    }
    if let log = block.log {
      let start = Int(log.extent.first.rawValue) * pageByteCount
      copy.sealSector(at: start)
      if copy.get(UInt64.self, at: start + 512) != 0 { copy.sealSector(at: start + 512) }
      copy.sealRecords(
        start: start, end: start + log.extent.pageCount * pageByteCount,
        offset: LogSegment.recordsOffset + Int(log.replayFrom.rawValue - log.firstLSN.rawValue),
        salt: log.salt, firstLSN: log.firstLSN.rawValue)
    }
    // The group of the map is one; the digest is made right unless that word itself was edited.
    if isMapEdited || isSuperblockEdited, copy.get(UInt64.self, at: 104) == block.mapDigest {
      let digest = copy.mapDigest(
        checkpoint: copy.get(UInt64.self, at: 32), pageByteCount: pageByteCount)
      copy.put(digest, at: 104)
    }
    copy.sealSuperblock()
    copy.replaceSubrange(pageByteCount..<pageByteCount + 512, with: copy[..<512])
  }
}

/// A closed file, and one whose writer died with a log.
let sampleFiles: [SampleFile?] = [
  try? SampleFile(sampleFile(isClosed: true)), try? SampleFile(sampleFile(isClosed: false)),
]

private func sampleFile(isClosed: Bool) throws -> [UInt8] {
  let storage = try MemoryStorage(capacityByteCount: 8 << 20, reservedByteCount: 8 << 20)
  let database = try openFile(storage)
  for number in 100..<400 {
    try database.insert("key \(number)", [UInt8](repeating: 7, count: number % 90))
  }
  for number in 0..<12 {
    try database.insert(
      String(repeating: "l", count: 700) + "\(number)", [UInt8](repeating: 1, count: 900))
  }
  try database.insert("large", [UInt8](repeating: 1, count: 10_000))
  try database.insert("larger", [UInt8](repeating: 2, count: 70_000))
  for name in ["a", "b", "c"] {
    let tree = try database.tree(name)
    for number in 0..<(name == "a" ? 120 : 10) {
      try tree.insert("key \(number)", [UInt8](repeating: 7, count: 60))
    }
  }
  if isClosed {
    try database.close()
    return storage.reopen().copyOfContents()
  }
  try database.checkpoint()
  try database.insert("key 1", "in the log")
  _ = try database.remove("key 120")
  _ = try database.removeRange(.from("key 130"))
  try database.insert("large", [UInt8](repeating: 4, count: 12_000))
  try database.tree("d").insert("a", "b")
  _ = try database.dropTree("c")
  try database.checkpoint()
  try database.insert("key 2", "in the log")
  _ = try database.remove("key 121")
  try database.insert("large", [UInt8](repeating: 4, count: 11_000))
  _ = try database.removeRange(.from("key 125"))
  try database.tree("e").insert("a", "b")
  let bytes = storage.copyOfContents()
  database.pager.abandon()
  return bytes
}
