public import BTreeKV
internal import Pager

// Databases in databases: a file's bytes are an entry, or a region, and are opened where they are.

extension Database {
  /// Opens a database whose file is an entry of another one, in place, for reading.
  ///
  /// Nothing is copied out: pages are taken from the entry's bytes when they are visited, and
  /// compared with their checksums; large values, regions and entries are read where they lie. The
  /// entry is held as long as this database or anything read from it, so it may be removed, and its
  /// store compacted or removed. It keeps the file around it open; the outer database must not be
  /// closed by `close()` while this one is in use.
  ///
  /// ```swift
  /// let archive = try EntryStore(database, "archive")
  /// try archive.write("fruit", [UInt8](Data(contentsOf: URL(filePath: "fruit.btreekv"))))
  /// if let entry = try archive.read("fruit") {
  ///   let nested = try Database.open(in: entry)
  ///   let color = try nested.lookup("apple")
  ///   assert(color == Array("red".utf8))
  /// }
  /// ```
  ///
  /// - Parameters:
  ///   - entry: all bytes of a file that its last writer had closed.
  ///   - options: how to work with it; it is opened for reading whatever `mode` says.
  /// - Returns: a database whose every change throws `.readOnly`. Any number may be opened in one
  ///   entry, also in an entry of a nested one.
  /// - Throws: `.needsRecovery` when the file had not been closed; `.notADatabase`,
  ///   `.unsupportedVersion`, `.corrupted`, `.invalidArgument`, `.outOfAddressSpace`.
  /// - Complexity: as `open(_:options:)`. Where the chunks of a region or of an entry store in it don't lie
  ///   side by side, a reader of the region copies all of them, and a read of an entry those of the entry.
  public static func open(
    in entry: Entry, options: Options = Options()
  ) throws(DatabaseError) -> Database {
    let name = String(decoding: entry.key, as: UTF8.self).debugDescription
    return try open(
      NestedStorage(entry.content.payload, owner: entry, path: "entry \(name)"), options)
  }

  /// Opens a database whose file is a region of another one, in place, for reading.
  ///
  /// It shows what the reader shows, whatever becomes of the region. For all else see `open(in:)` for
  /// entries.
  ///
  /// - Parameters:
  ///   - region: a reader of all bytes of a file that its last writer had closed.
  ///   - options: how to work with it; it is opened for reading whatever `mode` says.
  /// - Returns: a database whose every change throws `.readOnly`.
  /// - Throws: as for entries.
  /// - Complexity: as for entries.
  public static func open(
    in region: RegionReader, options: Options = Options()
  ) throws(DatabaseError) -> Database {
    try open(NestedStorage(region.buffer, owner: region, path: "a region"), options)
  }

  private static func open(
    _ storage: NestedStorage, _ options: Options
  ) throws(DatabaseError) -> Database {
    var options = options
    options.mode = .readOnly
    do throws(PagerError) {
      return try open(storage: storage, options: options)
    } catch {
      let message: String
      switch error.code {
      case .needsRecovery:
        message =
          "the last writer had not closed the nested file when it was stored; open the file itself for "
          + "writing once, close it, and store it again"
      case .notADatabase: message = "the bytes are not those of a BTreeKV database"
      default: throw DatabaseError(error)
      }
      throw DatabaseError(PagerError(error.code, message, path: storage.path))
    }
  }
}
