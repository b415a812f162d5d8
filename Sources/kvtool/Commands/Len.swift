import BTreeKV

/// `len`: how many entries there are.
struct Len: Command {
  static let name = "len"
  static let summary = "print the number of entries"

  init(parsing arguments: Arguments) {}

  func run(in session: Session) throws(Failure) -> ExitStatus {
    let count = try session.database(for: .read).count
    if session.settings.format.isJSON {
      var line = JSONLine(session.output)
      line.add("count", count)
      line.end()
    } else {
      session.output.write("\(count)\n")
    }
    return .done
  }
}
