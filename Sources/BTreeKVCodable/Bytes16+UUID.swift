public import BTreeKV

#if canImport(FoundationEssentials)
  public import FoundationEssentials
#else
  public import Foundation
#endif

extension Bytes16 {
  /// The bytes of a UUID.
  public init(_ uuid: UUID) {
    self = withUnsafeBytes(of: uuid.uuid) { bytes in
      Bytes16(
        high: UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self)),
        low: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)))
    }
  }
}

/// The 16 bytes as they stand, as a key and as a value: stored like `Bytes16`.
extension UUID: OrderedKey, StorableValue {
  /// The UUID of these bytes.
  public init(_ bytes: Bytes16) {
    var uuid: uuid_t = (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    withUnsafeMutableBytes(of: &uuid) { room in
      room.storeBytes(of: bytes.high.bigEndian, as: UInt64.self)
      room.storeBytes(of: bytes.low.bigEndian, toByteOffset: 8, as: UInt64.self)
    }
    self.init(uuid: uuid)
  }

  /// The name of the coding: that of `Bytes16`.
  public static var codingTag: String { Bytes16.codingTag }

  /// Appends the 16 bytes.
  public func encodeComponent(into encoder: inout ByteEncoder) {
    Bytes16(self).encodeComponent(into: &encoder)
  }

  /// Takes what `encodeComponent` appended.
  public static func decodeComponent(
    from decoder: inout ByteDecoder
  ) throws(DatabaseError) -> UUID {
    UUID(try Bytes16.decodeComponent(from: &decoder))
  }

  /// Appends the 16 bytes.
  public func encodeValue(into encoder: inout ByteEncoder) {
    Bytes16(self).encodeValue(into: &encoder)
  }

  /// Takes what `encodeValue` appended.
  public static func decodeValue(from decoder: inout ByteDecoder) throws(DatabaseError) -> UUID {
    UUID(try Bytes16.decodeValue(from: &decoder))
  }
}
