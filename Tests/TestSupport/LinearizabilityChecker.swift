/// One call of a recorded history on a few registers: what it saw, what it changed, and when it
/// was under way.
///
/// Every operation is this: a lookup sees a value, a swap that failed sees that it is not the
/// expected one, a transaction sees many values and writes many. What it sees is seen before it
/// writes.
package struct RegisterCall: Sendable {
  /// What a call's answer says of a register at the instant of the call.
  package enum Observation: Sendable {
    /// It holds this value, or nothing.
    case holds(register: Int, Int?)
    /// It does not hold this value, or is not empty.
    case holdsNot(register: Int, Int?)
    /// It holds some value, or nothing.
    case isThere(register: Int, Bool)

    /// The register that it speaks of.
    package var register: Int {
      switch self {
      case .holds(let register, _), .holdsNot(let register, _), .isThere(let register, _): register
      }
    }

    fileprivate func isTrue(of registers: [Int?]) -> Bool {
      switch self {
      case .holds(let register, let value): registers[register] == value
      case .holdsNot(let register, let value): registers[register] != value
      case .isThere(let register, let isThere): (registers[register] != nil) == isThere
      }
    }
  }

  /// What a call stored in a register; nil emptied it.
  package struct Write: Sendable {
    package let register: Int
    package let value: Int?

    package init(_ register: Int, _ value: Int?) {
      self.register = register
      self.value = value
    }
  }

  package var name: String
  package var observations: [Observation]
  package var writes: [Write]
  /// When it was called and when it returned, on a clock that never shows the same time twice.
  package var invoked: UInt64
  package var returned: UInt64

  package init(
    _ name: String, _ observations: [Observation], _ writes: [Write] = [], invoked: UInt64,
    returned: UInt64
  ) {
    self.name = name
    self.observations = observations
    self.writes = writes
    self.invoked = invoked
    self.returned = returned
  }

  /// The registers that it touches.
  package var registers: Set<Int> {
    Set(observations.map(\.register)).union(writes.map(\.register))
  }

  /// The registers after the call, or nil when its answer is impossible before.
  fileprivate func next(_ registers: [Int?]) -> [Int?]? {
    guard observations.allSatisfy({ $0.isTrue(of: registers) }) else { return nil }
    var registers = registers
    for write in writes { registers[write.register] = write.value }
    return registers
  }
}

/// Whether the calls of many threads could have happened one after the other, each at one instant
/// between its invocation and its return.
///
/// The search is that of Wing and Gong ("Testing and Verifying Concurrent Objects", 1993) with
/// Lowe's memory of what was tried ("Testing for linearizability", 2017): a set of calls that took
/// effect, together with the registers after them, is looked at once only.
package struct LinearizabilityChecker {
  /// The calls' invocations and returns in the order of time, in a list from which calls that took
  /// effect are taken out, and put back when that led nowhere.
  private struct Event {
    var call: Int
    var isReturn: Bool
    var next = 0
    var previous = 0
    /// The call's other event.
    var partner = 0
  }

  private struct Tried: Hashable {
    var done: [UInt64]
    var registers: [Int?]
  }

  private let calls: [RegisterCall]
  /// The first one stands before all others.
  private var events: [Event]

  private init(_ calls: [RegisterCall]) {
    self.calls = calls
    var order: [(time: UInt64, call: Int, isReturn: Bool)] = []
    for (index, call) in calls.enumerated() {
      precondition(call.invoked < call.returned, "a call returns after its invocation")
      order.append((call.invoked, index, false))
      order.append((call.returned, index, true))
    }
    order.sort { $0.time < $1.time }
    events = [Event(call: -1, isReturn: false)]
    var invocations = [Int](repeating: 0, count: calls.count)
    for (place, item) in order.enumerated() {
      var event = Event(call: item.call, isReturn: item.isReturn)
      event.previous = place
      event.next = place + 2 <= order.count ? place + 2 : 0
      if item.isReturn {
        event.partner = invocations[item.call]
        events[event.partner].partner = place + 1
      } else {
        invocations[item.call] = place + 1
      }
      events.append(event)
    }
    events[0].next = order.isEmpty ? 0 : 1
  }

  private mutating func takeOut(_ index: Int) {
    for place in [index, events[index].partner] {
      events[events[place].previous].next = events[place].next
      if events[place].next != 0 { events[events[place].next].previous = events[place].previous }
    }
  }

  private mutating func putBack(_ index: Int) {
    for place in [events[index].partner, index] {
      events[events[place].previous].next = place
      if events[place].next != 0 { events[events[place].next].previous = place }
    }
  }

  /// Searches for an order.
  ///
  /// - Returns: nil when there is one, or else the longest beginning of one that was found, in its
  ///   order, with the registers after it.
  private mutating func search(_ initial: [Int?]) -> (order: [Int], registers: [Int?])? {
    var registers = initial
    var done = [UInt64](repeating: 0, count: calls.count / 64 + 1)
    var tried: Set<Tried> = []
    var stack: [(event: Int, registers: [Int?])] = []
    var longest: (order: [Int], registers: [Int?]) = ([], initial)
    var place = events[0].next
    while events[0].next != 0 {
      let event = events[place]
      if !event.isReturn {
        if let next = calls[event.call].next(registers) {
          done[event.call / 64] |= 1 << UInt64(event.call % 64)
          if tried.insert(Tried(done: done, registers: next)).inserted {
            stack.append((place, registers))
            registers = next
            takeOut(place)
            if stack.count > longest.order.count {
              longest = (stack.map { events[$0.event].call }, registers)
            }
            place = events[0].next
            continue
          }
          done[event.call / 64] &= ~(1 << UInt64(event.call % 64))
        }
        place = event.next
        continue
      }
      // This call has returned: what comes later can't be before it, so an earlier choice is wrong.
      guard let last = stack.popLast() else { return longest }
      let call = events[last.event].call
      done[call / 64] &= ~(1 << UInt64(call % 64))
      registers = last.registers
      putBack(last.event)
      place = events[last.event].next
    }
    return nil
  }

  /// Says why the calls can't have happened one after the other, or nil when they can.
  ///
  /// - Parameter initial: what the registers hold before the first call.
  package static func problem(in calls: [RegisterCall], initial: [Int?]) -> String? {
    var checker = LinearizabilityChecker(calls)
    guard let (order, registers) = checker.search(initial) else { return nil }
    let done = Set(order)
    let left = calls.indices.filter { !done.contains($0) }
      .sorted { calls[$0].returned < calls[$1].returned }
    let lines = left.prefix(6).map { "  \(calls[$0])" }
    return """
      no order explains these calls; the longest beginning of one takes \(order.count) of \
      \(calls.count), ends with \(order.suffix(4).map { calls[$0].name }) \
      and leaves \(registers); then came
      \(lines.joined(separator: "\n"))
      """
  }

  /// The same for calls that touch one register each: registers can be looked at one by one, since
  /// linearizability is local.
  package static func problemOfEachRegister(
    in calls: [RegisterCall], initial: [Int?]
  ) -> String? {
    for register in initial.indices {
      let own = calls.filter { $0.registers.contains(register) }
      precondition(own.allSatisfy { $0.registers == [register] }, "a call touches two registers")
      if let problem = problem(in: own, initial: initial) {
        return "register \(register): \(problem)"
      }
    }
    return nil
  }
}
