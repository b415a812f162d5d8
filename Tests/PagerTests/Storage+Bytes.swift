@testable import Pager

/// Arrays in the place of buffers.
extension Storage {
  func write(_ bytes: [UInt8], at offset: Int) throws(PagerError) {
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
    defer { copy.deallocate() }
    copy.copyBytes(from: bytes)
    try write(UnsafeRawBufferPointer(copy), at: offset)
  }

  func writeDurably(_ bytes: [UInt8], at offset: Int) throws(PagerError) {
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
    defer { copy.deallocate() }
    copy.copyBytes(from: bytes)
    try writeDurably(UnsafeRawBufferPointer(copy), at: offset)
  }

  func bytes(_ range: Range<Int>) throws(PagerError) -> [UInt8] {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: range.count, alignment: 1)
    defer { buffer.deallocate() }
    try read(into: buffer, at: range.lowerBound)
    return Array(buffer)
  }
}
