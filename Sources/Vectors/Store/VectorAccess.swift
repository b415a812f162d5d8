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
  /// How many elements a block has, of which changes are kept together: as many as a chunk
  /// has, where they fill it.
  let blockCount: Int
  /// How many stamps can be gone back to from the last one.
  let stampLimit: Int

  /// How many elements have their marks as holes in one record.
  static let holeBlockCount = 1024
  /// A block is folded when its changed elements take more than this share of it.
  static let foldShare = 8

  init(
    _ list: ChunkList, chunks: TreeAccess, records: TreeAccess, stride: Int, stampLimit: Int
  ) {
    self.list = list
    self.chunks = chunks
    self.records = RecordTree(access: records)
    self.stride = stride
    self.stampLimit = stampLimit
    blockCount = Self.blockCount(stride: stride)
  }

  static func blockCount(stride: Int) -> Int { max(1, 65536 / stride) }

  /// The same vector at one instant, if that is not so already.
  func kept() throws(DatabaseError) -> VectorAccess {
    let chunks = try chunks.kept()
    return VectorAccess(
      list, chunks: chunks, records: try chunks.sibling(.vectorRecords), stride: stride,
      stampLimit: stampLimit)
  }

  /// The same vector as a transaction sees it.
  func `in`(_ transaction: borrowing Transaction) -> VectorAccess {
    VectorAccess(
      transaction.chunkList(list.id), chunks: transaction.access(to: .chunks),
      records: transaction.access(to: .vectorRecords), stride: stride, stampLimit: stampLimit)
  }

  /// How many elements there are.
  var count: Int {
    get throws(DatabaseError) { try list.byteCount(chunks) / stride }
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
    return try list.withMappedBytes(range.lowerBound * stride..<range.upperBound * stride, chunks) {
      bytes in
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

extension VectorAccess {
  /// Compares all elements with their checksums, and looks whether all records make sense; at an
  /// instant.
  func verify() throws(DatabaseError) {
    try list.verify(chunks)
    let byteCount = try list.byteCount(chunks)
    guard byteCount % stride == 0 else { throw damage("the end of a vector") }
    let count = byteCount / stride
    _ = try VectorPatches(self, count: count)
    if let last = try holes().last, last >= count { throw damage("holes") }
    for period in try stamps() {
      for kind in [VectorKey.Kind.oldElements, .oldHoles] {
        let range = VectorKey.range(list.id, kind, period.number..<period.number + 1)
        let cursor = try records.cursor(in: range)
        while let entry = try cursor.next() {
          let isHoles = kind == .oldHoles
          guard VectorKey.lastNumber(entry.key) != nil,
            isHoles
              ? HoleBlock(entry.value) != nil
              : PatchRecord(entry.value, stride: stride, limit: blockCount) != nil
          else { throw damage("what is kept for stamp \(period.stamp)") }
        }
      }
    }
  }
}

/// The tree of the vectors' records, at an instant or in a transaction.
struct RecordTree: WritableTree {
  let access: TreeAccess
  var owner: Database? { nil }
}
