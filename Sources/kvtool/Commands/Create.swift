import BTreeKV

/// `create`: makes an empty database.
struct Create: Command {
  static let name = "create"
  static let summary = "make an empty database; the file must not exist"
  static let options = [
    OptionRule(
      name: "--page-size", placeholder: "N",
      summary: "bytes a page, a power of two from 4096 to 65536")
  ]

  private let pageSize: Int?

  init(parsing arguments: Arguments) throws(Failure) {
    pageSize = try arguments.number("--page-size", in: 4096...65536)
    if let pageSize, pageSize & (pageSize - 1) != 0 {
      throw .usage("--page-size takes a power of two; \(pageSize) is not")
    }
  }

  func run(in session: Session) throws(Failure) -> ExitStatus {
    let database = try session.create(pageSize: pageSize)
    if session.settings.format.isJSON {
      let statistics: Statistics
      do { statistics = try database.statistics() } catch { throw Failure(error) }
      var line = JSONLine(session.output)
      line.add("created", session.path)
      line.add("page_size", statistics.pageSize)
      line.end()
    }
    session.confirm("created")
    return .done
  }
}
