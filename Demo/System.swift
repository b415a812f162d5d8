// Every system call of the demo.

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

let standardOutput: Int32 = 1
let standardError: Int32 = 2

/// Nanoseconds of a clock that never goes back.
@inline(__always)
func monotonicNanoseconds() -> UInt64 {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
}

func exitProcess(_ status: Int32) -> Never { exit(status) }

func isTerminal(_ descriptor: Int32) -> Bool { isatty(descriptor) == 1 }

func sleepMilliseconds(_ milliseconds: UInt32) { usleep(milliseconds * 1000) }

/// Writes all of the text at once, past any buffer, so that a reader sees each line as it is made.
func write(_ text: String, to descriptor: Int32) {
  var text = text
  text.withUTF8 { bytes in
    var rest = UnsafeRawBufferPointer(bytes)
    while !rest.isEmpty, let start = rest.baseAddress {
      let written = write(descriptor, start, rest.count)
      if written < 0 && errno == EINTR { continue }
      if written <= 0 { return }
      rest = UnsafeRawBufferPointer(rebasing: rest[written...])
    }
  }
}

enum FileState: Equatable {
  case absent
  case empty
  case present(byteCount: Int)
}

func fileState(_ path: String) -> FileState {
  var status = stat()
  guard stat(path, &status) == 0 else { return .absent }
  let isFile = status.st_mode & S_IFMT == S_IFREG
  // What is no file at all is refused by the engine, with the better message.
  return isFile && status.st_size == 0 ? .empty : .present(byteCount: Int(status.st_size))
}

func removeFile(_ path: String) { unlink(path) }

/// The largest part of physical memory that this process ever held, in bytes.
///
/// Linux: `VmHWM`, since `ru_maxrss` starts at the size of the process that started this one.
func peakMemoryByteCount() -> Int {
  #if os(Linux)
    if let kibibytes = procStatusField("VmHWM:") { return kibibytes * 1024 }
  #endif
  var usage = rusage()
  let thisProcess: Int32 = 0  // RUSAGE_SELF, whose type differs between the C libraries
  getrusage(thisProcess, &usage)
  #if os(Linux)
    return Int(usage.ru_maxrss) * 1024
  #else
    return Int(usage.ru_maxrss)
  #endif
}

#if os(Linux)
  /// A number of `/proc/self/status`, in the unit given there.
  private func procStatusField(_ name: String) -> Int? {
    let descriptor = open("/proc/self/status", O_RDONLY)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: 8192)
    let byteCount = read(descriptor, &bytes, bytes.count)
    guard byteCount > 0 else { return nil }
    for line in String(decoding: bytes[..<byteCount], as: UTF8.self).split(separator: "\n")
    where line.hasPrefix(name) {
      return line.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first.flatMap {
        Int($0)
      }
    }
    return nil
  }
#endif

// MARK: - Threads

private final class ThreadBody {
  let run: @Sendable () -> Void
  init(_ run: @escaping @Sendable () -> Void) { self.run = run }
}

/// Starts a thread for blocking work; tasks would share a pool of as many threads as cores.
func startThread(_ body: @escaping @Sendable () -> Void) -> pthread_t? {
  let argument = Unmanaged.passRetained(ThreadBody(body)).toOpaque()
  #if os(Linux)
    var thread = pthread_t()
  #else
    var thread: pthread_t?
  #endif
  let status = pthread_create(
    &thread, nil,
    { argument in
      let opaque: UnsafeMutableRawPointer? = argument
      if let opaque { Unmanaged<ThreadBody>.fromOpaque(opaque).takeRetainedValue().run() }
      return nil
    }, argument)
  if status == 0 { return thread }
  Unmanaged<ThreadBody>.fromOpaque(argument).release()
  return nil
}

func joinThread(_ thread: pthread_t) { pthread_join(thread, nil) }
