@testable import Pager

/// What a file may hold after the power went: what was synced, and some of what was not.
///
/// It goes through a recording once, forwards; an image can be taken at each step.
struct CrashSimulator {
  /// An image, and what is known of it.
  struct Image {
    var contents: [UInt8]
    /// Whether nothing that was written got lost, as when only the process dies.
    var isComplete: Bool
    /// How it was made, for messages.
    var mode: Int
  }

  private let events: [StorageEvent]
  /// The file as it is on the medium for certain, but for the durable writes in `pending`.
  private var settled: [UInt8]
  /// Everything since the last sync, in order; durable writes among it are there in any case.
  private var pending: [StorageEvent] = []
  private(set) var step = 0
  /// The step behind the last completed sync.
  private(set) var lastSyncEnd = 0

  init(_ recorder: Recorder) {
    events = recorder.events
    settled = recorder.initialContents
  }

  /// Goes on until the events before `step` have happened.
  mutating func advance(to step: Int) {
    while self.step < min(step, events.count) {
      let event = events[self.step]
      self.step += 1
      if case .synchronize = event {
        for event in pending { Self.applyWhole(event, to: &settled) }
        pending.removeAll(keepingCapacity: true)
        lastSyncEnd = self.step
      } else if case .loss = event {
        pending.removeAll { if case .write = $0 { true } else { false } }
      } else {
        pending.append(event)
      }
    }
  }

  private static func applyWhole(_ event: StorageEvent, to file: inout [UInt8]) {
    switch event {
    case .write(let offset, let bytes), .durableWrite(let offset, let bytes):
      Recorder.apply(bytes, at: offset, to: &file)
    case .resize(let count):
      Recorder.resize(&file, to: count)
    case .synchronize, .loss:
      break
    }
  }

  /// The image after a crash that lost all that was not synced, but for changes of the length.
  func poorestImage() -> [UInt8] {
    var file = settled
    for event in pending {
      if case .write = event { continue }
      Self.applyWhole(event, to: &file)
    }
    return file
  }

  /// An image of a crash now, in the middle of the next event.
  func image(seed: UInt64) -> Image {
    var random = CrashRandom(seed: seed)
    let mode = random.below(7)
    if mode == 0 {
      var file = settled
      for event in pending { Self.applyWhole(event, to: &file) }
      return Image(contents: file, isComplete: true, mode: mode)
    }
    var torn = pending.map { ($0, isTorn: false) }
    if step < events.count { torn.append((events[step], isTorn: true)) }
    var chosen = Chooser(mode: mode, count: torn.count, random: random)
    // Changes of the length reach the medium in their order, as they go through one journal.
    var resizesLeft = torn.count { if case .resize = $0.0 { true } else { false } }
    resizesLeft = mode == 1 ? 0 : chosen.random.below(resizesLeft + 1)
    var file = settled
    for (index, (event, isTorn)) in torn.enumerated() {
      switch event {
      case .resize(let count):
        guard resizesLeft > 0 else { continue }
        resizesLeft -= 1
        Recorder.resize(&file, to: count)
      case .durableWrite(let offset, let bytes):
        if isTorn {
          Self.applySectors(bytes, at: offset, to: &file) { chosen.takes(index) }
        } else {
          Recorder.apply(bytes, at: offset, to: &file)
        }
      case .write(let offset, let bytes):
        Self.applySectors(bytes, at: offset, to: &file) { chosen.takes(index) }
      case .synchronize, .loss:
        continue
      }
    }
    return Image(contents: file, isComplete: false, mode: mode)
  }

  /// Applies those sectors of a write that made it; what lies beyond the end is lost.
  private static func applySectors(
    _ bytes: [UInt8], at offset: Int, to file: inout [UInt8], _ takes: () -> Bool
  ) {
    var start = 0
    while start < bytes.count {
      let place = offset + start
      let sectorEnd = (place / Recorder.sectorByteCount + 1) * Recorder.sectorByteCount
      let end = min(bytes.count, start + (sectorEnd - place))
      if takes(), place + (end - start) <= file.count {
        file.replaceSubrange(place..<place + (end - start), with: bytes[start..<end])
      }
      start = end
    }
  }

  /// Which of the unsynced sectors are there: different manners of losing them.
  private struct Chooser {
    let mode: Int
    let limit: Int
    let skipped: Int
    let salt: UInt64
    var random: CrashRandom

    init(mode: Int, count: Int, random: CrashRandom) {
      self.mode = mode
      self.random = random
      limit = self.random.below(count + 1)
      skipped = self.random.below(count)
      salt = self.random.next()
    }

    mutating func takes(_ index: Int) -> Bool {
      switch mode {
      case 1: false
      case 2: index < limit
      case 3: index >= limit
      case 4: index != skipped
      case 5: CrashRandom.mix(salt &+ UInt64(index)) & 1 == 0
      default: random.next() & 1 == 0
      }
    }
  }
}
