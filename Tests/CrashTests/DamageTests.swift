import CrashSupport
import Foundation
import Testing

@testable import BTreeKV
@testable import Pager

/// Bytes changed at random, and the memory that it all takes.
@Suite struct DamageTests {
  /// rule F4, E1, B3: whatever byte of a file rots, opening and reading end in an answer or in a
  /// clear error, never in a wrong value. (A value's or page's damage may go unseen until it is read.)
  @Test(arguments: 1...(CrashTests.isLong ? 40 : 4) as ClosedRange<UInt64>)
  func rotIsNeverAnAnswer(seed: UInt64) throws {
    var random = CrashRandom(seed: seed)
    var model: [[UInt8]: [UInt8]] = [:]
    let image = try LogImage(.sync) { database in
      for number in 0..<150 {
        let key = Array("key \(number)".utf8)
        let value = random.bytes(number % 30 == 0 ? 6000 : random.below(400))
        try database.insert(key, value)
        model[key] = value
        if number == 100 { try database.checkpoint() }
      }
    }
    for round in 0..<100 {
      var damaged = image
      for _ in 0..<1 + random.below(2) { damaged.damage(random.below(image.contents.count)) }
      do {
        let database = try damaged.open()
        for (key, value) in model {
          let found = try database.lookup(key)
          // The very last record has no later one that says it was durable.
          let mayMiss = key == Array("key 149".utf8)
          #expect(
            found == value || found == nil && mayMiss,
            "seed \(seed) round \(round): a wrong value for \(String(decoding: key, as: UTF8.self))"
          )
        }
      } catch {
        let code = (error as? DatabaseError)?.code.name ?? (error as? PagerError)?.code.name
        #expect(code == "corrupted" || code == "unsupportedVersion", "seed \(seed): \(error)")
      }
    }
  }

  /// rule F4: cells of no bytes at all (short keys, empty values) are sound wherever they lie.
  @Test func emptyCellsAreSound() throws {
    let storage = try MemoryStorage()
    let options = LogImage.options(.sync)
    var database = try Database.open(
      storage: storage, options: options, hasBackgroundThreads: false)
    let filler = [UInt8](repeating: 1, count: 60)
    for number in 0..<30 { try database.insert("\(number)", filler) }
    try database.insert("c", "the last cell of the heap")
    try database.insert("d", "")
    try database.remove("c")
    #expect(try database.verify().problems == [])
    let count = database.count
    try database.close()
    database = try Database.open(
      storage: storage.reopen(), options: options, hasBackgroundThreads: false)
    #expect(database.count == count)
    #expect(try database.lookup("d") == [])
    #expect(try database.verify().problems == [])
  }

  /// rule F8: with a small budget the process's own memory stays small.
  ///
  /// Runs in a process of its own, by the kernel's accounting.
  @Test func memoryStaysInTheBudget() async {
    await #expect(processExitsWith: .success) {
      let path = NSTemporaryDirectory() + "MemoryTest-\(UUID().uuidString)"
      defer { try? FileManager.default.removeItem(atPath: path) }
      var options = Database.Options()
      options.cacheByteCount = 2 << 20
      options.durability = .flush
      options.checkpointThresholdByteCount = 1 << 20
      let database = try Database.open(path, options: options)
      let before = anonymousKiB()
      let value = [UInt8](repeating: 1, count: 1000)
      for number in 0..<30_000 { try database.insert("key \(number)", value) }
      for number in stride(from: 0, to: 30_000, by: 7) { _ = try database.lookup("key \(number)") }
      let grown = anonymousKiB() - before
      try database.close()
      guard grown < 12 << 10 else { fatalError("\(grown) KiB of memory for a budget of 2048") }
    }
  }
}

/// What the kernel counts as this process's own memory.
private func anonymousKiB() -> Int {
  guard
    let text = try? String(contentsOfFile: "/proc/self/smaps_rollup", encoding: .utf8),
    let line = text.split(separator: "\n").first(where: { $0.hasPrefix("Anonymous:") })
  else { return 0 }
  return Int(line.filter(\.isNumber)) ?? 0
}
