#if canImport(Darwin)
  import Darwin
#elseif canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

// Waiting with a bound is what the standard library's `Mutex` lacks; the log's group commit and
// the background writers need it, and must not block the threads of Swift's cooperative pool.

/// A mutex with one condition to wait for.
///
/// `@unchecked Sendable` is right because the two `let` pointers never change, what they point to
/// lives from `init` to `deinit` at one address, and it is touched by pthread functions only,
/// which are made for use by several threads.
package final class ConditionLock: @unchecked Sendable {
  private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private let condition: UnsafeMutablePointer<pthread_cond_t>

  /// Makes an unlocked lock.
  package init() {
    mutex = .allocate(capacity: 1)
    condition = .allocate(capacity: 1)
    mutex.initialize(to: pthread_mutex_t())
    condition.initialize(to: pthread_cond_t())
    Self.check(pthread_mutex_init(mutex, nil))
    #if canImport(Darwin)
      Self.check(pthread_cond_init(condition, nil))
    #else
      // By default deadlines are on the wall clock, and setting it would make waits endless.
      var attributes = pthread_condattr_t()
      Self.check(pthread_condattr_init(&attributes))
      Self.check(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC))
      Self.check(pthread_cond_init(condition, &attributes))
      Self.check(pthread_condattr_destroy(&attributes))
    #endif
  }

  deinit {
    Self.check(pthread_cond_destroy(condition))
    Self.check(pthread_mutex_destroy(mutex))
    condition.deallocate()
    mutex.deallocate()
  }

  /// Takes the lock; not recursive.
  package func lock() {
    Self.check(pthread_mutex_lock(mutex))
  }

  /// Gives the lock back, from the thread that took it.
  package func unlock() {
    Self.check(pthread_mutex_unlock(mutex))
  }

  /// Runs the closure while holding the lock.
  ///
  /// - Parameter body: What to do; must not take the lock again.
  /// - Returns: What the closure returns.
  /// - Throws: What the closure throws.
  package func withLock<Result, Failure: Error>(
    _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    lock()
    defer { unlock() }
    return try body()
  }

  /// Sleeps, without the lock, until signalled; may wake for no reason, so call it in a loop.
  package func wait() {
    Self.check(pthread_cond_wait(condition, mutex))
  }

  /// Sleeps, without the lock, until signalled or until the time is over.
  ///
  /// - Parameter timeoutNanoseconds: The longest to wait, on the monotonic clock.
  /// - Returns: `false` when the time was over; `true` says nothing certain, so look again.
  package func wait(timeoutNanoseconds: UInt64) -> Bool {
    // A hundred years are as good as for ever, and no `time_t` overflows.
    let bounded = min(timeoutNanoseconds, 3_155_760_000_000_000_000)
    #if canImport(Darwin)
      var interval = Self.timespecification(nanoseconds: bounded)
      let result = pthread_cond_timedwait_relative_np(condition, mutex, &interval)
    #else
      var deadline = Self.timespecification(
        nanoseconds: SystemCalls.monotonicNanoseconds() + bounded)
      let result = pthread_cond_timedwait(condition, mutex, &deadline)
    #endif
    if result == ETIMEDOUT { return false }
    Self.check(result)
    return true
  }

  /// Wakes one of those who wait.
  package func signal() {
    Self.check(pthread_cond_signal(condition))
  }

  /// Wakes all who wait.
  package func broadcast() {
    Self.check(pthread_cond_broadcast(condition))
  }

  private static func timespecification(nanoseconds: UInt64) -> timespec {
    timespec(
      tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
  }

  /// A failing pthread call is always a mistake of the program, such as unlocking twice.
  private static func check(_ result: Int32) {
    precondition(result == 0, "a pthread function failed")
  }
}

extension SystemCalls {
  /// A number that no other thread has while the calling one lives; never 0.
  package static var currentThread: UInt {
    #if canImport(Glibc)
      return UInt(pthread_self())
    #else
      return UInt(bitPattern: pthread_self())
    #endif
  }
}

/// A value that is touched only under its lock.
///
/// It stands in for the standard library's `Mutex`, whose order
/// ThreadSanitizer does not see on Linux (Swift 6.3.1): it reports races between two closures
/// under one such lock.
///
/// `@unchecked Sendable` is right because the value is `Sendable`, private, and touched nowhere
/// but in `withLock`, which holds the lock.
package final class Locked<Value: Sendable>: @unchecked Sendable {
  private let lock = ConditionLock()
  /// Behind a pointer, since the runtime would check each access to a class's variables.
  private let value: UnsafeMutablePointer<Value>

  /// Makes an unlocked value.
  ///
  /// - Parameter value: What it is at first.
  package init(_ value: Value) {
    self.value = .allocate(capacity: 1)
    self.value.initialize(to: value)
  }

  deinit {
    value.deinitialize(count: 1)
    value.deallocate()
  }

  /// Lends the value to the closure while holding the lock.
  ///
  /// - Parameter body: What to do; must not take the lock again.
  /// - Returns: What the closure returns.
  /// - Throws: What the closure throws.
  package func withLock<Result, Failure: Error>(
    _ body: (inout Value) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    lock.lock()
    defer { lock.unlock() }
    return try body(&value.pointee)
  }
}

/// A thread of the operating system that runs one closure.
///
/// For work that blocks: it would starve Swift's cooperative pool.
package final class BackgroundThread: Sendable {
  /// The handle, until the thread is joined or detached.
  private struct Handle: @unchecked Sendable {
    // `pthread_t` is an integer or an opaque pointer, and every function that takes one may be
    // called from any thread.
    let value: pthread_t
  }

  /// What the new thread is given.
  private final class Start: Sendable {
    let name: String
    let body: @Sendable () -> Void

    init(name: String, body: @escaping @Sendable () -> Void) {
      self.name = name
      self.body = body
    }
  }

  /// The name that debuggers and `top` show.
  package let name: String
  private let handle: Locked<Handle?>

  /// Starts the thread.
  ///
  /// - Parameters:
  ///   - name: What to show in debuggers; Linux keeps the first 15 bytes.
  ///   - body: What the thread does; it ends when this returns.
  /// - Throws: `.inputOutput` when the system has no room for another thread.
  package init(name: String, body: @escaping @Sendable () -> Void) throws(PagerError) {
    self.name = name
    let start = Unmanaged.passRetained(Start(name: name, body: body))
    do throws(SystemError) {
      handle = Locked(try Self.create(start.toOpaque()))
    } catch {
      start.release()
      throw PagerError(systemError: error.number, whileTrying: "to start a thread", path: nil)
    }
  }

  deinit {
    handle.withLock { handle in
      if let handle { pthread_detach(handle.value) }
    }
  }

  /// Waits until the thread has ended; again is harmless, from the thread itself it traps.
  package func join() {
    handle.withLock { handle in
      guard let running = handle else { return }
      let result = pthread_join(running.value, nil)
      precondition(result == 0, "a thread cannot join itself")
      handle = nil
    }
  }

  private static func create(
    _ argument: UnsafeMutableRawPointer
  ) throws(SystemError) -> Handle {
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    defer { pthread_attr_destroy(&attributes) }
    // The defaults range from 128 KiB (Musl) over 512 KiB (Darwin) to 8 MiB (Glibc).
    pthread_attr_setstacksize(&attributes, 2 << 20)
    #if canImport(Glibc)
      var thread = pthread_t()
      let result = pthread_create(&thread, &attributes, { BackgroundThread.run($0) }, argument)
      guard result == 0 else { throw SystemError(number: result) }
    #else
      var created: pthread_t?
      let result = pthread_create(&created, &attributes, { BackgroundThread.run($0) }, argument)
      guard result == 0, let thread = created else { throw SystemError(number: result) }
    #endif
    return Handle(value: thread)
  }

  private static func run(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let argument else { return nil }
    let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
    SystemCalls.nameCurrentThread(start.name)
    start.body()
    return nil
  }
}
