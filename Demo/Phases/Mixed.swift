import BTreeKV
import Synchronization

extension Bench {
  /// Readers look pairs up while writers replace or add some, each on a thread of its own.
  func readAndWrite() throws {
    let control = MixedControl()
    let (readers, writers) = (options.threads.readers, options.threads.writers)
    var threads = (0..<readers).map { number in
      startThread { [self] in control.run { try read(number, control) } }
    }
    threads += (0..<writers).map { number in
      startThread { [self] in control.run { try write(number, control) } }
    }
    let started = threads.compactMap { $0 }
    if started.count < threads.count { control.fail(.wrongAnswer("no thread could be started")) }
    while control.readyCount.load(ordering: .acquiring) < started.count { sleepMilliseconds(1) }

    let start = monotonicNanoseconds()
    let end = start + UInt64(options.seconds * 1e9)
    control.mayGo.store(true, ordering: .releasing)
    while monotonicNanoseconds() < end && !control.mustStop.load(ordering: .relaxed)
      && !Interruption.isRequested
    {
      let rest = end - min(end, monotonicNanoseconds())
      sleepMilliseconds(UInt32(min(rest / 1_000_000 + 1, 10)))
    }
    control.mustStop.store(true, ordering: .relaxed)
    let nanoseconds = monotonicNanoseconds() - start
    for thread in started { joinThread(thread) }

    let outcome = control.outcome.withLock { $0 }
    if let error = outcome.error { throw error }
    if Interruption.isRequested {
      throw DemoFailure.interrupted(phase: "mixed", done: outcome.reads + outcome.writes)
    }
    let measuresLatency = options.measuresLatency
    report.mixed(
      Measurement(
        operations: outcome.reads, nanoseconds: nanoseconds,
        latencies: measuresLatency ? outcome.readLatencies : nil),
      Measurement(
        operations: outcome.writes, nanoseconds: nanoseconds,
        latencies: measuresLatency ? outcome.writeLatencies : nil))
    if options.writes == .insert { try removeInserted(outcome.writesOfWriter) }
  }

  private func read(_ number: Int, _ control: MixedControl) throws {
    var random = RandomNumbers(seed: workload.seed &+ 1000 &+ UInt64(number))
    try withBuffers { key, _ in
      let keyBytes = UnsafeRawBufferPointer(key)
      var latencies = Histogram()
      let reads = try control.loop(measuring: options.measuresLatency, &latencies) { _ in
        let index = random.next(below: workload.count)
        workload.writeKey(index, to: key)
        let isRight = try database.withValue(of: keyBytes) { value in
          workload.valueMatches(index, value, generation: nil)
        }
        if isRight != true { throw wrongLookup(index, wasFound: isRight != nil) }
      }
      control.outcome.withLock {
        $0.reads += reads
        $0.readLatencies.merge(latencies)
      }
    }
  }

  /// Every writer has indices of its own, so that it knows what the value of its last write is.
  private func write(_ number: Int, _ control: MixedControl) throws {
    var random = RandomNumbers(seed: workload.seed &+ 777_777 &+ UInt64(number))
    let inserts = options.writes == .insert
    let writerCount = UInt64(options.threads.writers)
    let first = UInt64(number)
    let ownCount = (workload.count - first + writerCount - 1) / writerCount
    try withBuffers { key, value in
      let keyBytes = UnsafeRawBufferPointer(key)
      let valueBytes = UnsafeRawBufferPointer(value)
      var latencies = Histogram()
      let writes = try control.loop(measuring: options.measuresLatency, &latencies) { turn in
        let index =
          inserts
          ? workload.count + first + turn * writerCount
          : first + random.next(below: ownCount) * writerCount
        let generation = turn + 1
        workload.writeKey(index, to: key)
        workload.writeValue(index, generation: generation, to: value)
        let isNew = try database.insert(keyBytes, valueBytes)
        guard isNew == inserts else {
          throw DemoFailure.wrongAnswer(
            "insert of \(hexadecimal(key)) said \(isNew ? "new" : "replaced"), which it is not")
        }
        guard turn & 1023 == 1023 else { return }
        let isRight = try database.withValue(of: keyBytes) { value in
          workload.valueMatches(
            index, value, generation: generation & Workload.generationMask)
        }
        if isRight != true { throw wrongLookup(index, wasFound: isRight != nil) }
      }
      control.outcome.withLock {
        $0.writes += writes
        $0.writesOfWriter[number] = writes
        $0.writeLatencies.merge(latencies)
      }
    }
  }

  /// Leaves the pairs as the phases after this one expect them; not timed.
  private func removeInserted(_ writesOfWriter: [Int: UInt64]) throws {
    let durability = options.durability == .sync ? Database.Durability.flush : options.durability
    try withBuffers { key, _ in
      for (number, writes) in writesOfWriter {
        for turn in 0..<writes {
          let writerCount = UInt64(options.threads.writers)
          workload.writeKey(workload.count + UInt64(number) + turn * writerCount, to: key)
          let wasThere = try database.remove(UnsafeRawBufferPointer(key), durability: durability)
          guard wasThere else {
            throw DemoFailure.wrongAnswer("remove of \(hexadecimal(key)) found nothing")
          }
        }
      }
    }
  }
}

/// What the threads of the phase share.
private final class MixedControl: Sendable {
  struct Outcome: Sendable {
    var reads: UInt64 = 0
    var writes: UInt64 = 0
    var writesOfWriter: [Int: UInt64] = [:]
    var readLatencies = Histogram()
    var writeLatencies = Histogram()
    var error: (any Error)?
  }

  let readyCount = Atomic(0)
  let mayGo = Atomic(false)
  let mustStop = Atomic(false)
  let outcome = Mutex(Outcome())

  func fail(_ error: DemoFailure) { fail(error as any Error) }

  private func fail(_ error: any Error) {
    outcome.withLock { if $0.error == nil { $0.error = error } }
    mustStop.store(true, ordering: .relaxed)
  }

  /// A thread's whole life: an error stops all of them.
  func run(_ body: () throws -> Void) {
    readyCount.add(1, ordering: .acquiringAndReleasing)
    while !mayGo.load(ordering: .acquiring) { sleepMilliseconds(1) }
    do { try body() } catch { fail(error) }
  }

  /// Repeats an operation until all threads are to stop.
  ///
  /// - Returns: How often.
  @inline(__always)
  func loop(
    measuring: Bool, _ latencies: inout Histogram, _ operation: (UInt64) throws -> Void
  ) throws -> UInt64 {
    var turn: UInt64 = 0
    var before = monotonicNanoseconds()
    while !mustStop.load(ordering: .relaxed) {
      try operation(turn)
      turn &+= 1
      if measuring {
        let after = monotonicNanoseconds()
        latencies.record(after &- before)
        before = after
      }
    }
    return turn
  }
}
