import BTreeKV
import Regions

extension RegionCommand {
  func run(in session: Session) throws(Failure) -> ExitStatus {
    do {
      switch action {
      case .cat(let from, let count): return try cat(from, count, in: session)
      case .put(let source): return try store(source, isReplacing: true, in: session)
      case .append(let source): return try store(source, isReplacing: false, in: session)
      case .truncate(let count): return try truncate(to: count, in: session)
      case .remove: return try remove(in: session)
      case .rename(let newName): return try rename(to: newName, in: session)
      case .stat: return try stat(in: session)
      }
    } catch {
      throw Failure(error)
    }
  }

  private func regionNotFound() -> ExitStatus {
    Diagnostics.write("no region named \(singleLine(region))\n")
    return .notFound
  }

  /// Writes what was done as JSON, if that was asked for.
  private func tell(_ session: Session, _ fill: (inout JSONLine) -> Void) {
    guard session.settings.format.isJSON else { return }
    var line = JSONLine(session.output)
    fill(&line)
    line.end()
  }

  // MARK: Reading

  /// How many bytes are in memory at once.
  private static let pieceByteCount = 1 << 20

  private func cat(_ from: Int, _ count: Int, in session: Session) throws -> ExitStatus {
    let database = try session.database(for: .read)
    let output = session.output
    return try database.read { snapshot in
      guard let region = try snapshot.region(self.region) else { return regionNotFound() }
      let total = try region.count
      let start = min(from, total)
      let end = start + min(count, total - start)
      if case .json(let allHex) = session.settings.format {
        let bytes = try region.read(start..<end)
        tell(session) { line in
          line.add("region", self.region)
          line.add("from", start)
          line.add("bytes", bytes: bytes, allHex: allHex)
        }
        return .done
      }
      var place = start
      while place < end, output.isOpen, !Interrupt.isPending {
        let next = min(end, place + Self.pieceByteCount)
        try region.read(place..<next).withUnsafeBytes { bytes in
          session.settings.format == .hex ? output.writeHex(bytes) : output.write(bytes)
        }
        place = next
      }
      if session.isPrompt || session.settings.format == .hex { output.write("\n") }
      return .done
    }
  }

  /// What the file stores in one piece.
  private static let chunkByteCount = 64 << 10

  private func stat(in session: Session) throws -> ExitStatus {
    let database = try session.database(for: .read)
    guard let found = try database.existingRegion(region) else { return regionNotFound() }
    let byteCount = try found.count
    let chunkCount = (byteCount + Self.chunkByteCount - 1) / Self.chunkByteCount
    let reserved = found.reservedCount
    guard session.settings.format.isJSON else {
      session.output.write(
        """
        region          \(singleLine(region))
        bytes           \(byteCount)
        chunks          \(chunkCount)
        reserved bytes  \(reserved)

        """)
      return .done
    }
    tell(session) { line in
      line.add("region", region)
      line.add("bytes", byteCount)
      line.add("chunks", chunkCount)
      line.add("reserved_bytes", reserved)
    }
    return .done
  }

  // MARK: Changing

  private func store(
    _ source: Source, isReplacing: Bool, in session: Session
  ) throws -> ExitStatus {
    if case .standardInput = source, session.isPrompt {
      throw Failure.usage("standard input holds the commands, not bytes", command: Self.self)
    }
    var pieces = try Pieces(source, atMost: Self.pieceByteCount)
    defer { pieces.close() }
    let database = try session.database(for: .write)
    var (start, byteCount) = (0, 0)
    try database.write(durability: session.settings.durability) { transaction in
      let region = try transaction.region(self.region)
      if isReplacing { try region.truncate(to: 0) }
      start = try region.count
      while let piece = try pieces.next() {
        try region.append(piece)
        byteCount += piece.count
      }
    }
    tell(session) { line in
      line.add("region", region)
      line.add("from", start)
      line.add("bytes", byteCount)
    }
    session.confirm(isReplacing ? "put" : "appended")
    return .done
  }

  private func truncate(to count: Int, in session: Session) throws -> ExitStatus {
    let database = try session.database(for: .write)
    guard let found = try database.existingRegion(region) else { return regionNotFound() }
    try found.truncate(to: count, durability: session.settings.durability)
    tell(session) { line in
      line.add("region", region)
      line.add("bytes", count)
    }
    session.confirm("truncated")
    return .done
  }

  private func remove(in session: Session) throws -> ExitStatus {
    let database = try session.database(for: .write)
    let wasThere = try database.write(durability: session.settings.durability) { transaction in
      try transaction.removeRegion(region)
    }
    guard wasThere else { return regionNotFound() }
    tell(session) { $0.add("removed", region) }
    session.confirm("removed")
    return .done
  }

  private func rename(to newName: String, in session: Session) throws -> ExitStatus {
    let database = try session.database(for: .write)
    guard try database.existingRegion(region) != nil else { return regionNotFound() }
    try database.write(durability: session.settings.durability) { transaction in
      try transaction.renameRegion(region, to: newName)
    }
    tell(session) { line in
      line.add("renamed", region)
      line.add("name", newName)
    }
    session.confirm("renamed")
    return .done
  }
}

/// The bytes of a source in pieces.
///
/// The first is read at once, before the database is opened: a missing file makes none, and a
/// command at the other end of the pipe may still be using it.
private struct Pieces {
  private let source: RegionCommand.Source
  private let limit: Int
  private var descriptor: Int32
  private var first: [UInt8]?

  init(_ source: RegionCommand.Source, atMost limit: Int) throws(Failure) {
    self.source = source
    self.limit = limit
    switch source {
    case .bytes(let bytes):
      descriptor = -1
      first = bytes
      return
    case .standardInput: descriptor = System.standardInput
    case .file(let path):
      let (opened, errorNumber) = System.openForReading(path)
      guard errorNumber == 0 else {
        throw .system(what: singleLine(path), errorNumber: errorNumber)
      }
      descriptor = opened
    }
    do {
      first = try read()
    } catch {
      close()
      throw error
    }
  }

  /// The next piece; nil at the end.
  mutating func next() throws(Failure) -> [UInt8]? {
    let piece: [UInt8]
    if let first {
      piece = first
      self.first = nil
    } else {
      piece = try read()
    }
    return piece.isEmpty ? nil : piece
  }

  func close() {
    if case .file = source { System.close(descriptor) }
  }

  private func read() throws(Failure) -> [UInt8] {
    var bytes: [UInt8] = []
    guard descriptor >= 0 else { return bytes }
    while bytes.count < limit {
      let (byteCount, errorNumber) = System.read(
        from: descriptor, into: &bytes, atMost: limit - bytes.count)
      if errorNumber == System.interrupted { continue }
      guard errorNumber == 0 else { throw .system(what: place, errorNumber: errorNumber) }
      if byteCount == 0 { break }
    }
    return bytes
  }

  private var place: String {
    if case .file(let path) = source { singleLine(path) } else { "standard input" }
  }
}
