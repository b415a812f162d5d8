import CrashSupport
import Foundation
import Pager
import TestSupport

/// Workloads, crashed by several threads.
final class Torture: Sendable {
  private struct State: Sendable {
    var nextSeed: UInt64
    var tally = CrashTally()
    var find: (seed: UInt64, find: CrashFind)?
  }

  private let settings: TortureSettings
  private let states = CrashStates()
  private let state: Locked<State>
  private let started = SystemCalls.monotonicNanoseconds()

  init(_ settings: TortureSettings) {
    self.settings = settings
    state = Locked(State(nextSeed: settings.firstSeed))
  }

  private var seconds: Int {
    Int((SystemCalls.monotonicNanoseconds() - started) / 1_000_000_000)
  }

  /// Does it all.
  ///
  /// - Returns: the exit status.
  func run() -> Int32 {
    let done = DispatchGroup()
    for _ in 0..<settings.jobCount {
      done.enter()
      let thread = Thread {
        while self.isOn { self.tryNextSeed() }
        done.leave()
      }
      thread.stackSize = 8 << 20
      thread.start()
    }
    while done.wait(timeout: .now() + 30) == .timedOut {
      say("\(seconds) s: \(states.count) distinct crash states")
    }
    let (tally, find) = state.withLock { ($0.tally, $0.find) }
    if let find { report(find.find, seed: find.seed) }
    say("\(find == nil ? "passed" : "FAILED"): \(tally.summary); \(seconds) s")
    return find == nil ? 0 : 1
  }

  /// Writes a line at once, also into a pipe.
  private func say(_ line: String) {
    FileHandle.standardOutput.write(Data((line + "\n").utf8))
  }

  private var isOn: Bool {
    states.count < settings.stateLimit && seconds < settings.seconds
      && state.withLock { $0.find == nil }
  }

  private func tryNextSeed() {
    let seed = state.withLock { state in
      defer { state.nextSeed += 1 }
      return state.nextSeed
    }
    var explorer = CrashExplorer(states: states)
    var find: CrashFind?
    do throws(CrashFind) {
      try explorer.explore(CrashPlan(seed: seed), seed: seed)
    } catch {
      find = error
    }
    state.withLock { state in
      state.tally.add(explorer.tally)
      if let find, state.find == nil { state.find = (seed, find) }
    }
  }

  private func report(_ find: CrashFind, seed: UInt64) {
    say("FOUND with --seed \(seed): \(find)")
    guard settings.minimizeSeconds > 0 else { return }
    let plan = CrashPlan(seed: seed)
    let end = seconds + settings.minimizeSeconds
    var last = find
    var minimizer = Minimizer(attempts: 5000)
    let shortest = minimizer.minimize(plan) { plan in
      guard self.seconds < end, let other = Self.find(in: plan, like: find) else { return false }
      last = other
      return true
    }
    say("\(shortest.operations.count) of \(plan.operations.count) operations fail: \(last)")
    say("For CrashRegressionTests:\n\(shortest)")
  }

  /// What goes wrong in a workload, if anything does; without a crash if that is enough.
  private static func find(in plan: CrashPlan, like find: CrashFind) -> CrashFind? {
    do throws(CrashFind) {
      // What is random in the engine, and which images there are, differs from run to run.
      for seed in 0..<4 as Range<UInt64> {
        var explorer = CrashExplorer()
        if find.path.isEmpty {
          try CrashExplorer.run(plan)
        } else {
          try explorer.explore(plan, seed: seed)
        }
      }
      return nil
    } catch {
      return error
    }
  }
}
