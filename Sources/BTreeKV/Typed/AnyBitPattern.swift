/// A type of which every pattern of bits is a value, so that bytes of a file can be shown as its values
/// in place.
///
/// Integers, floating-point numbers and SIMD vectors are; `Bool`, enumerations, optionals and pointers
/// are not. Whoever conforms a struct to this vows that all its fields are, and that it has no padding.
public protocol AnyBitPattern {}

extension UInt8: AnyBitPattern {}
extension UInt16: AnyBitPattern {}
extension UInt32: AnyBitPattern {}
extension UInt64: AnyBitPattern {}
extension UInt128: AnyBitPattern {}
extension UInt: AnyBitPattern {}
extension Int8: AnyBitPattern {}
extension Int16: AnyBitPattern {}
extension Int32: AnyBitPattern {}
extension Int64: AnyBitPattern {}
extension Int128: AnyBitPattern {}
extension Int: AnyBitPattern {}
#if !((os(macOS) || targetEnvironment(macCatalyst)) && arch(x86_64))
  extension Float16: AnyBitPattern {}
#endif
extension Float: AnyBitPattern {}
extension Double: AnyBitPattern {}
extension SIMD2: AnyBitPattern where Scalar: AnyBitPattern {}
extension SIMD4: AnyBitPattern where Scalar: AnyBitPattern {}
extension SIMD8: AnyBitPattern where Scalar: AnyBitPattern {}
extension SIMD16: AnyBitPattern where Scalar: AnyBitPattern {}
extension SIMD32: AnyBitPattern where Scalar: AnyBitPattern {}
extension SIMD64: AnyBitPattern where Scalar: AnyBitPattern {}
