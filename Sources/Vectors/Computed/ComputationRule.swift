internal import BTreeKV
internal import Pager

/// How each element of a stored column is computed from those of another one, or of two, at the same
/// index and before it.
///
/// `Source` is the type of the elements that it is computed from; of two columns, a pair.
///
/// - **Holes**: where a source has a hole, the result has one. Elsewhere, windows leave out the holes in
///   them, cumulative rules pass over them, and changes against a hole are holes.
/// - **Integers** are computed with exactly: what does not fit the result's type is an error, and what
///   does not exist, such as a quotient by 0, a hole.
/// - **Floating-point numbers** are computed with as `Double`s and rounded once, when they are stored,
///   but for arithmetic, which is that of their type. No rule takes anything away that it added before,
///   so errors don't pile up, and a NaN or an infinity is gone when the window has moved past it.
///
/// Each element depends on its index and the sources' elements only, not on how many were computed at
/// once: results have the same bits in any case.
public struct ComputationRule<Source, Value: VectorElement>: Sendable {
  /// What it is called, with all that it was given but for closures: a column that was computed by
  /// another one is computed anew.
  public let name: String

  let kernel: any RuleKernel<Source, Value>

  init(_ name: String, _ kernel: any RuleKernel<Source, Value>) {
    self.name = name
    self.kernel = kernel
  }
}

/// What comes of an element.
enum ComputedElement<Value> {
  case value(Value)
  /// A hole; what lies beneath it is for those who go on from there.
  case hole(beneath: Value?)
}

/// Computes elements one after the other.
protocol RuleKernel<Source, Value>: Sendable {
  associatedtype Source
  associatedtype Value

  /// From which index on sources must be read so that elements from another one on can be computed.
  func start(for index: Int) -> Int

  /// Forgets all and begins.
  ///
  /// - Parameters:
  ///   - index: which element comes first.
  ///   - previous: the result in front of it, or what lies beneath a hole there; nil at the beginning.
  mutating func begin(at index: Int, after previous: Value?)

  /// - Parameter element: of the source; nil at a hole.
  mutating func next(
    _ element: Source?, at index: Int
  ) throws(DatabaseError) -> ComputedElement<Value>
}

/// Computes each element from the one at the same index.
struct ElementKernel<Source, Value>: RuleKernel {
  /// Nil: a hole.
  let compute: @Sendable (Source, Int) throws(DatabaseError) -> Value?

  func start(for index: Int) -> Int { index }

  func begin(at index: Int, after previous: Value?) {}

  func next(_ element: Source?, at index: Int) throws(DatabaseError) -> ComputedElement<Value> {
    guard let element, let value = try compute(element, index) else { return .hole(beneath: nil) }
    return .value(value)
  }
}

extension ComputationRule {
  /// Each element becomes another one.
  ///
  /// What the closure does is not seen from here: when it changes, give the column another version.
  ///
  /// - Parameter transform: makes an element of one; the same one each time.
  public static func map(
    _ transform: @escaping @Sendable (Source) -> Value
  ) -> ComputationRule {
    compactMap { transform($0) }
  }

  /// Each element becomes another one or a hole.
  ///
  /// What the closure does is not seen from here: when it changes, give the column another version.
  ///
  /// - Parameter transform: makes an element of one, or nil for a hole; the same each time.
  public static func compactMap(
    _ transform: @escaping @Sendable (Source) -> Value?
  ) -> ComputationRule {
    ComputationRule(
      "map",
      ElementKernel { (element: Source, _: Int) throws(DatabaseError) in transform(element) })
  }

  /// The elements of two columns at an index become one.
  ///
  /// What the closure does is not seen from here: when it changes, give the column another version.
  ///
  /// - Parameter combine: makes an element of two; the same one each time.
  public static func combine<First, Second>(
    _ combine: @escaping @Sendable (First, Second) -> Value
  ) -> ComputationRule where Source == (First, Second) {
    ComputationRule(
      "combine",
      ElementKernel { (pair: Source, _: Int) throws(DatabaseError) in combine(pair.0, pair.1) })
  }
}

// MARK: Arithmetic

extension ComputationRule
where Source == (Value, Value), Value: VectorNumber & FixedWidthInteger {
  private static func arithmetic(
    _ name: String,
    _ compute: @escaping @Sendable (Value, Value) -> (partialValue: Value, overflow: Bool)?
  ) -> ComputationRule {
    ComputationRule(
      name,
      ElementKernel { (pair: Source, index: Int) throws(DatabaseError) -> Value? in
        guard let result = compute(pair.0, pair.1) else { return nil }
        guard !result.overflow else { throw misfit(Value.self, at: index) }
        return result.partialValue
      })
  }

  /// The sum of two columns' elements.
  public static var addition: ComputationRule {
    arithmetic("addition") { $0.addingReportingOverflow($1) }
  }

  /// The first column's element less the second one's.
  public static var subtraction: ComputationRule {
    arithmetic("subtraction") { $0.subtractingReportingOverflow($1) }
  }

  /// The product of two columns' elements.
  public static var multiplication: ComputationRule {
    arithmetic("multiplication") { $0.multipliedReportingOverflow(by: $1) }
  }

  /// The first column's element divided by the second one's, rounded towards zero; a hole where that is
  /// 0.
  public static var division: ComputationRule {
    arithmetic("division") { $1 == 0 ? nil : $0.dividedReportingOverflow(by: $1) }
  }
}

extension ComputationRule
where Source == (Value, Value), Value: VectorNumber & BinaryFloatingPoint {
  private static func arithmetic(
    _ name: String, _ compute: @escaping @Sendable (Value, Value) -> Value
  ) -> ComputationRule {
    ComputationRule(
      name,
      ElementKernel { (pair: Source, _: Int) throws(DatabaseError) in compute(pair.0, pair.1) })
  }

  /// The sum of two columns' elements.
  public static var addition: ComputationRule { arithmetic("addition") { $0 + $1 } }

  /// The first column's element less the second one's.
  public static var subtraction: ComputationRule { arithmetic("subtraction") { $0 - $1 } }

  /// The product of two columns' elements.
  public static var multiplication: ComputationRule { arithmetic("multiplication") { $0 * $1 } }

  /// The first column's element divided by the second one's, as IEEE 754 has it.
  public static var division: ComputationRule { arithmetic("division") { $0 / $1 } }
}

// MARK: Numbers

/// What to throw when a number is none of its type.
func misfit<Value>(_ type: Value.Type, at index: Int) -> DatabaseError {
  VectorAccess.unusable(
    "what is computed for index \(index) does not fit \(type); take a wider type")
}

extension FixedWidthInteger {
  /// The number in 128 bits.
  func widened(at index: Int) throws(DatabaseError) -> Int128 {
    guard let wide = Int128(exactly: self) else { throw misfit(Int128.self, at: index) }
    return wide
  }

  /// The number of this type that is the same as one of 128 bits.
  static func narrowed(_ wide: Int128?, at index: Int) throws(DatabaseError) -> Self {
    guard let wide, let number = Self(exactly: wide) else { throw misfit(Self.self, at: index) }
    return number
  }
}

/// The period of a rule, which has at least one element.
func checkedPeriod(_ count: Int) -> Int {
  precondition(count > 0, "a rule goes over at least one element")
  return count
}
