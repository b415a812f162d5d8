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
      (0..<120).map { [UInt8($0 % 2)] + editSeed($0 + 1, byteCount: $0 == 0 ? 0 : 4 + $0 / 8 * 4) }
        + structureSeeds
    })
}

let pageByteCount = 4096

var options: Database.Options {
  var options = Database.Options()
  options.pageSize = pageByteCount
  options.cacheByteCount = 1 << 20
  options.durability = .flush
  return options
}

func openFile(_ storage: MemoryStorage) throws(PagerError) -> Database {
  try Database.open(storage: storage, options: options, hasBackgroundThreads: false)
}

/// The errors that a hostile file may lead to.
private let expectedCodes: Set<DatabaseError.Code> = [
  .corrupted, .notADatabase, .unsupportedVersion, .outOfAddressSpace, .diskFull, .poisoned,
  .notFound, .alreadyExists, .invalidArgument, .typeMismatch,
]

@discardableResult
func attempt(_ what: String, _ body: () throws -> Void) -> Bool {
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
///
/// - Parameters:
///   - reservedByteCount: the addresses that the "file" may take.
///   - more: what else to do; it says whether all of it went without an error.
func exercise(
  _ bytes: [UInt8], reservedByteCount: Int = 8 << 20, more: (Database) -> Bool = { _ in true }
) {
  guard let storage = memoryStorage(of: bytes, reservedByteCount: reservedByteCount) else {
    return require(false, "the storage takes no bytes")
  }
  var opened: Database?
  _ = attempt("opening") { opened = try openFile(storage) }
  guard let database = opened else { return }
  var isSound = false
  _ = attempt("verify") { isSound = try database.verify().isSound }
  let isRead = read(database)
  require(isRead || !isSound, "a sound file can't be read")
  let isMoreDone = more(database)
  require(isMoreDone || !isSound, "a sound file's layers can't be used")
  let isWritten = write(database)
  require(isWritten || !isSound, "a sound file can't be written")
  let isClosed = attempt("closing") { try database.close() }
  if !isClosed { database.pager.abandon() }
  guard isSound else { return }
  require(isClosed, "a sound file can't be closed")
  do {
    let database = try openFile(storage.reopen())
    let problems = try database.verify().problems
    require(problems.isEmpty, "a sound file is damaged by writes: \(problems[0])")
    try database.close()
  } catch {
    require(false, "a sound file can't be opened again: \(error)")
  }
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
