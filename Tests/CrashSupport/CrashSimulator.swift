// What a medium may hold after a crash, by the assumptions of docs/DURABILITY.md.
//
// The operating system's view of a file is its cache: each write changes whole sectors there, and
// the medium gets a sector's content of some instant, if at all. So behind a crash each sector holds
// one of its versions since it was last made durable, independently of all others. A later write of
// other bytes of a sector includes the earlier one. What was synced, or written durably, is
// the oldest version that a sector may have. Changes of the length reach the medium in their order.

/// Which of the versions of unsynced sectors a crash image is made of.
package enum ImageMode: String, CaseIterable, Sendable {
  /// All newest ones: only the process died.
  case processDeath
  /// All oldest ones.
  case nothing
  /// Those up to some instant.
  case prefix
  /// Later writes without the earlier ones.
  case reordered
  /// All but one write.
  case oneLost
  /// Only one write.
  case oneKept
  /// Any of the writes, each as a whole.
  case someWrites
  /// Any of the versions, sector by sector.
  case someSectors
  /// The newest version, but for some sectors, which have an older one.
  case staleSectors
}

/// What a file may hold after the power went: what was synced, and some of what was not.
///
/// It goes through a recording once, forwards; images can be taken at each step.
package struct CrashSimulator {
  /// An image, and what is known of it.
  package struct Image {
    package var contents: [UInt8]
    package var mode: ImageMode
    /// Whether nothing that was written got lost, as when only the process dies.
    package var isComplete: Bool { mode == .processDeath }
  }

  /// A change that is not on the medium for certain, or only on top of one that is not.
  private enum Pending {
    /// Whole sectors as the cache holds them after the write; `before` it, where it was a store
    /// through a mapping, which the medium may have got half of.
    case sectors(offset: Int, bytes: [UInt8], before: [UInt8], isDurable: Bool)
    case resize(Int)
  }

  private let events: [StorageEvent]
  /// What is on the medium for certain, where nothing in `pending` says something newer.
  private var settled: [UInt8]
  /// What the operating system shows.
  private var cache: [UInt8]
  private var pending: [Pending] = []
  /// The sectors in `pending`.
  private var unsettledSectors: Set<Int> = []
  /// Whether `pending` makes the file shorter.
  private var hasTruncation = false
  package private(set) var step = 0
  /// The step behind the last completed sync.
  package private(set) var lastSyncEnd = 0

  package init(_ recorder: Recorder) {
    events = recorder.events
    settled = recorder.initialContents
    cache = recorder.initialContents
  }

  package var eventCount: Int { events.count }

  /// The steps at which something is about to become durable.
  package var syncSteps: [Int] {
    events.indices.filter {
      switch events[$0] {
      case .synchronize, .durableWrite: true
      case .write, .store, .resize, .loss: false
      }
    }
  }

  /// Whether more than one image is possible now.
  package var hasChoice: Bool {
    if !pending.isEmpty { return true }
    guard step < events.count else { return false }
    return switch events[step] {
    case .write, .store, .durableWrite, .resize: true
    case .synchronize, .loss: false
    }
  }

  /// Goes on until the events before `step` have happened.
  package mutating func advance(to step: Int) {
    while self.step < min(step, events.count) {
      let event = events[self.step]
      self.step += 1
      switch event {
      case .write(let offset, let bytes): write(bytes, at: offset)
      case .store(let offset, let bytes): write(bytes, at: offset, isStore: true)
      case .durableWrite(let offset, let bytes): writeDurably(bytes, at: offset)
      case .resize(let count): resize(to: count)
      case .synchronize:
        settle { _ in true }
        lastSyncEnd = self.step
      case .loss:
        // The system forgot what was to be written; the length is the file system's own affair.
        settle {
          if case .sectors(_, _, _, let isDurable) = $0 { isDurable } else { true }
        }
      }
    }
  }

  /// Puts pending changes on the medium, and forgets the others.
  private mutating func settle(_ isKept: (Pending) -> Bool) {
    for change in pending where isKept(change) { Self.apply(change, to: &settled) }
    pending.removeAll(keepingCapacity: true)
    unsettledSectors.removeAll(keepingCapacity: true)
    hasTruncation = false
  }

  private static func apply(_ change: Pending, to file: inout [UInt8]) {
    switch change {
    case .sectors(let offset, let bytes, _, _): Recorder.apply(bytes, at: offset, to: &file)
    case .resize(let count): Recorder.resize(&file, to: count)
    }
  }

  private mutating func resize(to count: Int) {
    if count < cache.count { hasTruncation = true }
    Recorder.resize(&cache, to: count)
    pending.append(.resize(count))
  }

  /// The whole sectors around a piece of the file.
  private func sectors(around range: Range<Int>) -> Range<Int> {
    let size = Recorder.sectorByteCount
    return range.lowerBound / size
      * size..<min(cache.count, (range.upperBound + size - 1) / size * size)
  }

  /// What a write inside the file makes of the sectors around it, and what they are before it.
  private func change(
    _ bytes: [UInt8], at offset: Int
  ) -> (start: Int, after: [UInt8], before: [UInt8]) {
    let range = sectors(around: offset..<offset + bytes.count)
    let before = Array(cache[range])
    var after = before
    Recorder.apply(bytes, at: offset - range.lowerBound, to: &after)
    return (range.lowerBound, after, before)
  }

  private mutating func write(_ bytes: [UInt8], at offset: Int, isStore: Bool = false) {
    if cache.count < offset + bytes.count { resize(to: offset + bytes.count) }
    let (start, after, before) = change(bytes, at: offset)
    Recorder.apply(bytes, at: offset, to: &cache)
    pending.append(
      .sectors(offset: start, bytes: after, before: isStore ? before : [], isDurable: false))
    unsettledSectors.formUnion(Self.numbers(offset, bytes.count))
  }

  private static func numbers(_ offset: Int, _ count: Int) -> ClosedRange<Int> {
    offset / Recorder.sectorByteCount...(offset + count - 1) / Recorder.sectorByteCount
  }

  private mutating func writeDurably(_ bytes: [UInt8], at offset: Int) {
    if cache.count < offset + bytes.count { resize(to: offset + bytes.count) }
    let (start, whole, _) = change(bytes, at: offset)
    Recorder.apply(bytes, at: offset, to: &cache)
    if !hasTruncation, start + whole.count > settled.count {
      // Such a write takes the length along that it needs.
      settleGrowth(to: start + whole.count)
    }
    if !hasTruncation,
      Self.numbers(offset, bytes.count).allSatisfy({ !unsettledSectors.contains($0) })
    {
      Recorder.apply(whole, at: start, to: &settled)
      return
    }
    pending.append(.sectors(offset: start, bytes: whole, before: [], isDurable: true))
    unsettledSectors.formUnion(Self.numbers(offset, bytes.count))
  }

  private mutating func settleGrowth(to end: Int) {
    for (index, change) in pending.enumerated() {
      guard case .resize(let count) = change else { continue }
      Recorder.resize(&settled, to: max(settled.count, count))
      pending[index] = .resize(settled.count)
      if count >= end { break }
    }
    let known = settled.count
    pending.removeAll { if case .resize(let count) = $0 { count <= known } else { false } }
  }

  /// The image after a crash that lost all that was not synced, but for changes of the length.
  package func poorestImage() -> [UInt8] {
    var file = settled
    for change in pending {
      if case .sectors(_, _, _, let isDurable) = change, !isDurable { continue }
      Self.apply(change, to: &file)
    }
    return file
  }

  /// An image of a crash now, in the middle of the next event.
  package func image(seed: UInt64) -> Image {
    var random = CrashRandom(seed: seed)
    let mode = ImageMode.allCases[random.below(ImageMode.allCases.count)]
    var choice = Choice(mode: mode, count: pending.count, random: random)
    var file = settled
    var resizesLeft = resizeCount(&choice)
    for (index, change) in pending.enumerated() {
      switch change {
      case .resize(let count):
        guard resizesLeft > 0 else { continue }
        resizesLeft -= 1
        Recorder.resize(&file, to: count)
      case .sectors(let offset, let bytes, _, let isDurable) where isDurable:
        Recorder.apply(bytes, at: offset, to: &file)
      case .sectors(let offset, let bytes, let before, _):
        Self.applySectors(bytes, before, at: offset, to: &file) { choice.takes(index) }
      }
    }
    tear(&choice.random, &file)
    return Image(contents: file, mode: mode)
  }

  /// How many changes of the length there are; those that durable writes rely on always are.
  private func resizeCount(_ choice: inout Choice) -> Int {
    var count = 0
    var least = 0
    for change in pending {
      switch change {
      case .resize: count += 1
      case .sectors(_, _, _, let isDurable): if isDurable { least = count }
      }
    }
    switch choice.mode {
    case .processDeath: return count
    case .nothing: return least
    default: return least + choice.random.below(count - least + 1)
    }
  }

  /// How much of a sector made it.
  private enum Part {
    case all
    case none
    /// So many bytes of a store through a mapping: the medium got the sector in the middle of it.
    case bytes(Int)
  }

  /// Applies those sectors of a write that made it; what lies beyond the end is lost.
  private static func applySectors(
    _ bytes: [UInt8], _ before: [UInt8], at offset: Int, to file: inout [UInt8], _ part: () -> Part
  ) {
    for start in stride(from: 0, to: bytes.count, by: Recorder.sectorByteCount) {
      let range = start..<min(bytes.count, start + Recorder.sectorByteCount)
      guard offset + range.upperBound <= file.count else { return }
      switch part() {
      case .none: continue
      case .bytes(let count) where !before.isEmpty:
        let middle = range.lowerBound + count % range.count
        Recorder.apply(Array(before[range]), at: offset + start, to: &file)
        Recorder.apply(Array(bytes[range.lowerBound..<middle]), at: offset + start, to: &file)
      case .all, .bytes: Recorder.apply(Array(bytes[range]), at: offset + start, to: &file)
      }
    }
  }

  /// Makes part of the event that was under way.
  private func tear(_ random: inout CrashRandom, _ file: inout [UInt8]) {
    guard step < events.count, !random.once(in: 4) else { return }
    switch events[step] {
    case .synchronize, .loss: return
    case .resize(let count): if random.once(in: 2) { Recorder.resize(&file, to: count) }
    case .write(let offset, let bytes), .durableWrite(let offset, let bytes),
      .store(let offset, let bytes):
      var isStore = false
      if case .store = events[step] { isStore = true }
      guard offset + bytes.count <= cache.count else { return }
      let (start, whole, before) = change(bytes, at: offset)
      let count = (whole.count + Recorder.sectorByteCount - 1) / Recorder.sectorByteCount
      let limit = random.once(in: 2) ? random.below(count + 1) : nil
      var number = 0
      Self.applySectors(whole, isStore ? before : [], at: start, to: &file) {
        defer { number += 1 }
        if isStore, random.once(in: 2) { return .bytes(random.below(Recorder.sectorByteCount)) }
        guard let limit else { return random.once(in: 2) ? .all : .none }
        return number < limit ? .all : .none
      }
    }
  }

  /// Which of the unsynced sectors are there: different manners of losing them.
  private struct Choice {
    let mode: ImageMode
    let limit: Int
    let single: Int
    let salt: UInt64
    var random: CrashRandom

    init(mode: ImageMode, count: Int, random: CrashRandom) {
      self.mode = mode
      self.random = random
      limit = self.random.below(count + 1)
      single = self.random.below(count)
      salt = self.random.next()
    }

    mutating func takes(_ index: Int) -> Part {
      switch mode {
      case .processDeath: return .all
      case .nothing: return .none
      case .prefix: return index < limit ? .all : .none
      case .reordered: return index >= limit ? .all : .none
      case .oneLost: return index != single ? .all : .none
      case .oneKept: return index == single ? .all : .none
      case .someWrites: return CrashRandom.mix(salt &+ UInt64(index)) & 1 == 0 ? .all : .none
      case .someSectors:
        let word = random.next()
        if word >> 8 & 15 == 0 { return .bytes(Int(word >> 16 & 511)) }
        return word & 1 == 0 ? .all : .none
      case .staleSectors: return random.below(8) != 0 ? .all : .none
      }
    }
  }
}
