/// The sequence of changes that the `KillWriter` makes and the `KillTests` expect: each is decided
/// by the seed and its number alone, so both sides agree without talking.
package struct KillHistory: Sendable {
  /// One change.
  package enum Change: Sendable {
    case insert([UInt8], [UInt8])
    case remove([UInt8])
  }

  package let seed: UInt64

  /// The sequence of a seed.
  package init(seed: UInt64) { self.seed = seed }

  /// The change of a number.
  package func change(_ number: UInt64) -> Change {
    var random = SeededRandom(seed: seed &+ number &* 0x9E37_79B9)
    _ = random.next()
    // Few enough keys that many are replaced and removed, enough for three levels of pages.
    let name = random.below(3000)
    var key = Array("key \(name) ".utf8)
    key += [UInt8](repeating: UInt8(truncatingIfNeeded: name), count: name % 200)
    if random.chance(30) { return .remove(key) }
    let kind = random.below(1000)
    let length: Int
    switch kind {
    case 0..<3: length = random.number(in: 70 << 10...300 << 10)
    case 3..<40: length = random.number(in: 1500...9000)
    case 40..<300: length = random.below(900)
    default: length = random.below(40)
    }
    return .insert(key, random.bytes(length))
  }

  /// Makes the change of a number in a model.
  package func apply(_ number: UInt64, to model: inout Model) {
    switch change(number) {
    case .insert(let key, let value): model.insert(key, value)
    case .remove(let key): model.remove(key)
    }
  }

  /// The change of a number in an entry store: few keys, some with values of 1 MiB.
  package func entryChange(_ number: UInt64) -> Change {
    var random = SeededRandom(seed: seed &+ number &* 0x9E37_79B9)
    _ = random.next()
    let key = Array("entry \(random.below(12))".utf8)
    if random.chance(15) { return .remove(key) }
    let lengths = [0, 100, 5000, 70_000, 300_000, 1 << 20]
    return .insert(key, random.bytes(lengths[random.below(lengths.count)]))
  }

  /// The changes that the transaction of a number makes in each of its trees.
  package func transaction(_ number: UInt64) -> [Change] {
    let count = number % 23 == 22 ? 60 : 1 + number % 7
    return (0..<count).map { change(number &* 100 + $0) }
  }

  /// Makes the changes of the transaction of a number in a model.
  package func applyTransaction(_ number: UInt64, to model: inout Model) {
    for change in transaction(number) {
      switch change {
      case .insert(let key, let value): model.insert(key, value)
      case .remove(let key): model.remove(key)
      }
    }
  }
}
