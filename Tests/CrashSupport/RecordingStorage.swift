package import Pager

/// A storage in memory that records all that happens to it.
package final class RecordingStorage: Storage {
  package let recorder: Recorder
  private let base: MemoryStorage

  package init(contents: [UInt8] = []) throws(PagerError) {
    base = try MemoryStorage(contents: contents)
    recorder = Recorder(contents: contents)
  }

  private init(base: MemoryStorage, recorder: Recorder) {
    self.base = base
    self.recorder = recorder
  }

  /// The same file, opened again.
  package func reopen() -> RecordingStorage {
    RecordingStorage(base: base.reopen(), recorder: recorder)
  }

  /// What the file holds now, for who sees the operating system's view of it.
  package var contents: [UInt8] { base.copyOfContents() }

  /// The size of the "disk".
  package var capacityByteCount: Int {
    get { base.capacityByteCount }
    set { base.capacityByteCount = newValue }
  }

  package var path: String { base.path }
  package var isReadOnly: Bool { base.isReadOnly }
  package func byteCount() throws(PagerError) -> Int { try base.byteCount() }
  package func allocatedByteCount() throws(PagerError) -> Int { try base.allocatedByteCount() }

  package func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(PagerError) {
    try base.read(into: buffer, at: offset)
  }

  package func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(PagerError) {
    recorder.mark()
    try base.write(bytes, at: offset)
    recorder.record(.write(offset: offset, bytes: Array(bytes)))
  }

  package func writeDurably(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(PagerError) {
    recorder.mark()
    try base.writeDurably(bytes, at: offset)
    recorder.record(.durableWrite(offset: offset, bytes: Array(bytes)))
  }

  package func synchronize() throws(PagerError) {
    try base.synchronize()
    recorder.record(.synchronize)
  }

  package func synchronizeDirectory() throws(PagerError) { try base.synchronizeDirectory() }

  package func allocate(byteRange: Range<Int>) throws(PagerError) {
    let old = try base.byteCount()
    try base.allocate(byteRange: byteRange)
    if byteRange.upperBound > old { recorder.record(.resize(byteRange.upperBound)) }
  }

  package func punchHole(byteRange: Range<Int>) throws(PagerError) -> Bool {
    recorder.mark()
    let isDone = try base.punchHole(byteRange: byteRange)
    // After a crash the old bytes may be there, or none.
    let zeros = [UInt8](repeating: 0, count: byteRange.count)
    recorder.record(.write(offset: byteRange.lowerBound, bytes: zeros))
    return isDone
  }

  package func truncate(to byteCount: Int) throws(PagerError) {
    recorder.mark()
    try base.truncate(to: byteCount)
    recorder.record(.resize(byteCount))
  }

  package func map(byteRange: Range<Int>, writable: Bool) throws(PagerError)
    -> UnsafeMutableRawPointer
  {
    let address = try base.map(byteRange: byteRange, writable: writable)
    if writable {
      recorder.addMapping(address, offset: byteRange.lowerBound, byteCount: byteRange.count)
    }
    return address
  }

  package func unmap(_ base: UnsafeMutableRawPointer, byteCount: Int) {
    recorder.removeMapping(base)
    self.base.unmap(base, byteCount: byteCount)
  }

  package func prefault(_ base: UnsafeMutableRawPointer, byteCount: Int) {
    self.base.prefault(base, byteCount: byteCount)
  }

  package func close() { base.close() }
}
