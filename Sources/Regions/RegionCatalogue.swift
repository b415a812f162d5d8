internal import BTreeKV
internal import Pager

/// The tree of the regions' names.
///
/// A name leads to the region's number, 8 bytes.
struct RegionCatalogue: WritableTree {
  static let maximumNameByteCount = 255

  let access: TreeAccess
  /// What the names are of, for messages.
  private let noun: String

  init(_ access: TreeAccess, of noun: String = "region") {
    self.access = access
    self.noun = noun
  }

  /// The number of a name, or nil when there is none.
  func find(_ name: String) throws(DatabaseError) -> UInt64? {
    guard let bytes = try lookup(name) else { return nil }
    return try number(bytes, of: name)
  }

  private func number(_ bytes: [UInt8], of name: String) throws(DatabaseError) -> UInt64 {
    let id = bytes.count == 8 ? bytes.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) } : 0
    guard id > 0, id < 1 << 62 else {
      throw DatabaseError(
        PagerError(.corrupted, "what the file says of the \(noun) \"\(name)\" makes no sense"))
    }
    return id
  }

  /// The names in order, with their numbers.
  func all() throws(DatabaseError) -> [(name: String, id: UInt64)] {
    var found: [(name: String, id: UInt64)] = []
    let cursor = try cursor()
    while let entry = try cursor.next() {
      let name = String(decoding: entry.key, as: UTF8.self)
      found.append((name, try number(entry.value, of: name)))
    }
    return found
  }

  /// Names a new region; in a transaction.
  func add(_ name: String, id: UInt64) throws(DatabaseError) {
    try check(name)
    try insert(name, Self.encode(id))
  }

  /// Gives a region another name; in a transaction.
  func rename(_ name: String, to newName: String) throws(DatabaseError) {
    try check(newName)
    guard let id = try find(name) else {
      throw DatabaseError(PagerError(.notFound, "there is no \(noun) named \"\(name)\""))
    }
    if name == newName { return }
    guard try find(newName) == nil else {
      throw DatabaseError(
        PagerError(.alreadyExists, "there is a \(noun) named \"\(newName)\" already"))
    }
    try remove(name)
    try insert(newName, Self.encode(id))
  }

  func check(_ name: String) throws(DatabaseError) {
    guard (1...Self.maximumNameByteCount).contains(name.utf8.count) else {
      throw DatabaseError(
        PagerError(
          .invalidArgument, "a \(noun)'s name has 1 to \(Self.maximumNameByteCount) bytes"))
    }
  }

  private static func encode(_ id: UInt64) -> [UInt8] {
    withUnsafeBytes(of: id.littleEndian) { Array($0) }
  }
}
