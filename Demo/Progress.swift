/// Watches a phase from within its loop: notices Ctrl-C and draws a line on a terminal.
///
/// The loop compares its position with `nextCheck` and calls `check` when it gets there; the
/// distance adapts so that a check comes every few milliseconds, never later than after 1024
/// operations.
struct Progress {
  private(set) var nextCheck: UInt64 = 0
  private let phase: String
  private let total: UInt64
  private let draws: Bool
  private let start: UInt64
  private var stride: UInt64 = 1
  private var checked: UInt64
  private var drawn: UInt64

  private static let checkNanoseconds: UInt64 = 5_000_000
  private static let drawNanoseconds: UInt64 = 100_000_000

  init(phase: String, total: UInt64) {
    self.phase = phase
    self.total = total
    draws = isTerminal(standardError)
    start = monotonicNanoseconds()
    checked = start
    drawn = start
  }

  /// - Throws: `DemoFailure.interrupted` after Ctrl-C.
  @inline(never)
  mutating func check(_ done: UInt64) throws(DemoFailure) {
    if Interruption.isRequested { throw .interrupted(phase: phase, done: done) }
    let now = monotonicNanoseconds()
    if now - checked < Progress.checkNanoseconds {
      stride = min(stride * 2, 1024)
    } else {
      stride = max(stride / 2, 1)
    }
    checked = now
    nextCheck = done + stride
    if draws && now - drawn >= Progress.drawNanoseconds { draw(done, now) }
  }

  private mutating func draw(_ done: UInt64, _ now: UInt64) {
    drawn = now
    let rate = decimal(Double(done) * 1e9 / Double(now - start), places: 0)
    let share = total == 0 ? 100 : done * 100 / total
    write("\r\(phase): \(share) % of \(total) (\(rate) op/s)\u{1B}[K", to: standardError)
  }

  func erase() {
    if drawn != start { write("\r\u{1B}[K", to: standardError) }
  }
}
