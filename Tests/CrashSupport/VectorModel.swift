import Pager

/// What a vector should hold.
package struct VectorModel: Sendable, Equatable {
  /// What it was at a stamp.
  struct Stamp: Sendable, Equatable {
    var number: UInt64
    var elements: [UInt32]
    var holes: Set<Int>

    /// Whether the first element is the seal of all else.
    ///
    /// What is kept for going back can't be seen without going back; so after a crash nobody knows what
    /// it should be but the elements themselves.
    var isSealed: Bool {
      elements.first == VectorModel.seal(number, elements.dropFirst(), holes)
    }
  }

  /// How many stamps are kept before the last one.
  static let stampLimit = 3

  var elements: [UInt32] = []
  var holes: Set<Int> = []
  var stamps: [Stamp] = []

  package init() {}

  /// An element that tells a stamp and all other elements.
  static func seal(
    _ stamp: UInt64, _ elements: ArraySlice<UInt32>, _ holes: Set<Int>
  ) -> UInt32 {
    var hash = elements.withUnsafeBytes { checksum64($0, seed: stamp) }
    hash = holes.sorted().withUnsafeBytes { checksum64($0, seed: hash) }
    return UInt32(truncatingIfNeeded: hash)
  }

  /// The same of the elements that there will be, with the first one in place of a hole.
  func seal(_ stamp: UInt64) -> UInt32 {
    Self.seal(stamp, elements.dropFirst(), holes.subtracting([0]))
  }

  mutating func commit(_ stamp: UInt64) {
    stamps.append(Stamp(number: stamp, elements: elements, holes: holes))
    stamps = stamps.suffix(Self.stampLimit + 1)
  }

  mutating func rollBack(to stamp: Stamp) {
    elements = stamp.elements
    holes = stamp.holes
    stamps = stamps.filter { $0.number <= stamp.number }
  }

  /// Of what is seen of a vector by itself.
  package func hash(vector name: String) -> UInt64 {
    var hash = Array(name.utf8).withUnsafeBytes { checksum64($0, seed: 81) }
    hash = elements.withUnsafeBytes { checksum64($0, seed: hash) }
    hash = holes.sorted().withUnsafeBytes { checksum64($0, seed: hash) }
    return stamps.map(\.number).withUnsafeBytes { checksum64($0, seed: hash) }
  }
}
