import BTreeKV
import Pager
import TestSupport
import Testing
import Vectors

/// Every type of elements, bit by bit, over closing and opening.
@Suite struct VectorElementTests {
  private let storage: MemoryStorage

  init() throws { storage = try MemoryStorage() }

  /// Stores elements, closes, opens and compares; the tag is what the file says.
  private func expect<Element: VectorElement>(
    _ elements: [Element], tag: String, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let storage = try MemoryStorage()
    let database = try openDatabase(in: storage)
    let vector = try RawVector<Element>.open("v", in: database)
    vector.append(contentsOf: elements.dropLast())
    for element in elements.suffix(1) { vector.append(element) }
    try vector.write()
    #expect(try database.vectors().map(\.elementTag) == [tag], sourceLocation: sourceLocation)
    try database.close()
    let again = try openDatabase(in: storage.reopen())
    let found = try RawVector<Element>.open("v", in: again)
    let reader = try found.reader()
    #expect(
      storedBytes(Array(reader)) == storedBytes(elements), "\(tag)", sourceLocation: sourceLocation)
    for (index, element) in elements.enumerated() {
      let one = try found.element(at: index).map { storedBytes([$0]) }
      #expect(one == storedBytes([element]), "\(tag)", sourceLocation: sourceLocation)
    }
    try again.close()
  }

  @Test func integers() throws {
    try expect([UInt8.min, 1, .max], tag: "u8")
    try expect([UInt16.min, 1, .max], tag: "u16")
    try expect([UInt32.min, 1, .max], tag: "u32")
    try expect([UInt64.min, 1, .max], tag: "u64")
    try expect([UInt128.min, 1, .max], tag: "u128")
    try expect([UInt.min, 1, .max], tag: "u64")
    try expect([Int8.min, -1, 0, .max], tag: "i8")
    try expect([Int16.min, -1, 0, .max], tag: "i16")
    try expect([Int32.min, -1, 0, .max], tag: "i32")
    try expect([Int64.min, -1, 0, .max], tag: "i64")
    try expect([Int128.min, -1, 0, .max], tag: "i128")
    try expect([Int.min, -1, 0, .max], tag: "i64")
  }

  @Test func floats() throws {
    try expect(
      [
        0.0, -0.0, .infinity, -.infinity, .nan, .signalingNaN, .leastNonzeroMagnitude, 1,
        Double(bitPattern: 0x7FF8_0000_DEAD_BEEF), Double(bitPattern: 0xFFF0_0000_0000_0001),
      ], tag: "f64")
    try expect(
      [
        0.0, -0.0, .infinity, -.infinity, .nan, .signalingNaN, .leastNonzeroMagnitude,
        Float(bitPattern: 0x7FC0_BEEF), Float(bitPattern: 0xFF80_0001),
      ], tag: "f32")
    #if !((os(macOS) || targetEnvironment(macCatalyst)) && arch(x86_64))
      try expect(
        [0.0, -0.0, .infinity, -.infinity, .nan, Float16(bitPattern: 0xFE55)], tag: "f16")
    #endif
  }

  @Test func vectorsOfScalars() throws {
    try expect([SIMD2<UInt8>(1, 2), SIMD2(3, 255)], tag: "simd2<u8>")
    try expect([SIMD3<Float>(1, -0.0, .nan), SIMD3(3, 4, 5)], tag: "simd3<f32>")
    try expect([SIMD4<Double>(repeating: .nan), SIMD4(1, 2, 3, 4)], tag: "simd4<f64>")
    try expect([SIMD8<Int16>(repeating: -1)], tag: "simd8<i16>")
    try expect([SIMD16<Int64>(repeating: .min)], tag: "simd16<i64>")
    try expect([SIMD32<UInt8>(repeating: 7)], tag: "simd32<u8>")
    try expect([SIMD64<Double>(repeating: -0.0)], tag: "simd64<f64>")
  }

  /// The fourth scalar's memory says nothing, so that equal vectors are equal files.
  @Test func unusedLaneIsZero() {
    #expect(SIMD3<UInt32>(1, 2, 3).stored == SIMD4(1, 2, 3, 0))
  }

  struct Flags: OptionSet, RawRepresentableElement {
    var rawValue: UInt16
  }

  enum Side: UInt8, VectorElement {
    case unknown, buy, sell
    init(stored: UInt8) { self = Side(rawValue: stored) ?? .unknown }
  }

  @Test func typesOfTheApplication() throws {
    try expect([true, false, true], tag: "bool")
    try expect([Height(rawValue: 7), Height(rawValue: .max)], tag: "u32")
    try expect([Flags(rawValue: 3), []], tag: "u16")
    try expect([Side.buy, .sell, .unknown], tag: "u8")
    try expect([Triple(number: 1 << 40), Triple(number: 9)], tag: "layout12")
  }

  /// A file may hold any bits, also where a type has few values.
  @Test func foreignBits() throws {
    let database = try openDatabase(in: storage)
    let bytes = try RawVector<UInt8>.open("v", in: database)
    try bytes.write(appending: [0, 1, 2, 3, 255])
    let sides = try RawVector<Side>.open("v", in: database)
    #expect(try Array(sides.reader()) == [.unknown, .buy, .sell, .unknown, .unknown])
    #expect(Bool(stored: 2) && Bool(stored: 255) && !Bool(stored: 0))
    try database.close()
  }

  struct Padded: FixedLayoutValue, VectorElement {
    var a: UInt8
    var b: UInt32
  }

  struct PaddedBehind: AnyBitPattern, VectorElement, Sendable {
    var a: UInt32
    var b: UInt8
    static let elementTag = "behind"
    typealias Stored = PaddedBehind
  }

  struct Flagged: FixedLayoutValue, VectorElement {
    var a: UInt8
    var b: Bool
  }

  final class Box: Sendable {}

  struct Referring: AnyBitPattern, VectorElement, Sendable {
    var box: Box?
    static let elementTag = "referring"
    typealias Stored = Referring
  }

  struct Huge: VectorElement {
    static let elementTag = String(repeating: "x", count: 256)
    var stored: UInt8 { 0 }
    init(stored: UInt8) {}
  }

  @Test func unusableTypesAreRefused() throws {
    let database = try openDatabase(in: storage)
    func code<Element: VectorElement>(_ type: Element.Type) -> PagerError.Code? {
      errorCode { _ = try RawVector<Element>.open("v", in: database) }
    }
    #expect(code(Padded.self) == .invalidArgument)
    #expect(code(PaddedBehind.self) == .invalidArgument)
    #expect(code(Flagged.self) == .invalidArgument)
    #expect(code(Referring.self) == .invalidArgument)
    #expect(code(Huge.self) == .invalidArgument)
    #expect(try database.vectors().isEmpty)
    try database.close()
  }
}
