import BTreeKV
import Vectors

extension VectorCommand {
  func run(in session: Session) throws(Failure) -> ExitStatus {
    do {
      if case .load(let source, let format, let column, let type, let isReplacing) = action {
        return try load(source, format, column, type, isReplacing: isReplacing, in: session)
      }
      return try session.database(for: .read).read { snapshot in
        guard let found = try snapshot.vectors().first(where: { $0.name == vector }) else {
          Diagnostics.write("no vector named \(singleLine(vector))\n")
          return .notFound
        }
        if case .verify = action {
          _ = try snapshot.verifyVector(vector)
          session.tell { line in
            line.add("name", vector)
            line.add("sound", true)
          }
          if !session.settings.format.isJSON {
            session.output.write("sound: \(found.count) elements\n")
          }
          return .done
        }
        try show(found, as: try ToolElements.type(ofTag: found.elementTag), snapshot, in: session)
        return .done
      }
    } catch {
      throw Failure(error)
    }
  }

  private func show<Element: ToolElement>(
    _ found: VectorDescription, as type: Element.Type, _ snapshot: Snapshot, in session: Session
  ) throws {
    guard
      let reader = try snapshot.rawVector(found.name, of: type, version: found.version)?.reader()
    else { return }
    let count = reader.count
    switch action {
    case .head(let wanted): print(reader, 0..<min(count, wanted), in: session)
    case .tail(let wanted): print(reader, count - min(count, wanted)..<count, in: session)
    case .slice(let start, let end):
      print(reader, min(start, end, count)..<min(end, count), in: session)
    case .statistics: printStatistics(found, reader, in: session)
    case .histogram(let binCount): printHistogram(reader, binCount, in: session)
    case .export(let format, let column):
      try export(reader, format, column, to: session.output)
    case .load, .verify: break
    }
  }

  // MARK: Showing

  private func print<Element: ToolElement>(
    _ reader: RawVectorReader<Element>, _ range: Range<Int>, in session: Session
  ) {
    let output = session.output
    for index in range {
      guard output.isOpen, !Interrupt.isPending else { return }
      let element = reader.element(at: index)
      if session.settings.format.isJSON {
        session.tell { line in
          line.add("index", index)
          line.add("value", number: element?.description)
        }
      } else {
        output.write("\(index)\t\(element?.description ?? "")\n")
      }
    }
  }

  private func printStatistics<Element: ToolElement>(
    _ found: VectorDescription, _ reader: RawVectorReader<Element>, in session: Session
  ) {
    let statistics = Element.statistics(of: reader)
    let holeCount = reader.count - reader.presentCount()
    guard !session.settings.format.isJSON else {
      session.tell { line in
        line.add(found)
        line.add("holes", holeCount)
        line.add("min", number: statistics.least)
        line.add("max", number: statistics.greatest)
        line.add("sum", number: statistics.sum)
        line.add("mean", number: statistics.mean?.description)
      }
      return
    }
    session.output.write(
      """
      vector    \(singleLine(found.name))
      type      \(singleLine(found.elementTag))
      format    \(found.format)
      version   \(found.version)
      stamp     \(found.stamp.map(String.init) ?? "none")
      elements  \(found.count)
      holes     \(holeCount)
      min       \(statistics.least ?? "none")
      max       \(statistics.greatest ?? "none")
      sum       \(statistics.sum)
      mean      \(statistics.mean?.description ?? "none")

      """)
  }

  private func printHistogram<Element: ToolElement>(
    _ reader: RawVectorReader<Element>, _ binCount: Int, in session: Session
  ) {
    var (least, greatest, otherCount) = (Double.infinity, -Double.infinity, 0)
    reader.forEachElement { _, element in
      let number = element.rounded
      guard number.isFinite else {
        otherCount += 1
        return
      }
      (least, greatest) = (min(least, number), max(greatest, number))
    }
    var counts = [Int](repeating: 0, count: least < greatest ? binCount : least == greatest ? 1 : 0)
    // Halves, since the whole width may be more than there are numbers.
    let width = greatest / 2 - least / 2
    reader.forEachElement { _, element in
      let number = element.rounded
      guard number.isFinite else { return }
      let share = width > 0 ? (number / 2 - least / 2) / width : 0
      counts[min(counts.count - 1, Int(share * Double(counts.count)))] += 1
    }
    func edge(_ bin: Int) -> Double {
      if bin == counts.count { return greatest }
      return least + 2 * (width * (Double(bin) / Double(counts.count)))
    }
    for (bin, count) in counts.enumerated() {
      guard session.settings.format.isJSON else {
        session.output.write("\(edge(bin))\t\(edge(bin + 1))\t\(count)\n")
        continue
      }
      session.tell { line in
        line.add("from", edge(bin))
        line.add("to", edge(bin + 1))
        line.add("count", count)
      }
    }
    if otherCount > 0 {
      Diagnostics.write("\(otherCount) elements are not finite\n")
    }
  }

  // MARK: Exchange

  /// Ends an export that nobody reads any more.
  private struct OutputClosed: Error {}

  private func export<Element: ToolElement>(
    _ reader: RawVectorReader<Element>, _ format: Format, _ column: String, to output: Output
  ) throws {
    do {
      switch format {
      case .numPy:
        try NumPy.write(reader) { piece in
          piece.withUnsafeBytes { output.write($0) }
          guard output.isOpen, !Interrupt.isPending else { throw OutputClosed() }
        }
      case .table(let format):
        try TableWriter(format, [ColumnSource(column, reader)]).write { piece in
          piece.withUnsafeBytes { output.write($0) }
          guard output.isOpen, !Interrupt.isPending else { throw OutputClosed() }
        }
      }
    } catch is OutputClosed {
      return
    }
  }

  private func load(
    _ source: ByteSource, _ format: Format, _ column: String, _ type: String?, isReplacing: Bool,
    in session: Session
  ) throws -> ExitStatus {
    try source.check(for: Self.self, in: session)
    var pieces = try Pieces(source)
    defer { pieces.close() }
    let database = try session.database(for: .write)
    let found = try database.vectors().first { $0.name == vector }
    guard let tag = type ?? found?.elementTag else {
      Diagnostics.write("no vector named \(singleLine(vector)); --type makes one\n")
      return .notFound
    }
    let element = try ToolElements.type(ofTag: tag)
    let (start, count) = try database.write(durability: session.settings.durability) {
      transaction in
      try load(
        &pieces, format, column, as: element, version: found?.version ?? 0,
        isReplacing: isReplacing, transaction)
    }
    session.tell { line in
      line.add("name", vector)
      line.add("from", start)
      line.add("elements", count)
    }
    session.confirm("imported")
    return .done
  }

  private func load<Element: ToolElement>(
    _ pieces: inout Pieces, _ format: Format, _ column: String, as type: Element.Type,
    version: UInt32, isReplacing: Bool, _ transaction: borrowing Transaction
  ) throws -> (start: Int, count: Int) {
    let vector = try transaction.rawVector(self.vector, of: type, version: version)
    if isReplacing { try vector.truncate(to: 0) }
    let start = try vector.count
    switch format {
    case .numPy:
      var reader = NumPyReader<Element>()
      while let piece = try pieces.next() {
        var elements: [Element] = []
        try reader.read(piece) { elements += $0 }
        try vector.append(contentsOf: elements)
      }
      try reader.finish()
    case .table(let format):
      var elements: [Element] = []
      var holes: [Int] = []
      let sink = ColumnSink(column, of: type) { element in
        if element == nil { holes.append(elements.count) }
        elements.append(element ?? .zero)
      }
      var reader = TableReader(format, [sink])
      func append() throws {
        let first = try vector.append(contentsOf: elements)
        for hole in holes { try vector.take(at: first + hole) }
        elements.removeAll(keepingCapacity: true)
        holes.removeAll(keepingCapacity: true)
      }
      while let piece = try pieces.next() {
        try reader.read(piece)
        try append()
      }
      try reader.finish()
      try append()
    }
    return (start, try vector.count - start)
  }
}
