import BTreeKV

/// `info`: what the file is and how it is filled.
struct Info: Command {
  static let name = "info"
  static let summary = "print what the file, or a tree, is, how large and how full"
  static let isOfTree = true

  init(parsing arguments: Arguments) {}

  func run(in session: Session) throws(Failure) -> ExitStatus {
    let database = try session.database(for: .read)
    if let name = session.settings.tree { return try run(on: name, of: database, in: session) }
    let statistics: Statistics
    do { statistics = try database.statistics() } catch { throw Failure(error) }
    if session.settings.format.isJSON {
      writeJSON(statistics, to: session.output)
    } else {
      writeTable(statistics, to: session.output)
    }
    return .done
  }

  /// Tells of one tree.
  private func run(
    on name: String, of database: Database, in session: Session
  ) throws(Failure) -> ExitStatus {
    let found: TreeStatistics?
    do {
      found = try database.read { try $0.statistics(ofTree: name) }
    } catch {
      throw Failure(error)
    }
    guard let tree = found else { return session.treeNotFound() }
    guard session.settings.format.isJSON else {
      write(
        [
          ("tree", singleLine(name)),
          ("codings", singleLine(tree.codings ?? "-")),
          ("entries", "\(tree.entryCount)"),
          ("tree height", "\(tree.height)"),
          ("leaf pages", "\(tree.leafPageCount)"),
          ("inner pages", "\(tree.innerPageCount)"),
          ("fill of tree pages", percent(tree.fill)),
          ("pages of large values", "\(tree.valueExtentPageCount)"),
        ], to: session.output)
      return .done
    }
    var line = JSONLine(session.output)
    line.add("tree", name)
    if let codings = tree.codings { line.add("codings", codings) }
    line.add("entry_count", tree.entryCount)
    line.add("height", tree.height)
    line.add("leaf_pages", tree.leafPageCount)
    line.add("inner_pages", tree.innerPageCount)
    line.add("fill", tree.fill)
    line.add("value_extent_pages", tree.valueExtentPageCount)
    line.end()
    return .done
  }

  private func writeTable(_ statistics: Statistics, to output: Output) {
    let rows = [
      ("path", singleLine(statistics.path)),
      ("identifier", statistics.fileIdentifier),
      ("format version", "\(statistics.formatVersion)"),
      ("file size", bytes(statistics.fileByteCount)),
      ("page size", bytes(statistics.pageSize)),
      ("entries", "\(statistics.entryCount)"),
      ("named trees", "\(statistics.treeCount)"),
      ("regions", "\(statistics.regionCount)"),
      ("tree height", "\(statistics.height)"),
      ("leaf pages", "\(statistics.leafPageCount)"),
      ("inner pages", "\(statistics.innerPageCount)"),
      ("fill of tree pages", percent(statistics.fill)),
      ("pages of large values", "\(statistics.valueExtentPageCount)"),
      ("free pages", "\(statistics.freePageCount)"),
      ("reserved pages", "\(statistics.reservedPageCount)"),
      ("pages still mapped", "\(statistics.mappedPageCount)"),
      ("checkpoint", "\(statistics.checkpointNumber)"),
      ("log", bytes(statistics.logByteCount)),
      ("live pins", "\(statistics.livePinCount)"),
      ("cache", bytes(statistics.cacheByteCount)),
      ("pages in the cache", "\(statistics.residentPageCount)"),
      ("durability", statistics.durability.rawValue),
    ]
    write(rows, to: output)
  }

  private func write(_ rows: [(String, String)], to output: Output) {
    let width = rows.reduce(0) { max($0, $1.0.count) }
    for (label, value) in rows {
      output.write(label + String(repeating: " ", count: width + 2 - label.count) + value + "\n")
    }
  }

  private func writeJSON(_ statistics: Statistics, to output: Output) {
    var line = JSONLine(output)
    line.add("path", statistics.path)
    line.add("file_identifier", statistics.fileIdentifier)
    line.add("format_version", statistics.formatVersion)
    line.add("file_bytes", statistics.fileByteCount)
    line.add("page_size", statistics.pageSize)
    line.add("entry_count", statistics.entryCount)
    line.add("tree_count", statistics.treeCount)
    line.add("region_count", statistics.regionCount)
    line.add("height", statistics.height)
    line.add("leaf_pages", statistics.leafPageCount)
    line.add("inner_pages", statistics.innerPageCount)
    line.add("fill", statistics.fill)
    line.add("value_extent_pages", statistics.valueExtentPageCount)
    line.add("free_pages", statistics.freePageCount)
    line.add("reserved_pages", statistics.reservedPageCount)
    line.add("mapped_pages", statistics.mappedPageCount)
    line.add("checkpoint_number", statistics.checkpointNumber)
    line.add("log_bytes", statistics.logByteCount)
    line.add("live_pins", statistics.livePinCount)
    line.add("cache_bytes", statistics.cacheByteCount)
    line.add("resident_pages", statistics.residentPageCount)
    line.add("durability", statistics.durability.rawValue)
    line.end()
  }

  /// A number of bytes, exactly and, from a KiB on, as people say it.
  private func bytes(_ count: Int) -> String {
    guard count >= 1024 else { return "\(count)" }
    var tenths = count
    var unit = 0
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
    while tenths >= 1024 * 1024 {
      tenths /= 1024
      unit += 1
    }
    unit += 1
    tenths = tenths * 10 / 1024
    return "\(count) (\(tenths / 10).\(tenths % 10) \(units[unit]))"
  }

  /// A share of one in percent, to a tenth.
  private func percent(_ share: Double) -> String {
    guard share.isFinite else { return "-" }
    let tenths = Int((min(max(share, 0), 1) * 1000).rounded())
    return "\(tenths / 10).\(tenths % 10) %"
  }
}
