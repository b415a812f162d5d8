/// The types of numbers that the Pcodec format knows, with their codes in files.
public enum PcoNumberType: UInt8, Sendable, CaseIterable {
  /// `UInt32`.
  case uint32 = 1
  /// `UInt64`.
  case uint64 = 2
  /// `Int32`.
  case int32 = 3
  /// `Int64`.
  case int64 = 4
  /// `Float`.
  case float32 = 5
  /// `Double`.
  case float64 = 6
  /// `UInt16`.
  case uint16 = 7
  /// `Int16`.
  case int16 = 8
  /// `Float16`.
  case float16 = 9
  /// `UInt8`.
  case uint8 = 10
  /// `Int8`.
  case int8 = 11

  /// How the bits of a number are to be read.
  enum Kind: Sendable {
    case unsigned
    case signed
    case float
  }

  /// How the bits of a number are to be read.
  var kind: Kind {
    switch self {
    case .uint8, .uint16, .uint32, .uint64: .unsigned
    case .int8, .int16, .int32, .int64: .signed
    case .float16, .float32, .float64: .float
    }
  }

  /// The size of a number in bits: 8, 16, 32 or 64.
  public var bitWidth: Int {
    switch self {
    case .uint8, .int8: 8
    case .uint16, .int16, .float16: 16
    case .uint32, .int32, .float32: 32
    case .uint64, .int64, .float64: 64
    }
  }
}

/// A number that the Pcodec format can hold: the integers of 8 to 64 bits, and the floats of 16 to
/// 64 bits.
///
/// The codec works on the memory of the numbers, so no other type can conform usefully.
public protocol PcoNumber: BitwiseCopyable, Comparable, Sendable {
  /// The type's code in the format.
  static var pcoNumberType: PcoNumberType { get }
}

extension UInt8: PcoNumber {
  /// The type's code in the format.
  public static var pcoNumberType: PcoNumberType { .uint8 }
}

extension UInt16: PcoNumber {
  /// The type's code in the format.
  public static var pcoNumberType: PcoNumberType { .uint16 }
}

extension UInt32: PcoNumber {
  /// The type's code in the format.
  public static var pcoNumberType: PcoNumberType { .uint32 }
}

extension UInt64: PcoNumber {
  /// The type's code in the format.
  public static var pcoNumberType: PcoNumberType { .uint64 }
}

extension Int8: PcoNumber {
  /// The type's code in the format.
  public static var pcoNumberType: PcoNumberType { .int8 }
}

extension Int16: PcoNumber {
  /// The type's code in the format.
  public static var pcoNumberType: PcoNumberType { .int16 }
}

extension Int32: PcoNumber {
  /// The type's code in the format.
  public static var pcoNumberType: PcoNumberType { .int32 }
}

extension Int64: PcoNumber {
  /// The type's code in the format.
  public static var pcoNumberType: PcoNumberType { .int64 }
}

extension UInt: PcoNumber {
  /// The code of the type that is as wide.
  public static var pcoNumberType: PcoNumberType {
    #if _pointerBitWidth(_64)
      .uint64
    #else
      .uint32
    #endif
  }
}

extension Int: PcoNumber {
  /// The code of the type that is as wide.
  public static var pcoNumberType: PcoNumberType {
    #if _pointerBitWidth(_64)
      .int64
    #else
      .int32
    #endif
  }
}

extension Float: PcoNumber {
  /// The type's code in the format.
  public static var pcoNumberType: PcoNumberType { .float32 }
}

extension Double: PcoNumber {
  /// The type's code in the format.
  public static var pcoNumberType: PcoNumberType { .float64 }
}

#if !(os(macOS) && arch(x86_64))
  extension Float16: PcoNumber {
    /// The type's code in the format.
    public static var pcoNumberType: PcoNumberType { .float16 }
  }
#endif
