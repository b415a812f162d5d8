import BTreeKV

/// `verify`: checks every page of the file.
struct Verify: Command {
  static let name = "verify"
  static let summary = "check every page and every rule of the format"
  static let notes = """
    The exit status is 0 when the file is sound and 3 when it is not; each problem is a line.

    """

  init(parsing arguments: Arguments) {}

  func run(in session: Session) throws(Failure) -> ExitStatus {
    let database = try session.database(for: .read)
    let report: VerifyReport
    do { report = try check(database) } catch { throw Failure(error) }
    write(report, to: session)
    guard report.isSound else {
      let count = report.problems.count
      throw .other(
        located("verify found \(count) \(count == 1 ? "problem" : "problems")", at: session.path))
    }
    return .done
  }

  /// Verifies, with a line of progress where a person is watching.
  private func check(_ database: Database) throws(DatabaseError) -> VerifyReport {
    guard System.isTerminal(System.standardError) else { return try database.verify() }
    var shown = -1
    defer { if shown >= 0 { Diagnostics.write("\r\u{1b}[K") } }
    return try database.verify { progress in
      let percent = progress.pagesChecked * 100 / max(1, progress.pagesTotal)
      guard percent != shown else { return }
      shown = percent
      Diagnostics.write(
        "\rverify: \(percent) % (\(progress.pagesChecked) of \(progress.pagesTotal) pages)\u{1b}[K")
    }
  }

  private func write(_ report: VerifyReport, to session: Session) {
    if session.settings.format.isJSON {
      var line = JSONLine(session.output)
      line.add("sound", report.isSound)
      line.add("pages", report.pageCount)
      line.add("entries", report.entryCount)
      line.add("problems", report.problems)
      line.end()
      return
    }
    for problem in report.problems { session.output.write(singleLine(problem) + "\n") }
    if report.isSound {
      session.output.write("sound: \(report.pageCount) pages, \(report.entryCount) entries\n")
    }
  }
}
