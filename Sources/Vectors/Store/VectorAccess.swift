internal import BTreeKV
internal import Pager

/// How a handle reaches its vector: the list of its elements, and the records beside it.
///
/// There is nothing in it for users. It knows elements as runs of `stride` bytes, so that nothing here
/// is made anew for each type.
///
/// An element's value is what the *changes* of its block say of it, or else what lies in the list. So
/// changing a few elements anywhere costs what they take, not the chunks of 64 KiB that they lie in. A
/// block of which much has changed is *folded*: written anew in the list, without changes.
public final class VectorAccess: Sendable {
  let list: ChunkList
  let chunks: TreeAccess
  let records: RecordTree
  /// The bytes of an element.
  let stride: Int
  /// How many elements a block has, of which changes are kept together: as many as a chunk has, where
  /// they fill it, or a page.
  let blockCount: Int
  /// What its pages are, if it is compressed.
  let pages: PageLayout?
  /// What its user gave it.
  let version: UInt32
  private let options: AccessOptions
  /// How many stamps can be gone back to from the last one.
  var stampLimit: Int { options.stampLimit }
  /// How hard is tried to make pages small.
  var level: Int { options.level }

  /// How many elements have their marks as holes in one record.
  static let holeBlockCount = 1024
  /// A block is folded when its changed elements take more than this share of it.
  static let foldShare = 8

  init(
    _ list: ChunkList, chunks: TreeAccess, records: TreeAccess, _ record: VectorRecord,
    _ options: AccessOptions
  ) {
    self.list = list
    self.chunks = chunks
    self.records = RecordTree(access: records)
    self.options = options
    stride = record.stride
    pages = record.pages
    version = record.version
    blockCount = record.pages?.count ?? Self.blockCount(stride: record.stride)
  }

  static func blockCount(stride: Int) -> Int { max(1, 65536 / stride) }

  /// The same vector through other trees.
  private init(
    _ vector: VectorAccess, _ list: ChunkList, chunks: TreeAccess, records: TreeAccess
  ) {
    self.list = list
    self.chunks = chunks
    self.records = RecordTree(access: records)
    options = vector.options
    stride = vector.stride
    pages = vector.pages
    version = vector.version
    blockCount = vector.blockCount
  }

  /// The same vector at one instant, if that is not so already.
  func kept() throws(DatabaseError) -> VectorAccess {
    try at(try chunks.kept())
  }

  /// The same vector at the instant of its chunks.
  func at(_ chunks: TreeAccess) throws(DatabaseError) -> VectorAccess {
    VectorAccess(self, list, chunks: chunks, records: try chunks.sibling(.vectorRecords))
  }

  /// The same vector as a transaction sees it.
  func `in`(_ transaction: borrowing Transaction) -> VectorAccess {
    transaction.checkIsOfSameDatabase(chunks)
    return VectorAccess(
      self, transaction.chunkList(list.id), chunks: transaction.access(to: .chunks),
      records: transaction.access(to: .vectorRecords))
  }

  /// How many elements there are.
  var count: Int {
    get throws(DatabaseError) {
      // Pages and tail are to be those of one instant.
      if pages != nil { return try kept().pagedCount() }
      return try list.byteCount(chunks) / stride
    }
  }

  func damage(_ what: String) -> DatabaseError {
    DatabaseError(PagerError(.corrupted, "what the file says of \(what) makes no sense"))
  }

  static func unusable(_ message: String) -> DatabaseError {
    DatabaseError(PagerError(.invalidArgument, message))
  }

  // MARK: Elements

  /// The record of some elements of a block, or nil when there is none.
  func patches(_ key: [UInt8]) throws(DatabaseError) -> PatchRecord? {
    guard let bytes = try records.lookup(key) else { return nil }
    guard let record = PatchRecord(bytes, stride: stride, limit: blockCount) else {
      throw damage("changed elements")
    }
    return record
  }

  func changes(of block: Int) throws(DatabaseError) -> PatchRecord? {
    try patches(VectorKey.make(list.id, .changes, block))
  }

  /// The bytes of elements of one block, as they lie in the list and with what has changed of them.
  ///
  /// - Parameter range: must be there, and lie in the block.
  func elements(
    _ range: Range<Int>, of block: Int
  ) throws(DatabaseError) -> [UInt8] {
    let changes = try changes(of: block)
    return try withUnchanged(range) { bytes in
      [UInt8](unsafeUninitializedCapacity: bytes.count) { room, count in
        let target = UnsafeMutableRawBufferPointer(room)
        target.copyMemory(from: bytes)
        changes?.apply(
          to: UnsafeMutableRawBufferPointer(rebasing: target[..<bytes.count]),
          from: range.lowerBound - block * blockCount, stride: stride)
        count = bytes.count
      }
    }
  }

  /// The bytes of one element; nil when it is a hole.
  ///
  /// - Parameter index: must be below `count`.
  func element(_ index: Int) throws(DatabaseError) -> [UInt8]? {
    if try isHole(index) { return nil }
    return try elements(index..<index + 1, of: index / blockCount)
  }
}

/// How a handle uses its vector.
struct AccessOptions {
  var stampLimit = 0
  var level = 8
}

/// The tree of the vectors' records, at an instant or in a transaction.
struct RecordTree: WritableTree {
  let access: TreeAccess
}
