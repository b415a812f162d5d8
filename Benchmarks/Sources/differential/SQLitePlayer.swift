import CSQLite

/// What SQLite says went wrong.
struct SQLiteError: Error {
  var text: String
}

/// Plays histories on the system's SQLite: a table a tree, keys as blobs, which compare as `memcmp` does.
final class SQLitePlayer: Player {
  private let path: String
  private var connection: OpaquePointer?
  private var statements: [String: OpaquePointer] = [:]

  init(path: String) throws {
    self.path = path
    try open()
  }

  private func open() throws {
    guard sqlite3_open(path, &connection) == SQLITE_OK else { throw failure }
    // What is compared is answers, not durability.
    try run("PRAGMA synchronous = OFF")
    for tree in 0..<treeCount {
      try run(
        "CREATE TABLE IF NOT EXISTS t\(tree) (k BLOB PRIMARY KEY, v BLOB NOT NULL) WITHOUT ROWID")
    }
  }

  func close() throws {
    for statement in statements.values { sqlite3_finalize(statement) }
    statements = [:]
    guard sqlite3_close(connection) == SQLITE_OK else { throw failure }
    connection = nil
  }

  private var failure: SQLiteError {
    SQLiteError(text: String(cString: sqlite3_errmsg(connection)))
  }

  // MARK: Statements

  /// Runs a statement and returns all of its rows.
  @discardableResult
  private func run(_ text: String, _ blobs: [[UInt8]] = []) throws -> [[[UInt8]]] {
    let statement = try prepared(text)
    defer { sqlite3_reset(statement) }
    for (index, blob) in blobs.enumerated() {
      // A null pointer would mean NULL, not an empty blob.
      let status =
        blob.isEmpty
        ? sqlite3_bind_zeroblob(statement, Int32(index + 1), 0)
        : sqlite3_bind_blob(
          statement, Int32(index + 1), blob, Int32(blob.count), Self.copiesBytes)
      guard status == SQLITE_OK else { throw failure }
    }
    var rows: [[[UInt8]]] = []
    while true {
      switch sqlite3_step(statement) {
      case SQLITE_ROW:
        rows.append((0..<sqlite3_column_count(statement)).map { column(statement, $0) })
      case SQLITE_DONE: return rows
      default: throw failure
      }
    }
  }

  /// SQLITE_TRANSIENT, a macro that is not imported.
  private static let copiesBytes = unsafeBitCast(-1, to: sqlite3_destructor_type.self)

  private func prepared(_ text: String) throws -> OpaquePointer? {
    if let known = statements[text] { return known }
    var statement: OpaquePointer?
    guard sqlite3_prepare_v2(connection, text, -1, &statement, nil) == SQLITE_OK else {
      throw failure
    }
    statements[text] = statement
    return statement
  }

  private func column(_ statement: OpaquePointer?, _ index: Int32) -> [UInt8] {
    let count = Int(sqlite3_column_bytes(statement, index))
    guard count > 0, let start = sqlite3_column_blob(statement, index) else { return [] }
    return Array(UnsafeRawBufferPointer(start: start, count: count))
  }

  // MARK: Playing

  func play(_ operation: Operation) throws -> [Answer] {
    switch operation {
    case .step(let tree, let step):
      return [try answer(step, "t\(tree)")]
    case .transaction(let part, let isCommitted):
      try run("BEGIN")
      let answers = try part.flatMap { try play($0) }
      try run(isCommitted ? "COMMIT" : "ROLLBACK")
      return answers
    case .savepoint(let part, let isCommitted):
      try run("SAVEPOINT s")
      let answers = try part.flatMap { try play($0) }
      if !isCommitted { try run("ROLLBACK TO s") }
      try run("RELEASE s")
      return answers
    case .reopen:
      try close()
      try open()
      return []
    }
  }

  private func answer(_ step: Step, _ table: String) throws -> Answer {
    switch step {
    case .insert(let key, let value):
      let isThere = try !run("SELECT 1 FROM \(table) WHERE k = ?", [key]).isEmpty
      try run("INSERT OR REPLACE INTO \(table) VALUES (?, ?)", [key, value])
      return Answer(isThere ? 0 : 1)
    case .remove(let key):
      try run("DELETE FROM \(table) WHERE k = ?", [key])
      return Answer(Int(sqlite3_changes(connection)))
    case .lookup(let key): return try entry(table, "WHERE k = ?", [key])
    case .min: return try entry(table, "ORDER BY k LIMIT 1", [])
    case .max: return try entry(table, "ORDER BY k DESC LIMIT 1", [])
    case .floor(let key):
      return try entry(table, "WHERE k <= ? ORDER BY k DESC LIMIT 1", [key])
    case .ceiling(let key): return try entry(table, "WHERE k >= ? ORDER BY k LIMIT 1", [key])
    case .above(let key): return try entry(table, "WHERE k > ? ORDER BY k LIMIT 1", [key])
    case .below(let key): return try entry(table, "WHERE k < ? ORDER BY k DESC LIMIT 1", [key])
    case .scan(let bounds, let isReversed, let limit):
      let (condition, keys) = condition(bounds)
      let order = isReversed ? "DESC" : "ASC"
      let rows = try run(
        "SELECT k, v FROM \(table) \(condition) ORDER BY k \(order) LIMIT \(limit)", keys)
      return Answer(rows.count, rows.flatMap { $0 })
    case .count(let bounds):
      let (condition, keys) = condition(bounds)
      return Answer(try run("SELECT k FROM \(table) \(condition)", keys).count)
    case .removeRange(let bounds):
      let (condition, keys) = condition(bounds)
      try run("DELETE FROM \(table) \(condition)", keys)
      return Answer(Int(sqlite3_changes(connection)))
    case .drop:
      try run("DELETE FROM \(table) WHERE TRUE")
      return Answer(Int(sqlite3_changes(connection)))
    }
  }

  private func entry(_ table: String, _ rest: String, _ keys: [[UInt8]]) throws -> Answer {
    let row = try run("SELECT k, v FROM \(table) \(rest)", keys).first
    return Answer(entry: row.map { ($0[0], $0[1]) })
  }

  private func condition(_ bounds: Bounds) -> (String, [[UInt8]]) {
    switch (bounds.lower, bounds.upper) {
    case (nil, nil): ("WHERE TRUE", [])
    case (let lower?, nil): ("WHERE k >= ?", [lower])
    case (nil, let upper?): ("WHERE k < ?", [upper])
    case (let lower?, let upper?): ("WHERE k >= ? AND k < ?", [lower, upper])
    }
  }
}
