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

  // MARK: Reading

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
        session.tell { line in
          line.add("region", self.region)
          line.add("from", start)
          line.add("bytes", bytes: bytes, allHex: allHex)
        }
        return .done
      }
      var place = start
      while place < end, output.isOpen, !Interrupt.isPending {
        let next = min(end, place + Pieces.byteCount)
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
    session.tell { line in
      line.add("region", region)
      line.add("bytes", byteCount)
      line.add("chunks", chunkCount)
      line.add("reserved_bytes", reserved)
    }
    return .done
  }

  // MARK: Changing

  private func store(
    _ source: ByteSource, isReplacing: Bool, in session: Session
  ) throws -> ExitStatus {
    try source.check(for: Self.self, in: session)
    var pieces = try Pieces(source)
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
    session.tell { line in
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
    session.tell { line in
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
    session.tell { $0.add("removed", region) }
    session.confirm("removed")
    return .done
  }

  private func rename(to newName: String, in session: Session) throws -> ExitStatus {
    let database = try session.database(for: .write)
    guard try database.existingRegion(region) != nil else { return regionNotFound() }
    try database.write(durability: session.settings.durability) { transaction in
      try transaction.renameRegion(region, to: newName)
    }
    session.tell { line in
      line.add("renamed", region)
      line.add("name", newName)
    }
    session.confirm("renamed")
    return .done
  }
}
