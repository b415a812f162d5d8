package import Pager

// Many small writes at once.

/// Bytes to be written over others, sorted by the chunks that they touch.
///
/// The bytes stay with whoever lends them.
struct ChunkEdits {
  struct Piece {
    var chunk: Int
    /// In the chunk.
    var offset: Int
    var bytes: UnsafeRawBufferPointer
  }

  private var pieces: [Piece] = []
  private var isSorted = true
  var isEmpty: Bool { pieces.isEmpty }

  /// Adds bytes; of those that overlap, the last added count.
  mutating func append(_ bytes: UnsafeRawBufferPointer, at offset: Int) {
    var rest = bytes
    var place = offset
    while !rest.isEmpty {
      let chunk = place / Chunk.fullByteCount
      let start = place - chunk * Chunk.fullByteCount
      let count = min(rest.count, Chunk.fullByteCount - start)
      if let last = pieces.last, last.chunk > chunk { isSorted = false }
      pieces.append(
        Piece(chunk: chunk, offset: start, bytes: UnsafeRawBufferPointer(rebasing: rest[..<count])))
      rest = UnsafeRawBufferPointer(rebasing: rest[count...])
      place += count
    }
  }

  /// Hands over each chunk's pieces in the order in which they came, and how many chunks are left,
  /// with this one.
  consuming func forEachChunk(
    _ body: (Int, ArraySlice<Piece>, Int) throws(PagerError) -> Void
  ) throws(PagerError) {
    // Places break ties, since the library does not promise a stable sort.
    if !isSorted {
      let order = pieces.indices.sorted {
        (pieces[$0].chunk, $0) < (pieces[$1].chunk, $1)
      }
      pieces = order.map { pieces[$0] }
    }
    var chunksLeft = 0
    for index in pieces.indices where index == 0 || pieces[index].chunk != pieces[index - 1].chunk {
      chunksLeft += 1
    }
    var start = 0
    while start < pieces.count {
      var end = start + 1
      while end < pieces.count, pieces[end].chunk == pieces[start].chunk { end += 1 }
      try body(pieces[start].chunk, pieces[start..<end], chunksLeft)
      chunksLeft -= 1
      start = end
    }
  }
}

extension ChunkList {
  /// Writes bytes in many places, as if one after the other; in a transaction.
  package func write(
    _ access: TreeAccess, _ next: () -> (offset: Int, bytes: [UInt8])?
  ) throws(PagerError) {
    // All bytes in one run of memory, so that pieces can point into it.
    var arena: [UInt8] = []
    var places: [(offset: Int, range: Range<Int>)] = []
    func apply() throws(PagerError) {
      let batch = places
      try arena.span.bytes.withUnsafeBytes { (bytes) throws(PagerError) in
        var edits = ChunkEdits()
        for place in batch {
          edits.append(UnsafeRawBufferPointer(rebasing: bytes[place.range]), at: place.offset)
        }
        if !edits.isEmpty { try overwrite(edits) }
      }
      arena.removeAll(keepingCapacity: true)
      places.removeAll(keepingCapacity: true)
    }
    while let (offset, bytes) = engine.pager.callingOut(next) {
      if offset >= 0, offset <= writerByteCount - bytes.count {
        places.append((offset, arena.count..<arena.count + bytes.count))
        arena.append(contentsOf: bytes)
        if arena.count > 64 << 20 { try apply() }
      } else {
        // It makes the region longer: what came before it must be there by then.
        try apply()
        try bytes.span.bytes.withUnsafeBytes { (bytes) throws(PagerError) in
          try write(bytes, at: offset, access)
        }
      }
    }
    try apply()
  }
}
