import BTreeKV
import Vectors

/// `vectors`: which vectors there are.
struct ListVectors: Command {
  static let name = "vectors"
  static let summary = "list the vectors with their types and numbers of elements"
  static let notes = """
    A line is the name, a tab, the type of the elements, a tab and their number, holes included.
    Behind that of a computed column, a tab, its rule and its sources, a tab, and whether it is up to
    date. --json adds the size of an element, the format, the version and the last stamp.

    """

  init(parsing arguments: Arguments) {}

  func run(in session: Session) throws(Failure) -> ExitStatus {
    let database = try session.database(for: .read)
    let output = session.output
    let vectors: [VectorDescription]
    do { vectors = try database.vectors() } catch { throw Failure(error) }
    for vector in vectors {
      guard !session.settings.format.isJSON else {
        session.tell { $0.add(vector) }
        continue
      }
      var name = vector.name
      name.withUTF8 { output.writeText(UnsafeRawBufferPointer($0)) }
      output.write("\t\(singleLine(vector.elementTag))\t\(vector.count)")
      if let computation = vector.computation {
        output.write("\t\(computation.origin)\t\(computation.state)")
      }
      output.write("\n")
    }
    return .done
  }
}

extension ComputationDescription {
  /// The rule and the sources.
  var origin: String {
    let names = sources.map { $0.map { singleLine($0) } ?? "(gone)" }
    return "\(singleLine(rule)) of \(names.joined(separator: ", "))"
  }

  /// Whether it is up to date, or how many elements are right.
  var state: String { isUpToDate ? "up to date" : "outdated, \(rightCount) elements are right" }
}

extension JSONLine {
  /// Adds what the file says of a vector.
  mutating func add(_ vector: VectorDescription) {
    add("name", vector.name)
    add("type", vector.elementTag)
    add("element_bytes", vector.elementByteCount)
    add("format", "\(vector.format)")
    add("version", Int(vector.version))
    add("count", vector.count)
    // All digits: `Int` may have no room for a stamp.
    add("stamp", literal: vector.stamp.map(String.init) ?? "null")
    add(vector.computation)
  }

  /// Adds what the file says of how a vector was computed, if it was.
  mutating func add(_ computation: ComputationDescription?) {
    guard let computation else { return }
    add("rule", computation.rule)
    add("rule_version", Int(computation.version))
    add("sources", computation.sources)
    add("right", computation.rightCount)
    add("up_to_date", computation.isUpToDate)
  }
}
