/// Mapped memory of the file that was written, and will not be written again soon, until a sync.
///
/// A sync protects each page that may be written through a mapping before it writes it out, so that it
/// meets what is written later; for each it interrupts the other processors, several microseconds a page.
/// Of pages that are given back in one piece first, it finds no mapping any more. What is touched later is
/// mapped again; nothing is lost, since the file's pages in memory are what is shared.
///
/// Only a hint: what is not noted costs time, nothing else.
final class WrittenMemory: Sendable {
  /// So many are noted at most: where no sync comes, none is needed.
  static let rangeLimit = 4096
  /// So much is given back at once, while others wait to note something; a multiple of all page sizes.
  private static let pieceByteCount: UInt = 2 << 20

  private let ranges = Locked<[Range<UInt>]>([])

  /// Notes memory for the next sync.
  func note(_ base: UnsafeMutableRawPointer, byteCount: Int) {
    let page = UInt(SystemCalls.pageByteCount)
    let start = (UInt(bitPattern: base) + page - 1) / page * page
    let end = (UInt(bitPattern: base) + UInt(byteCount)) / page * page
    guard start < end else { return }
    ranges.withLock { ranges in
      if let last = ranges.last, last.upperBound == start {
        ranges[ranges.count - 1] = last.lowerBound..<end
      } else {
        if ranges.count == Self.rangeLimit { ranges.removeAll() }
        ranges.append(start..<end)
      }
    }
  }

  /// Gives back as much as is noted now; it stays usable.
  func giveBack() {
    var left = ranges.withLock { ranges in ranges.reduce(0) { $0 + $1.count } }
    while left > 0 {
      // Under the lock, so that nobody unmaps it meanwhile and something else takes the addresses.
      let count = ranges.withLock { ranges in
        guard let last = ranges.popLast() else { return left }
        let start = last.upperBound - min(UInt(last.count), Self.pieceByteCount)
        if start > last.lowerBound { ranges.append(last.lowerBound..<start) }
        if let base = UnsafeMutableRawPointer(bitPattern: start) {
          SystemCalls.advise(base, byteCount: Int(last.upperBound - start), .takeFromTables)
        }
        return Int(last.upperBound - start)
      }
      left -= count
    }
  }

  /// Forgets memory that is about to be unmapped.
  func forget(_ base: UnsafeMutableRawPointer, byteCount: Int) {
    let gone = UInt(bitPattern: base)..<UInt(bitPattern: base) + UInt(byteCount)
    ranges.withLock { ranges in ranges.removeAll { $0.overlaps(gone) } }
  }
}
