import TestSupport
import Testing

@testable import BTreeKV
@testable import Pager

/// Every page of a small file, damaged in every way: what is found, what stays readable, and what
/// salvage saves.
@Suite struct DamageMatrixTests {
  typealias Role = SalvageImage.Role

  /// Prints how many damages were tried, by what the pages are for.
  private func report(_ counts: [String: Int], _ what: String) {
    let list = counts.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }
    let total = counts.values.reduce(0, +)
    print("\(what): \(total) damages tried (\(list.joined(separator: ", ")))")
  }

  /// Damages each page in each way.
  private func forEachDamage(
    _ image: SalvageImage, seed: UInt64, _ what: String,
    _ body: ([UInt8], Int, Role, SalvageImage.Damage, String) throws -> Void
  ) throws {
    var random = SeededRandom(seed: seed)
    var counts: [String: Int] = [:]
    for (page, (role, meaning)) in try image.roles().enumerated() {
      let damages = SalvageImage.Damage.allCases
      for (index, damage) in damages.enumerated() {
        // Many pages are free, and nothing in them means anything: one damage each.
        if role == .free, index != page % damages.count { continue }
        guard let bytes = image.damaged(page, meaning, damage, &random) else { continue }
        try body(bytes, page, role, damage, "seed \(seed), \(damage) of page \(page), \(role.name)")
        counts[role.name, default: 0] += 1
      }
    }
    report(counts, what)
  }

  /// rule B4, F4: damage is found when the file is opened, verified or read, with the page and the
  /// keys; all else stays readable.
  @Test func damageIsFoundAndTheRestIsReadable() throws {
    let image = try SalvageImage(seed: runSeed, isClosed: true, size: .small)
    try forEachDamage(image, seed: runSeed, "opened") { bytes, page, role, damage, context in
      let database: Database
      do {
        database = try openDatabase(
          in: MemoryStorage(contents: bytes), hasBackgroundThreads: false)
      } catch let error as PagerError {
        let isNeeded = role == .freeMap || role == .table
        #expect(error.code == .corrupted && isNeeded, "\(context): \(error)")
        return
      }
      defer { database.pager.abandon() }
      #expect(role != .freeMap && role != .table, "\(context): opens")
      let problems = try database.verify().problems
      switch role {
      case .tree:
        let isFound = problems.contains { $0.contains("page \(page)") && $0.contains("keys from") }
        #expect(isFound, "\(context): \(problems)")
      case .value(_, let key, let first):
        let isFound = problems.contains {
          $0.contains("page \(first)") && $0.contains("of the key \(hex(key).prefix { $0 != " " })")
        }
        #expect(isFound, "\(context): \(problems)")
      default:
        // The other superblock has taken this one's place; nothing needs the rest.
        #expect(problems == [], "\(context)")
      }
      try requireReadable(database, image, page, role, context)
    }
  }

  /// Each key is there or, if the damaged page concerns it, its lookup says which page is damaged.
  private func requireReadable(
    _ database: Database, _ image: SalvageImage, _ page: Int, _ role: Role, _ context: String
  ) throws {
    for leaf in image.leaves where leaf.tree != .catalogue {
      let name = image.treeNames[leaf.tree] ?? ""
      if role == .tree(.catalogue), !name.isEmpty {
        #expect(errorCode { _ = try database.existingTree(name) } == .corrupted, "\(context)")
        continue
      }
      let tree: any ReadableTree =
        name.isEmpty ? database : try #require(try database.existingTree(name))
      for (key, _) in leaf.pairs {
        var expected: Int? = leaf.path.contains(page) ? page : nil
        if case .value(leaf.tree, key: key, let first) = role { expected = first }
        do {
          let found = try tree.lookup(key)
          try require(expected == nil, "\(context): \(hex(key)) is found")
          try require(
            equalBytes(found, image.final[name]?[key]), "\(context): \(hex(key)) is wrong")
        } catch let error as DatabaseError {
          try require(
            error.code == .corrupted && error.page == expected.map { UInt64($0) },
            "\(context): \(hex(key)): \(error)")
        }
      }
    }
  }

  /// Salvage saves every pair of intact leaves and says what is lost.
  @Test(arguments: [true, false]) func salvageSavesTheRest(isClosed: Bool) throws {
    let image = try SalvageImage(seed: runSeed, isClosed: isClosed, size: .small)
    let lastLogPage = try image.roles().lastIndex { $0.role == .log }
    let what = isClosed ? "salvaged" : "salvaged with a log"
    try forEachDamage(image, seed: runSeed &+ 1, what) { bytes, page, role, damage, context in
      let salvaged = try Salvaged(bytes, context)
      let report = salvaged.report
      try image.requireSalvaged(
        salvaged, [page], hasLog: !isClosed, isKnown: role != .table, context)
      switch role {
      case .tree:
        let isTold = report.losses.contains {
          $0.hasPrefix("page \(page),") && $0.contains("keys from")
        }
        #expect(isTold, "\(context): \(report.losses)")
      case .value:
        // What the log replaces is still said to be lost: the value as of the checkpoint is.
        #expect(report.damagedValueCount == 1, "\(context): \(report.losses)")
      case .table:
        #expect(report.losses.contains { $0.contains("table of trees") }, "\(context)")
      case .superblock:
        #expect(report.isComplete, "\(context): \(report.losses)")
        // A superblock that was left as it was is whole: the other one is the newer.
        #expect(report.notes.count == (damage == .stale ? 0 : 1), "\(context): \(report.notes)")
      case .log:
        // What no whole record follows can't be told from records that never were.
        #expect(!report.isComplete || page == lastLogPage, "\(context)")
      case .freeMap, .oldFreeMap:
        #expect(report.isComplete, "\(context): \(report.losses)")
      case .free:
        // Or bytes of a value that only the log names.
        #expect(report.isComplete || !isClosed, "\(context): \(report.losses)")
      }
    }
  }

  /// rule B3, B4, F4: `verify` finds what rots beneath an open database, also where only the next
  /// opening would need it.
  @Test func damageBeneathAnOpenDatabaseIsFound() throws {
    let image = try SalvageImage(seed: runSeed, isClosed: true, size: .small)
    let storage = try MemoryStorage(contents: image.bytes)
    let database = try openDatabase(
      in: storage, tightOptions(durability: .sync), hasBackgroundThreads: false)
    let small = try #require(try database.existingTree("small"))
    for number in 0..<30 { try small.insert("log \(number)", "value") }
    try requireSound(database, "before")
    let live = try SalvageImage(of: storage.copyOfContents(), like: image)
    let other = storage.reopen()
    try forEachDamage(live, seed: runSeed &+ 2, "beneath") { bytes, page, role, damage, context in
      try other.writeBytes(bytes, at: 0)
      let problems = try database.verify().problems
      try other.writeBytes(live.bytes, at: 0)
      let isSmall = live.leaves.contains {
        live.treeNames[$0.tree] == "small" && $0.path.contains(page)
      }
      // The leaf that was changed since is in memory, and its old page is nobody's but the log's.
      let isIdle = role == .free || role == .oldFreeMap || isSmall
      if !isIdle { #expect(!problems.isEmpty, "\(context)") }
      if role == .free || role == .oldFreeMap { #expect(problems == [], "\(context)") }
    }
    try requireSound(database, "afterwards")
    try database.close()
  }
}
