internal import BTreeKV
internal import Pager

/// Elements that are to be appended, in segments of a mebibyte: so what is there is not copied when
/// more comes.
///
/// Those of a raw vector go into pages of the file as soon as a segment is full, and nobody else sees
/// them there before a transaction makes them the vector's. So memory stays bounded, and no page of it
/// is touched for the first time again and again, which costs more than the copy. Where the file has no
/// room, full segments stay in memory: it is `write` that has to say so.
@usableFromInline
struct AppendedElements<Stored> {
  /// The vector, if its elements lie in the file as they are.
  private let vector: VectorAccess?
  /// The first elements; there is one of these structures for each.
  private(set) var stage: ChunkStage?
  @usableFromInline var stagedCount = 0
  /// Those behind them but for the last ones, in segments that are full.
  private var full: [ElementSegment<Stored>] = []
  @usableFromInline var fullCount = 0
  /// The last ones, at most as many as a segment has; at first it is shorter.
  private var last = ElementSegment<Stored>(capacity: 0)
  /// Its memory, and how much of it is in use.
  @usableFromInline var lastElements: UnsafeMutableBufferPointer<Stored>
  @usableFromInline var lastCount = 0

  init(_ vector: VectorAccess? = nil) {
    self.vector = vector
    lastElements = last.elements
  }

  /// A power of two; few in debug builds, so that tests fill many.
  static var segmentCountLog: Int {
    (_isDebugAssertConfiguration() ? 15 : 20)
      - (Int.bitWidth - (MemoryLayout<Stored>.stride - 1).leadingZeroBitCount)
  }

  static var segmentCount: Int { 1 << segmentCountLog }

  @inlinable var count: Int { stagedCount + fullCount + lastCount }

  @inlinable var isEmpty: Bool { count == 0 }

  /// The bytes of the elements, if these are so few that none had to be put elsewhere.
  var bytesInMemory: UnsafeRawBufferPointer? {
    stagedCount + fullCount == 0 ? last.bytes(lastCount) : nil
  }

  @inlinable mutating func append(_ element: Stored) {
    if lastCount == lastElements.count { makeRoom(for: 1) }
    lastElements.initializeElement(at: lastCount, to: element)
    lastCount &+= 1
  }

  @inlinable mutating func append(contentsOf elements: some Sequence<Stored>) {
    for element in elements { append(element) }
  }

  /// Appends the elements of so many bytes.
  @usableFromInline mutating func append(storedAs bytes: UnsafeRawBufferPointer) {
    let count = bytes.count / MemoryLayout<Stored>.stride
    let stride = MemoryLayout<Stored>.stride
    var next = 0
    while next < count {
      if lastCount == lastElements.count { makeRoom(for: count - next) }
      var end = next + Self.segmentCount
      // What fills a segment needs no copy in memory.
      if lastCount > 0 || end > count
        || !putIntoFile(UnsafeRawBufferPointer(rebasing: bytes[next * stride..<end * stride]))
      {
        end = min(count, next + lastElements.count - lastCount)
        UnsafeMutableRawBufferPointer(
          UnsafeMutableBufferPointer(rebasing: lastElements[lastCount..<lastCount + end - next])
        ).copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[next * stride..<end * stride]))
        lastCount += end - next
      }
      next = end
    }
  }

  /// Makes room for more elements, where there is none.
  @usableFromInline @inline(never) mutating func makeRoom(for count: Int) {
    if lastCount < Self.segmentCount {
      let longer = ElementSegment<Stored>(
        capacity: min(Self.segmentCount, max(16, 4 * lastCount, lastCount + count)))
      UnsafeMutableRawBufferPointer(longer.elements).copyMemory(from: last.bytes(lastCount))
      setLast(longer, lastCount)
    } else if putIntoFile(last.bytes(lastCount)) {
      lastCount = 0
    } else {
      full.append(last)
      fullCount += lastCount
      setLast(ElementSegment(capacity: Self.segmentCount), 0)
    }
  }

  private mutating func setLast(_ segment: ElementSegment<Stored>, _ count: Int) {
    last = segment
    lastElements = segment.elements
    lastCount = count
  }

  /// Puts a segment behind the elements that are in the file.
  ///
  /// - Returns: whether it is there now.
  private mutating func putIntoFile(_ segment: UnsafeRawBufferPointer) -> Bool {
    guard full.isEmpty, let vector else { return false }
    do throws(DatabaseError) {
      if stage == nil { stage = try vector.stage() }
      guard let stage else { return false }
      try converting { () throws(PagerError) in try stage.put(segment) }
      stagedCount += Self.segmentCount
      return true
    } catch {
      if stagedCount == 0 { stage = nil }
      return false
    }
  }

  /// The element at a place.
  func element(at index: Int) throws(DatabaseError) -> Stored {
    if index < stagedCount, let stage {
      var found: Stored?
      try converting { () throws(PagerError) in
        let room = UnsafeMutableBufferPointer<Stored>.allocate(capacity: 1)
        defer { room.deallocate() }
        let stride = MemoryLayout<Stored>.stride
        try stage.read(into: UnsafeMutableRawBufferPointer(room), at: index * stride)
        found = room[0]
      }
      if let found { return found }
    }
    return self[index]
  }

  /// An element in memory.
  private subscript(index: Int) -> Stored {
    get {
      let (segment, place) = place(of: index)
      return segment.elements[place]
    }
    nonmutating set {
      let (segment, place) = place(of: index)
      segment.elements[place] = newValue
    }
  }

  private func place(of index: Int) -> (ElementSegment<Stored>, Int) {
    precondition(index >= stagedCount && index < count, "there is no element at this index")
    let segment = (index - stagedCount) >> Self.segmentCountLog
    guard segment < full.count else { return (last, index - stagedCount - fullCount) }
    return (full[segment], (index - stagedCount) & (Self.segmentCount - 1))
  }

  /// Stores an element in place of another one.
  mutating func update(at index: Int, _ element: Stored) throws(DatabaseError) {
    if index < stagedCount, let stage {
      return try withStoredBytes([element]) { (bytes) throws(DatabaseError) in
        try converting { () throws(PagerError) in
          try stage.overwrite(bytes, at: index * MemoryLayout<Stored>.stride)
        }
      }
    }
    self[index] = element
  }

  /// Drops the elements from a place on.
  mutating func truncate(to count: Int) throws(DatabaseError) {
    if count < stagedCount, let stage {
      try converting { () throws(PagerError) in
        try stage.truncate(to: count * MemoryLayout<Stored>.stride)
      }
      if count == 0 { self.stage = nil }
      stagedCount = count
    }
    let rest = count - stagedCount
    let segment = rest >> Self.segmentCountLog
    if segment < full.count {
      setLast(full[segment], 0)
      full.removeSubrange(segment...)
      fullCount = full.count << Self.segmentCountLog
    }
    lastCount = rest - fullCount
  }

  /// Appends the elements to their vector; in a transaction.
  func append(to vector: VectorAccess) throws(DatabaseError) {
    if let stage { try vector.append(stage) }
    for segment in full { _ = try vector.append(segment.bytes(Self.segmentCount), nil) }
    if lastCount > 0 { _ = try vector.append(last.bytes(lastCount), nil) }
  }
}

extension VectorAccess {
  /// Somewhere in the file for elements that are to be appended.
  fileprivate func stage() throws(DatabaseError) -> ChunkStage {
    let byteCount = try count * stride
    let list = list
    return try converting { () throws(PagerError) in
      try list.stage(behind: byteCount)
    }
  }

  /// Appends what was put into the file.
  fileprivate func append(_ stage: ChunkStage) throws(DatabaseError) {
    let (list, chunks) = (list, chunks)
    try converting { () throws(PagerError) in try list.append(stage, chunks) }
  }
}
