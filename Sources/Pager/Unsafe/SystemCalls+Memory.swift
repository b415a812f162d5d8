#if canImport(Darwin)
  import Darwin
#elseif canImport(Musl)
  import Musl
#else
  import Glibc
#endif

// Memory and scheduling as the page pool and the log need them.

extension SystemCalls {
  /// Maps a range of the file for reading, shared, in place of what was mapped at the address.
  static func map(
    _ descriptor: Int32, byteRange: Range<Int>, over address: UnsafeMutableRawPointer
  ) throws(SystemError) {
    let base = mmap(
      address, byteRange.count, PROT_READ, MAP_SHARED | MAP_FIXED, descriptor,
      off_t(byteRange.lowerBound))
    _ = try checkMapped(base)
  }

  /// Reserves addresses that can't be touched before something is mapped there.
  package static func reserveAddresses(
    byteCount: Int
  ) throws(SystemError) -> UnsafeMutableRawPointer {
    try checkMapped(mmap(nil, byteCount, PROT_NONE, MAP_PRIVATE | MAP_ANON | MAP_NORESERVE, -1, 0))
  }

  /// Zeroed memory that takes room only where it is touched, or nil when the system refuses.
  package static func reserveMemory(byteCount: Int) -> UnsafeMutableRawPointer? {
    try? mapAnonymous(byteCount: byteCount)
  }

  /// Keeps the system from backing a range with huge pages: dropping a page of one frees nothing.
  package static func adviseSmallPages(_ base: UnsafeMutableRawPointer, byteCount: Int) {
    advise(base, byteCount: byteCount, .noHugePages)
  }

  /// Gives the memory of whole pages back; they read as zeros afterwards.
  package static func discardMemory(_ base: UnsafeMutableRawPointer, byteCount: Int) {
    clearAnonymous(base, byteCount: byteCount)
  }

  /// Touches memory for writing ahead of its use.
  package static func prefault(_ base: UnsafeMutableRawPointer, byteCount: Int) {
    advise(base, byteCount: byteCount, .populateForWriting)
  }

  /// Whether two buffers of one length hold the same bytes.
  static func areEqual(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Bool {
    guard let first = a.baseAddress, let second = b.baseAddress else { return a.count == b.count }
    return a.count == b.count && memcmp(first, second, a.count) == 0
  }

  /// Lets another thread run on this core.
  package static func yieldThread() { sched_yield() }

  /// Sleeps for about this long.
  package static func sleep(nanoseconds: Int) {
    var time = timespec(tv_sec: nanoseconds / 1_000_000_000, tv_nsec: nanoseconds % 1_000_000_000)
    nanosleep(&time, nil)
  }
}
