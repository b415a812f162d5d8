import Foundation
import Pager
import Synchronization

/// Threads of one test; the first error of any of them ends all.
package final class TestThreads: Sendable {
  private let failure = Locked<(any Error)?>(nil)
  private let isEnding = Atomic(false)
  private let group = DispatchGroup()

  /// None yet.
  package init() {}

  /// Whether the threads are to end: asked in their loops.
  package var mustEnd: Bool { isEnding.load(ordering: .acquiring) }

  /// Asks the threads to end.
  package func end() { isEnding.store(true, ordering: .releasing) }

  /// Runs a body in a thread of its own.
  package func start(_ body: @escaping @Sendable () throws -> Void) {
    group.enter()
    let thread = Thread {
      do {
        try body()
      } catch {
        self.failure.withLock { if $0 == nil { $0 = error } }
        self.end()
      }
      self.group.leave()
    }
    thread.stackSize = 1 << 20
    thread.start()
  }

  /// Waits until all have ended, and throws the first error.
  package func wait() throws {
    group.wait()
    if let failure = failure.withLock({ $0 }) { throw failure }
  }
}
