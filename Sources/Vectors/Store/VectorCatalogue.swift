internal import BTreeKV
internal import Pager

/// What the file says of a vector.
///
///     list's number (8 bytes), version (4), bytes of an element (2), format (1),
///     of compressed ones the pages' code, else 0 (1), element tag
struct VectorRecord: Equatable {
  static let headerByteCount = 16

  var list: UInt64
  var version: UInt32
  var stride: Int
  var format: VectorFormat
  var elementTag: String
  /// Of compressed vectors.
  var pages: PageLayout?

  /// Reads a record; nil when it makes no sense.
  init?(_ bytes: [UInt8]) {
    guard bytes.count > Self.headerByteCount, bytes.count <= Self.headerByteCount + 255 else {
      return nil
    }
    func number(_ range: Range<Int>) -> UInt64 {
      bytes[range].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
    guard let format = VectorFormat(rawValue: bytes[14]) else { return nil }
    self.format = format
    if format == .compressed {
      guard let layout = PageLayout(code: bytes[15]) else { return nil }
      pages = layout
    }
    list = number(0..<8)
    version = UInt32(number(8..<12))
    stride = Int(number(12..<14))
    elementTag = String(decoding: bytes[Self.headerByteCount...], as: UTF8.self)
    guard list > 0, list < 1 << 62, stride > 0 else { return nil }
    if let pages, pages.type.bitWidth != 8 * stride { return nil }
  }

  var encoded: [UInt8] {
    var bytes = withUnsafeBytes(of: list.littleEndian) { Array($0) }
    withUnsafeBytes(of: version.littleEndian) { bytes.append(contentsOf: $0) }
    withUnsafeBytes(of: UInt16(stride).littleEndian) { bytes.append(contentsOf: $0) }
    bytes.append(format.rawValue)
    bytes.append(pages?.code ?? 0)
    bytes.append(contentsOf: elementTag.utf8)
    return bytes
  }

  /// What is to be checked and stored of a type.
  init<Element: VectorElement>(
    of type: Element.Type, _ format: VectorFormat, version: UInt32
  ) throws(DatabaseError) {
    typealias Stored = Element.Stored
    try Element.checkElement()
    let size = MemoryLayout<Stored>.size
    guard size > 0, size <= 4096, MemoryLayout<Stored>.stride == size else {
      throw VectorAccess.unusable(
        "an element takes 1 to 4096 bytes, without padding behind it; \(Stored.self) takes \(size) "
          + "of \(MemoryLayout<Stored>.stride)")
    }
    guard _isPOD(Stored.self) else {
      throw VectorAccess.unusable("\(Stored.self) has references, which can't be stored")
    }
    let tag = Element.elementTag
    guard (1...255).contains(tag.utf8.count) else {
      throw VectorAccess.unusable("the tag of \(Element.self) must have 1 to 255 bytes")
    }
    list = 0
    self.version = version
    stride = size
    self.format = format
    elementTag = tag
  }

  /// Throws unless a vector that is there is what was asked for.
  func check(_ wanted: VectorRecord, _ name: String) throws(DatabaseError) {
    guard let mismatch = mismatch(wanted) else { return }
    throw DatabaseError(
      PagerError(
        .typeMismatch,
        "the vector \"\(name)\" has the \(mismatch); open it as that, or reset it with forcedOpen"))
  }

  /// What a vector that is there has otherwise than was asked for; the pages' size may be any.
  func mismatch(_ wanted: VectorRecord) -> String? {
    if format != wanted.format { return "format \(format), not \(wanted.format)" }
    if elementTag != wanted.elementTag {
      return "element type \(elementTag), not \(wanted.elementTag)"
    }
    if stride != wanted.stride {
      return "element size \(stride) bytes, not \(wanted.stride) bytes"
    }
    if let type = pages?.type, let asked = wanted.pages?.type, type != asked {
      return "number type \(type), not \(asked)"
    }
    if version != wanted.version { return "version \(version), not \(wanted.version)" }
    return nil
  }
}

/// The tree of the vectors' names.
struct VectorCatalogue: WritableTree {
  static let maximumNameByteCount = 255

  let access: TreeAccess

  init(_ access: TreeAccess) { self.access = access }

  /// The record of a name, or nil when there is none.
  func find(_ name: String) throws(DatabaseError) -> VectorRecord? {
    guard let bytes = try lookup(name) else { return nil }
    return try record(bytes, of: name)
  }

  private func record(_ bytes: [UInt8], of name: String) throws(DatabaseError) -> VectorRecord {
    guard let record = VectorRecord(bytes) else {
      throw DatabaseError(
        PagerError(.corrupted, "what the file says of the vector \"\(name)\" makes no sense"))
    }
    return record
  }

  /// The names in order, with their records.
  func all() throws(DatabaseError) -> [(name: String, record: VectorRecord)] {
    var found: [(name: String, record: VectorRecord)] = []
    let cursor = try cursor()
    while let entry = try cursor.next() {
      let name = String(decoding: entry.key, as: UTF8.self)
      found.append((name, try record(entry.value, of: name)))
    }
    return found
  }

  /// Names a new vector; in a transaction.
  func add(_ name: String, _ record: VectorRecord) throws(DatabaseError) {
    try check(name)
    try insert(name, record.encoded)
  }

  /// Gives a vector another name; in a transaction.
  func rename(_ name: String, to newName: String) throws(DatabaseError) {
    try check(newName)
    guard let record = try find(name) else {
      throw DatabaseError(PagerError(.notFound, "there is no vector named \"\(name)\""))
    }
    // As bytes: there are several spellings of one text.
    if name.utf8.elementsEqual(newName.utf8) { return }
    guard try find(newName) == nil else {
      throw DatabaseError(
        PagerError(.alreadyExists, "there is a vector named \"\(newName)\" already"))
    }
    try remove(name)
    try insert(newName, record.encoded)
  }

  func check(_ name: String) throws(DatabaseError) {
    guard (1...Self.maximumNameByteCount).contains(name.utf8.count) else {
      throw VectorAccess.unusable(
        "a vector's name has 1 to \(Self.maximumNameByteCount) bytes")
    }
  }
}
