import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// The system calls of the tool, in one place.
///
/// Foundation would multiply the tool's start-up time, and scripts start the tool once a key;
/// what it would give here is a handful of calls.
enum System {
  static let standardInput: Int32 = 0
  static let standardOutput: Int32 = 1
  static let standardError: Int32 = 2

  static let brokenPipe = EPIPE
  static let interrupted = EINTR

  /// The words of the command line without the program's name, byte for byte.
  ///
  /// `CommandLine.arguments` repairs what is not UTF-8, which would silently change a key.
  static func arguments() -> [Word] {
    var words: [Word] = []
    for index in 1..<max(1, Int(CommandLine.argc)) {
      guard let argument = CommandLine.unsafeArgv[index] else { break }
      let bytes = UnsafeRawBufferPointer(start: argument, count: strlen(argument))
      words.append(Word(bytes: [UInt8](bytes)))
    }
    return words
  }

  static func exit(_ status: ExitStatus) -> Never {
    #if canImport(Glibc)
      Glibc.exit(status.rawValue)
    #elseif canImport(Musl)
      Musl.exit(status.rawValue)
    #else
      Darwin.exit(status.rawValue)
    #endif
  }

  static func isTerminal(_ descriptor: Int32) -> Bool {
    isatty(descriptor) == 1
  }

  static func message(_ errorNumber: Int32) -> String {
    guard let text = strerror(errorNumber) else { return "error \(errorNumber)" }
    return String(cString: text)
  }

  /// Writes all the bytes.
  ///
  /// - Returns: 0, or the error number of the call that failed.
  static func write(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32) -> Int32 {
    var rest = bytes[...]
    while !rest.isEmpty {
      let part = UnsafeRawBufferPointer(rebasing: rest)
      #if canImport(Glibc)
        let count = Glibc.write(descriptor, part.baseAddress, part.count)
      #elseif canImport(Musl)
        let count = Musl.write(descriptor, part.baseAddress, part.count)
      #else
        let count = Darwin.write(descriptor, part.baseAddress, part.count)
      #endif
      if count >= 0 {
        rest = rest.dropFirst(count)
      } else if errno != EINTR {
        return errno
      }
    }
    return 0
  }

  /// Appends what one `read` gives to `bytes`.
  ///
  /// An interrupted call is the caller's to judge: at the prompt it is the user's Ctrl-C.
  ///
  /// - Returns: how many bytes came (0 at the end), and the error number, or 0.
  static func read(
    from descriptor: Int32, into bytes: inout [UInt8], atMost limit: Int = 1 << 16
  ) -> (byteCount: Int, errorNumber: Int32) {
    var errorNumber: Int32 = 0
    let chunk = [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
      #if canImport(Glibc)
        let got = Glibc.read(descriptor, buffer.baseAddress, limit)
      #elseif canImport(Musl)
        let got = Musl.read(descriptor, buffer.baseAddress, limit)
      #else
        let got = Darwin.read(descriptor, buffer.baseAddress, limit)
      #endif
      errorNumber = got < 0 ? errno : 0
      count = Swift.max(0, got)
    }
    bytes += chunk
    return (chunk.count, errorNumber)
  }

  /// Opens a file.
  ///
  /// - Returns: its descriptor, and the error number, or 0.
  static func openForReading(_ path: String) -> (descriptor: Int32, errorNumber: Int32) {
    while true {
      let descriptor = open(path, O_RDONLY | O_CLOEXEC)
      if descriptor >= 0 { return (descriptor, 0) }
      if errno != EINTR { return (-1, errno) }
    }
  }

  static func close(_ descriptor: Int32) {
    // Nothing was written through it.
    #if canImport(Glibc)
      _ = Glibc.close(descriptor)
    #elseif canImport(Musl)
      _ = Musl.close(descriptor)
    #else
      _ = Darwin.close(descriptor)
    #endif
  }

  /// Lets a write into a closed pipe return an error in place of ending the process, so that the
  /// database is closed properly when `head` has seen enough.
  static func ignoreBrokenPipes() {
    _ = signal(SIGPIPE, SIG_IGN)
  }
}

/// Ctrl-C at the prompt, where it ends the command that runs and not the tool.
///
/// A single command leaves the signal alone: it then ends the process, as everywhere, and shells
/// see that it did.
enum Interrupt {
  private static let flag = Atomic<Bool>(false)

  /// Whether Ctrl-C was pressed since `arm`.
  static var isPending: Bool { flag.load(ordering: .relaxed) }

  /// Forgets an earlier Ctrl-C and catches the next one.
  ///
  /// Only one is caught: a second press ends a tool that does not heed the first. System calls
  /// are not restarted, so that waiting for a line ends too.
  static func arm() {
    flag.store(false, ordering: .relaxed)
    var action = sigaction()
    let handler: @convention(c) (Int32) -> Void = { _ in
      Interrupt.flag.store(true, ordering: .relaxed)
    }
    #if canImport(Darwin)
      action.__sigaction_u.__sa_handler = handler
      action.sa_flags = SA_RESETHAND
    #elseif canImport(Glibc)
      action.__sigaction_handler.sa_handler = handler
      action.sa_flags = CInt(bitPattern: UInt32(SA_RESETHAND))
    #else
      action.__sa_handler.sa_handler = handler
      action.sa_flags = CInt(bitPattern: UInt32(SA_RESETHAND))
    #endif
    _ = sigaction(SIGINT, &action, nil)
  }
}
