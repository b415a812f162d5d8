import BTreeKV

/// The file that the tool was started for, and where its output goes.
///
/// The database is opened by the first command that needs it, so that `help` works without one
/// and `insert KEY -` waits for its value before it holds the file's lock.
final class Session {
  let path: String
  var settings: Settings
  let output: Output
  /// Whether commands come from the prompt, one after the other, on one open database.
  let isPrompt: Bool
  /// Whether a person is typing them.
  let isInteractive: Bool
  private var database: Database?

  /// What a command does with the file.
  enum Access {
    case read
    case write
  }

  init(
    path: String, settings: Settings, output: Output, isPrompt: Bool, isInteractive: Bool = false
  ) {
    self.path = path
    self.settings = settings
    self.output = output
    self.isPrompt = isPrompt
    self.isInteractive = isInteractive
  }

  var isOpen: Bool { database != nil }

  /// The open database.
  ///
  /// - Parameter access: a single command that reads leaves the file untouched. The prompt does
  ///   not know what will be asked and takes what it can get.
  /// - Returns: the same database each time.
  /// - Throws: what opening it throws.
  func database(for access: Access) throws(Failure) -> Database {
    if let database { return database }
    let opened: Database
    if isPrompt {
      opened = try open([.mustExist, .readOnly], onlyAfter: [.permissionDenied, .readOnly])
    } else {
      switch access {
      case .read: opened = try open([.readOnly, .mustExist], onlyAfter: [.needsRecovery])
      case .write: opened = try open([.mustExist], onlyAfter: [])
      }
    }
    database = opened
    return opened
  }

  /// The tree that `--tree` names, or the one without a name; for reading.
  ///
  /// - Returns: nil when there is no such tree.
  /// - Throws: what opening the database throws.
  func tree() throws(Failure) -> (any ReadableTree)? {
    let database = try database(for: .read)
    guard let name = settings.tree else { return database }
    do { return try database.existingTree(name) } catch { throw Failure(error) }
  }

  /// The same for writing.
  ///
  /// - Parameter isCreated: whether a missing tree is made.
  /// - Returns: nil when there is no such tree.
  /// - Throws: what opening the database or making the tree throws.
  func writableTree(isCreated: Bool) throws(Failure) -> (any WritableTree)? {
    let database = try database(for: .write)
    guard let name = settings.tree else { return database }
    do {
      return isCreated ? try database.tree(name) : try database.existingTree(name)
    } catch {
      throw Failure(error)
    }
  }

  /// Tells that there is no tree of the name.
  func treeNotFound(_ name: String? = nil) -> ExitStatus {
    Diagnostics.write("no tree named \(singleLine(name ?? settings.tree ?? ""))\n")
    return .notFound
  }

  /// Makes the file.
  ///
  /// - Parameter pageSize: in bytes; nil for the database's default.
  /// - Returns: the new database, which is the session's from now on.
  /// - Throws: what creating it throws, in particular when the file exists.
  func create(pageSize: Int?) throws(Failure) -> Database {
    var options = options(.mustNotExist)
    options.pageSize = pageSize
    do {
      let created = try Database.open(path, options: options)
      database = created
      return created
    } catch  where error.code == .notFound {
      // It is the folder that is missing: the advice to make the file first would mislead.
      throw .other(located(error.description, at: path))
    } catch {
      throw Failure(error)
    }
  }

  /// Closes what was opened; an error in doing so is one of the command's.
  func close() throws(Failure) {
    guard let database else { return }
    self.database = nil
    do { try database.close() } catch { throw Failure(error) }
  }

  /// A writer for the records of one command.
  func records() -> RecordWriter {
    RecordWriter(output: output, format: settings.format, isPrompt: isPrompt)
  }

  /// Writes a number, alone or as a field of that name.
  func write(_ name: String, _ number: Int) {
    if settings.format.isJSON {
      var line = JSONLine(output)
      line.add(name, number)
      line.end()
    } else {
      output.write("\(number)\n")
    }
  }

  /// Writes what was done as JSON, if that was asked for.
  func tell(_ fill: (inout JSONLine) -> Void) {
    guard settings.format.isJSON else { return }
    var line = JSONLine(output)
    fill(&line)
    line.end()
  }

  /// Tells that there was nothing to print.
  func notFound() -> ExitStatus {
    Diagnostics.write("not found\n")
    return .notFound
  }

  /// Tells a person what was done; a script reads the exit status.
  func confirm(_ text: String) {
    if isInteractive { output.write(text + "\n") }
  }

  /// Opens in the first mode that works; the next one is tried only after certain errors.
  private func open(
    _ modes: [Database.OpenMode], onlyAfter codes: Set<DatabaseError.Code>
  ) throws(Failure) -> Database {
    var first: Failure?
    for mode in modes {
      do {
        return try Database.open(path, options: options(mode))
      } catch {
        let failure = Failure(error)
        guard case .database(let error) = failure, codes.contains(error.code) else {
          throw failure
        }
        first = first ?? failure
      }
    }
    throw first ?? .other("cannot be opened")
  }

  private func options(_ mode: Database.OpenMode) -> Database.Options {
    var options = Database.Options()
    options.mode = mode
    if let durability = settings.durability { options.durability = durability }
    if let cacheByteCount = settings.cacheByteCount { options.cacheByteCount = cacheByteCount }
    return options
  }
}
