package import BTreeKV
import Pager
import Synchronization

/// Readers and writers on the same pages, where each answer is checked by what it says.
///
/// A value says whose key it belongs to and which version of it. Each key has one writer, which notes
/// the version before the call (`begun`) and after it (`done`). So a reader knows, for whatever it
/// finds or does not find, whether that can have been there while it looked. That is checked for
/// single keys, for neighbours and for each key of a range, present or not. Group entries are changed
/// in transactions only, in two trees: a snapshot must show one version of all.
package final class ContentStress: Sendable {
  /// How much there is.
  package struct Size: Sendable {
    package var keyCount = 2000
    package var groupCount = 24
    package var writerCount = 2
    package var readerCount = 3
    /// For each writer; it may end earlier.
    package var stepCount = 4000

    package init() {}
  }

  /// What is known of a key: version and whether it is there, in one word.
  final class Known: Sendable {
    let begun = Atomic<UInt64>(0)
    let done = Atomic<UInt64>(0)
  }

  package let database: Database
  package let size: Size
  package let seed: UInt64
  let threads = TestThreads()
  let writers = TestThreads()
  let keys: [[UInt8]]
  let known: [Known]
  let groups: [Known]
  private let checks = Atomic<Int>(0)
  private let changes = Atomic<Int>(0)

  /// For a database that is empty.
  package init(_ database: Database, _ size: Size, seed: UInt64) throws {
    self.database = database
    self.size = size
    self.seed = seed
    keys = (0..<size.keyCount).map(Self.key)
    known = (0..<size.keyCount).map { _ in Known() }
    groups = (0..<size.groupCount).map { _ in Known() }
    try database.write { transaction in
      for (tree, member) in try Self.members(of: transaction) {
        for group in 0..<size.groupCount {
          try change(tree, transaction, group, member, version: 0)
        }
      }
    }
  }

  /// How many answers were checked, and how many changes were made.
  package var counts: (checks: Int, changes: Int) {
    (checks.load(ordering: .relaxed), changes.load(ordering: .relaxed))
  }

  func note(checks count: Int) { checks.add(count, ordering: .relaxed) }
  func note(changes count: Int) { changes.add(count, ordering: .relaxed) }

  /// Asks the threads to end.
  package func end() { threads.end() }

  /// Runs the threads until each writer has made its steps or `end` was called, and checks what is
  /// left.
  package func run() throws {
    for writer in 0..<size.writerCount {
      writers.start { try self.write(writer) }
    }
    for reader in 0..<size.readerCount {
      threads.start { try self.read(reader) }
    }
    // A reader that failed ends the writers too: they ask both.
    let result = Result { try writers.wait() }
    threads.end()
    try threads.wait()
    try result.get()
    try checkAll(database)
  }

  // MARK: Keys and values

  /// A key: its number, and as many bytes behind it as make pages hold few of some and many of
  /// others.
  private static func key(_ number: Int) -> [UInt8] {
    bigEndian(UInt64(number)) + [UInt8](repeating: 0x6B, count: number * 7 % 250)
  }

  static func bigEndian(_ number: UInt64) -> [UInt8] {
    (0..<8).map { UInt8(truncatingIfNeeded: number >> (56 - 8 * $0)) }
  }

  static func word(_ bytes: ArraySlice<UInt8>) -> UInt64 {
    bytes.reduce(0) { $0 << 8 | UInt64($1) }
  }

  /// A mix of a key's number, so that a value can't pass for a neighbour's.
  private static func hash(_ number: Int) -> UInt64 {
    var random = SeededRandom(seed: UInt64(number))
    return random.next()
  }

  /// Hash, version, and a filler whose length and bytes the two decide.
  static func value(_ number: Int, _ version: UInt64) -> [UInt8] {
    let mix = hash(number) &+ version
    let length: Int
    switch mix % 499 {
    case 0: length = 70_000
    case 1..<6: length = 5000
    default: length = Int(mix % 220)
    }
    return bigEndian(hash(number)) + bigEndian(version)
      + [UInt8](repeating: UInt8(truncatingIfNeeded: mix), count: length)
  }

  /// The version that a value says, once all of it is seen to be that version's.
  func checkedVersion(of value: [UInt8], _ number: Int, _ context: String) throws -> UInt64 {
    try require(value.count >= 16, "\(name), \(context): key \(number) has \(hex(value))")
    let version = Self.word(value[8..<16])
    try require(
      equalBytes(value, Self.value(number, version)),
      "\(name), \(context): torn or another's: key \(number) has \(hex(value))")
    return version
  }

  /// The number of a key, once it is seen to be a key.
  func checkedNumber(of key: [UInt8], _ context: String) throws -> Int {
    let number = key.count >= 8 ? Int(truncatingIfNeeded: Self.word(key.prefix(8))) : -1
    try require(
      keys.indices.contains(number) && equalBytes(key, keys[number]),
      "\(name), \(context): no key: \(hex(key))")
    return number
  }

  var name: String { "seed \(seed)" }

  // MARK: What may be seen

  /// The word of a version.
  package static func word(_ version: UInt64, isThere: Bool) -> UInt64 {
    version << 1 | (isThere ? 1 : 0)
  }

  /// Throws unless an answer can have been right at some instant between two looks.
  ///
  /// - Parameters:
  ///   - found: the version, or nil when the key was not there.
  ///   - done: what had been done before the call.
  ///   - begun: what had been begun after it.
  package func check(
    _ found: UInt64?, _ done: UInt64, _ begun: UInt64, _ what: @autoclosure () -> String
  ) throws {
    let (oldest, youngest) = (done >> 1, begun >> 1)
    let isPossible: Bool
    if let found {
      isPossible =
        oldest <= found && found <= youngest && (found > oldest || done & 1 == 1)
        && (found < youngest || begun & 1 == 1)
    } else {
      // With a version in between, that may be a removal.
      isPossible = youngest > oldest + 1 || done & 1 == 0 || begun & 1 == 0
    }
    try require(
      isPossible,
      """
      \(name), \(what()): found \(found.map { "version \($0)" } ?? "nothing"), but version \(oldest) \
      (\(done & 1 == 1 ? "there" : "removed")) was done before and no more than \(youngest) \
      (\(begun & 1 == 1 ? "there" : "removed")) was begun
      """)
  }

  /// Throws unless the tree holds exactly what was done, and the whole file is sound.
  private func checkAll(_ database: Database) throws {
    var found = [UInt64?](repeating: nil, count: keys.count)
    try database.forEach { key, value in
      let number = try checkedNumber(of: key.withUnsafeBytes { Array($0) }, "at the end")
      found[number] = try checkedVersion(
        of: value.withUnsafeBytes { Array($0) }, number, "at the end")
      return .next
    }
    for (number, version) in found.enumerated() {
      let word = known[number].done.load(ordering: .acquiring)
      try check(version, word, word, "key \(number) at the end")
    }
    try requireSound(database, "\(name), at the end")
  }

  /// Checks a database that was closed after a run and opened again.
  package func checkReopened(_ database: Database) throws { try checkAll(database) }
}
