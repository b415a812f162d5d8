#if canImport(Darwin)
  import Darwin
#elseif canImport(Musl)
  import Musl
#else
  import Glibc
#endif

// What is read from descriptors that are not the database's, and how many threads are worth while.

extension SystemCalls {
  /// Reads what is next in a file, a pipe or a socket.
  ///
  /// - Returns: how many bytes; 0 at the end.
  package static func readNext(
    _ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer
  ) throws(SystemError) -> Int {
    while true {
      let count = read(descriptor, buffer.baseAddress, buffer.count)
      if count >= 0 { return count }
      if errno != EINTR { throw SystemError(number: errno) }
    }
  }

  /// How many processors there are to run on.
  package static var processorCount: Int { max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))) }
}
