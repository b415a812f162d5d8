package import Pager

extension Database {
  /// Recovers what is left of a damaged file into a new one; the damaged file is only read.
  ///
  /// Trees are followed from their roots as far as pages are intact, and the log is applied on
  /// top. Where something can't be reached, all pages are looked at for intact leaves; their
  /// entries go to a tree named `salvaged`, since leaves do not say which tree they belong to.
  /// A region ends where bytes are missing; what follows becomes the region `name~offset`. Of entry
  /// stores the entries are kept that match their checksums; each other one is reported.
  ///
  /// - Parameters:
  ///   - path: of the damaged file.
  ///   - newPath: of the file to make; there must be none.
  ///   - identifier: the damaged file's, as `Statistics.fileIdentifier` has it. It is needed only
  ///     when neither a superblock nor the log says it any more.
  ///   - progress: told now and then how far it is.
  /// - Returns: what was found and what was lost. Damage is a loss in the report, not an error.
  /// - Throws: `.notFound`, `.notADatabase`, `.unsupportedVersion`, `.busy`, `.permissionDenied`;
  ///   `.alreadyExists` when there is a file at `newPath`; `.corrupted` when nothing can be
  ///   recovered without the identifier; `.invalidArgument` when that is none; `.diskFull`,
  ///   `.inputOutput`. Then there is no new file.
  /// - Complexity: O(file), O(entries · log entries). Memory: some MiB, or an eighth of the file.
  public static func salvage(
    from path: String, to newPath: String, identifier: String? = nil,
    progress: ((SalvageProgress) -> Void)? = nil
  ) throws(DatabaseError) -> SalvageReport {
    let asked = identifier.flatMap { FileIdentifier($0) }
    guard identifier == nil || asked != nil else {
      throw DatabaseError(
        PagerError(.invalidArgument, "a file identifier is 32 hexadecimal digits"))
    }
    let damaged = try converting { () throws(PagerError) in
      try FileStorage.open(path: path, access: .readOnly)
    }
    defer { damaged.close() }
    let storage = try converting { () throws(PagerError) in
      try FileStorage.open(path: newPath, access: .mustNotExist)
    }
    do throws(DatabaseError) {
      return try salvage(from: damaged, into: storage, identifier: asked, progress: progress)
    } catch {
      // The name goes first: what is still open may then be written without harm.
      storage.removeIfCreated()
      storage.close()
      throw error
    }
  }

  /// The same in any storage; the new one is empty.
  package static func salvage(
    from damaged: any Storage, into storage: any Storage, identifier: FileIdentifier? = nil,
    progress: ((SalvageProgress) -> Void)? = nil
  ) throws(DatabaseError) -> SalvageReport {
    let (file, database) = try converting { () throws(PagerError) in
      let file = try DamagedFile(damaged, identifier: identifier)
      var options = Options()
      options.mode = .createIfMissing
      options.pageSize = file.pageByteCount
      options.durability = .none
      options.cacheByteCount = Swift.max(
        1 << 20, Swift.min(options.cacheByteCount, file.fileByteCount / 16))
      return (file, try Database.open(storage: storage, options: options))
    }
    do throws(DatabaseError) {
      let salvage = Salvage(file, into: database, progress: progress)
      try salvage.run()
      try database.close()
      return salvage.report
    } catch {
      // It is to be removed: its name must be gone before its lock is.
      (storage as? FileStorage)?.removeIfCreated()
      try? database.close()
      throw error
    }
  }
}
