/// Pages that were unlinked, and between which epochs they were part of what is seen.
struct Unlinked: Sendable {
  var extent: Extent
  var birth: Epoch
  var death: Epoch
  /// Whether these are a value's bytes, which log records may name (rule C3).
  var isValue: Bool
}

/// The epochs that somebody wants to keep seeing, and what is kept for them (rule C2).
///
/// A page is seen by pin p if birth ≤ p < death. What was unlinked waits with the youngest pin
/// that sees it; when that pin goes, it moves to the next older one that sees it, or is free.
struct PinTable: Sendable {
  struct Pin: Sendable {
    var epoch: Epoch
    var holders: Int
    var dead: [Unlinked] = []
  }

  private(set) var pins: [Pin] = []
  /// What waited with pins that are gone, still to be moved on.
  private(set) var orphans: [Unlinked] = []

  /// The youngest pin.
  ///
  /// There always is one: the durable checkpoint's.
  var youngest: Epoch { pins.last?.epoch ?? Epoch(0) }
  /// How many distinct epochs are pinned.
  var count: Int { pins.count }

  /// Adds a pin, younger than all others.
  mutating func add(_ epoch: Epoch) {
    precondition(pins.isEmpty || youngest < epoch, "pins come in the order of their epochs")
    pins.append(Pin(epoch: epoch, holders: 1))
  }

  /// One more holder of the youngest pin.
  mutating func shareYoungest() { pins[pins.count - 1].holders += 1 }

  /// One more holder of a pin that somebody holds.
  mutating func share(_ epoch: Epoch) {
    guard let index = pins.lastIndex(where: { $0.epoch == epoch }) else {
      preconditionFailure("a pin is shared that nobody holds")
    }
    pins[index].holders += 1
  }

  /// Whether an epoch in the range is pinned.
  func hasPin(from: Epoch, before end: Epoch) -> Bool {
    pins.contains { !($0.epoch < from) && $0.epoch < end }
  }

  /// Takes what a transaction unlinked; it is moved on or freed later.
  mutating func adopt(_ entries: [Unlinked]) { orphans.append(contentsOf: entries) }

  /// A holder lets go.
  mutating func release(_ epoch: Epoch) {
    guard let index = pins.lastIndex(where: { $0.epoch == epoch }) else {
      preconditionFailure("a pin is released that nobody holds")
    }
    pins[index].holders -= 1
    guard pins[index].holders == 0 else { return }
    let pin = pins.remove(at: index)
    if orphans.isEmpty {
      orphans = pin.dead
    } else {
      orphans.append(contentsOf: pin.dead)
    }
  }

  /// Takes what was unlinked; returns whether it is free at once.
  mutating func unlink(_ entry: Unlinked) -> Bool {
    guard let index = pins.lastIndex(where: { $0.epoch < entry.death }),
      !(pins[index].epoch < entry.birth)
    else { return true }
    pins[index].dead.append(entry)
    return false
  }

  /// Moves on up to `limit` of what waited with pins that are gone.
  ///
  /// - Returns: what is free now.
  mutating func settle(limit: Int) -> [Unlinked] {
    var free: [Unlinked] = []
    for _ in 0..<min(limit, orphans.count) {
      let entry = orphans.removeLast()
      if unlink(entry) { free.append(entry) }
    }
    return free
  }

  /// How many pages are kept only for pins.
  var heldPageCount: Int {
    pins.reduce(orphans.reduce(0) { $0 + $1.extent.pageCount }) { sum, pin in
      sum + pin.dead.reduce(0) { $0 + $1.extent.pageCount }
    }
  }

  /// How many pages wait with a pin.
  func heldPageCount(of epoch: Epoch) -> Int {
    pins.first { $0.epoch == epoch }?.dead.reduce(0) { $0 + $1.extent.pageCount } ?? 0
  }

  /// Everything kept for pins, for checks.
  var held: [Unlinked] { orphans + pins.flatMap(\.dead) }
}
