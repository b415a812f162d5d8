import BTreeKV
import Vectors

extension VectorCommand {
  func run(in session: Session) throws(Failure) -> ExitStatus {
    do {
      if case .load(let load) = action { return try self.load(load, in: session) }
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
            line.add(found.computation)
          }
          if !session.settings.format.isJSON {
            session.output.write("sound: \(found.count) elements\n")
            if let computation = found.computation {
              session.output.write("computed: \(computation.origin), \(computation.state)\n")
            }
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
    switch found.format {
    case .raw:
      if let vector = try snapshot.rawVector(found.name, of: type, version: found.version) {
        try show(found, vector.reader(), in: session)
      }
    case .compressed:
      guard let type = type as? any CompressibleToolElement.Type else { return }
      try showCompressed(found, as: type, snapshot, in: session)
    }
  }

  private func showCompressed<Element: CompressibleToolElement>(
    _ found: VectorDescription, as type: Element.Type, _ snapshot: Snapshot, in session: Session
  ) throws {
    if let vector = try snapshot.compressedVector(found.name, of: type, version: found.version) {
      try show(found, vector.reader(), in: session)
    }
  }

  private func show<Reader: VectorReader>(
    _ found: VectorDescription, _ reader: Reader, in session: Session
  ) throws where Reader.Element: ToolElement {
    let count = reader.count
    switch action {
    case .head(let wanted): try print(reader, 0..<min(count, wanted), in: session)
    case .tail(let wanted): try print(reader, count - min(count, wanted)..<count, in: session)
    case .slice(let start, let end):
      try print(reader, min(start, end, count)..<min(end, count), in: session)
    case .statistics: try printStatistics(found, reader, in: session)
    case .histogram(let binCount): try printHistogram(reader, binCount, in: session)
    case .export(let format, let column):
      try export(reader, format, column, to: session.output)
    case .load, .verify: break
    }
  }

  // MARK: Showing

  private func print<Reader: VectorReader>(
    _ reader: Reader, _ range: Range<Int>, in session: Session
  ) throws where Reader.Element: ToolElement {
    let output = session.output
    var holes = try reader.holes(in: range)[...]
    for index in range {
      guard output.isOpen, !Interrupt.isPending else { return }
      let isHole = holes.first == index
      if isHole { holes.removeFirst() }
      let element = isHole ? nil : try reader.value(at: index)
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

  private func printStatistics<Reader: VectorReader>(
    _ found: VectorDescription, _ reader: Reader, in session: Session
  ) throws where Reader.Element: ToolElement {
    let statistics = try Reader.Element.statistics(of: reader)
    let holeCount = reader.count - (try reader.presentCount())
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
    if let computation = found.computation {
      session.output.write(
        """
        computed  \(computation.origin)
        state     \(computation.state)

        """)
    }
  }

  private func printHistogram<Reader: VectorReader>(
    _ reader: Reader, _ binCount: Int, in session: Session
  ) throws where Reader.Element: ToolElement {
    var (least, greatest, otherCount) = (Double.infinity, -Double.infinity, 0)
    try reader.forEachElement { _, element in
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
    try reader.forEachElement { _, element in
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

  private func export<Reader: VectorReader>(
    _ reader: Reader, _ format: Format, _ column: String, to output: Output
  ) throws where Reader.Element: ToolElement {
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

  private func load(_ load: Load, in session: Session) throws -> ExitStatus {
    try load.source.check(for: Self.self, in: session)
    var pieces = try Pieces(load.source)
    defer { pieces.close() }
    let database = try session.database(for: .write)
    let found = try database.vectors().first { $0.name == vector }
    guard let tag = load.type ?? found?.elementTag else {
      Diagnostics.write("no vector named \(singleLine(vector)); --type makes one\n")
      return .notFound
    }
    let element = try ToolElements.type(ofTag: tag)
    let version = found?.version ?? 0
    let (start, count) = try database.write(durability: session.settings.durability) {
      transaction in
      guard load.isCompressed || found?.format == .compressed else {
        return try self.load(&pieces, load, as: element, version, transaction)
      }
      guard let element = element as? any CompressibleToolElement.Type else {
        throw Failure.other("elements of type \(tag) can't be compressed")
      }
      return try loadCompressed(&pieces, load, as: element, version, transaction)
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
    _ pieces: inout Pieces, _ load: Load, as type: Element.Type, _ version: UInt32,
    _ transaction: borrowing Transaction
  ) throws -> (start: Int, count: Int) {
    let vector = try transaction.rawVector(self.vector, of: type, version: version)
    return try self.load(&pieces, load, into: vector)
  }

  private func loadCompressed<Element: CompressibleToolElement>(
    _ pieces: inout Pieces, _ load: Load, as type: Element.Type, _ version: UInt32,
    _ transaction: borrowing Transaction
  ) throws -> (start: Int, count: Int) {
    let vector = try transaction.compressedVector(self.vector, of: type, version: version)
    return try self.load(&pieces, load, into: vector)
  }

  private func load<Target: WritableVector & ~Copyable & ~Escapable>(
    _ pieces: inout Pieces, _ load: Load, into vector: borrowing Target
  ) throws -> (start: Int, count: Int) where Target.Element: ToolElement {
    if load.isReplacing { try vector.truncate(to: 0) }
    let start = try vector.count
    switch load.format {
    case .numPy:
      var reader = NumPyReader<Target.Element>()
      while let piece = try pieces.next() {
        var elements: [Target.Element] = []
        try reader.read(piece) { elements += $0 }
        try vector.append(contentsOf: elements)
      }
      try reader.finish()
    case .table(let format):
      var elements: [Target.Element] = []
      var holes: [Int] = []
      let sink = ColumnSink(load.column, of: Target.Element.self) { element in
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
