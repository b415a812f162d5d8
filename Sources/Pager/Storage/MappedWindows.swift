/// The file, mapped for reading or for writing in windows, each when it is first asked for.
///
/// A window stays until the file is let go: mapping and unmapping each value would cost more than
/// reading it. Windows take addresses, not memory: what they show is the system's page cache.
final class MappedWindows: Sendable {
  /// A multiple of every page size.
  static let windowByteCount = 256 << 20

  private let storage: any Storage
  private let isWritable: Bool
  private let windows = Locked<[Int: UInt]>([:])

  init(storage: any Storage, writable isWritable: Bool) {
    self.storage = storage
    self.isWritable = isWritable
  }

  deinit {
    for address in windows.withLock({ Array($0.values) }) {
      guard let base = UnsafeMutableRawPointer(bitPattern: address) else { continue }
      storage.unmap(base, byteCount: Self.windowByteCount)
    }
  }

  /// The memory of a range of the file, in a piece for each window that it touches.
  ///
  /// The range lies inside the file; who reads it pins its pages.
  func pieces(of range: Range<Int>) throws(PagerError) -> [UnsafeRawBufferPointer] {
    var pieces: [UnsafeRawBufferPointer] = []
    var start = range.lowerBound
    while start < range.upperBound {
      let window = start / Self.windowByteCount
      let end = min(range.upperBound, (window + 1) * Self.windowByteCount)
      let base = try base(of: window)
      pieces.append(
        UnsafeRawBufferPointer(
          start: base + (start - window * Self.windowByteCount), count: end - start))
      start = end
    }
    return pieces
  }

  private func base(of window: Int) throws(PagerError) -> UnsafeRawPointer {
    try windows.withLock { (windows) throws(PagerError) in
      if let known = windows[window].flatMap({ UnsafeRawPointer(bitPattern: $0) }) { return known }
      let start = window * Self.windowByteCount
      let base = try storage.map(
        byteRange: start..<start + Self.windowByteCount, writable: isWritable)
      windows[window] = UInt(bitPattern: base)
      return UnsafeRawPointer(base)
    }
  }
}

extension Pager {
  /// The memory of an extent's first bytes, mapped from the file.
  package func mappedPieces(
    of extent: Extent, byteCount: Int
  ) throws(PagerError) -> [UnsafeRawBufferPointer] {
    let start = Int(extent.first.rawValue) * pageByteCount
    return try windows.pieces(of: start..<start + byteCount)
  }

  /// The memory of an extent, mapped for writing; nil when it lies in more than one window.
  package func writableMemory(of extent: Extent) throws(PagerError) -> UnsafeMutableRawPointer? {
    let start = Int(extent.first.rawValue) * pageByteCount
    let pieces = try writableWindows.pieces(of: start..<start + extent.pageCount * pageByteCount)
    guard pieces.count == 1 else { return nil }
    return UnsafeMutableRawPointer(mutating: pieces[0].baseAddress)
  }
}
