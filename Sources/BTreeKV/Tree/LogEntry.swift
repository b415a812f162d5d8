internal import Pager

/// The body of a log record: one mutation.
///
///     offset 0   kind           1 insert, 2 remove, 3 insert of a large value
///     offset 1   zero
///     offset 2   key length     2 bytes
///     offset 4   value length   4 bytes: of the value, or of its reference (kind 3)
///     offset 8   key, then value or reference
struct LogEntry {
  enum Kind: UInt8 { case insert = 1, remove, insertLarge }

  static let headerByteCount = 8

  var kind: Kind
  var key: UnsafeRawBufferPointer
  var value: UnsafeRawBufferPointer

  /// The bytes of the record's body.
  @inline(__always) var byteCount: Int { Self.headerByteCount + key.count + value.count }

  /// Writes the body.
  @inline(__always) func write(to body: UnsafeMutableRawPointer) {
    body.storeBytes(of: UInt16(kind.rawValue), toByteOffset: 0, as: UInt16.self)
    body.storeBytes(of: UInt16(truncatingIfNeeded: key.count), toByteOffset: 2, as: UInt16.self)
    body.storeBytes(of: UInt32(truncatingIfNeeded: value.count), toByteOffset: 4, as: UInt32.self)
    if let from = key.baseAddress { (body + 8).copyMemory(from: from, byteCount: key.count) }
    if let from = value.baseAddress {
      (body + (8 + key.count)).copyMemory(from: from, byteCount: value.count)
    }
  }

  /// Reads a body; nil when it makes no sense.
  init?(_ body: UnsafeRawBufferPointer) {
    guard body.count >= Self.headerByteCount, let kind = Kind(rawValue: body[0]) else { return nil }
    let keyLength = Int(body.loadUnaligned(fromByteOffset: 2, as: UInt16.self))
    let valueLength = Int(body.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
    guard body.count == Self.headerByteCount + keyLength + valueLength else { return nil }
    self.kind = kind
    key = UnsafeRawBufferPointer(rebasing: body[8..<8 + keyLength])
    value = UnsafeRawBufferPointer(rebasing: body[(8 + keyLength)...])
  }

  @inline(__always)
  init(kind: Kind, key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer) {
    self.kind = kind
    self.key = key
    self.value = value
  }
}
