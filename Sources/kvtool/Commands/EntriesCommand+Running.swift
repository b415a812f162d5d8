import BTreeKV
import Regions

extension EntriesCommand {
  func run(in session: Session) throws(Failure) -> ExitStatus {
    do {
      guard let (store, action) = task else { return try listStores(in: session) }
      switch action {
      case .list(let newestFirst, let limit):
        return try list(store, newestFirst ? .newestFirst : .byKey, limit, in: session)
      case .read(let key, let from, let count):
        return try read(key, of: store, from, count, in: session)
      case .write(let key, let source): return try write(key, source, to: store, in: session)
      case .delete(let keys): return try delete(keys, from: store, in: session)
      case .clear: return try clear(store, in: session)
      case .namespaces: return try listNamespaces(of: store, in: session)
      case .stats: return try stats(of: store, in: session)
      case .compact(let isDry): return try compact(store, isDry: isDry, in: session)
      }
    } catch {
      throw Failure(error)
    }
  }

  /// The part of a store that this is about.
  private func part(of store: EntryStore) -> EntryStore {
    namespace.map { store.namespace($0) } ?? store
  }

  private func part(of store: SnapshotEntryStore) -> SnapshotEntryStore {
    namespace.map { store.namespace($0) } ?? store
  }

  @_lifetime(copy store)
  private func part(of store: TransactionEntryStore) -> TransactionEntryStore {
    guard let namespace else { return store }
    return store.namespace(namespace)
  }

  private func storeNotFound(_ store: String) -> ExitStatus {
    Diagnostics.write("no entry store named \(singleLine(store))\n")
    return .notFound
  }

  // MARK: Reading

  private func listStores(in session: Session) throws -> ExitStatus {
    let output = session.output
    try session.database(for: .read).read { snapshot in
      for name in try snapshot.entryStoreNames() {
        guard let count = try snapshot.entryStore(name)?.count else { continue }
        guard !session.settings.format.isJSON else {
          session.tell { line in
            line.add("name", name)
            line.add("count", count)
          }
          continue
        }
        var text = name
        text.withUTF8 { output.writeText(UnsafeRawBufferPointer($0)) }
        output.write("\t\(count)\n")
      }
    }
    return .done
  }

  private func list(
    _ name: String, _ order: EntryOrder, _ limit: Int, in session: Session
  ) throws -> ExitStatus {
    let output = session.output
    return try session.database(for: .read).read { snapshot in
      guard let store = try snapshot.entryStore(name) else { return storeNotFound(name) }
      guard limit > 0 else { return .done }
      var records = session.records()
      var rest = limit
      try part(of: store).forEach(order) { entry in
        if case .json(let allHex) = session.settings.format {
          session.tell { line in
            line.add("key", bytes: entry.key, allHex: allHex)
            line.add("bytes", entry.count)
            line.add("sequence", entry.sequence)
            line.add("checksum", Self.digits(entry.checksum))
          }
        } else {
          records.write(key: entry.key.span.bytes, note: "\(entry.count)")
        }
        rest -= 1
        return rest == 0 || !output.isOpen || Interrupt.isPending ? .stop : .next
      }
      return .done
    }
  }

  private func listNamespaces(of name: String, in session: Session) throws -> ExitStatus {
    try session.database(for: .read).read { snapshot in
      guard let store = try snapshot.entryStore(name) else { return storeNotFound(name) }
      let part = part(of: store)
      var records = session.records()
      for name in try part.namespaceNames() {
        guard session.output.isOpen, !Interrupt.isPending else { break }
        let count = try part.namespace(name).count
        if case .json(let allHex) = session.settings.format {
          session.tell { line in
            line.add("namespace", bytes: name, allHex: allHex)
            line.add("count", count)
          }
        } else {
          records.write(key: name.span.bytes, note: "\(count)")
        }
      }
      return .done
    }
  }

  /// All digits of a checksum; JSON's numbers would lose some in other tools.
  private static func digits(_ checksum: UInt64) -> String {
    let digits = String(checksum, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }

  private func read(
    _ key: [UInt8], of name: String, _ from: Int, _ count: Int, in session: Session
  ) throws -> ExitStatus {
    let database = try session.database(for: .read)
    let output = session.output
    guard let store = try database.existingEntryStore(name) else { return storeNotFound(name) }
    guard let entry = try part(of: store).read(key) else { return session.notFound() }
    try entry.verify()
    let start = min(from, entry.count)
    let end = start + min(count, entry.count - start)
    return entry.bytes.withUnsafeBytes { bytes in
      if case .json(let allHex) = session.settings.format {
        session.tell { line in
          line.add("key", bytes: key, allHex: allHex)
          line.add("from", start)
          line.add("bytes", bytes: Array(bytes[start..<end]), allHex: allHex)
        }
        return .done
      }
      var place = start
      while place < end, output.isOpen, !Interrupt.isPending {
        let next = min(end, place + Pieces.byteCount)
        let piece = UnsafeRawBufferPointer(rebasing: bytes[place..<next])
        session.settings.format == .hex ? output.writeHex(piece) : output.write(piece)
        place = next
      }
      if session.isPrompt || session.settings.format == .hex { output.write("\n") }
      return .done
    }
  }

  private func stats(of name: String, in session: Session) throws -> ExitStatus {
    try session.database(for: .read).read { snapshot in
      guard let store = try snapshot.entryStore(name) else { return storeNotFound(name) }
      let (count, byteCount) = (try store.count, try store.byteCount)
      let deadByteCount = try store.estimatedSavings()
      guard session.settings.format.isJSON else {
        session.output.write(
          """
          store       \(singleLine(name))
          entries     \(count)
          bytes       \(byteCount)
          live bytes  \(byteCount - deadByteCount)
          dead bytes  \(deadByteCount)

          """)
        return .done
      }
      session.tell { line in
        line.add("store", name)
        line.add("count", count)
        line.add("bytes", byteCount)
        line.add("live_bytes", byteCount - deadByteCount)
        line.add("dead_bytes", deadByteCount)
      }
      return .done
    }
  }

  // MARK: Changing

  private func write(
    _ key: [UInt8], _ source: ByteSource, to name: String, in session: Session
  ) throws -> ExitStatus {
    try source.check(for: Self.self, in: session)
    var pieces = try Pieces(source)
    defer { pieces.close() }
    let database = try session.database(for: .write)
    var byteCount = 0
    // In a transaction, so that a source that fails leaves no empty store.
    let isNew = try database.write(durability: session.settings.durability) { transaction in
      let store = part(of: try transaction.entryStore(name))
      return try store.write(key) { writer in
        while let piece = try pieces.next() {
          try writer.write(piece)
          byteCount += piece.count
        }
      }
    }
    if case .json(let allHex) = session.settings.format {
      session.tell { line in
        line.add("key", bytes: key, allHex: allHex)
        line.add("bytes", byteCount)
        line.add("new", isNew)
      }
    }
    session.confirm(isNew ? "written" : "replaced")
    return .done
  }

  private func delete(
    _ keys: [[UInt8]], from name: String, in session: Session
  ) throws -> ExitStatus {
    let database = try session.database(for: .write)
    guard try database.existingEntryStore(name) != nil else { return storeNotFound(name) }
    var wereThere: [Bool] = []
    try database.write(durability: session.settings.durability) { transaction in
      let store = part(of: try transaction.entryStore(name))
      for key in keys { wereThere.append(try store.remove(key)) }
    }
    if case .json(let allHex) = session.settings.format {
      for (key, wasThere) in zip(keys, wereThere) where wasThere {
        session.tell { line in
          line.add("key", bytes: key, allHex: allHex)
          line.add("removed", true)
        }
      }
    }
    let count = wereThere.count { $0 }
    session.confirm("\(count) deleted")
    guard count < keys.count else { return .done }
    if keys.count == 1 { return session.notFound() }
    Diagnostics.write("\(keys.count - count) of \(keys.count) keys not found\n")
    return .notFound
  }

  private func clear(_ name: String, in session: Session) throws -> ExitStatus {
    let database = try session.database(for: .write)
    guard let store = try database.existingEntryStore(name) else { return storeNotFound(name) }
    let count = try part(of: store).removeAll(durability: session.settings.durability)
    session.write("removed", count)
    return .done
  }

  private func compact(
    _ name: String, isDry: Bool, in session: Session
  ) throws -> ExitStatus {
    let database = try session.database(for: isDry ? .read : .write)
    guard let store = try database.existingEntryStore(name) else { return storeNotFound(name) }
    let byteCount =
      try isDry
      ? store.estimatedSavings() : store.compact(durability: session.settings.durability)
    session.write(isDry ? "estimated_bytes" : "saved_bytes", byteCount)
    return .done
  }
}
