// Every call to the operating system's files and memory goes through here, and every difference
// between platforms that concerns them is in this file.

#if canImport(Darwin)
  import Darwin
#elseif canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// The `errno` of a failed call.
package struct SystemError: Error, Hashable, Sendable {
  /// The system's number.
  package let number: Int32

  /// Wraps the number.
  package init(number: Int32) {
    self.number = number
  }

  static let notFound = SystemError(number: ENOENT)
  static let alreadyExists = SystemError(number: EEXIST)
}

/// What `fstat` tells about a file.
package struct FileStatus: Sendable {
  /// What kind of thing a path leads to.
  package enum Kind: Sendable { case regular, directory, other }

  /// The kind of file.
  package let kind: Kind
  /// Device and inode: equal exactly for the same file.
  package let identity: SIMD2<UInt64>
  /// The length.
  package let byteCount: Int
  /// The space taken on the medium.
  package let allocatedByteCount: Int

  init(_ info: stat) {
    let format = mode_t(info.st_mode) & S_IFMT
    kind = format == S_IFREG ? .regular : format == S_IFDIR ? .directory : .other
    identity = [
      UInt64(truncatingIfNeeded: info.st_dev), UInt64(truncatingIfNeeded: info.st_ino),
    ]
    byteCount = Int(info.st_size)
    allocatedByteCount = Int(info.st_blocks) * 512
  }
}

/// The operating system, as far as this package needs it.
package enum SystemCalls {
  /// How a file lock excludes others.
  package enum Lock: Sendable { case shared, exclusive }

  /// What to tell the system about memory.
  package struct Advice: Sendable {
    let number: Int32?

    /// Drop the pages: private ones read as zero afterwards (on Linux), shared ones from the file.
    package static let drop = Advice(number: Int32(MADV_DONTNEED))
    #if os(Linux) || os(Android)
      /// Don't use huge pages.
      package static let noHugePages = Advice(number: 15)
      /// Make the pages present and writable, as if each had been written to.
      package static let populateForWriting = Advice(number: 23)
      /// Punch a hole into the mapped file.
      package static let punchHole = Advice(number: 9)
      /// Take shared pages of a file out of the page tables; they stay in the system's memory.
      package static let takeFromTables = Advice(number: 4)
    #else
      /// Don't use huge pages; there is no such advice here.
      package static let noHugePages = Advice(number: nil)
      /// Make the pages present and writable; there is no such advice here.
      package static let populateForWriting = Advice(number: nil)
      /// Punch a hole into the mapped file; there is no such advice here.
      package static let punchHole = Advice(number: nil)
      /// Take shared pages of a file out of the page tables; there is no such advice here.
      package static let takeFromTables = Advice(number: nil)
    #endif
  }

  /// The system's page size, to which mappings are aligned.
  package static let pageByteCount = Int(sysconf(Int32(_SC_PAGESIZE)))

  #if canImport(Darwin)
    /// Whether `synchronize` leaves out what was written through mappings.
    static let mappingsNeedOwnSynchronization = true
    /// Whether a descriptor opened `O_DSYNC` puts data on the medium (not just into the device).
    static let hasDurableDescriptors = false
  #else
    /// Whether `synchronize` leaves out what was written through mappings.
    static let mappingsNeedOwnSynchronization = false
    /// Whether a descriptor opened `O_DSYNC` puts data on the medium (not just into the device).
    static let hasDurableDescriptors = true
  #endif

  // MARK: Descriptors

  /// `F_OFD_SETLK` of Linux, which its module map leaves out.
  private static let setOpenFileLock: Int32 = 37

  /// Opens a file, never as a controlling terminal, never waiting for a pipe's other end.
  static func openFile(
    _ path: String, writable: Bool, creating: Bool = false, durable: Bool = false
  ) throws(SystemError) -> Int32 {
    var flags = (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY
    if creating { flags |= O_CREAT | O_EXCL }
    if durable { flags |= O_DSYNC }
    // The process's mask takes rights away from these as usual.
    return try Int32(retrying { Int(open(path, flags, 0o644)) })
  }

  /// Opens the same file once more so that each write through the new descriptor is durable.
  static func reopenDurably(_ descriptor: Int32, path: String) throws(SystemError) -> Int32 {
    #if os(Linux)
      // Finds the file even when it was renamed; there may be no /proc in a container.
      if let same = try? openFile("/proc/self/fd/\(descriptor)", writable: true, durable: true) {
        return same
      }
    #endif
    let candidate = try openFile(path, writable: true, durable: true)
    do throws(SystemError) {
      guard try status(of: candidate).identity == status(of: descriptor).identity else {
        throw SystemError.notFound
      }
      return candidate
    } catch {
      closeFile(candidate)
      throw error
    }
  }

  /// Gives up the open file's locks, and closes it.
  ///
  /// Closing alone isn't enough: while another thread starts a process, the child has a copy of
  /// the descriptor from its fork to its exec, and the lock would live as long as that copy.
  static func unlockAndCloseFile(_ descriptor: Int32) {
    #if os(Linux) || os(Android)
      var request = flock()
      request.l_type = Int16(truncatingIfNeeded: Int(F_UNLCK))
      request.l_whence = Int16(truncatingIfNeeded: Int(SEEK_SET))
      withUnsafeMutablePointer(to: &request) { pointer in
        _ = fcntl(descriptor, setOpenFileLock, UnsafeMutableRawPointer(pointer))
      }
    #else
      _ = flock(descriptor, LOCK_UN)
    #endif
    closeFile(descriptor)
  }

  /// Closes the descriptor, once: after an interruption it is closed too.
  static func closeFile(_ descriptor: Int32) {
    _ = close(descriptor)
  }

  /// Cuts or extends the file.
  static func truncate(_ descriptor: Int32, to byteCount: Int) throws(SystemError) {
    _ = try retrying { Int(ftruncate(descriptor, off_t(byteCount))) }
  }

  /// Allocates the range; after a failure the file may have become longer.
  static func allocate(_ descriptor: Int32, byteRange: Range<Int>) throws(SystemError) {
    #if canImport(Darwin)
      // Only what is beyond the end can be allocated; holes inside the file stay.
      let current = try status(of: descriptor)
      let missing = byteRange.upperBound - current.byteCount
      guard missing > 0 else { return }
      var request = fstore_t()
      request.fst_flags = UInt32(F_ALLOCATEALL)
      request.fst_posmode = F_PEOFPOSMODE
      request.fst_length = off_t(missing)
      _ = try withUnsafeMutablePointer(to: &request) { pointer throws(SystemError) in
        try retrying { Int(fcntl(descriptor, F_PREALLOCATE, UnsafeMutableRawPointer(pointer))) }
      }
      try truncate(descriptor, to: byteRange.upperBound)
    #else
      try retryingNumber {
        posix_fallocate(descriptor, off_t(byteRange.lowerBound), off_t(byteRange.count))
      }
    #endif
  }

  #if !canImport(Darwin)
    /// Linux's own call, which Swift's module of the C library leaves out; nil where it has none.
    private static let fallocate = dlsym(nil, "fallocate").map {
      unsafeBitCast($0, to: (@convention(c) (Int32, Int32, off_t, off_t) -> Int32).self)
    }
  #endif

  /// Gives the range's space back; false where the file system or the system can't.
  static func punchHole(
    _ descriptor: Int32, byteRange: Range<Int>
  ) throws(SystemError) -> Bool {
    #if canImport(Darwin)
      // What is inside a file can't be allocated there again before it is written.
      return false
    #else
      guard let fallocate else { return false }
      // FALLOC_FL_KEEP_SIZE and FALLOC_FL_PUNCH_HOLE
      let mode: Int32 = 0x01 | 0x02
      do throws(SystemError) {
        _ = try retrying {
          Int(fallocate(descriptor, mode, off_t(byteRange.lowerBound), off_t(byteRange.count)))
        }
        return true
      } catch {
        guard error.number == EOPNOTSUPP || error.number == ENOSYS else { throw error }
        return false
      }
    #endif
  }

  /// What the system knows of the open file.
  static func status(of descriptor: Int32) throws(SystemError) -> FileStatus {
    var info = stat()
    _ = try retrying { Int(fstat(descriptor, &info)) }
    return FileStatus(info)
  }

  /// What the system knows of the file that the path leads to.
  static func status(ofPath path: String) throws(SystemError) -> FileStatus {
    var info = stat()
    _ = try retrying { Int(stat(path, &info)) }
    return FileStatus(info)
  }

  /// Tries to lock the range without waiting; `false` when another open file has it locked.
  ///
  /// The lock belongs to the open file, not to the process: it conflicts with other handles of
  /// this process too, and isn't lost when one of those is closed. On Darwin it is on the whole file.
  static func tryLock(
    _ descriptor: Int32, _ lock: Lock, byteRange: Range<Int>
  ) throws(SystemError) -> Bool {
    do throws(SystemError) {
      #if os(Linux) || os(Android)
        var request = flock()
        request.l_type = Int16(truncatingIfNeeded: lock == .shared ? Int(F_RDLCK) : Int(F_WRLCK))
        request.l_whence = Int16(truncatingIfNeeded: Int(SEEK_SET))
        request.l_start = off_t(byteRange.lowerBound)
        request.l_len = off_t(byteRange.count)
        _ = try withUnsafeMutablePointer(to: &request) { pointer throws(SystemError) in
          try retrying { Int(fcntl(descriptor, setOpenFileLock, UnsafeMutableRawPointer(pointer))) }
        }
      #else
        let operation = (lock == .shared ? LOCK_SH : LOCK_EX) | LOCK_NB
        _ = try retrying { Int(flock(descriptor, operation)) }
      #endif
      return true
    } catch {
      guard [EAGAIN, EACCES, EWOULDBLOCK].contains(error.number) else { throw error }
      return false
    }
  }

  // MARK: Names

  /// Removes the name of a file.
  static func removeFile(_ path: String) throws(SystemError) {
    _ = try retrying { Int(unlink(path)) }
  }

  /// Gives a file another name, which nothing has so far, in the same folder.
  static func rename(_ path: String, to newPath: String) throws(SystemError) {
    do throws(SystemError) {
      // Unlike `rename` this fails when something has the name.
      _ = try retrying { Int(link(path, newPath)) }
    } catch {
      guard [EPERM, EOPNOTSUPP, EMLINK].contains(error.number) else { throw error }
      // A file system without links: nobody can ask and rename in one step there.
      if (try? status(ofPath: newPath)) != nil { throw SystemError(number: EEXIST) }
      #if canImport(Darwin)
        _ = try retrying { Int(Darwin.rename(path, newPath)) }
      #elseif canImport(Glibc)
        _ = try retrying { Int(Glibc.rename(path, newPath)) }
      #else
        _ = try retrying { Int(Musl.rename(path, newPath)) }
      #endif
      return
    }
    try removeFile(path)
  }

  /// The path from the root, without symbolic links.
  static func resolvedPath(_ path: String) throws(SystemError) -> String {
    guard let resolved = realpath(path, nil) else { throw SystemError(number: errno) }
    defer { free(resolved) }
    return String(cString: resolved)
  }

  // MARK: Memory

  /// Maps a range of the file, shared; the offset is a multiple of the page size.
  static func map(
    _ descriptor: Int32, byteRange: Range<Int>, writable: Bool
  ) throws(SystemError) -> UnsafeMutableRawPointer {
    let protection = writable ? PROT_READ | PROT_WRITE : PROT_READ
    let base = mmap(
      nil, byteRange.count, protection, MAP_SHARED, descriptor, off_t(byteRange.lowerBound))
    return try checkMapped(base)
  }

  /// Reserves zeroed memory that takes room only where it is touched.
  package static func mapAnonymous(
    byteCount: Int
  ) throws(SystemError) -> UnsafeMutableRawPointer {
    let flags = MAP_PRIVATE | MAP_ANON | MAP_NORESERVE
    return try checkMapped(mmap(nil, byteCount, PROT_READ | PROT_WRITE, flags, -1, 0))
  }

  /// Makes anonymous memory zero again and gives back what it took; both ends page-aligned.
  package static func clearAnonymous(_ base: UnsafeMutableRawPointer, byteCount: Int) {
    guard byteCount > 0 else { return }
    #if canImport(Darwin)
      // `MADV_DONTNEED` doesn't promise zeros there; a new mapping in the same place does.
      let flags = MAP_PRIVATE | MAP_ANON | MAP_NORESERVE | MAP_FIXED
      let done = mmap(base, byteCount, PROT_READ | PROT_WRITE, flags, -1, 0) == base
    #else
      let done = advise(base, byteCount: byteCount, .drop)
    #endif
    if !done { memset(base, 0, byteCount) }
  }

  /// Unmaps whole pages.
  package static func unmap(_ base: UnsafeMutableRawPointer, byteCount: Int) {
    let result = munmap(base, byteCount)
    precondition(result == 0, "what is unmapped was not mapped")
  }

  /// Gives the system advice; `false` when it cannot follow.
  @discardableResult
  package static func advise(
    _ base: UnsafeMutableRawPointer, byteCount: Int, _ advice: Advice
  ) -> Bool {
    guard let number = advice.number else { return false }
    return madvise(base, byteCount, number) == 0
  }

  static func checkMapped(
    _ base: UnsafeMutableRawPointer?
  ) throws(SystemError) -> UnsafeMutableRawPointer {
    // A failure is reported as -1, which also means that `errno` is this call's.
    guard let base, Int(bitPattern: base) != -1 else { throw SystemError(number: errno) }
    return base
  }

  // MARK: The rest

  /// Nanoseconds of a clock that nobody sets.
  package static func monotonicNanoseconds() -> UInt64 {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
  }

  /// 64 unpredictable bits from the system.
  package static func randomBits() -> UInt64 {
    var generator = SystemRandomNumberGenerator()
    return generator.next()
  }

  /// Fills the buffer with unpredictable bytes from the system.
  package static func fillWithRandomBytes(_ buffer: UnsafeMutableRawBufferPointer) {
    for index in buffer.indices {
      buffer[index] = UInt8.random(in: .min ... .max)
    }
  }

  /// Names the calling thread for debuggers; nothing happens where that isn't possible.
  static func nameCurrentThread(_ name: String) {
    #if canImport(Darwin)
      pthread_setname_np(name)
    #elseif os(Linux)
      // `pthread_setname_np` isn't imported; the kernel takes the first 15 bytes of this.
      guard let file = try? openFile("/proc/thread-self/comm", writable: true) else { return }
      // Not `pwrite`, which this file refuses.
      _ = Array(name.utf8.prefix(15)).withUnsafeBytes { bytes in
        write(file, bytes.baseAddress, bytes.count)
      }
      closeFile(file)
    #endif
  }

  /// The system's words for an `errno`.
  static func text(ofError number: Int32) -> String {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
      buffer.initialize(repeating: 0)
      guard let base = buffer.baseAddress, strerror_r(number, base, buffer.count) == 0 else {
        return "unknown system error"
      }
      return String(cString: base)
    }
  }
}

extension PagerError {
  /// The error for a failed system call.
  ///
  /// - Parameters:
  ///   - number: The `errno`.
  ///   - action: What failed: "to open the file".
  ///   - path: The file concerned.
  ///   - byteOffset: Where in the file.
  package init(
    systemError number: Int32, whileTrying action: String, path: String?, byteOffset: Int? = nil
  ) {
    let (code, advice): (Code, String) =
      switch number {
      case ENOENT, ENOTDIR: (.notFound, "check the path")
      case EEXIST: (.alreadyExists, "choose another path, or open what is there")
      case EACCES, EPERM: (.permissionDenied, "check the rights of the file and its directory")
      case EROFS: (.readOnly, "open it for reading only, or mount the file system writable")
      case ENOSPC, EDQUOT, EFBIG: (.diskFull, "make room, then try again")
      case EISDIR: (.notADatabase, "it is a directory: give the path of a file")
      case ENXIO, ENODEV: (.notADatabase, "give the path of a regular file")
      case ENAMETOOLONG: (.invalidArgument, "choose a shorter path")
      case ENOMEM: (.outOfAddressSpace, "raise the process's memory limit, or map less")
      case EMFILE, ENFILE: (.inputOutput, "close files, or raise the limit of open files")
      case EAGAIN: (.inputOutput, "try again when the system has more room")
      default: (.inputOutput, "check the device and the system's log")
      }
    self.init(
      code, "the system failed \(action); \(advice)", path: path, byteOffset: byteOffset,
      systemError: number)
  }
}
