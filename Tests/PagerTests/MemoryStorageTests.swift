import TestSupport
import Testing

@testable import Pager

@Suite struct MemoryStorageTests {
  @Test func capacityIsTheSizeOfTheDisk() throws {
    let storage = try MemoryStorage(capacityByteCount: 1000)
    try storage.write([1], at: 999)
    #expect(errorCode { try storage.write([1], at: 1000) } == .diskFull)
    #expect(errorCode { try storage.allocate(byteRange: 0..<1001) } == .diskFull)
    #expect(errorCode { try storage.truncate(to: 1001) } == .diskFull)
    #expect(try storage.byteCount() == 1000)
    storage.capacityByteCount = 2000
    try storage.allocate(byteRange: 0..<2000)
    storage.capacityByteCount = 10
    try storage.write([2], at: 1999)
    #expect(errorCode { try storage.write([1], at: 2000) } == .diskFull)
  }

  @Test func reopeningGivesTheSameContent() throws {
    let first = try MemoryStorage()
    try first.write([1, 2, 3], at: 0)
    first.close()
    let second = first.reopen()
    #expect(try second.bytes(0..<3) == [1, 2, 3])
    try second.write([4], at: 3)
    let reader = second.reopen(readOnly: true)
    #expect(try reader.byteCount() == 4)
    #expect(errorCode { try reader.write([1], at: 0) } == .readOnly)
  }

  @Test func copiesAreIndependent() throws {
    let original = try MemoryStorage()
    try original.write([1, 2, 3], at: 0)
    let image = try MemoryStorage(contents: original.copyOfContents())
    try original.write([9], at: 0)
    #expect(image.copyOfContents() == [1, 2, 3])
    #expect(try MemoryStorage(contents: []).byteCount() == 0)
  }

  @Test func mappingOutlivesTheStorage() throws {
    var storage: MemoryStorage? = try MemoryStorage(capacityByteCount: 1 << 16)
    try storage?.write([8], at: 0)
    let other = storage?.reopen()
    let base = try storage?.map(byteRange: 0..<1, writable: false)
    storage = nil
    #expect(base?.load(as: UInt8.self) == 8)
    if let base { other?.unmap(base, byteCount: 1) }
  }
}
