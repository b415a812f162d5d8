public import BTreeKV

/// A type whose values can be the elements of a vector: fixed in size, stored as they lie in memory.
///
/// All integers and floating-point numbers, `Bool`, and SIMD vectors of them are. Types of your own
/// become so in one of three ways:
///
/// - a struct of numbers conforms to this and to `FixedLayoutValue`, which vows that it has no padding
///   and takes every bit pattern;
/// - a struct around one such value, or an `OptionSet`, conforms to `RawRepresentableElement`;
/// - any other type, such as an enumeration, names a `Stored` type and says what each of its values
///   means: a file may hold any bits.
///
/// ```swift
/// enum Side: UInt8, VectorElement {
///   case unknown, buy, sell
///   init(stored: UInt8) { self = Side(rawValue: stored) ?? .unknown }
/// }
/// ```
///
/// The bytes are those of a little-endian machine, as all that Swift runs on are.
public protocol VectorElement: Sendable {
  /// What lies in the file: a type of which every bit pattern is a value, without padding.
  associatedtype Stored: AnyBitPattern & Sendable

  /// What the file says of the type, at most 255 bytes: a vector opens only as what it was made as.
  static var elementTag: String { get }

  /// What is stored.
  var stored: Stored { get }

  /// The element that is stored so; there is one for each value.
  init(stored: Stored)

  /// Makes sure, as far as that can be seen, that the type keeps what it vows.
  ///
  /// It is called when a vector is opened. By default it finds nothing.
  ///
  /// - Throws: `.invalidArgument`.
  static func checkElement() throws(DatabaseError)
}

extension VectorElement {
  /// Finds nothing.
  public static func checkElement() throws(DatabaseError) {}
}

extension VectorElement where Self: AnyBitPattern, Stored == Self {
  /// The element itself.
  @inlinable public var stored: Self { self }

  /// The element itself.
  @inlinable public init(stored: Self) { self = stored }
}

extension VectorElement where Self: FixedLayoutValue {
  /// The type's coding tag: "layout" and the size in bytes, if it has no other.
  public static var elementTag: String { codingTag }

  /// Looks for padding, and for fields that don't take every bit pattern.
  ///
  /// - Throws: `.invalidArgument`.
  public static func checkElement() throws(DatabaseError) { try checkCoding() }
}

extension VectorElement where Self: RawRepresentable, RawValue: VectorElement {
  /// That of the raw value: the wrapper may get another name.
  public static var elementTag: String { RawValue.elementTag }

  /// What the raw value is stored as.
  @inlinable public var stored: RawValue.Stored { rawValue.stored }

  /// Looks at the raw value's type.
  ///
  /// - Throws: `.invalidArgument`.
  public static func checkElement() throws(DatabaseError) { try RawValue.checkElement() }
}

/// A wrapper around one element of which every value is good: nothing is to be written for it but the
/// conformance.
///
/// ```swift
/// struct Height: RawRepresentableElement {
///   var rawValue: UInt32
/// }
/// ```
///
/// It is stored as its raw value is, so a vector of heights can be opened as one of `UInt32`, too.
public protocol RawRepresentableElement: VectorElement, RawRepresentable
where RawValue: VectorElement, Stored == RawValue.Stored {
  /// The wrapper of any raw value.
  init(rawValue: RawValue)
}

extension RawRepresentableElement {
  /// The wrapper of what is stored.
  @inlinable public init(stored: RawValue.Stored) { self.init(rawValue: RawValue(stored: stored)) }
}

extension Bool: VectorElement {
  /// "bool".
  public static var elementTag: String { "bool" }

  /// 0 or 1.
  @inlinable public var stored: UInt8 { self ? 1 : 0 }

  /// True for anything but 0.
  @inlinable public init(stored: UInt8) { self = stored != 0 }
}
