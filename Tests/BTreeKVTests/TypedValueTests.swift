import BTreeKV
import BTreeKVCodable
import Foundation
import TestSupport
import Testing

/// Values come back as they were, and strange bytes are errors.
@Suite struct TypedValueTests {
  private struct Sample: FixedLayoutValue, Equatable {
    var time: Int64
    var low: Float
    var high: Float
    var id: Bytes16
    var direction: SIMD4<Int16>
    var pair: (UInt8, Int8)
    var middle: UInt16
    var rest: UInt32

    static func == (first: Sample, second: Sample) -> Bool {
      (first.time, first.low, first.high, first.id) == (
        second.time, second.low, second.high, second.id
      )
        && first.direction == second.direction && first.pair == second.pair
        && (first.middle, first.rest) == (second.middle, second.rest)
    }
  }

  private struct Nothing: FixedLayoutValue, Equatable {}

  private struct Padded: FixedLayoutValue {
    var small: UInt8
    var large: UInt32
  }

  private struct Flagged: FixedLayoutValue {
    var flag: Bool
  }

  private struct Nested: FixedLayoutValue {
    var inner: Padded
    var rest: UInt32
  }

  private struct Hollow: FixedLayoutValue {
    var vector: SIMD3<Float>
  }

  private enum Kind: UInt8, FixedLayoutValue {
    case one
    static var codingTag: String { "kind" }
    func encodeValue(into encoder: inout ByteEncoder) { encoder.append(rawValue) }
    static func decodeValue(from decoder: inout ByteDecoder) throws(DatabaseError) -> Kind { .one }
    func withEncodedValue<R>(
      _ body: (UnsafeRawBufferPointer) throws(DatabaseError) -> R
    ) throws(DatabaseError) -> R {
      try [rawValue].withBytes(body)
    }
    static func checkCoding() throws(DatabaseError) { try Holder.checkCoding() }
    struct Holder: FixedLayoutValue { var kind: Kind }
  }

  private func expectRoundTrip<Value: StorableValue & Equatable>(
    _ value: Value, _ bytes: [UInt8]? = nil
  ) throws {
    let encoded = try value.encodedValue()
    if let bytes { #expect(encoded == bytes) }
    #expect(try Value(encodedValue: encoded) == value)
    try Optional(value).withEncodedValue { optional throws(DatabaseError) in
      #expect(Array(optional) == [1] + encoded)
    }
    #expect(try Value?(encodedValue: [1] + encoded) == value)
    #expect(try Value?(encodedValue: [0]) == nil)
    try Value.checkCoding()
    try Value?.checkCoding()
  }

  @Test func roundTrips() throws {
    try expectRoundTrip(0x0102_0304 as UInt32, [4, 3, 2, 1])
    try expectRoundTrip(-2 as Int16, [0xFE, 0xFF])
    try expectRoundTrip(UInt128.max - 1, [0xFE] + [UInt8](repeating: 0xFF, count: 15))
    try expectRoundTrip(Int.min)
    try expectRoundTrip(1.0 as Float, [0, 0, 0x80, 0x3F])
    try expectRoundTrip(-0.0 as Double, [0, 0, 0, 0, 0, 0, 0, 0x80])
    try expectRoundTrip(true, [1])
    try expectRoundTrip("é\0", [0xC3, 0xA9, 0])
    try expectRoundTrip("", [])
    try expectRoundTrip([0, 1] as [UInt8], [0, 1])
    try expectRoundTrip(Bytes16(high: 1, low: 2), [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2])
    try expectRoundTrip(Level.low, [0xFD])
    try expectRoundTrip(Name(rawValue: "n"), [0x6E])
    try expectRoundTrip(CompositeKey("a", 1 as UInt8), [0x61, 0, 1, 1])
    try expectRoundTrip(String?.none, [0])
    try expectRoundTrip(Nothing(), [])
    try expectRoundTrip(String(repeating: "long", count: 1000))
    #expect(Double(bitPattern: 0x7FF0_0000_0000_0001).bitPattern == 0x7FF0_0000_0000_0001)
    let signaling = Double(bitPattern: 0xFFF0_0000_0000_0001)
    #expect(
      try Double(encodedValue: signaling.encodedValue()).bitPattern == signaling.bitPattern)
  }

  @Test func fixedLayouts() throws {
    var random = SeededRandom(seed: 6)
    #expect(Sample.codingTag == "layout48")
    for _ in 0..<50 {
      let value = Sample(
        time: Int64(bitPattern: random.next()), low: 1, high: -2, id: .random(using: &random),
        direction: SIMD4(1, 2, 3, 4), pair: (5, -6), middle: 7, rest: 8)
      let encoded = try value.encodedValue()
      #expect(encoded.count == 48)
      #expect(try Sample(encodedValue: encoded) == value)
      // Nothing says that stored bytes are aligned.
      #expect(try Sample(encodedValue: ([0] + encoded)[1...]) == value)
      #expect(throws: DatabaseError.self) { try Sample(encodedValue: encoded + [0]) }
      #expect(throws: DatabaseError.self) { try Sample(encodedValue: Array(encoded.dropLast())) }
    }
    try Sample.checkCoding()
  }

  @Test func brokenVowsAreSeen() throws {
    func expectBroken<Value: StorableValue>(_ type: Value.Type, _ words: String) {
      let error = #expect(throws: DatabaseError.self) { try type.checkCoding() }
      #expect(error?.code == .invalidArgument)
      #expect(error?.description.contains(words) == true, "\(error?.description ?? "no error")")
    }
    expectBroken(Padded.self, "takes 8 bytes, its fields only 5")
    expectBroken(Nested.self, "takes 12 bytes, its fields only 9")
    expectBroken(Hollow.self, "takes 16 bytes, its fields only 12")
    expectBroken(Flagged.self, "Bool")
    expectBroken(Flagged?.self, "Bool")
    expectBroken(Kind.self, "Kind")
  }

  @Test(arguments: [1, 2, 3] as [UInt64]) func strangeBytesThrow(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    for _ in 0..<500 {
      let bytes =
        random.chance(50) ? TypedSamples.bytes(&random) : random.bytes(random.below(20))
      try expectCanonical(UInt64.self, bytes)
      try expectCanonical(Float.self, bytes)
      try expectCanonical(Bool.self, bytes)
      try expectCanonical(String.self, bytes)
      try expectCanonical([UInt8].self, bytes)
      try expectCanonical(Bytes16.self, bytes)
      try expectCanonical(Level.self, bytes)
      try expectCanonical(String?.self, bytes)
      try expectCanonical(Int8??.self, bytes)
      try expectCanonical(CompositeKey<String, UInt8>.self, bytes)
      #expect(throws: DatabaseError.self) {
        try CodableValue<[String: Int]>(encodedValue: bytes)
      }
    }
  }

  /// A buffer of no bytes may have no address.
  @Test func nothingAtAll() throws {
    let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
    #expect(try String(encodedValue: nothing).isEmpty && String(encodedKey: nothing).isEmpty)
    #expect(try [UInt8](encodedValue: nothing).isEmpty && [UInt8](encodedKey: nothing).isEmpty)
    #expect(try Nothing(encodedValue: nothing) == Nothing())
    #expect(try CompositeKey(encodedKey: nothing) == CompositeKey())
    #expect(throws: DatabaseError.self) { try UInt8(encodedKey: nothing) }
    #expect(throws: DatabaseError.self) { try Double(encodedValue: nothing) }
    #expect(throws: DatabaseError.self) { try Bool(encodedKey: nothing) }
    #expect(throws: DatabaseError.self) { try Sample(encodedValue: nothing) }
    #expect(throws: DatabaseError.self) { try String?(encodedKey: nothing) }
    #expect(throws: DatabaseError.self) { try CompositeKey<String>(encodedKey: nothing) }
    #expect(throws: DatabaseError.self) { try CodableValue<Int>(encodedValue: nothing) }
  }

  private func expectCanonical<Value: StorableValue>(_ type: Value.Type, _ bytes: [UInt8]) throws {
    switch Result(catching: { () throws(DatabaseError) in try Value(encodedValue: bytes) }) {
    case .success(let value):
      try require(try value.encodedValue() == bytes, "\(hex(bytes)) became \(value)")
    case .failure(let error):
      try require(error.code == .corrupted, "\(hex(bytes)): \(error)")
    }
  }

  private struct Person: Codable, Equatable {
    var name: String
    var born: Int?
    var heights: [Double]
  }

  private struct Unstorable: Codable {
    init() {}
    init(from decoder: any Decoder) throws {}
    func encode(to encoder: any Encoder) throws { throw TestFailure("not today") }
  }

  @Test func codableValues() throws {
    let ada = Person(name: "Ada", born: 1815, heights: [1.65, .infinity])
    let encoded = try CodableValue(ada).encodedValue()
    #expect(
      String(decoding: encoded, as: UTF8.self)
        == #"{"born":1815,"heights":[1.65,"inf"],"name":"Ada"}"#)
    try expectRoundTrip(CodableValue(ada))
    try expectRoundTrip(CodableValue(7), [0x37])
    try expectRoundTrip(CodableValue(["é/"]), Array(#"["é/"]"#.utf8))
    #expect(CodableValue<Int>.codingTag == "json")
    let error = #expect(throws: DatabaseError.self) {
      try CodableValue(Unstorable()).encodedValue()
    }
    #expect(error?.code == .invalidArgument)
    #expect(error?.description.contains("not today") == true)
    let wrong = #expect(throws: DatabaseError.self) {
      try CodableValue<Person>(encodedValue: "{}")
    }
    #expect(wrong?.code == .corrupted)
  }

  @Test func foundationUUIDs() throws {
    for _ in 0..<100 {
      let uuid = UUID()
      #expect(Bytes16(uuid).description == uuid.uuidString.lowercased())
      #expect(UUID(Bytes16(uuid)) == uuid && Bytes16(uuid.uuidString) == Bytes16(uuid))
      #expect(uuid.encodedKey == Bytes16(uuid).encodedKey)
      #expect(try UUID(encodedKey: uuid.encodedKey) == uuid)
      #expect(try UUID(encodedValue: uuid.encodedValue()) == uuid)
    }
    #expect(UUID.codingTag == "uuid")
  }
}
