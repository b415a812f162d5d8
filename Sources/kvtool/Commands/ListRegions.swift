import BTreeKV
import Regions

/// `regions`: which regions there are.
struct ListRegions: Command {
  static let name = "regions"
  static let summary = "list the regions with their numbers of bytes"
  static let notes = """
    A line is the name, a tab and the number.

    """

  init(parsing arguments: Arguments) {}

  func run(in session: Session) throws(Failure) -> ExitStatus {
    let database = try session.database(for: .read)
    do {
      try database.read { snapshot in
        for name in try snapshot.regionNames() {
          guard let region = try snapshot.region(name) else { continue }
          write(name, try region.count, to: session)
        }
      }
    } catch {
      throw Failure(error)
    }
    return .done
  }

  private func write(_ name: String, _ count: Int, to session: Session) {
    let output = session.output
    guard !session.settings.format.isJSON else {
      var line = JSONLine(output)
      line.add("name", name)
      line.add("bytes", count)
      line.end()
      return
    }
    var text = name
    text.withUTF8 { output.writeText(UnsafeRawBufferPointer($0)) }
    output.write("\t\(count)\n")
  }
}
