public import Synchronization

/// The pages in memory, each behind its own latch, at addresses that never change.
///
/// A large range of addresses is reserved once; a page's address is its id times the stride, so
/// that no table stands between an id and its bytes (Leis et al., "Virtual-Memory Assisted Buffer
/// Management", SIGMOD 2023). Readers take no latch: they read the word's version, the page, and
/// the version again (`beginRead`, `validate`). The writer, eviction and reading in hold a page
/// exclusively; write-back shares it while it copies.
///
/// A reader that comes upon a page under change sees garbage and then fails to validate. All that
/// it does before is to load from addresses inside the reservation, which has `slackByteCount`
/// bytes behind its end for offsets and lengths that are garbage.
///
/// Why `@unchecked Sendable`: the stored properties are constants; what they point to is either
/// atomic (`words`, `flags`), or page memory, changed only by the holder of the exclusive state of
/// the page's word and read under validation, or behind the ring's mutex.
public final class PagePool: @unchecked Sendable {
  @usableFromInline let base: UnsafeMutableRawPointer
  @usableFromInline let words: UnsafeMutablePointer<Atomic<UInt64>>
  @usableFromInline let strideShift: UInt64
  @usableFromInline let pageLimit: UInt64
  let flags: UnsafeMutablePointer<Atomic<UInt8>>
  let reservedByteCount: Int
  let wordsByteCount: Int

  /// The size of a page.
  public let pageByteCount: Int
  let storage: any Storage
  let checksumSeed: UInt64
  /// Says what is structurally wrong with a page that was read in, or nil.
  let structureProblem: @Sendable (UnsafeRawBufferPointer) -> String?

  let capacity: Int
  let residentCount = Atomic<Int>(0)
  let readCount = Atomic<Int>(0)
  let writeCount = Atomic<Int>(0)
  let evictionCount = Atomic<Int>(0)
  let ring: Locked<ResidentRing>
  let parking = ParkingLot()
  /// Called with the error of a failed write, after which nothing may be promised any more.
  let writeFailed: @Sendable (PagerError) -> Void
  let mayWrite: Bool

  static let slackByteCount = 1 << 20
  static let minimumFrameCount = 96
  static let dirty: UInt8 = 1
  static let writing: UInt8 = 2
  /// Discarded while its write was under way.
  static let dropped: UInt8 = 4

  /// Reserves the addresses.
  ///
  /// - Parameters:
  ///   - fileByteCount: the file's present size; four times as much must fit.
  ///   - byteBudget: for frames and their bookkeeping, in bytes.
  package init(
    storage: any Storage, pageByteCount: Int, byteBudget: Int, fileByteCount: Int,
    checksumSeed: UInt64, mayWrite: Bool,
    structureProblem: @escaping @Sendable (UnsafeRawBufferPointer) -> String?,
    writeFailed: @escaping @Sendable (PagerError) -> Void
  ) throws(PagerError) {
    self.storage = storage
    self.pageByteCount = pageByteCount
    self.checksumSeed = checksumSeed
    self.mayWrite = mayWrite
    self.structureProblem = structureProblem
    self.writeFailed = writeFailed
    let stride = max(pageByteCount, SystemCalls.pageByteCount)
    strideShift = UInt64(stride.trailingZeroBitCount)

    // 9 bytes of bookkeeping a page: they count towards the budget with the pages of the file.
    let bookkeeping = fileByteCount / pageByteCount * 9
    capacity = max(Self.minimumFrameCount, (byteBudget - bookkeeping) / stride)
    ring = Locked(ResidentRing(capacity: capacity))

    let leastByteCount = max(4 * fileByteCount / pageByteCount * stride, 1 << 30)
    // A file that is only read does not grow, and there may be many of them.
    var byteCount = mayWrite ? 1 << 40 : leastByteCount
    var reserved: UnsafeMutableRawPointer?
    while reserved == nil {
      reserved = SystemCalls.reserveMemory(byteCount: byteCount + Self.slackByteCount)
      if reserved == nil {
        byteCount /= 2
        guard byteCount >= leastByteCount else {
          throw PagerError(
            .outOfAddressSpace, "the system refuses to reserve addresses for the page cache",
            expected: UInt64(leastByteCount))
        }
      }
    }
    let limit = byteCount / stride
    let wordBytes = limit * MemoryLayout<UInt64>.stride
    guard let reserved,
      let bookkeepingBase = SystemCalls.reserveMemory(byteCount: wordBytes + limit)
    else {
      if let reserved {
        SystemCalls.unmap(reserved, byteCount: byteCount + Self.slackByteCount)
      }
      throw PagerError(.outOfAddressSpace, "the system refuses to reserve addresses for latches")
    }
    SystemCalls.adviseSmallPages(reserved, byteCount: byteCount + Self.slackByteCount)
    SystemCalls.adviseSmallPages(bookkeepingBase, byteCount: wordBytes + limit)
    base = reserved
    reservedByteCount = byteCount + Self.slackByteCount
    pageLimit = UInt64(limit)
    wordsByteCount = wordBytes + limit
    // Zero bits are the state "evicted, version 0", and an atomic has its value's layout.
    words = bookkeepingBase.bindMemory(to: Atomic<UInt64>.self, capacity: limit)
    flags = (bookkeepingBase + wordBytes).bindMemory(to: Atomic<UInt8>.self, capacity: limit)
  }

  deinit {
    SystemCalls.unmap(base, byteCount: reservedByteCount)
    SystemCalls.unmap(UnsafeMutableRawPointer(words), byteCount: wordsByteCount)
  }

  /// Where page `id` is when it is in memory.
  @inlinable public func address(_ id: PageID) -> UnsafeMutableRawPointer {
    base + Int(truncatingIfNeeded: id.rawValue &<< strideShift)
  }

  /// The page of `id` as a buffer.
  package func buffer(_ id: PageID) -> UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(start: address(id), count: pageByteCount)
  }

  /// How many pages there can be before the addresses run out.
  public var pageCountLimit: Int { Int(pageLimit) }
  /// How many pages are in memory.
  package var residentPageCount: Int { residentCount.load(ordering: .relaxed) }
  /// How many pages may be in memory.
  package var frameCapacity: Int { capacity }

  /// Counts since the pool was made: pages read in, written and evicted.
  package var traffic: (reads: Int, writes: Int, evictions: Int) {
    (
      readCount.load(ordering: .relaxed), writeCount.load(ordering: .relaxed),
      evictionCount.load(ordering: .relaxed)
    )
  }
}
