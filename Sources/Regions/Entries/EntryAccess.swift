public import BTreeKV
internal import Pager

/// How a handle reaches its entry store.
///
/// There is nothing in it for users.
public final class EntryAccess: Sendable {
  let log: EntryLog
  /// What all keys of the namespace begin with.
  let prefix: [UInt8]

  init(_ log: EntryLog, prefix: [UInt8] = []) {
    self.log = log
    self.prefix = prefix
  }

  /// The list of a name's store, or nil.
  static func find(_ name: String, _ names: TreeAccess) throws(DatabaseError) -> UInt64? {
    try RegionCatalogue(names, of: "store").find(name)
  }

  static var notFound: DatabaseError {
    DatabaseError(PagerError(.notFound, "there is no entry of this key"))
  }

  func namespace(_ name: [UInt8]) -> EntryAccess {
    var prefix = prefix
    for byte in name {
      prefix.append(byte)
      if byte == 0 { prefix.append(0xFF) }
    }
    return EntryAccess(log, prefix: prefix + [0, 1])
  }

  /// The name of the namespace that a key is in, and how many bytes it has in the key; nil for none.
  static func namespace(
    of key: UnsafeRawBufferPointer
  ) -> (name: [UInt8], byteCount: Int)? {
    var name: [UInt8] = []
    var index = 0
    while index < key.count {
      name.append(key[index])
      index += 1
      guard name.last == 0 else { continue }
      guard index < key.count else { return nil }
      switch key[index] {
      case 0xFF: index += 1
      case 1: return (name.dropLast(), index + 1)
      default: return nil
      }
    }
    return nil
  }

  /// Lends a key with the namespace's prefix.
  @inline(__always)
  func withKey<R>(
    _ key: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) throws(DatabaseError) -> R
  ) throws(DatabaseError) -> R {
    if prefix.isEmpty { return try body(key) }
    let whole = prefix + key
    return try whole.span.bytes.withUnsafeBytes { (whole) throws(DatabaseError) in
      try body(whole)
    }
  }

  func entry(_ bytes: EntryBytes) -> Entry { Entry(bytes, prefixByteCount: prefix.count) }
}

// What the generic calls of stores come to: they are compiled where they are used, these once.
extension EntryAccess {
  @usableFromInline
  func read(
    _ key: UnsafeRawBufferPointer, _ reading: RegionReading
  ) throws(DatabaseError) -> Entry? {
    try withKey(key) { (key) throws(DatabaseError) in
      try (reading == .mapped ? log.read(key) : log.readCopy(key)).map { entry($0) }
    }
  }

  @usableFromInline
  func contains(_ key: UnsafeRawBufferPointer) throws(DatabaseError) -> Bool {
    try withKey(key) { (key) throws(DatabaseError) in try log.contains(key) }
  }

  /// - Returns: whether the key was not there before.
  @usableFromInline
  func write(
    _ key: UnsafeRawBufferPointer, _ bytes: UnsafeRawBufferPointer,
    _ durability: Database.Durability?
  ) throws(DatabaseError) -> Bool {
    try withKey(key) { (key) throws(DatabaseError) in
      try converting { () throws(PagerError) in try log.write(key, bytes, durability) }
    }
  }

  /// - Returns: whether the key was there.
  @usableFromInline
  func remove(
    _ key: UnsafeRawBufferPointer, _ durability: Database.Durability?
  ) throws(DatabaseError) -> Bool {
    try withKey(key) { (key) throws(DatabaseError) in
      try converting { () throws(PagerError) in try log.remove(key, durability) }
    }
  }

  /// Runs many changes as one.
  @usableFromInline
  func changeAtOnce(
    _ durability: Database.Durability?, _ body: (EntryChanges) throws(DatabaseError) -> Void
  ) throws(DatabaseError) {
    try log.changeAtOnce(durability) { (batch) throws(DatabaseError) in
      try body(EntryChanges(access: self, batch: batch))
    }
  }
}

/// Changes of a store that are made together.
@usableFromInline
struct EntryChanges {
  let access: EntryAccess
  let batch: EntryBatch

  @usableFromInline
  func write(
    _ key: UnsafeRawBufferPointer, _ bytes: UnsafeRawBufferPointer
  ) throws(DatabaseError) {
    try access.withKey(key) { (key) throws(DatabaseError) in try batch.put(key, bytes) }
  }

  /// - Returns: whether the key was there.
  @usableFromInline
  func remove(_ key: UnsafeRawBufferPointer) throws(DatabaseError) -> Bool {
    try access.withKey(key) { (key) throws(DatabaseError) in try batch.remove(key) }
  }
}
