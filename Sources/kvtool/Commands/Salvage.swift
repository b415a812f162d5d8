import BTreeKV

/// `salvage`: recovers what is left of a damaged file into a new one.
struct Salvage: Command {
  static let name = "salvage"
  static let summary = "recover what is left of a damaged file into a new one"
  static let operands = ["NEW-FILE"]
  static let options = [
    OptionRule(
      name: "--identifier", placeholder: "HEX",
      summary: "the damaged file's identifier, if nothing in it says it any more; see info")
  ]
  static let notes = """
    The damaged file is only read, and NEW-FILE must not exist. Trees are followed from their roots;
    the log is applied on top. Where something can't be reached, all pages are searched for intact
    leaves. What those hold goes to a tree "salvaged", since leaves do not say which tree they
    belong to; it may hold entries that were removed or changed before the damage.
    A region ends where bytes are missing; what follows becomes the region NAME~OFFSET. Of entry
    stores the entries are kept that match their checksums.

    The exit status is 0 when nothing was lost and 3 when something was; each loss is a line.

    """

  private let newPath: String
  private let identifier: String?

  init(parsing arguments: Arguments) throws(Failure) {
    newPath = try Literal.path(of: arguments.operands[0])
    let given = arguments.options["--identifier"]
    identifier = given?.text
    if let given {
      let digits = given.text.filter { $0 != "-" }
      guard digits.utf8.count == 32, digits.allSatisfy({ $0.isASCII && $0.isHexDigit }) else {
        throw .usage("--identifier takes 32 hexadecimal digits, not \(Literal.quoted(given))")
      }
    }
  }

  func run(in session: Session) throws(Failure) -> ExitStatus {
    let report: SalvageReport
    do {
      report = try salvage(session.path)
    } catch  where error.code == .alreadyExists {
      throw .other(located(error.description, at: newPath))
    } catch  where error.code == .notFound {
      // Making it, as others advise, would not help.
      throw .other(located(error.description, at: session.path))
    } catch {
      throw Failure(error)
    }
    write(report, to: session)
    guard report.isComplete else {
      let count = report.lossCount
      throw .other(
        located("salvage reports \(count) \(count == 1 ? "loss" : "losses")", at: session.path))
    }
    return .done
  }

  /// Salvages, with a line of progress where a person is watching.
  private func salvage(_ path: String) throws(DatabaseError) -> SalvageReport {
    guard System.isTerminal(System.standardError) else {
      return try Database.salvage(from: path, to: newPath, identifier: identifier)
    }
    var shown = -1
    defer { if shown >= 0 { Diagnostics.write("\r\u{1b}[K") } }
    return try Database.salvage(from: path, to: newPath, identifier: identifier) { progress in
      let percent = progress.pagesRead * 100 / max(1, progress.pagesTotal)
      guard percent != shown else { return }
      shown = percent
      Diagnostics.write(
        "\rsalvage: \(percent) % (\(progress.pagesRead) of \(progress.pagesTotal) pages)\u{1b}[K")
    }
  }

  private func write(_ report: SalvageReport, to session: Session) {
    let output = session.output
    if session.settings.format.isJSON {
      var line = JSONLine(output)
      line.add("complete", report.isComplete)
      line.add("entries", report.entryCount)
      line.add("trees", report.treeCount)
      line.add("regions", report.regionCount)
      line.add("region_bytes", report.regionByteCount)
      line.add("entry_stores", report.entryStoreCount)
      line.add("entry_store_entries", report.entryStoreEntryCount)
      line.add("file_identifier", report.fileIdentifier)
      line.add("page_size", report.pageSize)
      line.add("reached_pages", report.reachedPageCount)
      line.add("scanned_pages", report.scannedPageCount)
      if let tree = report.salvagedTree { line.add("salvaged_tree", tree) }
      line.add("salvaged_entries", report.salvagedCount)
      line.add("log_records", report.logRecordCount)
      line.add("damaged_pages", report.damagedPageCount)
      line.add("damaged_values", report.damagedValueCount)
      line.add("missing_entries", report.missingEntryCount)
      line.add("loss_count", report.lossCount)
      line.add("losses", report.losses)
      line.add("notes", report.notes)
      line.end()
      return
    }
    for loss in report.losses { output.write("lost: " + singleLine(loss) + "\n") }
    let untold = report.lossCount - report.losses.count
    if untold > 0 { output.write("lost: \(untold) more\n") }
    for note in report.notes { output.write("note: " + singleLine(note) + "\n") }
    if report.missingEntryCount > 0 {
      output.write("missing: \(report.missingEntryCount) entries of trees that are not whole\n")
    }
    if let tree = report.salvagedTree {
      output.write(
        "found: \(report.salvagedCount) entries of unknown trees, in \"\(singleLine(tree))\"\n")
    }
    output.write(
      "salvaged: \(report.entryCount) entries, \(report.treeCount) named trees, "
        + "\(report.regionCount) regions, \(report.entryStoreCount) entry stores with "
        + "\(report.entryStoreEntryCount) entries\n")
  }
}
