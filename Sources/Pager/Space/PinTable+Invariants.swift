extension PinTable {
  /// What does not hold that must, whenever the publish latch is free.
  ///
  /// - Pins are in the order of their epochs, and each has a holder (rule C1 asks for the youngest).
  /// - What waits with a pin is seen by that pin, and by no younger one (rule C2): birth ≤ pin <
  ///   death, and the next pin is not below the death.
  ///
  /// - Parameter limit: how many of the waiting are looked at.
  /// - Complexity: O(pins + limit).
  func invariantViolations(limit: Int = .max) -> [String] {
    var found: [String] = []
    var left = limit
    for (index, pin) in pins.enumerated() {
      let next = index + 1 < pins.count ? pins[index + 1].epoch : nil
      if let next, !(pin.epoch < next) {
        found.append("pins: \(pin.epoch.rawValue) stands before \(next.rawValue)")
      }
      if pin.holders < 1 {
        found.append("pins: \(pin.epoch.rawValue) has \(pin.holders) holders")
      }
      for entry in pin.dead.suffix(left) {
        let isSeen = !(pin.epoch < entry.birth) && pin.epoch < entry.death
        let isYoungest = next.map { !($0 < entry.death) } ?? true
        if !isSeen || !isYoungest {
          found.append(
            """
            pins: page \(entry.extent.first), seen from \(entry.birth.rawValue) to \
            \(entry.death.rawValue), waits with pin \(pin.epoch.rawValue)
            """)
        }
      }
      left -= min(left, pin.dead.count)
    }
    return found
  }
}

extension PublishedState {
  /// What does not hold that must, whenever the publish latch is free.
  ///
  /// - `youngestPin` is the youngest pin, and older than the epoch in which pages are born now: so
  ///   each page born now may be changed in place (rule C1).
  /// - What the transaction under way started from is pinned (rule C1 in a transaction).
  ///
  /// - Parameter limit: as for the pins.
  /// - Complexity: O(pins + limit).
  func invariantViolations(limit: Int = .max) -> [String] {
    var found = pins.invariantViolations(limit: limit)
    if pins.count == 0 { found.append("pins: not even the durable checkpoint is pinned") }
    if youngestPin != pins.youngest {
      found.append(
        "pins: the youngest is \(pins.youngest.rawValue), not \(youngestPin.rawValue)")
    }
    if !(youngestPin < epoch) {
      found.append(
        "pins: the epoch \(epoch.rawValue) is not after the youngest, \(youngestPin.rawValue)")
    }
    if let committedPin, !pins.pins.contains(where: { $0.epoch == committedPin }) {
      found.append("pins: what the transaction started from, \(committedPin.rawValue), is not held")
    }
    if mutationCount < 0 { found.append("published: \(mutationCount) mutations") }
    return found
  }
}
