import BTreeKV

/// `compact`: makes the file as short as what it holds.
struct Compact: Command {
  static let name = "compact"
  static let summary = "move what lies at the end of the file into free space, and cut the end off"
  static let notes = """
    Prints the file's length before and after, in bytes. Large values and regions move, too, which
    closing a file does not do; what entry stores keep of overwritten entries stays, entries NAME
    compact gives that back. Ending it with Ctrl-C loses nothing.

    """

  init(parsing arguments: Arguments) {}

  func run(in session: Session) throws(Failure) -> ExitStatus {
    let database = try session.database(for: .write)
    let report: CompactionReport
    do { report = try compact(database) } catch { throw Failure(error) }
    guard session.settings.format.isJSON else {
      session.output.write("\(report.byteCountBefore)\t\(report.byteCount)\n")
      return .done
    }
    session.tell { line in
      line.add("bytes_before", report.byteCountBefore)
      line.add("bytes", report.byteCount)
      line.add("moved_values", report.movedValueCount)
    }
    return .done
  }

  /// Compacts, with a line of progress where a person is watching.
  private func compact(_ database: Database) throws(DatabaseError) -> CompactionReport {
    let isWatched = System.isTerminal(System.standardError)
    defer { if isWatched { Diagnostics.write("\r\u{1b}[K") } }
    return try database.compact { progress in
      if isWatched {
        Diagnostics.write(
          "\rcompact: \(progress.movedValueCount) values moved, \(progress.byteCount) bytes\u{1b}[K"
        )
      }
      return !Interrupt.isPending
    }
  }
}
