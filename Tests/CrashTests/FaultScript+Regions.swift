import Regions
import TestSupport

@testable import BTreeKV

// Regions in the runs in which calls fail.

extension FaultScript {
  /// A region counts as a tree of this name with one entry.
  static func tree(ofRegion name: String) -> String { "region " + name }

  private static func bytes(of name: String, _ content: Content) -> [UInt8]? {
    content[tree(ofRegion: name)]?[[]]
  }

  static let regionsAtFirst: [Step] = [
    append("small", 200), append("small", 5000), append("big", 70_000),
    .hold(regionHandles), .hold(regionReaders),
    reserve("big", 150_000), append("big", 3000), append("big", 17_000),
    inTransaction,
    writeMany("big"), append("small", 40), truncate("big", 66_000, andAppend: 300),
  ]

  static let regionsLater: [Step] = [
    append("small", 90), .hold(regionHandles), .hold(regionReaders),
    truncate("big", 500, andAppend: 0),
    write("small", at: 100, 3000), inTransaction, removeRegion("big"), append("big", 800),
    renameRegion("small", "renamed"),
  ]

  /// What the writer knows of a region lasts as long as its handle.
  private static let regionHandles = Holding(name: "regions") { database, _ in
    try database.regionNames().map { name in
      let region = try database.existingRegion(name)
      return { region != nil }
    }
  }

  private static let regionReaders = Holding(name: "readers") { database, content in
    try database.regionNames().compactMap { name in
      guard let reader = try database.existingRegion(name)?.reader() else { return nil }
      let expected = bytes(of: name, content) ?? []
      return {
        let span = reader.bytes
        return equalBytes(span.withUnsafeBytes { Array($0) }, expected)
      }
    }
  }

  private static func change(
    _ name: String, _ region: String, _ run: @escaping @Sendable (TransactionRegion) throws -> Void,
    _ edit: @escaping @Sendable (inout [UInt8]) -> Void
  ) -> Step {
    .change(
      Change(name: name) { database, content in
        if let region = try database.existingRegion(region) {
          try database.write { try run(region.access(in: $0)) }
        } else {
          try database.write { try run($0.region(region)) }
        }
      } apply: { content in
        edit(&content[tree(ofRegion: region), default: [:]][[], default: []])
      })
  }

  /// Without a transaction where the region is there already.
  private static func append(_ name: String, _ count: Int) -> Step {
    let new = bytes(count, count)
    return .change(
      Change(name: "append") { database, content in
        if let region = try database.existingRegion(name) {
          try region.append(new)
        } else {
          try database.write { _ = try $0.region(name).append(new) }
        }
      } apply: { content in
        content[tree(ofRegion: name), default: [:]][[], default: []] += new
      })
  }

  private static func write(_ name: String, at offset: Int, _ count: Int) -> Step {
    let new = bytes(count, count + 1)
    return change("write", name) { region in
      try region.write(new, at: min(offset, try region.count))
    } _: { bytes in
      let start = min(offset, bytes.count)
      bytes.replaceSubrange(start..<min(bytes.count, start + count), with: new)
    }
  }

  private static func writeMany(_ name: String) -> Step {
    let new = bytes(10, 5)
    return change("write(_:)", name) { region in
      let count = try region.count
      try region.write([1, 3000, 65_530].map { (min($0, count - min(count, 10)), new) })
    } _: { bytes in
      for offset in [1, 3000, 65_530] {
        let start = min(offset, bytes.count - min(bytes.count, 10))
        bytes.replaceSubrange(start..<min(bytes.count, start + 10), with: new)
      }
    }
  }

  private static func truncate(_ name: String, _ count: Int, andAppend added: Int) -> Step {
    let new = bytes(added, added)
    return change("truncate", name) { region in
      try region.truncate(to: min(count, try region.count), andAppend: new)
    } _: { bytes in
      bytes = bytes.prefix(count) + new
    }
  }

  private static func reserve(_ name: String, _ count: Int) -> Step {
    .change(
      Change(name: "reserve") { database, _ in
        try database.existingRegion(name)?.reserve(count)
      } apply: { _ in
      })
  }

  private static func removeRegion(_ name: String) -> Step {
    .change(
      Change(name: "removeRegion") { database, _ in
        try database.removeRegion(name)
      } apply: {
        $0[tree(ofRegion: name)] = nil
      })
  }

  private static func renameRegion(_ name: String, _ other: String) -> Step {
    .change(
      Change(name: "renameRegion") { database, content in
        guard bytes(of: name, content) != nil, bytes(of: other, content) == nil else { return }
        try database.renameRegion(name, to: other)
      } apply: { content in
        guard bytes(of: name, content) != nil, bytes(of: other, content) == nil else { return }
        content[tree(ofRegion: other)] = content[tree(ofRegion: name)]
        content[tree(ofRegion: name)] = nil
      })
  }

  /// Changes keys and two regions, and undoes a part of it.
  private static var inTransaction: Step {
    struct Refusal: Error {}
    let new = bytes(2000, 12)
    return .change(
      Change(name: "write with regions") { database, _ in
        try database.write { transaction in
          try transaction.insert("beside regions", "value")
          try transaction.region("small").append(new)
          do {
            try transaction.savepoint {
              try transaction.region("big").append(bytes(66_000, 13))
              try transaction.removeRegion("small")
              try transaction.region("undone").append(new)
              throw Refusal()
            }
          } catch is Refusal {}
          try transaction.region("big").append(new)
        }
      } apply: { content in
        content["", default: [:]][Array("beside regions".utf8)] = Array("value".utf8)
        for name in ["small", "big"] {
          content[tree(ofRegion: name), default: [:]][[], default: []] += new
        }
      })
  }

  // MARK: Reading

  static func regions(of database: Database) throws -> Content {
    var content: Content = [:]
    for name in try database.regionNames() {
      content[tree(ofRegion: name)] = [[]: try database.existingRegion(name)?.readAll() ?? []]
    }
    return content
  }

  static func regions(of snapshot: Snapshot) throws -> Content {
    var content: Content = [:]
    for name in try snapshot.regionNames() {
      content[tree(ofRegion: name)] = [[]: try snapshot.region(name)?.readAll() ?? []]
    }
    return content
  }
}
