@testable import BTreeKV
@testable import Pager

extension FuzzTarget {
  /// A whole file, edited and given right checksums again: answers or errors, in bounded time.
  static let file = FuzzTarget(
    run: { bytes in
      var input = FuzzInput(bytes)
      guard let base = sampleFiles[Int(input.byte()) % sampleFiles.count] else {
        return require(false, "the sample files can't be made")
      }
      exercise(base.edited(&input))
    },
    seeds: {
      (0..<48).map { [UInt8($0 % 2)] + editSeed($0 + 1, byteCount: $0 == 0 ? 0 : 4 + $0 / 8 * 4) }
    })
}

private let pageByteCount = 4096

private var options: Database.Options {
  var options = Database.Options()
  options.pageSize = pageByteCount
  options.cacheByteCount = 1 << 20
  options.durability = .flush
  return options
}

private func openFile(_ storage: MemoryStorage) throws(PagerError) -> Database {
  try Database.open(storage: storage, options: options, hasBackgroundThreads: false)
}

/// The errors that a hostile file may lead to.
private let expectedCodes: Set<DatabaseError.Code> = [
  .corrupted, .notADatabase, .unsupportedVersion, .outOfAddressSpace, .diskFull, .poisoned,
  .notFound, .alreadyExists, .invalidArgument, .typeMismatch,
]

private func attempt(_ what: String, _ body: () throws -> Void) -> Bool {
  do {
    try body()
    return true
  } catch let error as DatabaseError {
    require(expectedCodes.contains(error.code), "\(what): \(error)")
  } catch let error as PagerError {
    require(
      error.code == .corrupted || error.code == .notADatabase || error.code == .unsupportedVersion
        || error.code == .diskFull || error.code == .outOfAddressSpace,
      "\(what): \(error)")
  } catch {
    require(false, "\(what): \(error)")
  }
  return false
}

/// Opens the file and does a little of everything with it.
private func exercise(_ bytes: [UInt8]) {
  guard let storage = memoryStorage(of: bytes) else {
    return require(false, "the storage takes no bytes")
  }
  var opened: Database?
  _ = attempt("opening") { opened = try openFile(storage) }
  guard let database = opened else { return }
  var isSound = false
  _ = attempt("verify") { isSound = try database.verify().isSound }
  let isRead = read(database)
  require(isRead || !isSound, "a sound file can't be read")
  let isWritten = write(database)
  require(isWritten || !isSound, "a sound file can't be written")
  let isClosed = attempt("closing") { try database.close() }
  if !isClosed { database.pager.abandon() }
  guard isSound else { return }
  require(isClosed, "a sound file can't be closed")
  let again = attempt("opening again") {
    let database = try openFile(storage.reopen())
    let problems = try database.verify().problems
    require(problems.isEmpty, "a sound file is damaged by writes: \(problems[0])")
    try database.close()
  }
  require(again, "a sound file can't be opened again")
}

private func read(_ database: Database) -> Bool {
  var isRead = attempt("lookup") {
    for key in ["", "key 10", "key 250", "large", "zzz"] { _ = try database.lookup(key) }
    _ = try database.floor("key 3")
    _ = try database.ceiling("key 3")
  }
  isRead = walk(database) && isRead
  isRead =
    attempt("named trees") {
      for name in try database.treeNames() {
        if let tree = try database.existingTree(name) { isRead = walk(tree) && isRead }
      }
    } && isRead
  return isRead
}

/// Visits all entries both ways; both must find what the tree counts, if they end without an error.
private func walk(_ tree: some ReadableTree) -> Bool {
  var forward = 0
  var backward = 0
  let limit = 100_000
  let isWalked = attempt("iteration") {
    try tree.forEach { _, _ in
      forward += 1
      require(forward < limit, "an endless iteration")
      return .next
    }
    let cursor = try tree.cursor(reversed: true)
    while try cursor.next() != nil {
      backward += 1
      require(backward < limit, "an endless cursor")
    }
    _ = try tree.count(in: .from("key 1"))
    _ = try tree.estimatedCount(in: .from("key 1"))
  }
  return isWalked
}

private func write(_ database: Database) -> Bool {
  let isWritten = attempt("insertion") {
    try database.insert("key 1005", "another")
    try database.insert("key 25 large", [UInt8](repeating: 3, count: 9000))
  }
  let isRemoved = attempt("removal") {
    _ = try database.remove("large")
    _ = try database.removeRange(.from("key 3"))
  }
  let isNamed = attempt("writes to a named tree") {
    guard try database.treeNames().contains("b") else { return }
    try database.tree("b").insert("key 1", "another")
    _ = try database.dropTree("b")
  }
  let isKept = attempt("checkpoint") { try database.checkpoint() }
  return isWritten && isRemoved && isNamed && isKept
}

// MARK: The files, and edits of them

/// A valid file and what must be known to give it checksums.
private struct SampleFile: Sendable {
  var bytes: [UInt8]
  var block: Superblock

  init(_ bytes: [UInt8]) throws {
    self.bytes = bytes
    block = try Superblock.decode(Array(bytes[..<512]))
  }

  /// Applies the input's edits and seals what they touched.
  func edited(_ input: inout FuzzInput) -> [UInt8] {
    var copy = bytes
    var isMapEdited = false
    var isSuperblockEdited = false
    for _ in 0..<16 where !input.isEmpty {
      let choice = Int(input.byte())
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
      let count = Int(copy.get(UInt64.self, at: 184))
      if count < copy.count - start {
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
private let sampleFiles: [SampleFile?] = [
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
