internal import Pager

/// Checks, in a verification, that chunks make lists without gaps, and that each list has one name.
///
/// Entries are to be handed over in the order of their keys.
struct ChunkCheck {
  let pageByteCount: Int
  private(set) var problems: [String] = []
  /// The numbers of the lists, and whether a name was seen.
  private var isNamed: [UInt64: Bool] = [:]
  /// The list whose entries are being seen, and its last chunk.
  private var list: UInt64 = 0
  private var last: Chunk?

  init(pageByteCount: Int) { self.pageByteCount = pageByteCount }

  /// Notes an entry of the tree of chunks.
  mutating func note(
    chunk key: UnsafeRawBufferPointer, _ payload: UnsafeRawBufferPointer, _ isLarge: Bool
  ) {
    guard key.count == 8 || key.count == ChunkKey.byteCount else {
      return problems.append("a key of \(key.count) bytes in the tree of chunks makes no sense")
    }
    let id = UInt64(bigEndian: key.loadUnaligned(fromByteOffset: 0, as: UInt64.self))
    guard key.count > 8 else {
      list = id
      last = nil
      isNamed[id] = false
      if !payload.isEmpty || !ChunkList.isNumber(id) {
        problems.append("what the file says of region \(id) makes no sense")
      }
      return
    }
    guard id == list, isNamed[id] != nil else {
      return problems.append("a chunk belongs to region \(id), which is not there")
    }
    guard let index = ChunkKey.index(key, of: id), index == (last?.index ?? -1) + 1,
      let chunk = Chunk(
        index: index, payload: payload, isLarge: isLarge, pageByteCount: pageByteCount),
      index == 0 || isWhole(chunk),
      last.map({ $0.byteCount == Chunk.fullByteCount && isWhole($0) }) ?? true
    else {
      return problems.append("a chunk of region \(id) is missing, or not what it must be")
    }
    last = chunk
  }

  /// Whether a chunk has pages for a full one, as all but a list's only chunk must.
  private func isWhole(_ chunk: Chunk) -> Bool {
    chunk.extent?.pageCount == Chunk.fullPageCount(pageByteCount)
  }

  /// Notes an entry of the tree of names; all chunks come before.
  mutating func note(name: UnsafeRawBufferPointer, _ payload: UnsafeRawBufferPointer) {
    let text = String(decoding: name, as: UTF8.self)
    guard payload.count == 8,
      case let id = UInt64(littleEndian: payload.loadUnaligned(as: UInt64.self)),
      let before = isNamed[id]
    else {
      return problems.append("the region \"\(text)\" is not there")
    }
    isNamed[id] = true
    if before { problems.append("a region has two names, \"\(text)\" is one") }
  }

  /// Says which lists have no name.
  mutating func finish() {
    for id in isNamed.filter({ !$0.value }).keys.sorted() {
      problems.append("region \(id) has no name")
    }
  }
}
