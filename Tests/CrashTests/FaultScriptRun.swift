import Foundation
import Synchronization
import TestSupport

@testable import BTreeKV
@testable import Pager

/// Which call of a run fails, and how.
struct PlannedFault: Sendable, CustomStringConvertible {
  /// The kinds of calls that are counted.
  var operations: Set<FaultyStorage.Operation>
  /// Which of them fails, from 1 on, over all openings of the run.
  var number: Int
  var code: PagerError.Code
  var isForever: Bool
  /// The calls that fail are those that would make the file longer than this, in place of a number.
  var limitByteCount: Int?
  /// Whether there is room again after the first failure, and what failed is done again.
  var isRetried: Bool { limitByteCount != nil }

  init(
    operations: Set<FaultyStorage.Operation>, number: Int, code: PagerError.Code, isForever: Bool
  ) {
    self.operations = operations
    self.number = number
    self.code = code
    self.isForever = isForever
  }

  /// A disk on which a file can't be longer.
  init(limitByteCount: Int) {
    self.init(operations: [.allocate], number: 1, code: .diskFull, isForever: true)
    self.limitByteCount = limitByteCount
  }

  var systemError: Int32 { code == .diskFull ? ENOSPC : EIO }
  var error: PagerError { PagerError(code, "a planned fault", systemError: systemError) }
  var description: String {
    if let limitByteCount { return "there is room for \(limitByteCount) bytes" }
    return "call \(number) fails with \(code) \(isForever ? "for ever" : "once")"
  }

  /// What calls of the database may throw after it.
  var allowedCodes: Set<String> { [code.name, "poisoned", "outcomeUnknown"] }
}

/// Where the file of a run is.
enum FaultMedium {
  case memory(MemoryStorage)
  case file(String)

  func open() throws -> any Storage {
    switch self {
    case .memory(let storage): storage.reopen()
    // Also shows that the opening before has given its lock back.
    case .file(let path): try FileStorage.open(path: path, access: .createIfMissing)
    }
  }

  /// Descriptors and mappings that this process still has of the file.
  func leaks() throws -> [String] {
    guard case .file(let path) = self else { return [] }
    #if os(Linux)
      // The folder's name is nobody else's.
      let name = path.split(separator: "/").suffix(2).joined(separator: "/")
      let folder = "/proc/self/fd/"
      let open = try FileManager.default.contentsOfDirectory(atPath: folder).filter {
        // Other tests close theirs meanwhile.
        let target = try? FileManager.default.destinationOfSymbolicLink(atPath: folder + $0)
        return target?.hasSuffix(name) ?? false
      }
      let maps = try String(contentsOfFile: "/proc/self/maps", encoding: .utf8)
        .split(separator: "\n").filter { $0.hasSuffix(name) }
      return open.map { "descriptor \($0) is still open" } + maps.map { "still mapped: \($0)" }
    #else
      return []
    #endif
  }
}

/// One run of a script in which a call fails.
///
/// Power does not fail here: what was handed to the system is there afterwards. (`FaultTests` and
/// `TransactionFaultTests` look at what a power cut leaves.)
final class FaultScriptRun {
  typealias Content = FaultScript.Content

  let script: FaultScript
  let durability: Database.Durability
  let medium: FaultMedium
  let fault: PlannedFault?
  private(set) var problems: [String] = []
  /// The calls that failed.
  private(set) var failedCalls: [FaultyStorage.Call] = []
  /// What calls of the database threw.
  private(set) var thrownCodes: Set<String> = []
  /// How long the file was at most.
  private(set) var peakByteCount = 0

  /// What readers see.
  private var current: Content = ["": [:]]
  /// What the next opening may find.
  private var possible: [Content] = [["": [:]]]
  private var callCount = 0
  private var isHealed = false

  // Of the present opening:
  private var isPoisoned = false
  private var failureCount = 0
  private var snapshots: [(snapshot: Snapshot, content: Content)] = []
  private var held: [(name: String, isUnchanged: () throws -> Bool)] = []

  init(
    _ script: FaultScript, _ durability: Database.Durability, _ medium: FaultMedium,
    _ fault: PlannedFault?
  ) {
    self.script = script
    self.durability = durability
    self.medium = medium
    self.fault = fault
  }

  private var options: Database.Options {
    var options = Database.Options()
    options.pageSize = 4096
    options.cacheByteCount = 4 << 20
    options.durability = durability
    return options
  }

  func run() throws {
    for (number, session) in script.sessions.enumerated() {
      let storage = FaultyStorage(try medium.open())
      arm(storage)
      let before = problems.count
      let engine = try runSession(session.steps, session.end, storage)
      if engine.isAlive { problems.append("the engine outlives its handles") }
      storage.close()
      if storage.mappingCount != 0 { problems.append("\(storage.mappingCount) mappings are left") }
      problems += try medium.leaks()
      failedCalls += storage.failedCalls
      for call in storage.calls where call.operation == .allocate {
        peakByteCount = max(peakByteCount, call.offset + call.byteCount)
      }
      if let fault { callCount += storage.callCount(of: fault.operations) }
      for index in before..<problems.count {
        problems[index] = "opening \(number): \(problems[index])"
      }
    }
    try checkHealthy()
  }

  /// Whether engine and log are still there when nobody holds a handle any more.
  private struct Engine {
    weak var pager: Pager?
    weak var log: Log?
    weak var pool: PagePool?

    init() {}
    init(_ database: Database) {
      pager = database.pager
      log = database.pager.log
      pool = database.pager.pool
    }
    var isAlive: Bool { pager != nil || log != nil || pool != nil }
  }

  private func arm(_ storage: FaultyStorage) {
    guard let fault, !isHealed else { return }
    if let limit = fault.limitByteCount {
      storage.setHook { call in
        call.operation == .allocate && call.offset + call.byteCount > limit ? fault.error : nil
      }
    } else if failedCalls.isEmpty {
      storage.failAt(
        fault.number - callCount, fault.error, forever: fault.isForever, matching: fault.operations)
    } else if fault.isForever {
      storage.failAt(1, fault.error, forever: true, matching: fault.operations)
    }
  }

  /// Whether no call will fail any more.
  private func isOver(_ storage: FaultyStorage) -> Bool {
    guard let fault, !isHealed else { return true }
    return !fault.isForever && !(failedCalls.isEmpty && storage.failedCalls.isEmpty)
  }

  // MARK: One opening

  private func runSession(
    _ steps: [FaultScript.Step], _ end: FaultScript.End, _ storage: FaultyStorage
  ) throws -> Engine {
    isPoisoned = false
    failureCount = 0
    defer {
      snapshots = []
      held = []
    }
    let wasOver = isOver(storage)
    let database: Database
    do {
      database = try Database.open(
        storage: storage, options: options, hasBackgroundThreads: false)
    } catch {
      if wasOver { problems.append("opening throws \(error)") }
      note(error.code.name, error.systemError, "open", storage)
      return Engine()
    }
    let engine = Engine(database)
    // What fails once, goes well then. Without knowing what is there, nothing can be compared.
    guard settle(database, storage) || settle(database, storage) else {
      database.pager.abandon()
      return engine
    }
    for step in steps {
      run(step, database, storage)
      probe(database, storage)
    }
    checkWhole(database, storage)
    switch end {
    case .die:
      database.pager.abandon()
    case .close:
      if attempt("checkpoint", storage, { try database.checkpoint() }) {
        possible = [current]
        let held = database.pager.pinStatistics.heldPageCount
        if held != 0 { problems.append("\(held) pages are held for nobody") }
      }
      if attempt("close", storage, { try database.close() }) { possible = [current] }
      let after = errorCode { try database.insert("a", "b") }
      if after != .closed {
        problems.append("an insert after close throws \(after?.name ?? "nothing")")
      }
    }
    return engine
  }

  private func errorCode(_ body: () throws -> Void) -> DatabaseError.Code? {
    do { try body() } catch { return (error as? DatabaseError)?.code }
    return nil
  }

  /// Which of the contents that the opening may find this is.
  private func known(_ content: Content) -> Content? {
    possible.first { FaultScript.areEqual($0, content) }
  }

  /// What an opening finds is one of the contents that it may find.
  private func settle(_ database: Database, _ storage: FaultyStorage) -> Bool {
    attempt("reading all", storage) {
      let found = try FaultScript.content(of: database)
      if known(found) == nil { problems.append("an opening finds what was never promised") }
      current = known(found) ?? found
      possible = [current]
    }
  }

  private func run(
    _ step: FaultScript.Step, _ database: Database, _ storage: FaultyStorage
  ) {
    switch step {
    case .change(let change): run(change, database, storage)
    case .checkpoint:
      let wasHealed = isHealed
      if attempt("checkpoint", storage, { try database.checkpoint() }) {
        possible = [current]
      } else if isHealed, !wasHealed, fault?.isRetried ?? false {
        run(step, database, storage)
      }
    case .beginSnapshot:
      attempt("snapshot", storage) { snapshots.append((try database.snapshot(), current)) }
    case .endSnapshot:
      for (snapshot, content) in snapshots {
        attempt("reading a snapshot", storage) {
          let found = try FaultScript.content(of: snapshot)
          if !FaultScript.areEqual(found, content) { problems.append("a snapshot has changed") }
        }
        snapshot.close()
      }
      snapshots = []
    case .hold(let holding):
      attempt(holding.name, storage) {
        held += try holding.take(database, current).map { (holding.name, $0) }
      }
    case .mapValue(let key):
      attempt("mapping a value", storage) {
        var bytes: [UInt8] = []
        try database.reader(of: key)?.forEachPiece { piece in
          piece.withUnsafeBytes { bytes += $0 }
        }
        if bytes != current["", default: [:]][key] ?? [] {
          problems.append("a mapped value is wrong")
        }
      }
    }
  }

  private func run(
    _ change: FaultScript.Change, _ database: Database, _ storage: FaultyStorage
  ) {
    var after = current
    change.apply(&after)
    let wasPoisoned = isPoisoned
    let wasHealed = isHealed
    let code = thrownCode(change.name, storage) { try change.run(database, current) }
    switch code {
    case nil:
      // Where a step before it failed, there may be nothing to do.
      guard after != current else { return }
      if wasPoisoned { problems.append("\(change.name) succeeds after .poisoned") }
      current = after
      possible = durability == .none ? possible + [after] : [after]
    case "outcomeUnknown":
      // It is visible, and may be durable.
      current = after
      possible.append(after)
    case "poisoned": break
    default:
      attempt("reading all", storage) {
        if !FaultScript.areEqual(try FaultScript.content(of: database), current) {
          problems.append("\(change.name) throws, and leaves a part of itself")
        }
      }
      // With room it must go well; `isOver` says so.
      if isHealed, !wasHealed, fault?.isRetried ?? false { run(change, database, storage) }
    }
  }

  /// Reads go on: nothing that readers need is written.
  private func probe(_ database: Database, _ storage: FaultyStorage) {
    for probe in script.probes {
      let wasOver = isOver(storage)
      do {
        if !(try probe(database, current)) { problems.append("a lookup finds another value") }
      } catch {
        let isOfMedia = fault?.operations.contains(.read) ?? false
        if wasOver || !isOfMedia { problems.append("a lookup throws \(error)") }
        let error = error as? DatabaseError
        note(error?.code.name ?? "what is no error of its", error?.systemError, "a lookup", storage)
      }
    }
  }

  @discardableResult
  private func attempt(
    _ what: String, _ storage: FaultyStorage, _ body: () throws -> Void
  ) -> Bool {
    thrownCode(what, storage, body) == nil
  }

  private func thrownCode(
    _ what: String, _ storage: FaultyStorage, _ body: () throws -> Void
  ) -> String? {
    let wasOver = isOver(storage)
    do {
      try body()
      return nil
    } catch {
      let code = (error as? DatabaseError)?.code.name ?? "\(error)"
      if wasOver, code != "poisoned" { problems.append("\(what) throws after the fault: \(error)") }
      note(code, (error as? DatabaseError)?.systemError, what, storage)
      return code
    }
  }

  private func note(
    _ code: String, _ systemError: Int32?, _ what: String, _ storage: FaultyStorage
  ) {
    thrownCodes.insert(code)
    guard let fault else {
      problems.append("\(what) throws \(code) without a fault")
      return
    }
    if !fault.allowedCodes.contains(code) { problems.append("\(what) throws \(code)") }
    if systemError != fault.systemError {
      problems.append("\(what) throws \(code) with the errno \(systemError ?? 0)")
    }
    if code == "poisoned" {
      isPoisoned = true
      // Only what leaves unknown what is on the medium poisons.
      let harmless: Set<FaultyStorage.Operation> =
        fault.code == .diskFull ? [.allocate, .truncate, .read, .map] : [.read, .map, .byteCount]
      if storage.failedCalls.allSatisfy({ harmless.contains($0.operation) }) {
        problems.append("\(what) is refused, though nothing is unknown")
      }
    }
    // Somebody makes room.
    failureCount += 1
    if fault.isForever, fault.code == .diskFull, failureCount == (fault.isRetried ? 1 : 3) {
      storage.stopFailing()
      storage.setHook(nil)
      isHealed = true
    }
  }

  /// Nothing is held by anybody, and pages in use and free ones cover the file exactly once.
  private func checkWhole(_ database: Database, _ storage: FaultyStorage) {
    for (snapshot, _) in snapshots { snapshot.close() }
    snapshots = []
    for (name, isUnchanged) in held {
      attempt(name, storage) {
        if !(try isUnchanged()) { problems.append("what \(name) show has changed") }
      }
    }
    held = []
    let kept = database.pager.kept.pageCounts
    if kept.reserved != 0 || kept.deferred != 0 {
      problems.append("\(kept.reserved) pages are reserved and \(kept.deferred) shown for nobody")
    }
    attempt("reading all", storage) {
      let found = try FaultScript.content(of: database)
      if !FaultScript.areEqual(found, current) { problems.append("another content") }
    }
    if !isPoisoned {
      attempt("verify", storage) {
        let found = try database.verify().problems
        if !found.isEmpty { problems.append("verify: \(found.prefix(3))") }
      }
    }
    let pins = database.pager.pinStatistics
    if pins.pinCount != 1 { problems.append("\(pins.pinCount) pins are held") }
    let pool = database.pager.pool
    let held = (0..<database.pager.allocator.pageCount).filter { page in
      let word = pool.words[page].load(ordering: .acquiring)
      return LatchWord.state(word) >= LatchWord.exclusive
        || pool.flags[page].load(ordering: .acquiring) & PagePool.writing != 0
    }
    if !held.isEmpty { problems.append("the pages \(held.prefix(5)) are latched by nobody") }
  }

  // MARK: Afterwards

  private func checkHealthy() throws {
    let storage = try medium.open()
    defer { storage.close() }
    do {
      let database = try Database.open(
        storage: storage, options: options, hasBackgroundThreads: false)
      let found = try FaultScript.content(of: database)
      if known(found) == nil { problems.append("what was acknowledged is not there") }
      try database.insert("afterwards", "value")
      let sound = try database.verify().problems
      if !sound.isEmpty { problems.append("afterwards: \(sound.prefix(3))") }
      try database.close()
    } catch {
      problems.append("afterwards: \(error)")
    }
  }
}
