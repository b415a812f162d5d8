import TestSupport
import Testing

/// The checker itself: it takes what some order explains, and refuses all else.
@Suite struct LinearizabilityCheckerTests {
  private func call(
    _ invoked: UInt64, _ returned: UInt64, _ observations: [RegisterCall.Observation],
    _ writes: [RegisterCall.Write] = []
  ) -> RegisterCall {
    RegisterCall("call", observations, writes, invoked: invoked, returned: returned)
  }

  private func lookup(_ invoked: UInt64, _ returned: UInt64, _ value: Int?) -> RegisterCall {
    call(invoked, returned, [.holds(register: 0, value)])
  }

  private func insert(_ invoked: UInt64, _ returned: UInt64, _ value: Int?) -> RegisterCall {
    call(invoked, returned, [], [.init(0, value)])
  }

  private func isAccepted(_ calls: [RegisterCall], _ initial: [Int?] = [nil]) -> Bool {
    LinearizabilityChecker.problem(in: calls, initial: initial) == nil
  }

  @Test func nothingIsLinearizable() {
    #expect(isAccepted([]))
  }

  @Test func oneAfterTheOther() {
    #expect(isAccepted([insert(1, 2, 7), lookup(3, 4, 7)]))
    #expect(!isAccepted([insert(1, 2, 7), lookup(3, 4, nil)]), "a stale lookup")
    #expect(!isAccepted([lookup(1, 2, 7), insert(3, 4, 7)]), "a value from the future")
    #expect(!isAccepted([insert(1, 2, 7), lookup(3, 4, 8)]), "a value from nowhere")
    #expect(!isAccepted([insert(1, 2, 7), insert(3, 4, nil), lookup(5, 6, 7)]), "a removed value")
  }

  @Test func atOnceEitherOrderIsGood() {
    #expect(isAccepted([insert(1, 4, 7), lookup(2, 3, 7)]))
    #expect(isAccepted([insert(1, 4, 7), lookup(2, 3, nil)]))
    #expect(isAccepted([insert(1, 5, 7), insert(2, 6, 8), lookup(7, 8, 7)]))
    #expect(isAccepted([insert(1, 5, 7), insert(2, 6, 8), lookup(7, 8, 8)]))
    // But not both orders at once.
    #expect(
      !isAccepted([insert(1, 5, 7), insert(2, 6, 8), lookup(7, 8, 7), lookup(9, 10, 8)]))
  }

  /// Two readers beside one writer: the second must not see what was before what the first saw.
  @Test func readersAgreeOnTheOrder() {
    #expect(isAccepted([insert(1, 10, 7), lookup(2, 3, nil), lookup(4, 5, 7)]))
    #expect(!isAccepted([insert(1, 10, 7), lookup(2, 3, 7), lookup(4, 5, nil)]))
  }

  /// Of two swaps that expect the same value one fails.
  @Test func swapsExcludeEachOther() {
    func swap(_ invoked: UInt64, _ returned: UInt64, _ new: Int) -> RegisterCall {
      call(invoked, returned, [.holds(register: 0, 1)], [.init(0, new)])
    }
    let failed = call(2, 5, [.holdsNot(register: 0, 1)])
    #expect(isAccepted([swap(1, 4, 2), failed], [1]))
    #expect(!isAccepted([swap(1, 4, 2), swap(2, 5, 3)], [1]), "a lost update")
    #expect(!isAccepted([failed], [1]), "a swap that failed for no reason")
  }

  @Test func presence() {
    let wasNew = call(1, 2, [.isThere(register: 0, false)], [.init(0, 5)])
    #expect(isAccepted([wasNew]))
    #expect(!isAccepted([wasNew], [3]))
    let removed = call(3, 4, [.isThere(register: 0, true)], [.init(0, nil)])
    #expect(isAccepted([wasNew, removed, lookup(5, 6, nil)]))
    #expect(!isAccepted([removed]))
  }

  /// A snapshot of two registers must not see half a transaction, nor two instants.
  @Test func severalRegisters() {
    let transfer = call(1, 6, [], [.init(0, 1), .init(1, 1)])
    func snapshot(_ invoked: UInt64, _ returned: UInt64, _ a: Int, _ b: Int) -> RegisterCall {
      call(invoked, returned, [.holds(register: 0, a), .holds(register: 1, b)])
    }
    #expect(isAccepted([transfer, snapshot(2, 3, 0, 0), snapshot(4, 5, 1, 1)], [0, 0]))
    #expect(!isAccepted([transfer, snapshot(2, 3, 1, 0)], [0, 0]), "half a transaction")
    #expect(
      !isAccepted([transfer, snapshot(2, 3, 1, 1), snapshot(4, 5, 0, 0)], [0, 0]), "back in time")
    // Each register alone is fine: only both together show it.
    let first = call(1, 10, [], [.init(0, 1)])
    let second = call(2, 11, [], [.init(1, 1)])
    #expect(
      !isAccepted([first, second, snapshot(3, 9, 1, 0), snapshot(4, 8, 0, 1)], [0, 0]))
  }

  @Test func eachRegisterAlone() {
    let calls = [
      call(1, 2, [], [.init(0, 5)]), call(3, 4, [], [.init(1, 6)]),
      call(5, 6, [.holds(register: 1, 6)]), call(7, 8, [.holds(register: 0, nil)]),
    ]
    let problem = LinearizabilityChecker.problemOfEachRegister(in: calls, initial: [nil, nil])
    #expect(problem?.hasPrefix("register 0: no order explains") == true)
    #expect(
      LinearizabilityChecker.problemOfEachRegister(
        in: Array(calls.dropLast()), initial: [nil, nil]) == nil)
  }

  /// Against a search without any cleverness: all orders of six calls are tried.
  @Test func agreesWithTryingAllOrders() {
    var random = SeededRandom(seed: 4)
    var accepted = 0
    for _ in 0..<3000 {
      var times = Array(1...12 as ClosedRange<UInt64>).shuffled(using: &random)
      let calls = (0..<6).map { _ -> RegisterCall in
        let (a, b) = (times.removeLast(), times.removeLast())
        let value = random.below(3)
        return random.chance(50)
          ? lookup(min(a, b), max(a, b), value == 0 ? nil : value)
          : insert(min(a, b), max(a, b), value == 0 ? nil : value)
      }
      let expected = Self.hasOrder(calls, nil)
      #expect(isAccepted(calls) == expected, "\(calls)")
      if expected { accepted += 1 }
    }
    #expect((100...2900).contains(accepted), "too few of one kind: \(accepted)")
  }

  private static func hasOrder(_ calls: [RegisterCall], _ value: Int?) -> Bool {
    if calls.isEmpty { return true }
    return calls.indices.contains { index in
      let call = calls[index]
      guard calls.allSatisfy({ call.invoked < $0.returned }) else { return false }
      if case .holds(_, let seen)? = call.observations.first, seen != value { return false }
      var rest = calls
      rest.remove(at: index)
      return hasOrder(rest, call.writes.isEmpty ? value : call.writes[0].value)
    }
  }
}
