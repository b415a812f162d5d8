/// A struct that is stored as it lies in memory, as a value only.
///
/// Whoever conforms a type to this vows that
///
/// - it has no padding: its fields fill it (what lies between them would be stored, and differ);
/// - every bit pattern is one of its values, as with integers and floating-point numbers, but not with
///   `Bool`, enumerations and optionals (a file may hold any bits);
/// - it has no pointers, and its fields keep their types and order as long as files have them.
///
/// `checkCoding` sees most breaches; typed trees call it when they are opened. The bytes are those of
/// a little-endian machine, as all that Swift runs on are.
///
///     struct Sample: FixedLayoutValue {
///       var time: Int64
///       var low: Float
///       var high: Float
///     }
public protocol FixedLayoutValue: StorableValue, AnyBitPattern, BitwiseCopyable {}

extension FixedLayoutValue {
  /// "layout" and the size in bytes.
  ///
  /// Give a tag of your own to types whose layout may change while the size stays.
  public static var codingTag: String { "layout\(MemoryLayout<Self>.size)" }

  /// Appends the bytes in memory.
  @inlinable public func encodeValue(into encoder: inout ByteEncoder) {
    encoder.append(inMemory: self)
  }

  /// Takes what `encodeValue` appended.
  @inlinable public static func decodeValue(
    from decoder: inout ByteDecoder
  ) throws(DatabaseError) -> Self {
    try decoder.take(inMemory: Self.self)
  }

  /// Lends the bytes in memory to `body`.
  @inlinable public func withEncodedValue<R>(
    _ body: (UnsafeRawBufferPointer) throws(DatabaseError) -> R
  ) throws(DatabaseError) -> R {
    try withUnsafeBytes(of: self) { (bytes) throws(DatabaseError) in try body(bytes) }
  }

  /// Looks for padding, and for fields that don't take every bit pattern.
  ///
  /// It looks at the fields by reflection, so it does not see into types that hide theirs.
  ///
  /// - Throws: `.invalidArgument`.
  public static func checkCoding() throws(DatabaseError) {
    let size = MemoryLayout<Self>.size
    // By the vow zeros are a value.
    let sample = withUnsafeTemporaryAllocation(byteCount: max(size, 1), alignment: 16) { room in
      room.initializeMemory(as: UInt8.self, repeating: 0)
      return room.loadUnaligned(as: Self.self)
    }
    var fields = FieldSurvey()
    fields.add(sample)
    if let culprit = fields.culprit {
      throw ByteEncoder.unstorable(
        "not every bit pattern is a \(culprit), and \(Self.self) has one")
    }
    if !fields.isHidden && fields.byteCount != size {
      throw ByteEncoder.unstorable(
        "\(Self.self) takes \(size) bytes, its fields only \(fields.byteCount): "
          + "fill the padding with fields")
    }
  }
}

/// What reflection tells of a type's fields.
private struct FieldSurvey {
  /// What the fields take together, in bytes.
  var byteCount = 0
  /// Whether there is something that reflection does not see into.
  var isHidden = false
  /// The name of a type that does not take every bit pattern.
  var culprit: String?

  mutating func add(_ value: Any) {
    switch value {
    case let number as any FixedWidthInteger:
      byteCount += number.bitWidth / 8
      return
    case let vector as any SIMD:
      add(vector: vector)
      return
    case is Double:
      byteCount += 8
      return
    case is Float:
      byteCount += 4
      return
    case is Bool, is Unicode.Scalar:
      culprit = "\(type(of: value))"
      return
    default:
      break
    }
    let mirror = Mirror(reflecting: value)
    switch mirror.displayStyle {
    case .enum, .optional:
      culprit = "\(type(of: value))"
    case .struct where !mirror.children.isEmpty, .tuple:
      for child in mirror.children { add(child.value) }
    default:
      isHidden = true
    }
  }

  /// Some vectors have fewer elements than their memory has room for.
  private mutating func add<Vector: SIMD>(vector: Vector) {
    byteCount += Vector.scalarCount * MemoryLayout<Vector.Scalar>.size
  }
}
