/// The seam through which every read, write, sync, allocation, mapping and truncation passes.
///
/// Everything above works alike on a file, on memory, and on a storage that fails on command; so
/// every fault test enters here. All calls are thread-safe; calls that touch the same bytes are
/// ordered by the caller. Offsets and counts are in bytes; a negative or overflowing one throws
/// `.invalidArgument`. After `close()` every call throws `.closed`.
package protocol Storage: AnyObject, Sendable {
  /// The name under which errors report the storage.
  var path: String { get }

  /// Whether all changes are refused with `.readOnly`.
  var isReadOnly: Bool { get }

  /// All bytes, where they are in memory anyhow and nobody changes them; nil otherwise.
  ///
  /// They stay as long as the storage, also after `close()`.
  var unchangingBytes: UnsafeRawBufferPointer? { get }

  /// The length, in bytes.
  func byteCount() throws(PagerError) -> Int

  /// The space really taken on the medium, in bytes; less than the length when there are holes.
  func allocatedByteCount() throws(PagerError) -> Int

  /// Fills the whole buffer from the offset; throws `.corrupted` when the file ends before.
  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(PagerError)

  /// Hands the bytes to the operating system: they survive the process, not a power cut.
  ///
  /// A write beyond the end extends the file. After an error a part may have been written.
  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(PagerError)

  /// Writes the bytes so that they, and no others, are on the medium when the call returns.
  func writeDurably(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(PagerError)

  /// Returns when all that was written, by calls or through mappings, is on the medium.
  func synchronize() throws(PagerError)

  /// Makes the file's name in its directory durable, as is needed once after its creation.
  func synchronizeDirectory() throws(PagerError)

  /// Really allocates the range, extending the file when the range ends beyond its end.
  ///
  /// Throws `.diskFull` with the length as before. The content of what is in use stays, but
  /// nobody may write to the range meanwhile: where the file system cannot allocate, the system
  /// library writes zeros.
  func allocate(byteRange: Range<Int>) throws(PagerError)

  /// Gives the space of whole blocks in the range back to the file system; they read as zeros then, and
  /// the length stays.
  ///
  /// Before anything is written there again, the range must be allocated.
  ///
  /// - Returns: false when the storage can't do that; then nothing was changed.
  func punchHole(byteRange: Range<Int>) throws(PagerError) -> Bool

  /// Cuts the file to the length, or extends it by a hole.
  func truncate(to byteCount: Int) throws(PagerError)

  /// Maps the range, shared with all other mappings, reads and writes of the storage.
  ///
  /// The range begins at a multiple of the system's page size and isn't empty. It may reach beyond
  /// the end, but touching what is beyond kills the process. The mapping outlives `close()`;
  /// it is given back by one `unmap` of the same address and count.
  func map(byteRange: Range<Int>, writable: Bool) throws(PagerError) -> UnsafeMutableRawPointer

  /// Maps the range for reading over addresses that the caller reserved.
  ///
  /// Both begin at a multiple of the system's page size. Who reserved the addresses gives them back.
  ///
  /// - Returns: false when the storage can't do that; then nothing was changed.
  func map(
    byteRange: Range<Int>, over address: UnsafeMutableRawPointer
  ) throws(PagerError) -> Bool

  /// Gives a mapping back; its addresses must not be used any more.
  func unmap(_ base: UnsafeMutableRawPointer, byteCount: Int)

  /// Makes the mapped pages present and writable, off the writer's path; only a hint.
  func prefault(_ base: UnsafeMutableRawPointer, byteCount: Int)

  /// Says that mapped memory was written, and will not be written again soon; only a hint, which makes
  /// the next sync cheaper.
  func noteWritten(_ base: UnsafeMutableRawPointer, byteCount: Int)

  /// Begins to put what was written on the medium, without waiting until it is there; only a hint, which makes
  /// the sync that comes later shorter. That one reports what fails.
  func beginSynchronizing(byteRange: Range<Int>)

  /// Gives back descriptors and locks; again is harmless.
  ///
  /// Calls under way in other threads finish first, and the last one of them does the closing.
  func close()
}

extension Storage {
  package var unchangingBytes: UnsafeRawBufferPointer? { nil }

  package func map(
    byteRange: Range<Int>, over address: UnsafeMutableRawPointer
  ) throws(PagerError) -> Bool { false }

  package func noteWritten(_ base: UnsafeMutableRawPointer, byteCount: Int) {}

  package func beginSynchronizing(byteRange: Range<Int>) {}
}

extension PagerError {
  /// The error of a call after `close()`.
  static func storageClosed(path: String) -> PagerError {
    PagerError(.closed, "the storage was closed before the call; open it again", path: path)
  }

  /// The error of a change to a storage opened for reading.
  static func storageReadOnly(path: String) -> PagerError {
    PagerError(.readOnly, "the storage is open for reading only; open it for writing", path: path)
  }

  /// The error of a read beyond the end.
  static func endOfFile(path: String, offset: Int, end: Int, byteCount: Int) -> PagerError {
    PagerError(
      .corrupted,
      "the file ends at byte \(end) but \(byteCount) bytes from byte \(offset) were expected; "
        + "it was cut short: restore it from a backup",
      path: path, byteOffset: offset, expected: UInt64(offset + byteCount), found: UInt64(end))
  }

  /// Checks that the bytes from the offset on are a range at all.
  static func checkRange(path: String, offset: Int, byteCount: Int) throws(PagerError) {
    let (_, overflows) = offset.addingReportingOverflow(byteCount)
    guard offset >= 0, byteCount >= 0, !overflows else {
      throw PagerError(
        .invalidArgument, "\(byteCount) bytes from byte \(offset) are no range of a file",
        path: path, byteOffset: offset)
    }
  }

  /// Checks what is asked of `Storage.map`.
  static func checkMapping(path: String, byteRange: Range<Int>) throws(PagerError) {
    guard byteRange.lowerBound >= 0, !byteRange.isEmpty,
      byteRange.lowerBound % SystemCalls.pageByteCount == 0
    else {
      throw PagerError(
        .invalidArgument,
        "bytes \(byteRange) cannot be mapped; begin at a multiple of \(SystemCalls.pageByteCount)",
        path: path, byteOffset: byteRange.lowerBound)
    }
  }
}
