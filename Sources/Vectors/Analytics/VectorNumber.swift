public import BTreeKV

/// A number that vectors are analysed by: every integer and floating-point type of the standard
/// library.
///
/// Sums of integers are exact: those of up to 64 bits are added up in 128, which as many elements as a
/// vector can have don't fill; a sum of 128-bit integers that does not fit traps, as `+` does. Sums of
/// floating-point numbers are `Double`s, of which `FloatAccumulator` says the order of the additions.
public protocol VectorNumber: VectorElement, AnyBitPattern, Comparable, LosslessStringConvertible
where Stored == Self {
  /// What adds up elements.
  associatedtype Accumulator: VectorAccumulator<Self>

  /// The least of some elements; nil when there are none but NaNs.
  ///
  /// - Parameter run: elements side by side.
  static func least(of run: UnsafeBufferPointer<Self>) -> Self?

  /// The greatest of some elements; nil when there are none but NaNs.
  ///
  /// - Parameter run: elements side by side.
  static func greatest(of run: UnsafeBufferPointer<Self>) -> Self?

  /// The number as a `Double`, rounded.
  var rounded: Double { get }
}

/// Adds up elements of at most one block of 65,536.
public protocol VectorAccumulator<Element>: Sendable {
  /// What is added up.
  associatedtype Element
  /// What comes out.
  associatedtype Sum: VectorSum

  /// One that has added up nothing.
  init()

  /// Adds up a run of elements.
  ///
  /// - Parameters:
  ///   - run: elements side by side.
  ///   - index: that of the first one in the vector.
  mutating func add(_ run: UnsafeBufferPointer<Element>, at index: Int)

  /// The sum so far.
  var sum: Sum { get }
}

/// A type of sums: `Int128`, `UInt128`, `Double`.
public protocol VectorSum: AdditiveArithmetic, LosslessStringConvertible, Sendable {
  /// The sum divided by a number.
  ///
  /// - Parameter count: the divisor.
  func divided(by count: Int) -> Double
}

extension Int128: VectorSum {
  /// The sum divided by a number.
  ///
  /// - Parameter count: the divisor.
  public func divided(by count: Int) -> Double { Double(self) / Double(count) }
}

extension UInt128: VectorSum {
  /// The sum divided by a number.
  ///
  /// - Parameter count: the divisor.
  public func divided(by count: Int) -> Double { Double(self) / Double(count) }
}

extension Double: VectorSum {
  /// The sum divided by a number.
  ///
  /// - Parameter count: the divisor.
  public func divided(by count: Int) -> Double { self / Double(count) }
}

// MARK: Integers

/// Adds up integers without a sign.
public struct UnsignedAccumulator<Element: FixedWidthInteger & UnsignedInteger>: VectorAccumulator {
  /// The sum so far.
  public private(set) var sum: UInt128

  /// One that has added up nothing.
  @inlinable public init() { self.init(sum: 0) }

  @usableFromInline init(sum: UInt128) { self.sum = sum }

  /// Adds up a run of elements.
  ///
  /// - Parameters:
  ///   - run: at most 65,536 elements.
  ///   - index: without meaning here.
  @inlinable public mutating func add(_ run: UnsafeBufferPointer<Element>, at index: Int) {
    if Element.bitWidth > 64 {
      for element in run { self = Self(sum: sum + UInt128(truncatingIfNeeded: element)) }
      return
    }
    if Element.bitWidth <= 32 {
      self = Self(sum: sum + UInt128(wrappingSum(run)))
      return
    }
    let (low, high) = halves(run, flipping: 0)
    self = Self(sum: sum + UInt128(high) << 32 + UInt128(low))
  }
}

/// Adds up integers with a sign.
public struct SignedAccumulator<Element: FixedWidthInteger & SignedInteger>: VectorAccumulator {
  /// The sum so far.
  public private(set) var sum: Int128

  /// One that has added up nothing.
  @inlinable public init() { self.init(sum: 0) }

  @usableFromInline init(sum: Int128) { self.sum = sum }

  /// Adds up a run of elements.
  ///
  /// - Parameters:
  ///   - run: at most 65,536 elements.
  ///   - index: without meaning here.
  @inlinable public mutating func add(_ run: UnsafeBufferPointer<Element>, at index: Int) {
    if Element.bitWidth > 64 {
      for element in run { self = Self(sum: sum + Int128(truncatingIfNeeded: element)) }
      return
    }
    if Element.bitWidth <= 32 {
      self = Self(sum: sum + Int128(Int64(bitPattern: wrappingSum(run))))
      return
    }
    // With the sign flipped each is 2^63 more than it is, and the halves need no sign.
    let (low, high) = halves(run, flipping: 1 << 63)
    let surplus = Int128(run.count) << 63
    self = Self(sum: sum + Int128(high) << 32 + Int128(low) - surplus)
  }
}

/// The sum of integers modulo 2^64.
@inlinable func wrappingSum<Element: FixedWidthInteger>(
  _ run: UnsafeBufferPointer<Element>
) -> UInt64 {
  var total: UInt64 = 0
  for index in 0..<run.count { total &+= UInt64(truncatingIfNeeded: run[unchecked: index]) }
  return total
}

/// The sums of the lower and of the upper 32 bits of integers of 64 bits.
///
/// Neither can overflow within 2^32 elements, so the loop has no checks and is vectorised. It adds up
/// the whole numbers, modulo 2^64, and their upper halves: what these leave is the lower halves' sum.
///
/// - Parameter mask: the sign bit, if it is to be flipped, or 0.
@inlinable func halves<Element: FixedWidthInteger>(
  _ run: UnsafeBufferPointer<Element>, flipping mask: UInt64
) -> (low: UInt64, high: UInt64) {
  var (whole, high): (UInt64, UInt64) = (0, 0)
  for index in 0..<run.count {
    let bits = UInt64(truncatingIfNeeded: run[unchecked: index])
    whole &+= bits
    high &+= (bits ^ mask) >> 32
  }
  let flipped = whole &+ UInt64(run.count) &* mask
  return (flipped &- high << 32, high)
}

extension UnsafeBufferPointer {
  /// An element of which it is known that it is there.
  @inlinable subscript(unchecked index: Int) -> Element {
    baseAddress.unsafelyUnwrapped[index]
  }
}

/// Combines all elements, the new one first and what came of the others second.
///
/// Narrow integers are vectorised so. Where elements are as wide as registers are, or must not be
/// reordered, four chains take turns, since each step waits for the one before.
@inlinable func combined<Number>(
  _ run: UnsafeBufferPointer<Number>, _ initial: Number, inFourChains: Bool,
  _ combine: (Number, Number) -> Number
) -> Number {
  var (a, b, c, d) = (initial, initial, initial, initial)
  var place = 0
  while inFourChains, place + 4 <= run.count {
    a = combine(run[unchecked: place], a)
    b = combine(run[unchecked: place + 1], b)
    c = combine(run[unchecked: place + 2], c)
    d = combine(run[unchecked: place + 3], d)
    place += 4
  }
  for rest in place..<run.count { a = combine(run[unchecked: rest], a) }
  return combine(combine(a, b), combine(c, d))
}

extension VectorNumber where Self: FixedWidthInteger {
  /// The least of some elements; nil when there are none.
  ///
  /// - Parameter run: elements side by side.
  @inlinable public static func least(of run: UnsafeBufferPointer<Self>) -> Self? {
    guard !run.isEmpty else { return nil }
    return combined(run, .max, inFourChains: bitWidth >= 64) { $0 < $1 ? $0 : $1 }
  }

  /// The greatest of some elements; nil when there are none.
  ///
  /// - Parameter run: elements side by side.
  @inlinable public static func greatest(of run: UnsafeBufferPointer<Self>) -> Self? {
    guard !run.isEmpty else { return nil }
    return combined(run, .min, inFourChains: bitWidth >= 64) { $0 > $1 ? $0 : $1 }
  }

  /// The number as a `Double`, rounded.
  @inlinable public var rounded: Double { Double(self) }
}

// MARK: Floating-point numbers

/// Adds up floating-point numbers as `Double`s, in eight lanes.
///
/// The element at index *i* of the vector is added to lane *i* mod 8, in ascending order, from 0; the sum
/// is ((0 + 1) + (2 + 3)) + ((4 + 5) + (6 + 7)) of the lanes. That holds for each block of 65,536
/// elements (as far as it lies in the range); the blocks' sums are added in their order. So the sum of a range is the
/// same to the last bit however it is read and on how many threads.
public struct FloatAccumulator<Element: BinaryFloatingPoint>: VectorAccumulator {
  @usableFromInline var lanes: SIMD8<Double> = .zero

  /// One that has added up nothing.
  @inlinable public init() {}

  /// Adds up a run of elements.
  ///
  /// - Parameters:
  ///   - run: elements side by side.
  ///   - index: that of the first one in the vector, which says the lane.
  @inlinable public mutating func add(_ run: UnsafeBufferPointer<Element>, at index: Int) {
    var lanes = lanes
    var place = 0
    while place < run.count, (index + place) & 7 != 0 {
      lanes[(index + place) & 7] += Double(run[unchecked: place])
      place += 1
    }
    while place + 8 <= run.count {
      lanes += SIMD8(
        Double(run[unchecked: place]), Double(run[unchecked: place + 1]),
        Double(run[unchecked: place + 2]), Double(run[unchecked: place + 3]),
        Double(run[unchecked: place + 4]), Double(run[unchecked: place + 5]),
        Double(run[unchecked: place + 6]), Double(run[unchecked: place + 7]))
      place += 8
    }
    while place < run.count {
      lanes[(index + place) & 7] += Double(run[unchecked: place])
      place += 1
    }
    self.lanes = lanes
  }

  /// The sum so far.
  @inlinable public var sum: Double {
    let (left, right) = (lanes.lowHalf, lanes.highHalf)
    return ((left[0] + left[1]) + (left[2] + left[3]))
      + ((right[0] + right[1]) + (right[2] + right[3]))
  }
}

extension VectorNumber where Self: BinaryFloatingPoint {
  /// The least of some elements that are not NaN; nil when there are none.
  ///
  /// - Parameter run: elements side by side.
  @inlinable public static func least(of run: UnsafeBufferPointer<Self>) -> Self? {
    // A comparison with NaN is false, so NaN is never taken.
    let least = combined(run, .infinity, inFourChains: true) { $0 < $1 ? $0 : $1 }
    return least < .infinity || run.contains(.infinity) ? least : nil
  }

  /// The greatest of some elements that are not NaN; nil when there are none.
  ///
  /// - Parameter run: elements side by side.
  @inlinable public static func greatest(of run: UnsafeBufferPointer<Self>) -> Self? {
    let greatest = combined(run, -.infinity, inFourChains: true) { $0 > $1 ? $0 : $1 }
    return greatest > -.infinity || run.contains(-.infinity) ? greatest : nil
  }

  /// The number as a `Double`, rounded.
  @inlinable public var rounded: Double { Double(self) }
}

// MARK: The types

extension UInt8: VectorNumber {
  /// What adds up elements.
  public typealias Accumulator = UnsignedAccumulator<Self>
}
extension UInt16: VectorNumber {
  /// What adds up elements.
  public typealias Accumulator = UnsignedAccumulator<Self>
}
extension UInt32: VectorNumber {
  /// What adds up elements.
  public typealias Accumulator = UnsignedAccumulator<Self>
}
extension UInt64: VectorNumber {
  /// What adds up elements.
  public typealias Accumulator = UnsignedAccumulator<Self>
}
extension UInt128: VectorNumber {
  /// What adds up elements.
  public typealias Accumulator = UnsignedAccumulator<Self>
}
extension UInt: VectorNumber {
  /// What adds up elements.
  public typealias Accumulator = UnsignedAccumulator<Self>
}
extension Int8: VectorNumber {
  /// What adds up elements.
  public typealias Accumulator = SignedAccumulator<Self>
}
extension Int16: VectorNumber {
  /// What adds up elements.
  public typealias Accumulator = SignedAccumulator<Self>
}
extension Int32: VectorNumber {
  /// What adds up elements.
  public typealias Accumulator = SignedAccumulator<Self>
}
extension Int64: VectorNumber {
  /// What adds up elements.
  public typealias Accumulator = SignedAccumulator<Self>
}
extension Int128: VectorNumber {
  /// What adds up elements.
  public typealias Accumulator = SignedAccumulator<Self>
}
extension Int: VectorNumber {
  /// What adds up elements.
  public typealias Accumulator = SignedAccumulator<Self>
}
#if !((os(macOS) || targetEnvironment(macCatalyst)) && arch(x86_64))
  extension Float16: VectorNumber {
    /// What adds up elements.
    public typealias Accumulator = FloatAccumulator<Self>
  }
#endif
extension Float: VectorNumber {
  /// What adds up elements.
  public typealias Accumulator = FloatAccumulator<Self>
}
extension Double: VectorNumber {
  /// What adds up elements.
  public typealias Accumulator = FloatAccumulator<Self>
}
