import Synchronization

/// A storage in a regular file.
///
/// Descriptors are used by calls in any number of threads and closed by the last of them after
/// `close()`: otherwise a late call could hit another file that got the same number.
package final class FileStorage: Storage {
  /// What `open` expects of the path.
  package enum Access: Sendable {
    /// Opens the file for writing, creating it when there is none.
    case createIfMissing
    /// Opens a file that is there for writing.
    case mustExist
    /// Creates a file where there is none.
    case mustNotExist
    /// Opens a file that is there for reading.
    case readOnly
  }

  package let path: String
  package let isReadOnly: Bool

  /// Whether this `open` created the file.
  package let wasCreated: Bool

  /// The path from the root: the working directory and links may change while the file is open.
  private let resolvedPath: String
  private let identity: SIMD2<UInt64>
  private let descriptor: Int32

  /// The descriptor opened `O_DSYNC`, once it was needed.
  private let durableDescriptor = Locked<Int32?>(nil)

  /// Held while the length is changed on purpose, so that a failed allocation can be undone.
  private let lengthChange = Locked<Void>(())

  /// The writable mappings, where syncing the file leaves them out.
  private let writableMappings = Locked<[UInt: Int]>([:])

  /// What the next sync is to find unmapped.
  private let written = WrittenMemory()

  /// How many calls use the descriptors, and whether the storage is closed.
  private let uses = Atomic<Int>(0)
  private static let closedBit = 1 << 62

  /// Opens the file and locks it: exclusively, or shared when for reading only.
  ///
  /// - Parameters:
  ///   - path: Where the file is.
  ///   - access: What is expected to be there, and what it is opened for.
  /// - Returns: The open file, to be closed with `close()`.
  /// - Throws: `.busy` when another handle has it open, in this process or another; `.notFound`,
  ///   `.alreadyExists`, `.permissionDenied`, `.readOnly`, `.notADatabase`, `.invalidArgument`.
  package static func open(path: String, access: Access) throws(PagerError) -> FileStorage {
    guard !path.isEmpty, !path.utf8.contains(0) else {
      throw PagerError(
        .invalidArgument, "a path must not be empty or contain NUL; give the path of a file",
        path: path)
    }
    // The file may vanish or appear between any two calls here; then begin again, but not for ever.
    for _ in 0..<32 {
      if let storage = try attempt(path: path, access: access) { return storage }
    }
    throw PagerError(
      .busy,
      "the file is being replaced again and again, or is a link to nowhere; check the path",
      path: path)
  }

  /// Opens the file once; nothing when it was created, removed or replaced meanwhile.
  private static func attempt(
    path: String, access: Access
  ) throws(PagerError) -> FileStorage? {
    guard let (descriptor, wasCreated) = try openDescriptor(path: path, access: access) else {
      return nil
    }
    do throws(PagerError) {
      let status = try lockRegularFile(descriptor, path: path, access: access)
      // Who held the lock before may have removed the file: then this one has no name any more.
      guard let resolved = try resolve(path, identity: status.identity) else {
        SystemCalls.unlockAndCloseFile(descriptor)
        return nil
      }
      return FileStorage(
        path: path, isReadOnly: access == .readOnly, wasCreated: wasCreated,
        resolvedPath: resolved, identity: status.identity, descriptor: descriptor)
    } catch {
      SystemCalls.unlockAndCloseFile(descriptor)
      throw error
    }
  }

  /// Opens or creates the file; nothing when it appeared or vanished meanwhile.
  private static func openDescriptor(
    path: String, access: Access
  ) throws(PagerError) -> (descriptor: Int32, wasCreated: Bool)? {
    if access != .mustNotExist {
      do throws(SystemError) {
        return (try SystemCalls.openFile(path, writable: access != .readOnly), false)
      } catch {
        guard access == .createIfMissing, error == .notFound else {
          throw openingFailed(error, path: path)
        }
      }
    }
    do throws(SystemError) {
      return (try SystemCalls.openFile(path, writable: true, creating: true), true)
    } catch {
      if access == .createIfMissing, error == .alreadyExists { return nil }
      guard error != .notFound else {
        throw PagerError(
          .notFound, "the directory of the file does not exist; create the directory first",
          path: path, systemError: error.number)
      }
      throw openingFailed(error, path: path)
    }
  }

  private static func openingFailed(_ error: SystemError, path: String) -> PagerError {
    PagerError(systemError: error.number, whileTrying: "to open the file", path: path)
  }

  /// Makes sure that the descriptor is a file's, and that nobody else uses that file.
  private static func lockRegularFile(
    _ descriptor: Int32, path: String, access: Access
  ) throws(PagerError) -> FileStatus {
    let status: FileStatus
    let isLocked: Bool
    let lock: SystemCalls.Lock = access == .readOnly ? .shared : .exclusive
    do throws(SystemError) {
      status = try SystemCalls.status(of: descriptor)
      // Whether one can lock a pipe depends on the system, and it doesn't matter.
      let isRegular = status.kind == .regular
      isLocked = isRegular ? try SystemCalls.tryLock(descriptor, lock, byteRange: 0..<1) : false
    } catch {
      throw PagerError(systemError: error.number, whileTrying: "to lock the file", path: path)
    }
    guard status.kind == .regular else {
      let kind = status.kind == .directory ? "a directory" : "a pipe or a device"
      throw PagerError(
        .notADatabase, "the path leads to \(kind), not to a file; give the path of a file",
        path: path)
    }
    guard isLocked else {
      throw PagerError(
        .busy,
        "another process, or another handle in this one, has the file open; close that first",
        path: path)
    }
    return status
  }

  /// The path from the root, if it still leads to this very file.
  private static func resolve(
    _ path: String, identity: SIMD2<UInt64>
  ) throws(PagerError) -> String? {
    do throws(SystemError) {
      let resolved = try SystemCalls.resolvedPath(path)
      return try SystemCalls.status(ofPath: resolved).identity == identity ? resolved : nil
    } catch {
      if error == .notFound { return nil }
      throw openingFailed(error, path: path)
    }
  }

  private init(
    path: String, isReadOnly: Bool, wasCreated: Bool, resolvedPath: String,
    identity: SIMD2<UInt64>, descriptor: Int32
  ) {
    self.path = path
    self.isReadOnly = isReadOnly
    self.wasCreated = wasCreated
    self.resolvedPath = resolvedPath
    self.identity = identity
    self.descriptor = descriptor
  }

  deinit {
    close()
  }

  // MARK: Use of the descriptors

  /// Lends the descriptor to the closure, and tells where and why it failed.
  private func withDescriptor<Result>(
    whileTrying action: String, at offset: Int? = nil,
    _ body: (Int32) throws(SystemError) -> Result
  ) throws(PagerError) -> Result {
    guard beginUse() else { throw .storageClosed(path: path) }
    defer { endUse() }
    do throws(SystemError) {
      return try body(descriptor)
    } catch {
      throw PagerError(
        systemError: error.number, whileTrying: action, path: path, byteOffset: offset)
    }
  }

  private func beginUse() -> Bool {
    var current = uses.load(ordering: .relaxed)
    while current & Self.closedBit == 0 {
      let (isDone, found) = uses.weakCompareExchange(
        expected: current, desired: current + 1, ordering: .acquiring)
      if isDone { return true }
      current = found
    }
    return false
  }

  private func endUse() {
    // After the closed bit was set the count only falls, so exactly one call finds it at zero.
    let remaining = uses.wrappingSubtract(1, ordering: .acquiringAndReleasing).newValue
    if remaining == Self.closedBit { closeDescriptors() }
  }

  private func closeDescriptors() {
    durableDescriptor.withLock { durable in
      if let open = durable { SystemCalls.closeFile(open) }
      durable = nil
    }
    SystemCalls.unlockAndCloseFile(descriptor)
  }

  package func close() {
    let before = uses.bitwiseOr(Self.closedBit, ordering: .acquiringAndReleasing).oldValue
    if before == 0 { closeDescriptors() }
  }

  /// Removes the file if this `open` created it and its name still leads to it.
  ///
  /// For a caller whose work on the new file failed; call it before `close()`, under the lock.
  package func removeIfCreated() {
    if wasCreated { removeName() }
  }

  func removeName() {
    guard beginUse() else { return }
    defer { endUse() }
    guard let status = try? SystemCalls.status(ofPath: resolvedPath),
      status.identity == identity
    else { return }
    try? SystemCalls.removeFile(resolvedPath)
  }

  // MARK: Storage

  package func byteCount() throws(PagerError) -> Int {
    try withDescriptor(whileTrying: "to ask for the file's length") {
      (file) throws(SystemError) in
      try SystemCalls.status(of: file).byteCount
    }
  }

  package func allocatedByteCount() throws(PagerError) -> Int {
    try withDescriptor(whileTrying: "to ask for the file's space") {
      (file) throws(SystemError) in
      try SystemCalls.status(of: file).allocatedByteCount
    }
  }

  package func read(
    into buffer: UnsafeMutableRawBufferPointer, at offset: Int
  ) throws(PagerError) {
    try PagerError.checkRange(path: path, offset: offset, byteCount: buffer.count)
    let count = try withDescriptor(whileTrying: "to read", at: offset) {
      (file) throws(SystemError) in
      try SystemCalls.readFile(file, into: buffer, at: offset)
    }
    guard count == buffer.count else {
      throw .endOfFile(
        path: path, offset: offset, end: try byteCount(), byteCount: buffer.count)
    }
  }

  package func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(PagerError) {
    try checkWritable(offset, bytes.count)
    try withDescriptor(whileTrying: "to write", at: offset) { (file) throws(SystemError) in
      try SystemCalls.writeFile(file, bytes, at: offset)
    }
  }

  package func writeDurably(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(PagerError) {
    try checkWritable(offset, bytes.count)
    try withDescriptor(whileTrying: "to write durably", at: offset) {
      (file) throws(SystemError) in
      if let durable = openDurableDescriptor(file) {
        try SystemCalls.writeFile(durable, bytes, at: offset)
      } else {
        try SystemCalls.writeFile(file, bytes, at: offset)
        try SystemCalls.synchronize(file)
      }
    }
  }

  /// The second descriptor; nothing where it is of no use or can't be had, which only costs time.
  private func openDurableDescriptor(_ file: Int32) -> Int32? {
    guard SystemCalls.hasDurableDescriptors else { return nil }
    return durableDescriptor.withLock { durable in
      if durable == nil {
        durable = try? SystemCalls.reopenDurably(file, path: resolvedPath)
      }
      return durable
    }
  }

  package func synchronize() throws(PagerError) {
    try withDescriptor(whileTrying: "to sync the file") { (file) throws(SystemError) in
      if SystemCalls.mappingsNeedOwnSynchronization {
        try writableMappings.withLock { mappings throws(SystemError) in
          for (address, byteCount) in mappings {
            guard let base = UnsafeMutableRawPointer(bitPattern: address) else { continue }
            try SystemCalls.synchronizeMapping(base, byteCount: byteCount)
          }
        }
      }
      written.giveBack()
      try SystemCalls.synchronize(file)
    }
  }

  package func beginSynchronizing(byteRange: Range<Int>) {
    try? withDescriptor(whileTrying: "to sync the file", at: byteRange.lowerBound) { file in
      SystemCalls.beginSynchronizing(file, byteRange: byteRange)
    }
  }

  package func synchronizeDirectory() throws(PagerError) {
    let directory = resolvedPath.lastIndex(of: "/").map { String(resolvedPath[...$0]) } ?? "."
    try withDescriptor(whileTrying: "to sync the file's directory") {
      (_) throws(SystemError) in
      try SystemCalls.synchronizeDirectory(directory)
    }
  }

  package func allocate(byteRange: Range<Int>) throws(PagerError) {
    try checkWritable(byteRange.lowerBound, byteRange.count)
    guard !byteRange.isEmpty else { return }
    try withDescriptor(whileTrying: "to allocate space", at: byteRange.lowerBound) {
      (file) throws(SystemError) in
      try lengthChange.withLock { _ throws(SystemError) in
        let before = try SystemCalls.status(of: file).byteCount
        do throws(SystemError) {
          try SystemCalls.allocate(file, byteRange: byteRange)
        } catch {
          // A part may have been allocated; beyond the old end it is given back.
          if byteRange.upperBound > before { try? SystemCalls.truncate(file, to: before) }
          throw error
        }
      }
    }
  }

  package func punchHole(byteRange: Range<Int>) throws(PagerError) -> Bool {
    try checkWritable(byteRange.lowerBound, byteRange.count)
    return try withDescriptor(whileTrying: "to give space back", at: byteRange.lowerBound) {
      (file) throws(SystemError) in
      try SystemCalls.punchHole(file, byteRange: byteRange)
    }
  }

  package func truncate(to byteCount: Int) throws(PagerError) {
    try checkWritable(0, byteCount)
    try withDescriptor(whileTrying: "to set the file's length", at: byteCount) {
      (file) throws(SystemError) in
      try lengthChange.withLock { _ throws(SystemError) in
        try SystemCalls.truncate(file, to: byteCount)
      }
    }
  }

  package func map(
    byteRange: Range<Int>, writable: Bool
  ) throws(PagerError) -> UnsafeMutableRawPointer {
    try PagerError.checkMapping(path: path, byteRange: byteRange)
    if writable { try checkWritable(byteRange.lowerBound, byteRange.count) }
    let base = try withDescriptor(
      whileTrying: "to map \(byteRange.count) bytes", at: byteRange.lowerBound
    ) { (file) throws(SystemError) in
      try SystemCalls.map(file, byteRange: byteRange, writable: writable)
    }
    if writable, SystemCalls.mappingsNeedOwnSynchronization {
      writableMappings.withLock { $0[UInt(bitPattern: base)] = byteRange.count }
    }
    return base
  }

  package func map(
    byteRange: Range<Int>, over address: UnsafeMutableRawPointer
  ) throws(PagerError) -> Bool {
    try PagerError.checkMapping(path: path, byteRange: byteRange)
    return try withDescriptor(
      whileTrying: "to map \(byteRange.count) bytes", at: byteRange.lowerBound
    ) { (file) throws(SystemError) in
      try SystemCalls.map(file, byteRange: byteRange, over: address)
      return true
    }
  }

  package func unmap(_ base: UnsafeMutableRawPointer, byteCount: Int) {
    if SystemCalls.mappingsNeedOwnSynchronization {
      writableMappings.withLock { $0[UInt(bitPattern: base)] = nil }
    }
    written.forget(base, byteCount: byteCount)
    SystemCalls.unmap(base, byteCount: byteCount)
  }

  package func prefault(_ base: UnsafeMutableRawPointer, byteCount: Int) {
    SystemCalls.advise(base, byteCount: byteCount, .populateForWriting)
  }

  package func noteWritten(_ base: UnsafeMutableRawPointer, byteCount: Int) {
    written.note(base, byteCount: byteCount)
  }

  private func checkWritable(_ offset: Int, _ byteCount: Int) throws(PagerError) {
    try PagerError.checkRange(path: path, offset: offset, byteCount: byteCount)
    if isReadOnly { throw .storageReadOnly(path: path) }
  }
}
