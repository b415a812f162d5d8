#if canImport(Darwin)
  import Darwin
#elseif canImport(Musl)
  import Musl
#else
  import Glibc
#endif

// Calls that a signal may interrupt, and transfers of which the system may do a part only. The
// loops take the raw call as a closure, so that tests run these very loops with any outcome.

extension SystemCalls {
  /// The longest single transfer: systems refuse or shorten those of 2 GiB and more.
  package static let maximumTransferByteCount = 1 << 30

  /// Repeats the call while a signal interrupts it.
  ///
  /// - Parameter call: returns -1 and sets `errno` when it fails.
  @inline(__always)
  static func retrying(_ call: () -> Int) throws(SystemError) -> Int {
    while true {
      let result = call()
      if result != -1 { return result }
      let number = errno
      if number != EINTR { throw SystemError(number: number) }
    }
  }

  /// Repeats the call while a signal interrupts it.
  ///
  /// - Parameter call: returns 0 or, instead of setting `errno`, the error's number.
  @inline(__always)
  static func retryingNumber(_ call: () -> Int32) throws(SystemError) {
    while true {
      let number = call()
      if number == 0 { return }
      if number != EINTR { throw SystemError(number: number) }
    }
  }

  /// Calls until everything is transferred or a call transfers nothing.
  ///
  /// - Parameters:
  ///   - byteCount: how much there is to transfer.
  ///   - limit: the most that one call is asked for.
  ///   - call: gets how much is done and how much to do next, and returns how much it did; or -1,
  ///     with `errno` set.
  /// - Returns: how much was transferred.
  @inline(__always)
  static func transfer(
    byteCount: Int, limit: Int, _ call: (_ done: Int, _ count: Int) -> Int
  ) throws(SystemError) -> Int {
    var done = 0
    while done < byteCount {
      let step = try retrying { call(done, min(byteCount - done, limit)) }
      if step == 0 { break }
      done += step
    }
    return done
  }

  /// Reads until the buffer is full or the file ends.
  ///
  /// - Returns: how many bytes were read.
  static func readFile(
    _ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer, at offset: Int,
    transferByteCount: Int = maximumTransferByteCount
  ) throws(SystemError) -> Int {
    guard let base = buffer.baseAddress else { return 0 }
    return try transfer(byteCount: buffer.count, limit: transferByteCount) { done, count in
      pread(descriptor, base + done, count, off_t(offset + done))
    }
  }

  /// Writes all bytes.
  static func writeFile(
    _ descriptor: Int32, _ bytes: UnsafeRawBufferPointer, at offset: Int,
    transferByteCount: Int = maximumTransferByteCount
  ) throws(SystemError) {
    guard let base = bytes.baseAddress else { return }
    try writeAll(byteCount: bytes.count, limit: transferByteCount) { done, count in
      pwrite(descriptor, base + done, count, off_t(offset + done))
    }
  }

  /// Calls until everything is written.
  @inline(__always)
  static func writeAll(
    byteCount: Int, limit: Int, _ call: (_ done: Int, _ count: Int) -> Int
  ) throws(SystemError) {
    // No file system should write nothing; looping for ever would be worse than an error.
    guard try transfer(byteCount: byteCount, limit: limit, call) == byteCount else {
      throw SystemError(number: EIO)
    }
  }
}
