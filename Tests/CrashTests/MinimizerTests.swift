import CrashSupport
import Testing

/// The shortening of workloads that fail.
@Suite struct MinimizerTests {
  @Test(arguments: [1, 2, 5, 64, 1000])
  func findsTheItemsThatMatter(count: Int) {
    var minimizer = Minimizer(attempts: 100_000)
    let wanted = [count / 3, count - 1]
    let items = minimizer.minimize(Array(0..<count)) { items in
      wanted.allSatisfy(items.contains)
    }
    #expect(items == Set(wanted).sorted())
  }

  @Test func nothingIsNeededForAFailureThatIsAlwaysThere() {
    var minimizer = Minimizer(attempts: 1000)
    #expect(minimizer.minimize(Array(0..<50)) { _ in true }.isEmpty)
  }

  @Test func stopsWhenTheAttemptsRunOut() {
    var minimizer = Minimizer(attempts: 7)
    var attemptCount = 0
    let items = minimizer.minimize(Array(0..<100)) { items in
      attemptCount += 1
      return items.contains(99)
    }
    #expect(attemptCount == 7)
    #expect(minimizer.attemptsLeft == 0)
    #expect(items.contains(99) && items.count < 100)
  }

  /// Operations in transactions and savepoints are left out as well.
  @Test func looksIntoTransactions() {
    let needed = CrashOperation.remove(tree: 2, key: 7)
    func isFailing(_ operations: [CrashOperation]) -> Bool {
      operations.contains { $0 == needed || isFailing($0.parts ?? []) }
    }
    var plan = CrashPlan(seed: 3)
    let other = CrashOperation.insert(tree: 0, key: 1, size: 9)
    let inner = CrashOperation.savepoint([other, needed, other], isKept: true)
    plan.operations += [.transaction([other, inner, other], isKept: true), .checkpoint]
    var minimizer = Minimizer(attempts: 100_000)
    let shortest = minimizer.minimize(plan) { isFailing($0.operations) }
    #expect(
      shortest.operations == [
        .transaction([.savepoint([needed], isKept: true)], isKept: true)
      ])
    #expect(
      shortest.description.contains(
        ".transaction([.savepoint([.remove(tree: 2, key: 7)], isKept: true)], isKept: true),"))
  }

  /// The operations of a seed are always the same ones, or a failure could not be had again.
  @Test func aSeedDecidesEverything() {
    for seed in 0..<20 as Range<UInt64> {
      #expect(CrashPlan(seed: seed) == CrashPlan(seed: seed))
      #expect(CrashPlan(seed: seed) != CrashPlan(seed: seed + 1))
    }
  }
}
