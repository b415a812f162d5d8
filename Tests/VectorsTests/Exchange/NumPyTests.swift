import BTreeKV
import Pager
import TestSupport
import Testing
import Vectors

/// `.npy` files; `Tests/NumPyReference/check` has the real NumPy read and write them.
@Suite struct NumPyTests {
  private let database: Database

  init() throws { database = try openDatabase(in: try MemoryStorage()) }

  private func file<Element: VectorElement>(
    _ elements: [Element], in range: Range<Int>? = nil
  ) throws -> [UInt8] {
    let vector = try RawVector<Element>.forcedOpen("numbers", in: database)
    try vector.truncate(to: 0)
    try vector.write(appending: elements)
    // Changes that are not folded are in the file, too.
    if elements.count > 3 { try vector.update(at: 2, elements[0]) }
    try vector.write()
    var file: [UInt8] = []
    try NumPy.write(try vector.reader(), in: range) { piece in
      piece.withUnsafeBytes { file.append(contentsOf: $0) }
    }
    return file
  }

  private func elements<Element: VectorElement>(
    _ file: [UInt8], of type: Element.Type, pieceCount: Int = 1 << 20
  ) throws -> [Element] {
    var found: [Element] = []
    var reader = NumPyReader<Element>()
    for start in stride(from: 0, to: file.count, by: pieceCount) {
      let piece = Array(file[start..<min(file.count, start + pieceCount)])
      try reader.read(piece) { found += $0 }
    }
    try reader.finish()
    return found
  }

  @Test func headerIsAsNumPyWritesIt() throws {
    let file = try file([1, 2, 3] as [UInt32])
    #expect(file.count == 128 + 12)
    let text = "{'descr': '<u4', 'fortran_order': False, 'shape': (3,), }"
    #expect(file.starts(with: [0x93] + Array("NUMPY\u{1}\0v\0\(text)".utf8)))
    #expect(file[127] == 0x0A && Array(file[128...]) == [1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0])
    let rows = try self.file([SIMD4<Float>(1, 2, 3, 4)])
    #expect(String(decoding: rows[10...], as: UTF8.self).contains("'shape': (1, 4)"))
  }

  private func check<Element: VectorElement & Equatable>(_ elements: [Element]) throws {
    let bits = try file(elements)
    for pieceCount in [1, 13, 1 << 20] {
      let found = try self.elements(bits, of: Element.self, pieceCount: pieceCount)
      var expected = elements
      if expected.count > 3 { expected[2] = expected[0] }
      #expect(found == expected, "\(Element.self)")
    }
  }

  @Test func elementsComeBack() throws {
    try check([UInt64.max, 0, 5, 7, 1 << 63])
    try check([Int8.min, 0, .max])
    try check([true, false, true])
    try check([-0.0, .infinity, -.infinity, Double.leastNonzeroMagnitude])
    try check([Float16.infinity, 1.5])
    try check([SIMD2<Int16>(1, -1), .zero])
    try check([UInt16]())
    try check((0..<70_000).map { Int32(truncatingIfNeeded: $0 &* 77_777) })
    let nan = Double(bitPattern: 0xFFF8_0000_1234_5678)
    let found = try elements(file([nan]), of: Double.self)
    #expect(found.map(\.bitPattern) == [nan.bitPattern])
    #expect(try elements(file([1, 2, 3, 4, 5], in: 3..<5), of: Int.self) == [4, 5])
  }

  @Test func whatNumPyDoesNotHaveIsRefused() throws {
    #expect(throws: ExchangeError.self) { try file([UInt128.max]) }
    #expect(throws: ExchangeError.self) { try file([SIMD3<Float>(1, 2, 3)]) }
    #expect(throws: ExchangeError.self) { try elements([], of: UInt128.self) }
  }

  @Test func otherFilesAreRefused() throws {
    let good = try file([1, 2, 3] as [UInt32])
    func expectRefusal<Element: VectorElement>(
      _ file: [UInt8], as type: Element.Type, saying part: String
    ) {
      do {
        let found = try elements(file, of: type)
        Issue.record("\(part): \(found)")
      } catch {
        #expect("\(error)".contains(part), "\(error)")
      }
    }
    func changed(_ old: String, _ new: String) -> [UInt8] {
      var text = String(decoding: good[10..<128], as: UTF8.self)
      text.replace(old, with: new)
      let header = Array(text.utf8)
      return Array(good[..<8]) + [UInt8(header.count), 0] + header + good[128...]
    }
    #expect(try elements(changed("False", "True"), of: UInt32.self) == [1, 2, 3])
    #expect(try elements(changed("'<u4'", "\"=u4\""), of: UInt32.self) == [1, 2, 3])
    expectRefusal(good, as: Int32.self, saying: "elements of type <u4, not <i4")
    expectRefusal(changed("<u4", ">u4"), as: UInt32.self, saying: "elements of type >u4")
    expectRefusal(good + [0], as: UInt32.self, saying: "behind its last")
    expectRefusal(good.dropLast(), as: UInt32.self, saying: "too early")
    expectRefusal(Array(good[..<50]), as: UInt32.self, saying: "too early")
    expectRefusal([], as: UInt32.self, saying: "too early")
    expectRefusal([1, 2, 3], as: UInt32.self, saying: "no .npy file")
    expectRefusal(changed("(3,)", "(3, 1)"), as: UInt32.self, saying: "shape")
    expectRefusal(changed("(3,)", "()"), as: UInt32.self, saying: "shape")
    expectRefusal(changed("(3,)", "(-3,)"), as: UInt32.self, saying: "shape")
    expectRefusal(changed("shape", "shoes"), as: UInt32.self, saying: "lacks \"shape\"")
    expectRefusal(changed("'<u4'", "[('a', '<u4')]"), as: UInt32.self, saying: "no plain numbers")
    var version = good
    version[6] = 9
    expectRefusal(version, as: UInt32.self, saying: "version 9")
    // A header that claims to be longer than any is not waited for.
    let long = Array(good[..<6]) + [2, 0, 255, 255, 255, 255]
    expectRefusal(long, as: UInt32.self, saying: "too long")
    // Nothing is allocated for what a shape claims.
    expectRefusal(changed("(3,)", "(9000000000000000000,)"), as: UInt32.self, saying: "too early")
  }
}
