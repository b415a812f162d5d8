#if canImport(Darwin)
  import Darwin
#elseif canImport(Musl)
  import Musl
#else
  import Glibc
#endif

// Putting on the medium what was written: the file, what is mapped of it, names.

extension SystemCalls {
  /// Puts on the medium what was written to the file.
  static func synchronize(_ descriptor: Int32) throws(SystemError) {
    #if canImport(Darwin)
      // `fsync` there leaves data in the device's volatile cache.
      if fcntl(descriptor, F_FULLFSYNC) != -1 { return }
      _ = try retrying { Int(fsync(descriptor)) }
    #else
      _ = try retrying { Int(fdatasync(descriptor)) }
    #endif
  }

  /// Begins to put a part of a file on the medium, without waiting until it is there; only a hint.
  ///
  /// It may wait for room among the device's requests. It takes no error that a later sync has to report,
  /// which would need flags that wait for what was written.
  static func beginSynchronizing(_ descriptor: Int32, byteRange: Range<Int>) {
    #if !canImport(Darwin)
      // SYNC_FILE_RANGE_WRITE
      _ = syncFileRange?(descriptor, Int64(byteRange.lowerBound), Int64(byteRange.count), 0x02)
    #endif
  }

  #if !canImport(Darwin)
    /// Linux's own call, which Swift's module of the C library leaves out; nil where it has none.
    private static let syncFileRange = dlsym(nil, "sync_file_range").map {
      unsafeBitCast($0, to: (@convention(c) (Int32, Int64, Int64, UInt32) -> Int32).self)
    }
  #endif

  /// Puts on the medium what was written through the mapping, where `synchronize` does not.
  static func synchronizeMapping(
    _ base: UnsafeMutableRawPointer, byteCount: Int
  ) throws(SystemError) {
    _ = try retrying { Int(msync(base, byteCount, MS_SYNC)) }
  }

  /// Puts a directory's names on the medium.
  static func synchronizeDirectory(_ path: String) throws(SystemError) {
    let descriptor = try openFile(path, writable: false)
    defer { closeFile(descriptor) }
    do throws(SystemError) {
      _ = try retrying { Int(fsync(descriptor)) }
    } catch {
      // Some network file systems have durable directories and no such call.
      guard error.number == EINVAL || error.number == ENOTSUP else { throw error }
    }
  }
}
