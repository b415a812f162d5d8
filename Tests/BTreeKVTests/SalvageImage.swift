import Foundation
import TestSupport
import Testing

@testable import BTreeKV
@testable import Pager

/// A file with several trees, large values and a log that was not replayed, and what it holds.
struct SalvageImage {
  typealias Content = [String: [[UInt8]: [UInt8]]]

  /// A live leaf as of the checkpoint.
  struct Leaf {
    var page: Int
    /// Also its own.
    var path: [Int]
    var tree: TreeID
    var pairs: [(key: [UInt8], value: LargeValue?)] = []
  }

  var bytes: [UInt8] = []
  /// What the last checkpoint has; the main tree is "".
  var checkpointed: Content = [:]
  /// The same with the log.
  var final: Content = [:]
  var identifier = ""
  /// The file as it was at a checkpoint before.
  private(set) var older: [UInt8] = []
  private let size: Size
  private var largeCount = 0
  private(set) var leaves: [Leaf] = []
  /// The first pages of what is no tree page.
  private(set) var extents: [Int] = []
  private(set) var treeNames: [TreeID: String] = [.main: ""]

  /// How much there is in a file.
  struct Size {
    /// In each of the three larger trees.
    var entryCount = 500
    /// Of large values; without any, seeded ones.
    var largeByteCounts: [Int] = []

    static let full = Size()
    /// For tests that damage every page.
    static let small = Size(entryCount: 60, largeByteCounts: [5000, 3500, 4200, 66_000])
  }

  static let pageByteCount = 4096
  var pageCount: Int { bytes.count / Self.pageByteCount }

  /// - Parameter isClosed: whether the file was closed, so that there is no log.
  init(seed: UInt64, isClosed: Bool = false, size: Size = .full) throws {
    self.size = size
    var random = SeededRandom(seed: seed)
    let storage = try MemoryStorage()
    var options = Database.Options()
    options.pageSize = Self.pageByteCount
    options.cacheByteCount = 8 << 20
    let database = try openDatabase(in: storage, options, hasBackgroundThreads: false)
    for name in ["", "fruit", "ids", "small"] {
      let count = name == "small" ? 3 : size.entryCount
      for number in 0..<count { try put(name, number, in: database, &random) }
    }
    _ = try database.tree("empty")
    _ = try database.tree("typed", of: UInt64.self, String.self).insert(7, "Ada")
    final["typed"] = [[0, 0, 0, 0, 0, 0, 0, 7]: Array("Ada".utf8)]
    try database.checkpoint()
    older = storage.copyOfContents()
    // Stale pages too.
    for number in stride(from: 0, to: size.entryCount, by: 3) {
      try put("", number, in: database, &random)
    }
    try database.checkpoint()
    checkpointed = final
    identifier = try database.statistics().fileIdentifier
    if !isClosed {
      for number in size.entryCount * 4 / 5..<size.entryCount * 7 / 5 {
        try put(number % 2 == 0 ? "" : "fruit", number, in: database, &random)
      }
      let gone = Self.key("", 17)
      try database.remove(gone)
      final["", default: [:]][gone] = nil
    }
    if !isClosed { bytes = storage.copyOfContents() }
    if isClosed {
      try database.close()
      bytes = storage.copyOfContents()
    } else {
      database.pager.abandon()
    }
    try findLeaves()
  }

  /// Takes a file apart that came of another one.
  init(of bytes: [UInt8], like image: SalvageImage) throws {
    self = image
    older = image.bytes
    self.bytes = bytes
    leaves = []
    extents = []
    try findLeaves()
  }

  static func key(_ tree: String, _ number: Int) -> [UInt8] {
    Array("\(tree) key \(number * 7919 % 10_007)".utf8)
  }

  private mutating func put(
    _ tree: String, _ number: Int, in database: Database, _ random: inout SeededRandom
  ) throws {
    var count = random.below(120)
    if number % 40 == 11 {
      count = random.number(in: 3000...200_000)
      if !size.largeByteCounts.isEmpty {
        count = size.largeByteCounts[largeCount % size.largeByteCounts.count]
      }
      largeCount += 1
    }
    let (key, value) = (Self.key(tree, number), random.bytes(count))
    if tree.isEmpty {
      try database.insert(key, value)
    } else {
      try database.tree(tree).insert(key, value)
    }
    final[tree, default: [:]][key] = value
  }

  private mutating func findLeaves() throws {
    let file = try DamagedFile(MemoryStorage(contents: bytes), identifier: nil)
    let superblock = try #require(file.superblock)
    let trees = try #require(file.trees())
    walk(file, .main, superblock.root.page, superblock.root.height - 1, [])
    for (id, root) in trees { walk(file, id, root.page, root.height - 1, []) }
    if let table = superblock.treeTable { extents.append(Int(table.extent.first.rawValue)) }
    if let log = superblock.log { extents.append(Int(log.extent.first.rawValue)) }
  }

  private mutating func walk(
    _ file: DamagedFile, _ tree: TreeID, _ page: PageReference, _ level: Int, _ path: [Int]
  ) {
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 8)
    defer { copy.deallocate() }
    guard file.read(page.id, epoch: page.epoch, into: copy) == nil, let base = copy.baseAddress
    else { return }
    let node = Node(base)
    let path = path + [Int(page.id.rawValue)]
    if level > 0 {
      for index in 0..<node.count { walk(file, tree, node.child(index), level - 1, path) }
      return
    }
    let list = EntryList()
    list.append(node, 0..<node.count, pageByteCount: 4096)
    var leaf = Leaf(page: path.last ?? 0, path: path, tree: tree)
    for index in 0..<list.count {
      let entry = list.entries[index]
      let value = entry.isLarge ? LargeValue(entry.payload, pageByteCount: 4096) : nil
      leaf.pairs.append((list.key(index), value))
      if tree == .catalogue, let record = CatalogueRecord(entry.payload) {
        treeNames[record.id] = String(decoding: list.key(index), as: UTF8.self)
      }
    }
    leaves.append(leaf)
  }

  /// All pages that trees use.
  var treePages: [Int] { Array(Set(leaves.flatMap(\.path))).sorted() }

  /// Changes a few bytes of a page, or all.
  mutating func damage(page: Int, _ random: inout SeededRandom) {
    let start = page * Self.pageByteCount
    if random.chance(30) {
      for index in start..<start + Self.pageByteCount { bytes[index] = 0 }
    } else {
      for _ in 0..<3 { bytes[start + random.below(500)] ^= UInt8(1 + random.below(255)) }
    }
  }
}

/// What a salvage left.
struct Salvaged {
  var report: SalvageReport
  var content: SalvageImage.Content = [:]
  var codings: [String: String] = [:]

  init(_ bytes: [UInt8], identifier: String? = nil, _ context: String = "") throws {
    let damaged = try MemoryStorage(contents: bytes)
    let new = try MemoryStorage()
    report = try Database.salvage(
      from: damaged, into: new, identifier: identifier.flatMap { FileIdentifier($0) })
    try require(damaged.copyOfContents() == bytes, "\(context): the damaged file was changed")
    let database = try openDatabase(in: new.reopen(), hasBackgroundThreads: false)
    try requireSound(database, context)
    func copy(_ tree: some ReadableTree, _ name: String) throws {
      var pairs: [[UInt8]: [UInt8]] = [:]
      try tree.forEach { key, value in
        pairs[key.withUnsafeBytes { Array($0) }] = value.withUnsafeBytes { Array($0) }
        return .next
      }
      content[name] = pairs
    }
    try copy(database, "")
    for name in try database.treeNames() {
      let tree = try #require(try database.existingTree(name))
      try copy(tree, name)
      codings[name] = try database.read { try $0.treeCodings(name) }
    }
    try database.close()
    try require(
      report.entryCount == content.values.reduce(0) { $0 + $1.count }, "\(context): wrong count")
  }
}
