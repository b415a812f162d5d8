import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

private let signalCount = Atomic<Int>(0)

/// Ctrl-C and `kill`: the first asks the demo to finish its operation and close the file; the
/// second ends the process at once, which the file must survive as well.
enum Interruption {
  static let exitStatus: Int32 = 130

  static var isRequested: Bool { signalCount.load(ordering: .relaxed) > 0 }

  static func install() {
    // Makes the counter before a handler can need it: lazy initialisation may lock.
    _ = isRequested
    var signals = sigset_t()
    sigemptyset(&signals)
    for number in [SIGINT, SIGTERM] {
      sigaddset(&signals, number)
      signal(number) { _ in
        let earlier = signalCount.add(1, ordering: .relaxed).oldValue
        if earlier > 0 { _exit(Interruption.exitStatus) }
      }
    }
    // A process that is started from a thread with blocked signals, as Dispatch's are, inherits it.
    sigprocmask(SIG_UNBLOCK, &signals, nil)
  }
}
