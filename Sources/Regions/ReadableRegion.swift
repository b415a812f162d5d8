public import BTreeKV
internal import Pager

/// A region that can be read: as it is at each call, at a snapshot's instant, or in a transaction.
public protocol ReadableRegion: ~Copyable, ~Escapable {
  /// How the handle reaches the region; for the library's own use.
  var access: RegionAccess { get }
}

extension ReadableRegion where Self: ~Copyable & ~Escapable {
  /// The number of bytes.
  ///
  /// - Throws: `.notFound` when the region was removed, `.corrupted`, `.inputOutput`, `.closed`, and
  ///   through a snapshot `.snapshotExpired`.
  /// - Complexity: O(log n) page visits, without a lock.
  public var count: Int {
    get throws(DatabaseError) { try access.list.byteCount(access.chunks) }
  }

  /// Whether there are no bytes.
  ///
  /// - Throws: as `count`.
  public var isEmpty: Bool {
    get throws(DatabaseError) { try count == 0 }
  }

  /// A copy of some of the bytes, compared with their checksums.
  ///
  /// - Parameter range: which ones; what of it lies behind the region's end is left out. It must not
  ///   begin below 0.
  /// - Throws: as `count`; `.invalidArgument`.
  /// - Complexity: O(bytes); whole chunks of 64 KiB are read.
  public func read(_ range: Range<Int>) throws(DatabaseError) -> [UInt8] {
    guard range.lowerBound >= 0 else {
      throw DatabaseError(PagerError(.invalidArgument, "a region begins at byte 0"))
    }
    return try access.list.read(range, access.chunks)
  }

  /// All bytes, compared with their checksums.
  ///
  /// - Throws: as `count`.
  /// - Complexity: O(bytes).
  public func readAll() throws(DatabaseError) -> [UInt8] {
    try access.list.read(0..<Int.max, access.chunks)
  }

  /// The bytes that are there now, side by side in memory, to be read for as long as this is held:
  /// whatever is appended, written, truncated, removed or moved meanwhile.
  ///
  /// ```swift
  /// let region = try database.region("numbers")
  /// try region.append([1, 2, 3, 4])
  /// let reader = try region.reader()
  /// try region.truncate(to: 0)
  /// let sum = reader.bytes.withUnsafeBytes { $0.reduce(0) { $0 + Int($1) } }
  /// assert(sum == 10)
  /// ```
  ///
  /// - Parameter reading: `.mapped` shows the file itself, without a copy and without looking at
  ///   checksums; an error of the medium while it is read kills the process. `.copying` reads at once
  ///   and compares with the checksums. In a transaction both copy.
  /// - Throws: as `count`.
  /// - Complexity: `.mapped`: O(log n) page visits, and O(chunks that no reader has mapped before);
  ///   `.copying`: O(bytes).
  public func reader(_ reading: RegionReading = .mapped) throws(DatabaseError) -> RegionReader {
    RegionReader(try access.list.reader(access.chunks, reading == .mapped ? .mapped : .copied))
  }

  /// Compares all bytes with their checksums.
  ///
  /// - Throws: `.corrupted` when some differ, or as `count`.
  /// - Complexity: O(bytes).
  public func verify() throws(DatabaseError) { try access.list.verify(access.chunks) }
}

/// How a reader gets a region's bytes.
public enum RegionReading: Sendable {
  /// The file itself, mapped: no copy; checksums are not looked at.
  case mapped
  /// A copy, compared with the checksums.
  case copying
}

/// The bytes of a region as they were at one instant, for as long as this or a copy of it is held.
///
/// Any number of threads may use one. One that is no copy keeps the file open; the database must not be
/// closed by `close()` while the bytes are in use.
///
/// Why `@unchecked Sendable`: nobody writes to what `buffer` shows.
public struct RegionReader: @unchecked Sendable {
  private let owner: ChunkReader
  let buffer: UnsafeRawBufferPointer

  init(_ owner: ChunkReader) {
    self.owner = owner
    buffer = owner.bytes
  }

  /// The number of bytes.
  public var count: Int { buffer.count }

  /// Whether the bytes are a copy; otherwise they are the file's own.
  public var isCopy: Bool { owner.isCopy }

  /// All bytes, in place.
  public var bytes: RawSpan {
    @_lifetime(borrow self)
    get { _overrideLifetime(RawSpan(_unsafeBytes: buffer), borrowing: self) }
  }

  /// The bytes as values of a type, in place; what does not fill a value at the end is left out.
  ///
  /// - Parameter type: an integer, a floating-point number, a SIMD vector, or a struct of such.
  /// - Complexity: O(1).
  @_lifetime(borrow self)
  public func values<Value: AnyBitPattern & BitwiseCopyable>(of type: Value.Type) -> Span<Value> {
    let count = buffer.count / MemoryLayout<Value>.stride * MemoryLayout<Value>.stride
    let whole = UnsafeRawBufferPointer(rebasing: buffer[..<count])
    return _overrideLifetime(Span<Value>(_unsafeBytes: whole), borrowing: self)
  }
}
