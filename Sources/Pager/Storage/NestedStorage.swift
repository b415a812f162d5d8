import Synchronization

/// A file that lies in another database's bytes, for reading: memory that nobody changes, and what keeps
/// it there.
///
/// Mappings are parts of that memory, so whoever maps keeps the storage, and with it the memory.
///
/// Why `@unchecked Sendable`: nobody writes to what `bytes` shows; the rest is constant or atomic.
package final class NestedStorage: Storage, @unchecked Sendable {
  package let path: String
  package var isReadOnly: Bool { true }
  package var unchangingBytes: UnsafeRawBufferPointer? { bytes }

  private let bytes: UnsafeRawBufferPointer
  private let owner: any Sendable
  private let isClosed = Atomic(false)

  /// Makes a storage of bytes in memory.
  ///
  /// - Parameters:
  ///   - bytes: what the file is made of; nobody changes them.
  ///   - owner: keeps them as long as it lives.
  ///   - path: the name that errors show.
  package init(_ bytes: UnsafeRawBufferPointer, owner: any Sendable, path: String) {
    self.bytes = bytes
    self.owner = owner
    self.path = path
  }

  package func byteCount() throws(PagerError) -> Int {
    try checkOpen()
    return bytes.count
  }

  package func allocatedByteCount() throws(PagerError) -> Int { try byteCount() }

  package func read(
    into buffer: UnsafeMutableRawBufferPointer, at offset: Int
  ) throws(PagerError) {
    try PagerError.checkRange(path: path, offset: offset, byteCount: buffer.count)
    try checkOpen()
    guard offset + buffer.count <= bytes.count else {
      throw .endOfFile(path: path, offset: offset, end: bytes.count, byteCount: buffer.count)
    }
    buffer.copyMemory(
      from: UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + buffer.count]))
  }

  package func map(
    byteRange: Range<Int>, writable: Bool
  ) throws(PagerError) -> UnsafeMutableRawPointer {
    try checkOpen()
    try PagerError.checkMapping(path: path, byteRange: byteRange)
    if writable { throw .storageReadOnly(path: path) }
    guard let base = bytes.baseAddress, byteRange.lowerBound < bytes.count else {
      throw .endOfFile(
        path: path, offset: byteRange.lowerBound, end: bytes.count, byteCount: byteRange.count)
    }
    return UnsafeMutableRawPointer(mutating: base + byteRange.lowerBound)
  }

  package func unmap(_ base: UnsafeMutableRawPointer, byteCount: Int) {}

  package func close() { isClosed.store(true, ordering: .releasing) }

  private func checkOpen() throws(PagerError) {
    if isClosed.load(ordering: .acquiring) { throw .storageClosed(path: path) }
  }

  // MARK: What is refused

  package func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(PagerError) {
    throw .storageReadOnly(path: path)
  }

  package func writeDurably(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(PagerError) {
    throw .storageReadOnly(path: path)
  }

  package func allocate(byteRange: Range<Int>) throws(PagerError) {
    throw .storageReadOnly(path: path)
  }

  package func punchHole(byteRange: Range<Int>) throws(PagerError) -> Bool {
    throw .storageReadOnly(path: path)
  }

  package func truncate(to byteCount: Int) throws(PagerError) {
    throw .storageReadOnly(path: path)
  }

  // Nothing was written.
  package func synchronize() throws(PagerError) {}
  package func synchronizeDirectory() throws(PagerError) {}
  package func prefault(_ base: UnsafeMutableRawPointer, byteCount: Int) {}
}
