/// A Swift range of components or keys: `a..<b`, `a...b`, `a...`, `..<b` or `...b`.
///
/// What belongs to it is decided by the encodings, that is by the order of the tree, not by `<`.
public protocol ComponentRange<Bound> {
  /// What is ordered.
  associatedtype Bound

  /// The ends: nil where there is none.
  var componentBounds: (lower: Bound?, upper: Bound?, includesUpper: Bool) { get }
}

extension Range: ComponentRange {
  /// The ends.
  public var componentBounds: (lower: Bound?, upper: Bound?, includesUpper: Bool) {
    (lowerBound, upperBound, false)
  }
}

extension ClosedRange: ComponentRange {
  /// The ends.
  public var componentBounds: (lower: Bound?, upper: Bound?, includesUpper: Bool) {
    (lowerBound, upperBound, true)
  }
}

extension PartialRangeFrom: ComponentRange {
  /// The end.
  public var componentBounds: (lower: Bound?, upper: Bound?, includesUpper: Bool) {
    (lowerBound, nil, false)
  }
}

extension PartialRangeUpTo: ComponentRange {
  /// The end.
  public var componentBounds: (lower: Bound?, upper: Bound?, includesUpper: Bool) {
    (nil, upperBound, false)
  }
}

extension PartialRangeThrough: ComponentRange {
  /// The end.
  public var componentBounds: (lower: Bound?, upper: Bound?, includesUpper: Bool) {
    (nil, upperBound, true)
  }
}

extension KeyRange {
  /// The keys of a Swift range: `a..<b`, `a...b`, `a...`, `..<b` or `...b`.
  ///
  /// The order of the tree decides, which is that of `<` but for some types. So `-0.0...0.0` has two
  /// keys, `0.0 ... -0.0` none, and `...Double.infinity` has the NaNs whose sign bit is set, `0.0...`
  /// those whose sign bit is not.
  /// A range whose end comes first in the tree is empty.
  @inlinable public init<Bound: OrderedKey>(_ range: some ComponentRange<Bound>) {
    let bounds = range.componentBounds
    self.init(
      lower: bounds.lower?.encodedKey,
      upper: bounds.upper.map { bounds.includesUpper ? $0.encodedKey + [0] : $0.encodedKey })
  }

  /// The keys whose component behind these leading ones is in a range.
  @usableFromInline
  init<Bound: OrderedKey>(leading: [UInt8], _ range: some ComponentRange<Bound>) {
    let whole = KeyRange.prefix(leading)
    let bounds = range.componentBounds
    let lower = bounds.lower.map { leading + CompositeKey<Bound>($0).encodedKey }
    let upper = bounds.upper.map { leading + CompositeKey<Bound>($0).encodedKey }
    self.init(
      lower: lower ?? whole.lower,
      // Behind an upper component that belongs to it come the keys that begin with it.
      upper: upper.map { bounds.includesUpper ? KeyRange.prefix($0).upper : $0 } ?? whole.upper)
  }
}
