// Names of files that nobody has open.

extension FileStorage {
  /// Throws unless nothing has a name.
  ///
  /// - Parameter path: of nothing.
  /// - Throws: `.alreadyExists`.
  package static func checkUnused(_ path: String) throws(PagerError) {
    if (try? SystemCalls.status(ofPath: path)) != nil {
      throw PagerError(.alreadyExists, "there is a file of this name already", path: path)
    }
  }

  /// Removes a file, if there is one and nobody has it open.
  ///
  /// - Parameter path: of a file or of nothing.
  /// - Throws: `.busy` when somebody has it open; else as `open`.
  package static func removeUnused(_ path: String) throws(PagerError) {
    guard (try? SystemCalls.status(ofPath: path)) != nil else { return }
    let storage = try open(path: path, access: .mustExist)
    defer { storage.close() }
    storage.removeName()
  }

  /// Gives a file that nobody has open another name in the same folder, and makes that durable.
  ///
  /// - Parameters:
  ///   - path: what it is called.
  ///   - newPath: what it is to be called.
  /// - Returns: its length in bytes.
  /// - Throws: `.alreadyExists`, `.notFound`, `.permissionDenied`, `.inputOutput`.
  package static func rename(_ path: String, to newPath: String) throws(PagerError) -> Int {
    do throws(SystemError) {
      try SystemCalls.rename(path, to: newPath)
    } catch {
      throw PagerError(
        systemError: error.number, whileTrying: "to give a file its name", path: newPath)
    }
    let storage = try open(path: newPath, access: .readOnly)
    defer { storage.close() }
    try storage.synchronizeDirectory()
    return try storage.byteCount()
  }
}
