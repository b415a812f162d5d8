import BTreeKV

/// `backup`: copies everything into a new file.
struct Backup: Command {
  static let name = "backup"
  static let summary = "copy everything, as it is now, into a new file"
  static let operands = ["NEW-FILE"]
  static let notes = """
    NEW-FILE must not exist. It has that name once it is whole and on the medium, until then it is
    called NEW-FILE.unfinished. It has neither a log nor free space, so it is as short as it can be;
    all checksums of what is copied are compared.

    """

  private let newPath: String

  init(parsing arguments: Arguments) throws(Failure) {
    newPath = try Literal.path(of: arguments.operands[0])
  }

  func run(in session: Session) throws(Failure) -> ExitStatus {
    let database = try session.database(for: .read)
    let report: BackupReport
    do {
      report = try database.backUp(to: newPath, progress: progress)
    } catch let error as DatabaseError where error.code == .alreadyExists || error.code == .busy {
      throw .other(located(error.description, at: newPath))
    } catch {
      throw Failure(error)
    }
    if System.isTerminal(System.standardError) { Diagnostics.write("\r\u{1b}[K") }
    session.tell { line in
      line.add("entries", report.entryCount)
      line.add("bytes", report.byteCount)
    }
    if !session.settings.format.isJSON {
      session.output.write("copied: \(report.entryCount) entries, \(report.byteCount) bytes\n")
    }
    return .done
  }

  /// A line of progress where a person is watching.
  private var progress: ((BackupProgress) throws -> Void)? {
    guard System.isTerminal(System.standardError) else { return nil }
    return { progress in
      let percent = progress.entryCount * 100 / max(1, progress.totalEntryCount)
      Diagnostics.write(
        "\rbackup: \(percent) % (\(progress.entryCount) of \(progress.totalEntryCount) entries)"
          + "\u{1b}[K")
    }
  }
}
