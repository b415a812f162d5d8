public import BTreeKV

// The standard library's numbers and SIMD vectors as elements.

extension VectorElement where Self: FixedWidthInteger {
  /// "u" or "i" and the width in bits; so `Int` is the same as `Int64` where it is as wide.
  public static var elementTag: String { "\(isSigned ? "i" : "u")\(bitWidth)" }
}

extension VectorElement where Self: BinaryFloatingPoint {
  /// "f" and the width in bits.
  public static var elementTag: String { "f\(MemoryLayout<Self>.size * 8)" }
}

extension UInt8: VectorElement {}
extension UInt16: VectorElement {}
extension UInt32: VectorElement {}
extension UInt64: VectorElement {}
extension UInt128: VectorElement {}
extension UInt: VectorElement {}
extension Int8: VectorElement {}
extension Int16: VectorElement {}
extension Int32: VectorElement {}
extension Int64: VectorElement {}
extension Int128: VectorElement {}
extension Int: VectorElement {}
#if !((os(macOS) || targetEnvironment(macCatalyst)) && arch(x86_64))
  extension Float16: VectorElement {}
#endif
extension Float: VectorElement {}
extension Double: VectorElement {}

extension VectorElement where Self: SIMD, Scalar: VectorElement {
  /// "simd", the number of scalars, and their type's tag.
  public static var elementTag: String { "simd\(scalarCount)<\(Scalar.elementTag)>" }
}

extension SIMD2: VectorElement
where Scalar: VectorElement & AnyBitPattern, Scalar.Stored == Scalar {}
extension SIMD4: VectorElement
where Scalar: VectorElement & AnyBitPattern, Scalar.Stored == Scalar {}
extension SIMD8: VectorElement
where Scalar: VectorElement & AnyBitPattern, Scalar.Stored == Scalar {}
extension SIMD16: VectorElement
where Scalar: VectorElement & AnyBitPattern, Scalar.Stored == Scalar {}
extension SIMD32: VectorElement
where Scalar: VectorElement & AnyBitPattern, Scalar.Stored == Scalar {}
extension SIMD64: VectorElement
where Scalar: VectorElement & AnyBitPattern, Scalar.Stored == Scalar {}

/// Stored as four scalars, of which the last is 0, since it takes as much memory.
extension SIMD3: VectorElement
where Scalar: VectorElement & AnyBitPattern, Scalar.Stored == Scalar {
  /// The scalars and a 0.
  @inlinable public var stored: SIMD4<Scalar> {
    var four = SIMD4<Scalar>()
    four.x = x
    four.y = y
    four.z = z
    return four
  }

  /// The first three scalars.
  @inlinable public init(stored: SIMD4<Scalar>) { self.init(stored.x, stored.y, stored.z) }
}
