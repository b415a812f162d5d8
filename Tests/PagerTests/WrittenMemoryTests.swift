import Testing

@testable import Pager

#if os(Linux)
  /// Memory of its own shows what is given back: it reads as zeros then, which the file's does not.
  @Suite struct WrittenMemoryTests {
    private let page = SystemCalls.pageByteCount

    /// Eight pages of ones; what `body` notes is given back.
    ///
    /// - Returns: which pages were.
    private func givenBack(
      _ body: (WrittenMemory, UnsafeMutableRawPointer) -> Void
    ) throws -> [Int] {
      let base = try SystemCalls.mapAnonymous(byteCount: 8 * page)
      defer { SystemCalls.unmap(base, byteCount: 8 * page) }
      base.initializeMemory(as: UInt8.self, repeating: 1, count: 8 * page)
      let written = WrittenMemory()
      body(written, base)
      written.giveBack()
      let bytes = UnsafeRawBufferPointer(start: base, count: 8 * page)
      for index in 0..<8 {
        let value = bytes[index * page]
        let isEven =
          Array(bytes[index * page..<(index + 1) * page])
          == [UInt8](repeating: value, count: page)
        #expect(isEven)
      }
      return (0..<8).filter { bytes[$0 * page] == 0 }
    }

    @Test func wholePagesOnceEach() throws {
      let pages = try givenBack { written, base in
        written.note(base + 10, byteCount: 2 * page)
        written.note(base + 4 * page, byteCount: page)
        written.note(base + 5 * page, byteCount: 2 * page - 1)
        written.note(base + 7 * page + 1, byteCount: page - 2)
      }
      #expect(pages == [1, 4, 5])
    }

    @Test func onlyWhatWasNotedSince() throws {
      let pages = try givenBack { written, base in
        written.note(base, byteCount: page)
        written.giveBack()
        base.storeBytes(of: 1, as: UInt8.self)
        UnsafeMutableRawBufferPointer(start: base, count: page).initializeMemory(
          as: UInt8.self, repeating: 1)
      }
      #expect(pages.isEmpty)
    }

    @Test func manyPiecesAndNoMoreThanTheLimit() throws {
      let pageCount = 3 * WrittenMemory.rangeLimit
      let base = try SystemCalls.mapAnonymous(byteCount: pageCount * page)
      defer { SystemCalls.unmap(base, byteCount: pageCount * page) }
      let words = base.assumingMemoryBound(to: UInt64.self)
      let step = page / 8
      func leftOver(_ body: (WrittenMemory) -> Void) -> Int {
        for index in 0..<pageCount { words[index * step] = 1 }
        let written = WrittenMemory()
        body(written)
        written.giveBack()
        return (0..<pageCount).count { words[$0 * step] != 0 }
      }
      // Side by side they are one range.
      #expect(
        leftOver { for index in 0..<pageCount { $0.note(base + index * page, byteCount: page) } }
          == 0)
      let limit = WrittenMemory.rangeLimit
      let left = leftOver { written in
        for index in 0...limit { written.note(base + 2 * index * page, byteCount: page) }
      }
      #expect(left == pageCount - 1)
    }

    @Test func notWhatIsUnmapped() throws {
      let pages = try givenBack { written, base in
        written.note(base, byteCount: 2 * page)
        written.note(base + 3 * page, byteCount: page)
        // Whoever maps something next may get the addresses.
        written.forget(base + page, byteCount: 2 * page)
      }
      #expect(pages == [3])
    }
  }
#endif
