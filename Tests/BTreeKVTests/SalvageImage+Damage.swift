import TestSupport
import Testing

@testable import BTreeKV
@testable import Pager

extension SalvageImage {
  /// Every pair of an undamaged leaf is in the new file; nothing in a named tree is made up.
  func requireSalvaged(
    _ salvaged: Salvaged, _ damaged: Set<Int>, hasLog: Bool,
    isKnown: Bool = true, _ context: String
  ) throws {
    let found = salvaged.report.salvagedTree.flatMap { salvaged.content[$0] } ?? [:]
    for leaf in leaves where !damaged.contains(leaf.page) && leaf.tree != .catalogue {
      let name = treeNames[leaf.tree] ?? ""
      let isReached = isKnown && leaf.path.allSatisfy { !damaged.contains($0) }
      let own = salvaged.content[name] ?? salvaged.content["salvaged-\(leaf.tree.rawValue)"] ?? [:]
      for (key, value) in leaf.pairs {
        let pages = value?.extents.flatMap { Int($0.first.rawValue)..<Int($0.end) } ?? []
        if pages.contains(where: { damaged.contains($0) }) { continue }
        let old = checkpointed[name]?[key]
        let new = final[name]?[key]
        if hasLog, old != new, own[key] == new { continue }
        // A value that the log replaced by one whose bytes are damaged.
        if hasLog, own[key] == nil, new?.count ?? 0 > 1000, old != new,
          salvaged.report.damagedValueCount > 0
        {
          continue
        }
        let place = isReached ? own[key] : own[key] ?? found[key]
        try require(
          equalBytes(place, old) || equalBytes(found[key], old) && !isReached,
          "\(context): \(hex(key)) of the tree \"\(name)\" (page \(leaf.page)) is missing")
      }
    }
    for (name, pairs) in salvaged.content where !name.hasPrefix("salvaged") {
      for (key, value) in pairs {
        let isRight =
          equalBytes(value, checkpointed[name]?[key])
          || equalBytes(value, final[name]?[key])
        try require(isRight, "\(context): \(hex(key)) of \"\(name)\" is made up")
      }
    }
  }

  /// What a page is for.
  enum Role: Equatable {
    case superblock, freeMap, oldFreeMap, table, log, free
    /// A page of a tree.
    case tree(TreeID)
    /// Bytes of a key's value.
    case value(TreeID, key: [UInt8], first: Int)

    /// For counting.
    var name: String {
      switch self {
      case .superblock: "superblock"
      case .freeMap: "free map"
      case .oldFreeMap: "free map not in force"
      case .table: "table of trees"
      case .log: "log"
      case .free: "free"
      case .tree(let id):
        switch id {
        case .main: "main tree"
        case .catalogue: "catalogue"
        default: "named tree"
        }
      case .value: "large value"
      }
    }
  }

  /// What each page is for, and which of its bytes mean anything.
  func roles() throws -> [(role: Role, meaning: Range<Int>)] {
    let all = 0..<Self.pageByteCount
    var roles = [(role: Role, meaning: Range<Int>)](repeating: (.free, all), count: pageCount)
    let block = try Pager.readSuperblock(from: MemoryStorage(contents: bytes))
    for page in 0...1 { roles[page] = (.superblock, 0..<Superblock.byteCount) }
    let epochs = [2, 3].map { page in
      bytes.withUnsafeBytes {
        $0.load(fromByteOffset: page * Self.pageByteCount + PageHeader.epochOffset, as: UInt64.self)
      }
    }
    roles[epochs[0] > epochs[1] ? 2 : 3] = (.freeMap, all)
    roles[epochs[0] > epochs[1] ? 3 : 2] = (.oldFreeMap, all)
    if let table = block.treeTable {
      for index in 0..<table.extent.pageCount {
        let end = min(Self.pageByteCount, table.byteCount - index * Self.pageByteCount)
        roles[Int(table.extent.first.rawValue) + index] = (.table, 0..<end)
      }
    }
    if let log = block.log {
      let records = Int(log.replayFrom.rawValue - log.firstLSN.rawValue) + LogSegment.recordsOffset
      for index in 0..<log.extent.pageCount {
        let page = Int(log.extent.first.rawValue) + index
        let start = page * Self.pageByteCount
        let last = bytes[start..<start + Self.pageByteCount].lastIndex { $0 != 0 }
        let end = last.map { $0 - start + 1 } ?? 0
        let begin = max(0, records - index * Self.pageByteCount)
        if begin < end { roles[page] = (.log, begin..<end) }
      }
    }
    for leaf in leaves {
      for page in leaf.path { roles[page] = (.tree(leaf.tree), all) }
      for (key, value) in leaf.pairs {
        guard let value else { continue }
        var left = LargeValue.storedByteCount(value.byteCount)
        let first = Int(value.extents[0].first.rawValue)
        for extent in value.extents {
          for page in Int(extent.first.rawValue)..<Int(extent.end) {
            roles[page] = (
              .value(leaf.tree, key: key, first: first), 0..<min(left, Self.pageByteCount)
            )
            left -= Self.pageByteCount
          }
        }
      }
    }
    return roles
  }

  /// What a medium may do to a page.
  enum Damage: CaseIterable {
    /// A bit is another.
    case bitFlip
    /// The page is zeros.
    case zeros
    /// A write of another page came here.
    case misdirected
    /// The last write of the page never came: what was there before is there still, whole.
    case stale
    /// Of the last write, only the first half came.
    case torn
  }

  /// The file with one page damaged; nil when that changes nothing that means anything.
  func damaged(
    _ page: Int, _ meaning: Range<Int>, _ damage: Damage, _ random: inout SeededRandom
  ) -> [UInt8]? {
    let range = page * Self.pageByteCount..<(page + 1) * Self.pageByteCount
    var content = Array(bytes[range])
    switch damage {
    case .bitFlip:
      content[meaning.lowerBound + random.below(meaning.count)] ^= 1 << UInt8(random.below(8))
    case .zeros: content = [UInt8](repeating: 0, count: Self.pageByteCount)
    case .misdirected:
      let other =
        page < 2 ? treePages[0] : treePages.first { $0 != page && $0 > page } ?? treePages[0]
      content = Array(bytes[other * Self.pageByteCount..<(other + 1) * Self.pageByteCount])
    case .stale: content = older(page)
    case .torn:
      let middle = (meaning.lowerBound + meaning.upperBound) / 2
      content.replaceSubrange(middle..., with: older(page)[middle...])
    }
    let start = range.lowerBound
    guard content[meaning] != bytes[start + meaning.lowerBound..<start + meaning.upperBound] else {
      return nil
    }
    var damaged = bytes
    damaged.replaceSubrange(range, with: content)
    return damaged
  }

  /// What may have been in the place of a page before its last write: whole, and of this file.
  private func older(_ page: Int) -> [UInt8] {
    let range = page * Self.pageByteCount..<(page + 1) * Self.pageByteCount
    if range.upperBound <= older.count, older[range] != bytes[range] { return Array(older[range]) }
    // It was not written before: then as if it had been, an epoch earlier.
    var content = Array(bytes[range])
    content.withUnsafeMutableBytes { raw in
      let epoch = raw.load(fromByteOffset: PageHeader.epochOffset, as: UInt64.self)
      raw.storeBytes(of: epoch &- 1, toByteOffset: PageHeader.epochOffset, as: UInt64.self)
      if let seed = FileIdentifier(identifier)?.seed { PageHeader.seal(raw, seed: seed) }
    }
    return content
  }
}
