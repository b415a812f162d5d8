import Synchronization

/// A storage in memory, for databases that need no file and for tests.
///
/// It behaves as a file does: mappings, reads and writes see the same bytes, the content outlives
/// `close()` for who holds a `reopen()`, and there is an adjustable size of the "disk".
package final class MemoryStorage: Storage {
  /// The "file", shared by all that opened it.
  ///
  /// `@unchecked Sendable` is right because `base` never changes, the memory behind it is mapped
  /// from `init` to `deinit`, and its bytes are what the users of a file share: `Storage` leaves
  /// the order of calls on the same bytes to the caller. All else is behind the mutex.
  private final class Memory: @unchecked Sendable {
    struct State {
      var byteCount = 0
      var capacityByteCount: Int
      /// How often each address is mapped; each mapping keeps the memory alive.
      var mappingCounts: [UInt: Int] = [:]
      /// The blocks of `holeByteCount` bytes each that were given back; they take nothing of the "disk".
      var holes: Set<Int> = []
    }

    let base: UnsafeMutableRawPointer
    let reservedByteCount: Int
    let state: Locked<State>

    init(reservedByteCount: Int, capacityByteCount: Int) throws(SystemError) {
      base = try SystemCalls.mapAnonymous(byteCount: reservedByteCount)
      self.reservedByteCount = reservedByteCount
      state = Locked(State(capacityByteCount: capacityByteCount))
    }

    deinit {
      SystemCalls.unmap(base, byteCount: reservedByteCount)
    }
  }

  package let path: String
  package let isReadOnly: Bool
  private let memory: Memory
  private let isClosed = Atomic(false)

  /// Makes an empty storage.
  ///
  /// - Parameters:
  ///   - path: The name that errors show.
  ///   - capacityByteCount: The size of the "disk"; beyond it calls throw `.diskFull`.
  ///   - reservedByteCount: The most that the capacity can be raised to; addresses only.
  /// - Throws: `.outOfAddressSpace` when the process can't have that many addresses.
  package convenience init(
    path: String = "memory", capacityByteCount: Int? = nil, reservedByteCount: Int = 64 << 30
  ) throws(PagerError) {
    let pageByteCount = SystemCalls.pageByteCount
    let capacity = capacityByteCount ?? reservedByteCount
    let reserved = max(reservedByteCount, capacity, pageByteCount)
    let rounded = (reserved + pageByteCount - 1) / pageByteCount * pageByteCount
    do throws(SystemError) {
      let memory = try Memory(reservedByteCount: rounded, capacityByteCount: capacity)
      self.init(path: path, isReadOnly: false, memory: memory)
    } catch {
      throw PagerError(
        systemError: error.number, whileTrying: "to reserve \(rounded) bytes of addresses",
        path: path)
    }
  }

  /// Makes a storage with the content of, say, a file after a crash.
  ///
  /// - Parameters:
  ///   - contents: The bytes.
  ///   - path: The name that errors show.
  /// - Throws: `.outOfAddressSpace` when the process can't have that many addresses.
  package convenience init(contents: [UInt8], path: String = "memory") throws(PagerError) {
    try self.init(path: path, reservedByteCount: max(64 << 30, contents.count))
    let base = memory.base
    contents.withUnsafeBytes { bytes in
      UnsafeMutableRawBufferPointer(start: base, count: bytes.count).copyMemory(from: bytes)
    }
    memory.state.withLock { $0.byteCount = contents.count }
  }

  private init(path: String, isReadOnly: Bool, memory: Memory) {
    self.path = path
    self.isReadOnly = isReadOnly
    self.memory = memory
  }

  /// Opens the same memory again, as one opens a file again.
  ///
  /// There are no locks: after a simulated crash nobody closes the old handle.
  ///
  /// - Parameter readOnly: Whether the new handle refuses changes.
  /// - Returns: A new handle, open whether or not this one is closed.
  package func reopen(readOnly: Bool = false) -> MemoryStorage {
    MemoryStorage(path: path, isReadOnly: readOnly, memory: memory)
  }

  /// All bytes at this moment; nobody should be writing.
  ///
  /// - Returns: As many bytes as the length says.
  package func copyOfContents() -> [UInt8] {
    let count = memory.state.withLock { $0.byteCount }
    return Array(UnsafeRawBufferPointer(start: memory.base, count: count))
  }

  /// The size of the "disk"; at most the addresses reserved.
  package var capacityByteCount: Int {
    get { memory.state.withLock { $0.capacityByteCount } }
    set {
      let bounded = min(newValue, memory.reservedByteCount)
      memory.state.withLock { $0.capacityByteCount = bounded }
    }
  }

  package func byteCount() throws(PagerError) -> Int {
    try checkOpen()
    return memory.state.withLock { $0.byteCount }
  }

  /// The size of the blocks that a hole is made of.
  package static let holeByteCount = 4096

  package func allocatedByteCount() throws(PagerError) -> Int {
    let count = try byteCount()
    return count - memory.state.withLock { $0.holes.count } * Self.holeByteCount
  }

  package func read(
    into buffer: UnsafeMutableRawBufferPointer, at offset: Int
  ) throws(PagerError) {
    try PagerError.checkRange(path: path, offset: offset, byteCount: buffer.count)
    let end = try byteCount()
    guard !buffer.isEmpty else { return }
    guard offset + buffer.count <= end else {
      throw .endOfFile(path: path, offset: offset, end: end, byteCount: buffer.count)
    }
    buffer.copyMemory(
      from: UnsafeRawBufferPointer(start: memory.base + offset, count: buffer.count))
  }

  package func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(PagerError) {
    try checkWritable()
    guard !bytes.isEmpty else { return }
    let end = try checkedEnd(offset, bytes.count)
    let isInHole = memory.state.withLock { !holes(in: offset..<end, &$0).isEmpty }
    precondition(!isInHole, "something is written into a hole")
    UnsafeMutableRawBufferPointer(start: memory.base + offset, count: bytes.count)
      .copyMemory(from: bytes)
    // Only now, so that who finds the file this long finds the bytes too.
    memory.state.withLock { $0.byteCount = max($0.byteCount, end) }
  }

  package func writeDurably(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(PagerError) {
    try write(bytes, at: offset)
  }

  package func synchronize() throws(PagerError) {
    try checkOpen()
  }

  package func synchronizeDirectory() throws(PagerError) {
    try checkOpen()
  }

  package func allocate(byteRange: Range<Int>) throws(PagerError) {
    try checkWritable()
    guard !byteRange.isEmpty else { return }
    let end = try checkedEnd(byteRange.lowerBound, byteRange.count)
    let path = path
    try memory.state.withLock { state throws(PagerError) in
      let blocks = holes(in: byteRange, &state)
      let holeCount = state.holes.count - blocks.count
      let taken = max(state.byteCount, end) - holeCount * Self.holeByteCount
      guard blocks.isEmpty || taken <= state.capacityByteCount else {
        throw PagerError(
          .diskFull, "the storage of \(state.capacityByteCount) bytes is full; raise its capacity",
          path: path, byteOffset: byteRange.lowerBound, expected: UInt64(taken),
          found: UInt64(state.capacityByteCount))
      }
      state.holes.subtract(blocks)
      state.byteCount = max(state.byteCount, end)
    }
  }

  /// The holes that a range touches.
  ///
  /// Stops the program when one holds anything: whoever wrote there might have had no room.
  private func holes(in range: Range<Int>, _ state: inout Memory.State) -> [Int] {
    if state.holes.isEmpty { return [] }
    let size = Self.holeByteCount
    let blocks = range.lowerBound / size..<(range.upperBound + size - 1) / size
    return blocks.filter { block in
      guard state.holes.contains(block) else { return false }
      let start = UnsafeRawPointer(memory.base + block * size)
      // All bytes are equal when they equal those one further.
      let isEmpty =
        start.load(as: UInt8.self) == 0
        && SystemCalls.areEqual(
          UnsafeRawBufferPointer(start: start, count: size - 1),
          UnsafeRawBufferPointer(start: start + 1, count: size - 1))
      precondition(isEmpty, "something was written into a hole")
      return true
    }
  }

  package func punchHole(byteRange: Range<Int>) throws(PagerError) -> Bool {
    try checkWritable()
    _ = try checkedEnd(byteRange.lowerBound, byteRange.count)
    let first = (byteRange.lowerBound + Self.holeByteCount - 1) / Self.holeByteCount
    let end = byteRange.upperBound / Self.holeByteCount
    guard first < end else { return true }
    SystemCalls.clearAnonymous(
      memory.base + first * Self.holeByteCount, byteCount: (end - first) * Self.holeByteCount)
    memory.state.withLock { $0.holes.formUnion(first..<end) }
    return true
  }

  package func truncate(to byteCount: Int) throws(PagerError) {
    try checkWritable()
    _ = try checkedEnd(0, byteCount)
    let base = memory.base
    let pageByteCount = SystemCalls.pageByteCount
    memory.state.withLock { state in
      let oldEnd = state.byteCount
      state.byteCount = byteCount
      guard byteCount < oldEnd else { return }
      state.holes = state.holes.filter { $0 * Self.holeByteCount < byteCount }
      // What lies beyond the end must be zero when the file grows over it again.
      let pageEnd = (byteCount + pageByteCount - 1) / pageByteCount * pageByteCount
      let tail = min(pageEnd, oldEnd) - byteCount
      UnsafeMutableRawBufferPointer(start: base + byteCount, count: tail)
        .initializeMemory(as: UInt8.self, repeating: 0)
      let oldPageEnd = (oldEnd + pageByteCount - 1) / pageByteCount * pageByteCount
      SystemCalls.clearAnonymous(base + pageEnd, byteCount: oldPageEnd - pageEnd)
    }
  }

  package func map(
    byteRange: Range<Int>, writable: Bool
  ) throws(PagerError) -> UnsafeMutableRawPointer {
    try checkOpen()
    try PagerError.checkMapping(path: path, byteRange: byteRange)
    if writable { try checkWritable() }
    guard byteRange.upperBound <= memory.reservedByteCount else {
      throw PagerError(
        .outOfAddressSpace,
        "bytes \(byteRange) exceed the \(memory.reservedByteCount) reserved; reserve more",
        path: path, byteOffset: byteRange.lowerBound)
    }
    let address = memory.base + byteRange.lowerBound
    memory.state.withLock { $0.mappingCounts[UInt(bitPattern: address), default: 0] += 1 }
    // As a file's mapping does, this one outlives the storage.
    _ = Unmanaged.passRetained(memory)
    return address
  }

  package func unmap(_ base: UnsafeMutableRawPointer, byteCount: Int) {
    let key = UInt(bitPattern: base)
    memory.state.withLock { state in
      guard let count = state.mappingCounts[key] else {
        preconditionFailure("what is unmapped was not mapped")
      }
      state.mappingCounts[key] = count == 1 ? nil : count - 1
    }
    Unmanaged.passUnretained(memory).release()
  }

  package func prefault(_ base: UnsafeMutableRawPointer, byteCount: Int) {
    SystemCalls.advise(base, byteCount: byteCount, .populateForWriting)
  }

  package func close() {
    isClosed.store(true, ordering: .releasing)
  }

  private func checkOpen() throws(PagerError) {
    if isClosed.load(ordering: .acquiring) { throw .storageClosed(path: path) }
  }

  private func checkWritable() throws(PagerError) {
    try checkOpen()
    if isReadOnly { throw .storageReadOnly(path: path) }
  }

  /// The end of the range, if the "disk" has room up to there.
  private func checkedEnd(_ offset: Int, _ byteCount: Int) throws(PagerError) -> Int {
    try PagerError.checkRange(path: path, offset: offset, byteCount: byteCount)
    let end = offset + byteCount
    let (capacity, current) = memory.state.withLock { ($0.capacityByteCount, $0.byteCount) }
    // What is there already can be written even when the "disk" has become smaller.
    guard end <= max(capacity, current) else {
      throw PagerError(
        .diskFull, "the storage of \(capacity) bytes is full; raise its capacity", path: path,
        byteOffset: offset, expected: UInt64(end), found: UInt64(capacity))
    }
    return end
  }
}
