internal import Pager

/// A log record's body is one or more of these: what one call changed, or one transaction.
///
///     offset 0   kind           1 insert, 2 remove, 3 insert of a large value, 4 remove of a range,
///                               5 drop of a tree
///     offset 1   flags          1: a tree number follows (else the main tree); 2, 4: a range has a
///                               lower, an upper bound
///     offset 2   key length     2 bytes: of the key, or of the range's lower bound
///     offset 4   value length   4 bytes: of the value, its reference (kind 3), or the upper bound
///     offset 8   tree           4 bytes, if flag 1 is set
///     then       key, then value
struct LogEntry {
  enum Kind: UInt8 { case insert = 1, remove, insertLarge, removeRange, dropTree }

  struct Flags: OptionSet {
    let rawValue: UInt8
    static let tree = Flags(rawValue: 1)
    static let lowerBound = Flags(rawValue: 2)
    static let upperBound = Flags(rawValue: 4)
  }

  static let headerByteCount = 8
  static let treeByteCount = 4

  var kind: Kind
  var flags: Flags = []
  var tree: TreeID
  var key: UnsafeRawBufferPointer
  var value: UnsafeRawBufferPointer

  /// The bytes before the key.
  @inline(__always) private var keyOffset: Int {
    tree == .main ? Self.headerByteCount : Self.headerByteCount + Self.treeByteCount
  }

  /// The bytes of the entry.
  @inline(__always) var byteCount: Int { keyOffset + key.count + value.count }

  /// Writes the entry.
  @inline(__always) func write(to body: UnsafeMutableRawPointer) {
    let all = tree == .main ? flags : flags.union(.tree)
    body.storeBytes(
      of: UInt16(kind.rawValue) | UInt16(all.rawValue) << 8, toByteOffset: 0, as: UInt16.self)
    body.storeBytes(of: UInt16(truncatingIfNeeded: key.count), toByteOffset: 2, as: UInt16.self)
    body.storeBytes(of: UInt32(truncatingIfNeeded: value.count), toByteOffset: 4, as: UInt32.self)
    var place = body + Self.headerByteCount
    if tree != .main {
      place.storeBytes(of: tree.rawValue, as: UInt32.self)
      place += Self.treeByteCount
    }
    if let from = key.baseAddress { place.copyMemory(from: from, byteCount: key.count) }
    if let from = value.baseAddress {
      (place + key.count).copyMemory(from: from, byteCount: value.count)
    }
  }

  /// Reads the entry at the beginning of some bytes; nil when they make no sense.
  init?(_ bytes: UnsafeRawBufferPointer) {
    guard bytes.count >= Self.headerByteCount, let kind = Kind(rawValue: bytes[0]),
      bytes[1] < 8
    else { return nil }
    self.kind = kind
    flags = Flags(rawValue: bytes[1])
    let keyLength = Int(bytes.loadUnaligned(fromByteOffset: 2, as: UInt16.self))
    let valueLength = Int(bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
    var offset = Self.headerByteCount
    tree = .main
    if flags.contains(.tree) {
      guard bytes.count >= offset + Self.treeByteCount else { return nil }
      tree = TreeID(bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
      offset += Self.treeByteCount
      guard tree != .main, tree.rawValue < 1 << 31 else { return nil }
    }
    guard bytes.count - offset >= keyLength + valueLength else { return nil }
    key = UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + keyLength])
    value = UnsafeRawBufferPointer(
      rebasing: bytes[offset + keyLength..<offset + keyLength + valueLength])
  }

  @inline(__always)
  init(
    kind: Kind, tree: TreeID, key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer,
    flags: Flags = []
  ) {
    self.kind = kind
    self.flags = flags
    self.tree = tree
    self.key = key
    self.value = value
  }

  /// Hands over each entry of a record's body.
  ///
  /// - Returns: false when the body makes no sense.
  static func forEach(
    in body: UnsafeRawBufferPointer, _ visit: (LogEntry) throws(PagerError) -> Bool
  ) throws(PagerError) -> Bool {
    var rest = body
    while !rest.isEmpty {
      guard let entry = LogEntry(rest), try visit(entry) else { return false }
      rest = UnsafeRawBufferPointer(rebasing: rest[entry.byteCount...])
    }
    return true
  }
}
