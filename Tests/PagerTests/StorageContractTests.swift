import TestSupport
import Testing

@testable import Pager

/// What every storage must do alike.
@Suite struct StorageContractTests {
  enum Kind: CaseIterable, Sendable { case file, memory, faulty }

  private let directory: TemporaryFolder

  init() throws {
    directory = try TemporaryFolder()
  }

  private func make(_ kind: Kind) throws -> any Storage {
    switch kind {
    case .file: try FileStorage.open(path: directory.file(), access: .mustNotExist)
    case .memory: try MemoryStorage()
    case .faulty: FaultyStorage(try MemoryStorage())
    }
  }

  @Test(arguments: Kind.allCases)
  func readsGiveWhatWasWritten(kind: Kind) throws {
    let storage = try make(kind)
    #expect(try storage.byteCount() == 0)
    try storage.write([1, 2, 3], at: 10)
    try storage.writeDurably([4, 5], at: 12)
    try storage.synchronize()
    try storage.synchronizeDirectory()
    #expect(try storage.byteCount() == 14)
    #expect(try storage.bytes(8..<14) == [0, 0, 1, 2, 4, 5])
    #expect(try storage.bytes(3..<3) == [])
    try storage.write([], at: 100)
    #expect(try storage.byteCount() == 14)
  }

  @Test(arguments: Kind.allCases)
  func holesReadAsZeros(kind: Kind) throws {
    let storage = try make(kind)
    let page = 64 << 10
    try storage.write([UInt8](repeating: 7, count: 4 * page), at: 0)
    try storage.synchronize()
    let before = try storage.allocatedByteCount()
    let mapping = try storage.map(byteRange: 0..<4 * page, writable: false)
    defer { storage.unmap(mapping, byteCount: 4 * page) }
    // A file system need not know holes.
    guard try storage.punchHole(byteRange: page..<3 * page) else { return }
    #expect(try storage.byteCount() == 4 * page)
    #expect(try storage.allocatedByteCount() == before - 2 * page)
    #expect(try storage.bytes(page..<3 * page) == [UInt8](repeating: 0, count: 2 * page))
    #expect(try storage.bytes(page - 1..<page) == [7])
    #expect(try storage.bytes(3 * page..<3 * page + 1) == [7])
    #expect(mapping.load(fromByteOffset: 2 * page, as: UInt8.self) == 0)
    try storage.allocate(byteRange: page..<2 * page)
    #expect(try storage.allocatedByteCount() == before - page)
    try storage.write([5], at: page)
    #expect(try storage.bytes(page..<page + 2) == [5, 0])
  }

  @Test(arguments: Kind.allCases)
  func readingBeyondTheEndSaysWhereItIs(kind: Kind) throws {
    let storage = try make(kind)
    try storage.write([1, 2, 3], at: 0)
    let error = #expect(throws: PagerError.self) { try storage.bytes(1..<5) }
    #expect(error?.code == .corrupted)
    #expect(error?.byteOffset == 1)
    #expect(error?.expected == 5)
    #expect(error?.found == 3)
    #expect(errorCode { _ = try storage.bytes(3..<4) } == .corrupted)
    #expect(errorCode { _ = try storage.bytes(1000..<1004) } == .corrupted)
  }

  @Test(arguments: Kind.allCases)
  func impossibleRangesAreRefused(kind: Kind) throws {
    let storage = try make(kind)
    #expect(errorCode { _ = try storage.bytes(-1..<1) } == .invalidArgument)
    #expect(errorCode { try storage.write([1], at: -1) } == .invalidArgument)
    #expect(errorCode { try storage.write([1], at: .max) } == .invalidArgument)
    #expect(errorCode { try storage.truncate(to: -1) } == .invalidArgument)
    #expect(errorCode { try storage.allocate(byteRange: -2..<4) } == .invalidArgument)
    #expect(errorCode { _ = try storage.map(byteRange: 0..<0, writable: true) } == .invalidArgument)
    #expect(errorCode { _ = try storage.map(byteRange: 1..<9, writable: true) } == .invalidArgument)
  }

  @Test(arguments: Kind.allCases)
  func allocationExtendsAndKeepsContent(kind: Kind) throws {
    let storage = try make(kind)
    try storage.write([7], at: 5)
    try storage.allocate(byteRange: 0..<100_000)
    #expect(try storage.byteCount() == 100_000)
    #expect(try storage.allocatedByteCount() >= 100_000)
    #expect(try storage.bytes(5..<7) == [7, 0])
    try storage.allocate(byteRange: 10..<20)
    try storage.allocate(byteRange: 20..<20)
    #expect(try storage.byteCount() == 100_000)
  }

  @Test(arguments: Kind.allCases)
  func truncatedBytesComeBackAsZeros(kind: Kind) throws {
    let storage = try make(kind)
    try storage.write([UInt8](repeating: 9, count: 20_000), at: 0)
    try storage.truncate(to: 5_000)
    #expect(try storage.byteCount() == 5_000)
    try storage.truncate(to: 20_000)
    #expect(try storage.bytes(4_999..<20_000) == [9] + [UInt8](repeating: 0, count: 15_000))
  }

  @Test(arguments: Kind.allCases)
  func mappingsAndCallsSeeTheSameBytes(kind: Kind) throws {
    let storage = try make(kind)
    let page = SystemCalls.pageByteCount
    try storage.allocate(byteRange: 0..<4 * page)
    let writable = try storage.map(byteRange: page..<3 * page, writable: true)
    let readable = try storage.map(byteRange: page..<2 * page, writable: false)
    storage.prefault(writable, byteCount: 2 * page)
    writable.storeBytes(of: 0x55, toByteOffset: 3, as: UInt8.self)
    #expect(try storage.bytes(page + 3..<page + 4) == [0x55])
    try storage.write([0x66], at: page + 4)
    #expect(readable.load(fromByteOffset: 3, as: UInt8.self) == 0x55)
    #expect(readable.load(fromByteOffset: 4, as: UInt8.self) == 0x66)
    storage.noteWritten(writable, byteCount: 2 * page)
    storage.beginSynchronizing(byteRange: page..<3 * page)
    try storage.synchronize()
    writable.storeBytes(of: 0x77, toByteOffset: 5, as: UInt8.self)
    #expect(try storage.bytes(page + 3..<page + 6) == [0x55, 0x66, 0x77])
    #expect(readable.load(fromByteOffset: 5, as: UInt8.self) == 0x77)
    storage.close()
    #expect(writable.load(fromByteOffset: 4, as: UInt8.self) == 0x66)
    storage.unmap(readable, byteCount: page)
    storage.unmap(writable, byteCount: 2 * page)
  }

  @Test(arguments: Kind.allCases)
  func closedStorageRefusesAll(kind: Kind) throws {
    let storage = try make(kind)
    try storage.write([1], at: 0)
    storage.close()
    storage.close()
    #expect(errorCode { _ = try storage.byteCount() } == .closed)
    #expect(errorCode { _ = try storage.bytes(0..<1) } == .closed)
    #expect(errorCode { try storage.write([1], at: 0) } == .closed)
    #expect(errorCode { try storage.writeDurably([1], at: 0) } == .closed)
    #expect(errorCode { try storage.synchronize() } == .closed)
    #expect(errorCode { try storage.allocate(byteRange: 0..<1) } == .closed)
    #expect(errorCode { try storage.truncate(to: 0) } == .closed)
    #expect(errorCode { _ = try storage.map(byteRange: 0..<1, writable: true) } == .closed)
  }

  @Test(arguments: Kind.allCases)
  func disjointWritesFromManyThreads(kind: Kind) throws {
    let storage = try make(kind)
    let threads = try (0..<4).map { index in
      try BackgroundThread(name: "writer \(index)") {
        for round in 0..<200 {
          let bytes = [UInt8](repeating: UInt8(index * 50 + round % 50), count: 128)
          try? storage.write(bytes, at: (round * 4 + index) * 128)
        }
      }
    }
    for thread in threads { thread.join() }
    #expect(try storage.byteCount() == 200 * 4 * 128)
    for round in 0..<200 {
      for index in 0..<4 {
        let offset = (round * 4 + index) * 128
        let expected = [UInt8](repeating: UInt8(index * 50 + round % 50), count: 128)
        #expect(try storage.bytes(offset..<offset + 128) == expected)
      }
    }
  }
}
