public import Synchronization

/// A lock for critical sections of well under a microsecond that do no I/O and never wait.
///
/// It spins a little and then yields, since with more threads than cores the holder may be off
/// its core.
public final class SpinLatch: Sendable {
  @usableFromInline let held = Atomic<Bool>(false)

  /// A free latch.
  public init() {}

  /// Takes the latch.
  @inlinable public func lock() {
    if held.compareExchange(expected: false, desired: true, ordering: .acquiring).exchanged {
      return
    }
    lockSlowly()
  }

  @usableFromInline @inline(never) func lockSlowly() {
    var tries = 0
    while true {
      if !held.load(ordering: .relaxed),
        held.compareExchange(expected: false, desired: true, ordering: .acquiring).exchanged
      {
        return
      }
      tries += 1
      if tries > 60 {
        SystemCalls.yieldThread()
      } else {
        spinHint()
      }
    }
  }

  /// Gives the latch back.
  @inlinable public func unlock() { held.store(false, ordering: .releasing) }

  /// Runs `body` with the latch held.
  @inlinable public func withLock<R, E: Error>(_ body: () throws(E) -> R) throws(E) -> R {
    lock()
    defer { unlock() }
    return try body()
  }
}

/// Keeps a spinning core from hammering a cache line.
@inline(never) package func spinHint() {}
